//! A report for people.

use std::fmt::Write as _;

use crate::{
    doctor::{Check, Finding, Fix, Outcome, Report, Severity, Stage, Verdict, builtin},
    model::text::{in_yaml, on_one_line},
};

/// How wide it is, in characters.
const WIDTH: usize = 100;

/// What stands before the stages' lines.
const STAGE: usize = 14;

/// How many checks of a stage are told together.
const TOLD: usize = 4;

/// How many have a line each, in stages where they do.
const APART: usize = 24;

/// The report as text: the verdict, what was found, what is fine, what was not checked.
pub fn text(component: &str, report: &Report, verdict: Verdict, colours: bool) -> String {
    let mut page = Page {
        text: String::new(),
        colours,
    };
    let colour = match verdict {
        Verdict::Problems => RED,
        Verdict::Warnings | Verdict::Unknown => YELLOW,
        Verdict::Fine => GREEN,
    };
    let summary = format!("{component}: {}", verdict.summary(report));
    page.painted(colour, &on_one_line(&summary));
    page.line("");
    for check in report.findings() {
        if let Some(finding) = check.finding() {
            page.finding(check, finding, report);
        }
    }
    page.fine(report);
    page.skipped(report);
    let title = "Dapr's built-in pubsub.kafka with these brokers";
    page.section(title, &built_in(report));
    page.text
}

/// What the section about the built-in component says, line by line; nothing if there is
/// nothing to say.
fn built_in(report: &Report) -> Vec<String> {
    builtin::lines(report, report.version.as_deref(), report.daprd.as_deref())
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const GREEN: &str = "1;32";
const BOLD: &str = "1";

struct Page {
    text: String,
    colours: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn painted(&mut self, colour: &str, text: &str) {
        for line in wrapped(text, WIDTH) {
            let line = self.paint(colour, &line);
            self.line(&line);
        }
    }

    /// A paragraph behind a label; its further lines stand under its first.
    fn paragraph(&mut self, label: &str, text: &str) {
        let indent = " ".repeat(label.chars().count());
        let width = WIDTH.saturating_sub(indent.len());
        let mut label = label;
        for line in wrapped(&on_one_line(text), width) {
            self.line(&format!("{label}{line}"));
            label = &indent;
        }
    }

    fn finding(&mut self, check: &Check, finding: &Finding, report: &Report) {
        let (word, colour) = match finding.severity {
            Severity::Problem => ("problem", RED),
            Severity::Warning => ("warning", YELLOW),
            Severity::Note => ("note", BOLD),
        };
        let code = self.paint(colour, &format!("{} {word}", finding.row.code));
        let title = self.paint(BOLD, finding.row.title);
        self.line(&format!("{code}: {title}"));
        self.paragraph("  where  ", &check.subject);
        self.paragraph("  cause  ", &finding.cause);
        self.paragraph("  why    ", finding.row.why);
        self.fix(&finding.fix, report);
        self.line("");
    }

    /// Metadata stands as far to the right as in the samples, and what is not YAML in
    /// comments: all of it can be pasted.
    fn fix(&mut self, fix: &Fix, report: &Report) {
        self.paragraph("  fix    ", &fix.text);
        for (key, value) in &fix.set {
            let is_there = report.given.contains(&key.to_ascii_lowercase());
            let what = if is_there { "replace" } else { "add" };
            let (key, value) = (yaml(key), in_yaml(value));
            let _ = writeln!(
                self.text,
                "  # {what}:\n  - name: {key}\n    value: {value}"
            );
        }
        for key in &fix.remove {
            let key = yaml(key);
            let _ = writeln!(self.text, "  # remove: {key}");
        }
        if let Some(command) = &fix.command {
            // It is to be copied, so it stays on its line.
            let command = for_shell(&on_one_line(command));
            let _ = writeln!(self.text, "    $ {command}");
        }
    }

    /// What is fine, by stages. Where each check says something of its own, each has a line.
    fn fine(&mut self, report: &Report) {
        let mut lines = Vec::new();
        for stage in Stage::ALL {
            let fine = report.checks.iter().filter(|check| check.stage == stage);
            let fine = fine.filter_map(|check| match &check.outcome {
                Outcome::Fine(seen) => Some(format!("{}: {}", check.subject, seen.words())),
                _ => None,
            });
            let mut fine: Vec<_> = fine.collect();
            let apart = matches!(stage, Stage::Cluster | Stage::RoundTrip | Stage::Dapr);
            let told = if apart { APART } else { TOLD };
            if fine.len() > told {
                let more = fine.split_off(told).len();
                fine.push(format!("and {more} more"));
            }
            let lines_of = if apart { fine } else { vec![fine.join("; ")] };
            let of_stage = lines_of.into_iter().filter(|line| !line.is_empty());
            lines.extend(of_stage.map(|line| (stage.name(), line)));
        }
        if lines.is_empty() {
            return;
        }
        self.painted(BOLD, "Fine");
        let mut last = "";
        for (stage, line) in lines {
            let label = if stage == last { "" } else { stage };
            self.paragraph(&format!("  {label:STAGE$}"), &line);
            last = stage;
        }
        self.line("");
    }

    fn skipped(&mut self, report: &Report) {
        let skipped = report.checks.iter().filter_map(|check| {
            let (Outcome::Skipped(why) | Outcome::Unanswered(why)) = &check.outcome else {
                return None;
            };
            let stage = check.stage.name();
            Some(format!("{stage}, {}: {why}", check.subject))
        });
        let skipped: Vec<_> = skipped.collect();
        self.section("Not checked", &skipped);
    }

    /// Lines under a title; nothing if there are none.
    fn section(&mut self, title: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.painted(BOLD, title);
        for line in lines {
            self.paragraph("  ", line);
        }
        self.line("");
    }
}

/// Text in lines of at most so many characters; a word that is longer has one for itself.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

/// A command whose placeholders are no redirections in a shell.
fn for_shell(command: &str) -> String {
    let words = command.split(' ').map(|word| {
        if word.contains('<') && !word.contains('\'') {
            format!("'{word}'")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A key, in quotes unless it is a plain word.
fn yaml(key: &str) -> String {
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric()) {
        key.to_owned()
    } else {
        in_yaml(key)
    }
}

#[cfg(test)]
mod tests;
