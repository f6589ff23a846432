//! `deploy/rootfs`, of which the image is made.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use harness::{Result, root};
use tokio::process::Command;

use crate::{
    ensure,
    support::{Fixture, images::rootfs, program},
};

/// What stands of a file: mode, user, time and contents.
type Found = (u32, u32, i64, Vec<u8>);

/// A program, a folder, an environment, and what is told of them.
type Case<'a> = (&'a Path, &'a Path, &'a [(&'a str, &'a str)], &'a str);

/// A program that is small, and has libraries.
const SMALL: &str = "/bin/ls";

pub async fn the_same_inputs_give_the_same_root_filesystem(_: Arc<Fixture>) -> Result<()> {
    let place = tempfile::tempdir()?;
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    let epoch = [("SOURCE_DATE_EPOCH", "1700000000")];
    for folder in [&first, &second] {
        rootfs(Path::new(SMALL), folder, &epoch).await?;
    }
    let found = files(&first, Path::new(""))?;
    ensure!(found == files(&second, Path::new(""))?, "they differ");
    for (name, (_, _, time, _)) in &found {
        ensure!(*time == 1_700_000_000, "{name} is of {time}");
    }

    // Nothing but the program, its libraries, and what the image is to have.
    let mode = |name: &str| {
        found
            .get(name)
            .map(|(mode, user, ..)| (*mode & 0o7777, *user))
    };
    for (name, wanted) in [
        ("usr/local/bin/ls", (0o755, 0)),
        ("etc/ssl/certs/ca-certificates.crt", (0o644, 0)),
        ("etc/passwd", (0o644, 0)),
        ("etc/group", (0o644, 0)),
        ("etc/nsswitch.conf", (0o644, 0)),
        ("tmp", (0o1777, 0)),
        ("tmp/dapr-components-sockets", (0o755, 65532)),
    ] {
        ensure!(mode(name) == Some(wanted), "{name}: {:?}", mode(name));
    }
    let others = found.keys().filter(|name| {
        let folder = first.join(name).is_dir();
        let known = ["usr/local/bin/ls", "etc/", "lib"];
        !folder && !known.iter().any(|known| name.starts_with(known))
    });
    let others: Vec<_> = others.collect();
    ensure!(others.is_empty(), "{others:?}");
    Ok(())
}

pub async fn what_is_missing_is_named(_: Arc<Fixture>) -> Result<()> {
    let place = tempfile::tempdir()?;
    let (fresh, used) = (place.path().join("fresh"), place.path().join("used"));
    let none = place.path().join("none");
    fs::create_dir(&used)?;
    fs::write(used.join("left"), "")?;
    let nowhere = none.display().to_string();
    let cases: [Case; 5] = [
        (&none, &fresh, &[], "is no program; build it first"),
        (program(), &used, &[], "not an empty folder"),
        (
            program(),
            &fresh,
            &[("CA_BUNDLE", &nowhere)],
            "certificates",
        ),
        (
            program(),
            &fresh,
            &[("SOURCE_DATE_EPOCH", "now")],
            "no number",
        ),
        (
            program(),
            &fresh,
            &[("PATH", &nowhere)],
            "is missing (Debian",
        ),
    ];
    for (binary, folder, environment, told) in cases {
        let Err(error) = rootfs(binary, folder, environment).await else {
            return Err(format!("{told}: it was made").into());
        };
        let error = error.to_string();
        ensure!(error.contains(told), "{told:?} is not in: {error}");
        ensure!(!fresh.exists(), "{told}: something was made");
    }
    Ok(())
}

/// No engine builds the image here. So at least: the Dockerfile's compiler is the one that all else is
/// held to, and cargo finds all that its manifests name in what .dockerignore leaves.
pub async fn its_context_has_what_it_is_built_from(_: Arc<Fixture>) -> Result<()> {
    let read = |file: &str| fs::read_to_string(root().join(file));
    let toolchain: toml::Table = read("rust-toolchain.toml")?.parse()?;
    let channel = toolchain["toolchain"]["channel"].as_str();
    let release = format!("ARG RUST_VERSION={}\n", channel.unwrap_or_default());
    ensure!(
        read("deploy/Dockerfile")?.contains(&release),
        "no {release}"
    );

    let context = tempfile::tempdir()?;
    let mut copy = Command::new("cp");
    copy.current_dir(root()).args(["-r", "--parents"]);
    let ignored = read(".dockerignore")?;
    copy.args(ignored.lines().filter_map(|line| line.strip_prefix('!')));
    run(copy.arg(context.path())).await?;
    let mut metadata = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    metadata.current_dir(context.path());
    metadata.args([
        "metadata",
        "--offline",
        "--locked",
        "--no-deps",
        "--format-version",
        "1",
    ]);
    run(&mut metadata).await
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

/// Everything below a folder, by its path within.
fn files(root: &Path, within: &Path) -> Result<BTreeMap<String, Found>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root.join(within))? {
        let path = within.join(entry?.file_name());
        let metadata = fs::symlink_metadata(root.join(&path))?;
        let mut contents = Vec::new();
        if metadata.is_dir() {
            found.extend(files(root, &path)?);
        } else {
            contents = fs::read(root.join(&path))?;
        }
        let mode = metadata.permissions().mode();
        let file = (mode, metadata.uid(), metadata.mtime(), contents);
        found.insert(path.display().to_string(), file);
    }
    Ok(found)
}
