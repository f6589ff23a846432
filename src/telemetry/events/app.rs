//! What is worth telling about the app's being there.

use tracing::{info, warn};

use super::{
    super::{Member, metrics as names},
    of_topic,
};
use crate::model::{Offset, TopicPartition};

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

/// daprd said that the app took a record, at the moment when the app went.
#[derive(Debug)]
pub struct AckDoubted<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The record's partition.
    pub at: &'a TopicPartition,
    /// The record's offset.
    pub offset: Offset,
}

impl AckDoubted<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        of_topic(names::REDELIVERIES, self.instance, self.at);
        warn!(
            instance = %self.instance,
            "daprd says that the app took {} offset {}, at the moment when the app went: daprd mixes \
             up calls then, so the record is delivered again (docs/daprd-acks.md)",
            self.at,
            self.offset,
        );
    }
}
