//! The AWS SDK's HTTP requests, sent by the client that this process has anyway: the
//! SDK's own would bring a second TLS.

use std::time::Duration;

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector, http_client_fn,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;

use crate::token::{Failed, http};

/// How long a connection may take: on a machine that is none of AWS's nobody answers
/// at the metadata service's address.
const CONNECT: Duration = Duration::from_secs(2);

/// # Errors
/// When OpenSSL can't be set up.
pub(super) fn client() -> Result<SharedHttpClient, Failed> {
    let http = http::client(None, false)?.connect_timeout(CONNECT).build();
    let http = http.map_err(|error| {
        let why = http::described(&error);
        Failed::setting(format!(
            "no TLS for AWS: {why}; check this machine's certificates"
        ))
    })?;
    Ok(http_client_fn(
        move |settings: &HttpConnectorSettings, _| {
            SharedHttpConnector::new(Connector {
                http: http.clone(),
                patience: settings.read_timeout(),
            })
        },
    ))
}

#[derive(Debug)]
struct Connector {
    http: reqwest::Client,
    patience: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, patience) = (self.http.clone(), self.patience);
        HttpConnectorFuture::new(async move {
            let user = |error: String| ConnectorError::user(error.into());
            let request = request.try_into_http1x();
            let request = request.map_err(|error| user(error.to_string()))?;
            // The SDK's requests for credentials are whole in memory.
            let request = request.map(|body| body.bytes().unwrap_or_default().to_vec());
            let mut request = reqwest::Request::try_from(request)
                .map_err(|error| user(http::described(&error)))?;
            if let Some(patience) = patience {
                *request.timeout_mut() = Some(CONNECT + patience);
            }
            let response = http
                .execute(request)
                .await
                .map_err(|error| failed(&error))?;
            let status = StatusCode::try_from(response.status().as_u16());
            let status = status.map_err(|error| user(error.to_string()))?;
            let headers = response.headers().clone();
            let body = response.bytes().await.map_err(|error| failed(&error))?;
            let mut answer = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in &headers {
                if let Ok(value) = value.to_str() {
                    let name = name.as_str().to_owned();
                    answer.headers_mut().append(name, value.to_owned());
                }
            }
            Ok(answer)
        })
    }
}

fn failed(error: &reqwest::Error) -> ConnectorError {
    let (is_timeout, text) = (error.is_timeout(), http::described(error));
    if is_timeout {
        ConnectorError::timeout(text.into())
    } else {
        ConnectorError::io(text.into())
    }
}
