//! docs/benchmarks.md, from the figures that both benchmarks keep as JSON.

use std::{fmt::Write as _, fs, path::PathBuf};

use harness::{DaprdBuild, Result, root};
use serde::{Deserialize, Serialize};

use crate::{
    DAPRDS,
    figures::{Figure, Figures, Spread},
    machine::Circumstances,
    plot,
    targets::{self, Target},
};

/// What one benchmark measured on one daprd.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The version of the daprd; `None` for a benchmark without a daprd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daprd: Option<String>,
    /// Where and of what.
    pub circumstances: Circumstances,
    /// All that was measured.
    pub figures: Figures,
}

/// A benchmark's part of the page.
pub struct Part {
    /// How the names of its JSON and SVG files in docs/benchmarks/ begin.
    pub name: &'static str,
    /// The daprds on which it runs, in the order of the page; empty for none.
    daprds: &'static [DaprdBuild],
    title: &'static str,
    about: &'static str,
}

/// Against the built-in component: `make bench`.
pub const SIDE_BY_SIDE: Part = Part {
    name: "side-by-side",
    daprds: &DAPRDS,
    title: "Beside Dapr's built-in component",
    about: include_str!("side_by_side/about.md"),
};

/// Against librdkafka alone: `make bench-core`.
pub const CORE: Part = Part {
    name: "core",
    daprds: &[],
    title: "Beside librdkafka alone",
    about: include_str!("core/about.md"),
};

const HEAD: &str = "\
# Benchmarks

Written by `make bench` and `make bench-core` from what they measured; run them on your machine. Everything runs on one
machine, brokers and load too, and shares its cores, so a figure alone says little: compare those of one line. A figure is the
median of the rounds, with the least and the most behind it; a ratio is the median of each round's own ratio. Where less is
better the unit says so.
[docs/performance.md](performance.md) tells what was found by profiles, and what was changed.
";

/// The folder of figures and plots.
fn folder() -> PathBuf {
    root().join("docs/benchmarks")
}

/// The page's file.
pub fn file() -> PathBuf {
    root().join("docs/benchmarks.md")
}

impl Report {
    /// Prints what was found, and unless it is only a part of it, keeps it for the page.
    pub fn finish(&self, part: &Part, is_partial: bool) -> Result<()> {
        println!("{}", part.report(self));
        if is_partial {
            println!("only a part was measured: docs/benchmarks.md stays as it is");
            return Ok(());
        }
        part.keep(self)
    }
}

impl Part {
    /// The name of a report's JSON and SVG in docs/benchmarks/, without the ending. Each daprd has its
    /// own, so that a run on one leaves the figures of the others alone.
    fn stem(&self, daprd: Option<&str>) -> String {
        match daprd {
            Some(version) => format!("{}-{version}", self.name),
            None => self.name.to_owned(),
        }
    }

    fn json(&self, daprd: Option<&str>) -> PathBuf {
        folder().join(format!("{}.json", self.stem(daprd)))
    }

    /// The reports that were kept, in the order of the page.
    fn kept(&self) -> Result<Vec<Report>> {
        let mut daprds: Vec<_> = self
            .daprds
            .iter()
            .map(|daprd| Some(daprd.version()))
            .collect();
        if daprds.is_empty() {
            daprds.push(None);
        }
        let reports = daprds.into_iter().map(|daprd| self.read(daprd));
        reports.filter_map(Result::transpose).collect()
    }

