//! Whether brokers answer, and if they don't, why not.
//!
//! The client that is to work is asked, and beside it the doctor's checks look at each
//! broker: a client that has an answer from a bootstrap broker may yet find none where
//! the cluster says that its brokers are, and a client that has none does not say why.

use std::{
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout, timeout_at},
};

use super::{context::Failures, oauth};
use crate::{
    doctor::{Came, Recorder, Report, Severity, Stage, quick, unanswered},
    metadata::Settings,
    telemetry::events::BrokerFound,
};

/// How long a client may look for a broker before the checks say why it finds none, where
/// its answer alone is wanted. A cluster that is well answers far sooner.
const HEAD_START: Duration = Duration::from_millis(500);

/// How long a client's answer is waited for in any case: it counts more than what the
/// checks say of bootstrap brokers.
const FAIR: Duration = Duration::from_secs(1);

/// How long the checks may take where only they are asked.
const ALONE: Duration = Duration::from_secs(3);

/// The end of the time, kept for telling what was found.
const TELL: Duration = Duration::from_millis(300);

/// The pause before brokers that may just be starting are looked at again, and the least
/// time that is worth it.
const AGAIN: Duration = Duration::from_millis(300);

/// An error's longest text: whoever gets it logs it on one line.
const LONGEST: usize = 400;

/// No broker can be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{line}")]
pub struct Unreachable {
    /// The first finding: code, broker, cause and fix, in at most 400 characters.
    line: String,
    /// All of them.
    report: Report,
}

impl Unreachable {
    fn new(report: Report) -> Self {
        let line = report.brief(LONGEST);
        let line = line.unwrap_or_else(|| {
            "no broker answered in time, and the checks did not come to an end; see whether DNS \
             answers, or run `dapr-rdkafka doctor`"
                .into()
        });
        Self { line, report }
    }

    /// Writes everything that was found into the log.
    pub fn tell(&self, instance: &Arc<str>) {
        tell(instance, &self.report, false);
    }
}

/// Who is asked.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) settings: Settings,
    pub(super) instance: Arc<str>,
    pub(super) failures: Failures,
}

impl Client {
    /// Waits until `ask` says how many brokers there are, and one of them was reached
    /// where it is advertised. What is wrong with others is logged, when it is known.
    pub(super) async fn reach(
        &self,
        within: Duration,
        ask: impl FnOnce(Duration) -> Option<usize> + Send + 'static,
    ) -> Result<usize, Unreachable> {
        let begun = Instant::now();
        let end = begun + within;
        let mut answer = pin!(answer(within, ask));
        let mut checks = pin!(self.checks(begun + within.saturating_sub(TELL)));
        let checked = tokio::select! {
            brokers = &mut answer => {
                return match checks.await {
                    Ok(checks) => {
                        tokio::spawn(checks.tell(self.instance.clone()));
                        Ok(brokers)
                    }
                    Err((Came::ToBootstrap, report)) => Err(Unreachable::new(report)),
                    // The client got further than the checks; what they saw is told.
                    Err((_, report)) => {
                        tell(&self.instance, &report, true);
                        Ok(brokers)
                    }
                };
            }
            checked = &mut checks => checked,
        };
        match checked {
            Ok(checks) => match timeout_at(end.into(), answer).await {
                Ok(brokers) => {
                    tokio::spawn(checks.tell(self.instance.clone()));
                    Ok(brokers)
                }
                Err(_) => Err(self.unanswered(begun, checks.recorder.report())),
            },
            Err((Came::ToBootstrap, report)) => Err(Unreachable::new(report)),
            Err((_, report)) => {
                let fair = (begun + FAIR).min(end);
                match timeout_at(fair.into(), answer).await {
                    Ok(brokers) => {
                        tell(&self.instance, &report, true);
                        Ok(brokers)
                    }
                    Err(_) => Err(Unreachable::new(report)),
                }
            }
        }
    }

    /// Waits until `ask` says how many brokers there are. Only if that takes long there are
    /// checks, and nothing of them is logged.
    pub(super) async fn answers(
        &self,
        within: Duration,
        ask: impl FnOnce(Duration) -> Option<usize> + Send + 'static,
    ) -> Result<usize, Unreachable> {
        let begun = Instant::now();
        let end = begun + within;
        let mut answer = pin!(answer(within, ask));
        if let Ok(brokers) = timeout(HEAD_START, &mut answer).await {
            return Ok(brokers);
        }
        let checks = Checks::begin(&self.settings, begun + within.saturating_sub(TELL));
        tokio::select! {
            brokers = &mut answer => Ok(brokers),
            checked = checks.usable() => match checked {
                Ok(checks) => match timeout_at(end.into(), answer).await {
                    Ok(brokers) => Ok(brokers),
                    Err(_) => Err(self.unanswered(begun, checks.recorder.report())),
                },
                Err((_, report)) => Err(Unreachable::new(report)),
            }
        }
    }

