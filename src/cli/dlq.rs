//! `dapr-rdkafka dlq …` on the command line.

use clap::{Args, Subcommand};

use super::ConnectArgs;
use crate::dlq::{Key, Offsets, Purge, Redrive, Rules, Selection, time};

/// `dapr-rdkafka dlq`.
#[derive(Args, Debug)]
pub struct DlqArgs {
    /// What to do with dead letters.
    #[command(subcommand)]
    pub command: DlqCommand,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead-letter topics: how many records, why, since when.
    ///
    /// Without --topic these are the topics whose names end in .dlq or -dlq, and the
    /// component's `deadLetterTopic` ({topic} in it stands for any name). "Not redriven"
    /// is what a redrive without filters has not sent back; redrives with filters keep
    /// their own progress and don't count here.
    List(ListArgs),
    /// Show single dead letters: headers readable, the value as JSON, text or hex.
    Show(ShowArgs),
    /// Send dead letters back to their topic, for the group that failed.
    ///
    /// Each record goes to the topic in its header `__dlq.errors.topic`, for the group in
    /// `__dlq.errors.group`; other groups of this component skip it. Key, value and the
    /// app's own headers stay as they were; the record's time is now. The records stay in
    /// the dead-letter topic, too: `purge --redriven` deletes them.
    ///
    /// Progress is committed in Kafka, as the group `dapr-rdkafka-redrive.TOPIC`, with a
    /// hash behind it when there are filters: a later redrive without filters also sends
    /// what one with filters has sent. Ctrl-C, a failure or a kill lose nothing: the same
    /// command goes on, and says what it may send again.
    Redrive(RedriveArgs),
    /// Delete dead letters for good, all that stand there or the redriven ones.
    ///
    /// It asks for the topic's name. Without a terminal it takes --yes.
    Purge(PurgeArgs),
}

