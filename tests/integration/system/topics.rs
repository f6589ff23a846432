//! `dapr-rdkafka topics` on a real Kafka, and topics that a subscription creates.

mod apply;
mod cluster;
mod creation;
mod page;
mod rights;

use harness::{Result, root};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    support::{
        letters::{Said, say},
        program,
    },
    tests,
};

tests!(
    "system::topics":
    apply::a_file_is_applied_once_and_then_nothing_is_left_to_do,
    apply::each_kind_of_change_is_made_and_nothing_else,
    apply::what_may_lose_something_is_left_unless_it_is_allowed,
    apply::a_file_that_is_wrong_is_told_before_any_broker_is_asked,
    cluster::the_samples_topics_and_their_replicas_come_in_redpandas_shape,
    creation::a_subscription_creates_its_missing_topic_if_told_to,
    creation::what_forbids_it_is_told_and_the_stream_goes_on,
    page::each_file_of_the_page_is_taken,
    page::each_command_of_the_page_does_what_it_says,
    page::each_field_for_scripts_is_documented,
    rights::each_right_that_is_missing_is_named_and_its_command_gives_it,
);

/// A file that says how topics should be, for these brokers.
struct Wanted {
    folder: TempDir,
    brokers: String,
}

impl Wanted {
    fn new(brokers: &str, text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("topics.yaml"), text)?;
        let brokers = brokers.to_owned();
        Ok(Self { folder, brokers })
    }

    /// The sample in `deploy/`.
    fn sample(brokers: &str) -> Result<Self> {
        let text = std::fs::read_to_string(root().join("deploy/topics/topics.yaml"))?;
        Self::new(brokers, &text)
    }

    /// Runs a command on it; its results are JSON.
    async fn run(&self, action: &str, more: &[&str]) -> Result<Said> {
        let mut command = self.command(action);
        command.args(["--brokers", &self.brokers]).args(more);
        say(command).await
    }

    /// The same by a Component, which has the brokers from a variable, as in a Job.
    async fn run_by_component(&self, action: &str) -> Result<Said> {
        let component = self.folder.path().join("component.yaml");
        let text = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: todo-pubsub}\n\
                    spec:\n  type: pubsub.rdkafka\n  version: v1\n  metadata:\n  \
                    - {name: brokers, envRef: TEST_BROKERS}\n  - {name: authType, value: none}\n";
        std::fs::write(&component, text)?;
        let mut command = self.command(action);
        command.env("TEST_BROKERS", &self.brokers);
        command.arg("--component").arg(component);
        say(command).await
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(program());
        command.args(["topics", action, "--output", "json", "-f"]);
        command.arg(self.folder.path().join("topics.yaml"));
        command
    }

    /// The states of all topics in the plan, and its exit code.
    async fn plan(&self) -> Result<(Vec<(String, String)>, Option<i32>)> {
        let said = self.run("plan", &[]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = said.json()?;
        let states = lines
            .iter()
            .map(|line| (text(&line["topic"]), text(&line["state"])));
        Ok((states.collect(), said.code))
    }
}

/// The line of a topic.
fn of<'a>(lines: &'a [Value], topic: &str) -> Result<&'a Value> {
    let found = lines.iter().find(|line| line["topic"] == topic);
    Ok(found.ok_or_else(|| format!("nothing of {topic} in {lines:?}"))?)
}