    /// What was kept of the run on a daprd; `None` before the first.
    fn read(&self, daprd: Option<&str>) -> Result<Option<Report>> {
        match fs::read_to_string(self.json(daprd)) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what was found, and writes page and plot anew.
    fn keep(&self, report: &Report) -> Result<()> {
        fs::create_dir_all(folder())?;
        let daprd = report.daprd.as_deref();
        fs::write(
            self.json(daprd),
            serde_json::to_string_pretty(report)? + "\n",
        )?;
        plot::ratios(&folder().join(format!("{}.svg", self.stem(daprd))), report)?;
        fs::write(file(), page()?)?;
        Ok(())
    }

    fn section(&self, reports: &[Report]) -> String {
        let mut text = format!("\n## {}\n\n{}\n", self.title, self.about.trim_end());
        for report in reports {
            text.push_str(&self.report(report));
        }
        text
    }

    fn report(&self, report: &Report) -> String {
        let mut text = String::from("\n");
        if let Some(version) = &report.daprd {
            let _ = writeln!(text, "### Dapr {version}{}\n", delivery(version));
        }
        let at = &report.circumstances;
        let _ = writeln!(
            text,
            "Commit {}, {}, {} rounds. {}. {}.\n\n![Ratios](benchmarks/{}.svg)\n",
            at.commit,
            at.date,
            at.rounds,
            at.versions,
            at.machine,
            self.stem(report.daprd.as_deref())
        );
        text.push_str("| what | side | figure | ratio | target |\n|---|---|---|---|---|\n");
        for figure in &report.figures.0 {
            rows(&mut text, report.daprd.as_deref(), figure);
        }
        text
    }
}

/// How the daprd of a version delivers the messages of a stream, for its heading.
fn delivery(version: &str) -> &'static str {
    match DaprdBuild::of_version(version).map(DaprdBuild::is_serial) {
        Some(true) => ": serial delivery",
        Some(false) => ": concurrent delivery",
        None => "",
    }
}

/// The base first, and then the others by name.
fn rows(text: &mut String, daprd: Option<&str>, figure: &Figure) {
    let base = figure.sides.get_key_value(&figure.base);
    let others = figure
        .sides
        .iter()
        .filter(|(side, _)| **side != figure.base);
    let what = format!("{}: {}", figure.scenario, figure.name);
    for (n, (side, samples)) in base.into_iter().chain(others).enumerate() {
        let Some(spread) = Spread::of(samples) else {
            continue;
        };
        let ratio = figure.ratio(side).map(|ratio| shown(&ratio, ""));
        let less = if figure.less_is_better {
            " (less is better)"
        } else {
            ""
        };
        let what = if n == 0 {
            format!("{what}{less}")
        } else {
            String::new()
        };
        let target = targets::find(daprd, figure, side).map(|target| verdict(target, figure, side));
        let _ = writeln!(
            text,
            "| {what} | {side} | {} | {} | {} |",
            shown(&spread, &figure.unit),
            ratio.unwrap_or_default(),
            target.unwrap_or_default()
        );
    }
}

/// The target, and whether it is met.
fn verdict(target: &Target, figure: &Figure, side: &str) -> String {
    let told = target.told();
    match target.is_met(figure, side) {
        Some(true) => format!("{told}: met"),
        Some(false) => format!("{told}: **missed**"),
        None => told,
    }
}

