//! `dapr-rdkafka dlq …` on the command line.

use clap::{Args, Subcommand};

use super::ConnectArgs;
use crate::dlq::{Key, List, Offsets, Purge, Redrive, Resolve, Rules, Selection, Show, time};

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
    /// List dead-letter topics: how many records they hold, how many were not redriven, and when
    /// the oldest is removed.
    ///
    /// Without --topic these are the topics whose names end in .dlq, -dlq, _dlq, .DLT or -dlt,
    /// the component's `deadLetterTopic` ({topic} in it stands for any name), and those of
    /// Subscriptions in the same files or of the running component. Counts come from offsets;
    /// --reasons reads all records.
    List(ListArgs),
    /// Show single dead letters: headers readable, the value as JSON, text or hex.
    Show(ShowArgs),
    /// Send dead letters back to their topic, for the group that failed.
    ///
    /// Each record goes to the topic in its header `__dlq.errors.topic`, for the group in
    /// `__dlq.errors.group`; other groups of this component skip it. The topic must be one whose
    /// dead letters go to this dead-letter topic, by the component's settings, a Subscription or
    /// the name; --source names others. The group must have members that read the topic, or
    /// committed offsets of it. Key, value and the app's own headers stay as they were; the
    /// record's time is now. The records stay in the dead-letter topic, too: `purge` deletes them.
    ///
    /// What was sent is noted in the topic `dapr-rdkafka-redrives`, and is not sent again, whatever
    /// the filters are. What can't be sent stays open: the command names the reason and the
    /// remedy, and ends with 1. Ctrl-C, a failure or a kill lose nothing: the same command goes
    /// on, and says what it may send again. Two redrives of one topic exclude each other.
    Redrive(RedriveArgs),
    /// Settle dead letters without sending them: a redrive passes them, and `purge` deletes them.
    ///
    /// It takes a filter, or --all.
    Resolve(ResolveArgs),
    /// Write dead letters to the standard output, as a line of JSON each, without loss.
    ///
    /// `import` reads such lines. Keys, values and headers are `{"text": …}` where they are UTF-8,
    /// else `{"base64": …}`.
    Export(ExportArgs),
    /// Write lines of `export` from the standard input to a dead-letter topic, as new dead letters.
    ///
    /// To mend a dead letter: export it, edit the line, import it, resolve the old one and
    /// redrive. Nothing is written if a line can't be read.
    Import(ImportArgs),
    /// Delete dead letters permanently, up to the first one of each partition that must stay.
    ///
    /// A record must stay unless its group has finished it after a redrive, it was resolved, or
    /// it is older than --before. The command names the record that it stops at. It asks for the
    /// topic's name. Without a terminal it takes --yes.
    Purge(PurgeArgs),
}

/// `dapr-rdkafka dlq list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// A dead-letter topic. Repeatable; by default all that are found.
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// Read all records, and count them by reason, source and group.
    #[arg(long)]
    pub reasons: bool,
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
    /// Show the newest ones of each partition: so many.
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    pub last: Option<usize>,
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
    /// Send at most so many records.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Wait until the groups have finished what was sent, and say how many records they
    /// acknowledged, and how many are dead letters again. Ctrl-C ends the wait.
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Send at most so many records per second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// Also send what was sent or resolved before.
    #[arg(long)]
    pub from_start: bool,
    /// Where they go.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// Which records.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Where dead letters are sent.
#[derive(Args, Debug)]
#[command(next_help_heading = "Where they go")]
pub struct RulesArgs {
    /// Keep a record that was sent back so often already (1 or more), and count it.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_redrives: u32,
    /// Send all selected records to this topic, whatever their headers say.
    #[arg(long, value_name = "TOPIC", conflicts_with = "default_to")]
    pub to: Option<String>,
    /// Where those go that don't name their source, because the built-in component or
    /// another tool wrote them. Without it they stay, and are counted.
    #[arg(long, value_name = "TOPIC")]
    pub default_to: Option<String>,
    /// Its old name.
    #[arg(long = "topic", hide = true, value_parser = renamed)]
    pub topic_of_0_1: Option<String>,
    /// Send what the group OLD could not process to the group NEW. Repeatable.
    #[arg(long, value_name = "OLD=NEW", value_parser = regroup)]
    pub regroup: Vec<(String, String)>,
    /// Send to every group of the topic, not only to the one that failed.
    #[arg(long, conflicts_with = "regroup")]
    pub to_all: bool,
}

/// `dapr-rdkafka dlq resolve`.
#[derive(Args, Debug)]
pub struct ResolveArgs {
    /// The dead-letter topic.
    pub topic: String,
    /// Change nothing; count what would be resolved.
    #[arg(long)]
    pub dry_run: bool,
    /// All records of the topic.
    #[arg(long)]
    pub all: bool,
    /// Which records.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `dapr-rdkafka dlq export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The dead-letter topic.
    pub topic: String,
    /// Which records.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `dapr-rdkafka dlq import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The dead-letter topic.
    pub topic: String,
    /// Where to connect.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// `dapr-rdkafka dlq purge`.
#[derive(Args, Debug)]
pub struct PurgeArgs {
    /// The dead-letter topic.
    pub topic: String,
    /// Also delete what failed before this time, whether it was sent back or not: a time in UTC
    /// (2026-01-31T12:00:00Z), or how long ago it was (30m, 2h, 3d; 0s is everything).
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub before: Option<i64>,
    /// What it does by now without this flag.
    #[arg(long, hide = true)]
    pub redriven: bool,
    /// Delete nothing; show what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
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
    /// Come from this topic, by their header `__dlq.errors.topic`. For `redrive` the topic counts
    /// as one that may be written to. Repeatable: any of them.
    #[arg(long = "source", value_name = "TOPIC")]
    pub sources: Vec<String>,
    /// A key, as text or as hex:00ff. Repeatable: any of them.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<Key>,
    /// Failed last at this time or later, in UTC: 2026-01-31T12:00:00Z; or how long ago: 30m, 2h,
    /// 3d.
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

fn regroup(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.into(), new.into())),
        _ => Err("expected OLD=NEW".into()),
    }
}

