//! Keys of the built-in component that are not honoured yet.

use super::{Key, not_yet, secret};

pub(super) const KEYS: &[Key] = &[
    not_yet("channelBufferSize"),
    not_yet("clientConnectionKeepAliveInterval"),
    not_yet("clientConnectionTopicMetadataRefreshInterval"),
    not_yet("consumerFetchDefault"),
    not_yet("consumerFetchMin"),
    not_yet("consumerGroupRebalanceStrategy"),
    not_yet("dialTimeout"),
    not_yet("heartbeatInterval"),
    not_yet("metadataTimeout"),
    not_yet("producerRequiredAcks"),
    not_yet("producerRetryMax"),
    not_yet("readTimeout"),
    not_yet("schemaCachingEnabled"),
    not_yet("schemaLatestVersionCacheTTL"),
    secret("schemaRegistryAPIKey"),
    secret("schemaRegistryAPISecret"),
    not_yet("schemaRegistryURL"),
    not_yet("sessionTimeout"),
    not_yet("useAvroJSON"),
    not_yet("writeTimeout"),
];
