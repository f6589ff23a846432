//! Why connections to brokers break while a component runs.
//!
//! librdkafka's log tells that one broke, and seldom why. Then the doctor's checks look at
//! that broker, now and then as long as they find something. A connection that was idle, or
//! a broker that restarts, is no problem: only what the checks find is.

mod known;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::known::{Change, Known};
use super::oauth;
use crate::{
    doctor::{self, Condition},
    metadata::Settings,
    telemetry::events::{BrokerProblem, BrokerWell, broker_problems},
};

/// How long one look at a broker may take.
const LOOK: Duration = Duration::from_secs(3);

/// How often gauges are set: those that nobody sets go.
const GAUGES: Duration = Duration::from_secs(1);

/// Room for failures that were not looked at yet; more tell nothing new.
const ROOM: usize = 64;

/// The watches in this process, by the names of their instances. An instance's clients are
/// made in many places, and librdkafka's threads call back by name.
static WATCHES: Mutex<Vec<Weak<Watched>>> = Mutex::new(Vec::new());

/// Where a failure was seen.
struct Failed {
    address: String,
    node: Option<i32>,
}

struct Watched {
    instance: Arc<str>,
    bootstrap: Vec<String>,
    failed: mpsc::Sender<Failed>,
}

/// Finds out why connections of an instance's clients break, as long as this lives.
pub struct BrokerWatch {
    _watched: Arc<Watched>,
    /// Ends the task.
    _task: DropGuard,
}

impl BrokerWatch {
    /// Begins to watch. Must be called on the runtime.
    pub fn open(settings: &Settings, instance: &Arc<str>) -> Self {
        let (failed, failures) = mpsc::channel(ROOM);
        let ended = CancellationToken::new();
        let task = watch(settings.clone(), instance.clone(), failures);
        tokio::spawn(ended.clone().run_until_cancelled_owned(task));
        let watched = Arc::new(Watched {
            instance: instance.clone(),
            bootstrap: settings.brokers.clone(),
            failed,
        });
        let mut all = watches();
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&watched));
        Self {
            _watched: watched,
            _task: ended.drop_guard(),
        }
    }
}

fn watches() -> MutexGuard<'static, Vec<Weak<Watched>>> {
    WATCHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client of this instance lost, or did not get, a connection to this broker. Never waits.
pub(super) fn failed(instance: &Arc<str>, address: &str, node: Option<i32>) {
    if let Some(watched) = find(instance) {
        watched.note(address, node);
    }
}

/// A client of this instance has no connection to any broker. Never waits.
pub(super) fn all_failed(instance: &Arc<str>) {
    if let Some(watched) = find(instance) {
        for address in &watched.bootstrap {
            watched.note(address, None);
        }
    }
}

/// The last watch of this instance: a reloaded component has two for a moment.
fn find(instance: &Arc<str>) -> Option<Arc<Watched>> {
    let all = watches();
    let mut living = all.iter().rev().filter_map(Weak::upgrade);
    living.find(|watched| watched.instance == *instance)
}

impl Watched {
    fn note(&self, address: &str, node: Option<i32>) {
        let address = address.to_owned();
        // If there is no room, enough is being looked at.
        let _ = self.failed.try_send(Failed { address, node });
    }
}

/// Looks at brokers whose connections broke, for ever.
async fn watch(settings: Settings, instance: Arc<str>, mut failures: mpsc::Receiver<Failed>) {
    let mut known = Known::default();
    let mut looks = FuturesUnordered::new();
    let mut gauges = tokio::time::interval(GAUGES);
    loop {
        let due = known.next_due();
        tokio::select! {
            Some(Failed { address, node }) = failures.recv() => {
                known.failed(address, node, Instant::now());
            }
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                for (address, node) in known.take_due(Instant::now()) {
                    looks.push(look(&settings, address, node));
                }
            }
            Some((address, verdict)) = looks.next() => {
                let change = known.judged(&address, verdict, Instant::now());
                tell(&instance, &address, change);
                set(&instance, &known);
            }
            _ = gauges.tick() => set(&instance, &known),
            else => return,
        }
    }
}

async fn look(settings: &Settings, address: String, node: Option<i32>) -> (String, Condition) {
    let token = oauth::known(&settings.security.login);
    let until = Instant::now() + LOOK;
    let verdict = doctor::one(settings, token, &address, node, until).await;
    (address, verdict)
}

fn tell(instance: &Arc<str>, broker: &str, change: Option<Change>) {
    match change {
        Some(Change::Problem(check)) => {
            if let Some(finding) = check.finding() {
                BrokerProblem {
                    instance,
                    broker,
                    code: finding.row.code,
                    cause: &finding.cause,
                    fix: &finding.fix.line(),
                }
                .emit();
            }
        }
        Some(Change::Well(code)) => BrokerWell {
            instance,
            broker,
            code,
        }
        .emit(),
        None => {}
    }
}

fn set(instance: &Arc<str>, known: &Known) {
    for (code, count) in known.counts() {
        broker_problems(instance, code, count);
    }
}
