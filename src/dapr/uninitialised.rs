//! Calls for components that daprd never initialised in this process: it is older
//! than the process, and initialises a component only once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::Serialize;

use super::{diagnosis::told, instances::is_running};
use crate::telemetry::readiness::{Hold, Readiness};

/// Components that are kept in mind of those that were only called: callers make
/// up the names.
const KEPT: usize = 64;

/// Components that are kept in mind of those that were initialised: whoever calls Init
/// makes up the name, whatever comes of it.
const KNOWN: usize = 4096;

/// A component as daprd names it, whoever's it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Component {
    /// The Component's name, such as `todo-pubsub`.
    pub name: String,
    /// Its type in lower case, such as `pubsub.rdkafka`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Component {
    /// Names a component; daprd does not mind the case of a type (dapr/dapr v1.16.5,
    /// `pkg/components/pubsub/registry.go`).
    pub fn new(name: impl Into<String>, kind: &str) -> Self {
        let (name, kind) = (name.into(), kind.to_lowercase());
        Self { name, kind }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ({})", self.name, self.kind)
    }
}

/// A component that was called, and never initialised in this process.
#[derive(Clone, Debug, Serialize)]
pub struct Uninitialised {
    /// The component.
    #[serde(flatten)]
    pub component: Component,
    /// How often it was called.
    pub calls: u64,
    /// The first time (RFC 3339).
    pub since: String,
}

/// Which components were initialised, and which were only called.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    initialised: BTreeSet<Component>,
    called: BTreeMap<Component, Called>,
    /// What its daprd has loaded, and will not initialise here: `--heal-daprd` found that.
    proven: BTreeSet<Component>,
}

struct Called {
    calls: u64,
    /// The processes that called; `None` are those that the kernel does not tell.
    processes: BTreeSet<Option<i32>>,
    since: SystemTime,
    _hold: Hold,
}

impl Ledger {
    /// daprd calls Init: it knows this process, whatever comes of it.
    pub(super) fn initialised(&self, component: Component) {
        let mut state = self.lock();
        state.called.remove(&component);
        state.proven.remove(&component);
        if state.initialised.len() < KNOWN {
            state.initialised.insert(component);
        }
    }

    /// A process called it, and it has no instance.
    pub(super) fn called(&self, component: Component, process: Option<i32>, readiness: &Readiness) {
        let mut state = self.lock();
        state.forget_the_ended();
        if let Some(called) = state.called.get_mut(&component) {
            called.calls += 1;
            called.processes.insert(process);
        } else if state.called.len() < KEPT {
            let text = format!(
                "component {component} is called and was never initialised in this process, which \
                 was started after daprd; restart daprd"
            );
            let called = Called {
                calls: 1,
                processes: BTreeSet::from([process]),
                since: SystemTime::now(),
                _hold: readiness.hold(text),
            };
            state.called.insert(component, called);
        }
    }

    /// Whether daprd called Init for it since this process started. Of more components
    /// than can be kept in mind each counts as one: nobody is to be healed by mistake.
    pub(super) fn was_initialised(&self, component: &Component) -> bool {
        let state = self.lock();
        state.initialised.len() >= KNOWN || state.initialised.contains(component)
    }

    /// It is proven that daprd has these, and none else, and will not initialise them. An
    /// Init may have come in between.
    pub(super) fn proven(&self, components: impl Iterator<Item = Component>) {
        let mut state = self.lock();
        let open = components.filter(|component| !state.initialised.contains(component));
        state.proven = open.collect();
    }

    /// How many components daprd has, as far as is known, that it never initialised here.
    pub(super) fn count(&self) -> usize {
        let state = self.lock();
        let called = state.called.keys();
        called.chain(&state.proven).collect::<BTreeSet<_>>().len()
    }

    /// Lets go of components that only processes have called which have ended: whoever
    /// starts them again will initialise them.
    pub(super) fn forget_the_ended(&self) {
        self.lock().forget_the_ended();
    }