fn renamed(_: &str) -> Result<String, String> {
    Err(
        "--topic names a dead-letter topic everywhere else, so here it is now --default-to: where \
         records go that don't name their source"
            .into(),
    )
}

impl DlqCommand {
    /// Where to connect.
    pub fn connect_args(&self) -> &ConnectArgs {
        match self {
            Self::List(args) => &args.connect,
            Self::Show(args) => &args.connect,
            Self::Redrive(args) => &args.connect,
            Self::Resolve(args) => &args.connect,
            Self::Export(args) => &args.connect,
            Self::Import(args) => &args.connect,
            Self::Purge(args) => &args.connect,
        }
    }
}

impl SelectionArgs {
    fn selection(&self) -> Selection {
        Selection {
            reasons: self.reasons.clone(),
            sources: self.sources.clone(),
            keys: self.keys.clone(),
            since: self.since,
            until: self.until,
            partitions: self.partitions.clone(),
            offsets: self.offsets,
        }
    }
}

impl ListArgs {
    /// What was asked for.
    pub fn list(&self) -> List {
        List {
            topics: self.topics.clone(),
            reasons: self.reasons,
            output: self.connect.output,
        }
    }
}

impl ExportArgs {
    /// Which records.
    pub fn selection(&self) -> Selection {
        self.selection.selection()
    }
}

impl ShowArgs {
    /// What was asked for.
    pub fn show(&self) -> Show {
        Show {
            selection: self.selection.selection(),
            limit: self.limit,
            last: self.last,
            output: self.connect.output,
        }
    }
}

impl RulesArgs {
    fn rules(&self) -> Rules {
        Rules {
            to_all: self.to_all,
            to: self.to.clone(),
            default_to: self.default_to.clone(),
            regroup: self.regroup.clone(),
            max_redrives: self.max_redrives,
        }
    }
}

impl RedriveArgs {
    /// What was asked for.
    pub fn redrive(&self) -> Redrive {
        Redrive {
            selection: self.selection.selection(),
            rules: self.rules.rules(),
            from_start: self.from_start,
            dry_run: self.dry_run,
            limit: self.limit,
            wait: self.wait,
            rate: self.rate,
            output: self.connect.output,
        }
    }
}

impl ResolveArgs {
    /// What was asked for; an error if that is every record, and --all does not say so.
    pub fn resolve(&self) -> Result<Resolve, String> {
        let selection = self.selection.selection();
        if selection == Selection::default() && !self.all {
            return Err("name the records with a filter, or all of them with --all".into());
        }
        Ok(Resolve {
            selection,
            dry_run: self.dry_run,
            output: self.connect.output,
        })
    }
}

impl PurgeArgs {
    /// What was asked for.
    pub fn purge(&self) -> Purge {
        Purge {
            before: self.before,
            dry_run: self.dry_run,
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
    fn the_old_meaning_of_topic_is_refused_with_the_new_name() {
        let line = [
            "redrive",
            "orders.dlq",
            "--topic",
            "orders",
            "--brokers",
            "a:1",
        ];
        let error = dlq(&line).expect_err("it has another meaning").to_string();
        assert!(error.contains("--default-to"), "{error}");
    }

    #[test]
    fn everything_is_resolved_only_by_name() {
        let resolve = |more: &[&str]| {
            let line = [&["resolve", "orders.dlq", "--brokers", "a:1"], more].concat();
            match dlq(&line).expect("it is right") {
                DlqCommand::Resolve(args) => args.resolve(),
                _ => panic!("resolve was asked for"),
            }
        };
        assert!(resolve(&[]).is_err());
        assert!(resolve(&["--all"]).is_ok());
        assert!(resolve(&["--key", "a"]).is_ok());
    }

    #[test]
    fn a_redrive_knows_its_two_topics() {
        let line = [
            "redrive",
            "orders.dlq",
            "--default-to",
            "orders",
            "--regroup",
            "old=new",
            "--brokers",
            "a:1",
            "--offset",
            "3..",
        ];
        let Ok(DlqCommand::Redrive(args)) = dlq(&line) else {
            panic!("it is right");
        };
        assert_eq!(args.topic, "orders.dlq");
        let rules = args.redrive().rules;
        assert_eq!(rules.default_to.as_deref(), Some("orders"));
        assert_eq!(rules.regroup, [("old".to_owned(), "new".to_owned())]);
        let wanted = Offsets {
            first: 3,
            last: i64::MAX,
        };
        assert_eq!(args.redrive().selection.offsets, Some(wanted));
    }
}
