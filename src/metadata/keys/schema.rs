//! The schema registry: Avro is not encoded or decoded here.
//!
//! The keys are accepted, because a registry matters only to topics that are used with
//! `valueSchemaType`; a publish and a subscription with it are refused, so that no message passes
//! for decoded.

use super::{Key, inert};

pub(super) const KEYS: &[Key] = &[
    inert(
        "schemaRegistryURL",
        "Only topics with valueSchemaType need a schema registry. This version has none, and \
         refuses a publish or a subscription with valueSchemaType.",
    )
    .example("http://registry:8081"),
    inert("schemaRegistryAPIKey", "It is for schemaRegistryURL.")
        .example("…")
        .hidden(),
    inert("schemaRegistryAPISecret", "It is for schemaRegistryURL.")
        .example("…")
        .hidden(),
    inert("schemaCachingEnabled", "It is for schemaRegistryURL.")
        .flag()
        .example("true"),
    inert(
        "schemaLatestVersionCacheTTL",
        "It is for schemaRegistryURL.",
    )
    .seconds()
    .example("5m"),
    inert("useAvroJSON", "It is for schemaRegistryURL.")
        .flag()
        .example("false"),
];
