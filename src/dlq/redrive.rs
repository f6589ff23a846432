//! `dlq redrive`: sends dead letters back to where they come from.

use std::{
    collections::HashMap,
    io::{ErrorKind::BrokenPipe, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    Connection, Failed, Left, Output, Rules, Selection, browser,
    flight::{Flight, MAY_REPEAT, Refused},
    progress::{self, Progress},
    redriven,
    tally::{self, Tally},
};
use crate::{
    kafka::{Browser, Kind, Outgoing, Reading, SendError},
    model::{Offset, Record},
};

/// How often progress is committed.
const COMMIT: Duration = Duration::from_secs(1);

/// What to redrive, and how.
#[derive(Clone, Debug)]
pub struct Redrive {
    /// Which records.
    pub selection: Selection,
    /// How they are sent.
    pub rules: Rules,
    /// Begin at the first record, whatever was redriven before.
    pub from_start: bool,
    /// Send nothing; show what would be sent.
    pub dry_run: bool,
    /// At most so many records per second.
    pub rate: Option<u32>,
    /// How the result is written.
    pub output: Output,
}

/// How a command that can be interrupted ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is done.
    Done,
    /// It was told to stop; it can be resumed.
    Interrupted,
}

/// Sends a selection of a topic's records back.
///
/// # Errors
/// At the first record that can't be sent, or when Kafka or the output refuses. Progress
/// is committed, and the text says what a resumed redrive may send again.
pub async fn redrive(
    connection: &Connection,
    topic: &str,
    redrive: &Redrive,
    stop: &CancellationToken,
    out: &mut impl Write,
) -> Result<Ended, Failed> {
    let begun = stop.run_until_cancelled(begin(connection, topic, redrive));
    let Some(begun) = begun.await else {
        eprintln!("interrupted before anything was read");
        return Ok(Ended::Interrupted);
    };
    let (browser, ends, progress) = begun?;
    let ranges = ranges(&redrive.selection, &ends, &progress);
    let total: i64 = ranges.iter().map(|(_, first, end)| end.0 - first.0).sum();
    tell_start(topic, redrive, &progress, total);
    let tally = Tally::after(topic, &progress);
    let records = browser.read(topic, ranges);
    let records = records.map_err(Failed::kafka(format!("reading {topic}")))?;
    let mut work = Work {
        topic,
        redrive,
        stop,
        records,
        tally,
        bar: bar(total, redrive.dry_run),
    };
    if redrive.dry_run {
        let ended = work.show(out).await?;
        work.tally.write(redrive, topic, &Ok(ended), 0, out)?;
        return Ok(ended);
    }
    let flight = Flight::new(connection, &browser, topic, progress)?;
    work.send(flight, out).await
}

/// A client for the selection's progress, the ends of the partitions, and how far they
/// were redriven.
async fn begin(
    connection: &Connection,
    topic: &str,
    redrive: &Redrive,
) -> Result<(Browser, Vec<(i32, Offset, Offset)>, HashMap<i32, Progress>), Failed> {
    let group = redrive.selection.progress_group(topic);
    let browser = browser(connection, &group).await?;
    let ends = browser.ends(topic).await;
    let ends = ends.map_err(Failed::kafka(format!("reading {topic}")))?;
    let progress = if redrive.from_start {
        let starts = ends.iter();
        starts
            .map(|(partition, low, _)| (*partition, Progress::at(*low)))
            .collect()
    } else {
        progress::read(&browser, topic, &ends).await?
    };
    Ok((browser, ends, progress))
}

/// What is left to read of each partition.
fn ranges(
    selection: &Selection,
    ends: &[(i32, Offset, Offset)],
    progress: &HashMap<i32, Progress>,
) -> Vec<(i32, Offset, Offset)> {
    let range = |(partition, low, high): &(i32, Offset, Offset)| {
        let next = progress.get(partition).map_or(*low, |found| found.next);
        let (first, end) = selection.range(*partition, next.max(*low), *high)?;
        Some((*partition, first, end))
    };
    ends.iter().filter_map(range).collect()
}

fn tell_start(topic: &str, redrive: &Redrive, progress: &HashMap<i32, Progress>, total: i64) {
    if !redrive.from_start && !progress.is_empty() {
        let mut from: Vec<_> = progress.iter().collect();
        from.sort_unstable_by_key(|(partition, _)| **partition);
        let from: Vec<_> = from
            .into_iter()
            .map(|(partition, progress)| format!("{partition}@{}", progress.next))
            .collect();
        eprintln!(
            "going on where this redrive of {topic} stopped ({}); --from-start begins again",
            from.join(" ")
        );
    }
    if !redrive.dry_run && total > 0 {
        let most = total.min(i64::try_from(MAY_REPEAT).unwrap_or(i64::MAX));
        eprintln!("if this is killed, a resumed redrive sends at most {most} records again");
    }
}

/// A progress bar; on anything but a terminal it shows nothing.
fn bar(total: i64, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or_default());
    match ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A redrive under way.
struct Work<'a> {
    topic: &'a str,
    redrive: &'a Redrive,
    stop: &'a CancellationToken,
    records: Reading<'a>,
    tally: Tally,
    bar: ProgressBar,
}

