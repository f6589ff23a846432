use std::{fmt, time::Duration};

use super::{Index, repeats};
use crate::ledger::{Answer, Ended, Event, Ledger};

/// How much of everything a ledger holds: a judge that finds nothing has proved
/// something only if enough happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that were attempted.
    pub messages: usize,
    /// Attempts to publish that were acknowledged.
    pub acked_publishes: usize,
    /// Attempts to publish that failed, or whose end is unknown.
    pub failed_publishes: usize,
    /// Records that stand in the topic.
    pub stored: usize,
    /// Handings to the app.
    pub handed: usize,
    /// Of those, again of a record that nobody had refused.
    pub again: usize,
    /// Refusals by the app.
    pub refused: usize,
    /// Handings that nobody waited for in the end.
    pub gone: usize,
    /// Readings of committed offsets.
    pub readings: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// How many handings again of each partition all faults together allow.
    pub allowed: usize,
    /// The faults, in order.
    pub faults: Vec<Aftermath>,
}

/// A fault, and what came until the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aftermath {
    /// Its name.
    pub what: String,
    /// When it began, since the run's start.
    pub at: Duration,
    /// Handings again of records that nobody had refused.
    pub again: usize,
    /// The longest time in which nothing was handed out.
    pub pause: Duration,
}

impl Summary {
    /// Counts.
    pub fn of(ledger: &Ledger) -> Self {
        let mut summary = Self {
            messages: ledger.messages.len(),
            stored: ledger.source.len(),
            dead_letters: ledger.dead_letters.len(),
            ..Self::default()
        };
        let repeats = repeats::repeated(&Index::of(ledger));
        let mut last = Duration::ZERO;
        for (number, entry) in ledger.journal.iter().enumerate() {
            match &entry.event {
                Event::Published { ended, .. } => match ended {
                    Ended::Acked => summary.acked_publishes += 1,
                    Ended::Failed | Ended::Unknown => summary.failed_publishes += 1,
                },
                Event::Handed { .. } => {
                    let pause = entry.at.saturating_sub(last);
                    last = entry.at;
                    summary.handed(repeats.contains(&number), pause);
                }
                Event::Answered { answer, .. } => match answer {
                    Answer::Ack => {}
                    Answer::Nack => summary.refused += 1,
                    Answer::Gone => summary.gone += 1,
                },
                Event::Fault { what, again } => {
                    summary.allowed += again;
                    summary.faults.push(Aftermath {
                        what: what.clone(),
                        at: entry.at,
                        again: 0,
                        pause: Duration::ZERO,
                    });
                }
                Event::Committed(_) => summary.readings += 1,
                Event::DeadLettersEnd(_) => {}
            }
        }
        summary
    }

    fn handed(&mut self, again: bool, pause: Duration) {
        let again = usize::from(again);
        self.handed += 1;
        self.again += again;
        if let Some(fault) = self.faults.last_mut() {
            fault.again += again;
            fault.pause = fault.pause.max(pause);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ledger of {} messages; publishes: {} acknowledged, {} not; {} stored; handed out: {}, {} of \
             them again; refused: {}, gone: {}; {} dead letters; {} readings",
            self.messages,
            self.acked_publishes,
            self.failed_publishes,
            self.stored,
            self.handed,
            self.again,
            self.refused,
            self.gone,
            self.dead_letters,
            self.readings,
        )?;
        for fault in &self.faults {
            write!(
                f,
                "\n  at {:.1} s {}: {} again, {:.1} s without any",
                fault.at.as_secs_f64(),
                fault.what,
                fault.again,
                fault.pause.as_secs_f64()
            )?;
        }
        Ok(())
    }
}
