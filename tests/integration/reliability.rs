//! docs/reliability.md is what the ledger writes of its numbers.

use std::{fs, future::ready};

use harness::Result;
use ledger::{page, results::Summary};

use crate::{
    ensure,
    support::{Test, page::Page},
};

/// The tests of this file; nothing in them waits.
pub const TESTS: &[Test] = &[
    Test {
        name: "docs::reliability::the_page_is_what_its_numbers_say",
        run: |_| Box::pin(ready(the_page_is_what_its_numbers_say())),
    },
    Test {
        name: "docs::reliability::its_links_lead_somewhere",
        run: |_| Box::pin(ready(its_links_lead_somewhere())),
    },
];

fn the_page_is_what_its_numbers_say() -> Result<()> {
    let summary: Summary = serde_json::from_str(&fs::read_to_string(page::numbers())?)?;
    let page = fs::read_to_string(page::path())?;
    ensure!(
        page == page::render(&summary),
        "docs/reliability.md is not what docs/reliability.json and the ledger give; \
         `target/debug/ledger render` writes it anew"
    );
    Ok(())
}

fn its_links_lead_somewhere() -> Result<()> {
    Page::read("reliability.md")?.links_lead_somewhere()
}
