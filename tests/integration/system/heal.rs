use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use harness::{Component, Daprd, DaprdBuild, DaprdOptions, Result, eventually, free_port};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    ensure,
    support::{
        Fixture, Place, admin,
        app::App,
        endpoints::{at_least, readyz_says},
    },
};

/// How long healing may take: 15 s of proof at most, 5 s between two looks, and a
/// daprd that ends in order and starts again.
const HEALED: Duration = Duration::from_secs(90);

/// Starts daprd again whenever it ends, as Kubernetes or systemd would.
struct Supervisor {
    starts: Arc<AtomicUsize>,
    running: JoinHandle<Result<()>>,
}

impl Supervisor {
    fn start(place: &Place, app_id: String, app_port: u16, http_port: u16) -> Self {
        let starts = Arc::<AtomicUsize>::default();
        let folders = (place.resources(), place.sockets());
        let running = supervise(folders, app_id, app_port, http_port, starts.clone());
        Self {
            starts,
            running: tokio::spawn(running),
        }
    }

    fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Its daprd ends with its handle.
        self.running.abort();
    }
}

async fn supervise(
    (resources, sockets): (PathBuf, PathBuf),
    app_id: String,
    app_port: u16,
    http_port: u16,
    starts: Arc<AtomicUsize>,
) -> Result<()> {
    loop {
        let options = DaprdOptions {
            app_id: &app_id,
            app_port: Some(app_port),
            resources: &resources,
            sockets: &sockets,
        };
        let mut daprd = Daprd::spawn(&DaprdBuild::USUAL.program(), &options, http_port)?;
        starts.fetch_add(1, Ordering::SeqCst);
        daprd.ready().await?;
        daprd.process.wait(Duration::from_secs(600)).await?;
    }
}

/// An app behind a daprd that is supervised, on a component that may heal it.
struct Bench {
    place: Place,
    app: App,
    app_id: String,
    /// daprd's.
    http_port: u16,
}

impl Bench {
    async fn component(&self) -> Result<Component> {
        let url = format!("http://127.0.0.1:{}", self.http_port);
        let heal = ["--heal-daprd", &url];
        self.place.component_with(&["rdkafka"], &heal).await
    }

    /// Publishes through daprd, as the app would.
    async fn publish(&self, topic: &str) -> Result<()> {
        let port = self.http_port;
        let url = format!("http://127.0.0.1:{port}/v1.0/publish/todo-pubsub/{topic}");
        let request = reqwest::Client::new().post(url).json(&json!("a message"));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Kills the component alone; messages must come again by themselves. `send`
    /// makes one more message, in a way that may fail meanwhile.
    async fn killed_and_healed<F>(&self, what: &str, send: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let component = self.component().await?;
        let (app_id, port) = (self.app_id.clone(), self.http_port);
        let supervisor = Supervisor::start(&self.place, app_id, self.app.port, port);
        // It fails until daprd is up.
        let try_it = || async { send().await.ok() };
        eventually("a message is sent", HEALED, try_it).await?;
        self.app.events(1).await?;
        component.process.kill().await?;

        let killed = Instant::now();
        let mut component = self.component().await?;
        let (admin, before) = (component.admin().await?, self.app.seen().len());
        let healed = eventually("a message comes again", HEALED, || async {
            // It may fail until daprd is back; that is what the app would see.
            let _ = send().await;
            (self.app.seen().len() > before).then_some(())
        });
        let healed = healed.await;
        healed.map_err(|error| component.process.failed(&error.to_string()))?;
        let took = killed.elapsed();
        println!("{what}: messages flow again {took:?} after the component's SIGKILL");

        let starts = supervisor.starts();
        ensure!(starts == 2, "daprd was started {starts} times");
        at_least(&admin, "daprd_shutdowns_total{result=\"ok\"}", 1.0).await?;
        readyz_says(&admin, "all is well again", |status, _| status == 200).await?;
        let told = component.process.output();
        ensure!(told.contains("so that it is started afresh"), "{told}");
        Ok(())
    }
}

pub async fn an_app_that_publishes_gets_messages_again(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("heal");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let bench = Bench {
        place: Place::with_component(kafka, &[])?,
        app: App::start(&topic).await?,
        app_id: fixture.name("app"),
        http_port: free_port()?,
    };
    let send = || bench.publish(&topic);
    bench.killed_and_healed("an app that publishes", send).await
}

pub async fn an_app_that_never_publishes_gets_messages_again(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("heal");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let bench = Bench {
        place: Place::with_component(kafka, &[])?,
        app: App::start_raw(&topic).await?,
        app_id: fixture.name("app"),
        http_port: free_port()?,
    };
    let send = || admin::produce(kafka, &topic, "past daprd");
    let what = "an app that never publishes";
    bench.killed_and_healed(what, send).await
}
