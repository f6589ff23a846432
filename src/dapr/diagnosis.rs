//! What the instances tell about themselves to whoever asks.

use std::{collections::HashMap, time::SystemTime};

use serde::Serialize;

use super::{
    instances::{Identity, is_running},
    uninitialised::Component,
};
use crate::model::time::rfc3339_seconds;

/// A component instance, without its secrets.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceInfo {
    /// Its name and type.
    #[serde(flatten)]
    pub component: Component,
    /// The process id of its daprd; none if the kernel does not tell, as for a
    /// process of another PID namespace.
    pub process: Option<i32>,
    /// Whether that process runs; none if it is not known.
    pub process_runs: Option<bool>,
    /// The consumer group, if it has one.
    pub group: Option<String>,
    /// Whether its Init succeeded; if not, only what daprd gave is kept of it.
    pub initialised: bool,
}

impl InstanceInfo {
    pub(super) fn new(identity: &Identity, group: Option<&str>) -> Self {
        Self {
            component: identity.component(),
            process: identity.process,
            process_runs: identity.process.map(is_running),
            group: group.map(str::to_owned),
            initialised: true,
        }
    }

    /// One whose last Init failed.
    pub(super) fn refused(identity: &Identity) -> Self {
        Self {
            initialised: false,
            ..Self::new(identity, None)
        }
    }
}

/// The topics that an instance was used for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Uses {
    /// Those that a publish reached.
    pub published: Vec<String>,
    /// Those that were subscribed to.
    pub subscriptions: Vec<Used>,
}

/// A topic that was subscribed to.
#[derive(Clone, Debug, Serialize)]
pub struct Used {
    /// The topic.
    pub topic: String,
    /// The subscription's own metadata.
    pub metadata: HashMap<String, String>,
}

/// Whether an instance's brokers answer.
#[derive(Clone, Debug, Serialize)]
pub struct Brokers {
    /// At least one does.
    pub reachable: bool,
    /// Since when none does, as far as anyone asked (RFC 3339).
    pub unreachable_since: Option<String>,
    /// What each said.
    pub reason: Option<String>,
}

/// An instance, and whether its brokers answer.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceHealth {
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceInfo,
    /// Its brokers.
    pub brokers: Brokers,
}

/// A time as RFC 3339, in seconds.
pub fn told(time: SystemTime) -> String {
    rfc3339_seconds(time)
}
