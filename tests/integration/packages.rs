//! Holds the dependencies to deny.toml, as far as that takes no network: a licence or a
//! source that is not allowed fails here, not when someone thinks of `make audit`.

use std::{collections::BTreeSet, fs, future::ready, process::Command};

use harness::{Result, root};
use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::{ensure, support::Test};

/// The tests of this file; nothing in them waits.
pub const TESTS: &[Test] = &[
    Test {
        name: "packages::licences_and_sources_are_allowed",
        run: |_| Box::pin(ready(licences_and_sources_are_allowed())),
    },
    Test {
        name: "packages::a_wrong_licence_or_source_is_named",
        run: |_| Box::pin(ready(a_wrong_licence_or_source_is_named())),
    },
];

/// The public registry, as cargo names it whatever mirror serves it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None for the workspace's own.
    source: Option<String>,
}

/// What deny.toml allows.
struct Allowed(BTreeSet<String>);

impl Allowed {
    fn read() -> Result<Self> {
        #[derive(Deserialize)]
        struct Deny {
            licenses: Licenses,
        }
        #[derive(Deserialize)]
        struct Licenses {
            allow: BTreeSet<String>,
        }
        let deny: Deny = toml::from_str(&fs::read_to_string(root().join("deny.toml"))?)?;
        Ok(Self(deny.licenses.allow))
    }

    /// What is wrong with a package, if anything is.
    fn problem(&self, package: &Package) -> Option<String> {
        let source = package.source.as_ref()?;
        let named = format!("{} {}", package.name, package.version);
        if source != REGISTRY {
            return Some(format!("{named} comes from {source}"));
        }
        let license = package.license.as_deref().unwrap_or_default();
        let allowed = |requirement: &LicenseReq| self.0.contains(&requirement.to_string());
        // Old packages write MIT/Apache-2.0.
        let expression = Expression::parse_mode(license, ParseMode::LAX);
        if expression.is_ok_and(|expression| expression.evaluate(allowed)) {
            return None;
        }
        Some(format!("{named} has the licence {license:?}"))
    }
}

/// Every package that is built for this machine, tests and tools included.
fn packages() -> Result<Vec<Package>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let host = Command::new(&cargo).args(["-vV"]).output()?.stdout;
    let host = String::from_utf8(host)?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("cargo -vV names no host")?;
    // Only what is built for it was fetched.
    let told = Command::new(&cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()?;
    let said = String::from_utf8_lossy(&told.stderr);
    ensure!(told.status.success(), "cargo metadata: {said}");
    let metadata: Metadata = serde_json::from_slice(&told.stdout)?;
    Ok(metadata.packages)
}

fn licences_and_sources_are_allowed() -> Result<()> {
    let (allowed, packages) = (Allowed::read()?, packages()?);
    let problems: Vec<_> = packages
        .iter()
        .filter_map(|package| allowed.problem(package))
        .collect();
    ensure!(
        problems.is_empty(),
        "deny.toml does not allow: {}",
        problems.join("; ")
    );
    let fetched = packages.iter().filter(|package| package.source.is_some());
    ensure!(
        fetched.count() > 100,
        "cargo metadata lists too few packages"
    );
    Ok(())
}

fn a_wrong_licence_or_source_is_named() -> Result<()> {
    let allowed = Allowed::read()?;
    for (license, source, right) in [
        (Some("MIT/Apache-2.0"), REGISTRY, true),
        (Some("GPL-3.0-only OR MIT"), REGISTRY, true),
        (Some("MIT AND GPL-3.0-only"), REGISTRY, false),
        (Some("GPL-3.0-or-later"), REGISTRY, false),
        (Some("whatever"), REGISTRY, false),
        (None, REGISTRY, false),
        (Some("MIT"), "git+https://example.com/x", false),
    ] {
        let package = Package {
            name: "x".into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: Some(source.into()),
        };
        let problem = allowed.problem(&package);
        ensure!(
            problem.is_none() == right,
            "{license:?} {source}: {problem:?}"
        );
    }
    Ok(())
}
