//! Asks an app for its subscriptions, as daprd does.

use std::{fmt, str::FromStr, time::Duration};

use reqwest::{
    Client, StatusCode, Url,
    header::{HeaderMap, HeaderValue},
    redirect::Policy,
};

use super::{Subscription, answer};
use crate::dapr::innermost;

/// Where daprd asks an app.
const PATH: &str = "/dapr/subscribe";

/// How long the app may take for its whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of an answer, in bytes. A subscription takes some 200 bytes, and a
/// component serves 896.
const LARGEST: usize = 1024 * 1024;

/// The header in which daprd sends the app's API token (dapr/dapr v1.18.3,
/// `pkg/channel/http/http_channel.go`).
const TOKEN_HEADER: &str = "dapr-api-token";

/// Where an app tells its subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppUrl(Url);

impl FromStr for AppUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected the app's address, such as http://localhost:8080 or \
                        http://localhost:8080/dapr/subscribe";
        let mut url = Url::parse(text).map_err(|_| expected.to_owned())?;
        let is_http = ["http", "https"].contains(&url.scheme()) && url.host().is_some();
        // The URL is shown, so it may hold no password.
        let is_open = url.username().is_empty() && url.password().is_none();
        if !is_http || !is_open || url.fragment().is_some() {
            return Err(expected.into());
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for AppUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The subscriptions that the app answers with. `token` is the app's API token, if it wants
/// one.
///
/// # Errors
/// When the app does not answer with a list of subscriptions: with the URL and the reason.
pub(super) async fn subscriptions(
    url: &AppUrl,
    token: Option<&str>,
) -> Result<Vec<Subscription>, String> {
    let body = body(url, token).await;
    let read = body.and_then(|body| {
        answer::subscriptions(&body)
            .map_err(|problem| format!("does not answer with a list of subscriptions: {problem}"))
    });
    read.map_err(|problem| format!("{url} {problem}"))
}

async fn body(AppUrl(url): &AppUrl, token: Option<&str>) -> Result<Vec<u8>, String> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token).map_err(
            |_| "is not asked: APP_API_TOKEN has characters that no HTTP header can have",
        )?;
        value.set_sensitive(true);
        headers.insert(TOKEN_HEADER, value);
    }
    // It is the app itself: as for daprd, no proxy is on the way, and no redirect is followed.
    let client = Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .redirect(Policy::none())
        .default_headers(headers)
        .build();
    let client = client.map_err(|error| format!("can't be asked: {}", innermost(&error)))?;
    let silent = |error: reqwest::Error| {
        format!(
            "does not answer: {}. Is it the app's own port, not daprd's?",
            innermost(&error)
        )
    };
    let mut response = client.get(url.clone()).send().await.map_err(silent)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(refused(status));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(silent)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(format!(
                "answers with more than {LARGEST} bytes, which is no list of subscriptions"
            ));
        }
    }
    Ok(body)
}

/// What an answer without subscriptions means.
fn refused(status: StatusCode) -> String {
    let meaning = match status {
        StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => {
            "the app has no programmatic subscriptions. For lanes beside declarative ones, give \
             --pubsub, --topic and --route instead of --from"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "set APP_API_TOKEN to the token that the app expects from daprd"
        }
        status if status.is_redirection() => "daprd follows no redirect; give the address itself",
        _ => "expected 200 OK",
    };
    format!("answers {status}: {meaning}")
}

#[cfg(test)]
mod tests;
