//! docs/topics.md: its file is one that is taken, and its lists are what the command knows.

use std::sync::Arc;

use harness::{Result, free_port, root};

use super::Wanted;
use crate::{ensure, support::Fixture};

/// Each YAML block is right: what is wrong would be told before nobody answers.
pub async fn each_file_of_the_page_is_taken(_: Arc<Fixture>) -> Result<()> {
    let page = std::fs::read_to_string(root().join("docs/topics.md"))?;
    let blocks = page.split("```yaml\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    ensure!(!blocks.is_empty(), "the page has a file");
    let nobody = format!("127.0.0.1:{}", free_port()?);
    for block in blocks {
        let said = Wanted::new(&nobody, block)?.run("plan", &[]).await?;
        ensure!(said.code == Some(1), "{block}: {said:?}");
        ensure!(said.err.contains("RDK-TCP-"), "{block}: {said:?}");
        // All there is, the page says.
        for field in [
            "partitions",
            "retention",
            "compaction",
            "deadLetter",
            "config",
        ] {
            ensure!(block.contains(field), "{field}: {block}");
        }
    }
    Ok(())
}
