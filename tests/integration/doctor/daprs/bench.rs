//! A daprd that the doctor is asked about.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    time::Duration,
};

use harness::{Daprd, DaprdBuild, DaprdOptions, Process, Result, write_component};
use tokio::{process::Command, time::timeout};

use crate::{
    ensure,
    support::{Fixture, Place, SOON, doctor::Diagnosis, program},
};

/// How long the doctor may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Component, the folder of its sockets, and a daprd that may have something else.
pub struct Bench {
    /// What daprd has.
    pub place: Place,
    /// What the doctor is asked about.
    asked: Place,
    pub brokers: String,
    pub app_id: String,
}

impl Bench {
    pub async fn new(fixture: &Fixture, kind: &str) -> Result<Self> {
        let brokers = fixture.kafka().await?.to_owned();
        let bench = Self {
            place: Place::new()?,
            asked: Place::new()?,
            app_id: fixture.name("app"),
            brokers,
        };
        fs::create_dir_all(bench.place.resources())?;
        fs::create_dir_all(bench.place.sockets())?;
        bench.write(&bench.asked, kind)?;
        Ok(bench)
    }

    fn write(&self, place: &Place, kind: &str) -> Result<()> {
        let metadata = [("brokers", self.brokers.as_str()), ("authType", "none")];
        write_component(&place.resources(), "todo-pubsub", kind, &metadata)
    }

    /// Gives daprd the Component.
    pub fn load(&self, kind: &str) -> Result<()> {
        self.write(&self.place, kind)
    }

    pub async fn ask(&self, port: u16, more: &[&str]) -> Result<Diagnosis> {
        self.ask_with(port, more, &[]).await
    }

    pub async fn ask_with(
        &self,
        port: u16,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Diagnosis> {
        let mut command = Command::new(program());
        command
            .args(["doctor", "--output", "json", "--component"])
            .arg(self.asked.resources().join("todo-pubsub.yaml"))
            .arg("--socket-folder")
            .arg(self.place.sockets())
            .args(["--dapr-http-port", &port.to_string()])
            .args(more)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Diagnosis {
            code: output.status.code().ok_or("it was killed")?,
            json: serde_json::from_slice(&output.stdout)
                .map_err(|error| format!("{error}; it said {said:?}"))?,
        })
    }

    pub async fn is_healthy(&self, port: u16, more: &[&str]) -> Result<Diagnosis> {
        let diagnosis = self.ask(port, more).await?;
        ensure!(
            diagnosis.code == 0 && diagnosis.findings().is_empty(),
            "{:#}",
            diagnosis.json
        );
        Ok(diagnosis)
    }

    pub async fn daprd(&self) -> Result<Daprd> {
        self.place
            .daprd(DaprdBuild::USUAL, &self.app_id, None)
            .await
    }

    /// A daprd that a shell's commands prepare.
    pub fn daprd_after(&self, commands: &str, port: u16) -> Result<Daprd> {
        let script = self.place.resources().with_file_name("daprd.sh");
        let daprd = DaprdBuild::USUAL.program();
        let text = format!("#!/bin/sh\n{commands} {} \"$@\"\n", daprd.display());
        fs::write(&script, text)?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        self.spawn(&script, port)
    }

    pub fn spawn(&self, program: &Path, port: u16) -> Result<Daprd> {
        let (resources, sockets) = (self.place.resources(), self.place.sockets());
        let options = DaprdOptions {
            app_id: &self.app_id,
            app_port: None,
            resources: &resources,
            sockets: &sockets,
        };
        Daprd::spawn(program, &options, port)
    }
}

/// The only finding is this; what its fix says to run.
pub fn command_of(diagnosis: &Diagnosis, code: &str) -> Result<Vec<String>> {
    diagnosis.is_first(code)?;
    ensure!(diagnosis.codes() == [code], "{:#}", diagnosis.json);
    let command = diagnosis.findings()[0]["fix"]["command"].as_str();
    let words = command.ok_or("no command")?.split(' ');
    Ok(words.map(str::to_owned).collect())
}

/// Starts the component as a fix says.
pub async fn start(words: &[String]) -> Result<Process> {
    ensure!(words[0] == "dapr-rdkafka", "{words:?}");
    let mut command = Command::new(program());
    command.args(&words[1..]).args(["--admin-listen", "off"]);
    let mut process = Process::start("dapr-rdkafka", command)?;
    let bound = "listens on";
    process
        .line(bound, SOON, |line| line.contains(bound))
        .await?;
    Ok(process)
}

/// Runs what a fix says.
pub async fn run(words: &[String]) -> Result<()> {
    let status = Command::new(&words[0]).args(&words[1..]).status().await?;
    ensure!(status.success(), "{words:?}: {status}");
    Ok(())
}
