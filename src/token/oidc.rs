//! Tokens by OAuth 2's client credentials (RFC 6749, section 4.4), with a secret or
//! with a signed assertion.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use redact::Secret;
use reqwest::{Url, header};

use super::{
    Failed, Kind, Token,
    answer::{self, Granted},
    assertion::Key,
    hidden::{Hidden, form_encoded},
    http,
};
use crate::metadata::security::{self, Oidc, Proof};

/// RFC 7523's name of a signed assertion.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What goes into a request's body.
type Form<'a> = Vec<(&'a str, &'a str)>;

/// Where a client's secret goes. Providers differ, and few take both: as in
/// golang.org/x/oauth2 both are tried, and what went well is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Basic authentication.
    Header,
    /// Among the other parameters.
    Body,
}

/// A client of a token endpoint.
pub struct Client {
    login: Oidc,
    url: Url,
    /// The endpoint as messages name it: without what may be secret.
    endpoint: String,
    http: reqwest::Client,
    /// What signs assertions, if that is the proof.
    key: Option<Key>,
    style: Mutex<Option<Style>>,
}

impl Client {
    /// # Errors
    /// When the endpoint, `caCert` or the assertion's key can't be read.
    pub(super) fn new(login: &Oidc) -> Result<Self, Failed> {
        let url = security::endpoint(&login.endpoint)?;
        let key = match &login.proof {
            Proof::Secret(_) => None,
            Proof::PrivateKeyJwt { key, kid, .. } => Some(Key::new(key, kid.as_deref())?),
        };
        // The built-in's client takes no proxy from the environment either.
        let http = http::client(login.ca.as_deref(), login.skip_verify)?.no_proxy();
        let http = http.build().map_err(|error| {
            let why = http::described(&error);
            Failed::setting(format!("no TLS for oidcTokenEndpoint: {why}; check caCert"))
        })?;
        Ok(Self {
            endpoint: shown(&url),
            url,
            http,
            key,
            style: Mutex::new(None),
            login: login.clone(),
        })
    }

    /// The endpoint, without what may be secret.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn note(&self) -> Option<String> {
        let warning = match &self.login.proof {
            Proof::Secret(_) => "the client's secret and its tokens can be read on the way",
            Proof::PrivateKeyJwt { .. } => "the client's tokens can be read on the way",
        };
        (self.url.scheme() == "http").then(|| {
            format!(
                "oidcTokenEndpoint {} is without TLS: {warning}",
                self.endpoint
            )
        })
    }

    /// A new token.
    pub(super) async fn fetch(&self) -> Result<Token, Failed> {
        let scopes = self.login.scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        let granted = match &self.login.proof {
            Proof::Secret(secret) => self.by_secret(form, secret).await,
            Proof::PrivateKeyJwt {
                audience, resource, ..
            } => {
                let optional = [("audience", audience), ("resource", resource)];
                for (name, value) in optional {
                    form.extend(value.as_ref().map(|value| (name, value.as_str())));
                }
                self.by_assertion(form, audience.as_deref()).await
            }
        };
        let Granted { value, lives } = granted?;
        Ok(Token {
            value,
            principal: self.login.client_id.clone(),
            expires: SystemTime::now() + lives,
            extensions: self.login.extensions.clone(),
        })
    }

    async fn by_secret(&self, form: Form<'_>, secret: &Secret<String>) -> Result<Granted, Failed> {
        let known = *self.style.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.unwrap_or(Style::Header);
        let mut style = first;
        let mut granted = self.ask(form.clone(), style, secret).await;
        // Who does not answer at all would not answer the other way either.
        if let Err(before) = &granted
            && known.is_none()
            && before.kind == Kind::Refused
        {
            style = Style::Body;
            granted = self.ask(form, style, secret).await.map_err(|now| {
                if now.text == before.text {
                    return now;
                }
                let text = format!("{now}; with the secret in the Authorization header: {before}");
                Failed::new(now.kind, text)
            });
        }
        if granted.is_ok() {
            *self.style.lock().unwrap_or_else(PoisonError::into_inner) = Some(style);
        }
        granted
    }

    async fn ask<'a>(
        &'a self,
        mut form: Form<'a>,
        style: Style,
        secret: &'a Secret<String>,
    ) -> Result<Granted, Failed> {
        let (id, secret) = (
            self.login.client_id.as_str(),
            secret.expose_secret().as_str(),
        );
        let mut basic = None;
        match style {
            Style::Header => {
                basic = Some([id, secret].map(form_encoded));
            }
            Style::Body => form.extend([("client_id", id), ("client_secret", secret)]),
        }
        let hidden = Hidden::client(id, secret);
        self.post(&form, basic, &hidden).await
    }

    async fn by_assertion<'a>(
        &'a self,
        mut form: Form<'a>,
        audience: Option<&str>,
    ) -> Result<Granted, Failed> {
        let id = self.login.client_id.as_str();
        let audience = audience.unwrap_or(&self.login.endpoint);
        let Some(key) = &self.key else {
            return Err(Failed::setting("there is no oidcClientAssertionKey"));
        };
        let assertion = key.assertion(id, audience)?;
        form.extend([
            ("client_id", id),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.expose_secret()),
        ]);
        let hidden = Hidden::new(assertion.expose_secret());
        self.post(&form, None, &hidden).await
    }

    async fn post(
        &self,
        form: &Form<'_>,
        basic: Option<[String; 2]>,
        hidden: &Hidden,
    ) -> Result<Granted, Failed> {
        let mut request = self.http.post(self.url.clone()).form(form);
        request = request.header(header::ACCEPT, "application/json");
        if let Some([id, secret]) = basic {
            request = request.basic_auth(id, Some(secret));
        }
        match request.send().await {
            Ok(response) => answer::read(&self.endpoint, hidden, response).await,
            Err(error) => Err(Failed::new(
                Kind::Unreachable,
                format!(
                    "no token from {}: {} (check oidcTokenEndpoint, and caCert if the provider's \
                     certificate is not from a public authority)",
                    self.endpoint,
                    http::described(&error)
                ),
            )),
        }
    }
}

/// A URL without user, password and query.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests;
