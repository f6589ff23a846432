//! One pull stream: a topic's records to daprd, and its answers back.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    event::{self, LeftOut, Style},
    instance::Instance,
    instances::Instances,
    limits,
    proto::{PullMessagesRequest, PullMessagesResponse, Topic},
    publish::check_topic,
    schema, verdict,
};
use crate::{
    delivery::{Delivery, Group, Lane},
    model::{Outcome, topic},
    telemetry::{Member, events::HeadersLeftOut},
};

/// Messages between the group and the connection; the lane holds the others.
const BUFFER: usize = 1;

/// Says in a subscription's metadata that values are no `CloudEvent`s.
const RAW: &str = "rawPayload";

/// What daprd pulls.
pub(super) type Messages = ReceiverStream<Result<PullMessagesResponse, Status>>;

/// Subscribes, and connects the stream's two directions with the group.
pub(super) async fn open(
    instances: &Instances,
    instance: Arc<Instance>,
    mut requests: Streaming<PullMessagesRequest>,
) -> Result<Messages, Status> {
    let place = instance.stream()?;
    let first = requests.message().await?;
    // It may have been long in coming.
    instances.check_open()?;
    let Some(Topic { name, metadata }) = first.and_then(|first| first.topic) else {
        return Err(Status::invalid_argument(
            "the first message of a pull stream must name its topic",
        ));
    };
    limits::subscription(&name, &metadata)?;
    let (topic, _) = topic::subscribed(&name);
    check_topic(topic)?;
    schema::check("subscribing to", &name, schema::named(&metadata))?;
    let style = Style {
        topic_name: name.clone(),
        headers: instance.headers().clone(),
        raw: metadata.get(RAW).is_some_and(|raw| is_true(raw)),
    };
    let Lane { id, deliveries } = instance.subscribe(&name, metadata).await?;
    let group = instance.group().await?.clone();

    let (out, messages) = mpsc::channel(BUFFER);
    let sender = Sender {
        group: group.clone(),
        member: instance.member(),
        style,
        has_told: false,
        out,
    };
    tokio::spawn(sender.run(Lane { id, deliveries }));
    tokio::spawn(async move {
        answers(&group, requests).await;
        // An error means that the group has shut down, and its lanes with it.
        let _ = group.close_lane(id).await;
        drop(place);
    });
    Ok(ReceiverStream::new(messages))
}

/// What Go's `strconv.ParseBool` takes for true, as daprd reads `rawPayload`.
fn is_true(text: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&text)
}

/// Hands deliveries to the connection.
struct Sender {
    group: Group,
    member: Member,
    style: Style,
    /// Whether it was said already that headers are left out.
    has_told: bool,
    out: mpsc::Sender<Result<PullMessagesResponse, Status>>,
}

impl Sender {
    /// Runs until either end is gone.
    async fn run(mut self, mut lane: Lane) {
        while let Some(delivery) = lane.deliveries.recv().await {
            let (message, left_out) = event::message(&delivery, &self.style);
            self.tell(&delivery, left_out);
            if !event::fits(&message) {
                let reason = format!(
                    "too large for daprd: the message is over {} bytes, and receiving it would \
                     break daprd's stream for good",
                    event::LARGEST
                );
                let outcome = Outcome::TooLarge(reason);
                if self.group.answer(delivery.id, outcome).await.is_err() {
                    return;
                }
                continue;
            }
            // A connection that is gone closes the lane, which gives this back.
            if self.out.send(Ok(message)).await.is_err() {
                return;
            }
        }
    }

    fn tell(&mut self, delivery: &Delivery, left_out: LeftOut) {
        let Some((name, why)) = left_out.first else {
            return;
        };
        HeadersLeftOut {
            instance: &self.member,
            at: &delivery.record.at,
            offset: delivery.record.offset,
            count: left_out.count,
            name: &name,
            why,
            is_first: !self.has_told,
        }
        .emit();
        self.has_told = true;
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
