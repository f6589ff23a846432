use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, DescribeClusterResponse, DescribeQuorumResponse, FindCoordinatorResponse,
        MetadataResponse, ResponseHeader,
    },
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes},
};

use super::{Advertise, Shape};
use crate::Result;

/// An answer, from its correlation id on, with a change.
///
/// # Errors
/// When it is none of this kind and version.
pub fn edit<T: Decodable + Encodable + HeaderVersion>(
    version: i16,
    mut answer: Bytes,
    change: impl FnOnce(&mut T),
) -> Result<Bytes> {
    let header = ResponseHeader::decode(&mut answer, T::header_version(version))?;
    let mut value = T::decode(&mut answer, version)?;
    change(&mut value);
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes, T::header_version(version))?;
    value.encode(&mut bytes, version)?;
    Ok(bytes.freeze())
}

/// An answer as the lab gives it. What need not change stays as it is, byte for byte.
/// Answers to Produce and Fetch that tell of a moved leader (from versions 10 and 16 on)
/// keep its real address.
pub(super) fn answer(shape: &Shape, key: i16, version: i16, bytes: Bytes) -> Result<Bytes> {
    let moves = shape.options.advertise != Advertise::Untouched;
    let bytes = match ApiKey::try_from(key) {
        Ok(ApiKey::Metadata) if moves => edit::<MetadataResponse>(version, bytes, |answer| {
            for broker in &mut answer.brokers {
                shape.advertised(&mut broker.host, &mut broker.port);
            }
        })?,
        Ok(ApiKey::FindCoordinator) if moves => {
            edit::<FindCoordinatorResponse>(version, bytes, |answer| {
                shape.advertised(&mut answer.host, &mut answer.port);
                for one in &mut answer.coordinators {
                    shape.advertised(&mut one.host, &mut one.port);
                }
            })?
        }
        Ok(ApiKey::DescribeCluster) if moves => {
            edit::<DescribeClusterResponse>(version, bytes, |answer| {
                for broker in &mut answer.brokers {
                    shape.advertised(&mut broker.host, &mut broker.port);
                }
            })?
        }
        Ok(ApiKey::DescribeQuorum) if shape.options.clock != 0 && version > 0 => {
            edit::<DescribeQuorumResponse>(version, bytes, |answer| {
                shift(answer, shape.options.clock);
            })?
        }
        _ => bytes,
    };
    let rewrite = shape.options.rewrite.as_ref();
    Ok(match rewrite {
        Some(rewrite) => rewrite(key, version, bytes),
        None => bytes,
    })
}

/// All of its times that are known.
fn shift(answer: &mut DescribeQuorumResponse, by: i64) {
    let partitions = answer.topics.iter_mut();
    for partition in partitions.flat_map(|topic| &mut topic.partitions) {
        let voters = partition.current_voters.iter_mut();
        for replica in voters.chain(&mut partition.observers) {
            for time in [
                &mut replica.last_fetch_timestamp,
                &mut replica.last_caught_up_timestamp,
            ] {
                if *time >= 0 {
                    *time += by;
                }
            }
        }
    }
}

impl Shape {
    /// Puts the address in place under which a broker is advertised here.
    fn advertised(&self, host: &mut StrBytes, port: &mut i32) {
        // Where there is none there is no coordinator.
        if host.is_empty() {
            return;
        }
        let at = match &self.options.advertise {
            Advertise::Untouched => None,
            Advertise::Itself => Some((self.host.clone(), self.port)),
            Advertise::Host(name) => Some((name.clone(), self.port)),
            Advertise::At(name, port) => Some((name.clone(), *port)),
            Advertise::Each(map) => map.get(&format!("{host}:{port}")).and_then(|at| {
                let (host, port) = at.rsplit_once(':')?;
                Some((host.to_owned(), port.parse().ok()?))
            }),
        };
        if let Some((name, number)) = at {
            *host = StrBytes::from_string(name);
            *port = number.into();
        }
    }
}
