//! The component's container starts late.

use std::{sync::Arc, time::Duration};

use harness::{Result, Stopped};

use super::{
    pod::Pod,
    wanted::{Wanted, Way},
};
use crate::{ensure, support::Fixture, system::todo};

pub async fn a_native_sidecar_is_waited_for(fixture: Arc<Fixture>) -> Result<()> {
    let starts = all(&fixture, Way::NativeSidecar).await?;
    ensure!(starts == [1, 1, 1], "daprd was started {starts:?} times");
    Ok(())
}

pub async fn an_ordinary_container_is_waited_for(fixture: Arc<Fixture>) -> Result<()> {
    let starts = all(&fixture, Way::Container).await?;
    ensure!(starts == [1, 1, 1], "daprd was started {starts:?} times");
    Ok(())
}

/// daprd comes before the component, and does not find it.
pub async fn an_injected_one_has_daprd_restarted(fixture: Arc<Fixture>) -> Result<()> {
    let starts = all(&fixture, Way::Injector).await?;
    ensure!(
        starts[0] <= 2 && starts[1] >= 2 && starts[2] >= 2,
        "daprd was started {starts:?} times"
    );
    Ok(())
}

/// How often daprd was started when the component came so much later.
async fn all(fixture: &Arc<Fixture>, way: Way) -> Result<[usize; 3]> {
    let late = |seconds| Box::pin(goes_around(fixture, way, Duration::from_secs(seconds)));
    let (at_once, later, late) = tokio::try_join!(late(0), late(2), late(8))?;
    Ok([at_once, later, late])
}

/// An event of each of the six topics goes around, and the pod ends in order.
async fn goes_around(fixture: &Arc<Fixture>, way: Way, late: Duration) -> Result<usize> {
    let wanted = Wanted {
        late,
        ..Wanted::new(way, fixture)
    };
    let mut pod = Pod::ready(fixture, wanted).await?;
    let app = pod.todo.as_ref().ok_or("no app")?;
    let played = todo::play(app).await;
    played.map_err(|error| pod.failed(&error.to_string()))?;
    pod.knows_its_daprd().await?;
    let starts = pod.daprd.starts;
    println!("{way:?}, {late:?} late: daprd was started {starts} times");
    let ended = pod.end(|| ()).await?;
    for Stopped { status, output } in [ended.component, ended.daprd] {
        ensure!(status.success(), "{status}: {output}");
    }
    Ok(starts)
}
