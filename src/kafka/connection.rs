//! What librdkafka says of a broker connection, in an operator's words, with what
//! to change. Its text is all there is to go by: it has one error code for most.

use crate::metadata::security::{Login, Security};

/// The failure of a broker connection in a line of librdkafka's log, without the
/// thread that found it: `[thrd:a:9092/bootstrap]: a:9092/bootstrap: Connect to …`.
pub(super) fn failure<'a>(facility: &str, line: &'a str) -> Option<&'a str> {
    let failed = ["FAIL", "ERROR"].contains(&facility) && !line.contains("brokers are down");
    let text = line.split_once("]: ").map_or(line, |(_, text)| text);
    failed.then_some(text)
}

/// Whether the broker's certificate is the matter.
pub(super) fn is_certificate(reason: &str) -> bool {
    reason.contains("certificate verify failed")
}

/// Whether trying again within seconds is of no use: the two disagree about TLS or
/// the login.
pub(super) fn is_lasting(reason: &str) -> bool {
    is_certificate(reason) || reason.contains("SASL auth") || reason.contains("mechanism handshake")
}

/// What happened, and what to change.
pub(super) fn words(reason: &str, security: &Security) -> String {
    if let Some(words) = login(reason, security) {
        return words;
    }
    if let Some((_, alert)) = reason.split_once("alert ") {
        return alert_words(until(alert, " ("), security);
    }
    let found = MARKS.iter().find(|(mark, _)| reason.contains(mark));
    match found {
        Some((_, CLOSED)) => format!("{CLOSED}{}", closed(reason, security)),
        Some((_, words)) => (*words).to_owned(),
        None => reason.to_owned(),
    }
}

const CLOSED: &str = "closed by the peer: it ended the connection ";

const MARKS: [(&str, &str); 9] = [
    (
        "Failed to resolve",
        "DNS: the name can't be resolved from here",
    ),
    (
        "Connection refused",
        "refused: nothing listens on that port",
    ),
    (
        "Network is unreachable",
        "unreachable: no route to that network",
    ),
    ("No route to host", "unreachable: no route to that host"),
    (
        "timed out",
        "timed out: connected to nothing that answers like a Kafka broker (a firewall, a wrong address, or a service that waits for something else)",
    ),
    ("Disconnected", CLOSED),
    ("ApiVersionRequest failed", CLOSED),
    ("reset by peer", CLOSED),
    (
        "wrong version number",
        "no TLS: what listens there answers in plaintext; use the broker's TLS port, or authType none or `disableTls: \"true\"`",
    ),
];

/// Who closes a connection when, and what helps. What librdkafka calls UP comes
/// after the first request, by which versions are agreed on, and the login.
fn closed(reason: &str, Security { tls, login }: &Security) -> &'static str {
    let agreed = reason.contains("in state UP");
    match (tls, login) {
        (_, Login::None) if agreed => {
            "at the first request that a login must come before, as a listener that requires one \
             does: use authType password, oidc or awsiam"
        }
        _ if agreed || reason.contains("in state AUTH") => {
            "during the login or right after it: the broker's log knows why"
        }
        (Some(_), _) => {
            "during the TLS handshake or at the first request, as a listener without TLS does: use \
             the broker's TLS port, or authType none or `disableTls: \"true\"`"
        }
        (None, Login::None) => {
            "as soon as Kafka's protocol was spoken, as a TLS listener does: with authType none \
             there is no TLS; use authType certificate or mtls"
        }
        (None, _) => {
            "as soon as Kafka's protocol was spoken, as a TLS listener does: remove `disableTls`"
        }
    }
}

/// What a TLS alert of the broker means: it objects to the client's certificate, or
/// has no version or cipher in common with us.
fn alert_words(alert: &str, security: &Security) -> String {
    let client = security
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client.is_some());
    let about = ["certificate", "unknown ca", "access denied"];
    let remedy = match (about.iter().any(|word| alert.contains(word)), client) {
        (true, false) => {
            "the listener requires a client's certificate: use authType mtls with clientCert and \
             clientKey"
        }
        (true, true) => {
            "it does not take this client's certificate: clientCert must be signed by an \
             authority that the broker trusts, and be valid"
        }
        (false, _) => "see the broker's log",
    };
    format!("TLS refused by the broker ({alert}): {remedy}")
}

/// What a broker says to a login.
fn login(reason: &str, security: &Security) -> Option<String> {
    if let Some((before, offered)) = reason.split_once("broker's supported mechanisms: ") {
        let (_, asked) = before.split_once("SASL ")?;
        let (asked, offered) = (until(asked, " "), until(offered, " (").trim());
        return Some(if offered.is_empty() {
            "no login here: the listener takes none; use authType none, certificate or mtls, or \
             the broker's SASL port"
                .into()
        } else {
            format!(
                "login refused: the broker does not take {asked}, it offers {offered}: {}",
                remedy(offered)
            )
        });
    }
    let (_, said) = reason.split_once("SASL authentication error: ")?;
    let check = match &security.login {
        Login::None | Login::Password(_) => "check `saslUsername` and `saslPassword`",
        Login::Oidc(_) => {
            "the broker does not take the token: check `oidcScopes` and whom it trusts"
        }
        Login::Aws(_) => {
            "the broker does not take the token: check the AWS identity and its rights"
        }
    };
    Some(format!(
        "login refused: {}: {check}",
        until(said, " (after")
    ))
}

/// The keys for what a broker offers.
fn remedy(offered: &str) -> String {
    let keys = [
        ("PLAIN", "saslMechanism PLAINTEXT"),
        ("SCRAM-SHA-256", "saslMechanism SHA-256"),
        ("SCRAM-SHA-512", "saslMechanism SHA-512"),
        ("OAUTHBEARER", "authType oidc or awsiam"),
    ];
    let offered: Vec<_> = offered.split(',').map(str::trim).collect();
    let usable: Vec<_> = keys
        .iter()
        .filter(|(mechanism, _)| offered.contains(mechanism))
        .map(|(_, key)| *key)
        .collect();
    if usable.is_empty() {
        "this component has none of them".to_owned()
    } else {
        format!("use {}", usable.join(", or "))
    }
}

fn until<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or(text, |(before, _)| before)
}

#[cfg(test)]
mod tests;