/// Three digits that count.
fn number(figure: f64) -> String {
    match figure.abs() {
        big if big >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// `3.1 ms (2.9 to 3.4)`.
pub fn shown(spread: &Spread, unit: &str) -> String {
    let space = if unit.is_empty() || unit.starts_with('/') {
        ""
    } else {
        " "
    };
    let Spread {
        median,
        least,
        most,
    } = *spread;
    format!(
        "{}{space}{unit} ({} to {})",
        number(median),
        number(least),
        number(most)
    )
}

/// The page of what is kept.
pub fn page() -> Result<String> {
    let mut text = HEAD.to_owned();
    for part in [SIDE_BY_SIDE, CORE] {
        let reports = part.kept()?;
        if !reports.is_empty() {
            text.push_str(&part.section(&reports));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Kind;

    #[test]
    fn the_page_is_made_of_the_figures() {
        let made = page().expect("figures that can be read");
        match fs::read_to_string(file()) {
            Ok(written) => assert!(
                written == made,
                "docs/benchmarks.md is not what its figures say"
            ),
            Err(_) => assert_eq!(made, HEAD, "there are figures, and no page"),
        }
    }

    #[test]
    fn a_target_says_whether_it_is_met() {
        let mut figures = Figures::default();
        let kind = Kind::rate("messages");
        for (side, rate) in [("built-in", 100.0), ("component", 120.0)] {
            figures.add("publish, 200 B", kind, side, rate);
            figures.add("bulk publish, 100 of 200 B", kind, side, 2.0);
        }
        let mut text = String::new();
        for figure in &figures.0 {
            rows(&mut text, Some("1.16.5"), figure);
        }
        let lines = [
            "| publish, 200 B: messages | built-in | 100/s (100 to 100) |  |  |",
            "|  | component | 120/s (120 to 120) | 1.20 (1.20 to 1.20) | ≥ 1: met |",
            "| bulk publish, 100 of 200 B: messages | built-in | 2.00/s (2.00 to 2.00) |  |  |",
            "|  | component | 2.00/s (2.00 to 2.00) | 1.00 (1.00 to 1.00) | ≥ 1.2: **missed** |",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    /// A report on a daprd with one sample of "subscribe, 5 ms of work" for each side.
    fn report(daprd: &str, built_in: f64, component: f64) -> Report {
        let mut figures = Figures::default();
        let kind = Kind::rate("messages");
        for (side, rate) in [("built-in", built_in), ("component", component)] {
            figures.add("subscribe, 5 ms of work", kind, side, rate);
            figures.add("publish, 200 B", kind, side, rate);
        }
        Report {
            daprd: Some(daprd.to_owned()),
            circumstances: Circumstances {
                commit: "c0ffee".to_owned(),
                date: "2026-11-30".to_owned(),
                machine: "2 cores".to_owned(),
                versions: "Apache Kafka".to_owned(),
                rounds: 1,
            },
            figures,
        }
    }

    #[test]
    fn each_daprd_has_its_heading_plot_and_targets() {
        let reports = ["1.18.4+reconstruction", "1.16.5"].map(|daprd| report(daprd, 100.0, 120.0));
        let section = SIDE_BY_SIDE.section(&reports);
        let expected = "
### Dapr 1.18.4+reconstruction: concurrent delivery

Commit c0ffee, 2026-11-30, 1 rounds. Apache Kafka. 2 cores.

![Ratios](benchmarks/side-by-side-1.18.4+reconstruction.svg)

| what | side | figure | ratio | target |
|---|---|---|---|---|
| subscribe, 5 ms of work: messages | built-in | 100/s (100 to 100) |  |  |
|  | component | 120/s (120 to 120) | 1.20 (1.20 to 1.20) | ≥ 1: met |
| publish, 200 B: messages | built-in | 100/s (100 to 100) |  |  |
|  | component | 120/s (120 to 120) | 1.20 (1.20 to 1.20) |  |

### Dapr 1.16.5: serial delivery

Commit c0ffee, 2026-11-30, 1 rounds. Apache Kafka. 2 cores.

![Ratios](benchmarks/side-by-side-1.16.5.svg)

| what | side | figure | ratio | target |
|---|---|---|---|---|
| subscribe, 5 ms of work: messages | built-in | 100/s (100 to 100) |  |  |
|  | component | 120/s (120 to 120) | 1.20 (1.20 to 1.20) |  |
| publish, 200 B: messages | built-in | 100/s (100 to 100) |  |  |
|  | component | 120/s (120 to 120) | 1.20 (1.20 to 1.20) | ≥ 1: met |
";
        let (_, shown) = section
            .split_once(SIDE_BY_SIDE.about)
            .expect("it begins with what was measured");
        assert_eq!(shown, expected);
    }

    #[test]
    fn three_digits_count() {
        let numbers = [1234.5, 12.345, 1.2345].map(number);
        assert_eq!(numbers, ["1234", "12.3", "1.23"]);
    }
}