impl Work<'_> {
    /// What becomes of a record: it is sent, left, or not meant.
    fn decide(&mut self, record: &Record) -> Option<Result<Outgoing, Left>> {
        self.bar.inc(1);
        if !self.redrive.selection.holds(record) {
            self.tally.not_selected += 1;
            return None;
        }
        let decided = redriven(record, &self.redrive.rules);
        if let Err(left) = decided {
            self.tally.leave(left, record);
        }
        Some(decided)
    }

    async fn show(&mut self, out: &mut impl Write) -> Result<Ended, Failed> {
        let stop = self.stop;
        loop {
            let record = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Interrupted),
                record = self.records.next() => record,
            };
            let reading = Failed::kafka(format!("reading {}", self.topic));
            let Some(record) = record.map_err(reading)? else {
                return Ok(Ended::Done);
            };
            let decided = self.decide(&record);
            if let Some(decided) = decided {
                if let Ok(outgoing) = &decided {
                    *self.tally.sent.entry(outgoing.topic.clone()).or_default() += 1;
                }
                tally::show(&record, &decided, self.redrive.output, out)?;
            }
        }
    }

    async fn send(mut self, mut flight: Flight<'_>, out: &mut impl Write) -> Result<Ended, Failed> {
        let worked = self.fly(&mut flight).await;
        let (repeated, refused, uncommitted) = flight.land().await;
        self.bar.finish_and_clear();
        self.tally.sent = std::mem::take(&mut flight.sent).into_iter().collect();
        let state = self.state(repeated);
        let ended = match (worked, refused, uncommitted) {
            (Err(Stopped::Refused(refused)), ..) | (_, Some(refused), _) => {
                let Refused { at, topic, error } = refused;
                let remedy = remedy(&error);
                let text = format!(
                    "{at} can't be sent to {topic}: {error}; {remedy}. {state}. Records behind it \
                     may be sent already, so those of its key may come before it"
                );
                Err(Failed::Partly(text))
            }
            (Err(Stopped::Failed(failed)), ..) => {
                eprintln!("{state}");
                Err(failed)
            }
            (Ok(_), None, Some(cause)) => {
                let what = format!("committing the progress ({state})");
                Err(Failed::Kafka { what, cause })
            }
            (Ok(ended), None, None) => Ok(ended),
        };
        let tally = &self.tally;
        match tally.write(self.redrive, self.topic, &ended, repeated, out) {
            // The reader of the output has closed the pipe, and the redrive ended as it ended.
            Err(Failed::Output(error)) if error.kind() == BrokenPipe => ended,
            Err(unwritten) => ended.and(Err(unwritten)),
            Ok(()) => ended,
        }
    }

    /// Sends until the end, a signal or a failure.
    async fn fly(&mut self, flight: &mut Flight<'_>) -> Result<Ended, Stopped> {
        let mut commit = interval(COMMIT);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = self.redrive.rate.map(Pace::new);
        let stop = self.stop;
        loop {
            let record = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Interrupted),
                _ = commit.tick() => {
                    flight.settle()?;
                    if let Err(cause) = flight.commit().await {
                        tracing::warn!("committing the progress: {cause}; trying again");
                    }
                    continue;
                }
                record = self.records.next() => record,
            };
            let reading = Failed::kafka(format!("reading {}", self.topic));
            let Some(record) = record.map_err(reading)? else {
                return Ok(Ended::Done);
            };
            match self.decide(&record) {
                None => flight.pass(&record, false).await?,
                Some(Err(_)) => flight.pass(&record, true).await?,
                Some(Ok(outgoing)) => {
                    if let Some(pace) = &mut pace {
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => return Ok(Ended::Interrupted),
                            () = pace.next() => {}
                        }
                    }
                    flight.send(&record, outgoing).await?;
                }
            }
            if flight.is_full() {
                let committing = Failed::kafka("committing the progress");
                flight.commit().await.map_err(committing)?;
            }
        }
    }

    /// What has been done, and what is done again.
    fn state(&self, repeated: usize) -> String {
        let sent: u64 = self.tally.sent.values().sum();
        format!(
            "{sent} were sent; the same command, without --from-start, goes on from there, and \
             may send {repeated} of them again"
        )
    }
}

/// Why sending ended early.
enum Stopped {
    Refused(Refused),
    Failed(Failed),
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// Holds records to a rate.
struct Pace {
    interval: Interval,
    /// Records per tick: a timer is not exact enough for a tick per record.
    each: u32,
    /// Left of this tick's.
    left: u32,
}

impl Pace {
    fn new(rate: u32) -> Self {
        let each = (rate / 100).max(1);
        let mut interval = interval(Duration::from_secs(1) * each / rate.max(1));
        // After a pause it goes on at the same pace, not faster.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            interval,
            each,
            left: 0,
        }
    }

    /// Waits until a record may go.
    async fn next(&mut self) {
        if self.left == 0 {
            self.interval.tick().await;
            self.left = self.each;
        }
        self.left -= 1;
    }
}

fn remedy(error: &SendError) -> &'static str {
    match error.cause.kind {
        Kind::UnknownTopic => "create the topic first, or select other records",
        Kind::TooLarge => {
            "raise the topic's max.message.bytes, or leave the record out with --offset"
        }
        Kind::Forbidden => "give this login the right to write to the topic",
        Kind::Unreachable | Kind::QueueFull => "see that the brokers answer, then run it again",
        Kind::Invalid | Kind::OutOfRange | Kind::Fatal | Kind::Other => {
            "mend the cause, then run it again"
        }
    }
}
