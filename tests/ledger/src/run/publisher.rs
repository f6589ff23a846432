use std::{sync::Arc, time::Duration};

use harness::{
    Result, eventually,
    ledger::{Ended, Event, Journal, Message},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{Moody, Plan};

/// How long one call may take: longer than the component's own time to publish.
const CALL: Duration = Duration::from_secs(30);

/// How long no daprd may be there, or the app not catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daprds that take publishes now.
#[derive(Clone, Debug)]
pub struct Doors {
    urls: watch::Sender<Vec<String>>,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            urls: watch::Sender::new(Vec::new()),
        }
    }
}

impl Doors {
    /// Opens one; `url` is its API's root.
    pub fn open(&self, url: &str) {
        self.urls.send_modify(|urls| urls.push(url.to_owned()));
    }

    /// Closes it for calls to come; those under way go on.
    pub fn close(&self, url: &str) {
        self.urls
            .send_modify(|urls| urls.retain(|open| open != url));
    }

    /// One that is open: another for each `turn`, if there are several.
    pub(crate) async fn one(&self, turn: usize) -> Result<String> {
        let mut urls = self.urls.subscribe();
        let open = urls.wait_for(|urls| !urls.is_empty());
        let urls = tokio::time::timeout(PATIENCE, open).await??;
        Ok(urls[turn % urls.len()].clone())
    }
}

/// How fast publishers go, and when they end.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Batches of each producer in a second; `None` is as fast as it goes.
    pub batches: Option<f64>,
    /// Messages that may be published and not processed: with a bound the publishers are
    /// at work all along, whatever breaks.
    pub ahead: Option<usize>,
    /// True: no further batch is begun.
    pub stop: watch::Receiver<bool>,
}

/// Publishers that work off a plan.
#[derive(Clone)]
pub struct Publishers {
    pub plan: Arc<Plan>,
    pub doors: Doors,
    pub app: Moody,
    pub journal: Arc<Journal>,
    pub topic: String,
    pub pace: Pace,
}

impl Publishers {
    /// Publishes everything, each batch until it is acknowledged, and writes down how
    /// each attempt ended.
    pub async fn publish(self) -> Result<()> {
        let mut producers = JoinSet::new();
        for number in 0..self.plan.producers.len() {
            let producer = Producer {
                number,
                client: reqwest::Client::new(),
                of: self.clone(),
            };
            producers.spawn(producer.run());
        }
        while let Some(ended) = producers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

struct Producer {
    number: usize,
    client: reqwest::Client,
    of: Publishers,
}

impl Producer {
    async fn run(self) -> Result<()> {
        let of = &self.of;
        let all = of.plan.producers.len();
        let mut published = 0;
        let pause = of
            .pace
            .batches
            .map(|batches| Duration::from_secs_f64(1.0 / batches));
        for (turn, batch) in of.plan.producers[self.number].iter().enumerate() {
            let began = Instant::now();
            if *of.pace.stop.borrow() {
                break;
            }
            if let Some(ahead) = of.pace.ahead {
                let room = || async { (published * all < of.app.acked() + ahead).then_some(()) };
                eventually("the app catches up with the publishers", PATIENCE, room).await?;
            }
            // Some come one by one, as most apps publish.
            if turn % 10 == 9 {
                for message in batch {
                    let path = path(&of.topic, message);
                    let messages = std::slice::from_ref(message);
                    self.until_acked(turn, &path, &message.to_json(), messages)
                        .await?;
                }
            } else {
                let path = format!("-alpha1/publish/bulk/todo-pubsub/{}", of.topic);
                let entries: Vec<_> = batch.iter().map(entry).collect();
                self.until_acked(turn, &path, &Value::from(entries), batch)
                    .await?;
            }
            published += batch.len();
            if let Some(pause) = pause {
                tokio::time::sleep_until(began + pause).await;
            }
        }
        Ok(())
    }

    async fn until_acked(
        &self,
        turn: usize,
        path: &str,
        body: &Value,
        messages: &[Message],
    ) -> Result<()> {
        // Another door each time, so that a closing one is soon left.
        for attempt in 0.. {
            let url = self.of.doors.one(self.number + turn + attempt).await?;
            let call = self
                .client
                .post(format!("{url}{path}"))
                .json(body)
                .timeout(CALL);
            let ended = match call.send().await {
                Ok(answer) if answer.status() == reqwest::StatusCode::NO_CONTENT => Ended::Acked,
                Ok(_) => Ended::Failed,
                Err(_) => Ended::Unknown,
            };
            for message in messages {
                let uuid = message.uuid.clone();
                self.of.journal.record(Event::Published { uuid, ended });
            }
            if ended == Ended::Acked {
                break;
            }
            // A pace, for a door that fails at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Publishes one message once, with so many bytes more, writes down how that ended, and
/// says so.
pub async fn publish_once(
    client: &reqwest::Client,
    url: &str,
    topic: &str,
    (message, padding): (&Message, usize),
    journal: &Journal,
) -> Ended {
    let mut body = message.to_json();
    if padding > 0 {
        body["padding"] = "x".repeat(padding).into();
    }
    let call = client
        .post(format!("{url}{}", path(topic, message)))
        .json(&body)
        .timeout(CALL);
    let ended = match call.send().await {
        Ok(answer) if answer.status() == reqwest::StatusCode::NO_CONTENT => Ended::Acked,
        Ok(_) => Ended::Failed,
        Err(_) => Ended::Unknown,
    };
    let uuid = message.uuid.clone();
    journal.record(Event::Published { uuid, ended });
    ended
}

fn path(topic: &str, message: &Message) -> String {
    let key = message.key.as_ref();
    let query = key.map(|key| format!("?metadata.partitionKey={key}"));
    format!("/publish/todo-pubsub/{topic}{}", query.unwrap_or_default())
}

fn entry(message: &Message) -> Value {
    let mut entry = json!({
        "entryId": message.uuid,
        "event": message.to_json(),
        "contentType": "application/json",
    });
    if let Some(key) = &message.key {
        entry["metadata"] = json!({ "partitionKey": key });
    }
    entry
}
