use std::{fmt::Write as _, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::process::Command;

use crate::{Process, Result, STARTUP, free_port, root};

/// A real Apache Kafka, one node in `KRaft` mode, in a fresh data folder.
#[derive(Debug)]
pub struct Kafka {
    process: Option<Process>,
    folder: TempDir,
    /// Options for its JVM.
    jvm: String,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Where its controller does.
    pub controller: String,
}

impl Kafka {
    /// Formats a data folder, starts the broker and waits for it.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more of a broker's properties. In their values `{port}` and
    /// `{controller}` stand for the ports of the two listeners that it has anyway.
    pub async fn start_with(more: &[(&str, &str)]) -> Result<Self> {
        Self::start_listening(&[], more, &[]).await
    }

    /// The same with more listeners, and more arguments for the tool that formats the
    /// folder, such as users.
    pub(crate) async fn start_listening(
        listeners: &[Listener],
        more: &[(&str, &str)],
        format_with: &[&str],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, controller) = (free_port()?, free_port()?);
        let properties = folder.path().join("server.properties");
        let mut configuration = configuration(folder.path(), port, controller, listeners);
        for (key, value) in more {
            let value = value.replace("{port}", &port.to_string());
            let value = value.replace("{controller}", &controller.to_string());
            writeln!(configuration, "{key}={value}")?;
        }
        std::fs::write(&properties, configuration)?;
        let mut format = java("kafka.tools.StorageTool")?;
        format
            .args([
                "format",
                "--cluster-id",
                "dapr-rdkafka-test00000",
                "--config",
            ])
            .arg(&properties)
            .args(format_with);
        let formatted = Process::start("Kafka's storage tool", format)?;
        let stopped = formatted.wait(STARTUP).await?;
        if !stopped.status.success() {
            return Err(format!("formatting Kafka's folder: {}", stopped.output).into());
        }
        let mut kafka = Self {
            process: None,
            folder,
            jvm: allowed_urls(more),
            address: format!("127.0.0.1:{port}"),
            controller: format!("127.0.0.1:{controller}"),
        };
        kafka.up().await?;
        Ok(kafka)
    }

    /// Starts it again on the same port and data.
    pub async fn up(&mut self) -> Result<()> {
        let mut command = java("kafka.Kafka")?;
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

    /// Runs one of Kafka's command-line tools against it.
    pub async fn tool(&self, class: &str, arguments: &[&str]) -> Result<()> {
        let mut command = java(class)?;
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
        let mut command = java(class)?;
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

/// A listener beside the plaintext one that every Kafka here has.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// Its name, in capitals.
    pub(crate) name: &'static str,
    /// Its `security.protocol`.
    pub(crate) protocol: &'static str,
    /// The host that it is advertised as.
    pub(crate) host: &'static str,
    /// Its port, on 127.0.0.1.
    pub(crate) port: u16,
    /// Its own properties, without the prefix that names it.
    pub(crate) properties: Vec<(String, String)>,
}

fn configuration(folder: &Path, port: u16, controller: u16, more: &[Listener]) -> String {
    let data = folder.join("data");
    let (mut listeners, mut advertised) = (String::new(), String::new());
    let (mut protocols, mut properties) = (String::new(), String::new());
    for listener in more {
        let (name, port) = (listener.name, listener.port);
        let _ = write!(listeners, ",{name}://127.0.0.1:{port}");
        let _ = write!(advertised, ",{name}://{}:{port}", listener.host);
        let _ = write!(protocols, ",{name}:{}", listener.protocol);
        for (key, value) in &listener.properties {
            // What Java reads back as lines.
            let value = value.trim_end().replace('\n', "\\n");
            let name = name.to_lowercase();
            let _ = writeln!(properties, "listener.name.{name}.{key}={value}");
        }
    }
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0\n\
         message.max.bytes=10485760\n\
         replica.fetch.max.bytes=10485760\n\
         {properties}",
        data = data.display()
    )
}

/// Brokers ask only those URLs for keys that their JVM was told of.
fn allowed_urls(properties: &[(&str, &str)]) -> String {
    let url = properties
        .iter()
        .find(|(key, _)| key.ends_with("jwks.endpoint.url"));
    url.map_or_else(String::new, |(_, url)| {
        format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}")
    })
}

/// A class of the broker that `make` fetches from Maven.
fn java(class: &str) -> Result<Command> {
    let jars = root().join("target/kafka");
    if !jars.is_dir() {
        return Err(format!("{} is missing; `make kafka` fetches it", jars.display()).into());
    }
    let mut command = Command::new("java");
    command
        .args([
            "-Xms256m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
        ])
        // What the harness waits for is said at info level by this one.
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg("-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info")
        .arg("-cp")
        .arg(jars.join("*"))
        .arg(class);
    Ok(command)
}