    /// Checks until a broker can be used. Where nothing takes connections it looks again:
    /// a broker may just be starting.
    async fn checks(&self, until: Instant) -> Result<Checks, (Came, Report)> {
        loop {
            match Checks::begin(&self.settings, until).usable().await {
                Err((Came::Nowhere, report))
                    if may_be_starting(&report) && Instant::now() + AGAIN * 2 < until =>
                {
                    sleep(AGAIN).await;
                }
                checked => return checked,
            }
        }
    }

    fn unanswered(&self, begun: Instant, mut report: Report) -> Unreachable {
        let said = self.failures.since(begun);
        report.checks.insert(0, unanswered(&self.settings, said));
        Unreachable::new(report)
    }
}

/// Whether a broker answers whoever comes anew.
pub async fn broker_answers(settings: &Settings) -> bool {
    looked_at(settings).await.is_ok()
}

/// Looks for a broker by connections of its own.
pub(super) async fn looked_at(settings: &Settings) -> Result<(), Unreachable> {
    let checks = Checks::begin(settings, Instant::now() + ALONE);
    match checks.usable().await {
        Ok(_) => Ok(()),
        Err((_, report)) => Err(Unreachable::new(report)),
    }
}

/// What the client answers; if it has no answer this does not end.
async fn answer(
    within: Duration,
    ask: impl FnOnce(Duration) -> Option<usize> + Send + 'static,
) -> usize {
    match tokio::task::spawn_blocking(move || ask(within)).await {
        Ok(Some(brokers)) => return brokers,
        // Why there is no answer is for the checks to tell.
        Ok(None) => {}
        Err(ended) => tracing::error!("asking the brokers ended early: {ended}"),
    }
    pending().await
}

/// Whether all that is wrong is that nothing is there yet.
fn may_be_starting(report: &Report) -> bool {
    let findings = report.findings();
    !findings.is_empty() && findings.iter().all(|check| check.stage <= Stage::Tcp)
}

/// Checks that go on by themselves.
struct Checks {
    recorder: Arc<Recorder>,
    usable: watch::Receiver<bool>,
    task: JoinHandle<Came>,
}

impl Checks {
    fn begin(settings: &Settings, until: Instant) -> Self {
        let (found, usable) = watch::channel(false);
        let found = Mutex::new(found);
        let recorder = Arc::new(Recorder::watched(move |check| {
            if check.is_usable_broker() {
                let found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.send_replace(true);
            }
        }));
        let (settings, told) = (settings.clone(), recorder.clone());
        let task = tokio::spawn(async move {
            let token = oauth::known(&settings.security.login);
            quick(&settings, token, until, &told).await
        });
        Self {
            recorder,
            usable,
            task,
        }
    }

    /// Waits for a broker that can be used, or how far they came without.
    async fn usable(mut self) -> Result<Self, (Came, Report)> {
        let mut usable = self.usable.clone();
        let came = tokio::select! {
            Ok(_) = usable.wait_for(|usable| *usable) => None,
            came = &mut self.task => Some(came.unwrap_or(Came::Nowhere)),
        };
        match came {
            None => Ok(self),
            Some(came @ Came::ToBroker) => {
                // It has ended, and whoever waits for it has its result once more.
                self.task = tokio::spawn(async move { came });
                Ok(self)
            }
            Some(came) => Err((came, self.recorder.report())),
        }
    }

    /// Logs what is wrong with single brokers, once that is known.
    async fn tell(self, instance: Arc<str>) {
        if self.task.await.is_ok() {
            tell(&instance, &self.recorder.report(), true);
        }
    }
}

/// Logs each finding; none is an error as long as it `works` without.
fn tell(instance: &Arc<str>, report: &Report, works: bool) {
    for check in report.findings() {
        if let Some(finding) = check.finding() {
            BrokerFound {
                instance,
                broker: &check.subject,
                code: finding.row.code,
                cause: &finding.cause,
                fix: &finding.fix.line(),
                error: !works && finding.severity == Severity::Problem,
            }
            .emit();
        }
    }
}

#[cfg(test)]
mod tests;
