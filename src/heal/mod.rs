//! `--heal-daprd`: a daprd that is older than this process is asked to shut down,
//! so that whoever supervises it starts it afresh.
//!
//! daprd initialises a component once, and never opens a broken stream again
//! (dapr/dapr v1.16.5, `pkg/components/pluggable`). When only this process was
//! restarted, nothing but a restart of daprd brings the messages back. It is asked
//! only on proof, until it takes a request, once per own start, and at most three times
//! an hour. A request that failed is repeated after minutes; one that daprd refused does
//! not count, one that it may have heard does. An Init by any daprd counts for a
//! component's name: with two daprds that share it, restarting the wrong one would be
//! worse than restarting none.

mod daprd;
mod decide;
mod times;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use daprd::Daprd;
pub use daprd::DaprdUrl;
use decide::{Asked, Decision, Proof, Sightings, decide};
use times::Times;

use crate::{
    dapr::{Component, Instances, told},
    telemetry::{
        events::DaprdShutdown,
        readiness::{Hold, Readiness},
    },
};

/// How often daprd is asked what it has loaded.
const LOOK: Duration = Duration::from_secs(5);

/// The state in which there is nothing to do.
const WATCHING: &str = "watching";

/// The state after a request that failed; [`HealingStatus::failed`] says why.
const FAILED: &str = "daprd could not be asked to shut down, and is asked again in 1 to 16 minutes";

/// What healing does, for whoever asks. Cheap to clone.
#[derive(Clone)]
pub struct Healing(Arc<Mutex<HealingStatus>>);

/// What healing does.
#[derive(Clone, Debug, Serialize)]
pub struct HealingStatus {
    /// Where daprd's API is.
    pub daprd: String,
    /// What is going on, in a sentence.
    pub state: String,
    /// What was proven, if anything was.
    pub proof: Option<String>,
    /// When daprd was last asked to shut down by this process (RFC 3339).
    pub asked: Option<String>,
    /// Why that failed, if it did.
    pub failed: Option<String>,
}

impl Healing {
    /// None takes place: the times of the shutdowns can't be kept.
    pub fn off(url: &DaprdUrl, error: &impl std::fmt::Display) -> Self {
        Self::new(
            url,
            format!("off, because the times of the shutdowns can't be kept: {error}"),
        )
    }

    fn new(url: &DaprdUrl, state: String) -> Self {
        Self(Arc::new(Mutex::new(HealingStatus {
            daprd: url.to_string(),
            state,
            proof: None,
            asked: None,
            failed: None,
        })))
    }

    /// What it does now.
    pub fn status(&self) -> HealingStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HealingStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches one daprd, and asks it to shut down when that is called for.
pub struct Healer {
    daprd: Daprd,
    times: Times,
    /// The types that this process serves, such as `pubsub.rdkafka`.
    kinds: Vec<String>,
    instances: Instances,
    readiness: Readiness,
    sightings: Sightings,
    asked: Asked,
    /// What was proven and not cured yet keeps the process from being ready.
    hold: Option<Hold>,
    healing: Healing,
}

impl Healer {
    /// A healer for the daprd at `url`, for the sockets' names. `times` is the file
    /// that keeps the limit over restarts.
    ///
    /// # Errors
    /// When the token can't be sent; the text says so and does not show it.
    pub fn new(
        url: &DaprdUrl,
        token: Option<&str>,
        times: &Path,
        names: &[String],
        instances: Instances,
        readiness: Readiness,
    ) -> Result<Self, String> {
        Ok(Self {
            daprd: Daprd::new(url, token)?,
            times: Times::new(times),
            kinds: names
                .iter()
                .map(|name| format!("pubsub.{}", name.to_lowercase()))
                .collect(),
            instances,
            readiness,
            sightings: Sightings::default(),
            asked: Asked::No,
            hold: None,
            healing: Healing::new(url, WATCHING.into()),
        })
    }

    /// What it does, for whoever asks.
    pub fn healing(&self) -> Healing {
        self.healing.clone()
    }

