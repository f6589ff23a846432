//! `dapr-rdkafka topics plan` and `apply`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    apply::{Applied, Apply, Outcome},
    file,
    plan::{Fate, Plan, Sort, plan},
    present::look,
    render,
    wanted::Wanted,
};
use crate::{
    connect::{Connect, Given, Output, Source, Unknown, find},
    doctor::{Connected, Refused},
    metadata,
};

/// How long each step to the brokers, and each of their answers, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of topics.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Plan, or apply.
    pub action: Action,
    /// The file that says how topics should be; `-` is the standard input.
    pub file: PathBuf,
    /// Topics that may lose data, safety or order.
    pub allow: Vec<String>,
    /// Where the settings are.
    pub connect: Connect,
    /// How results are written.
    pub output: Output,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Only look.
    Plan,
    /// Do it.
    Apply,
}

/// How it ended, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// All topics are as the file wants them, or the brokers are at it.
    Same,
    /// Some are not: `apply` would make them so, or has left what no `--allow` names.
    Differ,
    /// Some can't be so, or the brokers refused; the result says which.
    Failed,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The command line asks for what can't be.
    #[error("{0}")]
    Usage(String),
    /// The file can't be used: all that is wrong with it.
    #[error("{0}")]
    File(String),
    /// The settings are not to be had, or no broker answers.
    #[error("{0}")]
    Connect(String),
    /// The result could not be written.
    #[error("writing the result: {0}")]
    Output(#[from] io::Error),
}

impl From<Refused> for Failed {
    fn from(Refused(text): Refused) -> Self {
        Self::Connect(text)
    }
}

impl From<Unknown> for Failed {
    fn from(Unknown(text): Unknown) -> Self {
        Self::Connect(text)
    }
}

/// Plans, and does it if that is asked for.
///
/// # Errors
/// When the file is wrong, before any broker is asked; when brokers don't answer.
pub async fn command(topics: &Topics, out: &mut impl Write) -> Result<Ended, Failed> {
    let (wanted, allowed) = read(topics)?;
    let Given {
        name, properties, ..
    } = find(&topics.connect, "topics").await?;
    let resolved = metadata::resolve(&properties)
        .map_err(|problems| Failed::Connect(format!("{name}: {problems}")))?;
    for note in resolved.notes {
        tracing::info!("{name}: {note}");
    }
    let settings = resolved.settings;
    let mut brokers = Connected::open(&settings, PATIENCE).await?;
    let seen = look(&mut brokers, &settings, &wanted).await?;
    let plans = plan(wanted, &seen.topics, seen.brokers, &allowed);
    if topics.action == Action::Plan {
        return tell(&plans, topics.output, out);
    }
    let mut apply = Apply {
        brokers: &mut brokers,
        settings: &settings,
    };
    let mut applied: Vec<_> = plans.iter().map(Applied::new).collect();
    let ended = apply.all(&plans, &mut applied).await;
    for (plan, applied) in plans.iter().zip(&applied) {
        match topics.output {
            Output::Text => out.write_all(render::applied_text(plan, applied).as_bytes())?,
            Output::Json => writeln!(out, "{}", render::applied_json(plan, applied))?,
        }
    }
    ended?;
    Ok(came(applied.iter().flat_map(Applied::outcomes)))
}

/// How it ended, by what came of each step.
fn came<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Ended {
    let each = outcomes.map(|outcome| match outcome {
        Outcome::Done | Outcome::UnderWay(_) => Ended::Same,
        Outcome::Left(_) => Ended::Differ,
        Outcome::Impossible(_) | Outcome::Failed(_) => Ended::Failed,
    });
    each.max().unwrap_or(Ended::Same)
}

