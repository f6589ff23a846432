//! Room for what is published: the bytes of all publishes under way have a bound.
//!
//! A publish takes its room by the length that stands before its message, so that one for which
//! there is none waits unread, and HTTP/2's flow control keeps it at daprd. It gives the room
//! back when it is answered.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryFutureExt as _, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body, server::NamedService};
use tower_service::Service;

use crate::telemetry::events;

/// How long a publish waits for room: as long as `publishTimeout` is by default. A call that has
/// a deadline of its own ends earlier.
const WAIT: Duration = Duration::from_secs(15);

/// What a publish costs beside its bytes.
const OVERHEAD: usize = 1024;

/// The calls that need room.
const PUBLISHES: [&str; 2] = ["/Publish", "/BulkPublish"];

/// A gRPC message's flag and length (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;

const MIB: usize = 1024 * 1024;

/// The room of this process. Cheap to clone: all clones are the same.
#[derive(Clone, Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    total: u32,
}

impl Room {
    /// Room for so many MiB.
    pub fn new(mib: u32) -> Self {
        let total = u32::try_from(mib as usize * MIB).unwrap_or(u32::MAX);
        Self {
            free: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// How many bytes are taken, at this moment.
    #[cfg(test)]
    fn taken(&self) -> usize {
        self.total as usize - self.free.available_permits()
    }

    /// Takes room for a message of so many bytes, which waits for those before it. One that is
    /// larger than all room takes all of it.
    async fn take(&self, length: usize, within: Duration) -> Result<OwnedSemaphorePermit, Status> {
        let needed = u32::try_from(length + OVERHEAD).unwrap_or(u32::MAX);
        let taking = self.free.clone().acquire_many_owned(needed.min(self.total));
        if let Ok(Ok(taken)) = tokio::time::timeout(within, taking).await {
            return Ok(taken);
        }
        events::publish_without_room();
        Err(self.refusal(within))
    }

    fn refusal(&self, within: Duration) -> Status {
        let mib = self.total as usize / MIB;
        Status::resource_exhausted(format!(
            "nothing was published: for {within:?} there was no room, since messages that the \
             brokers have not acknowledged hold {mib} MiB (--max-publish-mib). See that the \
             brokers take what is published, publish less at once, or raise --max-publish-mib \
             and with it the container's memory limit"
        ))
    }
}

/// Where the room of a call is kept until it is answered.
type Held = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

/// The body of a call, which is read on when there is room for its message.
fn with_room(body: Body, room: Room, held: Held) -> Body {
    let admitted = async move {
        let mut body = body;
        let mut first = BytesMut::new();
        while first.len() < PREFIX {
            let Some(frame) = body.frame().await else {
                break;
            };
            // Trailers before a message: what follows says what is wrong with it.
            let Ok(data) = frame?.into_data() else {
                break;
            };
            first.extend_from_slice(&data);
        }
        let taken = room.take(length(&first), WAIT).await?;
        *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
        let first = Frame::data(Bytes::from(first));
        Ok::<_, Status>(stream::iter([Ok(first)]).chain(BodyStream::new(body)))
    };
    Body::new(StreamBody::new(admitted.try_flatten_stream()))
}

/// The length of a message that begins so; 0 if that is not there.
fn length(beginning: &[u8]) -> usize {
    let length = beginning.get(1..PREFIX);
    let length = length.and_then(|bytes| bytes.try_into().ok());
    length.map_or(0, u32::from_be_bytes) as usize
}

/// A service whose publishes wait for room.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    pub(super) inner: S,
    pub(super) room: Room,
}

impl<S: NamedService> NamedService for Bounded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if !PUBLISHES.iter().any(|method| path.ends_with(method)) {
            return Box::pin(self.inner.call(request));
        }
        let held = Held::default();
        let request = request.map(|body| with_room(body, self.room.clone(), held.clone()));
        let answered = self.inner.call(request);
        // A publish that daprd gives up stays in librdkafka's queue, and so keeps its room.
        let answered = tokio::spawn(async move {
            let answer = answered.await;
            drop(held);
            answer
        });
        Box::pin(async move {
            let answer = answered.await;
            answer.unwrap_or_else(|ended| Ok(Status::internal(ended.to_string()).into_http()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn a_message_says_its_length_first() {
        assert_eq!(length(&[0, 0, 1, 0, 2, 9]), 65_538);
        assert_eq!(length(&[0, 255, 255, 255, 255]), u32::MAX as usize);
        assert_eq!(length(&[0, 1]), 0);
    }

    #[tokio::test]
    async fn what_has_no_room_waits_and_is_refused_by_name() {
        let room = Room::new(1);
        let half = MIB / 2 - OVERHEAD;
        let first = room.take(half, SOON).await.expect("there is room");
        let _second = room.take(half, SOON).await.expect("there is room");
        assert_eq!(room.taken(), MIB);
        let refused = room
            .take(1, Duration::ZERO)
            .await
            .expect_err("none is left");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        for part in ["nothing was published", "1 MiB", "--max-publish-mib"] {
            assert!(refused.message().contains(part), "{part}: {refused}");
        }
        let waiting = room.take(half, SOON);
        drop(first);
        drop(waiting.await.expect("there is room again"));
    }

    #[tokio::test]
    async fn a_message_larger_than_all_room_passes_alone() {
        let room = Room::new(1);
        let small = room.take(1, SOON).await.expect("there is room");
        let large = room.take(64 * MIB, Duration::ZERO).await;
        large.expect_err("it is not alone");
        drop(small);
        let large = room.take(64 * MIB, SOON).await.expect("it is alone");
        room.take(1, Duration::ZERO)
            .await
            .expect_err("none is left");
        drop(large);
        assert_eq!(room.taken(), 0);
    }

    #[tokio::test]
    async fn a_body_comes_whole_however_it_is_cut() {
        let message = b"\0\0\0\0\x03abc";
        for cut in 0..=message.len() {
            let (one, two) = message.split_at(cut);
            let frames =
                [one, two].map(|part| Ok::<_, Status>(Frame::data(Bytes::from_static(part))));
            let body = Body::new(StreamBody::new(stream::iter(frames)));
            let (room, held) = (Room::new(1), Held::default());
            let read = with_room(body, room.clone(), held.clone()).collect().await;
            assert_eq!(&read.expect("it is read").to_bytes()[..], message);
            assert_eq!(room.taken(), 3 + OVERHEAD);
            drop(held);
            assert_eq!(room.taken(), 0);
        }
    }
}
