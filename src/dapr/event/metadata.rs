//! The built-in component's metadata of a record: where it stands, its key, and its
//! headers, which win when names clash.

use std::collections::{HashMap, hash_map::Entry};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;

use crate::{
    dapr::escape::escape,
    metadata::Headers,
    model::{Header, Record},
};

/// The most headers of a record that are passed on. daprd hands each on as an HTTP
/// header, and most servers take between 100 (Kestrel, hyper) and a few thousand.
pub(super) const MOST: usize = 1000;

/// The most bytes of their names and values: servers take between 8 KiB (Tomcat)
/// and 1 MiB (Go).
pub(super) const MOST_BYTES: usize = 256 * 1024;

/// What daprd copies from the metadata into the `CloudEvent`, where it has none. If
/// the event is the JSON `null`, that ends daprd 1.16.5 (assignment to entry in nil
/// map; `pkg/runtime/subscription/subscription.go`).
const TRACE: [&str; 3] = ["traceid", "traceparent", "tracestate"];

/// Headers that the app does not get.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dapr) struct LeftOut {
    /// How many.
    pub(in crate::dapr) count: usize,
    /// The name of the first, and why.
    pub(in crate::dapr) first: Option<(String, &'static str)>,
}

impl LeftOut {
    fn add(&mut self, name: &str, why: &'static str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (name.to_owned(), why));
    }
}

/// The metadata; `is_null` says that daprd will read the data as the JSON `null`.
pub(super) fn of(
    record: &Record,
    rules: &Headers,
    is_null: bool,
) -> (HashMap<String, String>, LeftOut) {
    let mut metadata = HashMap::from([
        ("__topic".to_owned(), record.at.topic.to_string()),
        ("__partition".to_owned(), record.at.partition.to_string()),
        ("__offset".to_owned(), record.offset.to_string()),
    ]);
    if let Some(timestamp) = record.timestamp {
        metadata.insert("__timestamp".to_owned(), timestamp.to_string());
    }
    if let Some(key) = &record.key {
        match text(key, rules) {
            Some(text) => metadata.insert("__key".to_owned(), text),
            None => metadata.insert("__key.base64".to_owned(), BASE64_STANDARD.encode(key)),
        };
    }
    let mut left_out = LeftOut::default();
    let (mut count, mut bytes) = (0, 0);
    for Header { name, value } in last_of_each_name(&record.headers) {
        if rules.excludes(name) {
            continue;
        }
        if !is_token(name) {
            left_out.add(name, "its name can't be an HTTP header's");
            continue;
        }
        if is_null && TRACE.contains(&name.as_str()) {
            left_out.add(name, "the value is null, and daprd would crash");
            continue;
        }
        let value = match value {
            Some(value) => text(value, rules),
            None => Some(String::new()),
        };
        let Some(value) = value else {
            left_out.add(
                name,
                "its value can't be an HTTP header's; escapeHeaders passes it on",
            );
            continue;
        };
        let size = name.len() + value.len();
        if count == MOST || bytes + size > MOST_BYTES {
            left_out.add(name, "the record has too many headers, or too large ones");
            continue;
        }
        count += 1;
        bytes += size;
        metadata.insert(name.clone(), value);
    }
    (metadata, left_out)
}

/// Of several headers of one name the last counts, as with the built-in; they stand
/// where the first of their name does.
fn last_of_each_name(headers: &[Header]) -> Vec<&Header> {
    let mut places = HashMap::new();
    let mut last: Vec<&Header> = Vec::with_capacity(headers.len());
    for header in headers {
        match places.entry(header.name.as_str()) {
            Entry::Occupied(place) => last[*place.get()] = header,
            Entry::Vacant(place) => {
                place.insert(last.len());
                last.push(header);
            }
        }
    }
    last
}

/// A key's or value's text. daprd hands it on as an HTTP header, and Go refuses
/// control characters there: the message would be refused for ever.
fn text(bytes: &Bytes, rules: &Headers) -> Option<String> {
    if rules.escape {
        return Some(escape(bytes));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = |byte: u8| byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
    text.bytes().all(fits).then(|| text.to_owned())
}

/// Whether a name is a token of RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}
