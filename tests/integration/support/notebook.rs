//! What several apps were given, in one order, and whether that is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, StatusCode};
use harness::{Result, eventually};
use serde_json::{Value, json};

use super::{
    app::{App, Event, subscription},
    records::{self, Plain},
};
use crate::ensure;

/// Keys of what is written: more than partitions, and few enough that each comes
/// often.
const KEYS: usize = 20;

/// How long the apps may take for what they were promised.
const PROGRESS: Duration = Duration::from_secs(120);

/// One delivery.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose app it was.
    pub member: &'static str,
    /// The Kafka topic.
    pub topic: String,
    /// Its partition and offset.
    pub place: (i32, i64),
    key: String,
    number: usize,
}

/// What apps were given. Cheap to clone.
#[derive(Clone)]
pub struct Notebook {
    entries: Arc<Mutex<Vec<Entry>>>,
    work: Duration,
}

impl Notebook {
    /// Empty; each app works so long on each event, one at a time.
    pub fn new(work: Duration) -> Self {
        Self {
            entries: Arc::default(),
            work,
        }
    }

    /// An app that subscribes to these names, and takes whatever comes.
    pub async fn app(&self, member: &'static str, names: &[&str]) -> Result<App> {
        let subscriptions: Vec<Value> = names
            .iter()
            .map(|name| subscription(name, &json!({})))
            .collect();
        let notebook = self.clone();
        App::with(subscriptions.into(), move |event| {
            match entry(member, event) {
                Ok(entry) => notebook.lock().push(entry),
                // It will be missing.
                Err(problem) => eprintln!("{member} was given {event:?}: {problem}"),
            }
            // The app's own thread, and its only one.
            std::thread::sleep(notebook.work);
            StatusCode::OK
        })
        .await
    }

    /// All so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// How many came so far, repeats included.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits until so many came.
    pub async fn until(&self, count: usize) -> Result<()> {
        let what = format!("{count} came");
        let came = eventually(&what, PROGRESS, || async {
            (self.len() >= count).then_some(())
        });
        came.await
            .map_err(|error| format!("{error}, but {}", self.len()).into())
    }

    /// Waits until all these numbers of a topic came.
    pub async fn until_all(&self, topic: &str, numbers: Range<usize>) -> Result<()> {
        let what = format!("all of {topic} came");
        let came = eventually(&what, PROGRESS, || async {
            self.missing(topic, numbers.clone())
                .is_empty()
                .then_some(())
        });
        came.await
            .map_err(|error| format!("{error}; missing: {:?}", self.missing(topic, numbers)).into())
    }

    /// Nothing is missing, and per key what came first came in order. Returns how
    /// many came again.
    pub fn judge(&self, topic: &str, numbers: Range<usize>) -> Result<usize> {
        let missing = self.missing(topic, numbers);
        ensure!(missing.is_empty(), "of {topic} {missing:?} never came");
        let entries = self.entries();
        let entries = entries.iter().filter(|entry| entry.topic == topic);
        let mut known = BTreeSet::new();
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        let mut repeats = 0;
        for entry in entries {
            if !known.insert(entry.place) {
                repeats += 1;
                continue;
            }
            // Whoever publishes again after an error writes a number twice.
            if let Some(before) = last.insert(&entry.key, entry.number) {
                ensure!(
                    before <= entry.number,
                    "{} came after {before}: {entry:?}",
                    entry.number
                );
            }
        }
        Ok(repeats)
    }

    fn missing(&self, topic: &str, numbers: Range<usize>) -> Vec<usize> {
        let entries = self.lock();
        let of_topic = entries.iter().filter(|entry| entry.topic == topic);
        let came: BTreeSet<usize> = of_topic.map(|entry| entry.number).collect();
        numbers.filter(|number| !came.contains(number)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a number.
pub fn key(number: usize) -> String {
    format!("k{}", number % KEYS)
}

/// What an event tells, as its data.
pub fn data(number: usize) -> Value {
    json!({ "key": key(number), "number": number })
}

/// Writes these numbers past daprd and the component.
pub async fn write(brokers: &str, topic: &str, numbers: Range<usize>) -> Result<()> {
    let records = numbers.map(|number| {
        let event = json!({
            "specversion": "1.0",
            "id": number.to_string(),
            "source": "the test",
            "type": "number",
            "datacontenttype": "application/json",
            "data": data(number),
        });
        Plain::new(key(number), event.to_string())
    });
    records::write(brokers, topic, &records.collect::<Vec<_>>()).await
}

fn entry(member: &'static str, event: &Event) -> Result<Entry> {
    let data = &event.body["data"];
    Ok(Entry {
        member,
        topic: metadata(&event.headers, "__topic")?.to_owned(),
        place: (
            metadata(&event.headers, "__partition")?.parse()?,
            metadata(&event.headers, "__offset")?.parse()?,
        ),
        key: data["key"].as_str().ok_or("no key")?.to_owned(),
        number: usize::try_from(data["number"].as_u64().ok_or("no number")?)?,
    })
}

/// Metadata as daprd passes it on.
fn metadata<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str> {
    let header = headers
        .get(format!("metadata.{name}"))
        .or_else(|| headers.get(name));
    Ok(header.ok_or_else(|| format!("no {name}"))?.to_str()?)
}
