use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, http::StatusCode, routing};
use harness::{Component, Result, eventually};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        endpoints::{at_least, get, readyz, readyz_says, series},
        player::Player,
    },
};

/// How long it takes to prove that daprd is older: 15 s, and 5 s between two looks.
const PROVEN: Duration = Duration::from_secs(60);

/// What a daprd's API says that has loaded our component.
struct Daprd {
    url: String,
    /// How often it was asked what it has loaded.
    looks: Arc<AtomicUsize>,
    /// How often it was asked to shut down.
    asked: Arc<AtomicUsize>,
}

impl Daprd {
    async fn start(component: &'static str) -> Result<Self> {
        Self::answering(component, StatusCode::NO_CONTENT).await
    }

    /// One that answers this to a shutdown.
    async fn answering(component: &'static str, shutdown: StatusCode) -> Result<Self> {
        let (looks, asked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (seen, counter) = (looks.clone(), asked.clone());
        let metadata = json!({ "components": [{ "name": component, "type": "pubsub.rdkafka" }] });
        let routes = Router::new()
            .route(
                "/v1.0/metadata",
                routing::get(|| async move {
                    seen.fetch_add(1, Ordering::SeqCst);
                    Json(metadata)
                }),
            )
            .route(
                "/v1.0/shutdown",
                routing::post(move || async move {
                    counter.fetch_add(1, Ordering::SeqCst);
                    shutdown
                }),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, looks, asked })
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Starts the component, calls it without Init, and waits for what healing says.
async fn called(place: &Place, daprd: &Daprd, state: &str) -> Result<(Component, Value)> {
    let heal = ["--heal-daprd", &daprd.url];
    let mut component = place.component_with(&["rdkafka"], &heal).await?;
    let admin = component.admin().await?;
    let mut player = Player::connect(&place.socket("rdkafka"), "todo-pubsub").await?;
    ensure!(
        player.publish("orders", "a", "x").await.is_err(),
        "there is no instance"
    );
    let said = readyz_says(&admin, state, |status, said| {
        let now = said["heal_daprd"]["state"].as_str().unwrap_or_default();
        status == 503 && now.contains(state)
    })
    .await?;
    Ok((component, said))
}

pub async fn daprd_is_asked_once_per_start_and_within_the_hours_limit(
    _: Arc<Fixture>,
) -> Result<()> {
    let daprd = Daprd::start("todo-pubsub").await?;
    let place = Place::new()?;
    // It was asked twice within the last hour already.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let times = place.sockets().join("admin/rdkafka.heals");
    std::fs::create_dir_all(place.sockets().join("admin"))?;
    std::fs::write(&times, format!("{}\n{}\n", now - 60, now - 30))?;

    // It lives on as if nothing had been said; but once per start is all.
    let (mut component, said) = called(&place, &daprd, "has not come back").await?;
    ensure!(daprd.asked() == 1, "it was asked {} times", daprd.asked());
    let proof = said["heal_daprd"]["proof"].as_str().unwrap_or_default();
    ensure!(proof.contains("called component \"todo-pubsub\""), "{said}");
    let admin = component.admin().await?;
    at_least(&admin, "daprd_shutdowns_total{result=\"ok\"}", 1.0).await?;
    let told = component.process.output();
    ensure!(
        told.contains("asked the daprd at") && told.contains(&daprd.url),
        "{told}"
    );
    let kept = std::fs::read_to_string(&times)?;
    ensure!(kept.lines().count() == 3, "{kept}");
    component.process.kill().await?;

    let (_component, said) = called(&place, &daprd, "3 times within an hour").await?;
    ensure!(
        daprd.asked() == 1,
        "the limit did not outlive the restart: {said}"
    );
    Ok(())
}

pub async fn a_refusal_is_told_and_counts_for_nothing(_: Arc<Fixture>) -> Result<()> {
    let daprd = Daprd::answering("todo-pubsub", StatusCode::FORBIDDEN).await?;
    let place = Place::new()?;
    let times = place.sockets().join("admin/rdkafka.heals");
    // More starts than an hour has shutdowns: none of them took place.
    for start in 1..=4 {
        let (mut component, _) = called(&place, &daprd, "could not be asked").await?;
        let admin = component.admin().await?;
        at_least(&admin, "daprd_shutdowns_total{result=\"failed\"}", 1.0).await?;
        if start == 1 {
            let before = daprd.looks();
            let looked = || async { (daprd.looks() >= before + 2).then_some(()) };
            eventually("daprd is looked at twice more", SOON, looked).await?;
        }
        let (_, said) = readyz(&admin).await?;
        let failed = said["heal_daprd"]["failed"].as_str().unwrap_or_default();
        ensure!(failed.contains("403"), "the cause is told: {said}");
        ensure!(daprd.asked() == start, "{} times: {said}", daprd.asked());
        let kept = std::fs::read_to_string(&times)?;
        ensure!(kept.is_empty(), "a refusal counted: {kept}");
        component.process.kill().await?;
    }
    Ok(())
}

/// An app that only subscribes never calls: nothing but daprd's own list shows it.
pub async fn a_component_that_daprd_only_lists_is_counted(_: Arc<Fixture>) -> Result<()> {
    let daprd = Daprd::answering("todo-pubsub", StatusCode::FORBIDDEN).await?;
    let place = Place::new()?;
    let heal = ["--heal-daprd", &daprd.url];
    let mut component = place.component_with(&["rdkafka"], &heal).await?;
    let url = format!("{}/metrics", component.admin().await?);
    let counted = eventually("it is counted", PROVEN, || async {
        let (_, text) = get(&url).await.ok()?;
        (series(&text, "uninitialised") == Some(1.0)).then_some(text)
    });
    let text = counted.await?;
    ensure!(series(&text, "instances") == Some(0.0), "{text}");
    Ok(())
}

/// Messages matter more: the component serves them all the same.
pub async fn without_its_folder_the_component_runs_unhealed(_: Arc<Fixture>) -> Result<()> {
    let daprd = Daprd::start("todo-pubsub").await?;
    let place = Place::new()?;
    let folder = place.sockets().join("admin");
    std::fs::create_dir_all(place.sockets())?;
    std::fs::write(&folder, "no folder")?;
    let (component, said) = called(&place, &daprd, "can't be kept").await?;
    let state = said["heal_daprd"]["state"].as_str().unwrap_or_default();
    let named = state.contains(&*folder.to_string_lossy()) && state.contains("remove it");
    ensure!(named, "the remedy is named: {state}");
    let warned = component.process.output();
    ensure!(warned.contains(state), "{warned}");
    ensure!(daprd.looks() == 0, "it was asked without a count");
    Ok(())
}

pub async fn without_proof_nothing_is_asked(_: Arc<Fixture>) -> Result<()> {
    // Another daprd on this machine called: this one has not even loaded it.
    let daprd = Daprd::start("another").await?;
    let place = Place::new()?;
    called(&place, &daprd, "waiting").await?;
    ensure!(daprd.asked() == 0, "it was asked without proof");

    let gone = Daprd {
        url: "http://127.0.0.1:1".into(),
        looks: Arc::default(),
        asked: Arc::default(),
    };
    let place = Place::new()?;
    called(&place, &gone, "does not answer").await?;
    Ok(())
}
