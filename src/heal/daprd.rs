//! daprd's own HTTP API, as far as healing needs it.

use std::{error::Error, fmt, path::PathBuf, str::FromStr, time::Duration};

use reqwest::{
    Client, Method, Response, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde::Deserialize;

use crate::dapr::Component;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The header in which daprd wants its API token (dapr/dapr v1.16.5,
/// `pkg/security/consts`).
const TOKEN_HEADER: &str = "dapr-api-token";

/// Where daprd's HTTP API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaprdUrl {
    /// On a TCP port: the URL without a path.
    Http(String),
    /// On a Unix socket, as with daprd's `--unix-domain-socket`.
    Unix(PathBuf),
}

impl FromStr for DaprdUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected http://HOST:PORT, such as http://127.0.0.1:3500, or \
                        unix:///path/to/the/socket";
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            return path
                .is_absolute()
                .then_some(Self::Unix(path))
                .ok_or_else(|| expected.into());
        }
        let url = reqwest::Url::parse(text).map_err(|_| expected.to_owned())?;
        // Nothing that would be left out, and no password: the URL is shown.
        let only_a_place = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if url.scheme() != "http" || url.host_str().is_none() || !only_a_place {
            return Err(expected.into());
        }
        // As it was understood: `http:@0` is a URL too.
        Ok(Self::Http(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for DaprdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(url),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A client of one daprd.
pub(super) struct Daprd {
    client: Client,
    base: String,
}

/// What its metadata API tells, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    components: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Daprd {
    /// A client, with daprd's API token if it wants one.
    pub(super) fn new(url: &DaprdUrl, token: Option<&str>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token)
                .map_err(|_| "DAPR_API_TOKEN has characters that no HTTP header can have")?;
            value.set_sensitive(true);
            headers.insert(TOKEN_HEADER, value);
        }
        // Its API is on this machine: no proxy is on the way.
        // A redirect would take the token, and the request to shut down, to another server.
        let mut builder = Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers);
        let base = match url {
            DaprdUrl::Http(base) => base.clone(),
            DaprdUrl::Unix(path) => {
                builder = builder.unix_socket(path.clone());
                "http://daprd".to_owned()
            }
        };
        let client = builder.build().map_err(|error| told(&error))?;
        Ok(Self { client, base })
    }

    /// The components that it has loaded.
    pub(super) async fn components(&self) -> Result<Vec<Component>, String> {
        let answer = self.call(Method::GET, "/v1.0/metadata").await;
        let answer = answer.map_err(|error| error.text)?;
        let metadata: Metadata = answer.json().await.map_err(|error| told(&error))?;
        let listed = metadata.components.into_iter();
        Ok(listed
            .map(|Listed { name, kind }| Component::new(name, &kind))
            .collect())
    }

    /// Asks it to end in order; whoever supervises it starts it again.
    pub(super) async fn shut_down(&self) -> Result<(), CallError> {
        self.call(Method::POST, "/v1.0/shutdown").await.map(drop)
    }

    async fn call(&self, method: Method, path: &str) -> Result<Response, CallError> {
        let request = self
            .client
            .request(method.clone(), self.base.clone() + path);
        let answer = request.send().await.map_err(|error| CallError {
            text: told(&error),
            refused: false,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let remedy = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                " (set DAPR_API_TOKEN to daprd's own)"
            }
            // daprd leaves out what its Configuration does not allow (dapr/dapr
            // v1.16.5, `pkg/api/http/server.go`).
            StatusCode::NOT_FOUND => " (allow it in api.allowed of daprd's Configuration)",
            _ if status.is_redirection() => {
                " (redirects are not followed; name the address of daprd's own HTTP API)"
            }
            _ => "",
        };
        Err(CallError {
            text: format!("{method} {path}: {status}{remedy}"),
            refused: true,
        })
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct CallError {
    text: String,
    /// daprd answered that it won't: what was asked for has surely not happened.
    pub(super) refused: bool,
}

/// An error with its causes; reqwest's own text leaves them out.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use axum::{Router, response::Redirect, routing::get};

    use super::*;

    #[test]
    fn a_url_is_http_or_a_unix_socket() {
        let http = "http://127.0.0.1:3500/".parse::<DaprdUrl>();
        assert_eq!(http, Ok(DaprdUrl::Http("http://127.0.0.1:3500".into())));
        let unix = "unix:///run/dapr.sock".parse::<DaprdUrl>();
        assert_eq!(unix, Ok(DaprdUrl::Unix("/run/dapr.sock".into())));
        for wrong in [
            "127.0.0.1:3500",
            "https://127.0.0.1:3500",
            "http://127.0.0.1:3500/v1.0",
            "http://127.0.0.1:3500/?query",
            "http://127.0.0.1:3500/#fragment",
            "http://user@127.0.0.1:3500",
            "http://:secret@127.0.0.1:3500",
            "unix://relative",
            "http://",
        ] {
            let error = wrong.parse::<DaprdUrl>().expect_err(wrong);
            assert!(error.contains("http://127.0.0.1:3500"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_url_that_is_taken_is_a_place_and_shown_as_one(
            text in "(http|unix|https)?(:|:/|://|:///)?([a-z0-9.@:/?#\\[\\]%]{0,24}|.{0,24})",
        ) {
            match text.parse::<DaprdUrl>() {
                Ok(url) => {
                    proptest::prop_assert_eq!(url.to_string().parse::<DaprdUrl>(), Ok(url.clone()));
                    if let DaprdUrl::Http(shown) = url {
                        proptest::prop_assert!(!shown.contains(['@', '?', '#']), "{}", shown);
                    }
                }
                Err(error) => proptest::prop_assert!(error.starts_with("expected http://HOST:PORT"), "{}", error),
            }
        }
    }

    /// A daprd that wants a token, on a Unix socket.
    #[tokio::test]
    async fn its_token_is_sent_and_a_wrong_one_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dapr.sock");
        let listener = tokio::net::UnixListener::bind(&path).expect("bound");
        let answer = |headers: HeaderMap| async move {
            let known = headers
                .get(TOKEN_HEADER)
                .is_some_and(|token| token == "secret");
            let status = if known {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            };
            (
                status,
                r#"{"components":[{"name":"todo","type":"pubsub.rdkafka"}]}"#,
            )
        };
        let routes = Router::new().route("/v1.0/metadata", get(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let url = DaprdUrl::Unix(path);
        let components = |token| {
            let daprd = Daprd::new(&url, token).expect("a client");
            async move { daprd.components().await }
        };
        let listed = components(Some("secret")).await.expect("it answers");
        assert_eq!(listed[0].to_string(), "\"todo\" (pubsub.rdkafka)");
        for wrong in [None, Some("wrong")] {
            let error = components(wrong).await.expect_err("a wrong token");
            assert!(error.contains("set DAPR_API_TOKEN"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_redirect_does_not_take_the_token_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dapr.sock");
        let listener = tokio::net::UnixListener::bind(&path).expect("bound");
        let elsewhere = Arc::new(AtomicBool::new(false));
        let asked = elsewhere.clone();
        let to = || async { Redirect::temporary("/elsewhere") };
        let routes = Router::new().route("/v1.0/metadata", get(to)).route(
            "/elsewhere",
            get(move || async move { asked.store(true, Ordering::Relaxed) }),
        );
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let daprd = Daprd::new(&DaprdUrl::Unix(path), Some("secret")).expect("a client");
        let error = daprd.components().await.expect_err("a redirect");
        assert!(
            error.contains("307") && error.contains("not followed"),
            "{error}"
        );
        assert!(!elsewhere.load(Ordering::Relaxed), "the token went on");
    }

    #[test]
    fn a_token_that_is_no_header_is_refused_without_showing_it() {
        let url = DaprdUrl::Http("http://127.0.0.1:3500".into());
        let error = Daprd::new(&url, Some("sec\nret")).err().expect("refused");
        assert!(
            error.contains("DAPR_API_TOKEN") && !error.contains("sec"),
            "{error}"
        );
    }
}
