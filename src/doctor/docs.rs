//! The table as a page; `docs/doctor.md` is this page.

use std::fmt::Write as _;

use super::{Severity, Stage, rows};

const HEAD: &str = "\
# What the doctor finds

`dapr-rdkafka doctor` looks for what keeps a component from its brokers, and says what to change. It goes in stages,
from the component's metadata to a record's way and back, and stops where the next stage can't work. Every finding
has a code that stays the same; this page has them all, by stages.

    dapr-rdkafka doctor --component components/todo-pubsub.yaml --app-id todo
    kubectl exec POD -c CONTAINER -- dapr-rdkafka doctor --instance todo-pubsub
    dapr-rdkafka doctor --brokers kafka:9092 --set authType=none --topic orders

A *problem* is what does not work: the exit code is 3. A *warning* works, and may not always: the exit code is 1 with
`--strict`. A *note* is worth knowing. Made from src/doctor/rows; `UPDATE_DOCS=1 cargo test --lib docs` writes this page
anew.
";

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for stage in Stage::ALL {
        let mut of_stage = rows::all().filter(|row| row.stage == stage).peekable();
        if of_stage.peek().is_none() {
            continue;
        }
        let name = stage.name();
        let _ = writeln!(page, "\n## Stage {name}\n");
        page.push_str("| code | what | why it matters | how it is found | what to do |\n");
        page.push_str("|---|---|---|---|---|\n");
        for row in of_stage {
            let severity = match row.severity {
                Severity::Problem => "problem",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let code = format!("`{}` {severity}", row.code);
            let cells = [&*code, row.title, row.why, row.found, row.fix].map(cell);
            let _ = writeln!(page, "| {} |", cells.join(" | "));
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests;
