//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2).
//!
//! What is taken is what the built-in's client takes (golang.org/x/oauth2 v0.30.0,
//! `internal/token.go`): JSON, or a query string as some old endpoints write it.

use std::time::Duration;

use redact::Secret;
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::{Failed, Kind, hidden::Hidden, http};

/// How much of an answer is read, in bytes: as x/oauth2 does.
const LARGEST: usize = 1 << 20;

/// How much is told of a text that the endpoint chose, in characters.
const TOLD: usize = 300;

/// How long a token counts as valid when the endpoint does not say: short, since
/// asking too often does no harm. (The built-in keeps such a token for ever, or, with
/// a signed assertion, for one connection.)
pub(super) const UNTOLD: Duration = Duration::from_secs(300);

/// A token as the endpoint gave it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) value: Secret<String>,
    pub(super) lives: Duration,
}

/// The members of an answer.
type Members = Map<String, Value>;

/// Reads an answer to the end. Its errors don't show what is hidden, which an endpoint
/// may well repeat.
pub(super) async fn read(
    endpoint: &str,
    hidden: &Hidden,
    mut response: Response,
) -> Result<Granted, Failed> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() < LARGEST => body.extend_from_slice(&chunk),
            Ok(_) => break,
            Err(error) => {
                let text = format!(
                    "{endpoint} answered {status} and broke off: {}",
                    http::described(&error)
                );
                return Err(Failed::new(Kind::Unreachable, text));
            }
        }
    }
    judge(endpoint, hidden, status, &kind, &body)
}

fn judge(
    endpoint: &str,
    hidden: &Hidden,
    status: StatusCode,
    kind: &str,
    body: &[u8],
) -> Result<Granted, Failed> {
    let members = match kind {
        "application/x-www-form-urlencoded" | "text/plain" => Some(pairs(body)),
        _ => serde_json::from_slice::<Members>(body).ok(),
    };
    let Some(members) = members else {
        if !status.is_success() {
            return Err(refused(endpoint, status, None, None));
        }
        let what = if kind.is_empty() { "no type" } else { kind };
        let text = format!(
            "{endpoint} answered {status} with what is no token ({}, {} bytes); check that \
             oidcTokenEndpoint is the token endpoint itself (the provider's \
             .well-known/openid-configuration names it as token_endpoint)",
            told(&hidden.mask(what)),
            body.len()
        );
        return Err(Failed::new(Kind::Unreachable, text));
    };
    let masked = |name| text_of(&members, name).map(|text| hidden.mask(text));
    let error = masked("error");
    // Some servers answer 200 with an error.
    if !status.is_success() || error.is_some() {
        let description = masked("error_description");
        return Err(refused(
            endpoint,
            status,
            error.as_deref(),
            description.as_deref(),
        ));
    }
    let Some(value) = text_of(&members, "access_token") else {
        let text = format!(
            "{endpoint} answered {status} without an access_token; check that oidcTokenEndpoint is \
             the token endpoint, and that the client may use the grant client_credentials"
        );
        return Err(Failed::new(Kind::Unreachable, text));
    };
    // librdkafka would refuse it with an error that shows it.
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let text = format!(
            "{endpoint} gave an access_token with characters that no token may have (RFC 6750)"
        );
        return Err(Failed::new(Kind::Unreachable, text));
    }
    let lives = lives(members.get("expires_in")).ok_or_else(|| {
        let text = format!("{endpoint} gave a token that has expired already (its expires_in)");
        Failed::new(Kind::Unreachable, text)
    })?;
    let value = Secret::new(value.to_owned());
    Ok(Granted { value, lives })
}

/// How long a token lives; `None` if it has ended. Most endpoints write a number,
/// some a text.
fn lives(expires_in: Option<&Value>) -> Option<Duration> {
    let seconds = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    match seconds {
        // Zero means the same as nothing, as in x/oauth2.
        None | Some(0.0) => Some(UNTOLD),
        Some(seconds) if seconds > 0.0 => {
            // x/oauth2 has the same upper bound; less than a second would be a busy loop.
            Some(Duration::from_secs_f64(
                seconds.clamp(1.0, f64::from(i32::MAX)),
            ))
        }
        Some(_) => None,
    }
}

/// The endpoint said no, with what it says of why and the remedy that goes with it.
fn refused(
    endpoint: &str,
    status: StatusCode,
    error: Option<&str>,
    description: Option<&str>,
) -> Failed {
    let remedy = match (error, status.as_u16()) {
        (Some("invalid_scope"), _) => "check oidcScopes",
        (Some("unauthorized_client" | "unsupported_grant_type"), _) => {
            "allow the grant client_credentials for this client at the provider"
        }
        (Some("invalid_client"), _) | (None, 401 | 403) => {
            "check oidcClientID, and oidcClientSecret or oidcClientAssertionKey with oidcKid and oidcAudience"
        }
        (None, 404 | 405 | 300..=399) => {
            "check that oidcTokenEndpoint is the token endpoint itself"
        }
        (_, 500..) => "the provider has trouble of its own",
        _ => "check oidcClientID, oidcClientSecret and oidcScopes against the provider's client",
    };
    let kind = if status.is_server_error() {
        Kind::Unreachable
    } else {
        Kind::Refused
    };
    let mut text = format!("{endpoint} answered {status}");
    for part in [error, description].into_iter().flatten() {
        text = format!("{text}: {}", told(part));
    }
    Failed::new(kind, format!("{text} ({remedy})"))
}