    /// Watches until it is dropped.
    pub async fn run(mut self) {
        let mut interval = tokio::time::interval(LOOK);
        loop {
            interval.tick().await;
            match self.daprd.components().await {
                Ok(components) => self.listed(components).await,
                // It may just be starting, and what it showed before may be over.
                Err(error) => {
                    self.sightings = Sightings::default();
                    self.tell(&format!(
                        "daprd does not answer, and is asked again every {LOOK:?}: {error}"
                    ));
                }
            }
        }
    }

    async fn listed(&mut self, components: Vec<Component>) {
        let ours = components.into_iter().filter(|component| {
            self.kinds.contains(&component.kind) && !self.instances.was_initialised(component)
        });
        let ours: BTreeSet<_> = ours.collect();
        let called = self.instances.uninitialised().into_iter();
        let called = called.map(|called| called.component).collect();
        let now = Instant::now();
        let proof = self.sightings.look(&ours, &called, now);
        self.instances.proven(self.sightings.proven(now));
        match proof {
            Some(proof) => self.proven(&proof).await,
            None if ours.is_empty() => {
                self.hold = None;
                if let Asked::Failed { .. } = self.asked {
                    self.asked = Asked::No;
                }
                let mut status = self.healing.lock();
                (status.proof, status.failed) = (None, None);
                drop(status);
                self.tell(WATCHING);
            }
            None => self.tell("daprd has loaded a component and not initialised it here; waiting"),
        }
    }

    async fn proven(&mut self, proof: &Proof) {
        let text = format!("daprd is older than this process: {proof}");
        self.healing.lock().proof = Some(proof.to_string());
        let readiness = &self.readiness;
        self.hold.get_or_insert_with(|| readiness.hold(text));
        let now = SystemTime::now();
        let times = match self.times.read() {
            Ok(times) => times,
            Err(error) => return self.cannot_count(&error),
        };
        match decide(self.asked, &times, (Instant::now(), now)) {
            Decision::AskedAlready => {
                self.tell("daprd was asked to shut down, and has not come back with an Init yet");
            }
            Decision::Wait => self.tell(FAILED),
            Decision::TooOften(until) => self.tell(&format!(
                "daprd was asked to shut down {} times within an hour, and is not asked again \
                 before {}; restart it by hand",
                decide::PER_HOUR,
                told(until)
            )),
            Decision::Ask => {
                // Counted before it is done: no crash in between makes it more.
                if let Err(error) = self.times.add(now) {
                    return self.cannot_count(&error);
                }
                self.ask(proof, now).await;
            }
        }
    }

    /// Asks daprd to shut down. If that fails it is tried again; it counts all the
    /// same, unless daprd said no: it may have heard it.
    async fn ask(&mut self, proof: &Proof, now: SystemTime) {
        let answer = self.daprd.shut_down().await;
        if answer.as_ref().is_err_and(|error| error.refused)
            && let Err(error) = self.times.take_back()
        {
            tracing::warn!("a refused shutdown counts as one of the hour's: {error}");
        }
        let failed = answer.err().map(|error| error.to_string());
        let event = DaprdShutdown {
            daprd: &self.healing.status().daprd,
            proof: &proof.to_string(),
            failed: failed.as_deref(),
        };
        event.emit();
        let mut status = self.healing.lock();
        status.asked = Some(told(now));
        if failed.is_some() {
            self.asked = self.asked.failed(Instant::now());
            status.state = FAILED.into();
        } else {
            self.asked = Asked::Yes;
            status.state = "daprd was asked to shut down".into();
        }
        status.failed = failed;
    }

    /// Without a count there is no limit, and without a limit nothing is asked.
    fn cannot_count(&self, error: &std::io::Error) {
        self.tell(&format!(
            "daprd is not asked to shut down, because the times of that can't be kept: {error}"
        ));
    }

    /// Says what is going on, in the log only when it is something else than before.
    fn tell(&self, state: &str) {
        let mut status = self.healing.lock();
        if status.state == state {
            return;
        }
        state.clone_into(&mut status.state);
        if state == WATCHING {
            tracing::info!("--heal-daprd {}: {state}", status.daprd);
        } else {
            tracing::warn!("--heal-daprd {}: {state}", status.daprd);
        }
    }
}
