use std::path::{Path, PathBuf};

use reqwest::Client;
use serde_json::Value;
use tokio::process::Command;

use crate::{Process, Result, STARTUP, eventually, free_port, root};

/// A program that `make prometheus` finds or fetches: `prometheus` or `promtool`.
pub fn prometheus_program(name: &str) -> PathBuf {
    root().join("target/prometheus/bin").join(name)
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    /// The child.
    pub process: Process,
    url: String,
    client: Client,
}

impl Prometheus {
    /// Starts one with a configuration, and its data in a folder; waits until it answers.
    pub async fn start(configuration: &Path, data: &Path) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(prometheus_program("prometheus"));
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let mut started = Self {
            process: Process::start("prometheus", command)?,
            url: format!("http://{address}"),
            client: Client::builder().no_proxy().build()?,
        };
        let ready = format!("{}/-/ready", started.url);
        let (process, client) = (&mut started.process, &started.client);
        let asked = eventually("Prometheus is ready", STARTUP, || {
            let ended = process.has_ended();
            let asked = client.get(&ready).send();
            async move {
                let is_ready = !ended && asked.await.is_ok_and(|it| it.status().is_success());
                (ended || is_ready).then_some(is_ready)
            }
        });
        match asked.await {
            Ok(true) => Ok(started),
            Ok(false) => Err(started.process.failed("ended before it was ready")),
            Err(error) => Err(started.process.failed(&error.to_string())),
        }
    }

    /// What an expression gives now: its series.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let data = self.ask("query", &[("query", expression)]).await?;
        let result = data["result"].as_array().cloned();
        result.ok_or_else(|| format!("{expression}: no vector: {data}").into())
    }

    /// What its API says, such as `rules` and `alerts`.
    pub async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url =
            reqwest::Url::parse_with_params(&format!("{}/api/v1/{what}", self.url), parameters)?;
        let answer: Value = self.client.get(url).send().await?.json().await?;
        if answer["status"] == "success" {
            return Ok(answer["data"].clone());
        }
        Err(format!("{what} {parameters:?}: {answer}").into())
    }
}
