//! The same through the real daprd with its built-in `pubsub.kafka`, and with this
//! component in its place: what is published, and what an app receives.

mod records;
mod requests;
mod side;
mod stored;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::{DaprdBuild, Result, ledger::Rolls};
use regex::bytes::Regex;
use serde_json::{Value, json};

use self::{
    records::Written,
    requests::Request,
    side::{Side, Whose},
    stored::Stored,
};
use crate::{
    ensure,
    support::{Fixture, admin, app::Event},
};

const SEED: &str = "DIFFERENTIAL_SEED";

const PARTITIONS: i32 = 6;

/// The header with a record's number.
const NUMBER: &str = "number";

/// Of both: some headers are excluded, some records are large.
const SETTINGS: [(&str, &str); 2] = [
    ("excludeHeaderMetaRegex", "^excluded-|-hidden$"),
    ("maxMessageBytes", "6291456"),
];

/// A difference that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meant {
    TwoKeys,
    PartitionNumber,
    NotUtf8Published,
    NotUtf8Value,
    NotUtf8Key,
}

/// All of them, with their reasons. There are no others, and each occurs exactly
/// where it is predicted.
const MEANT: [(Meant, &str); 5] = [
    (
        Meant::TwoKeys,
        "of partitionKey and __key the built-in takes one by chance; the component takes partitionKey",
    ),
    (
        Meant::PartitionNumber,
        "partitionNumber has an effect from Dapr 1.18 on; Dapr 1.16 makes it a header and nothing else",
    ),
    (
        Meant::NotUtf8Published,
        "daprd can't put metadata that is not UTF-8 into a call to a component: the publish fails, \
         where the built-in writes the bytes",
    ),
    (
        Meant::NotUtf8Value,
        "a header's value that is not UTF-8 can't be put into a message to daprd: it is left out, \
         where the built-in passes the bytes on (escapeHeaders passes them in both)",
    ),
    (
        Meant::NotUtf8Key,
        "a key that is not UTF-8 is given as __key.base64, where the built-in passes the bytes on \
         as __key (escapeHeaders passes them in both)",
    ),
];

/// The difference, if this daprd's built-in has it.
fn meant_on(daprd: DaprdBuild, meant: Meant) -> Option<Meant> {
    let is_gone = meant == Meant::PartitionNumber && daprd != DaprdBuild::V1_16_5;
    (!is_gone).then_some(meant)
}

/// The seed, printed.
fn rolls() -> Result<Rolls> {
    let rolls = Rolls::from_env(SEED)?;
    println!("{SEED}={}", rolls.seed);
    Ok(rolls)
}

/// Names the seed when the test fails.
fn again(result: Result<()>, rolls: Rolls) -> Result<()> {
    result.map_err(|error| format!("{error}\n(again: {SEED}={})", rolls.seed).into())
}

async fn topic(fixture: &Fixture, name: &str) -> Result<String> {
    let topic = fixture.name(name);
    let settings = [("max.message.bytes", "8388608")];
    admin::create_topic(fixture.kafka().await?, &topic, PARTITIONS, &settings).await?;
    Ok(topic)
}

pub async fn the_same_requests_become_the_same_records(fixture: Arc<Fixture>) -> Result<()> {
    let rolls = rolls()?;
    again(compare_publishes(&fixture, rolls).await, rolls)
}

async fn compare_publishes(fixture: &Fixture, rolls: Rolls) -> Result<()> {
    let requests = requests::all(rolls);
    let (built_in, ours) = tokio::try_join!(
        published(fixture, Whose::BuiltIn, &requests),
        published(fixture, Whose::Ours, &requests),
    )?;
    let mut differed = Differed::default();
    let messages: Vec<_> = requests.iter().flat_map(Request::messages).collect();
    ensure!(messages.len() == 500, "{} messages", messages.len());
    for message in messages {
        let (built_in, ours) = (built_in.get(&message.index), ours.get(&message.index));
        let meant = message
            .meant
            .and_then(|meant| meant_on(fixture.daprd, meant));
        ensure!(
            is_explained(meant, built_in, ours),
            "an unexplained difference: {message:?}\nbuilt-in: {built_in:?}\nours: {ours:?}"
        );
        differed.note(meant, built_in != ours);
    }
    // By chance the two may take the same of two keys.
    let meant = [Meant::PartitionNumber, Meant::NotUtf8Published];
    differed.check(&meant.map(|meant| meant_on(fixture.daprd, meant)))
}

/// How often records differed as they were meant to.
#[derive(Debug, Default)]
struct Differed(BTreeMap<Meant, usize>);

