//! How large batches to a topic may be.
//!
//! A broker refuses a whole batch that is over the topic's `max.message.bytes`, although each
//! record in it is below. librdkafka bounds batches for a client, not for a topic (`batch.size`),
//! and takes such a refusal for final while later batches go through. So topics with a low
//! limit are written by clients with smaller batches.

/// The batches of one of a producer's clients. Few sizes, since each is a client of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchSize {
    /// Each record is a batch of its own.
    Single,
    /// 16,000 bytes.
    Small,
    /// 64,000 bytes.
    Medium,
    /// 256,000 bytes.
    Large,
    /// librdkafka's default, a million bytes: below Kafka's own default for topics.
    Default,
}

impl BatchSize {
    /// All sizes, in order.
    pub(super) const ALL: [Self; 5] = [
        Self::Single,
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::Default,
    ];

    /// librdkafka's `batch.size`: bytes before compression, with the request's own.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Small => 16_000,
            Self::Medium => 64_000,
            Self::Large => 256_000,
            Self::Default => 1_000_000,
        }
    }

    /// The largest batches that a limit never refuses: a bit below it, since what can't be
    /// compressed becomes a few bytes larger.
    fn within(limit: usize) -> Self {
        let fits = |size: &Self| size.bytes() + size.bytes() / 64 <= limit;
        match limit {
            // Kafka's default before 2.1, which librdkafka's default is made for.
            1_000_012.. => Self::Default,
            _ => Self::ALL
                .into_iter()
                .rev()
                .find(fits)
                .unwrap_or(Self::Single),
        }
    }

    /// The next smaller one, the smallest after itself.
    pub(super) fn smaller(self) -> Self {
        match self {
            Self::Single | Self::Small => Self::Single,
            Self::Medium => Self::Small,
            Self::Large => Self::Medium,
            Self::Default => Self::Large,
        }
    }
}

/// What is known of a topic's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// As the brokers disclose it, in bytes.
    pub(super) limit: Option<usize>,
    /// The smallest batches of which one was refused since then.
    refused: Option<BatchSize>,
}

impl Known {
    /// The batches for records in no particular order, which may be sent again if one is refused.
    pub(super) fn for_any_order(self) -> BatchSize {
        let disclosed = self.limit.map_or(BatchSize::Default, BatchSize::within);
        self.refused
            .map_or(disclosed, |refused| disclosed.min(refused.smaller()))
    }

    /// The batches for records that keep their order: of several on their way none may be
    /// refused, so where the limit is not disclosed it is expected to be low.
    pub(super) fn for_order(self) -> BatchSize {
        let most = if self.limit.is_some() {
            BatchSize::Default
        } else {
            BatchSize::Small
        };
        self.for_any_order().min(most)
    }

    /// Takes what the brokers disclose. A new limit makes earlier refusals void.
    pub(super) fn disclosed(&mut self, limit: usize) {
        if self.limit.replace(limit) != Some(limit) {
            self.refused = None;
        }
    }

    /// Takes the refusal of a batch.
    pub(super) fn refused(&mut self, size: BatchSize) {
        self.refused = Some(self.refused.map_or(size, |before| before.min(size)));
    }
}

/// What becomes of a record of so many bytes whose batch was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It may have been too large only together with others.
    Together,
    /// It was alone in its batch.
    Alone,
}

/// Whether a record was refused alone: librdkafka puts no other record into the batch of one that
/// fills it.
pub(super) fn refused(record: usize, size: BatchSize) -> Refused {
    if record >= size.bytes() {
        Refused::Alone
    } else {
        Refused::Together
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BatchSize::{Default, Large, Medium, Single, Small},
        *,
    };

    fn disclosed(limit: usize) -> Known {
        let mut known = Known::default();
        known.disclosed(limit);
        known
    }

    #[test]
    fn batches_are_below_a_disclosed_limit() {
        for (limit, size) in [
            (0, Single),
            (16_249, Single),
            (16_384, Small),
            (64_999, Small),
            (65_536, Medium),
            (262_144, Large),
            (1_000_011, Large),
            (1_000_012, Default),
            (1_048_588, Default),
            (usize::MAX, Default),
        ] {
            assert_eq!(disclosed(limit).for_any_order(), size, "{limit}");
            assert_eq!(disclosed(limit).for_order(), size, "{limit}");
        }
    }

    #[test]
    fn an_undisclosed_limit_is_expected_to_be_low_where_order_counts() {
        let mut known = Known::default();
        assert_eq!(known.for_any_order(), Default);
        assert_eq!(known.for_order(), Small);
        for (refused, any, order) in [
            (Default, Large, Small),
            (Medium, Small, Small),
            // One that was sent before is answered late.
            (Large, Small, Small),
            (Small, Single, Single),
            (Single, Single, Single),
        ] {
            known.refused(refused);
            assert_eq!(known.for_any_order(), any, "{refused:?}");
            assert_eq!(known.for_order(), order, "{refused:?}");
        }
    }

    #[test]
    fn a_refusal_counts_until_another_limit_is_disclosed() {
        let mut known = disclosed(262_144);
        known.refused(Large);
        assert_eq!(known.for_order(), Medium);
        known.disclosed(262_144);
        assert_eq!(
            known.for_order(),
            Medium,
            "the brokers refuse it all the same"
        );
        known.disclosed(300_000);
        assert_eq!(known.for_order(), Large);
    }

    #[test]
    fn a_record_that_fills_its_batch_was_alone() {
        assert_eq!(refused(63_999, Medium), Refused::Together);
        assert_eq!(refused(64_000, Medium), Refused::Alone);
        assert_eq!(refused(1, Single), Refused::Alone);
    }
}
