//! What a redrive says of its work.

use std::{collections::BTreeMap, io::Write};

use serde_json::json;

use super::{Ended, Failed, Left, Output, Redrive, format, redriven::group, wait::Outcome};
use crate::{
    kafka::Outgoing,
    model::{Record, text::printable},
};

/// Combinations of reason, topic and group that are told apart. Others write the headers, so
/// there may be any number.
const DISTINCT: usize = 100;

/// How many of its records a redrive sent, and what it did with the others.
#[derive(Default)]
pub struct Tally {
    /// Sent, or what would be, by topic.
    pub sent: BTreeMap<String, u64>,
    /// Read, and not selected.
    pub not_selected: u64,
    /// Settled before.
    pub settled: u64,
    /// What became of the sent records, if the redrive waited for that.
    pub outcome: Option<Outcome>,
    left: BTreeMap<(Left, String, String), Staying>,
}

/// Records that stay, and where the first one is.
struct Staying {
    count: u64,
    first: String,
}

/// What a dry run says of one record.
pub fn show(
    at: &str,
    decided: &Result<Outgoing, (Left, String, String)>,
    output: Output,
    out: &mut impl Write,
) -> Result<(), Failed> {
    match (output, decided) {
        (Output::Json, decided) => {
            let sent = decided.as_ref().ok();
            let line = json!({
                "type": "record",
                "at": at,
                "to": sent.map(|outgoing| &outgoing.topic),
                "group": sent.and_then(group),
                "left": decided.as_ref().err().map(|(left, ..)| left.name()),
            });
            writeln!(out, "{line}")?;
        }
        (Output::Text, Ok(outgoing)) => {
            let group = group(outgoing);
            let group = group.map_or("every group".into(), |group| format!("group {group}"));
            let line = format!("{at} → {} for {group}", outgoing.topic);
            writeln!(out, "{}", format::line(Some(line.as_bytes())))?;
        }
        (Output::Text, Err((left, topic, group))) => {
            let line = format!("{at} stays: {}", left.reason(topic, group));
            writeln!(out, "{}", format::line(Some(line.as_bytes())))?;
        }
    }
    Ok(())
}

/// A record's place.
pub fn at(record: &Record) -> String {
    format!("{}@{}", record.at, record.offset)
}

impl Tally {
    /// Counts a record that stays open; it would have gone to this topic for this group.
    pub fn leave(&mut self, left: Left, topic: &str, group: &str, at: &str) {
        let mut key = (left, topic.to_owned(), group.to_owned());
        if !self.left.contains_key(&key) && self.left.len() >= DISTINCT {
            key = (left, "other topics".into(), "other groups".into());
        }
        let staying = self.left.entry(key).or_insert_with(|| Staying {
            count: 0,
            first: at.to_owned(),
        });
        staying.count += 1;
    }

    /// How many records stay open that were selected, and why; `None` if there are none.
    pub fn staying(&self) -> Option<String> {
        let all: u64 = self.left.values().map(|staying| staying.count).sum();
        let each = self.left.iter();
        let each: Vec<_> = each
            .map(|((left, topic, group), Staying { count, first })| {
                let reason = printable(&left.reason(topic, group));
                format!("{count}, the first at {first}: {reason}")
            })
            .collect();
        (all > 0).then(|| {
            format!(
                "{all} were not sent; they stay open, and the same command tries them again. {}",
                each.join("; ")
            )
        })
    }

    /// Writes the result. What failed is for the caller to report, but a script gets its
    /// summary all the same.
    ///
    /// # Errors
    /// When the output refuses.
    pub fn write(
        &self,
        redrive: &Redrive,
        topic: &str,
        ended: &Result<Ended, Failed>,
        repeated: usize,
        out: &mut impl Write,
    ) -> Result<(), Failed> {
        let interrupted = matches!(ended, Ok(Ended::Interrupted));
        if redrive.output == Output::Json {
            let mut left = BTreeMap::<_, u64>::new();
            for ((reason, ..), staying) in &self.left {
                *left.entry(reason.name()).or_default() += staying.count;
            }
            let summary = json!({
                "type": "summary",
                "topic": topic,
                "dry_run": redrive.dry_run,
                "sent": self.sent,
                "left": left,
                "settled_before": self.settled,
                "not_selected": self.not_selected,
                "acknowledged": self.outcome.map(|outcome| outcome.acknowledged),
                "dead_again": self.outcome.map(|outcome| outcome.dead_again),
                "unfinished": self.outcome.map(|outcome| outcome.unfinished),
                "interrupted": interrupted,
                "error": ended.as_ref().err().map(Failed::to_string),
                "may_repeat": repeated,
            });
            return Ok(writeln!(out, "{summary}")?);
        }
        let verb = if redrive.dry_run {
            "would be sent"
        } else {
            "sent"
        };
        for (target, count) in &self.sent {
            writeln!(out, "{count} {verb} to {}", printable(target))?;
        }
        if self.sent.is_empty() {
            writeln!(out, "nothing {verb}")?;
        }
        if let Some(outcome) = self.outcome {
            let Outcome {
                acknowledged,
                dead_again,
                unfinished,
                to_all,
            } = outcome;
            writeln!(
                out,
                "{acknowledged} acknowledged by their group, {dead_again} dead letters again, \
                 {unfinished} not finished"
            )?;
            if to_all > 0 {
                writeln!(
                    out,
                    "{to_all} were for every group, and nobody was waited for"
                )?;
            }
        }
        if self.settled > 0 {
            writeln!(out, "{} were sent or resolved before", self.settled)?;
        }
        if self.not_selected > 0 {
            writeln!(out, "{} not selected", self.not_selected)?;
        }
        if interrupted && redrive.dry_run {
            writeln!(out, "interrupted; the rest was not looked at")?;
        } else if interrupted {
            writeln!(
                out,
                "interrupted; the same command, without --from-start, goes on from here, and may \
                 send {repeated} records again"
            )?;
        }
        Ok(())
    }
}