/// The file's topics, and those that may lose something.
fn read(topics: &Topics) -> Result<(Vec<Wanted>, BTreeSet<String>), Failed> {
    let shown = topics.file.display();
    if reads_twice(topics) {
        return Err(Failed::Usage(
            "-f - and --component - both read the standard input; name a file for one of them"
                .into(),
        ));
    }
    let text = text(&topics.file)
        .map_err(|error| Failed::File(format!("reading {shown}: {error}; name the file by -f")))?;
    let wanted = file::parse(&text).map_err(|problems| {
        let count = problems.len();
        let lines = problems.iter().map(|problem| format!("\n  {problem}"));
        let lines: String = lines.collect();
        let things = if count == 1 { "thing is" } else { "things are" };
        Failed::File(format!(
            "{shown}: {count} {things} wrong, and no broker was asked:{lines}"
        ))
    })?;
    let there: BTreeSet<_> = wanted.iter().map(|one| one.name.as_str()).collect();
    let strange = topics
        .allow
        .iter()
        .filter(|name| !there.contains(name.as_str()));
    let strange: Vec<_> = strange.map(String::as_str).collect();
    if !strange.is_empty() {
        let strange = strange.join(", ");
        return Err(Failed::Usage(format!(
            "--allow {strange}: {shown} has no such topic; name a topic of it, or a dead-letter \
             topic by its own name"
        )));
    }
    Ok((wanted, topics.allow.iter().cloned().collect()))
}

/// Whether the standard input is to be the file and the Component.
fn reads_twice(topics: &Topics) -> bool {
    let input = Path::new("-");
    let component = match &topics.connect.source {
        Source::Component { files, .. } => files.iter().any(|file| file == input),
        Source::Instance { .. } | Source::Flags => false,
    };
    component && topics.file == input
}

/// No more than is read of it anyway.
fn text(file: &Path) -> io::Result<String> {
    let most = file::LARGEST as u64 + 1;
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().take(most).read_to_string(&mut text)?;
    } else {
        File::open(file)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn tell(plans: &[Plan], output: Output, out: &mut impl Write) -> Result<Ended, Failed> {
    for plan in plans {
        match output {
            Output::Text => out.write_all(render::text(plan).as_bytes())?,
            Output::Json => writeln!(out, "{}", render::json(plan))?,
        }
    }
    if output == Output::Text {
        writeln!(out, "\n{}", render::summary(plans))?;
    }
    Ok(ended(plans))
}

fn ended(plans: &[Plan]) -> Ended {
    let is_stuck = |plan: &Plan| {
        let mut steps = plan.steps().iter();
        matches!(plan.fate, Fate::Impossible(_) | Fate::Unknown(_))
            || steps.any(|step| matches!(step.sort, Sort::Impossible(_)))
    };
    let differs = |plan: &Plan| plan.fate == Fate::Create || !plan.steps().is_empty();
    if plans.iter().any(is_stuck) {
        Ended::Failed
    } else if plans.iter().any(differs) {
        Ended::Differ
    } else {
        Ended::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_as_asked_is_told_from_what_failed() {
        let left = Outcome::Left("older records go".into());
        let failed = Outcome::Failed("no".into());
        let impossible = Outcome::Impossible("no".into());
        let under_way = Outcome::UnderWay("soon".into());
        assert_eq!(came([&Outcome::Done, &under_way].into_iter()), Ended::Same);
        assert_eq!(came([&Outcome::Done, &left].into_iter()), Ended::Differ);
        for worse in [failed, impossible] {
            assert_eq!(came([&worse, &left].into_iter()), Ended::Failed);
        }
        assert_eq!(came([].into_iter()), Ended::Same);
    }

    #[test]
    fn one_input_is_not_read_twice() {
        let topics = |file: &str, component: &str| Topics {
            action: Action::Plan,
            file: file.into(),
            allow: Vec::new(),
            connect: Connect {
                source: Source::Component {
                    files: vec![component.into()],
                    name: None,
                },
                set: Vec::new(),
            },
            output: Output::Text,
        };
        let refused = read(&topics("-", "-")).expect_err("both read it");
        assert!(matches!(refused, Failed::Usage(_)), "{refused}");
        assert!(!reads_twice(&topics("-", "c.yaml")));
        assert!(!reads_twice(&topics("t.yaml", "-")));
    }
}
