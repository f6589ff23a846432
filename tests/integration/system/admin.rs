use std::sync::Arc;

use harness::Result;

use crate::{
    ensure,
    support::{Fixture, Place, endpoints::get_unix},
};

/// The admin folder stands within the folder where daprd looks for sockets.
pub async fn daprd_minds_its_own_sockets_only(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let place = Place::with_component(kafka, &[])?;
    let _component = place.component().await?;
    let socket = place.sockets().join("admin/rdkafka.sock");
    ensure!(socket.exists(), "there is no admin socket");
    let daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), None)
        .await?;
    let said = daprd.process.output();
    let registered = "pluggable component 'rdkafka' was successfully registered";
    ensure!(said.contains(registered), "{said}");
    ensure!(!said.contains("could not use socket"), "{said}");
    ensure!(!said.contains("/admin"), "{said}");

    let (status, answer) = get_unix(&socket, "/v1/instances").await?;
    let of_daprd = format!("\"process\":{}", daprd.process.id().unwrap_or_default());
    ensure!(
        status == 200 && answer.contains(&of_daprd),
        "{status} {answer}"
    );
    Ok(())
}
