//! An app behind the real daprd.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use harness::{Result, eventually};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
};

use super::SOON;

/// The largest event that the app takes, in bytes.
const LARGEST: usize = 64 << 20;

/// What the app was sent.
#[derive(Clone, Debug)]
pub struct Event {
    pub topic: String,
    /// The body, if it is JSON.
    pub body: Value,
    /// The body as it came.
    pub bytes: Bytes,
    /// daprd passes metadata on as headers.
    pub headers: HeaderMap,
    /// When the app was sent it.
    pub begun: Instant,
    /// When the app answered it.
    pub ended: Instant,
}

impl Event {
    /// How many messages a bulk subscription got at once; `None` for another subscription.
    pub fn batch(&self) -> Option<usize> {
        Some(self.body["entries"].as_array()?.len())
    }
}

/// What the app answers an event with.
pub type Answer = Box<dyn Fn(&Event) -> StatusCode + Send + Sync>;

/// A running app.
pub struct App {
    pub port: u16,
    state: Arc<Shared>,
    /// Its own, so that it ends with all its connections, as a process does.
    runtime: Option<Runtime>,
    /// Bound to the port and never listening: while the app is down, nobody else may
    /// get its port, and answer its daprd in its place.
    _port: TcpSocket,
}

struct Shared {
    subscriptions: Value,
    /// How long it works on each event; on many at once.
    work: Duration,
    answer: Answer,
    seen: Mutex<Vec<Event>>,
    /// Events that it works on now.
    at_work: AtomicUsize,
}

/// A subscription as `/dapr/subscribe` names it. The route names the topic, or its lane: `#`
/// is replaced, because it would begin a fragment; `~` stays.
pub fn subscription(topic: &str, metadata: &Value) -> Value {
    json!({
        "pubsubname": "todo-pubsub",
        "topic": topic,
        "route": format!("/events/{}", topic.replace('#', "-lane-")),
        "metadata": metadata,
    })
}

impl App {
    /// An app that is subscribed to a topic, and answers every event with success.
    pub async fn start(topic: &str) -> Result<Self> {
        Self::with(json!([subscription(topic, &json!({}))]), |_| StatusCode::OK).await
    }

    /// The same for a topic whose messages are no `CloudEvent`s.
    pub async fn start_raw(topic: &str) -> Result<Self> {
        let raw = subscription(topic, &json!({ "rawPayload": "true" }));
        Self::with(json!([raw]), |_| StatusCode::OK).await
    }

    /// An app with these subscriptions that works on each event for so long, on many at once, and
    /// answers with success.
    pub async fn working(subscriptions: Value, work: Duration) -> Result<Self> {
        Self::start_with(subscriptions, work, |_| StatusCode::OK).await
    }

    /// An app with these subscriptions and answers.
    pub async fn with(
        subscriptions: Value,
        answer: impl Fn(&Event) -> StatusCode + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::start_with(subscriptions, Duration::ZERO, answer).await
    }

    /// The same, and it works on each event for so long before it answers.
    pub async fn start_with(
        subscriptions: Value,
        work: Duration,
        answer: impl Fn(&Event) -> StatusCode + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = Arc::new(Shared {
            subscriptions,
            work,
            answer: Box::new(answer),
            seen: Mutex::default(),
            at_work: AtomicUsize::new(0),
        });
        let socket = bind(0)?;
        let mut app = Self {
            port: socket.local_addr()?.port(),
            state,
            runtime: None,
            _port: socket,
        };
        app.up().await?;
        Ok(app)
    }

    /// How many events it works on now.
    pub fn at_work(&self) -> usize {
        self.state.at_work.load(Ordering::SeqCst)
    }

    /// Listens, after [`App::down`] on the same port as before.
    pub async fn up(&mut self) -> Result<()> {
        let routes = Router::new()
            .route("/dapr/subscribe", get(subscribe))
            .route("/events/{topic}", post(receive))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(self.state.clone());
        // What listened before may take a moment to be gone.
        let port = self.port;
        let bound = eventually("the app's port is free", SOON, || async move {
            bind(port).and_then(|socket| socket.listen(128)).ok()
        });
        let listener = bound.await?.into_std()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        runtime.spawn(async move {
            let served = async {
                let listener = TcpListener::from_std(listener)?;
                axum::serve(listener, routes).await
            };
            if let Err(error) = served.await {
                eprintln!("the app ended: {error}");
            }
        });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Ends as a killed process does: nobody listens, and all connections are cut.
    pub fn down(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// What it was sent so far.
    pub fn seen(&self) -> Vec<Event> {
        self.state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for so many events.
    pub async fn events(&self, count: usize) -> Result<Vec<Event>> {
        let what = format!("{count} events");
        let events = eventually(&what, SOON, || async {
            Some(self.seen()).filter(|seen| seen.len() >= count)
        })
        .await;
        events.map_err(|error| format!("{error}; the app has seen {:#?}", self.seen()).into())
    }
}

fn bind(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

impl Drop for App {
    fn drop(&mut self) {
        self.down();
    }
}

async fn subscribe(State(app): State<Arc<Shared>>) -> Json<Value> {
    Json(app.subscriptions.clone())
}

async fn receive(
    State(app): State<Arc<Shared>>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let begun = Instant::now();
    app.at_work.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(app.work).await;
    app.at_work.fetch_sub(1, Ordering::SeqCst);
    let mut event = Event {
        topic,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        bytes: body,
        headers,
        begun,
        ended: begun,
    };
    let answer = (app.answer)(&event);
    event.ended = Instant::now();
    let statuses = statuses(&event);
    app.seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(event);
    (answer, Json(statuses))
}

/// What a bulk subscription's app says of each message. daprd takes `{}` from another for success.
fn statuses(event: &Event) -> Value {
    let Some(entries) = event.body["entries"].as_array() else {
        return json!({});
    };
    let statuses = entries.iter();
    let statuses =
        statuses.map(|entry| json!({ "entryId": entry["entryId"], "status": "SUCCESS" }));
    json!({ "statuses": statuses.collect::<Vec<_>>() })
}
