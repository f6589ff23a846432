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

/// How much a failure says of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// There was no connection; there may be one to another address of the name.
    Unconnected,
    /// Somebody was there.
    Connected,
    /// Trying again within seconds is of no use: the two disagree about TLS or the
    /// login.
    Lasting,
}

/// How much this failure says.
pub(super) fn weight(reason: &str) -> Weight {
    let is_any = |marks: &[&str]| marks.iter().any(|mark| reason.contains(mark));
    if is_certificate(reason) || is_any(&LASTING) {
        Weight::Lasting
    } else if is_any(&UNCONNECTED) {
        Weight::Unconnected
    } else {
        Weight::Connected
    }
}

const LASTING: [&str; 4] = ["SASL auth", "mechanism handshake", ALERT, WRONG_VERSION];

const UNCONNECTED: [&str; 3] = [
    "Failed to resolve",
    "in state CONNECT",
    "in state TRY_CONNECT",
];

/// What happened, and what to change.
pub(super) fn words(reason: &str, security: &Security) -> String {
    if let Some(words) = login(reason, security) {
        return words;
    }
    if let Some((_, alert)) = reason.split_once(ALERT) {
        return alert_words(until(alert, " ("), security);
    }
    let found = MARKS.iter().find(|(mark, _)| reason.contains(mark));
    match found {
        Some((_, CLOSED)) => format!("{CLOSED}{}", closed(reason, security)),
        Some((_, TIMED_OUT)) => format!("{TIMED_OUT}{}", timed_out(reason)),
        Some((_, words)) => (*words).to_owned(),
        None => reason.to_owned(),
    }
}

const CLOSED: &str = "closed by the peer: it ended the connection ";

const TIMED_OUT: &str = "timed out: ";

/// How a TLS alert of the peer begins, whatever the version of TLS before it.
const ALERT: &str = "alert ";

/// What OpenSSL says when the answer to its handshake is none.
const WRONG_VERSION: &str = "wrong version number";

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
    ("timed out", TIMED_OUT),
    ("Disconnected", CLOSED),
    ("ApiVersionRequest failed", CLOSED),
    ("reset by peer", CLOSED),
    (
        WRONG_VERSION,
        "no TLS: what listens there answers in plaintext; use the broker's TLS port, or authType none or `disableTls: \"true\"`",
    ),
];

/// How far a connection came before nothing more happened, and what may help.
fn timed_out(reason: &str) -> &'static str {
    let is_in = |state: &str| reason.contains(&format!("in state {state}"));
    if is_in("CONNECT") || is_in("TRY_CONNECT") {
        "there is no connection (a firewall, or a wrong address)"
    } else if is_in("SSL_HANDSHAKE") {
        "connected, but the TLS handshake gets no answer (a service without TLS, or a broker that \
         is too busy)"
    } else if is_in("AUTH") {
        "the broker answers, but not to the login: its log knows why (what it asks for users or \
         tokens may hang)"
    } else if is_in("UP") {
        "the broker answered, and then no more: its log knows why"
    } else {
        "connected to nothing that answers like a Kafka broker (a wrong address, or a service \
         that waits for something else)"
    }
}

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
