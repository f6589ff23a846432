//! docs/troubleshooting.md.

use std::sync::Arc;

use harness::Result;

use crate::support::{Fixture, page::Page};

/// It leads to codes and to other pages.
pub async fn each_code_of_the_page_exists_and_each_link_leads_somewhere(
    _: Arc<Fixture>,
) -> Result<()> {
    let page = Page::read("troubleshooting.md")?;
    page.links_lead_somewhere()?;
    page.codes_exist()
}
