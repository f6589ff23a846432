use redact::Secret;

use super::*;
use crate::metadata::security::{Mechanism, Password, Tls};

fn plain() -> Security {
    Security {
        tls: None,
        login: Login::None,
    }
}

fn tls() -> Security {
    Security {
        tls: Some(Tls::default()),
        login: Login::None,
    }
}

fn password() -> Security {
    let login = Login::Password(Password {
        mechanism: Mechanism::Plain,
        username: Secret::new("app".into()),
        password: Secret::new("secret".into()),
    });
    Security { tls: None, login }
}

#[test]
fn failures_get_their_words() {
    for (reason, begins) in [
        (
            "nope:9092/bootstrap: Failed to resolve 'nope:9092': Name or service not known (after 2ms in state CONNECT)",
            "DNS",
        ),
        (
            "a:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            "refused",
        ),
        (
            "a:1/bootstrap: Connection setup timed out in state APIVERSION_QUERY (after 3001ms in state APIVERSION_QUERY)",
            "timed out",
        ),
        (
            "a:1/bootstrap: Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol configuration",
            "closed by the peer",
        ),
    ] {
        assert!(words(reason, &plain()).starts_with(begins), "{reason}");
    }
    assert_eq!(words("something new", &plain()), "something new");
}

#[test]
fn a_timeout_says_how_far_the_connection_came() {
    for (state, expected) in [
        ("CONNECT", "timed out: there is no connection"),
        (
            "SSL_HANDSHAKE",
            "timed out: connected, but the TLS handshake",
        ),
        ("APIVERSION_QUERY", "timed out: connected to nothing"),
        (
            "AUTH_HANDSHAKE",
            "timed out: the broker answers, but not to the login",
        ),
        (
            "AUTH_REQ",
            "timed out: the broker answers, but not to the login",
        ),
    ] {
        let reason = format!(
            "a:1/bootstrap: Connection setup timed out in state {state} (after 3001ms in state {state})"
        );
        let said = words(&reason, &password());
        assert!(said.starts_with(expected), "{said}");
    }
    let by_the_system = "a:1/bootstrap: Connect to ipv4#192.0.2.1:1 failed: Connection timed out \
                         (after 2000ms in state CONNECT)";
    let said = words(by_the_system, &plain());
    assert!(
        said.starts_with("timed out: there is no connection"),
        "{said}"
    );
}

#[test]
fn what_lasts_weighs_most_and_a_missing_connection_least() {
    for (weighs, reason) in [
        (
            Weight::Unconnected,
            "Connect to ipv6#[::1]:1 failed: Connection refused (after 0ms in state CONNECT)",
        ),
        (
            Weight::Unconnected,
            "Connection setup timed out in state CONNECT (after 3001ms in state CONNECT)",
        ),
        (
            Weight::Connected,
            "Connection setup timed out in state APIVERSION_QUERY (after 3001ms in state APIVERSION_QUERY)",
        ),
        (
            Weight::Connected,
            "Disconnected: connection closed by peer (after 1ms in state UP)",
        ),
        (
            Weight::Lasting,
            "SSL handshake failed: ssl3_get_record:wrong version number: (after 1ms in state SSL_HANDSHAKE)",
        ),
        (
            Weight::Lasting,
            "Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
        ),
        (
            Weight::Lasting,
            "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116 (after 0ms in state APIVERSION_QUERY)",
        ),
        (
            Weight::Lasting,
            "SSL handshake failed: certificate verify failed (after 3ms in state SSL_HANDSHAKE)",
        ),
    ] {
        assert_eq!(weight(reason), weighs, "{reason}");
    }
}

#[test]
fn a_closed_connection_says_what_to_change() {
    let closed = "a:1/bootstrap: Disconnected: requesting ApiVersion";
    for (security, remedy) in [
        (plain(), "use authType certificate"),
        (password(), "remove `disableTls`"),
        (tls(), "as a listener without TLS does"),
    ] {
        let words = words(closed, &security);
        assert!(words.contains(remedy), "{words}");
    }
    let after = "a:1/bootstrap: Disconnected: connection closed by peer (after 1ms in state UP)";
    for (security, remedy) in [
        (plain(), "requires one does: use authType password"),
        (tls(), "requires one does: use authType password"),
        (password(), "the broker's log knows"),
    ] {
        let words = words(after, &security);
        assert!(words.contains(remedy), "{words}");
    }
}

#[test]
fn a_refused_login_says_what_is_offered() {
    let begin = "sasl_plaintext://a:1/bootstrap: ";
    for (said, expected) in [
        (
            "SASL authentication error: Authentication failed: Invalid username or password (after 3ms in state AUTH_REQ)",
            "login refused: Authentication failed: Invalid username or password: check `saslUsername` and `saslPassword`",
        ),
        (
            "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512,OAUTHBEARER (after 3ms in state AUTH_HANDSHAKE)",
            "login refused: the broker does not take PLAIN, it offers SCRAM-SHA-512,OAUTHBEARER: use saslMechanism SHA-512, or authType oidc or awsiam",
        ),
        (
            "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: GSSAPI (after 3ms in state AUTH_HANDSHAKE)",
            "login refused: the broker does not take PLAIN, it offers GSSAPI: this component has none of them",
        ),
        (
            "SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms:  (after 0ms in state AUTH_HANDSHAKE)",
            "no login here: the listener takes none; use authType none, certificate or mtls, or the broker's SASL port",
        ),
    ] {
        let reason = format!("{begin}{said}");
        assert_eq!(words(&reason, &password()), expected);
        assert_eq!(weight(&reason), Weight::Lasting, "{reason}");
    }
}

#[test]
fn a_refused_client_says_whether_it_had_a_certificate() {
    let alert = "ssl://a:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert \
                 bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)";
    let said = words(alert, &tls());
    assert!(said.contains("requires a client's certificate"), "{said}");
    let mut with = tls();
    let certificate = crate::metadata::security::ClientCertificate {
        certificate: String::new(),
        key: Secret::new(String::new()),
    };
    with.tls = Some(Tls {
        client: Some(certificate),
        ..Tls::default()
    });
    let said = words(alert, &with);
    assert!(said.contains("does not take this client's"), "{said}");
}

#[test]
fn a_failure_is_found_in_the_log() {
    let line = "[thrd:a:1/bootstrap]: a:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed";
    let told = "a:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed";
    assert_eq!(failure("FAIL", line), Some(told));
    assert_eq!(failure("CONFWARN", line), None);
    let follows = "[thrd:app]: 1/1 brokers are down";
    assert_eq!(failure("ERROR", follows), None);
}
