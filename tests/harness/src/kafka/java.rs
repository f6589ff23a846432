use tokio::process::Command;

use crate::{Result, root};

/// Which Apache Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// 4.1.1.
    #[default]
    Newest,
    /// 3.9.1, the last one before 4.
    Three,
}

impl Release {
    /// Where `make` puts its jars.
    fn folder(self) -> &'static str {
        match self {
            Self::Newest => "target/kafka",
            Self::Three => "target/kafka-3.9.1",
        }
    }
}

/// A class of the broker that `make` fetches from Maven.
pub(super) fn java(release: Release, class: &str) -> Result<Command> {
    let jars = root().join(release.folder());
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
