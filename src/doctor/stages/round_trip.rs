//! A record to a topic of its own, and back.

mod record;
#[cfg(test)]
mod tests;
mod topic;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::doctor::{
    Finding, Fix, Seen, Stage,
    context::Context,
    rows::round_trip as rows,
    stages::{Cluster, permissions::allow},
    wire::{Answered, Broken},
};

/// What a topic's name begins with, so that rights can be given for it.
const PREFIX: &str = "dapr-rdkafka-doctor-";

/// What checks call the topic.
const SUBJECT: &str = "temporary topic";

/// How long it waits before it asks once more.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a step failed.
enum Failed {
    /// It says what is wrong.
    Found(Box<Finding>),
    /// Nothing is known.
    Unknown(String),
}

/// A round trip.
struct Trip<'a> {
    context: &'a Context<'a>,
    /// The topic's name.
    name: String,
    /// The record's value.
    value: String,
}

/// Makes a topic, sends a record, reads it, and deletes the topic, whatever came in
/// between.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    cluster: &mut Cluster,
    stop: &CancellationToken,
) {
    let mut random = [0; 8];
    if openssl::rand::rand_bytes(&mut random).is_err() {
        let why = "this system has no random numbers";
        return context.recorder.unanswered(Stage::RoundTrip, SUBJECT, why);
    }
    let value = format!("{:016x}", u64::from_be_bytes(random));
    let trip = Trip {
        context,
        name: format!("{PREFIX}{value}"),
        value,
    };
    // Whoever gives up waiting drops this: then the topic is told.
    let left = Left(Some(&trip));
    let begun = Instant::now();
    let made = topic::make(&trip, cluster).await;
    let refused = matches!(made, Err(Failed::Found(_)));
    let made = trip.note("made", begun, made);
    if refused {
        return left.gone();
    }
    if made {
        trip.there_and_back(cluster, stop).await;
    }
    // Also if it is not known whether it was made.
    let begun = Instant::now();
    let deleted = topic::delete(&trip, cluster, made).await;
    trip.note("deleted", begun, deleted);
    left.gone();
}

/// A topic that may be left behind.
struct Left<'a>(Option<&'a Trip<'a>>);

impl Left<'_> {
    /// It is not there, or what became of it is told.
    fn gone(mut self) {
        self.0 = None;
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if let Some(trip) = self.0 {
            trip.failed(
                "deleted",
                topic::not_deleted(trip, "the check was cut short"),
            );
        }
    }
}

impl Trip<'_> {
    /// A step that has begun ends, so that the connection can be used to delete the topic.
    async fn there_and_back(&self, cluster: &mut Cluster, stop: &CancellationToken) {
        let begun = Instant::now();
        let leader = match topic::leader(self, cluster).await {
            Ok(leader) => leader,
            Err(failed) => return self.failed("led", failed),
        };
        if stop.is_cancelled() {
            return self.cut();
        }
        let written = record::write(self, cluster, leader).await;
        if self.note("written", begun, written) {
            if stop.is_cancelled() {
                return self.cut();
            }
            let begun = Instant::now();
            let read = record::read(self, cluster, leader).await;
            self.note("read", begun, read);
        }
    }

    fn cut(&self) {
        let why = "the check was cut short before the record came back";
        self.context
            .recorder
            .unanswered(Stage::RoundTrip, SUBJECT, why);
    }

    /// Notes what came of a step; true if it went well.
    fn note<T>(&self, step: &str, begun: Instant, came: Result<Answered<T>, Failed>) -> bool {
        match came {
            Ok(answer) => {
                let took = begun.elapsed().as_millis();
                let seen = Seen::by(&answer, format!("{step} after {took} ms"));
                self.context.recorder.fine(Stage::RoundTrip, SUBJECT, seen);
                true
            }
            Err(failed) => {
                self.failed(step, failed);
                false
            }
        }
    }

    fn failed(&self, step: &str, failed: Failed) {
        let recorder = self.context.recorder;
        match failed {
            Failed::Found(finding) => recorder.found(SUBJECT, *finding),
            Failed::Unknown(why) => {
                let why = format!("it is not known whether it was {step}: {why}");
                recorder.unanswered(Stage::RoundTrip, SUBJECT, why);
            }
        }
    }

    /// A step that is not allowed.
    fn forbidden(&self, step: &str, error: &str) -> Failed {
        let cause = format!("the topic {} can't be {step}: {error}", self.name);
        // All that a round trip does, so that this is allowed once and for all.
        let operations = ["Create", "Describe", "Write", "Read", "Delete"];
        let operations = operations.map(|operation| format!("--operation {operation} "));
        let on = format!(
            "{}--topic {PREFIX} --resource-pattern-type prefixed",
            operations.concat()
        );
        let command = allow(&self.context.settings.security, &on);
        let words = "Allow this client to use topics for the round trip, or leave out --round-trip";
        let finding = Finding::new(&rows::FORBIDDEN, cause, Fix::words(words).run(command));
        Failed::Found(Box::new(finding))
    }
}

/// How long brokers may wait for each other, in milliseconds: less than what is left, so
/// that their answer comes in time.
fn patience(until: Instant) -> i32 {
    let left = until.saturating_duration_since(Instant::now()) * 3 / 4;
    i32::try_from(left.as_millis()).unwrap_or(i32::MAX)
}

impl From<Broken> for Failed {
    fn from(broken: Broken) -> Self {
        Self::Unknown(broken.to_string())
    }
}
