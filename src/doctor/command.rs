//! `dapr-rdkafka doctor`.

use std::io::Write;

use super::{Component, Options, Recorder, Report, Wanted, WantedTopic, full, render};
use crate::{
    connect::{Connect, Given, Source, Unknown, find},
    metadata,
};

/// What is asked of the doctor.
#[derive(Clone, Debug)]
pub struct Doctor {
    /// Where the settings are.
    pub connect: Connect,
    /// More topics than are found otherwise.
    pub topics: Vec<String>,
    /// What is checked.
    pub options: Options,
}

/// Checks a component and writes what came of it.
///
/// # Errors
/// When the component's metadata is not to be had.
pub async fn command(doctor: &Doctor, out: &mut impl Write) -> Result<Report, Unknown> {
    let Given {
        name,
        kind,
        properties,
    } = find(&doctor.connect, "doctor").await?;
    let resolved =
        metadata::resolve(&properties).map_err(|problems| Unknown(problems.to_string()))?;
    let settings = resolved.settings;
    let topics = doctor.topics.iter().map(|name| WantedTopic {
        name: name.clone(),
        publish: true,
        subscribe: true,
        dead_letters_of: None,
    });
    let wanted = Wanted {
        topics: topics.collect(),
        group: settings.consumer_group.clone(),
    };
    let mut options = doctor.options.clone();
    options.dapr.component = (doctor.connect.source != Source::Flags).then(|| Component {
        name: name.clone(),
        kind,
    });
    let report = full(&settings, &wanted, &options, &Recorder::default()).await;
    let _ = writeln!(out, "{:#}", render::json(&name, &report));
    Ok(report)
}
