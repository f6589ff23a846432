use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::process::Command;

use crate::{Process, Result, STARTUP, eventually, free_port, root};

/// A daprd that `make daprd` builds for the tests. `tests/README.md` says which test runs on
/// which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaprdBuild {
    /// Dapr 1.16.5: hands an app the messages of a stream one at a time.
    V1_16_5,
    /// Dapr 1.18.3, the newest release whose source the build can fetch: serial too.
    V1_18_3,
    /// Dapr 1.18.3 with the change of 1.18.4 (dapr/dapr#10472): messages of a stream are handled
    /// concurrently. A reconstruction from the release notes.
    V1_18_4,
    /// The build above with the change of 1.18.5 (dapr/dapr#10497): when the stream of a message
    /// ends, so do its retries and its call to the app. A reconstruction too.
    V1_18_5,
}

impl DaprdBuild {
    /// The build on which a test runs unless it names others.
    pub const USUAL: Self = Self::V1_18_4;

    /// Every build, from the oldest to the newest.
    pub const ALL: [Self; 4] = [Self::V1_16_5, Self::V1_18_3, Self::V1_18_4, Self::V1_18_5];

    /// What `daprd --version` prints. A reconstruction says that it is one.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1_16_5 => "1.16.5",
            Self::V1_18_3 => "1.18.3",
            Self::V1_18_4 => "1.18.4+reconstruction",
            Self::V1_18_5 => "1.18.5+reconstruction",
        }
    }

    /// The build of a version.
    pub fn of_version(version: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|build| build.version() == version)
    }

    /// The list of this build alone.
    pub const fn alone(self) -> &'static [Self] {
        match self {
            Self::V1_16_5 => &[Self::V1_16_5],
            Self::V1_18_3 => &[Self::V1_18_3],
            Self::V1_18_4 => &[Self::V1_18_4],
            Self::V1_18_5 => &[Self::V1_18_5],
        }
    }

    /// Whether the messages of a stream are handed to the app one at a time.
    pub const fn is_serial(self) -> bool {
        matches!(self, Self::V1_16_5 | Self::V1_18_3)
    }

    /// The program's path.
    pub fn program(self) -> PathBuf {
        root()
            .join("target/daprd")
            .join(self.version())
            .join("daprd")
    }
}

/// What a daprd is started with.
#[derive(Clone, Debug)]
pub struct DaprdOptions<'a> {
    /// The app's id, which is also its default consumer group.
    pub app_id: &'a str,
    /// The app's port, if there is an app.
    pub app_port: Option<u16>,
    /// The folder with Component files.
    pub resources: &'a Path,
    /// The folder with components' sockets.
    pub sockets: &'a Path,
}

/// A running daprd.
#[derive(Debug)]
pub struct Daprd {
    /// The child.
    pub process: Process,
    /// Its HTTP API's port.
    pub http_port: u16,
    client: reqwest::Client,
}

impl Daprd {
    /// Starts a daprd, and waits until it and its components are ready.
    pub async fn start(program: &Path, options: DaprdOptions<'_>) -> Result<Self> {
        Self::start_with(program, options, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(
        program: &Path,
        options: DaprdOptions<'_>,
        more: &[&str],
    ) -> Result<Self> {
        let mut daprd = Self::spawn_with(program, &options, free_port()?, more)?;
        daprd.ready().await?;
        Ok(daprd)
    }

    /// Starts a daprd on a given HTTP port; see [`Daprd::ready`].
    pub fn spawn(program: &Path, options: &DaprdOptions<'_>, http_port: u16) -> Result<Self> {
        Self::spawn_with(program, options, http_port, &[])
    }

    fn spawn_with(
        program: &Path,
        options: &DaprdOptions<'_>,
        http_port: u16,
        more: &[&str],
    ) -> Result<Self> {
        Self::spawn_by(Command::new(program), options, http_port, more)
    }

    /// The same by a command that runs the program, in other surroundings.
    pub fn spawn_by(
        mut command: Command,
        options: &DaprdOptions<'_>,
        http_port: u16,
        more: &[&str],
    ) -> Result<Self> {
        command
            .args(["--app-id", options.app_id])
            .args(["--dapr-http-port", &http_port.to_string()])
            .args(["--dapr-grpc-port", &free_port()?.to_string()])
            .args(["--dapr-internal-grpc-port", &free_port()?.to_string()])
            .args(["--dapr-listen-addresses", "127.0.0.1"])
            .args(["--enable-metrics=false"])
            .args(["--max-body-size", "64Mi"])
            .arg("--resources-path")
            .arg(options.resources)
            .args(more)
            .env("DAPR_COMPONENTS_SOCKETS_FOLDER", options.sockets);
        if let Some(port) = options.app_port {
            command.args(["--app-port", &port.to_string()]);
        }
        Ok(Self {
            process: Process::start("daprd", command)?,
            http_port,
            client: reqwest::Client::new(),
        })
    }

    /// Waits until it takes publishes and, with an app, has subscribed.
    pub async fn ready(&mut self) -> Result<()> {
        let url = self.url("/healthz");
        let process = &mut self.process;
        let client = &self.client;
        let mut ended = false;
        let ready = eventually("daprd is healthy", STARTUP, || {
            ended = process.has_ended();
            let asked = client.get(&url).send();
            async move {
                if ended {
                    return Some(false);
                }
                let healthy = asked.await.is_ok_and(|answer| answer.status().is_success());
                healthy.then_some(true)
            }
        })
        .await;
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.process.failed("ended before it was healthy")),
            Err(error) => Err(self.process.failed(&error.to_string())),
        }
    }

    /// A URL of its HTTP API; `path` begins after `v1.0`, so that alpha versions
    /// can be named too (`-alpha1/…`).
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v1.0{path}", self.http_port)
    }

    /// Posts to its HTTP API; returns the status and the answer.
    pub async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<(u16, String)> {
        let answer = self
            .client
            .post(self.url(path))
            .header("content-type", content_type)
            .body(body)
            .timeout(Duration::from_secs(30))
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Publishes one event; `query` is for metadata, such as
    /// `metadata.partitionKey=a`.
    pub async fn publish(
        &self,
        pubsub: &str,
        topic: &str,
        query: &str,
        data: &Value,
    ) -> Result<()> {
        let path = format!("/publish/{pubsub}/{topic}?{query}");
        match self
            .post(&path, "application/json", data.to_string())
            .await?
        {
            (204, _) => Ok(()),
            (status, answer) => Err(format!("publishing to {topic}: {status} {answer}").into()),
        }
    }

    /// What its metadata API says.
    pub async fn metadata(&self) -> Result<Value> {
        Ok(self
            .client
            .get(self.url("/metadata"))
            .send()
            .await?
            .json()
            .await?)
    }
}
