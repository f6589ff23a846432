//! What is worth telling about the app's being there.

use std::sync::Arc;

use tracing::{info, warn};

use super::{
    super::{Member, metrics as names},
    of_topic,
};
use crate::model::Record;

/// The app can't be reached any more, or answers again.
#[derive(Debug)]
pub struct AppPresence<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// What daprd said, if the app can't be reached.
    pub failure: Option<&'a str>,
}

impl AppPresence<'_> {
    /// Logs it.
    pub fn emit(self) {
        let instance = self.instance;
        if let Some(failure) = self.failure {
            warn!(
                %instance,
                "the app can't be reached: it is tried with one record at a time, at least every \
                 second, and the others wait: {failure}"
            );
        } else {
            info!(%instance, "the app answers again: it gets all records");
        }
    }
}

/// daprd acknowledged these records just before a call to the app failed.
#[derive(Debug)]
pub struct SuspectAcks<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The records.
    pub records: &'a [Arc<Record>],
}

impl SuspectAcks<'_> {
    /// Counts each record and logs the first.
    pub fn emit(self) {
        for record in self.records {
            of_topic(names::REDELIVERIES, self.instance, &record.at);
        }
        if let Some(first) = self.records.first() {
            warn!(
                instance = %self.instance,
                "redelivering {} message(s), from {} offset {} on: daprd acknowledged them just before a call \
                 to the app failed, and may have acknowledged messages that the app never got \
                 (docs/daprd-acks.md)",
                self.records.len(),
                first.at,
                first.offset,
            );
        }
    }
}
