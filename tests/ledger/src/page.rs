//! docs/reliability.md, and the numbers that it is made of.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use harness::{Result, root};

use crate::{
    Side,
    faults::{self, Fault},
    results::{Kept, Summary},
    scene::{DRAINS_WITHIN, HEALS_WITHIN, Sample, is_flat, quarters},
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

/// The results that are published.
pub fn published() -> Result<Summary> {
    Ok(serde_json::from_str(&fs::read_to_string(numbers())?)?)
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
    if summary.runs.is_empty() {
        page.push_str("**Nothing has been run for this page yet.**\n\n");
    } else {
        measured(&mut page, summary);
        table(&mut page, summary);
    }
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
        (
            "daprd and commit",
            all(|run| format!("{} at {}", run.daprd, run.about.commit)),
        ),
        ("date", all(|run| run.about.date.clone())),
        ("machine", all(|run| run.about.machine.clone())),
        ("build of the component", all(|run| run.about.build.clone())),
    ] {
        let _ = writeln!(page, "* {name}: {value}");
    }
    page.push_str("* versions: Apache Kafka 4.1.1, and the daprd that each row names\n\n");
}

fn table(page: &mut String, summary: &Summary) {
    page.push_str(
        "## Faults\n\n| fault | side | daprd | seeds | messages | lost | duplicates | bound | order breaks | seconds to heal: median | worst | from the drain's end: median | worst |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut notes = Vec::new();
    for fault in faults::all() {
        for side in fault.sides {
            for daprd in daprds(&fault, *side, summary) {
                let of = |run: &&Kept| {
                    run.fault == fault.name && run.side == *side && run.daprd == daprd
                };
                let runs: Vec<_> = summary.runs.iter().filter(of).collect();
                page.push_str(&row(&fault, *side, daprd, &runs));
                notes.extend(note(&fault, *side, daprd, &runs));
            }
        }
    }
    page.push('\n');
    for note in &notes {
        let _ = writeln!(page, "* {note}");
    }
    if !notes.is_empty() {
        page.push('\n');
    }
}

/// The daprds of a fault's rows: those that were run, and those that it is to be run on if it was run
/// on none, or on several.
fn daprds<'a>(fault: &Fault, side: Side, summary: &'a Summary) -> Vec<&'a str> {
    let runs = summary.runs.iter();
    let runs = runs.filter(|run| run.fault == fault.name && run.side == side);
    let mut daprds: BTreeSet<_> = runs.map(|run| run.daprd.as_str()).collect();
    if daprds.is_empty() || fault.daprds.len() > 1 {
        daprds.extend(fault.daprds.iter().map(|daprd| daprd.version()));
    }
    daprds.into_iter().collect()
}

fn row(fault: &Fault, side: Side, daprd: &str, runs: &[&Kept]) -> String {
    let name = format!("| {} | {side} | {daprd} |", fault.name);
    if runs.is_empty() {
        return format!("{name} not run yet | | | | | | | | | |\n");
    }
    let sum = |of: fn(&Kept) -> usize| runs.iter().map(|run| of(run)).sum::<usize>();
    let heals = runs.iter().flat_map(|run| run.outcome.heals.clone());
    let drained = runs.iter().filter(|run| !run.outcome.drains.is_empty());
    let after_drain = drained.flat_map(|run| run.outcome.heals_after_drain());
    let after_drain: Vec<_> = after_drain.collect();
    let within = if after_drain.is_empty() {
        HEALS_WITHIN
    } else {
        DRAINS_WITHIN + HEALS_WITHIN
    };
    let [median, worst] = median_and_worst(heals.collect(), within);
    let [median_after_drain, worst_after_drain] = median_and_worst(after_drain, HEALS_WITHIN);
    let cells = [
        runs.len().to_string(),
        sum(|run| run.outcome.messages).to_string(),
        lost(runs),
        sum(|run| run.outcome.duplicates).to_string(),
        match side {
            Side::Component => sum(|run| run.outcome.bound).to_string(),
            Side::BuiltIn => "none".to_owned(),
        },
        marked(sum(|run| run.outcome.order_breaks)),
        median,
        worst,
        median_after_drain,
        worst_after_drain,
    ];
    format!("{name} {} |\n", cells.join(" | "))
}