impl Differed {
    fn note(&mut self, meant: Option<Meant>, differs: bool) {
        if let (Some(meant), true) = (meant, differs) {
            *self.0.entry(meant).or_default() += 1;
        }
    }

    fn check(&self, meant: &[Option<Meant>]) -> Result<()> {
        for (meant, why) in MEANT
            .iter()
            .filter(|(known, _)| meant.contains(&Some(*known)))
        {
            ensure!(
                self.0.contains_key(meant),
                "no difference, though {why}: {self:?}"
            );
        }
        Ok(())
    }
}

/// Publishes everything, and returns what stands on the broker by the message's index;
/// what may differ is taken out.
async fn published(
    fixture: &Fixture,
    whose: Whose,
    requests: &[Request],
) -> Result<BTreeMap<usize, Stored>> {
    let topic = topic(fixture, "differential").await?;
    let side = Side::start(fixture, whose, &SETTINGS, None).await?;
    let sent = requests.iter();
    let sent: Vec<_> = sent
        .map(|request| publish(&side, whose, &topic, request))
        .collect();
    stream::iter(sent)
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;
    let mut records = BTreeMap::new();
    for mut stored in stored::read(fixture.kafka().await?, &topic).await? {
        let index = stored.header("index").map(String::from_utf8_lossy);
        let index = index.ok_or("a record without index")?.parse()?;
        if stored.key.is_none() {
            stored.partition = -1;
        }
        stored.value = stored.value.map(|value| masked(&value, &topic));
        stored.headers.sort_unstable();
        let twice = records.insert(index, stored);
        ensure!(twice.is_none(), "{whose:?} wrote {index} twice");
    }
    Ok(records)
}

async fn publish(side: &Side, whose: Whose, topic: &str, request: &Request) -> Result<()> {
    let (status, answer) = request.publish(&side.daprd, topic).await?;
    let is_refused = whose == Whose::Ours && request.has(Meant::NotUtf8Published);
    let is_right = if is_refused {
        status >= 400
    } else {
        status == 204
    };
    ensure!(is_right, "{whose:?}: {status} {answer} for {request:?}");
    Ok(())
}

