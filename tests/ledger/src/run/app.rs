use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use harness::{
    Result, eventually,
    ledger::{Answer, Event, Journal, Message, Place},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Plan, server::Server};

/// The largest event that the app takes, in bytes.
const LARGEST: usize = 64 << 20;

/// The app that all members share: it makes of each message what the plan says,
/// and writes down what it was handed and what it answered.
#[derive(Clone)]
pub struct Moody {
    shared: Arc<Shared>,
}

/// How the app is as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// It takes calls and answers none until this ends.
    pub hangs: bool,
    /// Each call takes so much longer.
    pub slower: Duration,
}

struct Shared {
    plan: Arc<Plan>,
    journal: Arc<Journal>,
    conditions: watch::Sender<Conditions>,
    progress: Mutex<Progress>,
    /// The ids of the messages that came from each topic beside the one that is judged.
    beside: Mutex<HashMap<String, BTreeSet<String>>>,
}

#[derive(Default)]
struct Progress {
    refused: HashMap<Place, u32>,
    acked: BTreeSet<Place>,
    uuids: HashMap<String, Place>,
}

/// One member's door to the app.
#[derive(Clone)]
struct Door {
    member: String,
    subscriptions: Value,
    shared: Arc<Shared>,
}

impl Moody {
    pub fn new(plan: Arc<Plan>, journal: Arc<Journal>) -> Self {
        let shared = Shared {
            plan,
            journal,
            conditions: watch::Sender::new(Conditions::default()),
            progress: Mutex::default(),
            beside: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Serves one member, subscribed under these names of the topic, and to the topics beside it.
    pub(super) async fn serve(
        &self,
        member: &str,
        names: &[String],
        beside: &[String],
        metadata: &Value,
    ) -> Result<Server> {
        let names = names.iter().map(|name| (name, "/events".to_owned()));
        let beside = beside.iter().map(|name| (name, format!("/beside/{name}")));
        let all = names.chain(beside).map(|(name, route)| {
            json!({ "pubsubname": "todo-pubsub", "topic": name, "route": route, "metadata": metadata })
        });
        let door = Door {
            member: member.to_owned(),
            subscriptions: all.collect(),
            shared: self.shared.clone(),
        };
        let routes = Router::new()
            .route("/dapr/subscribe", get(subscribe))
            .route("/events", post(receive))
            .route("/beside/{topic}", post(receive_beside))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(door);
        Server::start(routes).await
    }

    /// From now on it is like this.
    pub fn change(&self, conditions: Conditions) {
        self.shared.conditions.send_replace(conditions);
    }

    /// It forgets where records stood: the topic is another one.
    pub fn forget(&self) {
        *self.shared.progress() = Progress::default();
    }

    /// How many records it has acknowledged.
    pub fn acked(&self) -> usize {
        self.shared.progress().acked.len()
    }

    /// How many messages of a topic beside the judged one have come.
    pub fn came_beside(&self, topic: &str) -> usize {
        self.shared.beside().get(topic).map_or(0, BTreeSet::len)
    }

    /// Where the message of this id stands, once it has acknowledged it.
    pub fn acked_message(&self, uuid: &str) -> Option<Place> {
        self.shared.progress().uuids.get(uuid).copied()
    }

    /// Waits until it has acknowledged so many.
    pub async fn has_acked(&self, count: usize, within: Duration) -> Result<()> {
        let what = format!("{count} records acknowledged by the app");
        let enough = || async { (self.acked() >= count).then_some(()) };
        let waited = eventually(&what, within, enough).await;
        waited.map_err(|error| format!("{error}; there are {}", self.acked()).into())
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beside(&self) -> MutexGuard<'_, HashMap<String, BTreeSet<String>>> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this handing is refused.
    fn refuses(&self, at: Place, refusals: u32) -> bool {
        let mut progress = self.progress();
        let so_far = progress.refused.entry(at).or_default();
        if *so_far < refusals {
            *so_far += 1;
            return true;
        }
        false
    }

    fn acknowledges(&self, at: Place, uuid: Option<String>) {
        let mut progress = self.progress();
        progress.acked.insert(at);
        if let Some(uuid) = uuid {
            progress.uuids.insert(uuid, at);
        }
    }
}

/// A handing that is not answered yet. If it goes away so, its caller hung up.
struct Open<'a> {
    journal: &'a Journal,
    attempt: u64,
    answer: Answer,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Self {
            attempt, answer, ..
        } = *self;
        self.journal.record(Event::Answered { attempt, answer });
    }
}

async fn subscribe(State(door): State<Door>) -> Json<Value> {
    Json(door.subscriptions)
}

async fn receive(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let shared = &door.shared;
    let Some(at) = place(&headers) else {
        eprintln!(
            "{} was handed a record without its place: {headers:?}",
            door.member
        );
        return StatusCode::BAD_REQUEST.into_response();
    };
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let uuid = Message::uuid_in(&event["data"]);
    let attempt = shared.journal.next_attempt();
    shared.journal.record(Event::Handed {
        attempt,
        member: door.member.clone(),
        at,
        uuid: uuid.clone(),
    });
    let mut open = Open {
        journal: &shared.journal,
        attempt,
        answer: Answer::Gone,
    };
    let mood = shared.plan.mood(uuid.as_deref().unwrap_or_default());
    if mood.breaks {
        // A panic without its report, which would fill the ledger's output.
        std::panic::resume_unwind(Box::new("the handler panics"));
    }
    let slower = shared.conditions.borrow().slower;
    tokio::time::sleep(mood.delay + slower).await;
    let mut conditions = shared.conditions.subscribe();
    // It can't fail: the sender is in the same place.
    let _ = conditions.wait_for(|conditions| !conditions.hangs).await;
    if !shared.refuses(at, mood.refusals) {
        open.answer = Answer::Ack;
        shared.acknowledges(at, uuid);
        return StatusCode::OK.into_response();
    }
    open.answer = Answer::Nack;
    if mood.by_status {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Json(json!({ "status": "RETRY" })).into_response()
}

async fn receive_beside(
    State(door): State<Door>,
    Path(topic): Path<String>,
    Json(event): Json<Value>,
) {
    if let Some(uuid) = Message::uuid_in(&event["data"]) {
        door.shared.beside().entry(topic).or_default().insert(uuid);
    }
}

/// Where the record stands, as daprd passes the metadata on.
fn place(headers: &HeaderMap) -> Option<Place> {
    let number = |name: &str| {
        let header = headers
            .get(format!("metadata.{name}"))
            .or_else(|| headers.get(name));
        header?.to_str().ok()?.parse::<i64>().ok()
    };
    Some(Place {
        partition: number("__partition")?.try_into().ok()?,
        offset: number("__offset")?,
    })
}
