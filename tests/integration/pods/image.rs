//! `deploy/rootfs`, of which the image is made.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use harness::Result;

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
    let (root, used) = (place.path().join("root"), place.path().join("used"));
    let none = place.path().join("none");
    fs::create_dir(&used)?;
    fs::write(used.join("left"), "")?;
    let nowhere = none.display().to_string();
    let cases: [Case; 5] = [
        (&none, &root, &[], "is no program; build it first"),
        (program(), &used, &[], "not an empty folder"),
        (program(), &root, &[("CA_BUNDLE", &nowhere)], "certificates"),
        (
            program(),
            &root,
            &[("SOURCE_DATE_EPOCH", "now")],
            "no number",
        ),
        (
            program(),
            &root,
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
        ensure!(!root.exists(), "{told}: something was made");
    }
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