/// A value without what differs from event to event.
fn masked(value: &[u8], topic: &str) -> Vec<u8> {
    static DIFFERS: LazyLock<Regex> = LazyLock::new(|| {
        let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        let trace = "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}";
        let differs = format!(
            r#""(?P<name>id|time|traceid|traceparent)":"(?:{uuid}|{trace}|\d{{4}}-[0-9T:.+Z-]+)""#
        );
        Regex::new(&differs).expect("a regular expression")
    });
    let value = DIFFERS.replace_all(value, &br#""$name":"*""#[..]);
    let own = format!(r#""topic":"{topic}""#);
    let own = Regex::new(&regex::escape(&own)).expect("a regular expression");
    own.replace_all(&value, &br#""topic":"*""#[..]).into_owned()
}

/// Whether a difference is there exactly if it is meant.
fn is_explained(meant: Option<Meant>, built_in: Option<&Stored>, ours: Option<&Stored>) -> bool {
    let Some(built_in) = built_in else {
        return false;
    };
    let Some(ours) = ours else {
        return meant == Some(Meant::NotUtf8Published);
    };
    match meant {
        None => built_in == ours,
        Some(Meant::TwoKeys) => {
            let expected = Stored {
                key: ours.key.clone(),
                partition: ours.partition,
                ..built_in.clone()
            };
            let keys = [Some(b"a".to_vec()), Some(b"b".to_vec())];
            ours.key == keys[0] && keys.contains(&built_in.key) && *ours == expected
        }
        Some(Meant::PartitionNumber) => {
            let expected = Stored {
                partition: ours.partition,
                ..built_in.clone()
            };
            let named = ours.header("partitionNumber");
            named == Some(ours.partition.to_string().as_bytes()) && *ours == expected
        }
        Some(_) => false,
    }
}

/// A record's topic and number.
type Number = (String, usize);

pub async fn an_app_gets_the_same_from_the_same_records(fixture: Arc<Fixture>) -> Result<()> {
    let rolls = rolls()?;
    again(compare_deliveries(&fixture, rolls).await, rolls)
}

async fn compare_deliveries(fixture: &Fixture, rolls: Rolls) -> Result<()> {
    let raw = topic(fixture, "raw").await?;
    let events = topic(fixture, "events").await?;
    let odd = topic(fixture, "odd").await?;
    let mut written = HashMap::new();
    for (topic, records) in [
        (&raw, records::raw(rolls)),
        (&events, records::events(fixture.daprd)),
        (&odd, records::odd()),
    ] {
        let mut stored = Vec::new();
        for (n, mut record) in records.into_iter().enumerate() {
            let number = Some(n.to_string().into_bytes());
            record.stored.headers.push((NUMBER.to_owned(), number));
            stored.push(record.stored.clone());
            written.insert((topic.clone(), n), record);
        }
        stored::write(fixture.kafka().await?, topic, &stored).await?;
    }
    let both = [
        subscription("todo-pubsub", &raw, true),
        subscription("escaped", &raw, true),
        subscription("todo-pubsub", &events, false),
    ];
    let alone = subscription("todo-pubsub", &odd, false);
    let more = [&both[..], &[alone]].concat();
    let of = |topic: &str| written.keys().filter(|(of, _)| of == topic).count();
    let count = 2 * of(&raw) + of(&events);
    let (built_in, ours) = tokio::try_join!(
        received(fixture, Whose::BuiltIn, json!(both), count),
        received(fixture, Whose::Ours, json!(more), count + of(&odd)),
    )?;
    compare_events(&written, &odd, &built_in, &ours)
}

fn subscription(component: &str, topic: &str, is_raw: bool) -> Value {
    json!({
        "pubsubname": component,
        "topic": topic,
        "route": format!("/events/{component}--{topic}"),
        "metadata": if is_raw { json!({ "rawPayload": "true" }) } else { json!({}) },
    })
}

/// What the app got, by the Component and the record.
type Received = HashMap<(String, Number), Seen>;

async fn received(
    fixture: &Fixture,
    whose: Whose,
    subscriptions: Value,
    count: usize,
) -> Result<Received> {
    let side = Side::start(fixture, whose, &SETTINGS, Some(subscriptions)).await?;
    let mut all = HashMap::new();
    let events = side.events(count).await;
    for event in events.map_err(|error| format!("{whose:?}: {error}"))? {
        let (component, topic) = event.topic.split_once("--").ok_or("an odd route")?;
        let number = event
            .headers
            .get(NUMBER)
            .ok_or("a record without its number")?;
        let number = (topic.to_owned(), number.to_str()?.parse()?);
        let twice = all.insert((component.to_owned(), number), Seen::of(&event));
        ensure!(twice.is_none(), "{whose:?}: it came twice: {event:?}");
    }
    Ok(all)
}

/// What an app can see of an event, without what differs from request to request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    headers: BTreeMap<String, Vec<Vec<u8>>>,
    body: Vec<u8>,
}

impl Seen {
    fn of(event: &Event) -> Self {
        let mut headers: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (name, value) in &event.headers {
            // The app's port, and daprd's own span.
            if !["host", "traceparent"].contains(&name.as_str()) {
                let values = headers.entry(name.to_string()).or_default();
                values.push(value.as_bytes().to_vec());
            }
        }
        for values in headers.values_mut() {
            values.sort_unstable();
        }
        let body = masked(&event.bytes, "");
        Self { headers, body }
    }
}

fn compare_events(
    written: &HashMap<Number, Written>,
    odd: &str,
    built_in: &Received,
    ours: &Received,
) -> Result<()> {
    let mut differed = Differed::default();
    for (place, ours) in ours {
        let (component, number) = place;
        let record = written.get(number);
        let record = record.ok_or(format!("nobody wrote {place:?}: {ours:?}"))?;
        if number.0 == odd {
            for (name, value) in &record.expected {
                let values = value.map(|value| vec![value.as_bytes().to_vec()]);
                ensure!(
                    ours.headers.get(*name) == values.as_ref(),
                    "{name} is not {value:?} for {:?}: {ours:?}",
                    record.stored
                );
            }
            continue;
        }
        let built_in = built_in
            .get(place)
            .ok_or(format!("only ours has {place:?}"))?;
        let meant = record.meant.filter(|_| component == "todo-pubsub");
        ensure!(
            *ours == expected(meant, built_in) && meant.is_some() == (ours != built_in),
            "an unexplained difference at {place:?}: {:?}\nbuilt-in: {built_in:?}\nours: {ours:?}",
            record.stored.headers
        );
        differed.note(meant, ours != built_in);
    }
    differed.check(&[Some(Meant::NotUtf8Value), Some(Meant::NotUtf8Key)])
}

/// What we give where the built-in gives this.
fn expected(meant: Option<Meant>, built_in: &Seen) -> Seen {
    let mut expected = built_in.clone();
    match meant {
        Some(Meant::NotUtf8Value) => {
            expected.headers.remove("bytes");
        }
        Some(Meant::NotUtf8Key) => {
            expected.headers.remove("__key");
            let encoded = vec![b"//4=".to_vec()];
            expected.headers.insert("__key.base64".to_owned(), encoded);
        }
        _ => {}
    }
    expected
}
