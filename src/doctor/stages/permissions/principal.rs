//! Who this client is to brokers, and the commands that allow it something.

use openssl::{nid::Nid, x509::X509};

use crate::{
    doctor::shell::quoted,
    metadata::security::{Login, Security},
};

/// Stands for the principal where only brokers know it.
const UNKNOWN: &str = "<principal>";

/// What RFC 2253 calls the parts of a name. Java writes all others by their numbers.
const PARTS: [(Nid, &str); 9] = [
    (Nid::COMMONNAME, "CN"),
    (Nid::LOCALITYNAME, "L"),
    (Nid::STATEORPROVINCENAME, "ST"),
    (Nid::ORGANIZATIONNAME, "O"),
    (Nid::ORGANIZATIONALUNITNAME, "OU"),
    (Nid::COUNTRYNAME, "C"),
    (Nid::STREETADDRESS, "STREET"),
    (Nid::DOMAINCOMPONENT, "DC"),
    (Nid::USERID, "UID"),
];

/// The command that allows this client what `on` says, such as
/// `--operation Read --topic orders`.
pub(in crate::doctor) fn allow(security: &Security, on: &str) -> String {
    let principal = quoted(&format!("User:{}", name(security)));
    format!("kafka-acls.sh --bootstrap-server <bootstrap> --add --allow-principal {principal} {on}")
}

/// The name after `User:`, as brokers have it unless they are told to change it.
fn name(security: &Security) -> String {
    match &security.login {
        Login::Password(user) => user.username.expose_secret().clone(),
        // What of a token names the principal is the broker's choice.
        Login::Oidc(_) | Login::Aws(_) => UNKNOWN.into(),
        Login::None => {
            let client = security.tls.as_ref().and_then(|tls| tls.client.as_ref());
            match client {
                Some(client) => subject(&client.certificate).unwrap_or_else(|| UNKNOWN.into()),
                None => "ANONYMOUS".into(),
            }
        }
    }
}

/// A certificate's subject as Java writes it (RFC 2253): the last part first.
fn subject(certificate: &str) -> Option<String> {
    let certificate = X509::from_pem(certificate.as_bytes()).ok()?;
    let parts = certificate.subject_name().entries().map(|entry| {
        let nid = entry.object().nid();
        let (_, name) = PARTS.iter().find(|(known, _)| *known == nid)?;
        let value = entry.data().to_string().ok()?;
        Some(format!("{name}={}", escaped(&value)))
    });
    let mut parts: Vec<_> = parts.collect::<Option<_>>()?;
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// A value in a name (RFC 2253, section 2.4).
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::new();
    for (at, character) in value.chars().enumerate() {
        let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (character == '#' && at == 0)
            || (character == ' ' && (at == 0 || at == last));
        if special {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use openssl::{
        asn1::Asn1Time,
        pkey::PKey,
        rsa::Rsa,
        x509::{X509Builder, X509NameBuilder},
    };

    use super::*;
    use crate::metadata::security::{ClientCertificate, Mechanism, Password, Tls};

    fn with(login: Login, certificate: Option<String>) -> String {
        let client = certificate.map(|certificate| ClientCertificate {
            certificate,
            key: String::new().into(),
        });
        let tls = client.map(|client| Tls {
            client: Some(client),
            ..Tls::default()
        });
        name(&Security { tls, login })
    }

    fn user(name: &str) -> Login {
        Login::Password(Password {
            mechanism: Mechanism::Plain,
            username: name.to_owned().into(),
            password: String::new().into(),
        })
    }

    #[test]
    fn the_principal_is_the_user_the_certificate_or_nobody() {
        assert_eq!(with(user("app"), None), "app");
        assert_eq!(with(Login::None, None), "ANONYMOUS");
        assert_eq!(with(Login::None, Some("no PEM".into())), "<principal>");
    }

    /// The subject of a certificate with these parts, as it comes out.
    fn of(parts: &[(Nid, &str)]) -> String {
        let mut name = X509NameBuilder::new().expect("a name");
        for (nid, value) in parts {
            name.append_entry_by_nid(*nid, value).expect("a part");
        }
        let mut certificate = X509Builder::new().expect("a certificate");
        certificate
            .set_subject_name(&name.build())
            .expect("a subject");
        let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        certificate.set_pubkey(&key).expect("a key");
        let day = |days| Asn1Time::days_from_now(days).expect("a day");
        certificate.set_not_before(&day(0)).expect("a time");
        certificate.set_not_after(&day(1)).expect("a time");
        certificate
            .sign(&key, openssl::hash::MessageDigest::sha256())
            .expect("a signature");
        let pem = certificate.build().to_pem().expect("it is whole");
        with(Login::None, String::from_utf8(pem).ok())
    }

    #[test]
    fn a_certificates_subject_is_written_as_java_does() {
        assert_eq!(
            of(&[
                (Nid::COUNTRYNAME, "DE"),
                (Nid::ORGANIZATIONNAME, "Todo, Inc."),
                (Nid::COMMONNAME, "app"),
            ]),
            r"CN=app,O=Todo\, Inc.,C=DE"
        );
        // Java writes that by its number; and nobody has no name.
        assert_eq!(of(&[(Nid::PKCS9_EMAILADDRESS, "a@b.c")]), "<principal>");
        assert_eq!(of(&[]), "<principal>");
    }

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        let security = Security {
            tls: None,
            login: user("it's $me"),
        };
        assert_eq!(
            allow(&security, "--operation Read --topic t"),
            r"kafka-acls.sh --bootstrap-server <bootstrap> --add --allow-principal 'User:it'\''s $me' --operation Read --topic t"
        );
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(escaped("a, b"), r"a\, b");
        assert_eq!(escaped(" #a "), r"\ #a\ ");
        assert_eq!(escaped("#a"), r"\#a");
    }
}
