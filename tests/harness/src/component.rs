use std::{fmt::Write as _, path::Path, time::Duration};

use tokio::process::Command;

use crate::{Process, Result, STARTUP, Stopped, root};

/// `dapr-rdkafka run`.
#[derive(Debug)]
pub struct Component {
    /// The child.
    pub process: Process,
}

impl Component {
    /// Starts the program with its sockets in a folder, and waits for them.
    pub async fn start(program: &Path, folder: &Path, names: &[&str]) -> Result<Self> {
        Self::start_with(program, folder, names, &[]).await
    }

    /// The same with more arguments. Unless they say where, its admin endpoints are
    /// on a free port: see [`Component::admin`].
    pub async fn start_with(
        program: &Path,
        folder: &Path,
        names: &[&str],
        more: &[&str],
    ) -> Result<Self> {
        Self::start_by(Command::new(program), folder, names, more).await
    }

    /// The same by a command that runs the program, with an environment of its own
    /// or in other surroundings.
    pub async fn start_by(
        mut command: Command,
        folder: &Path,
        names: &[&str],
        more: &[&str],
    ) -> Result<Self> {
        command.arg("run").arg("--socket-folder").arg(folder);
        if !more.contains(&"--admin-listen") {
            command.args(["--admin-listen", "127.0.0.1:0"]);
        }
        command.args(more);
        for name in names {
            command.args(["--name", name]);
        }
        let mut process = Process::start("dapr-rdkafka", command)?;
        for name in names {
            let bound = format!("pubsub.{name} listens on");
            process
                .line(&bound, STARTUP, |line| line.contains(&bound))
                .await?;
        }
        Ok(Self { process })
    }

    /// Where its admin endpoints are, as `http://host:port`.
    pub async fn admin(&mut self) -> Result<String> {
        let told = "admin endpoints listen on ";
        let process = &mut self.process;
        let line = process
            .line(told, STARTUP, |line| line.contains(told))
            .await?;
        let url = line
            .split_once(told)
            .and_then(|(_, rest)| rest.split(' ').next());
        Ok(url.ok_or("the line has no URL")?.to_owned())
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(self) -> Result<Stopped> {
        self.process.stop(Duration::from_secs(40)).await
    }
}

/// `dapr-rdkafka broker`.
#[derive(Debug)]
pub struct EmbeddedBroker {
    /// The child.
    pub process: Process,
    /// Where it listens, `host:port`.
    pub address: String,
}

impl EmbeddedBroker {
    /// Starts the program with these topics.
    pub async fn start(program: &Path, topics: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["broker", "--topics", &topics.join(",")]);
        let mut process = Process::start("the embedded broker", command)?;
        let is_address = |line: &str| {
            line.rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        };
        let address = process.line("its address", STARTUP, is_address).await?;
        Ok(Self { process, address })
    }
}

/// Writes a Component file for daprd.
pub fn write_component(
    folder: &Path,
    name: &str,
    kind: &str,
    metadata: &[(&str, &str)],
) -> Result<()> {
    let mut yaml = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  \
         type: {kind}\n  version: v1\n  metadata:\n"
    );
    for (key, value) in metadata {
        // JSON's strings are YAML's.
        let value = serde_json::to_string(value)?;
        write!(yaml, "  - name: {key}\n    value: {value}\n")?;
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{name}.yaml")), yaml)?;
    Ok(())
}

/// Puts a sample of `components/` into a folder for daprd, as a user would: with
/// the brokers' own address.
pub fn copy_sample(sample: &str, folder: &Path, brokers: &str) -> Result<()> {
    let yaml = std::fs::read_to_string(root().join("components").join(sample))?;
    let placeholder = "localhost:9092";
    if !yaml.contains(placeholder) {
        return Err(format!("components/{sample} has no broker {placeholder}").into());
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(sample), yaml.replace(placeholder, brokers))?;
    Ok(())
}
