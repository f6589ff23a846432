use crate::{run::Moods, scene::Place};

/// What a fault's run looks like beside the fault.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Which brokers.
    pub place: Place,
    /// Messages in a second.
    pub rate: u32,
    /// How many of them there are at most, in seconds.
    pub longest: u32,
    /// How many keys.
    pub keys: u64,
    /// What the app makes of them.
    pub moods: Moods,
    /// Members when it begins.
    pub members: usize,
    /// Messages that the app has acknowledged before anything breaks.
    pub warm: usize,
    /// Metadata for both sides.
    pub metadata: &'static [(&'static str, &'static str)],
    /// Metadata for the component alone.
    pub ours: &'static [(&'static str, &'static str)],
    /// Whether the dead-letter topic is there.
    pub dead_letters: bool,
    /// Topics of one partition that the app subscribes to as well. The judge does not see them.
    pub beside: &'static [&'static str],
    /// The topic's settings.
    pub topic: &'static [(&'static str, &'static str)],
}

/// Most runs.
pub const PLAIN: Shape = Shape {
    place: Place::One,
    rate: 100,
    longest: 300,
    keys: 50,
    moods: Moods {
        poison: 4,
        refused: 40,
        slow: 60,
    },
    members: 1,
    warm: 200,
    metadata: &[],
    ours: &[],
    dead_letters: true,
    beside: &[],
    topic: &[],
};

/// `maxUncommitted`: at so many above what the broker has confirmed, a partition pauses.
const UNCOMMITTED: usize = 30;

/// Records of a partition that may be under way when it pauses: 64 that were read, and
/// one that its reader holds (`delivery/readers.rs`).
const UNDER_WAY: usize = 64 + 1;

/// How many records of each partition a fault may have handed out again.
pub const BOUND: usize = UNCOMMITTED + UNDER_WAY;

/// How often a record is handed out before it is dead-lettered.
pub(super) const ATTEMPTS: usize = 3;

/// Streams per member where daprd handles one message of each at a time.
pub const LANES: usize = 4;

/// Both sides' settings: what is refused comes again soon, and a killed member is missed
/// as soon as Kafka allows.
pub(super) fn common() -> Vec<(&'static str, String)> {
    [
        ("initialOffset", "oldest"),
        ("sessionTimeout", "6s"),
        ("heartbeatInterval", "1s"),
        ("consumeRetryEnabled", "true"),
        ("backOffPolicy", "constant"),
        ("backOffDuration", "200ms"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

/// The component's own.
pub(super) fn ours() -> Vec<(&'static str, String)> {
    vec![
        ("maxUncommitted", UNCOMMITTED.to_string()),
        ("deadLetterTopic", super::DEAD_LETTERS.to_owned()),
        ("maxDeliveryAttempts", ATTEMPTS.to_string()),
        ("deadLetterMinAge", "0s".to_owned()),
    ]
}
