//! The component runs as another user than daprd.

use std::{sync::Arc, time::Duration};

use harness::Result;
use serde_json::Value;

use super::{
    pod::Pod,
    wanted::{Wanted, Way},
};
use crate::{
    ensure,
    support::{Fixture, SOON, images::SOCKETS},
};

/// A user of the component's container that is none of daprd's.
const OTHER: u32 = 1001;

/// All probes of the component's own container pass, and daprd waits in silence until its liveness
/// probe ends it. The component's log names the cause, and so does the doctor in its container.
pub async fn a_socket_that_daprd_may_not_open_is_named(fixture: Arc<Fixture>) -> Result<()> {
    let wanted = Wanted {
        user: OTHER,
        ..Wanted::new(Way::Container, &fixture)
    };
    let mut pod = Pod::start(&fixture, wanted).await?;

    let told = "RDK-DAPR-04";
    let process = pod.component.process()?;
    process.line(told, SOON, |line| line.contains(told)).await?;

    let brokers = fixture.kafka().await?;
    let asked = pod
        .exec(&[
            "doctor",
            "--brokers",
            brokers,
            "--socket-folder",
            SOCKETS,
            "--daprd-user",
            "65532",
            "--output",
            "json",
        ])
        .await?;
    let said: Value = serde_json::from_str(&asked.output)?;
    let first = &said["findings"][0];
    ensure!(first["code"] == "RDK-DAPR-04", "{said:#}");
    let command = first["fix"]["command"].as_str().unwrap_or_default();
    ensure!(!command.is_empty(), "{said:#}");

    while pod.liveness.kills == 0 {
        pod.tend().await?;
        ensure!(pod.daprd.starts == 1, "daprd ended by itself");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Now at last it names the socket, and still not the cause.
    let socket = format!("unix://{SOCKETS}/rdkafka.sock': context canceled");
    let process = pod.daprd.process()?;
    process
        .line(&socket, SOON, |line| line.contains(&socket))
        .await?;
    let said = pod.daprd.output();
    ensure!(!said.contains("denied"), "{said}");
    Ok(())
}
