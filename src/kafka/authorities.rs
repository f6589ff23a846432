//! Where the system keeps the certificates of the authorities that it trusts.

use std::{env, path::PathBuf};

use super::Cause;

/// The file or folder to read them from: what `SSL_CERT_FILE` or `SSL_CERT_DIR` says,
/// as for OpenSSL and Go, or where Linux distributions have them. The OpenSSL that
/// is built in knows none of these places.
pub(super) fn system() -> Result<String, Cause> {
    let told = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(|name| Some((name, env::var(name).ok().filter(|path| !path.is_empty())?)));
    if let Some((name, path)) = told {
        return if PathBuf::from(&path).exists() {
            Ok(path)
        } else {
            Err(Cause::other(format!(
                "{name} is {path}, which is not there"
            )))
        };
    }
    let found = openssl_probe::probe();
    let first = found.cert_file.or(found.cert_dir.into_iter().next());
    first
        .and_then(|path| path.into_os_string().into_string().ok())
        .ok_or_else(|| {
            Cause::other(
                "this system has no certificate authorities: give the brokers' one as `caCert`, \
                 install ca-certificates, or set SSL_CERT_FILE to a file with them",
            )
        })
}
