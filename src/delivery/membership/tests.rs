//! Any order of assignments, revocations, losses, drains, shutdowns, replacements, stale results
//! and calls that fail, held against what must hold of partitions.
//!
//! A failure prints the shortest schedule, and its seed goes to `tests.regressions`:
//! commit it together with the correction.

use std::collections::BTreeSet;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, FileFailurePersistence, TestCaseError},
};

use super::*;

const DRAIN: Duration = Duration::from_secs(5);

/// What happens next in a schedule.
#[derive(Clone, Debug)]
enum Move {
    /// The group gives out so many partitions, if it may.
    Assign(u8),
    Revoke,
    Lose,
    Shutdown,
    Renew,
    Break,
    /// A call comes back, with or without success.
    Return(u8, bool),
    /// A record is delivered, or everything is answered.
    Deliver,
    AnswerAll,
    /// A commit is sent, if one may be, or comes back.
    Commit,
    Wait(u16),
    /// The next consumers can't be made.
    RefuseConsumers(bool),
}

/// A call beside the owner.
#[derive(Debug)]
enum Call {
    Starts(Generation, Vec<TopicPartition>),
    LastCommit(Generation),
}

/// librdkafka's side of the group.
#[derive(Debug, Default)]
struct Client {
    /// What it was given.
    assigned: BTreeSet<TopicPartition>,
    /// It waits for the answer to an assignment.
    waits: bool,
    /// It waits for the answer to a revocation.
    gives_up: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    membership: Membership,
    now: Instant,
    client: Client,
    owned: BTreeSet<TopicPartition>,
    calls: Vec<Call>,
    /// The generation of the newest last commit.
    last_commit: Option<Generation>,
    in_flight: bool,
    commit_under_way: bool,
    refuses_consumers: bool,
    /// Consumers that were asked for and not reported yet: whether each was made.
    replaced: Vec<bool>,
    asked_to_end: bool,
    ended: bool,
}

type Check = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($broken:tt)+) => {
        if !$holds {
            return Err(format!($($broken)+));
        }
    };
}

impl World {
    fn new() -> Self {
        Self {
            membership: Membership::new(DRAIN),
            now: Instant::now(),
            client: Client::default(),
            owned: BTreeSet::new(),
            calls: Vec::new(),
            last_commit: None,
            in_flight: false,
            commit_under_way: false,
            refuses_consumers: false,
            replaced: Vec::new(),
            asked_to_end: false,
            ended: false,
        }
    }

    /// Takes an event in, and looks once more before it reports a replacement, as the owner does.
    fn step(&mut self, event: Event) -> Check {
        self.step_one(event)?;
        while !self.replaced.is_empty() {
            self.step_one(Event::Look)?;
            ensure!(self.replaced.len() == 1, "made several consumers");
            let ok = self.replaced.remove(0);
            self.step_one(Event::Replaced { ok })?;
        }
        Ok(())
    }

