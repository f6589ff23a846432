mod configuration;
mod java;

use std::{fmt::Write as _, time::Duration};

use tempfile::TempDir;

pub(crate) use configuration::Listener;
use configuration::{allowed_urls, configuration};
pub use java::Release;
use java::java;

use crate::{Process, Result, STARTUP, free_port};

/// A real Apache Kafka, one node in `KRaft` mode, in a fresh data folder.
#[derive(Debug)]
pub struct Kafka {
    process: Option<Process>,
    folder: TempDir,
    release: Release,
    /// Options for its JVM.
    jvm: String,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Where its controller does.
    pub controller: String,
}

/// What a broker is started with beside what all have.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    pub(crate) release: Release,
    /// More listeners.
    pub(crate) listeners: &'a [Listener],
    /// More properties; see [`Kafka::start_with`].
    pub(crate) more: &'a [(&'a str, &'a str)],
    /// More arguments for the tool that formats the folder, such as users.
    pub(crate) format_with: &'a [&'a str],
    /// Its port and its controller's, if they have to be known before.
    pub(crate) ports: Option<(u16, u16)>,
}

impl Kafka {
    /// Formats a data folder, starts the broker and waits for it.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same of another release.
    pub async fn start_release(release: Release) -> Result<Self> {
        let setup = Setup {
            release,
            ..Setup::default()
        };
        Self::start_by(&setup).await
    }

    /// The same with more of a broker's properties. In their values `{port}` and
    /// `{controller}` stand for the ports of the two listeners that it has anyway.
    pub async fn start_with(more: &[(&str, &str)]) -> Result<Self> {
        let setup = Setup {
            more,
            ..Setup::default()
        };
        Self::start_by(&setup).await
    }

    pub(crate) async fn start_by(setup: &Setup<'_>) -> Result<Self> {
        let mut kafka = Self::formatted(setup).await?;
        kafka.up().await?;
        Ok(kafka)
    }

    /// One with a data folder, that is not started yet.
    pub(crate) async fn formatted(setup: &Setup<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, controller) = match setup.ports {
            Some(ports) => ports,
            None => (free_port()?, free_port()?),
        };
        let properties = folder.path().join("server.properties");
        let mut configuration = configuration(folder.path(), port, controller, setup.listeners);
        for (key, value) in setup.more {
            let value = value.replace("{port}", &port.to_string());
            let value = value.replace("{controller}", &controller.to_string());
            writeln!(configuration, "{key}={value}")?;
        }
        std::fs::write(&properties, configuration)?;
        let mut format = java(setup.release, "kafka.tools.StorageTool")?;
        format
            .args([
                "format",
                "--cluster-id",
                "dapr-rdkafka-test00000",
                "--config",
            ])
            .arg(&properties)
            .args(setup.format_with);
        let formatted = Process::start("Kafka's storage tool", format)?;
        let stopped = formatted.wait(STARTUP).await?;
        if !stopped.status.success() {
            return Err(format!("formatting Kafka's folder: {}", stopped.output).into());
        }
        Ok(Self {
            process: None,
            folder,
            release: setup.release,
            jvm: allowed_urls(setup.more),
            address: format!("127.0.0.1:{port}"),
            controller: format!("127.0.0.1:{controller}"),
        })
    }

    /// Starts it again on the same port and data.
    pub async fn up(&mut self) -> Result<()> {
        let mut command = java(self.release, "kafka.Kafka")?;
        command.arg(self.folder.path().join("server.properties"));
        command.env("JDK_JAVA_OPTIONS", &self.jvm);
        let mut process = Process::start("Kafka", command)?;
        let started = "Kafka Server started";
        process
            .line(started, STARTUP, |line| line.contains(started))
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills it, as a crash would.
    pub async fn down(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Sends it a signal by its name, such as STOP.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        match &self.process {
            Some(process) => process.signal(signal).await,
            None => Err("this Kafka is down".into()),
        }
    }

    /// Runs one of Kafka's command-line tools against it.
    pub async fn tool(&self, class: &str, arguments: &[&str]) -> Result<()> {
        let mut command = java(self.release, class)?;
        command.args(["--bootstrap-server", &self.address]);
        command.args(arguments);
        let stopped = Process::start(class, command)?.wait(STARTUP).await?;
        if !stopped.status.success() {
            return Err(format!("{class} {arguments:?}: {}", stopped.output).into());
        }
        Ok(())
    }

    /// Runs a line as documentation writes it: the name of one of Kafka's scripts and its
    /// arguments, without quotes; `<bootstrap>` stands for this broker's address.
    pub async fn run(&self, line: &str) -> Result<()> {
        let line = line.replace("<bootstrap>", &self.address);
        let mut words = line.split_whitespace();
        let class = match words.next() {
            Some("kafka-acls.sh") => "org.apache.kafka.tools.AclCommand",
            Some("kafka-configs.sh") => "kafka.admin.ConfigCommand",
            Some("kafka-consumer-groups.sh") => {
                "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
            }
            Some("kafka-topics.sh") => "org.apache.kafka.tools.TopicCommand",
            other => return Err(format!("{other:?} is none of Kafka's scripts").into()),
        };
        let mut command = java(self.release, class)?;
        command.args(words);
        let stopped = Process::start(class, command)?.wait(STARTUP).await?;
        if !stopped.status.success() {
            return Err(format!("{line}: {}", stopped.output).into());
        }
        Ok(())
    }

    /// Stops it in order.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.stop(Duration::from_secs(30)).await?;
        }
        Ok(())
    }
}
