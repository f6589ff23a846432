//! docs/operations.md: what it tells whoever was woken up exists.

use std::{collections::BTreeSet, fs, future::ready, path::Path};

use clap::Parser as _;
use dapr_rdkafka::cli::Cli;
use harness::{Result, root};

use crate::{
    ensure,
    support::{
        Test,
        page::{Page, anchor, words},
    },
};

/// The tests of this file; nothing in them waits.
pub const TESTS: &[Test] = &[
    Test {
        name: "docs::operations::each_thing_that_it_names_exists",
        run: |_| Box::pin(ready(each_thing_that_it_names_exists())),
    },
    Test {
        name: "docs::operations::each_command_is_one",
        run: |_| Box::pin(ready(each_command_is_one())),
    },
    Test {
        name: "docs::operations::each_alert_has_its_section",
        run: |_| Box::pin(ready(each_alert_has_its_section())),
    },
];

const PAGE: &str = "operations.md";

/// Fields of Kubernetes and Dapr, and metadata of a publish, that the page speaks of.
const OTHERS: [&str; 11] = [
    "emptyDir",
    "gRPCStatusCodes",
    "httpStatusCodes",
    "ignoreErrors",
    "imagePullPolicy",
    "outboxDiscardWhenMissingState",
    "partitionNumber",
    "restartPolicy",
    "secretKeyRef",
    "terminationGracePeriodSeconds",
    "valueSchemaType",
];

fn each_thing_that_it_names_exists() -> Result<()> {
    let page = Page::read(PAGE)?;
    page.links_lead_somewhere()?;
    page.codes_exist()?;
    page.metrics_exist()?;
    page.settings_exist(&OTHERS)
}

/// `dapr-rdkafka` is called as it can be, on this machine or by `kubectl exec`.
fn each_command_is_one() -> Result<()> {
    let mut seen = 0;
    for shown in Page::read(PAGE)?.commands() {
        let words = words(&shown.command);
        let Some(begin) = words.iter().position(|word| word == "dapr-rdkafka") else {
            continue;
        };
        let behind = &words[begin..];
        let end = behind.iter().position(|word| word == "|" || word == "&");
        let line = &behind[..end.unwrap_or(behind.len())];
        let parsed = Cli::try_parse_from(line);
        parsed.map_err(|error| format!("{}: {error}", shown.command))?;
        seen += 1;
    }
    ensure!(seen > 0, "the page has no command");
    Ok(())
}

/// Whoever follows an alert's link stands at its section, and no section is about an
/// alert that there is not.
fn each_alert_has_its_section() -> Result<()> {
    let page = Page::read(PAGE)?;
    let sections: BTreeSet<_> = page.sections("## Alerts").into_iter().collect();
    let mut manifests = Vec::new();
    collect(&root().join("deploy"), &mut manifests)?;
    let lines = || {
        manifests
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
    };
    let alerts = lines().filter_map(|line| line.strip_prefix("- alert: "));
    let alerts: BTreeSet<_> = alerts.collect();
    ensure!(
        alerts == sections,
        "the alerts are {alerts:?}, the sections {sections:?}"
    );
    let anchors: BTreeSet<_> = sections.iter().map(|title| anchor(title)).collect();
    for line in lines().filter(|line| line.starts_with("runbook_url:")) {
        let place = line.rsplit('#').next().unwrap_or_default();
        let place = place.trim_matches(['"', '\'']);
        ensure!(
            line.contains("docs/operations.md#") && anchors.contains(place),
            "{line}: no such section"
        );
    }
    Ok(())
}

/// The YAML of a folder and those in it.
fn collect(folder: &Path, texts: &mut Vec<String>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, texts)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(())
}
