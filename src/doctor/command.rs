//! `dapr-rdkafka doctor`.

use std::{io::Write, time::Duration};

use super::{
    Component, Options, Outcome, Report, Stage, Verdict, full, progress::Progress, render, stages,
    wanted,
};
use crate::connect::{Connect, Given, Output, Source, Unknown, look};

/// All checks together may take as long as so many stages.
pub const STAGES: u32 = 20;

/// The key in which daprd sends the app's id.
const CONSUMER_ID: &str = "consumerID";

/// What is asked of the doctor.
#[derive(Clone, Debug)]
pub struct Doctor {
    /// Where the settings are.
    pub connect: Connect,
    /// More topics than are found otherwise.
    pub topics: Vec<String>,
    /// The app's id, which daprd sends as the consumer group where none is named.
    pub app_id: Option<String>,
    /// What is checked.
    pub options: Options,
    /// How the report is written.
    pub output: Output,
    /// Whether the text has colours.
    pub colours: bool,
}

/// Checks a component and writes what came of it.
///
/// # Errors
/// When the component's metadata is not to be had.
pub async fn command(doctor: &Doctor, out: &mut impl Write) -> Result<Verdict, Unknown> {
    let mut given = look(&doctor.connect, "doctor").await?;
    if let (Some(app_id), false) = (&doctor.app_id, is_running(&doctor.connect)) {
        of_app(&mut given, app_id);
    }
    let progress = Progress::default();
    let recorder = match doctor.output {
        Output::Text => progress.recorder(),
        Output::Json => super::Recorder::default(),
    };
    let mut ended = true;
    if let Some(settings) = stages::settings::check(&given, &recorder) {
        let wanted = wanted::wanted(&given, &settings, &doctor.topics, &recorder);
        let mut options = doctor.options.clone();
        options.dapr.component = (doctor.connect.source != Source::Flags).then(|| Component {
            name: given.name.clone(),
            kind: given.kind.clone(),
        });
        let all = full(&settings, &wanted, &options, &recorder);
        let most = doctor.options.stage * STAGES;
        if tokio::time::timeout(most, all).await.is_err() {
            ended = false;
            let last = last_stage(&recorder.report());
            let why = cut(most, last);
            recorder.skipped(last, &*given.name, why);
        }
    }
    progress.end();
    let mut report = recorder.report();
    report.version = version(&given);
    let verdict = Verdict::of(&report, ended);
    let text = match doctor.output {
        Output::Json => format!("{:#}\n", render::json(&given.name, &report, verdict)),
        Output::Text => render::text(&given.name, &report, verdict, doctor.colours),
    };
    // Whoever reads it may have seen enough.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(verdict)
}

/// The key that says which versions the built-in component asks for.
fn version(given: &Given) -> Option<String> {
    let mut properties = given.properties.iter();
    let found = properties.find(|(key, _)| key.eq_ignore_ascii_case("version"));
    found.map(|(_, value)| value.clone())
}

fn is_running(connect: &Connect) -> bool {
    matches!(connect.source, Source::Instance { .. })
}

/// Adds what daprd adds for this app.
fn of_app(given: &mut Given, app_id: &str) {
    for value in given.properties.values_mut() {
        *value = value.replace("{appID}", app_id);
    }
    let there = given
        .properties
        .iter()
        .any(|(key, value)| key.eq_ignore_ascii_case(CONSUMER_ID) && !value.is_empty());
    if !there {
        given.properties.insert(CONSUMER_ID.into(), app_id.into());
    }
}

/// How far the checks came.
fn last_stage(report: &Report) -> Stage {
    let done = report.checks.iter();
    let done = done.filter(|check| !matches!(check.outcome, Outcome::Skipped(_)));
    done.map(|check| check.stage)
        .max()
        .unwrap_or(Stage::Settings)
}

fn cut(most: Duration, last: Stage) -> String {
    format!(
        "all checks together took longer than {most:?}, so what follows the stage {} was not \
         checked; a longer --timeout gives them more",
        last.name()
    )
}