/// Cells that stay empty where nothing was measured.
fn median_and_worst(heals: Vec<Option<f64>>, within: f64) -> [String; 2] {
    let heals = heals.into_iter();
    let mut heals: Vec<f64> = heals.map(|heal| heal.unwrap_or(f64::INFINITY)).collect();
    heals.sort_by(f64::total_cmp);
    let cell = |heal: Option<&f64>| heal.map_or_else(String::new, |heal| seconds(*heal, within));
    [heals.get(heals.len() / 2), heals.last()].map(cell)
}

/// What was lost in the runs that came to their end: of the others nobody knows what would
/// have been delivered yet.
fn lost(runs: &[&Kept]) -> String {
    let ended = runs.iter().filter(|run| run.outcome.complete);
    let lost: Vec<_> = ended.map(|run| run.outcome.lost).collect();
    if lost.is_empty() {
        return "not known".to_owned();
    }
    marked(lost.iter().sum())
}

/// What should be zero and is not.
fn marked(count: usize) -> String {
    if count == 0 {
        "0".to_owned()
    } else {
        format!("**{count}**")
    }
}

/// A time to heal, which stands out if it is longer than it may be.
fn seconds(value: f64, within: f64) -> String {
    if value.is_infinite() {
        "not within 90".to_owned()
    } else if value > within {
        format!("**{value:.1}**")
    } else {
        format!("{value:.1}")
    }
}

/// What the table does not say.
fn note(fault: &Fault, side: Side, daprd: &str, runs: &[&Kept]) -> Option<String> {
    let incomplete = runs.iter().filter(|run| !run.outcome.complete).count();
    let other: usize = runs.iter().map(|run| run.outcome.other).sum();
    let mut parts = Vec::new();
    if incomplete > 0 {
        parts.push(format!(
            "{incomplete} of {} runs did not come to their end (what was not delivered by then is not counted as lost)",
            runs.len()
        ));
    }
    if other > 0 {
        parts.push(format!("{other} other findings of the judge"));
    }
    let remarks: BTreeSet<_> = runs
        .iter()
        .flat_map(|run| &run.outcome.remarks)
        .filter_map(|remark| remark.lines().next())
        .map(|remark| format!("`{}`", remark.trim_end_matches(':')))
        .collect();
    let said = remarks.into_iter().take(4).collect::<Vec<_>>().join("; ");
    let what = format!(
        "**{}**, {side}, daprd {daprd}: {}",
        fault.name,
        parts.join(", ")
    );
    (!parts.is_empty()).then(|| format!("{what}: {said}"))
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
    let soaks: Vec<_> = summary
        .runs
        .iter()
        .filter(|run| run.fault == "soak")
        .collect();
    if soaks.is_empty() {
        page.push_str("Not run yet.\n\n");
    }
    for soak in soaks {
        soak_of(page, soak);
    }
}

