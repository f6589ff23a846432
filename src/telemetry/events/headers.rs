//! What of a record does not reach the app.

use metrics::counter;
use tracing::{debug, warn};

use super::{
    super::{Member, metrics as names},
    topic_labels,
};
use crate::model::{Offset, TopicPartition};

/// A record was handed on without some of its headers.
#[derive(Debug)]
pub struct HeadersLeftOut<'a> {
    /// The component instance.
    pub instance: &'a Member,
    /// The record's partition.
    pub at: &'a TopicPartition,
    /// The record's offset.
    pub offset: Offset,
    /// How many.
    pub count: usize,
    /// The name of the first of them.
    pub name: &'a str,
    /// Why that one was left out.
    pub why: &'a str,
    /// Whether nothing was told yet of this stream: such headers may stand in each
    /// of its records.
    pub is_first: bool,
}

impl HeadersLeftOut<'_> {
    /// Logs and counts it.
    pub fn emit(self) {
        let labels = topic_labels(self.instance, &self.at.topic);
        counter!(names::HEADERS_LEFT_OUT, labels).increment(self.count as u64);
        let Self {
            instance,
            at,
            offset,
            count,
            name,
            why,
            ..
        } = self;
        let name: String = name.chars().take(100).collect();
        if self.is_first {
            warn!(
                %instance,
                "the app gets {at} offset {offset} without {count} of its headers, the first is \
                 {name:?}: {why}. What else is left out on this stream is counted, and told at the \
                 level debug"
            );
        } else {
            debug!(
                %instance,
                "the app gets {at} offset {offset} without {count} of its headers, the first is \
                 {name:?}: {why}"
            );
        }
    }
}
