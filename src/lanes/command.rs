//! `dapr-rdkafka lanes`.

use std::io::{self, BufWriter, Write};

use super::{
    AppUrl, Selection, Subscription, app,
    document::document,
    plan::{NoPlan, plan},
};
use crate::model::text::on_one_line;

/// What is asked of lanes.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// Where the app's subscriptions come from.
    pub source: Source,
    /// Which of them get how many lanes.
    pub selection: Selection,
}

/// Where an app's subscriptions come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From the command line.
    Given(Vec<Subscription>),
    /// From the app, with its API token if it wants one.
    App(AppUrl, Option<String>),
}

/// Why no lanes were printed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Another command line helps.
    #[error("{0}")]
    Usage(String),
    /// The app gives no subscriptions that lanes could be made for.
    #[error("{0}")]
    App(String),
    /// The result could not be written.
    #[error("writing the result: {0}")]
    Output(#[from] io::Error),
}

/// Writes a Subscription for each lane. What gets none is said in the log.
///
/// # Errors
/// When there is nothing to write, or it can't be written.
pub async fn command(lanes: &Lanes, out: &mut impl Write) -> Result<(), Failed> {
    let Lanes { source, selection } = lanes;
    let all = match source {
        Source::Given(given) => given.clone(),
        Source::App(url, token) => app::subscriptions(url, token.as_deref())
            .await
            .map_err(|problem| Failed::App(on_one_line(&problem)))?,
    };
    let plan = plan(all, selection).map_err(|no_plan| match no_plan {
        NoPlan::Selection(problem) => Failed::Usage(problem),
        NoPlan::Nothing(notes) if notes.is_empty() => {
            Failed::App("no lanes to print: the app subscribes to nothing".into())
        }
        NoPlan::Nothing(notes) => Failed::App(format!("no lanes to print: {}", notes.join("; "))),
    })?;
    for note in plan.notes {
        tracing::warn!("{note}");
    }
    if selection.app_ids.is_empty() {
        tracing::warn!(
            "these Subscriptions are for every app that may use the Component. In Kubernetes, name \
             the app with --app-id"
        );
    }
    let mut out = BufWriter::new(out);
    let mut separator = "";
    for topic in &plan.subscriptions {
        for number in 1..=selection.count {
            write!(
                out,
                "{separator}{}",
                document(topic, number, &selection.app_ids)
            )?;
            separator = "---\n";
        }
    }
    Ok(out.flush()?)
}
