//! docs/topics.md: its file is one that is taken, and its lists are what the command knows.

use std::sync::Arc;

use harness::{Result, free_port, root};
use tokio::process::Command;

use super::Wanted;
use crate::{
    ensure,
    support::{
        Fixture, admin,
        letters::say,
        page::{Page, words},
        program,
    },
};

/// Each command of the page, run in its order in a folder with the page's own file.
pub async fn each_command_of_the_page_does_what_it_says(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("orders");
    let folder = tempfile::tempdir()?;
    let file = format!("topics: [{{name: {topic}, retention: 7d}}]");
    std::fs::write(folder.path().join("topics.yaml"), file)?;
    std::fs::create_dir(folder.path().join("components"))?;
    let component = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: todo-pubsub}}\nspec:\n  \
         type: pubsub.rdkafka\n  version: v1\n  metadata:\n  - {{name: brokers, value: \
         '{kafka}'}}\n  - {{name: authType, value: none}}\n"
    );
    std::fs::write(folder.path().join("components/todo-pubsub.yaml"), component)?;
    let mut seen = Vec::new();
    for line in Page::read("topics.md")?.indented("dapr-rdkafka ") {
        let words = words(&line);
        let mut command = Command::new(program());
        command.args(&words[1..]).current_dir(folder.path());
        let said = say(command).await?;
        let (code, part) = match words[2].as_str() {
            "plan" if seen.contains(&"apply".to_owned()) => (0, "unchanged"),
            "plan" => (3, "create: "),
            "apply" => (0, "created: "),
            other => return Err(format!("{other}: how?").into()),
        };
        ensure!(
            said.code == Some(code) && said.out.contains(part),
            "{line}: {said:?}"
        );
        seen.push(words[2].clone());
    }
    ensure!(seen == ["plan", "apply"], "{seen:?}");
    Ok(())
}

/// docs/json.md has each field that a plan and what came of it have, and no other.
pub async fn each_field_for_scripts_is_documented(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("fields");
    admin::create_topic(kafka, &topic, 1, &[("segment.ms", "1")]).await?;
    let text = format!("topics: [{{name: {topic}, config: {{segment.ms: 3600000}}}}]");
    let wanted = Wanted::new(kafka, &text)?;
    let (plan, applied) = (
        wanted.run("plan", &[]).await?,
        wanted.run("apply", &[]).await?,
    );
    let page = std::fs::read_to_string(root().join("docs/json.md"))?;
    let section = page
        .split("## Topics")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next());
    let section = section.ok_or("the page has no section on topics")?;
    let is_told = |field: &str| {
        let row = |line: &&str| {
            line.starts_with('|')
                && line
                    .split('|')
                    .nth(1)
                    .is_some_and(|cell| cell.contains(&format!("`{field}`")))
        };
        ["type", "version"].contains(&field) || section.lines().any(|line| row(&line))
    };
    for (said, kind) in [(plan, "topic-plan"), (applied, "topic-applied")] {
        let lines = said.json()?;
        let line = super::of(&lines, &topic)?;
        ensure!(line["type"] == kind && line["version"] == 1, "{line}");
        for value in [line, &line["steps"][0], &line["steps"][0]["outcome"]] {
            let fields = value.as_object().into_iter().flatten();
            let untold: Vec<_> = fields
                .map(|(field, _)| field)
                .filter(|field| !is_told(field))
                .collect();
            ensure!(untold.is_empty(), "docs/json.md does not have {untold:?}");
        }
    }
    Ok(())
}

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
