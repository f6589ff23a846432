//! What the running component says that daprd has initialised.

use std::path::{Path, PathBuf};

use reqwest::{Client, Response};
use serde::Deserialize;

/// As much as is read of an answer.
const LARGEST: usize = 1024 * 1024;

/// As many processes as are asked.
const MOST: usize = 16;

/// An instance, as a process of this component lists it.
#[derive(Debug, Deserialize)]
struct Instance {
    name: String,
    process: Option<u32>,
    #[serde(default)]
    initialised: Option<bool>,
}

/// What the processes whose sockets are in a folder say of a component.
pub(super) enum Initialised {
    /// One has it, from this daprd as far as that can be seen.
    Yes(Response),
    /// One was asked for it by this daprd, and that Init failed.
    Failed,
    /// All were asked, and none has it.
    No,
    /// They could not all be asked.
    Unknown(String),
}

/// Asks them whether a component was initialised, by the daprd with this process id if
/// it is known.
pub(super) async fn ask(folder: &Path, name: &str, daprd: Option<u32>) -> Initialised {
    let folder = folder.join("admin");
    let sockets = match sockets(&folder) {
        Ok(sockets) if !sockets.is_empty() => sockets,
        Ok(_) => return Initialised::Unknown(format!("no socket is in {}", folder.display())),
        Err(error) => return Initialised::Unknown(format!("{}: {error}", folder.display())),
    };
    let (mut unknown, mut failed) = (None, false);
    for socket in sockets {
        match instances(&socket).await {
            Ok((all, response)) => {
                let mut own = all.iter().filter(|it| it.is(name, daprd)).peekable();
                if own.peek().is_none() {
                    continue;
                }
                // A process of an older version lists no others.
                if own.any(|it| it.initialised != Some(false)) {
                    return Initialised::Yes(response);
                }
                failed = true;
            }
            Err(why) => unknown = Some(format!("{}: {why}", socket.display())),
        }
    }
    if failed {
        return Initialised::Failed;
    }
    unknown.map_or(Initialised::No, Initialised::Unknown)
}

impl Instance {
    fn is(&self, name: &str, daprd: Option<u32>) -> bool {
        // A process of another namespace has no number here.
        let other = matches!((self.process, daprd), (Some(of), Some(id)) if of != id);
        self.name == name && !other
    }
}

fn sockets(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    let sockets = paths.filter(|path| path.extension().is_some_and(|of| of == "sock"));
    Ok(sockets.take(MOST).collect())
}

async fn instances(socket: &Path) -> Result<(Vec<Instance>, Response), String> {
    let client = Client::builder().unix_socket(socket).no_proxy().build();
    let client = client.map_err(|error| error.to_string())?;
    let asked = client.get("http://component/v1/instances").send().await;
    let mut response = asked.map_err(|error| super::daprd::innermost(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err("its answer has no end".into());
        }
    }
    let all = serde_json::from_slice(&body);
    let all = all.map_err(|_| "its answer is not what this version expects")?;
    Ok((all, response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_of_another_daprd_is_another_one() {
        let of = |process| Instance {
            name: "a".into(),
            process,
            initialised: None,
        };
        for (process, daprd, expected) in [
            (Some(1), Some(1), true),
            (Some(1), Some(2), false),
            (None, Some(2), true),
            (Some(1), None, true),
        ] {
            assert_eq!(
                of(process).is("a", daprd),
                expected,
                "{process:?} {daprd:?}"
            );
        }
        assert!(!of(None).is("b", None));
    }
}
