//! `dapr-rdkafka probe`: asks a process that should run, from outside, for a pod's exec
//! probes: the image has no shell.

mod trouble;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::time::{sleep, timeout};

use crate::{
    admin::AdminFolder,
    dapr::{self, innermost},
};
use trouble::{Trouble, connect};

/// How long a question may take. A kubelet gives a probe 1 s unless told otherwise
/// (`timeoutSeconds`), and shows nothing of one that took longer.
const ANSWER: Duration = Duration::from_millis(800);

/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(100);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether each socket answers what daprd asks when it starts.
    Socket,
    /// Whether the process answers at all.
    Live,
}

/// A probe.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What is asked.
    pub question: Question,
    /// The folder of the sockets.
    pub folder: PathBuf,
    /// The sockets' names, in the order that `run` was given them.
    pub names: Vec<String>,
    /// How long it is asked again if the answer is not the wanted one.
    pub wait: Duration,
}

/// Asks until the answer is as wanted, or until the time is over.
///
/// # Errors
/// The last answer: one line with what is wrong, and what to do.
pub async fn probe(probe: &Probe) -> Result<(), String> {
    let until = Instant::now() + probe.wait;
    loop {
        let trouble = match probe.ask().await {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        };
        if Instant::now() + AGAIN >= until {
            return Err(trouble);
        }
        sleep(AGAIN).await;
    }
}

impl Probe {
    async fn ask(&self) -> Result<(), String> {
        match self.question {
            Question::Socket => {
                let paths = self.names.iter();
                let paths = paths.map(|name| self.folder.join(format!("{name}.sock")));
                try_join_all(paths.map(answers_daprd)).await.map(drop)
            }
            Question::Live => {
                let admin = AdminFolder::of(&self.folder, &self.names);
                is_live(&admin.file("sock")).await
            }
        }
    }
}

/// Whether daprd would find a component on this socket.
async fn answers_daprd(path: PathBuf) -> Result<(), String> {
    within(&path, async {
        connect(&path).await?;
        dapr::ask(&path).await.map_err(Trouble::OtherService)
    })
    .await
}

/// Whether the process answers over its admin socket.
async fn is_live(path: &Path) -> Result<(), String> {
    within(path, async {
        connect(path).await?;
        let answer = livez(path).await;
        let status = answer.map_err(|error| Trouble::NotLive(innermost(&error)))?;
        if status.is_success() {
            return Ok(());
        }
        Err(Trouble::NotLive(status.to_string()))
    })
    .await
}

async fn livez(path: &Path) -> reqwest::Result<reqwest::StatusCode> {
    // No certificate is looked at here, and reading those of the system takes most of the time.
    let client = reqwest::Client::builder().tls_certs_only([]);
    let client = client.unix_socket(path).no_proxy().build()?;
    let answer = client.get("http://component/livez").send().await?;
    Ok(answer.status())
}

async fn within(
    path: &Path,
    asked: impl Future<Output = Result<(), Trouble>>,
) -> Result<(), String> {
    let answer = timeout(ANSWER, asked).await;
    let answer = answer.unwrap_or(Err(Trouble::Silent(ANSWER)));
    answer.map_err(|trouble| format!("{}: {trouble}", path.display()))
}
