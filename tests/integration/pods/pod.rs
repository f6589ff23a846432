//! A pod: its volumes, ports and containers.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use harness::{
    Daprd, DaprdOptions, Process, Result, Stopped, Todo,
    container::{Container, Volume},
    copy_sample, free_port,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    liveness::Liveness,
    wanted::{NONROOT, Wanted},
    watched::Watched,
};
use crate::{
    ensure,
    support::{
        Fixture, endpoints,
        images::{COMPONENTS, SOCKETS},
    },
};

/// How long a command in a container may take; `probe socket --wait 60s` is the longest.
const LONGEST: Duration = Duration::from_secs(75);

/// A pod's containers; they end with it.
pub struct Pod {
    pub(super) wanted: Wanted,
    fixture: Arc<Fixture>,
    folder: TempDir,
    pub(super) http_port: u16,
    /// For probes, beside the API's; daprd opens it at the same time.
    pub(super) public_port: u16,
    app_port: u16,
    pub component: Watched<Process>,
    /// How long the component takes when it is started again.
    pub late_again: Duration,
    pub daprd: Watched<Daprd>,
    pub(super) liveness: Liveness,
    pub todo: Option<Todo>,
}

impl Pod {
    /// One with its volumes, and nothing started.
    pub(super) async fn new(fixture: &Arc<Fixture>, wanted: Wanted) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let brokers = fixture.todo_kafka().await?;
        fixture.images().await?;
        copy_sample(
            "todo-pubsub.yaml",
            &folder.path().join("components"),
            brokers,
        )?;
        let sockets = folder.path().join("sockets");
        fs::create_dir(&sockets)?;
        // An emptyDir is root's, and open to all.
        fs::set_permissions(&sockets, Permissions::from_mode(0o777))?;
        Ok(Self {
            app_port: wanted.app_port.map_or_else(free_port, Ok)?,
            wanted,
            fixture: fixture.clone(),
            folder,
            http_port: free_port()?,
            public_port: free_port()?,
            component: Watched::default(),
            late_again: Duration::ZERO,
            daprd: Watched::default(),
            liveness: Liveness::default(),
            todo: None,
        })
    }

    /// The emptyDir with the sockets.
    pub fn sockets(&self) -> PathBuf {
        self.folder.path().join("sockets")
    }

    /// Where an app publishes to a topic.
    pub fn url(&self, topic: &str) -> String {
        let port = self.http_port;
        format!("http://127.0.0.1:{port}/v1.0/publish/todo-pubsub/{topic}")
    }

    /// Publishes as the app does.
    pub async fn publish(&self, topic: &str, data: &Value) -> Result<()> {
        let request = reqwest::Client::new().post(self.url(topic)).json(data);
        let answer = request.send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{status} {}", answer.text().await?).into())
    }

    /// Requires that the component has one instance. daprd is in another PID namespace, where the
    /// kernel tells no process id: so the instance has none.
    pub async fn knows_its_daprd(&self) -> Result<()> {
        let socket = self.sockets().join("admin/rdkafka.sock");
        let (_, text) = endpoints::get_unix(&socket, "/v1/instances").await?;
        let all: Vec<Value> = serde_json::from_str(&text)?;
        ensure!(
            all.len() == 1
                && all[0]["name"] == "todo-pubsub"
                && all[0]["process"] == Value::Null
                && all[0]["initialised"] == true,
            "{all:#?}"
        );
        Ok(())
    }

    /// Runs another command of the component in its container, as `kubectl exec` does; returns
    /// what it printed and how it ended.
    pub async fn exec(&self, arguments: &[&str]) -> Result<Stopped> {
        let mut command = self
            .container("dapr-rdkafka", self.wanted.user)
            .await?
            .command()?;
        command.args(arguments);
        Process::start("a command in the container", command)?
            .wait(LONGEST)
            .await
    }

    /// A container of an image.
    pub(super) async fn container(&self, image: &str, user: u32) -> Result<Container> {
        let volume = |from: &str, at: &str| Volume {
            from: self.folder.path().join(from),
            at: at.into(),
            writable: from == "sockets",
        };
        let volumes = match image {
            "daprd" => vec![volume("sockets", SOCKETS), volume("components", COMPONENTS)],
            "dapr-rdkafka" => vec![volume("sockets", SOCKETS)],
            _ => Vec::new(),
        };
        Ok(Container {
            root: self.fixture.images().await?.root(image),
            program: Path::new("/usr/local/bin").join(image),
            user,
            volumes,
            late: Duration::ZERO,
        })
    }

    pub(super) async fn start_component(&mut self, late: Duration) -> Result<()> {
        let container = self.container("dapr-rdkafka", self.wanted.user).await?;
        let mut command = Container { late, ..container }.command()?;
        command.args(["run", "--admin-listen", "127.0.0.1:0"]);
        if self.wanted.heal {
            let url = format!("http://127.0.0.1:{}", self.http_port);
            command.args(["--heal-daprd", &url]);
        }
        let process = Process::start("dapr-rdkafka", command)?;
        self.component.started(process);
        Ok(())
    }

    pub(super) async fn start_daprd(&mut self) -> Result<()> {
        let command = self.container("daprd", NONROOT).await?.command()?;
        let options = DaprdOptions {
            app_id: &self.wanted.app_id,
            app_port: Some(self.app_port),
            resources: Path::new(COMPONENTS),
            sockets: Path::new(SOCKETS),
        };
        let public = self.public_port.to_string();
        let more = ["--dapr-public-port", &public];
        let daprd = Daprd::spawn_by(command, &options, self.http_port, &more)?;
        self.daprd.started(daprd);
        Ok(())
    }

    pub(super) async fn start_app(&mut self) -> Result<()> {
        if self.wanted.app_port.is_none() {
            let command = self.container("todo", NONROOT).await?.command()?;
            self.todo = Some(Todo::start_by(command, self.app_port, self.http_port).await?);
        }
        Ok(())
    }
}
