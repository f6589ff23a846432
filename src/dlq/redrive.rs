//! `dlq redrive`: sends dead letters back to where they come from.

use std::{
    io::{ErrorKind::BrokenPipe, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    Connection, Failed, Left, Output, Rules, Selection, browser,
    flight::{Flight, Landed, MAY_REPEAT, Stuck},
    redriven::{group, redriven},
    settled::{Settled, Target},
    store::{self, Ends, Store},
    tally::{self, Tally, at},
    targets::{Targets, is_source},
    wait::wait,
};
use crate::{
    kafka::{Browser, Exclusive, Kind, Outgoing, Reading, SendError},
    model::{Offset, Record},
};

/// How often it is noted what is settled.
const NOTE: Duration = Duration::from_secs(1);

/// What to redrive, and how.
#[derive(Clone, Debug)]
pub struct Redrive {
    /// Which records.
    pub selection: Selection,
    /// How they are sent.
    pub rules: Rules,
    /// Also those that were settled before.
    pub from_start: bool,
    /// Send nothing; show what would be sent.
    pub dry_run: bool,
    /// Send at most so many records.
    pub limit: Option<u64>,
    /// Wait until the groups have finished what was sent.
    pub wait: bool,
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
/// When records can't be sent, or when Kafka or the output refuses. What was sent is noted, and
/// the text says what a resumed redrive may send again.
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
    let Begun {
        browser,
        ends,
        writing,
        settled,
    } = begun?;
    let stopped = stop.child_token();
    let ranges = ranges(&redrive.selection, &ends, &settled);
    let total: i64 = ranges.iter().map(|(_, first, end)| end.0 - first.0).sum();
    if !redrive.dry_run && total > 0 {
        let most = total.min(i64::try_from(MAY_REPEAT).unwrap_or(i64::MAX));
        eprintln!("if this is killed, a resumed redrive sends at most {most} records again");
    }
    let records = browser.read(topic, ranges);
    let records = records.map_err(Failed::kafka(format!("reading {topic}")))?;
    let mut work = Work {
        connection,
        topic,
        redrive,
        stop: &stopped,
        records,
        targets: Targets::new(connection, &browser),
        tally: Tally::default(),
        ends,
        bar: bar(total, redrive.dry_run),
    };
    let Some((store, mut lock)) = writing else {
        let shown = work.show(&settled, out).await?;
        let ended = work
            .tally
            .staying()
            .map_or(Ok(shown), |text| Err(Failed::Partly(text)));
        work.tally.write(redrive, topic, &ended, 0, out)?;
        return ended;
    };
    let flight = Flight::new(connection, &store, settled, redrive.wait)?;
    let ended = {
        let work = work.send(flight, out);
        tokio::pin!(work);
        tokio::select! {
            ended = &mut work => ended,
            () = lock.lost() => {
                stopped.cancel();
                work.await.and(Err(Failed::Partly(format!(
                    "another command may change what is settled of {topic} since this one was not \
                     heard of by the brokers; stopped"
                ))))
            }
        }
    };
    lock.release().await;
    ended
}

/// What a redrive begins with.
struct Begun {
    browser: Browser,
    ends: Vec<Ends>,
    /// Nothing in a dry run.
    writing: Option<(Store, Exclusive)>,
    settled: Settled,
}

/// Finds out what is settled, and keeps other commands from changing it.
async fn begin(connection: &Connection, topic: &str, redrive: &Redrive) -> Result<Begun, Failed> {
    let browser = browser(connection, &store::group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    // Before anything is created: a topic that does not exist is a typing error.
    browser.ends(topic).await.map_err(reading())?;
    let writing = if redrive.dry_run {
        None
    } else {
        Some(store::open(connection, &browser, topic).await?)
    };
    let ends = browser.ends(topic).await.map_err(reading())?;
    let loaded = store::load(connection, &browser, topic, &ends).await?;
    let mut settled = if redrive.from_start {
        loaded.or_nothing()
    } else {
        loaded.certain(topic)?
    };
    if redrive.from_start {
        reopen(&browser, topic, &redrive.selection, &ends, &mut settled).await?;
    }
    settled.begin(ends.iter().map(|(partition, ..)| *partition));
    if let Some((store, _)) = &writing {
        let noting = Failed::kafka("noting what is settled");
        store.write(&mut settled).await.map_err(noting)?;
    }
    Ok(Begun {
        browser,
        ends,
        writing,
        settled,
    })
}

/// Makes the selected records open again, all of them before the first is sent: a redrive that
/// is interrupted then goes on with those that are left.
async fn reopen(
    browser: &Browser,
    topic: &str,
    selection: &Selection,
    ends: &[Ends],
    settled: &mut Settled,
) -> Result<(), Failed> {
    let reading = || Failed::kafka(format!("reading {topic}"));
    let ranges = ends.iter().filter_map(|(partition, low, high)| {
        let (first, end) = selection.range(*partition, *low, *high)?;
        (settled.count(*partition, first, end) > 0).then_some((*partition, first, end))
    });
    let ranges: Vec<_> = ranges.collect();
    let mut records = browser.read(topic, ranges).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        if selection.holds(&record) {
            settled.reopen(record.at.partition, record.offset);
        }
    }
    Ok(())
}

/// What must be read of each partition.
fn ranges(selection: &Selection, ends: &[Ends], settled: &Settled) -> Vec<Ends> {
    let range = |(partition, low, high): &Ends| {
        let open = settled.first_open(*partition, *low, *high);
        let (first, end) = selection.range(*partition, open, *high)?;
        Some((*partition, first, end))
    };
    ends.iter().filter_map(range).collect()
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
    connection: &'a Connection,
    topic: &'a str,
    redrive: &'a Redrive,
    stop: &'a CancellationToken,
    records: Reading<'a>,
    targets: Targets<'a>,
    tally: Tally,
    /// Of the dead-letter topic, before anything was sent.
    ends: Vec<Ends>,
    bar: ProgressBar,
}

/// What becomes of a record: it is sent, it stays, or it is not selected.
type Decided = Option<Result<Outgoing, (Left, String, String)>>;

impl Work<'_> {
    async fn decide(&mut self, record: &Record, settled: &Settled) -> Result<Decided, Failed> {
        self.bar.inc(1);
        let Redrive {
            selection, rules, ..
        } = self.redrive;
        if !selection.holds(record) {
            self.tally.not_selected += 1;
            return Ok(None);
        }
        if settled.fate(record.at.partition, record.offset).is_some() {
            self.tally.settled += 1;
            return Ok(None);
        }
        let template = self.connection.settings.dead_letter.topic.as_deref();
        let decided = redriven(record, rules, |topic| {
            let named = selection.sources.iter().any(|source| source == topic);
            named || is_source(template, &self.connection.uses, self.topic, topic)
        });
        let decided = match decided {
            Ok(outgoing) => {
                let checked = self.targets.check(&outgoing.topic, group(&outgoing));
                match checked.await? {
                    None => Ok(outgoing),
                    Some(left) => {
                        let group = group(&outgoing).unwrap_or_default().to_owned();
                        Err((left, outgoing.topic, group))
                    }
                }
            }
            left => left,
        };
        if let Err((left, topic, group)) = &decided {
            self.tally.leave(*left, topic, group, &at(record));
        }
        Ok(Some(decided))
    }

    async fn show(&mut self, settled: &Settled, out: &mut impl Write) -> Result<Ended, Failed> {
        let stop = self.stop;
        let mut shown = 0;
        loop {
            if self.redrive.limit.is_some_and(|limit| shown >= limit) {
                return Ok(Ended::Done);
            }
            let record = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Interrupted),
                record = self.records.next() => record,
            };
            let reading = Failed::kafka(format!("reading {}", self.topic));
            let Some(record) = record.map_err(reading)? else {
                return Ok(Ended::Done);
            };
            if let Some(decided) = self.decide(&record, settled).await? {
                if let Ok(outgoing) = &decided {
                    shown += 1;
                    *self.tally.sent.entry(outgoing.topic.clone()).or_default() += 1;
                }
                tally::show(&at(&record), &decided, self.redrive.output, out)?;
            }
        }
    }

    async fn send(mut self, mut flight: Flight<'_>, out: &mut impl Write) -> Result<Ended, Failed> {
        let worked = self.fly(&mut flight).await;
        let Landed {
            repeated,
            stuck,
            unnoted,
        } = flight.land().await;
        self.take_refused(&mut flight);
        self.bar.finish_and_clear();
        self.tally.sent = std::mem::take(&mut flight.sent).into_iter().collect();
        let state = self.state(repeated);
        let ended = match (worked, stuck, unnoted) {
            (Err(Stopped::Stuck(stuck)), ..) | (Ok(_), Some(stuck), _) => {
                let Stuck { at, topic, error } = stuck;
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
                let what = format!("noting what is settled ({state})");
                Err(Failed::Kafka { what, cause })
            }
            (Ok(ended), None, None) => self.wait(ended, flight.places.as_deref()).await,
        };
        let tally = &self.tally;
        match tally.write(self.redrive, self.topic, &ended, repeated, out) {
            // The reader of the output has closed the pipe, and the redrive ended as it ended.
            Err(Failed::Output(error)) if error.kind() == BrokenPipe => ended,
            Err(unwritten) => ended.and(Err(unwritten)),
            Ok(()) => ended,
        }
    }

    /// Waits for the groups, if that was asked for, and says whether all selected records were
    /// sent, and stay sent.
    async fn wait(
        &mut self,
        ended: Ended,
        places: Option<&[(Target, Offset)]>,
    ) -> Result<Ended, Failed> {
        if let Some(places) = places
            && ended == Ended::Done
        {
            let outcome = wait(self.connection, self.topic, places, &self.ends, self.stop);
            self.tally.outcome = Some(outcome.await?);
        }
        let dead_again = self.tally.outcome.map_or(0, |outcome| outcome.dead_again);
        let dead_again = (dead_again > 0)
            .then(|| format!("{dead_again} of the sent records became dead letters again"));
        let problems: Vec<_> = self.tally.staying().into_iter().chain(dead_again).collect();
        if ended == Ended::Interrupted || problems.is_empty() {
            return Ok(ended);
        }
        Err(Failed::Partly(problems.join("; ")))
    }

    /// Sends until the end, a signal or a failure.
    async fn fly(&mut self, flight: &mut Flight<'_>) -> Result<Ended, Stopped> {
        let mut note = interval(NOTE);
        note.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = self.redrive.rate.map(Pace::new);
        let stop = self.stop;
        loop {
            self.take_refused(flight);
            let limit = self.redrive.limit;
            if limit.is_some_and(|limit| flight.begun() >= limit) {
                return Ok(Ended::Done);
            }
            let record = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Interrupted),
                _ = note.tick() => {
                    flight.settle()?;
                    if let Err(cause) = flight.note().await {
                        tracing::warn!("noting what is settled: {cause}; trying again");
                    }
                    continue;
                }
                record = self.records.next() => record,
            };
            let reading = Failed::kafka(format!("reading {}", self.topic));
            let Some(record) = record.map_err(reading)? else {
                return Ok(Ended::Done);
            };
            if let Some(Ok(outgoing)) = self.decide(&record, flight.what_is_settled()).await? {
                if let Some(pace) = &mut pace {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(Ended::Interrupted),
                        () = pace.next() => {}
                    }
                }
                flight.send(&record, outgoing).await?;
            }
            if flight.is_full() {
                let noting = Failed::kafka("noting what is settled");
                flight.note().await.map_err(noting)?;
            }
        }
    }

    /// Counts what the brokers refused.
    fn take_refused(&mut self, flight: &mut Flight<'_>) {
        for unsent in flight.take_refused() {
            if unsent.left == Left::Forbidden {
                self.targets.forbid(&unsent.topic);
            }
            let group = unsent.group.unwrap_or_default();
            self.tally
                .leave(unsent.left, &unsent.topic, &group, &unsent.at);
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
    Stuck(Stuck),
    Failed(Failed),
}

impl From<Stuck> for Stopped {
    fn from(stuck: Stuck) -> Self {
        Self::Stuck(stuck)
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
        Kind::TooLarge | Kind::OverTopicLimit => {
            "raise the topic's max.message.bytes, or leave the record out with --offset"
        }
        Kind::Forbidden => "give this login the right to write to the topic",
        Kind::Unreachable | Kind::QueueFull => "see that the brokers answer, then run it again",
        Kind::BatchTooLarge | Kind::Invalid | Kind::OutOfRange | Kind::Fatal | Kind::Other => {
            "mend the cause, then run it again"
        }
    }
}
