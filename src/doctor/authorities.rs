//! Where the system keeps the certificates of the authorities that it trusts.

use std::{env, path::Path};

/// The file or folder to read them from: what `SSL_CERT_FILE` or `SSL_CERT_DIR` says,
/// as for OpenSSL and Go, or where Linux distributions have them. The OpenSSL that
/// is built in knows none of these places.
pub fn system() -> Result<String, String> {
    if let Some(told) = told(|name| env::var(name).ok()) {
        return told;
    }
    let found = openssl_probe::probe();
    let first = found.cert_file.or(found.cert_dir.into_iter().next());
    first
        .and_then(|path| path.into_os_string().into_string().ok())
        .ok_or_else(|| {
            "this system has no certificate authorities: give the brokers' one as `caCert`, \
                 install ca-certificates, or set SSL_CERT_FILE to a file with them"
                .into()
        })
}

/// What the environment says, if it says anything.
fn told(variable: impl Fn(&str) -> Option<String>) -> Option<Result<String, String>> {
    let set = |name| Some((name, variable(name).filter(|path| !path.is_empty())?));
    let (name, path) = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(set)?;
    if Path::new(&path).exists() {
        return Some(Ok(path));
    }
    let cause = format!("the environment's {name} is {path}, which is not there");
    Some(Err(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_first_and_must_be_right() {
        let with = |pairs: &'static [(&str, &str)]| {
            told(|name| {
                let found = pairs.iter().find(|(there, _)| *there == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("SSL_CERT_FILE", "")]), None);
        assert_eq!(with(&[("SSL_CERT_DIR", "/")]), Some(Ok("/".into())));
        let both = with(&[("SSL_CERT_DIR", "/tmp"), ("SSL_CERT_FILE", "/")]);
        assert_eq!(both, Some(Ok("/".into())));
        let wrong = with(&[("SSL_CERT_FILE", "/no/such/file")]);
        let text = wrong.and_then(Result::err);
        let expected = "the environment's SSL_CERT_FILE is /no/such/file, which is not there";
        assert_eq!(text.as_deref(), Some(expected));
    }
}