    /// Those that were only called.
    pub(super) fn uninitialised(&self) -> Vec<Uninitialised> {
        let mut state = self.lock();
        state.forget_the_ended();
        let called = state.called.iter();
        let told = called.map(|(component, called)| Uninitialised {
            component: component.clone(),
            calls: called.calls,
            since: told(called.since),
        });
        told.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_the_ended(&mut self) {
        self.called.retain(|_, called| {
            called
                .processes
                .retain(|process| process.is_none_or(is_running));
            !called.processes.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that runs, and one that has ended.
    fn processes() -> (i32, i32) {
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        child.wait().expect("it ended");
        let number = |id: u32| i32::try_from(id).expect("a process id");
        (number(std::process::id()), number(child.id()))
    }

    #[test]
    fn a_component_whose_callers_have_ended_holds_nothing() {
        let (ledger, readiness) = (Ledger::default(), Readiness::default());
        let (runs, ended) = processes();
        for (name, caller) in [
            ("a", Some(ended)),
            ("b", Some(ended)),
            ("b", Some(runs)),
            ("c", None),
        ] {
            ledger.called(named(name), caller, &readiness);
        }
        ledger.forget_the_ended();
        let held: Vec<_> = readiness
            .reasons()
            .into_iter()
            .map(|reason| reason.text)
            .collect();
        assert_eq!(held.len(), 2, "{held:?}");
        assert!(!held.iter().any(|text| text.contains("\"a\"")), "{held:?}");
        let left = ledger.uninitialised();
        let left: Vec<_> = left.iter().map(|left| &*left.component.name).collect();
        assert_eq!(left, ["b", "c"]);
    }

    #[test]
    fn of_too_many_components_none_counts_as_unknown() {
        let ledger = Ledger::default();
        for number in 0..KNOWN {
            assert!(!ledger.was_initialised(&named("other")));
            ledger.initialised(named(&number.to_string()));
        }
        assert!(ledger.was_initialised(&named("other")));
    }

    fn named(name: &str) -> Component {
        Component::new(name, "pubsub.rdkafka")
    }

    #[test]
    fn a_called_component_holds_readiness_until_its_init() {
        let (ledger, readiness) = (Ledger::default(), Readiness::default());
        for _ in 0..2 {
            ledger.called(named("todo"), None, &readiness);
        }
        let reasons = readiness.reasons();
        assert_eq!(reasons.len(), 1, "one hold for two calls: {reasons:?}");
        assert!(reasons[0].text.contains("\"todo\" (pubsub.rdkafka)"));
        assert_eq!(ledger.uninitialised()[0].calls, 2);
        assert!(!ledger.was_initialised(&named("todo")));

        ledger.initialised(Component::new("todo", "pubsub.RDKafka"));
        assert_eq!(readiness.reasons(), []);
        assert!(ledger.uninitialised().is_empty());
        assert!(ledger.was_initialised(&named("todo")));
    }

    #[test]
    fn what_is_called_and_what_is_proven_counts_once_and_until_its_init() {
        let (ledger, readiness) = (Ledger::default(), Readiness::default());
        assert_eq!(ledger.count(), 0);
        ledger.called(named("a"), None, &readiness);
        ledger.proven(["a", "b"].map(named).into_iter());
        assert_eq!(ledger.count(), 2);
        ledger.initialised(named("b"));
        assert_eq!(ledger.count(), 1);
        // Found before the Init, and told after it.
        ledger.proven(["a", "b"].map(named).into_iter());
        assert_eq!(ledger.count(), 1);
        ledger.initialised(named("a"));
        ledger.proven(["c"].map(named).into_iter());
        ledger.proven(std::iter::empty());
        assert_eq!(ledger.count(), 0);
    }

    #[test]
    fn made_up_names_are_bounded() {
        let (ledger, readiness) = (Ledger::default(), Readiness::default());
        for number in 0..2 * KEPT {
            ledger.called(named(&number.to_string()), None, &readiness);
        }
        assert_eq!(ledger.uninitialised().len(), KEPT);
    }
}
