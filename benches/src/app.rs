//! An app that takes so long for each message, and can work on many at once.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use harness::Result;
use serde_json::{Value, json};
use tokio::sync::watch;

/// How long a run may take to come to a state.
const LIMIT: Duration = Duration::from_secs(180);

/// A running app. Dropping it closes it.
pub struct App {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    subscriptions: Value,
    work: Duration,
    arrived: Mutex<Vec<(usize, Instant)>>,
    done: watch::Sender<usize>,
}

/// The names under which an app subscribes to a topic so that it has so many lanes
/// (docs/lanes.md).
pub fn lanes(topic: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |lane| match lane {
        0 => topic.to_owned(),
        _ => format!("{topic}#{lane}"),
    })
}

impl App {
    /// An app that subscribes under these names, and works so long on each message.
    pub async fn start(names: impl Iterator<Item = String>, work: Duration) -> Result<Self> {
        let subscription =
            |name| json!({ "pubsubname": "pubsub", "topic": name, "route": "/work" });
        let shared = Arc::new(Shared {
            subscriptions: names.map(subscription).collect(),
            work,
            arrived: Mutex::default(),
            done: watch::Sender::default(),
        });
        let routes = Router::new()
            .route("/dapr/subscribe", get(subscribe))
            .route("/work", post(receive))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("the app ended: {error}");
            }
        });
        Ok(Self {
            port,
            shared,
            server,
        })
    }

    /// Waits until the work on so many messages is done.
    pub async fn done(&self, count: usize) -> Result<Instant> {
        let mut done = self.shared.done.subscribe();
        let enough = done.wait_for(|done| *done >= count);
        match tokio::time::timeout(LIMIT, enough).await {
            Ok(Ok(_)) => Ok(Instant::now()),
            Ok(Err(_)) => Err("the app is gone".into()),
            Err(_) => {
                let done = *self.shared.done.borrow();
                Err(format!("{done} of {count} messages within {LIMIT:?}").into())
            }
        }
    }

    /// Takes what has arrived: each message's number, and when it came.
    pub fn take(&self) -> Vec<(usize, Instant)> {
        std::mem::take(&mut self.shared.lock())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<(usize, Instant)>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn subscribe(State(app): State<Arc<Shared>>) -> Json<Value> {
    Json(app.subscriptions.clone())
}

async fn receive(State(app): State<Arc<Shared>>, Json(event): Json<Value>) {
    let now = Instant::now();
    let number = event["data"]["n"].as_u64();
    let number = number.and_then(|number| number.try_into().ok());
    app.lock().push((number.unwrap_or(usize::MAX), now));
    if !app.work.is_zero() {
        tokio::time::sleep(app.work).await;
    }
    app.done.send_modify(|done| *done += 1);
}
