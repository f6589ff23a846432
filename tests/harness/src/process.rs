use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use crate::Result;

/// Lines of a child's output that are kept.
const KEPT: usize = 200_000;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Lines,
    keepers: Vec<JoinHandle<()>>,
}

/// How a child ended.
#[derive(Debug)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything that it printed.
    pub output: String,
}

#[derive(Clone, Debug)]
struct Lines {
    kept: Arc<Mutex<Vec<String>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Lines {
    fn push(&self, line: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(line);
        }
        drop(kept);
        self.count.send_modify(|count| *count += 1);
    }

    fn find(&self, wanted: &dyn Fn(&str) -> bool) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|line| wanted(line)).cloned()
    }

    fn all(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.join("\n")
    }
}

impl Process {
    /// Starts a command, and keeps what it prints on both outputs.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C at a terminal reaches the starter only, who ends its
            // children in order.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("starting {name} ({command:?}): {error}"))?;
        let lines = Lines {
            kept: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
        };
        let stdout = child.stdout.take().map(|output| keep(output, &lines));
        let stderr = child.stderr.take().map(|output| keep(output, &lines));
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            keepers: stdout.into_iter().chain(stderr).collect(),
        })
    }

    /// Waits for a line; fails early if the child ends before.
    pub async fn line(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let lines = self.lines.clone();
        let mut count = lines.count.subscribe();
        let found = async {
            loop {
                if let Some(line) = lines.find(&wanted) {
                    return Some(line);
                }
                if count.changed().await.is_err() {
                    return None;
                }
            }
        };
        let ended = tokio::select! {
            found = tokio::time::timeout(within, found) => match found {
                Ok(Some(line)) => return Ok(line),
                _ => format!("did not print {what} within {within:?}"),
            },
            status = self.child.wait() => format!("ended ({status:?}) before it printed {what}"),
        };
        // What it printed last may still be on its way through the pipe.
        match lines.find(&wanted) {
            Some(line) => Ok(line),
            None => Err(self.failed(&ended)),
        }
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Everything that it printed so far.
    pub fn output(&self) -> String {
        self.lines.all()
    }

    /// Sends a signal by its name, such as TERM.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        let id = self.id();
        send(
            signal,
            id.ok_or_else(|| format!("{} has ended", self.name))?,
        )
        .await
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(self, within: Duration) -> Result<Stopped> {
        self.signal("TERM").await?;
        self.wait(within).await
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits until it ends by itself, and everything that it printed is here.
    pub async fn wait(mut self, within: Duration) -> Result<Stopped> {
        let ended = async {
            let status = self.child.wait().await?;
            for keeper in &mut self.keepers {
                keeper.await?;
            }
            Ok::<_, crate::Error>(status)
        };
        match tokio::time::timeout(within, ended).await {
            Ok(status) => Ok(Stopped {
                status: status?,
                output: self.lines.all(),
            }),
            Err(_) => Err(self.failed(&format!("did not end within {within:?}"))),
        }
    }

    /// An error about this child, with the end of what it printed.
    pub fn failed(&self, what: &str) -> crate::Error {
        let output = self.lines.all();
        let lines: Vec<_> = output.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n  ");
        format!("{} {what}; it printed:\n  {last}", self.name).into()
    }
}

/// Sends a signal to a process.
pub(crate) async fn send(signal: &str, process: u32) -> Result<()> {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &process.to_string()])
        .status()
        .await?;
    if sent.success() {
        return Ok(());
    }
    Err(format!("kill -{signal} {process}: {sent}").into())
}

/// Keeps a child's output until its end.
fn keep(output: impl AsyncRead + Unpin + Send + 'static, lines: &Lines) -> JoinHandle<()> {
    let lines = lines.clone();
    let mut output = BufReader::new(output).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = output.next_line().await {
            lines.push(line);
        }
    })
}