/// `dapr-rdkafka dlq list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// A dead-letter topic. Repeatable; by default all that are found.
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `dapr-rdkafka dlq show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The dead-letter topic.
    pub topic: String,
    /// Show at most so many.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// Which records.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `dapr-rdkafka dlq redrive`.
#[derive(Args, Debug)]
pub struct RedriveArgs {
    /// The dead-letter topic.
    #[arg(id = "dlq", value_name = "DEAD-LETTER-TOPIC")]
    pub topic: String,
    /// Send nothing; show what would go where.
    #[arg(long)]
    pub dry_run: bool,
    /// Send at most so many records per second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// Leave a record that was sent back so often already (1 or more), and count it.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_redrives: u32,
    /// Where those go that don't name their source, because the built-in component or
    /// another tool wrote them. Without it they are left, and counted.
    #[arg(long = "topic", value_name = "TOPIC")]
    pub source: Option<String>,
    /// Send to every group of the topic, not only to the one that failed.
    #[arg(long)]
    pub to_all: bool,
    /// Begin at the first record, whatever was redriven before.
    #[arg(long)]
    pub from_start: bool,
    /// Which records.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `dapr-rdkafka dlq purge`.
#[derive(Args, Debug)]
pub struct PurgeArgs {
    /// The dead-letter topic.
    pub topic: String,
    /// Only what a redrive without filters has sent back, up to the first record of each
    /// partition that it left.
    #[arg(long)]
    pub redriven: bool,
    /// Don't ask.
    #[arg(long)]
    pub yes: bool,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Which dead letters.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which records (all of the filters must hold)")]
pub struct SelectionArgs {
    /// A failure's name (rejected, too-large-for-daprd, dead-lettered-by-daprd), or a part
    /// of the message, in any case. Repeatable: any of them.
    #[arg(long = "reason", value_name = "TEXT")]
    pub reasons: Vec<String>,
    /// A key, as text or as hex:00ff. Repeatable: any of them.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<Key>,
    /// Failed last at this time or later, in UTC: 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// Failed last before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<i64>,
    /// A partition of the dead-letter topic. Repeatable: any of them.
    #[arg(long = "partition", value_name = "N")]
    pub partitions: Vec<i32>,
    /// Offsets in the dead-letter topic: 7, or 7..9 (both included), 7.., ..9.
    #[arg(long = "offset", value_name = "RANGE")]
    pub offsets: Option<Offsets>,
}

impl DlqCommand {
    /// Where to connect.
    pub fn connect_args(&self) -> &ConnectArgs {
        match self {
            Self::List(args) => &args.connect,
            Self::Show(args) => &args.connect,
            Self::Redrive(args) => &args.connect,
            Self::Purge(args) => &args.connect,
        }
    }
}

impl SelectionArgs {
    fn selection(&self) -> Selection {
        Selection {
            reasons: self.reasons.clone(),
            keys: self.keys.clone(),
            since: self.since,
            until: self.until,
            partitions: self.partitions.clone(),
            offsets: self.offsets,
        }
    }
}

impl ShowArgs {
    /// Which records.
    pub fn selection(&self) -> Selection {
        self.selection.selection()
    }
}

impl RedriveArgs {
    /// What was asked for.
    pub fn redrive(&self) -> Redrive {
        Redrive {
            selection: self.selection.selection(),
            rules: Rules {
                to_all: self.to_all,
                topic: self.source.clone(),
                max_redrives: self.max_redrives,
            },
            from_start: self.from_start,
            dry_run: self.dry_run,
            rate: self.rate,
            output: self.connect.output,
        }
    }
}

impl PurgeArgs {
    /// What was asked for.
    pub fn purge(&self) -> Purge {
        Purge {
            redriven: self.redriven,
            yes: self.yes,
            output: self.connect.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        connect::Source,
    };

    fn dlq(line: &[&str]) -> Result<DlqCommand, clap::Error> {
        let line = ["dapr-rdkafka", "dlq"].iter().chain(line);
        match Cli::try_parse_from(line)?.command {
            Command::Dlq(args) => Ok(args.command),
            _ => panic!("dlq was asked for"),
        }
    }

    #[test]
    fn one_source_of_settings_is_required() {
        for (line, right) in [
            (&["list"][..], false),
            (&["list", "--brokers", "a:1"], true),
            (&["list", "--component", "f", "--name", "n"], true),
            (&["list", "--instance", "n", "--socket-folder", "/s"], true),
            (
                &["list", "--instance", "n", "--instance-process", "7"],
                true,
            ),
            (
                &["list", "--brokers", "a:1", "--instance-process", "7"],
                false,
            ),
            (&["list", "--brokers", "a:1", "--name", "n"], false),
            (&["list", "--brokers", "a:1", "--instance", "n"], false),
            (&["list", "--brokers", "a:1", "--set", "x"], false),
            (&["redrive", "t", "--brokers", "a:1", "--rate", "0"], false),
            (
                &["redrive", "t", "--brokers", "a:1", "--max-redrives", "0"],
                false,
            ),
        ] {
            assert_eq!(dlq(line).is_ok(), right, "{line:?}");
        }
    }

    #[test]
    fn flags_become_settings() {
        let line = [
            "list",
            "--brokers",
            "a:1",
            "--set",
            "clientID=x=y",
            "--log-level",
            "off",
        ];
        let connect = dlq(&line)
            .expect("it is right")
            .connect_args()
            .connect(|_| None);
        assert_eq!(connect.source, Source::Flags);
        let wanted = [("clientID", "x=y"), ("brokers", "a:1")];
        let wanted = wanted.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(connect.set, wanted);
    }

    #[test]
    fn a_redrive_knows_its_two_topics() {
        let line = [
            "redrive",
            "orders.dlq",
            "--topic",
            "orders",
            "--brokers",
            "a:1",
            "--offset",
            "3..",
        ];
        let Ok(DlqCommand::Redrive(args)) = dlq(&line) else {
            panic!("it is right");
        };
        assert_eq!(args.topic, "orders.dlq");
        assert_eq!(args.redrive().rules.topic.as_deref(), Some("orders"));
        let wanted = Offsets {
            first: 3,
            last: i64::MAX,
        };
        assert_eq!(args.redrive().selection.offsets, Some(wanted));
    }
}