/// A text that the endpoint chose, as it may stand in a line of a log.
fn told(text: &str) -> String {
    let shown = text.chars().take(TOLD);
    shown
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A member that is a text.
fn text_of<'a>(members: &'a Members, name: &str) -> Option<&'a str> {
    let text = members.get(name)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// An answer as a query string.
fn pairs(body: &[u8]) -> Members {
    let pairs = url::form_urlencoded::parse(body).into_owned();
    pairs.map(|(name, value)| (name, value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";

    fn ask(status: u16, kind: &str, body: &str) -> Result<Granted, Failed> {
        let status = StatusCode::from_u16(status).expect("a status");
        judge(
            "https://idp.test/token",
            &Hidden::default(),
            status,
            kind,
            body.as_bytes(),
        )
    }

    #[test]
    fn a_token_is_read_from_json_and_from_a_query_string() {
        let lives = |granted: Result<Granted, Failed>| {
            let granted = granted.expect("a token");
            assert_eq!(granted.value.expose_secret(), "abc.d");
            granted.lives.as_secs()
        };
        let json = |expires: &str| {
            ask(
                200,
                JSON,
                &format!("{{\"access_token\":\"abc.d\"{expires}}}"),
            )
        };
        assert_eq!(lives(json(",\"expires_in\":60")), 60);
        assert_eq!(lives(json(",\"expires_in\":\"61\"")), 61);
        assert_eq!(lives(json("")), UNTOLD.as_secs());
        assert_eq!(lives(json(",\"expires_in\":0")), UNTOLD.as_secs());
        assert_eq!(lives(json(",\"expires_in\":1e300")), 2_147_483_647);
        let pairs = "access_token=abc%2Ed&expires_in=62";
        assert_eq!(lives(ask(201, "text/plain", pairs)), 62);
        let form = "application/x-www-form-urlencoded";
        assert_eq!(lives(ask(200, form, pairs)), 62);
    }

    #[test]
    fn what_is_no_token_is_told_with_a_remedy_and_without_the_body() {
        let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        for (status, kind, body, parts) in [
            (
                200,
                "text/html",
                "<html>hunter2</html>",
                &["200 OK", "text/html", "oidcTokenEndpoint"][..],
            ),
            (200, JSON, "[]", &["what is no token"]),
            (200, JSON, &nested, &["what is no token"]),
            (
                200,
                JSON,
                "{\"token\":\"hunter2\"}",
                &["without an access_token"],
            ),
            (
                200,
                JSON,
                "{\"access_token\":[\"hunter2\"]}",
                &["without an access_token"],
            ),
            (
                200,
                JSON,
                "{\"access_token\":\"hunter2\\n\"}",
                &["characters"],
            ),
            (
                200,
                JSON,
                "{\"access_token\":\"hunter2\",\"expires_in\":-1}",
                &["expired already"],
            ),
            (
                200,
                JSON,
                "{\"error\":\"slow_down\"}",
                &["200 OK: slow_down"],
            ),
            (
                401,
                JSON,
                "{\"error\":\"invalid_client\",\"error_description\":\"bad\\u0007 secret\",\"x\":\"hunter2\"}",
                &[
                    "401 Unauthorized: invalid_client: bad  secret",
                    "oidcClientSecret",
                ],
            ),
            (400, JSON, "{\"error\":\"invalid_scope\"}", &["oidcScopes"]),
            (
                401,
                "text/html",
                "<html>hunter2",
                &["401 Unauthorized", "oidcClientID"],
            ),
            (404, "", "hunter2", &["404 Not Found", "oidcTokenEndpoint"]),
            (503, "", "hunter2", &["503 Service Unavailable", "trouble"]),
        ] {
            let failed = ask(status, kind, body).unwrap_err().to_string();
            assert!(failed.starts_with("https://idp.test/token "), "{failed}");
            assert!(!failed.contains("hunter2"), "{failed}");
            for part in parts {
                assert!(failed.contains(part), "{part:?} is not in: {failed}");
            }
        }
    }

    #[test]
    fn a_long_description_is_cut() {
        let body = format!(
            "{{\"error\":\"e\",\"error_description\":\"{}\"}}",
            "ä".repeat(5000)
        );
        let failed = ask(400, JSON, &body).unwrap_err().to_string();
        assert!(failed.chars().count() < 600, "{}", failed.len());
    }

    proptest::proptest! {
        /// An endpoint is another's: whatever it answers is a token or an error of one
        /// line, which does not show what it was sent.
        #[test]
        fn any_answer_is_a_token_or_an_error_that_hides_the_secret(
            status in 200_u16..600,
            kind in "(application/json|text/plain|application/x-www-form-urlencoded|.{0,9})",
            body in "([{\"]|access_token|expires_in|error|_description|hunter2|[:=&,\"{}1-9e. ]|\\PC){0,40}",
            member in "(access_token|error|error_description|expires_in)",
            value in "(hunter2|\\PC|[0-9e.-]){0,12}",
        ) {
            let json = serde_json::json!({ "access_token": "t", member: value }).to_string();
            let hidden = Hidden::new("hunter2");
            let status = StatusCode::from_u16(status).expect("it is one");
            for body in [body.as_bytes(), json.as_bytes()] {
                match judge("https://idp.test/token", &hidden, status, &kind, body) {
                    Ok(granted) => proptest::prop_assert!(granted.lives >= Duration::from_secs(1)),
                    Err(failed) => {
                        proptest::prop_assert!(!failed.text.contains("hunter2"), "{}", failed.text);
                        proptest::prop_assert!(!failed.text.contains('\n'), "{}", failed.text);
                    }
                }
            }
        }
    }
}