    fn step_one(&mut self, event: Event) -> Check {
        let facts = Facts {
            settled: !self.in_flight && !self.commit_under_way,
            owns: !self.owned.is_empty(),
        };
        let told = format!("{event:?}");
        for action in self.membership.step(event, facts, self.now) {
            self.perform(action)
                .map_err(|broken| format!("{broken}, at {told}"))?;
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) -> Check {
        ensure!(!self.ended, "{action:?} after the end");
        match action {
            Action::AnswerRebalance => {
                ensure!(self.client.waits, "answered what was not asked");
                self.client.waits = false;
            }
            Action::FindStarts(partitions) => {
                let call = Call::Starts(self.membership.generation(), partitions);
                self.calls.push(call);
            }
            Action::Drain => {}
            Action::LastCommit(generation) => {
                ensure!(!self.owned.is_empty(), "commits nothing");
                ensure!(
                    generation == self.membership.generation(),
                    "an old generation"
                );
                self.last_commit = Some(generation);
                self.calls.push(Call::LastCommit(generation));
            }
            Action::GiveBack => {
                self.owned.clear();
                self.in_flight = false;
                self.client.gives_up = false;
                // An assignment that waits for its answer is not given up by that.
                if !self.client.waits {
                    self.client.assigned.clear();
                }
            }
            Action::Replace { .. } => {
                ensure!(self.owned.is_empty(), "replaces a consumer that owns");
                let ok = !self.refuses_consumers;
                if ok {
                    self.client = Client::default();
                    self.calls.clear();
                    self.commit_under_way = false;
                }
                self.replaced.push(ok);
            }
            Action::Leave => {
                ensure!(self.asked_to_end, "left without a shutdown");
                ensure!(self.owned.is_empty(), "left with {:?}", self.owned);
                self.ended = true;
            }
        }
        Ok(())
    }

    fn play(&mut self, moves: &[Move]) -> Check {
        for next in moves {
            if self.ended {
                return Ok(());
            }
            self.perform_move(next)?;
            self.check()?;
        }
        self.settle()
    }

    fn perform_move(&mut self, next: &Move) -> Check {
        match next {
            // Also without a revocation before, as after a rejoin while the answer is waited for.
            Move::Assign(count) => {
                let partitions = (0..=i32::from(*count)).map(|n| TopicPartition::new("orders", n));
                let partitions: Vec<_> = partitions.collect();
                self.client.assigned = partitions.iter().cloned().collect();
                (self.client.waits, self.client.gives_up) = (true, false);
                self.step(Event::Assigned(partitions))?;
                ensure!(!self.client.waits, "the assignment is not answered");
                Ok(())
            }
            Move::Revoke if !self.client.assigned.is_empty() && !self.client.gives_up => {
                self.client.gives_up = true;
                self.step(Event::Revoked { lost: false })
            }
            // A session may be lost at any time, also while a revocation is waited for.
            Move::Lose if !self.client.assigned.is_empty() => {
                self.client.gives_up = true;
                self.step(Event::Revoked { lost: true })
            }
            Move::Shutdown => {
                self.asked_to_end = true;
                let until = self.now + DRAIN * 2;
                self.step(Event::Shutdown { until })
            }
            Move::Renew => self.step(Event::Renew {
                reason: "renewed".into(),
            }),
            Move::Break => self.step(Event::Broken {
                reason: "broken".into(),
            }),
            Move::Return(which, ok) if !self.calls.is_empty() => {
                let call = self.calls.remove(usize::from(*which) % self.calls.len());
                self.returned(call, *ok)
            }
            Move::Deliver if !self.owned.is_empty() && self.membership.is_owning() => {
                self.in_flight = true;
                self.step(Event::Look)
            }
            Move::AnswerAll => {
                self.in_flight = false;
                self.step(Event::Look)
            }
            Move::Commit if self.commit_under_way => {
                self.commit_under_way = false;
                self.step(Event::Look)
            }
            Move::Commit if !self.owned.is_empty() && self.membership.may_commit() => {
                self.commit_under_way = true;
                Ok(())
            }
            Move::Wait(millis) => {
                self.now += Duration::from_millis((*millis).into());
                self.step(Event::Look)
            }
            Move::RefuseConsumers(refuses) => {
                self.refuses_consumers = *refuses;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn returned(&mut self, call: Call, ok: bool) -> Check {
        match call {
            Call::Starts(generation, partitions) if self.membership.accepts(generation) => {
                if !ok {
                    self.calls.push(Call::Starts(generation, partitions));
                    return Ok(());
                }
                for at in partitions {
                    ensure!(self.client.assigned.contains(&at), "{at} is not ours");
                    ensure!(self.owned.insert(at.clone()), "{at} is owned twice");
                }
                Ok(())
            }
            Call::Starts(..) => Ok(()),
            Call::LastCommit(generation) => {
                let owned = !self.owned.is_empty();
                self.step(Event::LastCommitEnded { generation })?;
                let gave_back = owned && self.owned.is_empty();
                let newest = self.last_commit == Some(generation);
                ensure!(!gave_back || newest, "gave back after an older commit");
                Ok(())
            }
        }
    }

    fn check(&self) -> Check {
        let (owned, assigned) = (&self.owned, &self.client.assigned);
        ensure!(
            owned.is_subset(assigned),
            "{owned:?} are owned, and {assigned:?} are ours"
        );
        ensure!(
            !self.membership.is_idle() || owned.is_empty(),
            "idle, and owns {owned:?}"
        );
        let may = self.membership.may_commit();
        ensure!(
            !may || !self.membership.is_idle(),
            "commits, and gave all back"
        );
        Ok(())
    }

    /// Everything comes back, is answered, and time passes.
    fn settle(&mut self) -> Check {
        self.refuses_consumers = false;
        for _ in 0..20 {
            (self.in_flight, self.commit_under_way) = (false, false);
            while !self.ended
                && let Some(call) = self.calls.pop()
            {
                self.returned(call, true)?;
            }
            self.now += REPLACE_AGAIN.max(DRAIN) * 3;
            if !self.ended {
                self.step(Event::Look)?;
            }
        }
        ensure!(
            self.ended == self.asked_to_end,
            "asked to end: {}",
            self.asked_to_end
        );
        if self.ended {
            return Ok(());
        }
        let waits = self.client.waits || self.client.gives_up;
        ensure!(!waits, "a rebalance is not answered");
        ensure!(
            self.membership.is_settled(),
            "{:?} never settles",
            self.membership
        );
        let (owned, assigned) = (&self.owned, &self.client.assigned);
        ensure!(owned == assigned, "{owned:?} are owned of {assigned:?}");
        ensure!(
            owned.is_empty() == self.membership.is_idle(),
            "{owned:?} are owned"
        );
        ensure!(self.membership.next_wake().is_none(), "wakes for nothing");
        Ok(())
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    vec(
        prop_oneof![
            6 => (0..3_u8).prop_map(Move::Assign),
            3 => Just(Move::Revoke),
            2 => Just(Move::Lose),
            1 => Just(Move::Shutdown),
            2 => Just(Move::Renew),
            1 => Just(Move::Break),
            8 => (any::<u8>(), prop::bool::weighted(0.8)).prop_map(|(n, ok)| Move::Return(n, ok)),
            3 => Just(Move::Deliver),
            3 => Just(Move::AnswerAll),
            4 => Just(Move::Commit),
            4 => (0..8000_u16).prop_map(Move::Wait),
            1 => any::<bool>().prop_map(Move::RefuseConsumers),
        ],
        0..60,
    )
}

proptest! {
    #![proptest_config(Config {
        cases: 2000,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    })]

    #[test]
    fn each_partition_ends_owned_once_or_given_back(moves in moves()) {
        World::new().play(&moves).map_err(TestCaseError::fail)?;
    }
}

const NO_FACTS: Facts = Facts {
    settled: true,
    owns: false,
};

/// It owns one partition, and something is in flight.
fn owning() -> (Membership, Facts, Instant) {
    let (mut membership, now) = (Membership::new(DRAIN), Instant::now());
    let partitions = vec![TopicPartition::new("orders", 0)];
    let actions = membership.step(Event::Assigned(partitions.clone()), NO_FACTS, now);
    assert_eq!(
        actions,
        [Action::AnswerRebalance, Action::FindStarts(partitions)]
    );
    let facts = Facts {
        settled: false,
        owns: true,
    };
    (membership, facts, now)
}

#[test]
fn a_revocation_waits_for_answers_and_then_commits() {
    let (mut membership, facts, now) = owning();
    let actions = membership.step(Event::Revoked { lost: false }, facts, now);
    assert_eq!(actions, [Action::Drain]);
    let again = Event::Revoked { lost: false };
    assert_eq!(membership.step(again, facts, now + DRAIN / 2), []);
    assert_eq!(membership.next_wake(), Some(now + DRAIN), "moved");
    let settled = Facts {
        settled: true,
        ..facts
    };
    let generation = membership.generation();
    let actions = membership.step(Event::Look, settled, now);
    assert_eq!(actions, [Action::LastCommit(generation)]);
    assert!(!membership.may_commit(), "nothing beside the last commit");
    let ended = Event::LastCommitEnded { generation };
    assert_eq!(membership.step(ended, settled, now), [Action::GiveBack]);
    assert!(membership.is_idle());
}

#[test]
fn a_revocation_waits_no_longer_than_its_deadline() {
    let (mut membership, facts, now) = owning();
    membership.step(Event::Revoked { lost: false }, facts, now);
    let late = now + DRAIN;
    let actions = membership.step(Event::Look, facts, late);
    assert_eq!(actions, [Action::LastCommit(membership.generation())]);
}

#[test]
fn a_lost_session_gives_back_without_a_commit() {
    let (mut membership, facts, now) = owning();
    let actions = membership.step(Event::Revoked { lost: true }, facts, now);
    assert_eq!(actions, [Action::GiveBack]);
}

#[test]
fn a_consumer_that_could_not_be_made_is_made_later() {
    let (mut membership, _, now) = owning();
    let broken = Event::Broken {
        reason: "why".into(),
    };
    let replace = Action::Replace {
        reason: "why".into(),
    };
    let actions = membership.step(broken, NO_FACTS, now);
    assert_eq!(actions, [Action::GiveBack, replace.clone()]);
    let failed = Event::Replaced { ok: false };
    assert_eq!(membership.step(failed, NO_FACTS, now), []);
    assert_eq!(membership.next_wake(), Some(now + REPLACE_AGAIN));
    let actions = membership.step(Event::Look, NO_FACTS, now + REPLACE_AGAIN);
    assert_eq!(actions, [replace]);
}

#[test]
fn a_shutdown_does_not_prolong_a_revocation_and_a_revocation_shortens_a_shutdown() {
    let long = DRAIN * 10;
    let (mut membership, facts, now) = owning();
    membership.step(Event::Revoked { lost: false }, facts, now);
    let shutdown = Event::Shutdown { until: now + long };
    membership.step(shutdown.clone(), facts, now);
    assert_eq!(membership.next_wake(), Some(now + DRAIN));
    let (mut membership, facts, now) = owning();
    membership.step(shutdown, facts, now);
    assert!(membership.next_wake() > Some(now + DRAIN));
    membership.step(Event::Revoked { lost: false }, facts, now);
    assert_eq!(membership.next_wake(), Some(now + DRAIN));
}

#[test]
fn a_shutdown_during_the_last_commit_waits_for_that_one() {
    let (mut membership, facts, now) = owning();
    membership.step(Event::Revoked { lost: false }, facts, now);
    membership.step(Event::Look, facts, now + DRAIN);
    let shutdown = Event::Shutdown { until: now };
    assert_eq!(membership.step(shutdown, facts, now), []);
    let generation = membership.generation();
    let ended = Event::LastCommitEnded { generation };
    let actions = membership.step(ended, facts, now);
    assert_eq!(actions, [Action::GiveBack, Action::Leave]);
}

#[test]
fn a_last_commit_from_before_a_lost_session_gives_nothing_back() {
    let (mut membership, facts, now) = owning();
    let late = now + DRAIN;
    let drain = |membership: &mut Membership| {
        membership.step(Event::Revoked { lost: false }, facts, now);
        membership.step(Event::Look, facts, late);
        membership.generation()
    };
    let old = drain(&mut membership);
    membership.step(Event::Revoked { lost: true }, facts, late);
    let partitions = vec![TopicPartition::new("orders", 0)];
    membership.step(Event::Assigned(partitions), facts, late);
    let new = drain(&mut membership);
    let ended = |generation| Event::LastCommitEnded { generation };
    assert_eq!(membership.step(ended(old), facts, late), []);
    assert_eq!(membership.step(ended(new), facts, late), [Action::GiveBack]);
}
