//! What a broker seems to be. Only to be shown: nothing is judged by it.

use kafka_protocol::messages::ApiKey;

use crate::doctor::wire::Ranges;

/// The newest versions of Produce, Fetch, `ListOffsets` and Metadata that releases of Apache
/// Kafka serve, from Kafka's own schemas as kafka-python 3.0.12 has collected them
/// (`kafka/protocol/broker_version_data.py`); those of 3.9.1 and 4.1.1 were seen.
const RELEASES: [([i16; 4], &str); 16] = [
    ([13, 18, 11, 13], "4.2"),
    ([13, 18, 10, 13], "4.1"),
    ([12, 17, 10, 13], "4.0"),
    ([11, 17, 9, 12], "3.9"),
    ([11, 16, 8, 12], "3.8"),
    ([10, 16, 8, 12], "3.7"),
    ([9, 15, 8, 12], "3.5 to 3.6"),
    ([9, 13, 7, 12], "3.1 to 3.4"),
    ([9, 12, 7, 11], "3.0"),
    ([9, 12, 6, 11], "2.8"),
    ([8, 12, 5, 9], "2.7"),
    ([8, 11, 5, 9], "2.4 to 2.6"),
    ([7, 11, 5, 8], "2.3"),
    ([7, 10, 5, 7], "2.2"),
    ([7, 10, 4, 7], "2.1"),
    ([6, 8, 3, 6], "2.0"),
];

/// What Redpanda begins a cluster's id with.
const REDPANDA: &str = "redpanda.";

/// What it seems to be: by what it says, or else by its ranges.
pub(in crate::doctor::stages) fn product(ranges: &Ranges, cluster: Option<&str>) -> String {
    if cluster.is_some_and(|id| id.starts_with(REDPANDA)) {
        return "Redpanda".to_owned();
    }
    let keys = [
        ApiKey::Produce,
        ApiKey::Fetch,
        ApiKey::ListOffsets,
        ApiKey::Metadata,
    ];
    let newest = keys.map(|key| ranges.of(key as i16).map_or(-1, |(_, last)| last));
    let release = RELEASES.iter().find(|(known, _)| *known == newest);
    match release {
        Some((_, release)) => format!("Apache Kafka {release} or like it"),
        None => "a broker of another kind than Apache Kafka's releases".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_known_by_its_ranges_and_redpanda_by_its_words() {
        let ranges = |newest: [i16; 4]| -> Ranges {
            let keys = (0..).zip(newest);
            keys.map(|(key, last)| (key, 0, last)).collect()
        };
        let kafka = ranges([13, 18, 10, 13]);
        assert_eq!(product(&kafka, Some("abc")), "Apache Kafka 4.1 or like it");
        assert_eq!(product(&kafka, Some("redpanda.0815")), "Redpanda");
        assert!(product(&ranges([7, 11, 4, 8]), None).starts_with("a broker of another kind"));
    }
}
