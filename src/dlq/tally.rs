//! What a redrive says of its work.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
};

use serde_json::json;

use super::{
    Ended, Failed, Left, Output, Redrive, format,
    progress::{LeftBehind, Progress},
};
use crate::{
    kafka::Outgoing,
    model::{Record, dead_letter, text::printable},
};

/// What came of it.
#[derive(Default)]
pub struct Tally {
    /// Sent, or what would be, by topic.
    pub sent: BTreeMap<String, u64>,
    /// Read, and not meant.
    pub not_selected: u64,
    left: BTreeMap<Left, Skipped>,
    /// By partition: what an earlier redrive with this progress left.
    earlier: BTreeMap<i32, Skipped>,
}

/// Records that stay, and where the first one stands.
struct Skipped {
    count: u64,
    first: String,
}

/// What a dry run says of one record.
pub fn show(
    record: &Record,
    decided: &Result<Outgoing, Left>,
    output: Output,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let at = format!("{}@{}", record.at, record.offset);
    let group = |outgoing: &Outgoing| {
        let group = dead_letter::REDRIVE_GROUP;
        dead_letter::text(&outgoing.headers, group).map(str::to_owned)
    };
    match (output, decided) {
        (Output::Json, decided) => {
            let sent = decided.as_ref().ok();
            let line = json!({
                "at": at,
                "to": sent.map(|outgoing| &outgoing.topic),
                "group": sent.and_then(group),
                "left": decided.as_ref().err().map(|left| left.name()),
            });
            writeln!(out, "{line}")?;
        }
        (Output::Text, Ok(outgoing)) => {
            let group = group(outgoing);
            let group = group.map_or("every group".into(), |group| format!("group {group}"));
            let line = format!("{at} → {} for {group}", outgoing.topic);
            writeln!(out, "{}", format::line(Some(line.as_bytes())))?;
        }
        (Output::Text, Err(left)) => writeln!(out, "{at} stays: it {}", left.reason())?,
    }
    Ok(())
}

impl Tally {
    /// A tally that goes on at this progress.
    pub fn after(topic: &str, progress: &HashMap<i32, Progress>) -> Self {
        let earlier = progress.iter().filter_map(|(partition, progress)| {
            let LeftBehind { first, count } = progress.left?;
            let first = format!("{topic}/{partition}@{first}");
            Some((*partition, Skipped { count, first }))
        });
        Self {
            earlier: earlier.collect(),
            ..Self::default()
        }
    }

    /// Counts a record that stays.
    pub fn leave(&mut self, left: Left, record: &Record) {
        let skipped = self.left.entry(left).or_insert_with(|| Skipped {
            count: 0,
            first: format!("{}@{}", record.at, record.offset),
        });
        skipped.count += 1;
    }

    /// Writes the result. What failed is for the one who reports it, but a script gets its
    /// summary all the same.
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
            let left = self.left.iter();
            let left: BTreeMap<_, _> = left
                .map(|(left, skipped)| (left.name(), skipped.count))
                .collect();
            let summary = json!({
                "topic": topic,
                "dry_run": redrive.dry_run,
                "sent": self.sent,
                "left": left,
                "left_earlier": self.earlier.values().map(|left| left.count).sum::<u64>(),
                "not_selected": self.not_selected,
                "interrupted": interrupted,
                "error": ended.as_ref().err().map(Failed::to_string),
                "may_repeat": repeated,
            });
            return Ok(writeln!(out, "{summary}")?);
        }
        if ended.is_err() {
            return Ok(());
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
        for (left, Skipped { count, first }) in &self.left {
            let reason = left.reason();
            writeln!(out, "{count} left, the first at {first}: it {reason}")?;
        }
        if !self.left.is_empty() && !redrive.dry_run {
            writeln!(
                out,
                "what was left is not tried again by the same command, with other rules neither: \
                 select it with --partition and --offset, or begin again with --from-start"
            )?;
        }
        for (partition, Skipped { count, first }) in &self.earlier {
            let offset = first.rsplit('@').next().unwrap_or_default();
            writeln!(
                out,
                "{count} left earlier, the first at {first}, and not tried again whatever the rules \
                 are: --partition {partition} --offset {offset}.. tries them, and sends again what \
                 was sent from behind the first"
            )?;
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
