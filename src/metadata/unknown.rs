//! Keys that no component has, and what their authors may have meant.

use super::keys::{self, Key};

/// How many letters may be wrong, left out or swapped in a name that is taken for a misspelling:
/// more would suggest what nobody meant.
const TYPOS: usize = 2;

/// What other clients, brokers and tools call a setting, in lower case, and this component's key.
const SYNONYMS: [(&str, &str); 28] = [
    ("acks", "producerRequiredAcks"),
    ("autooffsetreset", "initialOffset"),
    ("bootstrapservers", "brokers"),
    ("compressiontype", "compression"),
    ("connectiontimeout", "dialTimeout"),
    ("consumerheartbeatinterval", "heartbeatInterval"),
    ("consumersessiontimeout", "sessionTimeout"),
    ("enableidempotence", "idempotence"),
    ("fetchminbytes", "consumerFetchMin"),
    ("groupid", "consumerGroup"),
    ("heartbeatintervalms", "heartbeatInterval"),
    ("insecureskipverify", "skipVerify"),
    ("maxmessagesize", "maxMessageBytes"),
    ("maxrequestsize", "maxMessageBytes"),
    ("maxretries", "producerRetryMax"),
    (
        "metadatarefreshfrequency",
        "clientConnectionTopicMetadataRefreshInterval",
    ),
    ("password", "saslPassword"),
    ("producerackrequired", "producerRequiredAcks"),
    ("produceracks", "producerRequiredAcks"),
    ("producercompressiontype", "compression"),
    ("producermaxrequestsize", "maxMessageBytes"),
    ("producerretries", "producerRetryMax"),
    ("requestrequiredacks", "producerRequiredAcks"),
    ("requesttimeout", "readTimeout"),
    ("requiredacks", "producerRequiredAcks"),
    ("sessiontimeoutms", "sessionTimeout"),
    ("user", "saslUsername"),
    ("username", "saslUsername"),
];

/// The same for settings that have no key here: what is so without one.
const NEEDS_NONE: [(&[&str], &str); 6] = [
    (
        &[
            "enabletls",
            "tls",
            "tlsenabled",
            "usetls",
            "usessl",
            "sslenabled",
            "securityprotocol",
        ],
        "TLS is on unless disableTls is true or authType is none",
    ),
    (
        &[
            "producerbatchsize",
            "batchsize",
            "producerlingerms",
            "lingerms",
        ],
        "batches are built from what waits to be sent, without a wait of their own",
    ),
    (
        &[
            "consumermaxpollinterval",
            "maxpollinterval",
            "maxpollintervalms",
        ],
        "a slow app costs the group no member; rebalanceDrain says how long a rebalance waits for it",
    ),
    (
        &["keepalive", "tcpkeepalive"],
        "TCP keep-alive is always on",
    ),
    (
        &["kafkaversion", "protocolversion"],
        "versions are negotiated with each broker",
    ),
    (
        &[
            "topic",
            "topics",
            "publishtopic",
            "subscribetopics",
            "subscribetopic",
        ],
        "topics are named by each publish and each subscription",
    ),
];

/// What to say about a key that is not in the table.
pub(super) fn note(written: &str) -> String {
    let nothing = format!("{written} is no known key and has no effect");
    let plain = written.to_ascii_lowercase().replace(['.', '_', '-'], "");
    let needs_none = NEEDS_NONE
        .iter()
        .find(|(names, _)| names.contains(&&*plain));
    if let Some((_, so)) = needs_none {
        return format!("{nothing}: {so}");
    }
    let synonym = SYNONYMS.iter().find(|(name, _)| *name == plain);
    let meant = synonym.map(|(_, key)| *key);
    match meant.or_else(|| misspelt(&plain)) {
        Some(name) => format!("{nothing}; did you mean {name}?"),
        None => nothing,
    }
}

fn misspelt(plain: &str) -> Option<&'static str> {
    let distance = |name: &str| strsim::osa_distance(plain, &name.to_ascii_lowercase());
    let near = keys::all().flat_map(Key::names);
    let near = near.map(|name| (distance(name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= TYPOS).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_are_keys_and_in_order() {
        for (synonym, key) in SYNONYMS {
            assert!(
                keys::find(key).is_some_and(|(_, name)| name == key),
                "{key}"
            );
            assert!(keys::find(synonym).is_none(), "{synonym}");
        }
        assert!(SYNONYMS.is_sorted());
    }

    #[test]
    fn what_is_suggested_was_meant() {
        for (written, says) in [
            ("requiredAcks", "; did you mean producerRequiredAcks?"),
            ("bootstrap.servers", "; did you mean brokers?"),
            ("initialOfset", "; did you mean initialOffset?"),
            (
                "consumerRetryInterval",
                "; did you mean consumeRetryInterval?",
            ),
            ("enableTLS", ": TLS is on unless disableTls is true"),
            ("producerLingerMs", ": batches are built from"),
            // Near in letters, and far in meaning.
            ("maxRetryAttempts", "has no effect"),
            ("consumeRetryMax", "has no effect"),
            ("consumeRetryAttempts", "has no effect"),
            ("retryBackoff", "has no effect"),
            ("zzz", "has no effect"),
        ] {
            let note = note(written);
            if says == "has no effect" {
                assert!(note.ends_with(says), "{note}");
            }
            assert!(note.contains(says), "{note}");
        }
    }
}
