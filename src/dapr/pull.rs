//! One pull stream: a topic's records to daprd, and its answers back.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    event,
    instance::Instance,
    limits,
    proto::{PullMessagesRequest, PullMessagesResponse, Topic},
    publish::check_topic,
    verdict,
};
use crate::{
    delivery::{Group, Lane},
    model::{Outcome, topic},
};

/// Messages between the group and the connection; the lane holds the others.
const BUFFER: usize = 1;

/// What daprd pulls.
pub(super) type Messages = ReceiverStream<Result<PullMessagesResponse, Status>>;

/// Subscribes, and connects the stream's two directions with the group.
pub(super) async fn open(
    instance: Arc<Instance>,
    mut requests: Streaming<PullMessagesRequest>,
) -> Result<Messages, Status> {
    let place = instance.stream()?;
    let first = requests.message().await?;
    let Some(Topic { name, metadata }) = first.and_then(|first| first.topic) else {
        return Err(Status::invalid_argument(
            "the first message of a pull stream must name its topic",
        ));
    };
    limits::subscription(&name, &metadata)?;
    let (topic, _) = topic::subscribed(&name);
    check_topic(topic)?;
    check_schema(&name, metadata.get("valueSchemaType"))?;
    let Lane { id, deliveries } = instance.subscribe(&name, metadata).await?;
    let group = instance.group().await?.clone();

    let (out, messages) = mpsc::channel(BUFFER);
    let lane = Lane { id, deliveries };
    tokio::spawn(deliver(group.clone(), lane, name, out));
    tokio::spawn(async move {
        answers(&group, requests).await;
        // An error means that the group has shut down, and its lanes with it.
        let _ = group.close_lane(id).await;
        drop(place);
    });
    Ok(ReceiverStream::new(messages))
}

/// Decoding is not silently left out: the app would get bytes it can't read.
fn check_schema(topic: &str, schema: Option<&String>) -> Result<(), Status> {
    match schema {
        Some(schema) if !schema.eq_ignore_ascii_case("none") => {
            Err(Status::unimplemented(format!(
                "topic {topic}: valueSchemaType {schema:?} is known from pubsub.kafka, but not honoured \
             by this version; remove it to get the bytes as they are"
            )))
        }
        _ => Ok(()),
    }
}

/// Hands deliveries to the connection until either end is gone.
async fn deliver(
    group: Group,
    mut lane: Lane,
    topic_name: String,
    out: mpsc::Sender<Result<PullMessagesResponse, Status>>,
) {
    while let Some(delivery) = lane.deliveries.recv().await {
        let message = event::message(&delivery, &topic_name);
        if !event::fits(&message) {
            let reason = format!(
                "too large for daprd: the message is over {} bytes, and receiving it would break \
                 daprd's stream for good",
                event::LARGEST
            );
            let answered = group.answer(delivery.id, Outcome::TooLarge(reason)).await;
            if answered.is_err() {
                return;
            }
            continue;
        }
        // A connection that is gone closes the lane, which gives this back.
        if out.send(Ok(message)).await.is_err() {
            return;
        }
    }
}

/// Passes answers on until the stream ends.
async fn answers(group: &Group, mut requests: Streaming<PullMessagesRequest>) {
    loop {
        let request = match requests.message().await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(status) => {
                tracing::debug!("a pull stream was cut: {status}");
                return;
            }
        };
        match verdict::read(request) {
            Ok((delivery, outcome)) => {
                if group.answer(delivery, outcome).await.is_err() {
                    return;
                }
            }
            Err(problem) => tracing::warn!("{problem}"),
        }
    }
}
