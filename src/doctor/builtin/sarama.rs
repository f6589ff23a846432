//! What Sarama asks, by the configured version of Kafka: read in its sources
//! (`metadata_request.go`, `client.go`, `consumer.go`, `consumer_group.go`,
//! `offset_fetch_request.go`, `offset_manager.go`, `produce_set.go`, `broker.go`).

use std::{collections::BTreeSet, fmt};

use kafka_protocol::messages::ApiKey;

/// A release of Dapr, and the Sarama in it by the `go.mod` of dapr/components-contrib. That of
/// v1.19 was not at hand: the main branch had 1.60.0 on 2026-08-21, two months before v1.19.0, so
/// 1.60.0 was read for Dapr 1.19.
pub(super) struct Release {
    pub(super) dapr: &'static str,
    pub(super) sarama: &'static str,
    pub(super) behaviour: Behaviour,
}

pub(super) const RELEASES: [Release; 6] = [
    release("1.14", "1.42.2", Behaviour::Fixed),
    release("1.15", "1.43.3", Behaviour::Fixed),
    release("1.16", "1.45.2", Behaviour::Fixed),
    release("1.17", "1.45.2", Behaviour::Fixed),
    release("1.18", "1.48.1", Behaviour::Negotiated),
    release("1.19", "1.60.0 or newer", Behaviour::Negotiated),
];

const fn release(dapr: &'static str, sarama: &'static str, behaviour: Behaviour) -> Release {
    Release {
        dapr,
        sarama,
        behaviour,
    }
}

/// A version of Kafka, as `version` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u16, u16, u16);

/// What consumer groups need; Sarama takes none before it.
pub(super) const OLDEST: Version = Version(0, 10, 2);

impl Version {
    /// Reads `2.8.0`, or `0.10.2.0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text
            .strip_suffix(".0")
            .filter(|_| text.starts_with("0."))
            .unwrap_or(text);
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let mut part = || parts.next().flatten();
        Some(Self(part()?, part()?, part()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        let rest = if *major == 0 { ".0" } else { "" };
        write!(f, "{major}.{minor}.{patch}{rest}")
    }
}

/// How Sarama finds the version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// By the configured version alone. From 2.4.0 on it asks `ApiVersions`, but for nothing.
    Fixed,
    /// The same at most, and no newer than what the broker serves.
    Negotiated,
}

/// From which configured version on a request is asked in which version.
type Steps = &'static [(Version, i16)];

const V0_11: Version = Version(0, 11, 0);
const V1_0: Version = Version(1, 0, 0);
const V1_1: Version = Version(1, 1, 0);
const V2_0: Version = Version(2, 0, 0);
const V2_1: Version = Version(2, 1, 0);
const V2_2: Version = Version(2, 2, 0);
const V2_3: Version = Version(2, 3, 0);
const V2_4: Version = Version(2, 4, 0);
const V2_5: Version = Version(2, 5, 0);
const V2_8: Version = Version(2, 8, 0);

/// With a login, before all others.
const LOGIN: [(ApiKey, Steps); 2] = [
    (ApiKey::SaslHandshake, &[(OLDEST, 1)]),
    (ApiKey::SaslAuthenticate, &[(OLDEST, 0), (V2_2, 1)]),
];

/// In the order in which the built-in comes to them: at Init, at the first message that is
/// published, and as a member of its group. Its producer is not idempotent, so it never asks
/// `InitProducerId`; that `LeaveGroup` fails is no matter to anyone who leaves.
const REQUESTS: [(ApiKey, Steps); 10] = [
    (
        ApiKey::Metadata,
        &[
            (OLDEST, 2),
            (V0_11, 4),
            (V1_0, 5),
            (V2_0, 6),
            (V2_1, 7),
            (V2_4, 9),
            (V2_8, 10),
        ],
    ),
    (
        ApiKey::Produce,
        &[(OLDEST, 2), (V0_11, 3), (V1_0, 5), (V2_0, 6), (V2_1, 7)],
    ),
    (
        ApiKey::FindCoordinator,
        &[(OLDEST, 0), (V0_11, 1), (V2_0, 2)],
    ),
    (
        ApiKey::JoinGroup,
        &[(OLDEST, 1), (V0_11, 2), (V2_0, 3), (V2_2, 4), (V2_3, 5)],
    ),
    (
        ApiKey::SyncGroup,
        &[(OLDEST, 0), (V0_11, 1), (V2_0, 2), (V2_3, 3)],
    ),
    (
        ApiKey::OffsetFetch,
        &[
            (OLDEST, 2),
            (V0_11, 3),
            (V2_0, 4),
            (V2_1, 5),
            (V2_4, 6),
            (V2_5, 7),
        ],
    ),
    (
        ApiKey::ListOffsets,
        &[(OLDEST, 1), (V0_11, 2), (V2_0, 3), (V2_1, 4)],
    ),
    (
        ApiKey::Fetch,
        &[
            (OLDEST, 3),
            (V0_11, 5),
            (V1_0, 6),
            (V1_1, 7),
            (V2_0, 8),
            (V2_1, 10),
            (V2_3, 11),
        ],
    ),
    (
        ApiKey::Heartbeat,
        &[(OLDEST, 0), (V0_11, 1), (V2_0, 2), (V2_3, 3)],
    ),
    (
        ApiKey::OffsetCommit,
        &[(OLDEST, 2), (V0_11, 3), (V2_0, 4), (V2_1, 6), (V2_3, 7)],
    ),
];

/// What Sarama 1.48 asks beyond that. It never matters by itself: what is newer than the
/// broker's newest is asked in that. 1.60 asks some requests in newer versions still, which are
/// left out: only a broker that serves nothing older would make a difference, and none is known.
const NEWER: [(ApiKey, Version, i16); 4] = [
    (ApiKey::ListOffsets, V2_2, 5),
    (ApiKey::JoinGroup, V2_4, 6),
    (ApiKey::SyncGroup, V2_4, 4),
    (ApiKey::Heartbeat, V2_4, 4),
];

/// The configured versions from which on something is asked otherwise, the oldest first.
pub(super) fn turns() -> BTreeSet<Version> {
    let all = LOGIN.iter().chain(&REQUESTS);
    all.flat_map(|(_, steps)| steps.iter().map(|(from, _)| *from))
        .collect()
}

impl Behaviour {
    /// What is asked with this configured version, in order.
    pub(super) fn asks(self, version: Version, login: bool) -> Vec<(ApiKey, i16)> {
        let login = LOGIN.iter().filter(|_| login);
        let all = login.chain(&REQUESTS);
        all.filter_map(|(key, steps)| {
            let steps = steps.iter().copied();
            let newer = NEWER.iter().filter(|(newer, ..)| newer == key);
            let newer = newer.filter(|_| self == Self::Negotiated);
            let steps = steps.chain(newer.map(|(_, from, asked)| (*from, *asked)));
            let mut asked = steps.filter(|(from, _)| *from <= version);
            Some((*key, asked.next_back()?.1))
        })
        .collect()
    }

    /// Whether a request is asked in no newer version than the broker serves. The login's are
    /// too: `ApiVersions` is asked before them, and `Broker.sendInternal` restricts all.
    pub(super) fn negotiates(self) -> bool {
        self == Self::Negotiated
    }
}
