use std::{sync::Arc, time::Duration};

use harness::{
    Result, eventually,
    ledger::{Ended, Event, Journal, Message},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{Moody, Plan};

/// How many messages may be published and not processed: so the publishers are
/// at work all along, whatever breaks.
const AHEAD: usize = 300;

/// How long one call may take: longer than the component's own time to publish.
const CALL: Duration = Duration::from_secs(30);

/// How long no daprd may be there, or the app not catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daprds that take publishes now.
#[derive(Clone, Debug)]
pub struct Doors {
    urls: watch::Sender<Vec<String>>,
}

impl Doors {
    pub fn new() -> Self {
        Self {
            urls: watch::Sender::new(Vec::new()),
        }
    }

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
    async fn one(&self, turn: usize) -> Result<String> {
        let mut urls = self.urls.subscribe();
        let open = urls.wait_for(|urls| !urls.is_empty());
        let urls = tokio::time::timeout(PATIENCE, open).await??;
        Ok(urls[turn % urls.len()].clone())
    }
}

/// Publishes everything, each batch until it is acknowledged, and writes down how
/// each attempt ended.
pub async fn publish(
    plan: Arc<Plan>,
    doors: Doors,
    app: Moody,
    journal: Arc<Journal>,
    topic: String,
) -> Result<()> {
    let mut producers = JoinSet::new();
    for number in 0..plan.producers.len() {
        let producer = Producer {
            number,
            client: reqwest::Client::new(),
            doors: doors.clone(),
            journal: journal.clone(),
            topic: topic.clone(),
        };
        producers.spawn(producer.run(plan.clone(), app.clone()));
    }
    while let Some(ended) = producers.join_next().await {
        ended??;
    }
    Ok(())
}

struct Producer {
    number: usize,
    client: reqwest::Client,
    doors: Doors,
    journal: Arc<Journal>,
    topic: String,
}

impl Producer {
    async fn run(self, plan: Arc<Plan>, app: Moody) -> Result<()> {
        let all = plan.producers.len();
        let mut published = 0;
        for (turn, batch) in plan.producers[self.number].iter().enumerate() {
            let room = || async { (published * all < app.acked() + AHEAD).then_some(()) };
            eventually("the app catches up with the publishers", PATIENCE, room).await?;
            // Some come one by one, as most apps publish.
            if turn % 10 == 9 {
                for message in batch {
                    let query = message
                        .key
                        .as_ref()
                        .map(|key| format!("?metadata.partitionKey={key}"));
                    let path = format!(
                        "/publish/todo-pubsub/{}{}",
                        self.topic,
                        query.unwrap_or_default()
                    );
                    self.until_acked(
                        turn,
                        &path,
                        &message.to_json(),
                        std::slice::from_ref(message),
                    )
                    .await?;
                }
            } else {
                let path = format!("-alpha1/publish/bulk/todo-pubsub/{}", self.topic);
                let entries: Vec<_> = batch.iter().map(entry).collect();
                self.until_acked(turn, &path, &Value::from(entries), batch)
                    .await?;
            }
            published += batch.len();
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
            let url = self.doors.one(self.number + turn + attempt).await?;
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
                self.journal.record(Event::Published { uuid, ended });
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
