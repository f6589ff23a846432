//! The table of metadata keys as a page; `docs/metadata.md` is this page.

use crate::metadata::keys::{GROUPS, Key, Kind};

const HEAD: &str = "\
# Metadata of a Component

Every key of Dapr's built-in `pubsub.kafka` (components-contrib v1.16.5 and v1.18.4, and for 1.19 the release notes of Dapr 1.19.0 with components-contrib#4508), and this component's own.
Names are matched in any case; an empty value is the default. `dapr-rdkafka config check FILE…` checks a Component
without any broker, `dapr-rdkafka config diff FILE` tells what changes when one moves from the built-in. An unknown key
has no effect, and the log names the nearest known one.

**Types.** A *duration* is written as in Go: `300ms`, `1.5h`, `1h30m`; *(s)* or *(ms)* behind it is the unit of a
number alone. A *flag* is `true` or `false`; `1`, `y`, `yes`, `t`, `on` and their opposites are taken too. Anything
else is an error, where the built-in takes it for `false`.

**Since** tells which built-in component has the key. 1.16: that of components-contrib v1.16.5 has it, and perhaps
older ones. 1.18: that of v1.18.4 has it, and that of v1.16.5 has not. 1.19: it came with v1.19.0.

**Beside the built-in**: *same*; *wider*: the same and more; *differs*: not quite the same; *no effect*: accepted, the
log says why it changes nothing; *refused because*: Init fails and says what to use instead; *ours*: only here.
";

/// The page, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for (title, keys) in GROUPS {
        page.push_str("\n## ");
        page.push_str(title);
        page.push_str(
            "\n\n| key | type | default | since | beside the built-in | meaning |\n\
             |---|---|---|---|---|---|\n",
        );
        for key in keys {
            page.push_str(&row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let mut name = format!("`{}`", key.name);
    for alias in key.aliases {
        name = format!("{name}, `{alias}`");
    }
    let comparison = key.comparison();
    let cells = [
        name,
        kind(key),
        key.default
            .map(|text| format!("`{text}`"))
            .unwrap_or_default(),
        if comparison == "ours" { "" } else { key.since }.to_owned(),
        cell(&comparison),
        cell(key.doc),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn kind(key: &Key) -> String {
    let kind = match key.kind {
        Kind::Text => "text".to_owned(),
        Kind::Words(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Flag => "flag".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Seconds => "duration (s)".to_owned(),
        Kind::Millis => "duration (ms)".to_owned(),
        Kind::Duration => "duration".to_owned(),
    };
    let secret = if key.secret { ", secret" } else { "" };
    let required = if key.required { ", required" } else { "" };
    format!("{kind}{secret}{required}")
}

/// Text that does not end a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1 cargo test --lib docs` writes the page.
    #[test]
    fn the_docs_are_the_table() {
        crate::config::tests::same("docs/metadata.md", &reference());
    }

    #[test]
    fn every_key_has_a_row_of_six_cells() {
        let page = reference();
        for key in crate::metadata::keys::all() {
            let begin = format!("| `{}`", key.name);
            let row = page.lines().find(|line| line.starts_with(&begin));
            let row = row.unwrap_or_else(|| panic!("{} is not on the page", key.name));
            let borders = row.replace("\\|", "").matches('|').count();
            assert_eq!(borders, 7, "{row}");
        }
    }
}
