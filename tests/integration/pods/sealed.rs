//! What a container may not do, and does not.

use std::{collections::BTreeSet, fs, io::ErrorKind, path::Path, sync::Arc};

use harness::Result;

use super::{
    kubelet::GRACE,
    pod::Pod,
    wanted::{Wanted, Way},
};
use crate::{ensure, support::Fixture, system::todo};

pub async fn it_has_no_rights_and_writes_to_the_socket_folder_only(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let wanted = Wanted::new(Way::NativeSidecar, &fixture);
    let mut pod = Pod::ready(&fixture, wanted).await?;
    todo::play(pod.todo.as_ref().ok_or("no app")?).await?;

    let lives = pod.exec(&["probe", "live"]).await?;
    ensure!(lives.status.success(), "{}", lives.output);

    let inner = pod.component.process()?.inner()?;
    let process = Path::new("/proc").join(inner.to_string());
    has_no_rights(&process)?;
    writes_nowhere(&process)?;
    let sockets = pod.sockets();
    let there = files(&sockets)?;
    ensure!(
        there == ["admin", "admin/rdkafka.sock", "rdkafka.sock"],
        "{there:?}"
    );

    let component = pod.component.running.take().ok_or("it does not run")?;
    pod.daprd.running = None;
    component.stop_inner(GRACE).await?;
    let left = files(&sockets)?;
    ensure!(left == ["admin"], "left in the socket folder: {left:?}");
    Ok(())
}

/// As the kernel sees it.
fn has_no_rights(process: &Path) -> Result<()> {
    let status = fs::read_to_string(process.join("status"))?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    for name in ["Uid:", "Gid:"] {
        ensure!(of(name) == ["65532"; 4], "{status}");
    }
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        ensure!(of(name) == ["0000000000000000"], "{status}");
    }
    ensure!(of("Groups:").is_empty(), "{status}");
    ensure!(of("NoNewPrivs:") == ["1"], "{status}");
    // In its own namespace it is the first process.
    ensure!(of("NSpid:").last() == Some(&"1"), "{status}");
    Ok(())
}

/// Not even root could write to its root filesystem, and no file is open for writing.
fn writes_nowhere(process: &Path) -> Result<()> {
    for folder in ["", "tmp", "etc", "usr/local/bin"] {
        let file = process.join("root").join(folder).join("written");
        let refused = fs::write(&file, "").err().map(|error| error.kind());
        ensure!(
            refused == Some(ErrorKind::ReadOnlyFilesystem),
            "{}: {refused:?}",
            file.display()
        );
    }
    let mut open = BTreeSet::new();
    for file in fs::read_dir(process.join("fd"))? {
        let leads_to = fs::read_link(file?.path())?.display().to_string();
        if leads_to.starts_with('/') && leads_to != "/dev/null" {
            open.insert(leads_to);
        }
    }
    ensure!(open.is_empty(), "open files: {open:?}");
    Ok(())
}

/// What is in a folder and its folders.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().display().to_string();
        if entry.file_type()?.is_dir() {
            let within = files(&entry.path())?;
            found.extend(within.iter().map(|file| format!("{name}/{file}")));
        }
        found.push(name);
    }
    found.sort();
    Ok(found)
}
