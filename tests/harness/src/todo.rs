use std::{path::Path, time::Duration};

use serde_json::Value;
use tokio::process::Command;

use crate::{Process, Result, STARTUP, eventually};

/// The topics that the Todo app publishes and subscribes to.
pub const TODO_TOPICS: [&str; 6] = [
    "task-created",
    "task-updated",
    "task-completed",
    "task-deleted",
    "task-due-soon",
    "recurring-task-due",
];

/// The Todo app of `examples/todo`.
#[derive(Debug)]
pub struct Todo {
    /// The child.
    pub process: Process,
    /// Where it listens.
    pub port: u16,
    client: reqwest::Client,
}

impl Todo {
    /// Starts the app on a port, for a daprd with that HTTP port.
    pub async fn start(program: &Path, port: u16, dapr_http_port: u16) -> Result<Self> {
        Self::start_by(Command::new(program), port, dapr_http_port).await
    }

    /// The same by a command that runs the program, in other surroundings.
    pub async fn start_by(mut command: Command, port: u16, dapr_http_port: u16) -> Result<Self> {
        command
            .env("APP_PORT", port.to_string())
            .env("DAPR_HTTP_PORT", dapr_http_port.to_string());
        let mut process = Process::start("the Todo app", command)?;
        process
            .line("its address", STARTUP, |line| line.contains("listening on"))
            .await?;
        Ok(Self {
            process,
            port,
            client: reqwest::Client::new(),
        })
    }

    /// A URL of the app.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Calls the app's API; the answer must be a success.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let method = method.parse::<reqwest::Method>()?;
        let answer = self
            .client
            .request(method.clone(), self.url(path))
            .json(body)
            .timeout(Duration::from_secs(30))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The events that came back from Kafka so far.
    pub async fn events(&self) -> Result<Vec<Value>> {
        let events = self.call("GET", "/api/events", &Value::Null).await?;
        Ok(events.as_array().cloned().unwrap_or_default())
    }

    /// Waits for an event of a topic about a task.
    pub async fn event(&self, topic: &str, task: &str, within: Duration) -> Result<Value> {
        let what = format!("a {topic} event of task {task}");
        eventually(&what, within, || async {
            let events = self.events().await.ok()?;
            events
                .into_iter()
                .find(|event| event["topic"] == topic && event["data"]["id"] == task)
        })
        .await
    }
}
