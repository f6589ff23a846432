//! What can be said of certificates and keys without a broker: whether OpenSSL can
//! read them, whether their time is over, and whether key and certificate belong
//! together. None of their text is in a problem.

use std::cmp::Ordering;

use openssl::{
    asn1::Asn1Time,
    pkey::{PKey, Private},
    x509::{X509, X509Ref},
};

use super::ClientCertificate;
use crate::metadata::Problem;

/// What is wrong with `caCert`. Of several certificates one that is valid is enough:
/// bundles keep the old ones.
pub(super) fn authorities(pem: &str) -> Option<Problem> {
    match read("caCert", pem) {
        Err(problem) => Some(problem),
        Ok(all) if all.iter().all(|one| is_over(one)) => {
            all.last().map(|last| over("caCert", last))
        }
        Ok(_) => None,
    }
}

/// What is wrong with a `caCert` that nothing is verified against.
pub(super) fn unreadable(pem: &str) -> Option<Problem> {
    read("caCert", pem).err()
}

/// What is wrong with `clientCert` and `clientKey`.
pub(super) fn client(client: &ClientCertificate) -> Vec<Problem> {
    let certificate = read("clientCert", &client.certificate);
    let key = private_key("clientKey", client.key.expose_secret());
    let mut problems = Vec::new();
    if let (Ok(all), Ok(key)) = (&certificate, &key)
        && let Some(own) = all.first()
        && !own.public_key().is_ok_and(|public| public.public_eq(key))
    {
        let message = "it does not belong to clientCert, whose first certificate must be the \
                       client's own; give the key that this certificate was made for";
        problems.push(problem("clientKey", message.into()));
    }
    match certificate {
        Ok(all) => problems.extend(
            all.first()
                .filter(|own| is_over(own))
                .map(|own| over("clientCert", own)),
        ),
        Err(unreadable) => problems.push(unreadable),
    }
    problems.extend(key.err());
    problems
}

fn read(key: &'static str, pem: &str) -> Result<Vec<X509>, Problem> {
    let read = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
    if read.is_empty() {
        let message = "a certificate in it can't be read; it must be PEM, with its line breaks, \
                       as `openssl x509` prints it";
        Err(problem(key, message.into()))
    } else {
        Ok(read)
    }
}

/// The private key in a key's PEM, of any kind.
pub(super) fn private_key(name: &'static str, pem: &str) -> Result<PKey<Private>, Problem> {
    // No passphrase: without this OpenSSL would ask for one at the terminal.
    PKey::private_key_from_pem_callback(pem.as_bytes(), |_| Ok(0)).map_err(|_| {
        let message = if pem.contains("ENCRYPTED") {
            "it is encrypted, and there is no key for its passphrase; decrypt it with `openssl \
             pkey`"
        } else {
            "it can't be read; it must be PEM, with its line breaks, as `openssl pkey` prints it"
        };
        problem(name, message.into())
    })
}

fn is_over(certificate: &X509Ref) -> bool {
    let now = Asn1Time::days_from_now(0);
    now.is_ok_and(|now| certificate.not_after().compare(&now).ok() == Some(Ordering::Less))
}

fn over(key: &'static str, certificate: &X509Ref) -> Problem {
    let end = certificate.not_after();
    problem(key, format!("expired at {end}; a new one is needed"))
}

pub(super) fn problem(key: &'static str, message: String) -> Problem {
    Problem {
        key: key.into(),
        value: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use harness::Authority;
    use redact::Secret;

    use super::*;

    fn pair(certificate: &str, key: &str) -> ClientCertificate {
        ClientCertificate {
            certificate: certificate.into(),
            key: Secret::new(key.into()),
        }
    }

    fn told(problems: &[Problem]) -> String {
        let told: Vec<_> = problems
            .iter()
            .map(|one| format!("{}: {}", one.key, one.message))
            .collect();
        told.join("\n")
    }

    #[test]
    fn what_is_well_has_no_problem() {
        let authority = Authority::new("test").unwrap();
        let app = authority.client("app").unwrap();
        assert_eq!(authorities(&authority.pem), None);
        let problems = client(&pair(&app.certificate, &app.key));
        assert!(problems.is_empty(), "{}", told(&problems));
    }

    #[test]
    fn what_is_over_is_told_but_not_for_one_of_several_authorities() {
        let authority = Authority::new("test").unwrap();
        let old = authority.expired_client("app").unwrap();
        let problems = told(&client(&pair(&old.certificate, &old.key)));
        assert!(
            problems.contains("clientCert") && problems.contains("expired at Jan  1"),
            "{problems}"
        );
        let alone = authorities(&old.certificate).expect("a problem");
        assert!(alone.message.contains("expired"), "{}", alone.message);
        let both = format!("{}{}", old.certificate, authority.pem);
        assert_eq!(authorities(&both), None);
    }

    #[test]
    fn another_certificates_key_is_told() {
        let authority = Authority::new("test").unwrap();
        let (one, two) = (
            authority.client("one").unwrap(),
            authority.client("two").unwrap(),
        );
        let problems = told(&client(&pair(&one.certificate, &two.key)));
        assert!(
            problems.contains("does not belong to clientCert"),
            "{problems}"
        );
    }

    #[test]
    fn what_cant_be_read_is_told_without_its_text() {
        let certificate = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let problems = told(&client(&pair(certificate, key)));
        for part in ["clientCert", "clientKey"] {
            assert!(problems.contains(part), "{problems}");
        }
        assert!(!problems.contains("c2VjcmV0"), "{problems}");
        assert!(authorities(certificate).is_some());
        let locked = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let problems = told(&client(&pair(certificate, &locked)));
        assert!(problems.contains("is encrypted"), "{problems}");
    }
}
