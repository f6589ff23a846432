//! docs/troubleshooting.md.

use std::{fs, sync::Arc};

use harness::{Result, root};

use crate::{ensure, support::Fixture};

/// It leads to codes and to other pages.
pub async fn each_code_of_the_page_exists_and_each_link_leads_somewhere(
    _: Arc<Fixture>,
) -> Result<()> {
    let folder = root().join("docs");
    let page = fs::read_to_string(folder.join("troubleshooting.md"))?;
    let headings = |text: &str| -> Vec<String> {
        let titles = text.lines().filter(|line| line.starts_with('#'));
        titles.map(anchor).collect()
    };
    for (at, _) in page.match_indices("](") {
        let link = page[at + 2..].split(')').next().unwrap_or_default();
        if link.starts_with("https://") {
            continue;
        }
        let (file, place) = link.split_once('#').unwrap_or((link, ""));
        let text = match file {
            "" => page.clone(),
            file => {
                fs::read_to_string(folder.join(file)).map_err(|error| format!("{link}: {error}"))?
            }
        };
        let is_there = place.is_empty() || headings(&text).iter().any(|it| it == place);
        ensure!(is_there, "{link}: no such heading");
    }

    let known: Vec<_> = dapr_rdkafka::doctor::rows().map(|row| row.code).collect();
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    let codes = page.match_indices("RDK-").map(|(at, _)| {
        let code = &page[at..];
        &code[..code.find(|c| !is_code(c)).unwrap_or(code.len())]
    });
    let mut unknown: Vec<_> = codes.filter(|code| !known.contains(code)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    ensure!(unknown.is_empty(), "no rows: {unknown:?}");
    Ok(())
}

/// A heading's name in links, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
