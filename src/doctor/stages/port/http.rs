//! Which HTTP server it is.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout_at,
};

use crate::doctor::{Row, rows::port, wire::shown};

/// How much of an answer is read: what tells them apart stands at its beginning.
const MOST: usize = 16 * 1024;

/// What is asked for. Redpanda describes each of its three APIs at `/v1`; schema
/// registries and proxies of others have `/schemas/types` and `/brokers`, and Kafka
/// Connect says at `/` what it is.
pub(super) const PATHS: [&str; 4] = ["/v1", "/schemas/types", "/brokers", "/"];

/// An HTTP server.
#[derive(Debug)]
pub(in crate::doctor) struct Server {
    pub(super) row: &'static Row,
    /// The first line of an answer, and by whom.
    pub(super) said: String,
}

/// An HTTP server's answer to one `GET`, or its beginning.
pub(super) async fn get(
    mut stream: impl crate::doctor::wire::Stream,
    host: &str,
    path: &str,
    until: Instant,
) -> Option<String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nUser-Agent: dapr-rdkafka\r\n\
         Connection: close\r\n\r\n"
    );
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        let mut part = [0; 4096];
        while answer.len() < MOST {
            match stream.read(&mut part).await? {
                0 => break,
                read => answer.extend(part.iter().take(read)),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // How it ends is no matter: what came until then may tell enough.
    let _ = timeout_at(until.into(), asked).await;
    answer
        .starts_with(b"HTTP/")
        .then(|| String::from_utf8_lossy(&answer).into_owned())
}

/// Which one it is, by its answers to [`PATHS`].
pub(super) fn which(answers: &[Option<String>]) -> Option<Server> {
    let of = |path: &str| {
        let place = PATHS.iter().position(|one| *one == path)?;
        answers.get(place)?.as_deref()
    };
    let says = |path, words: &[&str]| {
        of(path).is_some_and(|text| words.iter().any(|word| text.contains(word)))
    };
    let described = |words| says("/v1", &["\"swagger\""]) && says("/v1", words);
    let row = if described(&["Redpanda Admin API"]) {
        &port::REDPANDA_ADMIN
    } else if described(&["Schema Registry"])
        || says("/schemas/types", &["vnd.schemaregistry", "\"AVRO\""])
    {
        &port::SCHEMA_REGISTRY
    } else if described(&["Pandaproxy API", "HTTP Proxy"])
        || says("/brokers", &["vnd.kafka", "{\"brokers\":["])
    {
        &port::HTTP_PROXY
    } else if says("/", &["\"kafka_cluster_id\""]) {
        &port::CONNECT
    } else {
        &port::HTTP
    };
    let text = of("/").or_else(|| answers.iter().flatten().map(String::as_str).next())?;
    let mut lines = text.lines();
    let status = lines.next().unwrap_or_default();
    let server = lines
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("server").then(|| value.trim())
        })
        .map(|server| format!(", from {server}"));
    let said = format!("{status}{}", server.unwrap_or_default());
    Some(Server {
        row,
        said: shown(said.as_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_server_writes_is_shown_in_one_short_line(
            answers in prop::collection::vec(prop::option::of("HTTP/.{0,300}"), 0..6)
        ) {
            if let Some(server) = which(&answers) {
                prop_assert!(server.said.chars().count() <= 100);
                prop_assert!(!server.said.contains(char::is_control));
            } else {
                prop_assert!(answers.iter().all(Option::is_none));
            }
        }
    }

    #[test]
    fn a_page_that_only_speaks_of_an_api_is_not_the_api() {
        let page = |text: &str| [Some(format!("HTTP/1.1 200 OK\r\n\r\n{text}"))];
        let row = |text| which(&page(text)).map(|server| server.row.code);
        let api = "{ \"swagger\": \"2.0\", \"info\": { \"title\": \"Redpanda Admin API\"";
        assert_eq!(row(api), Some(port::REDPANDA_ADMIN.code));
        let console = "<title>Redpanda Admin API explained</title>";
        assert_eq!(row(console), Some(port::HTTP.code));
    }
}
