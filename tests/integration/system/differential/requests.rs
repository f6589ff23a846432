//! What is published: all from one seed.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use harness::{Daprd, Result, ledger::Rolls};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use super::Meant;

/// One message, published alone or in a bulk.
#[derive(Clone, Debug)]
pub struct Message {
    pub index: usize,
    pub metadata: Vec<(String, Vec<u8>)>,
    content_type: &'static str,
    body: Vec<u8>,
    pub meant: Option<Meant>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// In a bulk, the request's own metadata.
    metadata: Vec<(String, Vec<u8>)>,
    messages: Vec<Message>,
    is_bulk: bool,
}

/// Keys that are found in the wild.
const KEYS: [&str; 8] = [
    "k1",
    "k2",
    "order-4711",
    "schl\u{fc}ssel",
    "\u{65e5}\u{672c}",
    "",
    "a b",
    "tab\tkey",
];

/// Names of metadata, and so of headers. The settings exclude some.
const NAMES: [&str; 10] = [
    "trace",
    "Trace",
    "color",
    "x-user",
    "excluded-one",
    "is-hidden",
    "content-type",
    "__topic",
    "odd name",
    "gr\u{fc}n",
];

const VALUES: [&str; 6] = [
    "v",
    "",
    "two words",
    "gr\u{fc}n \u{65e5}\u{672c}",
    "100%+1",
    "a=b&c;d\"e'",
];

fn of<T: Copy>(some: &[T], rolls: Rolls, what: &str, index: usize) -> T {
    let chosen = rolls.below(some.len() as u64, (what, index));
    some[usize::try_from(chosen).expect("an index")]
}

/// 300 single publishes, and 40 bulks of 5 messages.
pub fn all(rolls: Rolls) -> Vec<Request> {
    let singles = (0..300).map(|index| {
        let mut message = message(rolls, index);
        special(&mut message);
        Request {
            metadata: Vec::new(),
            messages: vec![message],
            is_bulk: false,
        }
    });
    let bulks = (0..40).map(|bulk| {
        let is_raw = bulk % 2 == 0;
        let mut metadata = vec![("color".to_owned(), b"the-request's".to_vec())];
        if is_raw {
            metadata.push(("rawPayload".to_owned(), b"true".to_vec()));
        }
        let messages = (0..5).map(|n| {
            let mut message = message(rolls, 300 + bulk * 5 + n);
            // Raw or not is for the whole bulk to say.
            message.metadata.retain(|(name, _)| name != "rawPayload");
            message
        });
        Request {
            metadata,
            messages: messages.collect(),
            is_bulk: true,
        }
    });
    singles.chain(bulks).collect()
}

fn message(rolls: Rolls, index: usize) -> Message {
    let mut metadata = vec![("index".to_owned(), index.to_string().into_bytes())];
    let mut add = |name: &str, value: &[u8]| metadata.push((name.to_owned(), value.to_vec()));
    match rolls.below(5, ("keyed", index)) {
        0 => {}
        1 => add("__key", of(&KEYS, rolls, "key", index).as_bytes()),
        _ => add("partitionKey", of(&KEYS, rolls, "key", index).as_bytes()),
    }
    let first = usize::try_from(rolls.below(10, ("first", index))).expect("an index");
    for n in 0..usize::try_from(rolls.below(5, ("pairs", index))).expect("a count") {
        let value = of(&VALUES, rolls, "value", index + 1000 * n);
        add(NAMES[(first + n) % NAMES.len()], value.as_bytes());
    }
    if index.is_multiple_of(11) {
        add("valueSchemaType", b"None");
    }
    if rolls.below(3, ("raw", index)) == 0 {
        add("rawPayload", b"true");
    }
    let (content_type, body): (_, Vec<u8>) = match rolls.below(9, ("body", index)) {
        0 => ("text/plain", "gr\u{fc}n \u{0}\n".into()),
        1 => ("application/octet-stream", (0..=255).collect()),
        2 => ("text/plain", Vec::new()),
        3 => ("application/json", b"null".to_vec()),
        4 => (
            "application/json",
            json!("x".repeat(100_000)).to_string().into(),
        ),
        5 => {
            let id = format!("own-{index}");
            let event =
                json!({ "id": id, "specversion": "1.0", "source": "s", "type": "t", "data": 1.5 });
            ("application/cloudevents+json", event.to_string().into())
        }
        _ => {
            let data =
                json!({ "n": index, "big": 12_345_678_901_234_567_890_u64, "text": "<\u{fc}>&" });
            ("application/json", data.to_string().into())
        }
    };
    Message {
        index,
        metadata,
        content_type,
        body,
        meant: None,
    }
}

/// What the two are to differ in.
fn special(message: &mut Message) {
    let number = u8::try_from(message.index % 6).unwrap_or_default() + b'0';
    let keys = ["partitionKey", "__key"];
    let (meant, pairs): (_, Vec<(&str, Vec<u8>)>) = match message.index {
        10..16 => (
            Meant::TwoKeys,
            vec![("partitionKey", b"a".to_vec()), ("__key", b"b".to_vec())],
        ),
        20..26 => (
            Meant::PartitionNumber,
            vec![
                ("partitionKey", b"k".to_vec()),
                ("partitionNumber", vec![number]),
            ],
        ),
        30..33 => (
            Meant::NotUtf8Published,
            vec![("binary", b"\xff\xfe".to_vec())],
        ),
        _ => return,
    };
    message.meant = Some(meant);
    message
        .metadata
        .retain(|(name, _)| !keys.contains(&name.as_str()));
    message.metadata.extend(
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
}

impl Request {
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Whether one of its messages is meant to differ so.
    pub fn has(&self, meant: Meant) -> bool {
        let mut messages = self.messages.iter();
        messages.any(|message| message.meant == Some(meant))
    }

    /// Publishes it; returns the status and the answer.
    pub async fn publish(&self, daprd: &Daprd, topic: &str) -> Result<(u16, String)> {
        if self.is_bulk {
            let path = format!(
                "-alpha1/publish/bulk/todo-pubsub/{topic}?{}",
                query(&self.metadata)
            );
            let entries = self.messages.iter().map(Message::entry).collect();
            let body = Value::Array(entries).to_string();
            return daprd.post(&path, "application/json", body).await;
        }
        let [message] = &self.messages[..] else {
            return Err("a single publish has one message".into());
        };
        let path = format!("/publish/todo-pubsub/{topic}?{}", query(&message.metadata));
        daprd
            .post(&path, message.content_type, message.body.clone())
            .await
    }
}

impl Message {
    /// As an entry of a bulk.
    fn entry(&self) -> Value {
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        let event = match self.content_type {
            "application/octet-stream" => json!(BASE64_STANDARD.encode(&self.body)),
            "text/plain" => json!(text()),
            _ => serde_json::from_str(&text()).unwrap_or_default(),
        };
        let metadata = self.metadata.iter();
        let metadata =
            metadata.map(|(name, value)| (name.clone(), json!(String::from_utf8_lossy(value))));
        json!({
            "entryId": self.index.to_string(),
            "event": event,
            "contentType": self.content_type,
            "metadata": Value::Object(metadata.collect()),
        })
    }
}

fn query(metadata: &[(String, Vec<u8>)]) -> String {
    let escaped = |bytes: &[u8]| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
    let pairs = metadata
        .iter()
        .map(|(name, value)| format!("metadata.{}={}", escaped(name.as_bytes()), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}
