use std::ops::Range;

use super::Offset;

/// How far a consumer group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The offset that is committed: everything below it is finished.
    pub point: Offset,
    /// What is finished above it: ranges in order, none empty, and none overlapping
    /// another. Whoever has the partition next leaves these out.
    pub above: Vec<Range<Offset>>,
}

impl Progress {
    /// How many offsets are finished above the point, with those that no record has.
    pub fn count_above(&self) -> i64 {
        let lengths = self.above.iter().map(|range| range.end.0 - range.start.0);
        lengths.sum()
    }
}

impl From<Offset> for Progress {
    /// Nothing is finished above the offset.
    fn from(point: Offset) -> Self {
        let above = Vec::new();
        Self { point, above }
    }
}
