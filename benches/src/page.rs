//! docs/benchmarks.md, from the figures that both benchmarks keep as JSON.

use std::{fmt::Write as _, fs, path::PathBuf};

use harness::{Result, root};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    figures::{Figure, Figures, Spread},
    machine::Circumstances,
    plot,
    targets::{self, Target},
};

/// What one benchmark found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where and of what.
    pub circumstances: Circumstances,
    /// All that was measured.
    pub figures: Figures,
}

/// A benchmark's part of the page.
pub struct Part {
    /// The name of its JSON and SVG in docs/benchmarks/.
    pub name: &'static str,
    title: &'static str,
    about: &'static str,
}

/// Against the built-in component: `make bench`.
pub const SIDE_BY_SIDE: Part = Part {
    name: "side-by-side",
    title: "Beside Dapr's built-in component",
    about: include_str!("side_by_side/about.md"),
};

/// Against librdkafka alone: `make bench-core`.
pub const CORE: Part = Part {
    name: "core",
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
        println!("{}", part.section(self));
        if is_partial {
            println!("only a part was measured: docs/benchmarks.md stays as it is");
            return Ok(());
        }
        part.keep(self)
    }
}

impl Part {
    fn json(&self) -> PathBuf {
        folder().join(format!("{}.json", self.name))
    }

    /// What was kept, if something was.
    pub fn kept<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        match fs::read_to_string(self.json()) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what was found, and writes page and plot anew.
    fn keep(&self, report: &Report) -> Result<()> {
        fs::create_dir_all(folder())?;
        fs::write(self.json(), serde_json::to_string_pretty(report)? + "\n")?;
        plot::ratios(&folder().join(format!("{}.svg", self.name)), report)?;
        fs::write(file(), page()?)?;
        Ok(())
    }

    fn section(&self, report: &Report) -> String {
        let (name, about) = (self.name, self.about.trim_end());
        let mut text = format!("\n## {}\n\n{about}\n\n", self.title);
        let at = &report.circumstances;
        let _ = writeln!(
            text,
            "Commit {}, {}, {} rounds. {}. {}.\n\n![Ratios](benchmarks/{name}.svg)\n",
            at.commit, at.date, at.rounds, at.versions, at.machine
        );
        text.push_str("| what | side | figure | ratio | target |\n|---|---|---|---|---|\n");
        for figure in &report.figures.0 {
            rows(&mut text, figure);
        }
        text
    }
}

/// The base first, and then the others by name.
fn rows(text: &mut String, figure: &Figure) {
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
        let target = targets::find(figure, side).map(|target| verdict(target, figure, side));
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
        if let Some(report) = part.kept()? {
            text.push_str(&part.section(&report));
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
            rows(&mut text, figure);
        }
        let lines = [
            "| publish, 200 B: messages | built-in | 100/s (100 to 100) |  |  |",
            "|  | component | 120/s (120 to 120) | 1.20 (1.20 to 1.20) | ≥ 1: met |",
            "| bulk publish, 100 of 200 B: messages | built-in | 2.00/s (2.00 to 2.00) |  |  |",
            "|  | component | 2.00/s (2.00 to 2.00) | 1.00 (1.00 to 1.00) | ≥ 1.2: **missed** |",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn three_digits_count() {
        let numbers = [1234.5, 12.345, 1.2345].map(number);
        assert_eq!(numbers, ["1234", "12.3", "1.23"]);
    }
}
