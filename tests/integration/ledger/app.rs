use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use harness::{
    Result, eventually,
    ledger::{Answer, Event, Journal, Message, Place},
};
use serde_json::{Value, json};

use super::Plan;

/// The app that all members share: it makes of each message what the plan says,
/// and writes down what it was handed and what it answered.
#[derive(Clone)]
pub struct Moody {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Arc<Plan>,
    journal: Arc<Journal>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    refused: HashMap<Place, u32>,
    acked: BTreeSet<Place>,
}

/// One member's door to the app.
#[derive(Clone)]
struct Door {
    member: String,
    names: Vec<String>,
    shared: Arc<Shared>,
}

/// The app's server for one member; dropping it closes it.
pub struct Server {
    pub port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Moody {
    pub fn new(plan: Arc<Plan>, journal: Arc<Journal>) -> Self {
        let shared = Shared {
            plan,
            journal,
            progress: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Serves one member, subscribed under these names of the topic.
    pub async fn serve(&self, member: &str, names: Vec<String>) -> Result<Server> {
        let door = Door {
            member: member.to_owned(),
            names,
            shared: self.shared.clone(),
        };
        let routes = Router::new()
            .route("/dapr/subscribe", get(subscribe))
            .route("/events", post(receive))
            .with_state(door);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("the app ended: {error}");
            }
        });
        Ok(Server { port, task })
    }

    /// How many records it has acknowledged.
    pub fn acked(&self) -> usize {
        self.shared.progress().acked.len()
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

    /// Whether this handing is refused.
    fn refuses(&self, at: Place, refusals: u32) -> bool {
        let mut progress = self.progress();
        let so_far = progress.refused.entry(at).or_default();
        if *so_far < refusals {
            *so_far += 1;
            return true;
        }
        progress.acked.insert(at);
        false
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
    let names = door.names.iter();
    let all =
        names.map(|name| json!({ "pubsubname": "todo-pubsub", "topic": name, "route": "/events" }));
    Json(all.collect())
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
    let mood = shared.plan.mood(&uuid.unwrap_or_default());
    tokio::time::sleep(mood.delay).await;
    if !shared.refuses(at, mood.refusals) {
        open.answer = Answer::Ack;
        return StatusCode::OK.into_response();
    }
    open.answer = Answer::Nack;
    if mood.by_status {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Json(json!({ "status": "RETRY" })).into_response()
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
