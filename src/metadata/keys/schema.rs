//! The schema registry: Avro is not encoded or decoded here.

use super::{Key, inert, refused};

/// Why what names a registry is refused: accepted, it would leave bytes undecoded that
/// apps expect as JSON.
const REASON: &str = "Avro is neither encoded nor decoded by this version, and no message must \
                      pass for decoded; remove it and let the app read the bytes, or stay with the \
                      built-in component";

pub(super) const KEYS: &[Key] = &[
    refused("schemaRegistryURL", REASON, "The schema registry.").example("http://registry:8081"),
    refused(
        "schemaRegistryAPIKey",
        REASON,
        "The user at the schema registry.",
    )
    .example("…")
    .hidden(),
    refused(
        "schemaRegistryAPISecret",
        REASON,
        "The user's secret at the schema registry.",
    )
    .example("…")
    .hidden(),
    inert(
        "schemaCachingEnabled",
        "It is for schemaRegistryURL, which is refused.",
    )
    .flag()
    .example("true"),
    inert(
        "schemaLatestVersionCacheTTL",
        "It is for schemaRegistryURL, which is refused.",
    )
    .seconds()
    .example("5m"),
    inert(
        "useAvroJSON",
        "It is for schemaRegistryURL, which is refused.",
    )
    .flag()
    .example("false"),
];