fn soak_of(page: &mut String, soak: &Kept) {
    let outcome = &soak.outcome;
    let _ = writeln!(
        page,
        "daprd {}, {:.0} minutes, {} faults, {} messages: {} lost, {} duplicates (bound {}), {} order breaks; the longest heal took {}.\n",
        soak.daprd,
        outcome.seconds / 60.0,
        outcome.faults,
        outcome.messages,
        outcome.lost,
        outcome.duplicates,
        outcome.bound,
        outcome.order_breaks,
        outcome
            .longest_heal()
            .map_or_else(String::new, |heal| format!(
                "{} s",
                seconds(heal, HEALS_WITHIN)
            )),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::About, scene::Outcome};

    fn kept(fault: &str, outcome: Outcome) -> Kept {
        Kept {
            fault: fault.to_owned(),
            side: Side::Component,
            daprd: "1.16.5".to_owned(),
            seed: 1,
            about: About {
                commit: "abc".to_owned(),
                date: "2026-01-01".to_owned(),
                machine: "a machine".to_owned(),
                build: "release".to_owned(),
            },
            outcome,
        }
    }

    #[test]
    fn what_is_wrong_stands_out() {
        let outcome = Outcome {
            messages: 100,
            lost: 2,
            other: 1,
            heals: vec![Some(1.0), Some(12.0), None],
            complete: true,
            remarks: vec!["I1 is broken 2 times:".to_owned()],
            ..Outcome::default()
        };
        assert!(!outcome.is_fine(Side::Component));
        let runs = vec![kept("app-hangs", outcome)];
        let page = render(&Summary { runs });
        for part in [
            "| app-hangs | component | 1.16.5 | 1 | 100 | **2** | 0 | 0 | 0 | **12.0** | not within 90 |  |  |",
            "* **app-hangs**, component, daprd 1.16.5: 1 other findings of the judge: `I1 is broken 2 times`",
            "| leader-killed | built-in | 1.18.4+reconstruction | not run yet |",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }

    #[test]
    fn what_an_unfinished_run_did_not_deliver_is_not_lost() {
        let unfinished = Outcome {
            messages: 100,
            lost: 90,
            remarks: vec!["not within 60s: all is committed\nit printed:".to_owned()],
            ..Outcome::default()
        };
        let finished = Outcome {
            messages: 100,
            lost: 1,
            complete: true,
            ..Outcome::default()
        };
        let page_of = |runs: &[&Outcome]| {
            let runs = runs.iter().map(|run| kept("app-hangs", (*run).clone()));
            render(&Summary {
                runs: runs.collect(),
            })
        };
        let page = page_of(&[&unfinished]);
        assert!(page.contains("| app-hangs | component | 1.16.5 | 1 | 100 | not known |"));
        assert!(page.contains("lost): `not within 60s: all is committed`\n"));
        let page = page_of(&[&unfinished, &finished]);
        assert!(page.contains("| app-hangs | component | 1.16.5 | 2 | 200 | **1** |"));
    }

    #[test]
    fn a_heal_is_judged_from_the_drains_end_and_both_figures_are_shown() {
        let drained = |heal, drain| Outcome {
            messages: 100,
            heals: vec![Some(heal), Some(1.0)],
            drains: vec![drain, 0.0],
            complete: true,
            ..Outcome::default()
        };
        let good = drained(13.0, 9.0);
        assert!(good.is_fine(Side::Component));
        assert!(!drained(13.0, 2.0).is_fine(Side::Component));
        let runs = vec![kept("terminated", good)];
        let page = render(&Summary { runs });
        let row = "| terminated | component | 1.16.5 | 1 | 100 | 0 | 0 | 0 | 0 | 13.0 | 13.0 | 4.0 | 4.0 |";
        assert!(page.contains(row), "{page}");
    }

    #[test]
    fn a_group_that_rebalances_without_end_is_slow() {
        let outcome = Outcome {
            messages: 100,
            heals: vec![Some(41.0)],
            drains: vec![40.0],
            complete: true,
            ..Outcome::default()
        };
        assert!(!outcome.is_fine(Side::Component));
        let runs = vec![kept("terminated", outcome)];
        let page = render(&Summary { runs });
        let row = "| 0 | 0 | 0 | 0 | **41.0** | **41.0** | **31.0** | **31.0** |";
        assert!(page.contains(row), "{page}");
    }

    #[test]
    fn each_soak_names_its_daprd() {
        let mut second = kept("soak", Outcome::default());
        "1.18.3".clone_into(&mut second.daprd);
        let runs = vec![kept("soak", Outcome::default()), second];
        let page = render(&Summary { runs });
        for daprd in ["daprd 1.16.5, 0 minutes", "daprd 1.18.3, 0 minutes"] {
            assert!(page.contains(daprd), "{daprd}: {page}");
        }
    }

    #[test]
    fn what_is_as_it_must_be_is_fine() {
        let outcome = Outcome {
            heals: vec![Some(10.0)],
            complete: true,
            duplicates: 7,
            ..Outcome::default()
        };
        assert!(outcome.is_fine(Side::Component));
        let incomplete = Outcome {
            complete: false,
            ..outcome
        };
        assert!(!incomplete.is_fine(Side::Component));
        assert!(incomplete.is_fine(Side::BuiltIn));
    }
}
