//! Whether an answer holds as much as it announces.
//!
//! kafka-protocol reserves room for as many entries as an answer says it has, and a process
//! that gets no memory is ended. So the answers that are read while a component runs are
//! walked through before: what is left out here is only asked by the command.
//! The layouts are those of Kafka's message definitions
//! (apache/kafka 4.1, `clients/src/main/resources/common/message`).

use bytes::{Buf as _, Bytes};
use kafka_protocol::messages::ApiKey;

/// A part of an answer.
enum Part {
    /// So many bytes.
    Fixed(usize),
    /// A text, or bytes, with a length of two bytes before it; it may be null.
    Text,
    /// Entries of these parts.
    Many(Vec<Part>),
}

use Part::{Fixed, Many, Text};

/// Where an answer's strings and arrays have short lengths, and its structures tags.
struct Layout {
    parts: Vec<Part>,
    flexible: bool,
}

/// What an answer looks like; `None` if that is not known here.
fn layout(key: ApiKey, version: i16) -> Option<Layout> {
    let (parts, flexible_from) = match key {
        ApiKey::SaslHandshake => (vec![Fixed(2), Many(vec![Text])], i16::MAX),
        ApiKey::Metadata => (metadata(version), 9),
        ApiKey::DescribeConfigs => (configs(version), 4),
        _ => return None,
    };
    Some(Layout {
        parts,
        flexible: version >= flexible_from,
    })
}

/// The parts that this version has, of parts and the versions that have them.
fn of<const N: usize>(version: i16, parts: [(i16, i16, Part); N]) -> Vec<Part> {
    let there = parts.into_iter();
    there
        .filter(|(first, last, _)| (*first..=*last).contains(&version))
        .map(|(.., part)| part)
        .collect()
}

const ON: i16 = i16::MAX;

fn metadata(version: i16) -> Vec<Part> {
    let broker = of(
        version,
        [
            (0, ON, Fixed(4)),
            (0, ON, Text),
            (0, ON, Fixed(4)),
            (1, ON, Text),
        ],
    );
    let nodes = || Many(vec![Fixed(4)]);
    let partition = of(
        version,
        [
            (0, ON, Fixed(2 + 4 + 4)),
            (7, ON, Fixed(4)),
            (0, ON, nodes()),
            (0, ON, nodes()),
            (5, ON, nodes()),
        ],
    );
    let topic = of(
        version,
        [
            (0, ON, Fixed(2)),
            (0, ON, Text),
            (10, ON, Fixed(16)),
            (1, ON, Fixed(1)),
            (0, ON, Many(partition)),
            (8, ON, Fixed(4)),
        ],
    );
    of(
        version,
        [
            (3, ON, Fixed(4)),
            (0, ON, Many(broker)),
            (2, ON, Text),
            (1, ON, Fixed(4)),
            (0, ON, Many(topic)),
            (8, 10, Fixed(4)),
            (13, ON, Fixed(2)),
        ],
    )
}

fn configs(version: i16) -> Vec<Part> {
    let setting = of(
        version,
        [
            (0, ON, Text),
            (0, ON, Text),
            (0, ON, Fixed(1 + 1 + 1)),
            (1, ON, Many(vec![Text, Text, Fixed(1)])),
            (3, ON, Fixed(1)),
            (3, ON, Text),
        ],
    );
    let result = vec![Fixed(2), Text, Fixed(1), Text, Many(setting)];
    vec![Fixed(4), Many(result)]
}

/// Whether the body of an answer, which follows its header, has all that it announces; true
/// for answers that are not known here.
pub(super) fn is_whole(key: i16, version: i16, mut body: Bytes) -> bool {
    let key = ApiKey::try_from(key).ok();
    let Some(layout) = key.and_then(|key| layout(key, version)) else {
        return true;
    };
    walk(&layout.parts, layout.flexible, &mut body).is_some()
}

/// Goes past these parts; `None` if they are not all there.
fn walk(parts: &[Part], flexible: bool, body: &mut Bytes) -> Option<()> {
    for part in parts {
        match part {
            Fixed(bytes) => skip(body, *bytes)?,
            Text => {
                let length = if flexible {
                    varint(body)?.checked_sub(1)
                } else {
                    usize::try_from(body.try_get_i16().ok()?).ok()
                };
                skip(body, length.unwrap_or(0))?;
            }
            Many(parts) => {
                let count = if flexible {
                    varint(body)?.checked_sub(1)
                } else {
                    usize::try_from(body.try_get_i32().ok()?).ok()
                };
                for _ in 0..count.unwrap_or(0) {
                    walk_entry(parts, flexible, body)?;
                }
            }
        }
    }
    if flexible { tags(body) } else { Some(()) }
}

/// The same of an entry of an array: a plain value there has no tags.
fn walk_entry(parts: &[Part], flexible: bool, body: &mut Bytes) -> Option<()> {
    match parts {
        [Fixed(bytes)] => skip(body, *bytes),
        parts => walk(parts, flexible, body),
    }
}

fn tags(body: &mut Bytes) -> Option<()> {
    for _ in 0..varint(body)? {
        varint(body)?;
        let length = varint(body)?;
        skip(body, length)?;
    }
    Some(())
}

fn skip(body: &mut Bytes, bytes: usize) -> Option<()> {
    (bytes <= body.len()).then(|| body.advance(bytes))
}

fn varint(body: &mut Bytes) -> Option<usize> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = usize::from(body.try_get_u8().ok()?);
        value |= (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
