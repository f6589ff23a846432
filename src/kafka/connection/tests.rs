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
        assert!(is_lasting(&reason), "{reason}");
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
