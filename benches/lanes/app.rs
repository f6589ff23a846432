//! An app that needs 5 ms for each message, and can work on many at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use harness::{Result, eventually};
use serde_json::{Value, json};

const WORK: Duration = Duration::from_millis(5);

/// How long a round may take.
const LIMIT: Duration = Duration::from_secs(180);

pub struct App {
    pub port: u16,
    state: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    subscriptions: Value,
    /// Key and sequence number, when the work began; and how many are done.
    begun: Mutex<(Vec<(String, u64)>, usize)>,
}

impl App {
    /// An app that subscribes to a topic, by so many lanes.
    pub async fn start(topic: &str, lanes: usize) -> Result<Self> {
        let subscriptions = (0..lanes).map(|lane| {
            let name = match lane {
                0 => topic.to_owned(),
                _ => format!("{topic}#{lane}"),
            };
            json!({ "pubsubname": "pubsub", "topic": name, "route": "/work" })
        });
        let state = Arc::new(Shared {
            subscriptions: subscriptions.collect(),
            begun: Mutex::default(),
        });
        let routes = Router::new()
            .route("/dapr/subscribe", get(subscribe))
            .route("/work", post(work))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("the app ended: {error}");
            }
        });
        Ok(Self {
            port,
            state,
            server,
        })
    }

    /// Waits until so many messages are done.
    pub async fn done(&self, count: usize) -> Result<()> {
        eventually(&format!("{count} messages"), LIMIT, || async {
            (self.state.lock().1 >= count).then_some(())
        })
        .await
    }

    /// Fails unless the work on each key began in the order of publishing.
    pub fn check_order(&self) -> Result<()> {
        let mut last = HashMap::new();
        for (key, seq) in &self.state.lock().0 {
            if let Some(before) = last.insert(key, seq)
                && before >= seq
            {
                return Err(format!("{key}: {seq} came after {before}").into());
            }
        }
        Ok(())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, (Vec<(String, u64)>, usize)> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn subscribe(State(app): State<Arc<Shared>>) -> Json<Value> {
    Json(app.subscriptions.clone())
}

async fn work(State(app): State<Arc<Shared>>, Json(event): Json<Value>) {
    let data = &event["data"];
    let key = data["key"].as_str().unwrap_or_default().to_owned();
    let seq = data["seq"].as_u64().unwrap_or_default();
    app.lock().0.push((key, seq));
    tokio::time::sleep(WORK).await;
    app.lock().1 += 1;
}
