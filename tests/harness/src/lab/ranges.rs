use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiVersionsResponse, ResponseHeader, api_versions_response::ApiVersion},
    protocol::{Encodable as _, HeaderVersion as _},
};
use serde::Deserialize;

use crate::Result;

/// The key of `ApiVersions`.
pub(super) const API_VERSIONS: i16 = 18;
/// Kafka's `UNSUPPORTED_VERSION`.
const UNSUPPORTED: i16 = 35;

/// Which versions of which requests a broker serves: the first and the last one, by keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(pub BTreeMap<i16, (i16, i16)>);

#[derive(Deserialize)]
struct Table {
    apis: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    key: i16,
    min: i16,
    max: i16,
}

impl Ranges {
    /// Redpanda's, of `data/redpanda-api-versions.json`, which says where they are from.
    pub fn redpanda() -> Result<Self> {
        let table: Table =
            serde_json::from_str(include_str!("../../data/redpanda-api-versions.json"))?;
        let rows = table.apis.into_iter();
        Ok(Self(
            rows.map(|row| (row.key, (row.min, row.max))).collect(),
        ))
    }

    /// The same, but of this request these versions; `None`: the request is not served.
    #[must_use]
    pub fn with(mut self, key: i16, versions: Option<(i16, i16)>) -> Self {
        match versions {
            Some(versions) => self.0.insert(key, versions),
            None => self.0.remove(&key),
        };
        self
    }

    /// Whether a request is served in this version.
    pub fn serves(&self, key: i16, version: i16) -> bool {
        let range = self.0.get(&key);
        range.is_some_and(|(min, max)| (*min..=*max).contains(&version))
    }

    /// The answer to `ApiVersions`. In a version that is not served it is an error in
    /// the layout of the oldest one, which every client can read.
    pub(super) fn answer(&self, version: i16, correlation: i32) -> Result<Bytes> {
        let served = self.serves(API_VERSIONS, version);
        let version = if served { version } else { 0 };
        let rows = self.0.iter().filter(|_| served);
        let rows = rows.map(|(key, (min, max))| {
            ApiVersion::default()
                .with_api_key(*key)
                .with_min_version(*min)
                .with_max_version(*max)
        });
        let answer = ApiVersionsResponse::default()
            .with_error_code(if served { 0 } else { UNSUPPORTED })
            .with_api_keys(rows.collect());
        let mut bytes = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(correlation);
        header.encode(&mut bytes, ApiVersionsResponse::header_version(version))?;
        answer.encode(&mut bytes, version)?;
        Ok(bytes.freeze())
    }
}
