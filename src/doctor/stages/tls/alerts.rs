//! Alerts that a broker sends after it has shown its certificate.

use super::{CERTIFICATE, KEY, words::failed};
use crate::{
    doctor::{Finding, Fix, Row, rows::tls},
    metadata::security::Tls,
};

/// Alerts about certificates; 40 is what older servers say of a missing one, and 42 to 46,
/// 48, 49 and 51 are what they say of one that they don't like.
const CERTIFICATES: [i32; 11] = [40, 41, 42, 43, 44, 45, 46, 48, 49, 51, 116];

/// Whether an alert that comes after the broker has shown its certificate is about the
/// client's.
pub(in crate::doctor::stages) fn is_about_certificate(alert: i32) -> bool {
    CERTIFICATES.contains(&alert)
}

/// What an alert says that came after the handshake.
pub(in crate::doctor::stages) fn alerted(settings: &Tls, alert: i32) -> Finding {
    if is_about_certificate(alert) {
        refused_certificate(settings, alert)
    } else {
        failed(&format!(
            "the broker ended it by the alert {}",
            alert_name(alert)
        ))
    }
}

/// The broker's alert about the client's certificate: it wants one, or another.
fn refused_certificate(settings: &Tls, alert: i32) -> Finding {
    let alert = alert_name(alert);
    let set = |words: &str| {
        let fix = Fix::words(words);
        let fix = if settings.client.is_none() {
            fix.set("authType", "mtls")
        } else {
            fix
        };
        fix.set("clientCert", CERTIFICATE).set("clientKey", KEY)
    };
    let (row, cause, fix): (&'static Row, _, _) = if settings.client.is_some() {
        let cause = format!("the broker refused the client's certificate: alert {alert}");
        let words = "give a certificate that is valid and that an authority in the broker's \
                     trust store has signed, and its key";
        (&tls::CLIENT_REFUSED, cause, set(words))
    } else {
        let cause = format!(
            "the broker ended the connection by the alert {alert}: it wants a client's \
             certificate, and these settings have none"
        );
        (
            &tls::CLIENT_REQUIRED,
            cause,
            set("give a client's certificate and its key"),
        )
    };
    Finding::new(row, cause, fix)
}

/// An alert as RFC 8446 and RFC 5246 call it.
fn alert_name(alert: i32) -> String {
    let name = match alert {
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        116 => "certificate_required",
        other => return other.to_string(),
    };
    format!("{name} ({alert})")
}
