//! A running process's settings, over its admin socket.

use std::{
    collections::HashMap,
    fmt, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Given, Unknown, Uses};

/// How long a process may take to answer: it does nothing but look it up.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How to choose between instances of one name.
const PICK: &str = "--instance-process PID picks the one of that daprd";

/// An instance, as the admin server lists it.
#[derive(Deserialize)]
struct Instance {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    process: Option<i32>,
    group: Option<String>,
    /// A process of an older version does not say it: its list has no others.
    initialised: Option<bool>,
}

/// What the admin server says instead of an answer.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    choices: Vec<Instance>,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let process = self.process.map(|process| format!("process {process}"));
        let group = self.group.as_ref().map(|group| format!("group {group}"));
        let refused = self.initialised == Some(false);
        let refused = refused.then(|| "its Init failed".to_owned());
        let more: Vec<_> = [process, self.kind.clone(), group, refused]
            .into_iter()
            .flatten()
            .collect();
        if more.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", more.join(", "))
    }
}

/// The metadata that daprd gave an instance at Init, and the topics it has seen; the process
/// id of its daprd tells those of one name apart. All processes whose sockets are in the
/// folder are asked.
///
/// # Errors
/// Names what was found when the instance is not there, or when several are meant.
pub(super) async fn look(
    folder: &Path,
    name: &str,
    process: Option<i32>,
) -> Result<Given, Unknown> {
    let meant = |instance: &Instance| {
        instance.name == name && (process.is_none() || instance.process == process)
    };
    let mut holders = Vec::new();
    let mut seen = Vec::new();
    for socket in sockets(&folder.join("admin"))? {
        match ask::<Vec<Instance>>(&socket, &["v1", "instances"], None).await {
            Ok(instances) => {
                let of_name: Vec<_> = instances.iter().filter(|one| meant(one)).collect();
                let works = of_name.iter().find(|one| one.initialised != Some(false));
                if let Some(first) = works.or(of_name.first()) {
                    holders.push((socket.clone(), first.kind.clone(), works.is_some()));
                }
                let found = if instances.is_empty() {
                    "no instance yet".to_owned()
                } else {
                    listed(&instances)
                };
                seen.push(format!("{}: {found}", socket.display()));
            }
            Err(problem) => seen.push(format!("{}: {problem}", socket.display())),
        }
    }
    // One that failed at Init gives way to one that works.
    if holders.iter().any(|(.., works)| *works) {
        holders.retain(|(.., works)| *works);
    }
    match holders.as_slice() {
        [(socket, kind, _)] => {
            let path = |last| ["v1", "instances", name, last];
            let properties = ask(socket, &path("properties"), process).await;
            let properties: HashMap<_, _> = properties
                .map_err(|problem| Unknown(format!("{}: {problem}", socket.display())))?;
            let mut given = Given::known(name.to_owned(), kind.clone(), properties);
            // A process of an older version tells none.
            let uses = ask::<Uses>(socket, &path("uses"), process).await;
            given.uses = uses.unwrap_or_default();
            Ok(given)
        }
        [] => {
            let of = process.map_or(String::new(), |process| format!(" of process {process}"));
            let seen = seen.join("; ");
            Err(Unknown(format!("no instance {name}{of}; found: {seen}")))
        }
        _ => Err(Unknown(format!(
            "several processes have an instance {name}: {}; {PICK}, or use --component",
            seen.join("; ")
        ))),
    }
}

fn listed(instances: &[Instance]) -> String {
    let each: Vec<_> = instances.iter().map(Instance::to_string).collect();
    each.join(", ")
}

/// The admin sockets in a folder.
fn sockets(folder: &Path) -> Result<Vec<PathBuf>, Unknown> {
    let listed = || -> io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let paths = entries.into_iter().map(|entry| entry.path());
        let mut sockets: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|ending| ending == "sock"))
            .collect();
        sockets.sort_unstable();
        Ok(sockets)
    };
    let remedy = "is `dapr-rdkafka run` running on this machine, in this container, with this \
                  --socket-folder?";
    match listed() {
        Ok(sockets) if sockets.is_empty() => Err(Unknown(format!(
            "no admin socket in {}; {remedy}",
            folder.display()
        ))),
        Ok(sockets) => Ok(sockets),
        Err(error) => Err(Unknown(format!(
            "looking for admin sockets in {}: {error}; {remedy}",
            folder.display()
        ))),
    }
}

/// One GET; `path` is taken part by part, so that a name with a slash stays a name.
async fn ask<T: DeserializeOwned>(
    socket: &Path,
    path: &[&str],
    process: Option<i32>,
) -> Result<T, String> {
    trusted(socket)?;
    let client = reqwest::Client::builder()
        .unix_socket(socket)
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| described(&error))?;
    let mut url = reqwest::Url::parse("http://localhost").map_err(|error| error.to_string())?;
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.extend(path);
    }
    if let Some(process) = process {
        url.query_pairs_mut()
            .append_pair("process", &process.to_string());
    }
    let answer = client
        .get(url)
        .send()
        .await
        .map_err(|error| described(&error))?;
    let status = answer.status();
    if !status.is_success() {
        let said = answer.json().await.ok();
        return Err(refused(status, said));
    }
    answer.json().await.map_err(|error| described(&error))
}

/// Whether it may tell where passwords are sent: it is this user's or root's. Anyone may
/// put a socket into a folder that anyone may write to.
fn trusted(socket: &Path) -> Result<(), String> {
    let owner = std::fs::symlink_metadata(socket).map_err(|error| error.to_string())?;
    let owner = owner.uid();
    if owner == 0 || owner == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    Err(format!(
        "it belongs to user {owner} and is not asked; run this as that user"
    ))
}

/// What the server refuses, with the choices there are and how to make one.
fn refused(status: StatusCode, said: Option<Refusal>) -> String {
    match said {
        None => format!("it answers {status}"),
        Some(Refusal { error, choices }) if status == StatusCode::CONFLICT => {
            format!("{error}: {}; {PICK}", listed(&choices))
        }
        Some(Refusal { error, choices }) => format!("{error}: {}", listed(&choices)),
    }
}

/// An error with its causes: reqwest's own text tells only the outermost. What could
/// not be read is not shown: it holds secrets.
fn described(error: &reqwest::Error) -> String {
    if error.is_decode() {
        return "its answer is not what this version expects".into();
    }
    let mut text = "no answer".to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_someone_else_is_not_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("rdkafka.sock");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        assert_eq!(trusted(&socket), Ok(()));
        // Only root may give a file away.
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&socket, Some(12345), None).expect("given away");
            let refused = trusted(&socket).unwrap_err();
            assert!(refused.contains("user 12345"), "{refused}");
        }
    }
}
