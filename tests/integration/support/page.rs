//! Pages of `docs/`: what they lead to, and what they name.

use std::{collections::BTreeSet, fs};

use dapr_rdkafka::{doctor, metadata, telemetry::metrics::METRICS};
use harness::{Result, root};
use regex::Regex;

use crate::ensure;

/// A page.
pub struct Page {
    text: String,
}

/// A command as a page shows it, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What the block is about: the word behind `console`.
    pub about: String,
    /// The command, on one line.
    pub command: String,
    /// What it printed.
    pub output: Vec<String>,
}

impl Page {
    /// Reads `docs/NAME`.
    pub fn read(name: &str) -> Result<Self> {
        let text = fs::read_to_string(root().join("docs").join(name));
        let text = text.map_err(|error| format!("docs/{name}: {error}"))?;
        Ok(Self { text })
    }

    /// Each link leads to a file and a heading that exist.
    pub fn links_lead_somewhere(&self) -> Result<()> {
        for (at, _) in self.text.match_indices("](") {
            let link = self.text[at + 2..].split(')').next().unwrap_or_default();
            if link.starts_with("https://") {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let anchors = match file {
                "" => self.anchors(),
                file => Self::read(file)
                    .map_err(|error| format!("{link}: {error}"))?
                    .anchors(),
            };
            let is_there = place.is_empty() || anchors.iter().any(|it| it == place);
            ensure!(is_there, "{link}: no such heading");
        }
        Ok(())
    }

    /// Each of the doctor's codes is one that it has.
    pub fn codes_exist(&self) -> Result<()> {
        let known: BTreeSet<_> = doctor::rows().map(|row| row.code).collect();
        let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        let unknown = self.words("RDK-", is_code);
        let unknown: Vec<_> = unknown.difference(&known).collect();
        ensure!(unknown.is_empty(), "the doctor has no {unknown:?}");
        Ok(())
    }

    /// Each metric is one that is served.
    pub fn metrics_exist(&self) -> Result<()> {
        let known = |name: &str| {
            let parts = ["", "_count", "_sum", "_bucket"];
            let mut bare = parts.iter().filter_map(|part| name.strip_suffix(part));
            bare.any(|bare| METRICS.iter().any(|metric| metric.name == bare))
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let mut unknown = self.words("dapr_rdkafka_", is_name);
        unknown.retain(|name| !known(name));
        ensure!(unknown.is_empty(), "there are no metrics {unknown:?}");
        Ok(())
    }

    /// Each code span that looks like a setting is one, or one of these others.
    pub fn settings_exist(&self, others: &[&str]) -> Result<()> {
        let looks = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.contains(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric())
        };
        let spans = self.spans();
        let names = spans
            .iter()
            .filter_map(|span| span.split([':', ' ']).next());
        let known = |name: &str| others.contains(&name) || metadata::keys::find(name).is_some();
        let unknown: Vec<_> = names.filter(|name| looks(name) && !known(name)).collect();
        ensure!(unknown.is_empty(), "there are no settings {unknown:?}");
        Ok(())
    }

    /// The headings of this depth, below a heading of the depth above.
    pub fn sections(&self, above: &str) -> Vec<&str> {
        let depth = above.len() - above.trim_start_matches('#').len();
        let is_above = |line: &&str| {
            let sharps = line.len() - line.trim_start_matches('#').len();
            (1..=depth).contains(&sharps)
        };
        let lines = self.prose().skip_while(|line| *line != above).skip(1);
        let below = lines.take_while(|line| !is_above(line));
        let wanted = format!("{} ", "#".repeat(depth + 1));
        below
            .filter_map(|line| line.strip_prefix(&wanted))
            .collect()
    }

    /// The lines of indented blocks that begin with this word.
    pub fn indented(&self, word: &str) -> Vec<String> {
        let lines = self.text.lines();
        let bare = lines.filter_map(|line| line.strip_prefix("    "));
        bare.filter(|line| line.starts_with(word))
            .map(str::to_owned)
            .collect()
    }

    /// The commands of the blocks marked `console`; a line that begins with `$ ` is one.
    /// A block may stand indented, in a list.
    pub fn commands(&self) -> Vec<Shown> {
        let mut block: Option<(usize, Option<String>)> = None;
        let mut shown: Vec<Shown> = Vec::new();
        for line in self.text.lines() {
            let bare = line.trim_start();
            if let Some(fence) = bare.strip_prefix("```") {
                let word = fence.strip_prefix("console");
                let about = word.map(|word| word.trim().to_owned());
                block = match block {
                    None => Some((line.len() - bare.len(), about)),
                    Some(_) => None,
                };
            } else if let Some((indent, Some(about))) = &block {
                let line = line.get(*indent..).unwrap_or_default();
                match (line.strip_prefix("$ "), shown.last_mut()) {
                    (Some(command), _) => shown.push(Shown {
                        about: about.clone(),
                        command: command.to_owned(),
                        output: Vec::new(),
                    }),
                    (None, Some(last)) => last.output.push(line.to_owned()),
                    (None, None) => {}
                }
            }
        }
        shown
    }

    /// The lines outside of blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut fenced = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
    }

    fn spans(&self) -> Vec<String> {
        let prose: Vec<_> = self.prose().collect();
        let prose = prose.join("\n");
        prose
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    fn anchors(&self) -> Vec<String> {
        let titles = self.prose().filter(|line| line.starts_with('#'));
        titles.map(anchor).collect()
    }

    /// What begins so and goes on with such signs.
    fn words(&self, begin: &str, goes_on: impl Fn(char) -> bool) -> BTreeSet<&str> {
        let found = self.text.match_indices(begin).map(|(at, _)| {
            let word = &self.text[at..];
            &word[..word.find(|c| !goes_on(c)).unwrap_or(word.len())]
        });
        found.collect()
    }
}

/// A heading's name in links, as GitHub makes it.
pub fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A line's words; what stands in quotes is one.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split(['"', '\'']).enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Whether a command printed what a page shows. `…` stands for anything, and one time is as
/// good as another.
pub fn is_shown(shown: &[String], printed: &str) -> Result<()> {
    let time = Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z")?;
    let even = |text: &str| {
        let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
        time.replace_all(&lines.join("\n"), "TIME").into_owned()
    };
    let (shown, printed) = (even(&shown.join("\n")), even(printed));
    let mut rest = printed.as_str();
    let parts: Vec<_> = shown.split('…').collect();
    for (number, part) in parts.iter().enumerate() {
        let found = if number == 0 {
            rest.strip_prefix(part)
        } else if number + 1 == parts.len() {
            rest.ends_with(part).then_some("")
        } else {
            rest.split_once(part).map(|(_, behind)| behind)
        };
        let missing = || format!("the page shows {part:?}, which is not in\n{printed}");
        rest = found.ok_or_else(missing)?;
    }
    let whole = parts.len() > 1 || rest.is_empty();
    ensure!(whole, "it also printed {rest:?}");
    Ok(())
}
