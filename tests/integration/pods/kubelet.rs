//! What the kubelet does with a pod: starts, probes, restarts and stops its containers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{Result, STARTUP, Stopped};
use tokio::time::sleep;

use super::{
    pod::Pod,
    wanted::{Wanted, Way},
};
use crate::support::Fixture;

/// How often the containers are looked at.
const TICK: Duration = Duration::from_millis(50);

/// `terminationGracePeriodSeconds`.
pub const GRACE: Duration = Duration::from_secs(45);

/// How the component and daprd ended.
pub struct Ended {
    pub component: Stopped,
    pub daprd: Stopped,
}

impl Pod {
    /// Starts the containers, in the order of the pod's way to run the component.
    pub async fn start(fixture: &Arc<Fixture>, wanted: Wanted) -> Result<Self> {
        let (way, late) = (wanted.way, wanted.late);
        let mut pod = Self::new(fixture, wanted).await?;
        match way {
            Way::NativeSidecar => {
                pod.start_component(late).await?;
                pod.startup_probe().await?;
                pod.start_app().await?;
                pod.start_daprd().await?;
            }
            Way::Container => {
                pod.start_app().await?;
                pod.start_component(late).await?;
                pod.post_start().await?;
                pod.start_daprd().await?;
            }
            Way::Injector => {
                pod.start_app().await?;
                pod.start_daprd().await?;
                pod.start_component(late).await?;
            }
        }
        Ok(pod)
    }

    /// The same, and waits until daprd and its components are ready.
    pub async fn ready(fixture: &Arc<Fixture>, wanted: Wanted) -> Result<Self> {
        let mut pod = Self::start(fixture, wanted).await?;
        pod.healthy().await?;
        Ok(pod)
    }

    /// Waits until daprd says that it and its components are ready.
    pub async fn healthy(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/v1.0/healthz", self.http_port);
        let client = reqwest::Client::new();
        self.keep("daprd is healthy", || async {
            let asked = client.get(&url).send().await;
            asked.is_ok_and(|answer| answer.status().is_success())
        })
        .await
    }

    /// Waits until the component has ended, was started again, and is served.
    pub async fn component_again(&mut self) -> Result<()> {
        self.again("the component", |pod| pod.component.starts)
            .await?;
        self.startup_probe().await
    }

    /// Waits until daprd has ended, was started again, and is ready.
    pub async fn daprd_again(&mut self) -> Result<()> {
        self.again("daprd", |pod| pod.daprd.starts).await?;
        self.healthy().await
    }

    async fn again(&mut self, what: &str, starts: impl Fn(&Self) -> usize) -> Result<()> {
        let (before, until) = (starts(self), Instant::now() + STARTUP);
        while starts(self) == before {
            if Instant::now() > until {
                return Err(self.failed(&format!("{what} was not started again")));
            }
            self.tend().await?;
            sleep(TICK).await;
        }
        Ok(())
    }

    /// Keeps the containers running until a state is reached.
    pub async fn keep<F: Future<Output = bool>>(
        &mut self,
        what: &str,
        state: impl Fn() -> F,
    ) -> Result<()> {
        let until = Instant::now() + STARTUP;
        while !state().await {
            if Instant::now() > until {
                return Err(self.failed(&format!("not within {STARTUP:?}: {what}")));
            }
            self.tend().await?;
            sleep(TICK).await;
        }
        Ok(())
    }

    /// Starts what has ended, and ends what does not live.
    pub async fn tend(&mut self) -> Result<()> {
        if self.component.is_due() {
            let late = self.late_again;
            self.start_component(late).await?;
        }
        if self.daprd.is_due() {
            self.start_daprd().await?;
        }
        let since = self.daprd.since.elapsed();
        if self.daprd.running.is_some() && self.liveness.ends(since, self.public_port).await {
            self.daprd.process()?.signal_inner("TERM").await?;
        }
        Ok(())
    }

    /// Ends the pod in the kubelet's order; `app` ends the app that is outside, if there is one.
    pub async fn end(mut self, app: impl FnOnce()) -> Result<Ended> {
        let (Some(component), Some(daprd)) =
            (self.component.running.take(), self.daprd.running.take())
        else {
            return Err(self.failed("a container does not run"));
        };
        app();
        let todo = self.todo.take();
        let todo = async {
            match todo {
                Some(todo) => todo.process.stop_inner(GRACE).await.map(Some),
                None => Ok(None),
            }
        };
        let daprd = daprd.process.stop_inner(GRACE);
        let component = component.stop_inner(GRACE);
        // A native sidecar ends after all others; the rest get the signal together.
        let (daprd, todo, component) = if self.wanted.way == Way::NativeSidecar {
            let (daprd, todo) = tokio::join!(daprd, todo);
            (daprd, todo, component.await)
        } else {
            tokio::join!(daprd, todo, component)
        };
        todo?;
        Ok(Ended {
            component: component?,
            daprd: daprd?,
        })
    }

    /// An error about this pod, with what its containers printed last.
    pub fn failed(&mut self, what: &str) -> harness::Error {
        let (component, daprd) = (self.component.output(), self.daprd.output());
        format!(
            "{:?}: {what}\ndapr-rdkafka:\n{}\ndaprd:\n{}",
            self.wanted,
            last(&component),
            last(&daprd)
        )
        .into()
    }
}

/// The last lines of an output.
fn last(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n  ")
}
