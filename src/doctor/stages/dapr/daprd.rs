//! daprd's metadata API.

use std::{collections::BTreeMap, error::Error as _, time::Instant};

use redact::Secret;
use reqwest::{
    Client, Response, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde::Deserialize;
use tokio::time::timeout_at;

use crate::{
    doctor::{Finding, Fix, rows::dapr as rows},
    model::topic::subscribed,
};

/// The header in which daprd wants its API token (dapr/dapr v1.16.5,
/// `pkg/security/consts`).
const TOKEN_HEADER: &str = "dapr-api-token";

/// As much as is read of an answer: a component or a subscription takes some 200 bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// What daprd tells about itself, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) runtime_version: String,
    pub(super) components: Vec<Listed>,
    pub(super) subscriptions: Vec<Subscription>,
}

/// A component that daprd has loaded.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
}

/// A subscription of the app.
#[derive(Debug, Deserialize)]
pub(super) struct Subscription {
    #[serde(rename = "pubsubname")]
    pub(super) component: String,
    pub(super) topic: String,
}

impl Listed {
    /// The version of this component, if it is this component.
    pub(super) fn version(&self) -> Option<&str> {
        let mut each = self.capabilities.iter();
        each.find_map(|capability| capability.strip_prefix("DAPR_RDKAFKA/"))
    }

    /// Whether it is the `pubsub.kafka` that daprd has built in.
    pub(super) fn is_built_in(&self) -> bool {
        self.version().is_none() && self.kind.eq_ignore_ascii_case("pubsub.kafka")
    }
}

impl Metadata {
    /// The topics that the app gets from a component, and over how many streams each.
    pub(super) fn streams(&self, component: &str) -> BTreeMap<&str, usize> {
        let mut streams = BTreeMap::new();
        let all = self.subscriptions.iter();
        for subscription in all.filter(|all| all.component == component) {
            let (topic, _) = subscribed(&subscription.topic);
            *streams.entry(topic).or_default() += 1;
        }
        streams
    }

    /// Whether it hands an app the messages of a stream one at a time: dapr/dapr#10470, in
    /// 1.16.0 and later, fixed in 1.17.14 and 1.18.4 by their release notes, and in no 1.16 (the
    /// notes of 1.16.20 do not have it). A label such as `-rc.1` counts for nothing. `None` if
    /// its version is none.
    pub(super) fn is_serial(&self) -> Option<bool> {
        let version = self.runtime_version.trim_start_matches('v');
        let version = version.split(['-', '+']).next()?;
        let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
        Some(match (major, minor) {
            (1, 16) => true,
            (1, 17) => patch < 14,
            (1, 18) => patch < 4,
            _ => false,
        })
    }
}

/// Asks; a finding if there is no answer, or another one. The response comes with it as
/// the evidence.
pub(super) async fn ask(
    port: u16,
    token: Option<&Secret<String>>,
    until: Instant,
) -> Result<(Metadata, Response), Box<Finding>> {
    let asked = timeout_at(until.into(), exchange(port, token)).await;
    asked.unwrap_or_else(|_| Err(silent(port, "it does not answer in time")))
}

async fn exchange(
    port: u16,
    token: Option<&Secret<String>>,
) -> Result<(Metadata, Response), Box<Finding>> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let Ok(mut value) = HeaderValue::from_str(token.expose_secret()) else {
            let why = "DAPR_API_TOKEN has characters that no HTTP header can have";
            return Err(no_token(why));
        };
        value.set_sensitive(true);
        headers.insert(TOKEN_HEADER, value);
    }
    // It is on this machine: no proxy is on the way.
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(headers)
        .build()
        .map_err(|error| not_daprd(port, &error.to_string()))?;
    let url = format!("http://127.0.0.1:{port}/v1.0/metadata");
    let mut response = client.get(url).send().await.map_err(|error| {
        let why = innermost(&error);
        if error.is_connect() {
            silent(port, &why)
        } else {
            not_daprd(port, &why)
        }
    })?;
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let why = if token.is_some() {
            "does not take the token in DAPR_API_TOKEN"
        } else {
            "wants a token, and DAPR_API_TOKEN is not set"
        };
        let cause = format!("daprd at port {port} answers {status}: it {why}");
        return Err(no_token(cause));
    }
    if !status.is_success() {
        return Err(not_daprd(port, &format!("it answers {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| not_daprd(port, &innermost(&error)))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(not_daprd(port, "its answer has no end"));
        }
    }
    match serde_json::from_slice::<Metadata>(&body) {
        Ok(metadata) if !metadata.runtime_version.is_empty() => Ok((metadata, response)),
        _ => Err(not_daprd(port, "its answer is not that of daprd")),
    }
}

fn silent(port: u16, why: &str) -> Box<Finding> {
    let fix = Fix::words(
        "start daprd, or give the HTTP port that it has; if it was started, its log says why it \
         ended or what it waits for",
    );
    let cause = format!("no daprd answers at 127.0.0.1:{port}: {why}");
    Box::new(Finding::new(&rows::SILENT, cause, fix))
}

fn not_daprd(port: u16, why: &str) -> Box<Finding> {
    let fix = Fix::words(
        "give daprd's HTTP port as --dapr-http-port (3500 unless daprd was told another); if it \
         is, allow `metadata` in `api.allowed` of daprd's Configuration",
    );
    let cause =
        format!("what listens at 127.0.0.1:{port} does not answer as daprd's HTTP API: {why}");
    Box::new(Finding::new(&rows::NOT_DAPRD, cause, fix))
}

fn no_token(cause: impl Into<String>) -> Box<Finding> {
    let fix =
        Fix::words("run the doctor with daprd's own token in the environment's DAPR_API_TOKEN");
    Box::new(Finding::new(&rows::TOKEN, cause, fix))
}

/// The cause of all: reqwest's own text leaves it out.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    super::shown(&text)
}
