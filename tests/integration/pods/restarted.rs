//! Containers that end and are started again, in a pod whose volumes live on.

use std::{sync::Arc, time::Duration};

use harness::Result;
use serde_json::json;

use super::{
    pod::Pod,
    wanted::{Wanted, Way},
};
use crate::{
    ensure,
    support::{Fixture, app::App, images::SOCKETS},
};

const TOPIC: &str = "task-created";

/// A pod whose app has received an event.
async fn received(fixture: &Arc<Fixture>, heal: bool) -> Result<(Pod, App)> {
    let app = App::start(TOPIC).await?;
    let wanted = Wanted {
        app_port: Some(app.port),
        heal,
        ..Wanted::new(Way::NativeSidecar, fixture)
    };
    let mut pod = Pod::ready(fixture, wanted).await?;
    goes_around(&mut pod, &app, "before").await?;
    Ok((pod, app))
}

/// An event that is published comes back.
async fn goes_around(pod: &mut Pod, app: &App, text: &str) -> Result<()> {
    let text = format!("{text} of {}", pod.wanted.app_id);
    pod.publish(TOPIC, &json!(text)).await?;
    let came = || async { app.seen().iter().any(|event| event.body["data"] == text) };
    pod.keep("the event comes back", came).await
}

/// SIGKILL leaves the socket's file in the emptyDir. The kubelet starts the component again, which
/// replaces the file; a daprd that lives on does not initialise it, and each publish says so.
pub async fn a_component_that_was_killed_is_named_until_daprd_restarts(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let (mut pod, app) = received(&fixture, false).await?;
    pod.component.killed().await?;
    pod.component_again().await?;
    let (told, replaced) = (
        pod.component.output(),
        format!("replacing {SOCKETS}/rdkafka.sock"),
    );
    ensure!(told.contains(&replaced), "{told}");

    let refused = pod.publish(TOPIC, &json!("lost?")).await;
    let error = refused
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    ensure!(error.contains("restart daprd"), "{error:?}");

    pod.daprd.killed().await?;
    pod.daprd_again().await?;
    goes_around(&mut pod, &app, "after").await
}

/// Its successor is in a PID namespace of its own too, so nothing tells the two apart but that the
/// second calls Init: it takes over the one instance, and its group without waiting for anything.
pub async fn a_daprd_that_was_killed_is_succeeded(fixture: Arc<Fixture>) -> Result<()> {
    let (mut pod, app) = received(&fixture, false).await?;
    pod.daprd.killed().await?;
    pod.daprd_again().await?;
    goes_around(&mut pod, &app, "after").await?;
    pod.knows_its_daprd().await?;
    ensure!(pod.component.starts == 1, "{} starts", pod.component.starts);
    Ok(())
}

/// With `--heal-daprd` nobody has to do that.
pub async fn healing_has_daprd_restarted(fixture: Arc<Fixture>) -> Result<()> {
    let (mut pod, app) = received(&fixture, true).await?;
    pod.component.killed().await?;
    pod.component_again().await?;
    pod.daprd_again().await?;
    goes_around(&mut pod, &app, "after").await?;
    ensure!(pod.daprd.starts == 2, "{} starts", pod.daprd.starts);
    Ok(())
}

/// Both are killed, and daprd is there first: it waits at the old socket's file, finds the new one
/// in its place, and goes on.
pub async fn both_killed_come_back_over_the_old_socket(fixture: Arc<Fixture>) -> Result<()> {
    let (mut pod, app) = received(&fixture, false).await?;
    pod.late_again = Duration::from_secs(3);
    pod.component.killed().await?;
    pod.daprd.killed().await?;
    pod.daprd_again().await?;
    goes_around(&mut pod, &app, "after").await?;
    ensure!(pod.daprd.starts == 2, "{} starts", pod.daprd.starts);
    ensure!(pod.liveness.kills == 0, "daprd did not live");
    Ok(())
}
