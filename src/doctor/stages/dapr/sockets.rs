//! The folder of the sockets, and who may use what is in it.

use std::{
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::{net::UnixStream, time::timeout_at};

use super::{
    access::{User, WRITE},
    process::{Process, READ, UNREAD},
};
use crate::doctor::{Finding, Fix, Seen, Stage, context::Context, rows::dapr as rows};

/// As many entries of the folder as are looked at.
const MOST: usize = 1000;

/// Something that was found, and about what.
type Fault = (String, Finding);

/// What is known of the way between daprd and the component.
pub(super) struct Place<'a> {
    /// Where the component has its sockets, if that is said.
    pub(super) told: Option<&'a Path>,
    pub(super) process: Option<&'a Process>,
    /// As whom daprd runs.
    pub(super) user: Option<&'a User>,
    /// The name of the component's socket.
    pub(super) name: Option<&'a str>,
    /// Whether daprd has reached the component.
    pub(super) reached: bool,
}

impl Place<'_> {
    /// Where daprd is seen to look.
    fn daprds(&self) -> Option<&Path> {
        self.process?.folder.as_deref()
    }

    /// The folder to look into: where daprd looks, or where the sockets are said to be.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.told.or(self.daprds())
    }

    /// How the component is started.
    pub(super) fn start(&self, name: &str, more: &str) -> String {
        let folder = self.daprds().or(self.told).map_or_else(
            || "<the folder where daprd looks>".into(),
            |folder| folder.display().to_string(),
        );
        format!("dapr-rdkafka run --name {name} --socket-folder {folder}{more}")
    }
}

/// Looks at the folder and at each socket in it.
pub(super) async fn look(context: &Context<'_>, place: &Place<'_>) -> Vec<Fault> {
    let Some(folder) = place.folder() else {
        let why = "where daprd looks for sockets is not known here: --socket-folder says it";
        context.recorder.skipped(Stage::Dapr, "sockets", why);
        return Vec::new();
    };
    let subject = folder.display().to_string();
    if let Some(finding) = elsewhere(place) {
        return vec![(subject, finding)];
    }
    let sockets = match sockets(folder) {
        Ok(sockets) => sockets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fault = no_socket(place, "the folder is not there");
            return fault.map(|fault| (subject, fault)).into_iter().collect();
        }
        Err(error) => {
            context
                .recorder
                .skipped(Stage::Dapr, subject, error.to_string());
            return Vec::new();
        }
    };
    let mut faults = Vec::new();
    match place.user.map(|user| (user, closed(user, folder))) {
        Some((_, Ok(None))) => {}
        Some((user, Ok(Some(closed)))) => faults.push((subject.clone(), no_way(user, &closed))),
        Some((_, Err(error))) => context
            .recorder
            .skipped(Stage::Dapr, &subject, error.to_string()),
        None if place.reached => {}
        None => {
            let why = "as whom daprd runs is not known: --daprd-user says it (65532 in its image)";
            context.recorder.skipped(Stage::Dapr, &subject, why);
        }
    }
    let own = place.name.map(|name| name.to_lowercase() + ".sock");
    let is_own = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| Some(name.to_lowercase()) == own)
    };
    if !sockets.iter().any(|path| is_own(path))
        && let Some(own) = &own
    {
        let fault = no_socket(place, &format!("there is no socket {own} in it"));
        faults.extend(fault.map(|fault| (subject, fault)));
    }
    for path in sockets {
        if let Some(finding) = examine(context, place, &path, is_own(&path)).await {
            faults.push((path.display().to_string(), finding));
        }
    }
    faults
}

/// The sockets of the folder; daprd passes over everything else.
fn sockets(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut sockets = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(MOST) {
        let entry = entry?;
        if entry.file_type().is_ok_and(|of| of.is_socket()) {
            sockets.push(entry.path());
        }
    }
    sockets.sort_unstable();
    Ok(sockets)
}

