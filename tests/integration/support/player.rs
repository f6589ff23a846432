//! A client that plays daprd: what the real one can't be made to do on demand.

use std::{collections::HashMap, path::Path, time::Duration};

use dapr_rdkafka::dapr::proto::{
    AckMessageError, BulkMessageEntry, BulkPublishRequest, MetadataRequest, PauseRequest,
    PubSubInitRequest, PublishRequest, PullMessagesRequest, PullMessagesResponse, ResumeRequest,
    Topic, pub_sub_client::PubSubClient,
};
use harness::{Result, eventually};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use super::SOON;

/// One connection, as daprd makes one per component instance.
#[derive(Clone)]
pub struct Player {
    client: PubSubClient<Channel>,
    instance: &'static str,
}

/// A connection to a socket.
pub async fn dial(socket: &Path) -> Result<Channel> {
    let socket = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://component.invalid");
    Ok(endpoint.connect_with_connector(connector).await?)
}

/// Metadata for a broker's address and a group, with what the test adds.
pub fn properties(brokers: &str, group: &str, more: &[(&str, &str)]) -> HashMap<String, String> {
    let given = [
        ("brokers", brokers),
        ("authType", "none"),
        ("consumerID", group),
        ("initialOffset", "oldest"),
    ];
    let pairs = given.iter().chain(more);
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

impl Player {
    pub async fn connect(socket: &Path, instance: &'static str) -> Result<Self> {
        let client = PubSubClient::new(dial(socket).await?);
        Ok(Self { client, instance })
    }

    /// Connects and initialises.
    pub async fn start(socket: &Path, properties: HashMap<String, String>) -> Result<Self> {
        let mut player = Self::connect(socket, "todo-pubsub").await?;
        player.init(properties).await?;
        Ok(player)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let instance = MetadataValue::from_static(self.instance);
        request
            .metadata_mut()
            .insert("x-component-instance", instance);
        request
    }

    pub async fn init(&mut self, properties: HashMap<String, String>) -> Result<(), Status> {
        let metadata = Some(MetadataRequest { properties });
        let request = self.request(PubSubInitRequest { metadata });
        self.client.init(request).await.map(drop)
    }

    /// Publishes a text under a key.
    pub async fn publish(&mut self, topic: &str, key: &str, data: &str) -> Result<(), Status> {
        let metadata = HashMap::from([("partitionKey".to_owned(), key.to_owned())]);
        self.publish_bytes(topic, data.as_bytes().to_vec(), metadata)
            .await
    }

    /// Publishes a text until that succeeds: where `publishTimeout` is short, a busy machine may
    /// take longer for a publish. The record may then be there more than once.
    pub async fn publish_at_last(&self, topic: &str, key: &str, data: &str) -> Result<()> {
        eventually("a publish succeeds", SOON, || async {
            self.clone().publish(topic, key, data).await.ok()
        })
        .await
    }

    pub async fn publish_bytes(
        &mut self,
        topic: &str,
        data: Vec<u8>,
        metadata: HashMap<String, String>,
    ) -> Result<(), Status> {
        let request = self.request(PublishRequest {
            topic: topic.to_owned(),
            data: data.into(),
            metadata,
            ..Default::default()
        });
        self.client.publish(request).await.map(drop)
    }

    /// Publishes in bulk; each entry is an id and its bytes.
    pub async fn bulk(&mut self, topic: &str, entries: &[(String, Vec<u8>)]) -> Result<(), Status> {
        self.bulk_with(topic, entries, HashMap::new()).await
    }

    /// Publishes in bulk, with metadata of the request.
    pub async fn bulk_with(
        &mut self,
        topic: &str,
        entries: &[(String, Vec<u8>)],
        metadata: HashMap<String, String>,
    ) -> Result<(), Status> {
        let entries = entries.iter().map(|(id, event)| BulkMessageEntry {
            entry_id: id.clone(),
            event: event.clone().into(),
            ..Default::default()
        });
        let request = self.request(BulkPublishRequest {
            entries: entries.collect(),
            topic: topic.to_owned(),
            metadata,
            ..Default::default()
        });
        self.client.bulk_publish(request).await.map(drop)
    }

    pub async fn pause(&mut self) -> Result<(), Status> {
        let request = self.request(PauseRequest {});
        self.client.pause(request).await.map(drop)
    }

    pub async fn resume(&mut self) -> Result<(), Status> {
        let request = self.request(ResumeRequest {});
        self.client.resume(request).await.map(drop)
    }

    /// Opens a pull stream.
    pub async fn pull(&mut self, topic: &str) -> Result<Pull, Status> {
        self.pull_with(topic, &[]).await
    }

    /// Opens a pull stream with a subscription's metadata.
    pub async fn pull_with(
        &mut self,
        topic: &str,
        metadata: &[(&str, &str)],
    ) -> Result<Pull, Status> {
        let metadata = metadata.iter();
        let metadata = metadata.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let (answers, requests) = mpsc::channel(64);
        let name = topic.to_owned();
        let first = PullMessagesRequest {
            topic: Some(Topic {
                name,
                metadata: metadata.collect(),
            }),
            ..Default::default()
        };
        answers
            .try_send(first)
            .map_err(|error| Status::internal(error.to_string()))?;
        let request = self.request(ReceiverStream::new(requests));
        let messages = self.client.pull_messages(request).await?.into_inner();
        Ok(Pull { messages, answers })
    }
}

/// A pull stream. Dropping it closes it, as daprd would.
pub struct Pull {
    messages: Streaming<PullMessagesResponse>,
    answers: mpsc::Sender<PullMessagesRequest>,
}

impl Pull {
    /// The next message.
    pub async fn next(&mut self, within: Duration) -> Result<PullMessagesResponse> {
        match tokio::time::timeout(within, self.messages.message()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err("the stream ended".into()),
            Ok(Err(status)) => Err(format!("the stream broke: {status}").into()),
            Err(_) => Err(format!("no message within {within:?}").into()),
        }
    }

    /// The next messages' texts, each acknowledged.
    pub async fn take(&mut self, count: usize, within: Duration) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for _ in 0..count {
            let message = self
                .next(within)
                .await
                .map_err(|error| format!("after {texts:?}: {error}"))?;
            self.ack(&message).await?;
            texts.push(text(&message));
        }
        Ok(texts)
    }

    /// Waits for the stream's end.
    pub async fn ended(&mut self, within: Duration) -> Result<()> {
        match self.next(within).await {
            Err(error) if error.to_string() == "the stream ended" => Ok(()),
            other => Err(format!("expected the stream's end: {other:?}").into()),
        }
    }

    pub async fn ack(&self, message: &PullMessagesResponse) -> Result<()> {
        self.answer(message, None).await
    }

    pub async fn nack(&self, message: &PullMessagesResponse, reason: &str) -> Result<()> {
        let message_text = reason.to_owned();
        self.answer(
            message,
            Some(AckMessageError {
                message: message_text,
            }),
        )
        .await
    }

    async fn answer(
        &self,
        message: &PullMessagesResponse,
        ack_error: Option<AckMessageError>,
    ) -> Result<()> {
        let answer = PullMessagesRequest {
            ack_message_id: message.id.clone(),
            ack_error,
            ..Default::default()
        };
        Ok(self.answers.send(answer).await?)
    }
}

/// A message's data as text.
pub fn text(message: &PullMessagesResponse) -> String {
    String::from_utf8_lossy(&message.data).into_owned()
}
