//! A client of the component's admin endpoints.

use std::path::Path;

use harness::{Result, eventually};
use reqwest::Client;
use serde_json::Value;

use super::SOON;

/// Asks a URL; returns the status and the answer.
pub async fn get(url: &str) -> Result<(u16, String)> {
    ask(&Client::builder().no_proxy().build()?, url).await
}

/// Asks a path on a Unix socket.
pub async fn get_unix(socket: &Path, path: &str) -> Result<(u16, String)> {
    let client = Client::builder().unix_socket(socket).no_proxy().build()?;
    ask(&client, &format!("http://component{path}")).await
}

async fn ask(client: &Client, url: &str) -> Result<(u16, String)> {
    let answer = client.get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// What `/readyz` says.
pub async fn readyz(admin: &str) -> Result<(u16, Value)> {
    let (status, text) = get(&format!("{admin}/readyz")).await?;
    Ok((status, serde_json::from_str(&text)?))
}

/// Waits until `/readyz` says what is wanted.
pub async fn readyz_says(
    admin: &str,
    what: &str,
    wanted: impl Fn(u16, &Value) -> bool,
) -> Result<Value> {
    let found = eventually(what, SOON, || async {
        let (status, said) = readyz(admin).await.ok()?;
        wanted(status, &said).then_some(said)
    });
    match found.await {
        Ok(said) => Ok(said),
        Err(error) => {
            let (status, said) = readyz(admin).await?;
            Err(format!("{error}; /readyz said {status} {said}").into())
        }
    }
}

/// The value of a series in Prometheus' text format, such as
/// `lanes{component="a"}`, without the prefix.
pub fn series(metrics: &str, series: &str) -> Option<f64> {
    let named = format!("dapr_rdkafka_{series} ");
    let mut lines = metrics.lines();
    lines.find_map(|line| line.strip_prefix(&named)?.parse().ok())
}

/// Waits until a series has at least this value.
pub async fn at_least(admin: &str, wanted: &str, value: f64) -> Result<String> {
    let what = format!("{wanted} is at least {value}");
    let url = format!("{admin}/metrics");
    let found = eventually(&what, SOON, || async {
        let (_, text) = get(&url).await.ok()?;
        series(&text, wanted)
            .is_some_and(|now| now >= value)
            .then_some(text)
    });
    match found.await {
        Ok(text) => Ok(text),
        Err(error) => {
            let (_, text) = get(&url).await?;
            Err(format!("{error}; /metrics said\n{text}").into())
        }
    }
}
