//! A client that plays a daprd that dispatches concurrently, as before 1.16 and after
//! dapr/dapr#10472: each message is answered when its own work is done.

use std::{collections::HashMap, path::Path, time::Duration};

use dapr_rdkafka::dapr::proto::{
    BulkMessageEntry, BulkPublishRequest, MetadataRequest, PubSubInitRequest, PublishRequest,
    PullMessagesRequest, Topic, pub_sub_client::PubSubClient,
};
use harness::Result;
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

/// Answers that may wait to be sent.
const ANSWERS: usize = 1024;

/// One connection, as daprd makes one per component instance.
#[derive(Clone)]
pub struct Player {
    client: PubSubClient<Channel>,
    instance: String,
}

impl Player {
    /// Connects to a socket, and initialises an instance of this name.
    pub async fn start(
        socket: &Path,
        instance: &str,
        properties: HashMap<String, String>,
    ) -> Result<Self> {
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://component.invalid");
        let mut player = Self {
            client: PubSubClient::new(endpoint.connect_with_connector(connector).await?),
            instance: instance.to_owned(),
        };
        let metadata = Some(MetadataRequest { properties });
        let request = player.request(PubSubInitRequest { metadata })?;
        player.client.init(request).await?;
        Ok(player)
    }

    fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        let instance = MetadataValue::try_from(&self.instance)?;
        request
            .metadata_mut()
            .insert("x-component-instance", instance);
        Ok(request)
    }

    /// Publishes under a key.
    pub async fn publish(&mut self, topic: &str, key: &str, data: Vec<u8>) -> Result<()> {
        let request = self.request(PublishRequest {
            topic: topic.to_owned(),
            data: data.into(),
            metadata: HashMap::from([("partitionKey".to_owned(), key.to_owned())]),
            ..Default::default()
        })?;
        self.client.publish(request).await?;
        Ok(())
    }

    /// Publishes in one call; each entry is a key and its data.
    pub async fn bulk(&mut self, topic: &str, entries: Vec<(String, Vec<u8>)>) -> Result<()> {
        let entry = |(n, (key, data)): (usize, (String, Vec<u8>))| BulkMessageEntry {
            entry_id: n.to_string(),
            event: data.into(),
            metadata: HashMap::from([("partitionKey".to_owned(), key)]),
            ..Default::default()
        };
        let request = self.request(BulkPublishRequest {
            entries: entries.into_iter().enumerate().map(entry).collect(),
            topic: topic.to_owned(),
            ..Default::default()
        })?;
        let answer = self.client.bulk_publish(request).await?.into_inner();
        match answer.failed_entries.first() {
            None => Ok(()),
            Some(failed) => Err(format!("{}: {}", failed.entry_id, failed.error).into()),
        }
    }

    /// Consumes a topic for ever: works so long on each message, on all at once, and
    /// counts what is done.
    pub async fn consume(
        mut self,
        topic: String,
        work: Duration,
        done: watch::Sender<usize>,
    ) -> Result<()> {
        let (answers, requests) = mpsc::channel(ANSWERS);
        let metadata = HashMap::new();
        let name = topic;
        answers
            .send(PullMessagesRequest {
                topic: Some(Topic { name, metadata }),
                ..Default::default()
            })
            .await?;
        let request = self.request(ReceiverStream::new(requests))?;
        let mut messages = self.client.pull_messages(request).await?.into_inner();
        while let Some(message) = messages.message().await? {
            let answer = PullMessagesRequest {
                ack_message_id: message.id,
                ..Default::default()
            };
            if work.is_zero() {
                answers.send(answer).await?;
                done.send_modify(|done| *done += 1);
                continue;
            }
            let (answers, done) = (answers.clone(), done.clone());
            tokio::spawn(async move {
                tokio::time::sleep(work).await;
                if answers.send(answer).await.is_ok() {
                    done.send_modify(|done| *done += 1);
                }
            });
        }
        Err("the stream ended".into())
    }
}

/// Metadata for a broker's address and a group.
pub fn properties(brokers: &str, group: &str) -> HashMap<String, String> {
    let given = [
        ("brokers", brokers),
        ("authType", "none"),
        ("consumerID", group),
        ("initialOffset", "oldest"),
    ];
    let pairs = given.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}
