//! A small Todo app that knows Dapr's HTTP API and nothing of Kafka.
//!
//! It publishes an event for whatever happens to a task, subscribes to the same
//! six topics, and shows each event as it comes back. Environment: `APP_PORT`
//! (default 3000), `DAPR_HTTP_PORT` (3500), `PUBSUB_NAME` (todo-pubsub), `SUBSCRIPTIONS` (code,
//! or declarative: Subscriptions of Dapr's name the topics).

mod dapr;
mod events;
mod tasks;
mod timer;

use std::{future::pending, net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    response::Html,
    routing::{get, post, put},
};
// The linker sends calls of OpenSSL to functions of the component (build.rs).
use dapr_rdkafka as _;
use tokio::signal::unix::{SignalKind, signal};

/// How long requests may take after SIGTERM. Whoever watches the stream of events never ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// What the handlers share.
pub struct App {
    tasks: tasks::Tasks,
    events: events::Events,
    dapr: dapr::Dapr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Arc::new(App {
        tasks: tasks::Tasks::default(),
        events: events::Events::default(),
        dapr: dapr::Dapr::from_environment(),
    });
    tokio::spawn(timer::run(app.clone()));
    let routes = Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/api/tasks", get(tasks::list).post(tasks::create))
        .route("/api/tasks/{id}", put(tasks::update).delete(tasks::delete))
        .route("/api/tasks/{id}/complete", post(tasks::complete))
        .route("/api/events", get(events::list))
        .route("/api/stream", get(events::stream))
        .route("/dapr/subscribe", get(dapr::subscriptions))
        .route("/events/{topic}", post(events::receive))
        .with_state(app);

    let port = dapr::variable("APP_PORT", "3000").parse()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!(
        "the Todo app is listening on http://{}",
        listener.local_addr()?
    );
    // As the first process of a container it would not end by SIGTERM: the kernel spares that
    // one, unless it listens for the signal.
    let mut terminate = signal(SignalKind::terminate())?;
    let (begin, ending) = tokio::sync::oneshot::channel();
    let ended = axum::serve(listener, routes).with_graceful_shutdown(async move {
        terminate.recv().await;
        let _ = begin.send(());
    });
    let too_late = async {
        match ending.await {
            Ok(()) => tokio::time::sleep(LAST_ANSWERS).await,
            Err(_) => pending().await,
        }
    };
    tokio::select! {
        ended = ended => ended?,
        () = too_late => {}
    }
    Ok(())
}
