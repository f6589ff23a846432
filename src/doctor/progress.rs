//! What is under way, on a terminal: a line per stage.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Check, Outcome, Recorder, Stage};
use crate::model::text::on_one_line;

/// The lines. indicatif writes to the standard error, and only if that is a terminal.
#[derive(Clone, Default)]
pub(super) struct Progress {
    all: MultiProgress,
    lines: Arc<Mutex<BTreeMap<Stage, ProgressBar>>>,
}

impl Progress {
    /// A recorder whose checks show here.
    pub(super) fn recorder(&self) -> Recorder {
        let all = self.all.clone();
        let lines = self.lines.clone();
        Recorder::watched(move |check| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            let line = lines.entry(check.stage).or_insert_with(|| {
                let style =
                    ProgressStyle::with_template("{spinner} {prefix:12} {pos:>3}  {wide_msg}");
                let bar = all.add(ProgressBar::new_spinner());
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(check.stage.name());
                bar.enable_steady_tick(Duration::from_millis(100));
                bar
            });
            line.inc(1);
            line.set_message(words(check));
        })
    }

    /// Takes the lines away.
    pub(super) fn end(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in std::mem::take(&mut *lines).into_values() {
            // Its thread would draw once more, over the report.
            line.disable_steady_tick();
            line.finish_and_clear();
        }
        // It is no matter whether the terminal is still there.
        let _ = self.all.clear();
        self.all.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn words(check: &Check) -> String {
    let words = match &check.outcome {
        Outcome::Fine(seen) => seen.words(),
        Outcome::Found(finding) => finding.row.title,
        Outcome::Skipped(_) | Outcome::Unanswered(_) => "not checked",
    };
    on_one_line(&format!("{}: {words}", check.subject))
}