/// daprd looks in another folder than the one that is said.
fn elsewhere(place: &Place<'_>) -> Option<Finding> {
    let (told, process) = (place.told?, place.process?);
    let daprds = process.folder.as_deref()?;
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if place.reached || real(told) == real(daprds) {
        return None;
    }
    let misled = if process.misled {
        format!(": its environment has {UNREAD}, which it does not read, and not {READ}")
    } else {
        String::new()
    };
    let cause = format!(
        "daprd (process {}) looks for sockets in {}, and the component's are in {}{misled}",
        process.id,
        daprds.display(),
        told.display()
    );
    let fix = Fix::words(format!(
        "restart daprd with {READ}={} in its environment",
        told.display()
    ));
    Some(Finding::new(&rows::ELSEWHERE, cause, fix))
}

/// The component has no socket, as far as it is known which it would be.
fn no_socket(place: &Place<'_>, why: &str) -> Option<Finding> {
    let (name, folder) = (place.name?, place.folder()?);
    let cause = format!("{}: {why}", folder.display());
    let fix = Fix::words("start the component, and then restart daprd").run(place.start(name, ""));
    Some(Finding::new(&rows::NO_SOCKET, cause, fix))
}

/// The first folder on the way that the user can't pass.
fn closed(user: &User, folder: &Path) -> io::Result<Option<PathBuf>> {
    let folder = std::fs::canonicalize(folder)?;
    let stopped = user.stopped_at(&folder)?;
    Ok(stopped.map(Path::to_owned))
}

pub(super) fn no_way(user: &User, closed: &Path) -> Finding {
    let (id, path) = (user.id, closed.display());
    let mode = std::fs::metadata(closed).map_or(0, |found| found.permissions().mode() & 0o7777);
    let cause =
        format!("daprd runs as user {id}, who may not pass the folder {path} (mode {mode:o})");
    let fix = Fix::words("let daprd's user read the folder, and then restart daprd");
    Finding::new(&rows::DENIED, cause, fix.run(format!("chmod a+rx {path}")))
}

/// One socket: whether someone listens, and whether daprd may write to it.
async fn examine(
    context: &Context<'_>,
    place: &Place<'_>,
    path: &Path,
    is_own: bool,
) -> Option<Finding> {
    let subject = path.display().to_string();
    match timeout_at(context.until().into(), UnixStream::connect(path)).await {
        Ok(Ok(stream)) => {
            let Some(finding) = denied(place, path) else {
                let seen = Seen::by(&stream, "someone listens");
                context.recorder.fine(Stage::Dapr, subject, seen);
                return None;
            };
            Some(finding)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Some(stale(place, path, is_own))
        }
        Ok(Err(error)) => {
            let why = format!("it can't be connected to: {error}");
            context.recorder.skipped(Stage::Dapr, subject, why);
            denied(place, path)
        }
        Err(_) => {
            context
                .recorder
                .unanswered(Stage::Dapr, subject, "no connection came about in time");
            None
        }
    }
}

fn stale(place: &Place<'_>, path: &Path, is_own: bool) -> Finding {
    let cause = format!("nobody listens on {}", path.display());
    let fix = match place.name {
        Some(name) if is_own => {
            let fix = Fix::words("start the component, which replaces it, and then restart daprd");
            fix.run(place.start(name, ""))
        }
        _ => Fix::words("start the component that it belongs to, or remove it; then restart daprd")
            .run(format!("rm {}", path.display())),
    };
    Finding::new(&rows::STALE, cause, fix)
}

/// daprd's user can't write to the socket, as far as it is known who that is.
pub(super) fn denied(place: &Place<'_>, path: &Path) -> Option<Finding> {
    let (user, found) = (place.user?, std::fs::metadata(path).ok()?);
    if user.may(WRITE, &found) {
        return None;
    }
    let group = user.groups.first().copied().unwrap_or(user.id);
    let cause = format!(
        "daprd runs as user {} with group {group}, who may not write to {}: it belongs to user {} \
         and group {}, with mode {:o}",
        user.id,
        path.display(),
        found.uid(),
        found.gid(),
        found.permissions().mode() & 0o7777
    );
    let access = format!(" --socket-group {group} --socket-mode 660");
    let name = path.file_stem()?.to_string_lossy();
    let fix = Fix::words(
        "start the component with a socket that daprd's user may write to; then restart daprd",
    )
    .run(place.start(&name, &access));
    Some(Finding::new(&rows::DENIED, cause, fix))
}
