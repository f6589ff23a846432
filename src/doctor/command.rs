//! `dapr-rdkafka doctor`.

use std::{io::Write, pin::pin, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Component, Finding, Fix, Options, Recorder, Stage, Verdict, full, progress::Progress, render,
    rows, stages, stages::settings::shortened, wanted,
};
use crate::connect::{Connect, Given, Output, Source, Unknown, look};

/// How much longer what was begun is waited for than its steps should take.
const GRACE: Duration = Duration::from_millis(500);

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

/// How a diagnosis ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diagnosed {
    /// What it comes to.
    pub verdict: Verdict,
    /// Whether a signal cut it short.
    pub interrupted: bool,
}

/// Why not all was checked.
enum Cut {
    /// It took too long.
    Time,
    /// A signal.
    Interrupted,
}

/// Checks a component and writes what came of it, until `stop`; what it made itself is taken
/// away then, unless `at_once` comes.
pub async fn command(
    doctor: &Doctor,
    stop: &CancellationToken,
    at_once: &CancellationToken,
    out: &mut impl Write,
) -> Diagnosed {
    let progress = Progress::default();
    let recorder = match doctor.output {
        Output::Text => progress.recorder(),
        Output::Json => Recorder::default(),
    };
    let looked = stop.run_until_cancelled(look(&doctor.connect, "doctor"));
    let (name, given, cut) = match looked.await {
        None => (asked(&doctor.connect.source), None, Some(Cut::Interrupted)),
        Some(Err(unknown)) => {
            let name = asked(&doctor.connect.source);
            recorder.found(&*name, unreadable(&unknown));
            (name, None, None)
        }
        Some(Ok(mut given)) => {
            if let (Some(app_id), false) = (&doctor.app_id, is_running(&doctor.connect)) {
                of_app(&mut given, app_id);
            }
            let cut = checked(doctor, &given, &recorder, stop, at_once).await;
            (given.name.clone(), Some(given), cut)
        }
    };
    if let Some(cut) = &cut {
        let last = recorder.report().last();
        let why = cut.words(doctor.options.stage * STAGES, last);
        recorder.unanswered(last, &*name, why);
    }
    progress.end();
    let mut report = recorder.report();
    if let Some(given) = &given {
        let keys = given.properties.keys();
        report.given = keys.map(|key| key.to_ascii_lowercase()).collect();
        report.version = version(given);
    }
    let verdict = Verdict::of(&report, cut.is_none());
    let text = match doctor.output {
        Output::Json => format!("{:#}\n", render::json(&name, &report, verdict)),
        Output::Text => render::text(&name, &report, verdict, doctor.colours),
    };
    // Whoever reads it may have seen enough.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Diagnosed {
        verdict,
        interrupted: matches!(cut, Some(Cut::Interrupted)),
    }
}

/// All checks of what is given, and why they were cut short if they were.
async fn checked(
    doctor: &Doctor,
    given: &Given,
    recorder: &Recorder,
    stop: &CancellationToken,
    at_once: &CancellationToken,
) -> Option<Cut> {
    let settings = stages::settings::check(given, recorder)?;
    let wanted = wanted::wanted(given, &settings, &doctor.topics, recorder);
    let mut options = doctor.options.clone();
    options.dapr.component = (doctor.connect.source != Source::Flags).then(|| Component {
        name: given.name.clone(),
        kind: given.kind.clone(),
    });
    let ends = CancellationToken::new();
    let mut all = pin!(full(&settings, &wanted, &options, recorder, &ends));
    let cut = tokio::select! {
        _ = &mut all => return None,
        () = tokio::time::sleep(options.stage * STAGES) => Cut::Time,
        () = stop.cancelled() => Cut::Interrupted,
    };
    ends.cancel();
    // A step of the round trip that has begun, and the deletion of its topic.
    tokio::select! {
        _ = &mut all => {}
        () = tokio::time::sleep(options.stage * 2 + GRACE) => {}
        () = at_once.cancelled() => {}
    }
    Some(cut)
}

impl Cut {
    fn words(&self, most: Duration, last: Stage) -> String {
        let last = last.name();
        match self {
            Self::Time => format!(
                "all checks together took longer than {most:?}, so not all that follows the \
                 stage {last} was checked; a longer --timeout gives them more"
            ),
            Self::Interrupted => {
                format!("interrupted: not all that follows the stage {last} was checked")
            }
        }
    }
}

/// What a component is called that was not found.
fn asked(source: &Source) -> String {
    match source {
        Source::Component { files, name } => {
            let first = files.first().map(|file| file.display().to_string());
            shortened(&name.clone().or(first).unwrap_or_default())
        }
        Source::Instance { name, .. } => shortened(name),
        Source::Flags => "doctor".into(),
    }
}

fn unreadable(unknown: &Unknown) -> Finding {
    let cause = shortened(&unknown.to_string());
    let words = "Name what is there: the file, the Component by --name, or the running instance";
    Finding::new(&rows::settings::UNREADABLE, cause, Fix::words(words))
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
