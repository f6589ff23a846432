//! The Components of `components/connect`, one per way to connect: each means
//! something once its secrets are filled in.

use std::{collections::HashMap, fs, future::ready, path::Path};

use dapr_rdkafka::metadata;
use harness::{Authority, Identity, Result, root};
use openssl::rsa::Rsa;
use serde_norway::Value;

use crate::{ensure, support::Test};

/// The tests of this file; nothing in them waits.
pub const TESTS: &[Test] = &[Test {
    name: "samples::each_way_to_connect_has_a_sample_that_resolves",
    run: |_| Box::pin(ready(each_way_to_connect_has_a_sample_that_resolves())),
}];

fn each_way_to_connect_has_a_sample_that_resolves() -> Result<()> {
    let authority = Authority::new("A sample's authority")?;
    let client = authority.client("todo")?;
    let assertion = Rsa::generate(2048)?.private_key_to_pem()?;
    let assertion = String::from_utf8(assertion)?;
    let mut seen = Vec::new();
    for entry in fs::read_dir(root().join("components/connect"))? {
        let path = entry?.path();
        let properties = properties(&path, &authority, &client, &assertion)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let resolved = metadata::resolve(&properties)
            .map_err(|problems| format!("{}: {problems}", path.display()))?;
        let notes = resolved.notes;
        ensure!(notes.is_empty(), "{}: {notes:?}", path.display());
        seen.extend(properties.get("authType").cloned());
    }
    for auth_type in [
        "certificate",
        "mtls",
        "password",
        "oidc",
        "oidc_private_key_jwt",
        "awsiam",
    ] {
        let found = seen.iter().any(|there| there == auth_type);
        ensure!(found, "no sample has authType {auth_type}");
    }
    Ok(())
}

/// A Component's metadata, with something fitting for each secret.
fn properties(
    path: &Path,
    authority: &Authority,
    client: &Identity,
    assertion: &str,
) -> Result<HashMap<String, String>> {
    let yaml: Value = serde_norway::from_str(&fs::read_to_string(path)?)?;
    let items = yaml["spec"]["metadata"]
        .as_sequence()
        .ok_or("no metadata")?;
    let mut properties = HashMap::new();
    for item in items {
        let name = item["name"].as_str().ok_or("an item has no name")?;
        let value = match (item["value"].as_str(), item["secretKeyRef"]["key"].as_str()) {
            (Some(value), None) => value,
            (None, Some(_)) => match name {
                "caCert" => &authority.pem,
                "clientCert" | "oidcClientAssertionCert" => &client.certificate,
                "clientKey" => &client.key,
                "oidcClientAssertionKey" => assertion,
                _ => "a secret",
            },
            _ => return Err(format!("{name} has no value").into()),
        };
        let known = metadata::keys::find(name).ok_or(name)?;
        let open = known.0.secret && item["value"].as_str().is_some();
        ensure!(!open, "{name} must be a secretKeyRef");
        properties.insert(name.to_owned(), value.to_owned());
    }
    Ok(properties)
}
