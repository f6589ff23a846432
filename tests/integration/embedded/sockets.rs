use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use harness::{Component, EmbeddedBroker, Process, Result};
use tokio::process::Command;
use tokio_stream::StreamExt as _;
use tonic_reflection::pb::v1alpha::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON,
        player::{Player, dial, properties},
        program,
    },
};

/// daprd lists services by gRPC reflection v1alpha, and by nothing else.
pub async fn daprd_can_discover_the_service(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let _component = place.component().await?;
    let mut client = ServerReflectionClient::new(dial(&place.socket("rdkafka")).await?);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client
        .server_reflection_info(tokio_stream::once(list))
        .await?;
    let answer = answers.into_inner().next().await.ok_or("no answer")??;
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        return Err(format!("not a list: {answer:?}").into());
    };
    let wanted = "dapr.proto.components.v1.PubSub";
    ensure!(
        list.service.iter().any(|service| service.name == wanted),
        "{list:?}"
    );
    Ok(())
}

pub async fn the_sockets_go_with_the_process_and_live_ones_are_refused(
    _: Arc<Fixture>,
) -> Result<()> {
    let place = Place::new()?;
    let component = place.component().await?;
    let mut second = Command::new(program());
    second
        .arg("run")
        .arg("--socket-folder")
        .arg(place.sockets());
    let refused = Process::start("a second component", second)?
        .wait(SOON)
        .await?;
    ensure!(refused.status.code() == Some(1), "{}", refused.status);
    let named = place.socket("rdkafka").display().to_string();
    ensure!(refused.output.contains(&named), "{}", refused.output);
    ensure!(
        place.socket("rdkafka").exists(),
        "the second one took the first one's socket"
    );

    let stopped = component.stop().await?;
    ensure!(
        stopped.status.success(),
        "{}: {}",
        stopped.status,
        stopped.output
    );
    ensure!(!place.socket("rdkafka").exists(), "the socket is left over");
    Ok(())
}

/// The umask of the process may be anything.
pub async fn others_may_not_write_whatever_the_umask(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let process = place.component_after("umask 0").await?;
    for (path, wanted) in [
        (place.sockets(), 0o755),
        (place.socket("rdkafka"), 0o660),
        (place.sockets().join("admin"), 0o700),
        (place.sockets().join("admin/rdkafka.sock"), 0o600),
    ] {
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o7777;
        ensure!(mode == wanted, "{} has mode {mode:o}", path.display());
    }
    let output = process.stop(SOON).await?.output;
    ensure!(!output.contains("every user"), "{output}");

    let open = ["--socket-mode", "666"];
    let mut warned = place.component_with(&["rdkafka"], &open).await?;
    let told = "is open to every user";
    let process = &mut warned.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    Ok(())
}

/// daprd itself would say nothing.
pub async fn a_socket_that_daprd_may_not_open_is_told_at_start(_: Arc<Fixture>) -> Result<()> {
    let own = nix::unistd::getegid();
    let in_own_group = format!("12345:{own}");
    let pod = [("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
    for (variables, more, told) in [
        (
            &[][..],
            &["--daprd-user", "12345"][..],
            Some("--socket-group 12345"),
        ),
        (&[], &["--daprd-user", &in_own_group], None),
        (&pod, &[], Some("runAsUser and runAsGroup 65532")),
        (&pod, &["--daprd-user", &in_own_group], None),
        (&pod, &["--socket-mode", "666"], None),
        (&[], &[], None),
    ] {
        let place = Place::new()?;
        let mut command = Command::new(program());
        command.env_remove(pod[0].0).envs(variables.iter().copied());
        let sockets = place.sockets();
        let component = Component::start_by(command, &sockets, &["rdkafka"], more).await?;
        let output = component.stop().await?.output;
        let warning = output.lines().find(|line| line.contains("RDK-DAPR-04"));
        let right = match (warning, told) {
            (Some(line), Some(told)) => {
                line.contains("rdkafka.sock") && line.contains("mode 660") && line.contains(told)
            }
            (None, None) => true,
            _ => false,
        };
        ensure!(right, "{variables:?} {more:?}: {output}");
    }
    Ok(())
}

pub async fn the_embedded_broker_prints_its_address_first(_: Arc<Fixture>) -> Result<()> {
    let broker = EmbeddedBroker::start(program(), &["orders"]).await?;
    let output = broker.process.output();
    ensure!(output.starts_with(&broker.address), "{output}");

    // Topics that it was not told of it creates on demand.
    let place = Place::new()?;
    let _component = place.component().await?;
    let properties = properties(&broker.address, "group", &[]);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    for topic in ["orders", "others"] {
        player.publish(topic, "a", topic).await?;
        let texts = player.pull(topic).await?.take(1, SOON).await?;
        ensure!(texts == [topic], "{texts:?}");
    }
    let stopped = broker.process.stop(SOON).await?;
    ensure!(stopped.status.success(), "{}", stopped.status);
    Ok(())
}
