//! The first request and its answer. The answer is read by hand: whoever sends it need be
//! no broker, and `kafka-protocol` reserves room for as many requests as it announces.

use std::time::Instant;

use bytes::{Buf as _, Bytes};
use kafka_protocol::{messages::ApiVersionsRequest, protocol::StrBytes};

use super::{Answered, Broken, Ranges, Wire};

/// The version that names the client's software; answers are flexible from it on.
const NEWEST: i16 = 3;

/// The broker serves no such version of the request, and says so in the oldest layout.
const UNSUPPORTED_VERSION: i16 = 35;

/// What a broker says it serves.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::doctor) struct Versions {
    /// Its error code; 0 is none.
    pub(in crate::doctor) error: i16,
    ranges: Ranges,
}

impl Wire {
    /// Asks the broker what it serves, and keeps that for later requests.
    pub(in crate::doctor) async fn agree(
        &mut self,
        until: Instant,
    ) -> Result<Answered<Versions>, Broken> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("dapr-rdkafka"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        for version in [NEWEST, 0] {
            let body = self.ask_for_bytes(&request, version, until).await?;
            let value = read(body, version)
                .ok_or_else(|| Broken::Nonsense("it lists no requests with versions".to_owned()))?;
            if value.error == UNSUPPORTED_VERSION && version > 0 {
                continue;
            }
            self.ranges = value.ranges.clone();
            return Ok(Answered { value, version });
        }
        // The oldest version is the last that is asked.
        Err(Broken::Unserved { key: 18 })
    }
}

/// What an answer in the oldest version says is served, from its correlation id on; `None`
/// if it is no such answer.
pub(in crate::doctor) fn ranges_of(answer: Bytes) -> Option<Ranges> {
    let versions = read(answer, 0)?;
    (versions.error == 0).then_some(versions.ranges)
}

/// Reads an answer with its header; `None` if it is none.
fn read(mut body: Bytes, version: i16) -> Option<Versions> {
    // The id, which was compared already. The header has nothing else in any version.
    body.try_get_i32().ok()?;
    let error = body.try_get_i16().ok()?;
    if error != 0 {
        let ranges = Ranges::default();
        return Some(Versions { error, ranges });
    }
    let flexible = version >= NEWEST;
    let announced = if flexible {
        varint(&mut body)?.checked_sub(1)?
    } else {
        u32::try_from(body.try_get_i32().ok()?).ok()?
    };
    let mut ranges = Vec::new();
    // It ends with the bytes that are there, whatever was announced.
    for _ in 0..announced {
        let mut next = || body.try_get_i16().ok();
        let (key, first, last) = (next()?, next()?, next()?);
        if key < 0 || first < 0 || last < first {
            return None;
        }
        ranges.push((key, first, last));
        if flexible {
            skip_tags(&mut body)?;
        }
    }
    (!ranges.is_empty()).then(|| Versions {
        error,
        ranges: ranges.into_iter().collect(),
    })
}

/// Skips fields that later versions of Kafka may have added.
fn skip_tags(body: &mut Bytes) -> Option<()> {
    for _ in 0..varint(body)? {
        let (_tag, size) = (varint(body)?, varint(body)?);
        let size = usize::try_from(size).ok()?;
        if body.remaining() < size {
            return None;
        }
        body.advance(size);
    }
    Some(())
}

fn varint(body: &mut Bytes) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let byte = body.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
