use std::{collections::BTreeMap, fs, path::Path};

use super::*;
use crate::doctor::Row;

/// What a plain page does not say: it is vague, or about whoever wrote it.
const FORBIDDEN: [&str; 9] = [
    "simply",
    "just ",
    "please",
    "obviously",
    "todo:",
    "e.g.",
    "i.e.",
    "etc.",
    "misconfigur",
];

/// `UPDATE_DOCS=1 cargo test --lib docs` writes the page.
#[test]
fn the_docs_are_the_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("docs/doctor.md is written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/doctor.md is outdated; `UPDATE_DOCS=1 cargo test --lib docs` writes it anew"
    );
}

#[test]
fn codes_are_counted_from_one_in_each_stage() {
    let mut counts = BTreeMap::<Stage, (String, usize)>::new();
    for row in rows::all() {
        let (prefix, number) = row.code.rsplit_once('-').expect("a code has a number");
        let (first, count) = counts
            .entry(row.stage)
            .or_insert_with(|| (prefix.to_owned(), 0));
        *count += 1;
        assert_eq!(prefix, first, "{} has another prefix", row.code);
        assert_eq!(number, format!("{count:02}"), "{}", row.code);
        assert!(prefix.starts_with("RDK-"), "{}", row.code);
    }
    let mut prefixes: Vec<_> = counts.values().map(|(prefix, _)| prefix).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    assert_eq!(prefixes.len(), counts.len(), "two stages share a prefix");
}

#[test]
fn texts_are_sentences_and_plain() {
    let mut wrong = Vec::new();
    for row in rows::all() {
        let sentences = [row.why, row.found, row.fix];
        for text in sentences.into_iter().chain([row.title]) {
            let begins = text.starts_with(|c: char| !c.is_lowercase() && !c.is_whitespace());
            let lower = text.to_lowercase();
            let forbidden = FORBIDDEN.iter().find(|word| lower.contains(**word));
            if !begins || text.contains('\n') || text.contains("  ") || forbidden.is_some() {
                wrong.push(format!("{}: {text:?} {forbidden:?}", row.code));
            }
        }
        if row.title.ends_with('.') || sentences.iter().any(|text| !text.ends_with('.')) {
            wrong.push(format!("{}: full stops", row.code));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each is found somewhere: its name stands behind its file's, or behind `rows::`.
#[test]
fn every_row_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor");
    let mut sources = String::new();
    read(&folder, &mut sources);
    let names = names(&folder.join("rows"));
    assert_eq!(names.len(), rows::all().collect::<Vec<&Row>>().len());
    let unused: Vec<_> = names
        .iter()
        .filter(|name| {
            let used = |found: usize| {
                let rest = &sources[found + name.len()..];
                !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                    && sources[..found].ends_with("::")
            };
            !sources
                .match_indices(&***name)
                .any(|(found, _)| used(found))
        })
        .collect();
    assert!(unused.is_empty(), "rows that nothing finds: {unused:?}");
}

/// All code of the doctor outside the table and the tests.
fn read(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        match name {
            Some("rows" | "tests" | "tests.rs") => {}
            _ if path.is_dir() => read(&path, sources),
            _ => {
                let text = fs::read_to_string(&path).expect("a source");
                let code = text.split("#[cfg(test)]\nmod tests {").next();
                sources.push_str(code.unwrap_or_default());
            }
        }
    }
}

/// The names of the table's rows: what stands before a code.
fn names(rows: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(rows).expect("a folder") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a source");
        let before = text.match_indices("\"RDK-").map(|(at, _)| &text[..at]);
        names.extend(
            before.filter_map(|before| before.split_whitespace().last().map(str::to_owned)),
        );
    }
    names
}
