//! docs/reliability.md, and the numbers that it is made of.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use harness::{Result, root};

use crate::{
    Side,
    faults::{self, Fault},
    results::{Kept, Summary},
    scene::{HEALS_WITHIN, Sample, is_flat, quarters},
};

/// What stands before the figures.
const HEAD: &str = include_str!("page/head.md");
/// What stands behind them.
const TAIL: &str = include_str!("page/tail.md");

/// The page's path.
pub fn path() -> PathBuf {
    root().join("docs/reliability.md")
}

/// The path of its numbers.
pub fn numbers() -> PathBuf {
    root().join("docs/reliability.json")
}

/// Writes both.
pub fn write(summary: &Summary) -> Result<()> {
    fs::write(path(), render(summary))?;
    let text = serde_json::to_string_pretty(summary)?;
    Ok(fs::write(numbers(), text + "\n")?)
}

/// The page.
pub fn render(summary: &Summary) -> String {
    let mut page = HEAD.to_owned();
    measured(&mut page, summary);
    table(&mut page, summary);
    what_is_done(&mut page);
    soaked(&mut page, summary);
    page.push_str(TAIL);
    page
}

fn measured(page: &mut String, summary: &Summary) {
    page.push_str("## What was run\n\n");
    let all = |of: fn(&Kept) -> String| {
        let all: BTreeSet<_> = summary.runs.iter().map(of).collect();
        all.into_iter().collect::<Vec<_>>().join("; ")
    };
    for (name, value) in [
        ("commit", all(|run| run.about.commit.clone())),
        ("date", all(|run| run.about.date.clone())),
        ("machine", all(|run| run.about.machine.clone())),
        ("build of the component", all(|run| run.about.build.clone())),
    ] {
        let _ = writeln!(page, "* {name}: {value}");
    }
    page.push_str("* versions: daprd 1.16.5, Apache Kafka 4.1.1\n\n");
}

fn table(page: &mut String, summary: &Summary) {
    page.push_str(
        "## Faults\n\n| fault | side | seeds | messages | lost | duplicates | bound | order breaks | seconds to heal: median | worst |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for fault in faults::all() {
        for side in fault.sides {
            let of = |run: &&Kept| run.fault == fault.name && run.side == *side;
            let runs: Vec<_> = summary.runs.iter().filter(of).collect();
            page.push_str(&row(&fault, *side, &runs));
        }
    }
    page.push('\n');
}

fn row(fault: &Fault, side: Side, runs: &[&Kept]) -> String {
    let name = format!("| {} | {side} |", fault.name);
    if runs.is_empty() {
        return format!("{name} not run yet | | | | | | | |\n");
    }
    let sum = |of: fn(&Kept) -> usize| runs.iter().map(|run| of(run)).sum::<usize>();
    let mut heals: Vec<f64> = runs
        .iter()
        .flat_map(|run| &run.outcome.heals)
        .map(|heal| heal.unwrap_or(f64::INFINITY))
        .collect();
    heals.sort_by(f64::total_cmp);
    let cells = [
        runs.len().to_string(),
        sum(|run| run.outcome.messages).to_string(),
        marked(sum(|run| run.outcome.lost)),
        sum(|run| run.outcome.duplicates).to_string(),
        match side {
            Side::Component => sum(|run| run.outcome.bound).to_string(),
            Side::BuiltIn => "none".to_owned(),
        },
        marked(sum(|run| run.outcome.order_breaks)),
        heals.get(heals.len() / 2).map_or_else(String::new, seconds),
        heals.last().map_or_else(String::new, seconds),
    ];
    format!("{name} {} |{}\n", cells.join(" | "), note(side, runs))
}

/// What should be zero and is not.
fn marked(count: usize) -> String {
    if count == 0 {
        "0".to_owned()
    } else {
        format!("**{count}**")
    }
}

fn seconds(value: &f64) -> String {
    if value.is_infinite() {
        "not within 90".to_owned()
    } else if *value > HEALS_WITHIN {
        format!("**{value:.1}**")
    } else {
        format!("{value:.1}")
    }
}

fn note(side: Side, runs: &[&Kept]) -> String {
    let incomplete = runs.iter().filter(|run| !run.outcome.complete).count();
    let other: usize = runs.iter().map(|run| run.outcome.other).sum();
    let mut notes = Vec::new();
    if incomplete > 0 {
        notes.push(format!(
            " {incomplete} of the runs did not come to their end."
        ));
    }
    if other > 0 && side == Side::Component {
        notes.push(format!(" {other} other promises were broken."));
    }
    notes.concat()
}

fn what_is_done(page: &mut String) {
    page.push_str("## What is done\n\n");
    for fault in faults::all() {
        let _ = writeln!(page, "* **{}**: {}.", fault.name, fault.what);
    }
    page.push('\n');
}

/// What is looked at in a soak.
type Part = (&'static str, fn(&Sample) -> u64);

const PARTS: [Part; 3] = [
    ("resident memory, KiB", |sample| sample.rss_kib),
    ("threads", |sample| sample.threads),
    ("open files", |sample| sample.files),
];

fn soaked(page: &mut String, summary: &Summary) {
    page.push_str(
        "## Soak\n\nFaults at random, one after the other, at 500 messages a second: connections closed, one direction cut, late answers, a \
         member killed or leaving, the app hanging, the broker killed. The component of a member that is there all along is looked at \
         every 10 s.\n\n",
    );
    let Some(soak) = summary.runs.iter().find(|run| run.fault == "soak") else {
        page.push_str("Not run yet.\n\n");
        return;
    };
    let outcome = &soak.outcome;
    let _ = writeln!(
        page,
        "{:.0} minutes, {} faults, {} messages: {} lost, {} duplicates (bound {}), {} order breaks; the longest heal took {}.\n",
        outcome.seconds / 60.0,
        outcome.faults,
        outcome.messages,
        outcome.lost,
        outcome.duplicates,
        outcome.bound,
        outcome.order_breaks,
        outcome
            .longest_heal()
            .map_or_else(String::new, |heal| format!("{} s", seconds(&heal))),
    );
    page.push_str("| of the component | first quarter | last quarter |\n|---|--:|--:|\n");
    for (name, of) in PARTS {
        if let Some((first, last)) = quarters(&outcome.samples, of) {
            let _ = writeln!(page, "| {name} (median) | {first} | {last} |");
        }
    }
    let flat = if is_flat(&outcome.samples) {
        "Flat"
    } else {
        "**Not flat**"
    };
    let _ = writeln!(
        page,
        "\n{flat}: the last quarter may take a tenth more memory, two threads and ten files.\n"
    );
}
