//! Dead letters written by hand, and topics read by a client of its own.

use std::{path::PathBuf, process::Output, time::Duration};

use dapr_rdkafka::model::dead_letter;
use harness::{Process, Result};
use rdkafka::producer::{BaseRecord, Producer as _};
use serde_json::Value;
use tokio::process::Command;

use super::{
    program,
    records::{self, Plain},
    transactions::with_producer,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What the delivery engine writes for a record of this topic that this group refused.
pub fn letter(key: &str, value: &str, topic: &str, group: &str) -> Plain {
    [
        ("user", "kept"),
        (dead_letter::TOPIC, topic),
        (dead_letter::PARTITION, "0"),
        (dead_letter::OFFSET, "7"),
        (dead_letter::GROUP, group),
        (dead_letter::DELIVERY_COUNT, "3"),
        (dead_letter::MESSAGE, "HTTP 500: out of stock"),
        (dead_letter::COMPONENT, "todo-pubsub"),
        (dead_letter::FAILURE, "rejected"),
        (dead_letter::FIRST_FAILURE, "2026-01-31T12:00:00Z"),
        (dead_letter::LAST_FAILURE, "2026-01-31T12:05:00Z"),
    ]
    .into_iter()
    .fold(Plain::new(key, value), |letter, (name, value)| {
        letter.with(name, value)
    })
}

/// Writes a record in a transaction that is aborted: a marker is the last there is.
pub async fn produce_aborted(brokers: &str, topic: &str) -> Result<()> {
    let to = topic.to_owned();
    with_producer(brokers, topic, TIMEOUT, move |producer| {
        producer.begin_transaction()?;
        let record = BaseRecord::to(&to).key("x").payload("aborted").partition(0);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(TIMEOUT)?;
        Ok(producer.abort_transaction(TIMEOUT)?)
    })
    .await
}

/// Everything that stands in a topic, times aside.
pub async fn read_all(brokers: &str, topic: &str) -> Result<Vec<Plain>> {
    let mut all = records::read(brokers, topic).await?;
    for plain in &mut all {
        plain.timestamp = None;
    }
    Ok(all)
}

/// `dapr-rdkafka dlq …` for these brokers.
pub fn dlq(brokers: &str, arguments: &[&str]) -> Command {
    let mut command = dlq_bare(arguments);
    command.args(["--brokers", brokers]);
    command
}

/// The same without any connection.
pub fn dlq_bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("dlq").args(arguments);
    command
}

/// A command's end: its exit code, its standard output and its standard error.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The lines of its output as JSON.
    pub fn json(&self) -> Result<Vec<Value>> {
        let lines = self.out.lines();
        lines
            .map(|line| {
                serde_json::from_str(line).map_err(|error| format!("{self:?}: {error}").into())
            })
            .collect()
    }
}

/// Runs a command to its end, without a terminal.
pub async fn say(mut command: Command) -> Result<Said> {
    command
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(60), command.output());
    let Output {
        status,
        stdout,
        stderr,
    } = ended.await??;
    Ok(Said {
        code: status.code(),
        out: String::from_utf8(stdout)?,
        err: String::from_utf8(stderr)?,
    })
}

/// Starts a command that will be interrupted.
pub fn begin(command: Command) -> Result<Process> {
    Process::start("dapr-rdkafka dlq", command)
}

/// Where an instance's admin socket is, in the folder of the sockets.
pub fn admin_socket(sockets: &std::path::Path) -> Result<PathBuf> {
    let folder = sockets.join("admin");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join("rdkafka.sock"))
}
