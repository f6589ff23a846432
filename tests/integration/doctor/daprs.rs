//! daprd, and the way to it.

mod bench;
mod page;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    sync::Arc,
};

use axum::{Json, Router, routing::get};
use bench::{Bench, command_of, run, start};
use harness::{DaprdBuild, Result, eventually, free_port, write_component};
use page::each_code_of_the_page_exists_and_each_link_leads_somewhere;
use serde_json::json;

use crate::{
    ensure,
    support::{Fixture, Place, SOON, app::App},
    tests,
};

tests!(
    "system::doctor::daprs",
    a_daprd_that_uses_this_component_has_no_finding,
    what_daprd_loaded_instead_is_found_and_cured,
    a_daprd_that_does_not_answer_is_told_from_what_is_none,
    sockets_that_stop_daprd_are_found_and_cured,
    a_daprd_that_looks_elsewhere_is_found_and_cured,
    each_code_of_the_page_exists_and_each_link_leads_somewhere,
);

pub async fn a_daprd_that_uses_this_component_has_no_finding(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::new(&fixture, "pubsub.rdkafka").await?;
    bench.load("pubsub.rdkafka")?;
    let _component = bench.place.component().await?;
    let topic = fixture.name("lanes");
    let app = App::start(&topic).await?;
    let with_app = bench
        .place
        .daprd(fixture.daprd, &bench.app_id, Some(app.port))
        .await?;
    let only_publishes = bench
        .place
        .daprd(fixture.daprd, &fixture.name("app"), None)
        .await?;
    let text = bench
        .is_healthy(with_app.http_port, &[])
        .await?
        .json
        .to_string();
    let version = fixture.daprd.version();
    let is_daprd = format!("it is daprd {version}");
    let streams = format!("{topic} (1)");
    for part in [&is_daprd, "pubsub.rdkafka is this component", &streams] {
        ensure!(text.contains(part), "{part} is not in {text}");
    }
    let advice = format!("{streams}; Dapr {version} hands the app one message of each lane");
    ensure!(
        text.contains(&advice) == fixture.daprd.is_serial(),
        "{advice}: {text}"
    );
    let text = bench
        .is_healthy(only_publishes.http_port, &[])
        .await?
        .json
        .to_string();
    ensure!(text.contains("the app has no subscription to it"), "{text}");
    Ok(())
}

pub async fn what_daprd_loaded_instead_is_found_and_cured(fixture: Arc<Fixture>) -> Result<()> {
    tokio::try_join!(
        the_built_in(&fixture),
        none(&fixture),
        another_type(&fixture),
        another_version(&fixture),
    )?;
    Ok(())
}

/// Under the type `pubsub.kafka`, and then without its socket.
async fn the_built_in(fixture: &Fixture) -> Result<()> {
    let bench = Bench::new(fixture, "pubsub.kafka").await?;
    bench.load("pubsub.kafka")?;
    let daprd = bench.daprd().await?;
    let command = command_of(&bench.ask(daprd.http_port, &[]).await?, "RDK-DAPR-09")?;
    let component = start(&command).await?;
    // It is too late for this daprd.
    command_of(&bench.ask(daprd.http_port, &[]).await?, "RDK-DAPR-09")?;
    drop(daprd);
    let daprd = bench.daprd().await?;
    bench.is_healthy(daprd.http_port, &[]).await?;

    fs::remove_file(bench.place.socket("kafka"))?;
    let command = command_of(&bench.ask(daprd.http_port, &[]).await?, "RDK-DAPR-02")?;
    drop((daprd, component));
    let _component = start(&command).await?;
    let daprd = bench.daprd().await?;
    bench.is_healthy(daprd.http_port, &[]).await?;
    Ok(())
}

async fn none(fixture: &Fixture) -> Result<()> {
    let bench = Bench::new(fixture, "pubsub.rdkafka").await?;
    let component = bench.place.component().await?;
    let daprd = bench.daprd().await?;
    let diagnosis = bench.ask(daprd.http_port, &[]).await?;
    diagnosis.is_first("RDK-DAPR-08")?;
    drop(daprd);
    bench.load("pubsub.rdkafka")?;
    let daprd = bench.daprd().await?;
    bench.is_healthy(daprd.http_port, &[]).await?;

    // A successor is not initialised by this daprd.
    component.process.kill().await?;
    let _component = bench.place.component().await?;
    let diagnosis = bench.ask(daprd.http_port, &[]).await?;
    diagnosis.is_first("RDK-DAPR-12")?;
    drop(daprd);
    let daprd = bench.daprd().await?;
    let text = bench
        .is_healthy(daprd.http_port, &[])
        .await?
        .json
        .to_string();
    ensure!(text.contains("was initialised by daprd"), "{text}");
    Ok(())
}

async fn another_type(fixture: &Fixture) -> Result<()> {
    let bench = Bench::new(fixture, "pubsub.rdkafka").await?;
    let _component = bench.place.component().await?;
    write_component(
        &bench.place.resources(),
        "todo-pubsub",
        "pubsub.in-memory",
        &[],
    )?;
    let daprd = bench.daprd().await?;
    let diagnosis = bench.ask(daprd.http_port, &[]).await?;
    diagnosis.is_first("RDK-DAPR-10")?;
    drop(daprd);
    bench.load("pubsub.rdkafka")?;
    let daprd = bench.daprd().await?;
    bench.is_healthy(daprd.http_port, &[]).await?;
    Ok(())
}

/// No daprd that has met another version of this component is to be had: one is played.
async fn another_version(fixture: &Fixture) -> Result<()> {
    let bench = Bench::new(fixture, "pubsub.rdkafka").await?;
    bench.load("pubsub.rdkafka")?;
    let _component = bench.place.component().await?;
    let daprd = bench.daprd().await?;
    let component = json!({
        "name": "todo-pubsub",
        "type": "pubsub.rdkafka",
        "capabilities": ["BULK_PUBSUB", "DAPR_RDKAFKA/0.0.1"],
    });
    let answer = json!({ "runtimeVersion": "1.16.5", "components": [component] });
    let played = Router::new().route("/v1.0/metadata", get(|| async { Json(answer) }));
    let diagnosis = bench.ask(serve(played).await?, &[]).await?;
    ensure!(
        diagnosis.codes() == ["RDK-DAPR-11"] && diagnosis.code == 0,
        "{:#}",
        diagnosis.json
    );
    bench.is_healthy(daprd.http_port, &[]).await?;
    Ok(())
}

async fn serve(routes: Router) -> Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(port)
}

pub async fn a_daprd_that_does_not_answer_is_told_from_what_is_none(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let bench = Bench::new(&fixture, "pubsub.rdkafka").await?;
    bench.load("pubsub.rdkafka")?;
    let mut component = bench.place.component().await?;
    // It does not matter whether the brokers are well.
    let port = free_port()?;
    let dead = ["--set", "brokers=127.0.0.1:1"];
    let diagnosis = bench.ask(port, &dead).await?;
    let codes = diagnosis.codes();
    ensure!(codes.last() == Some(&"RDK-DAPR-05"), "{:#}", diagnosis.json);
    bench.ask(port, &[]).await?.is_first("RDK-DAPR-05")?;

    let mut daprd = bench.daprd_after("DAPR_API_TOKEN=s3cr3t exec", port)?;
    daprd.ready().await?;
    for token in [None, Some("wr0ng")] {
        let token = token.map(|token| ("DAPR_API_TOKEN", token));
        let diagnosis = bench.ask_with(port, &[], token.as_slice()).await?;
        diagnosis.is_first("RDK-DAPR-06")?;
        ensure!(!diagnosis.json.to_string().contains("wr0ng"), "it is shown");
    }
    let right = [("DAPR_API_TOKEN", "s3cr3t")];
    let diagnosis = bench.ask_with(port, &[], &right).await?;
    ensure!(diagnosis.findings().is_empty(), "{:#}", diagnosis.json);

    // Kafka's port, and one that answers HTTP, but not as daprd does.
    let admin = component.admin().await?;
    for address in [&bench.brokers, &admin] {
        let port = address.rsplit_once(':').ok_or("no port")?.1;
        bench
            .ask(port.parse()?, &[])
            .await?
            .is_first("RDK-DAPR-07")?;
    }
    let endless = "x".repeat(5 << 20);
    let endless = Router::new().route("/v1.0/metadata", get(|| async { endless }));
    bench
        .ask(serve(endless).await?, &[])
        .await?
        .is_first("RDK-DAPR-07")?;
    // daprd's own port, as the fix says.
    let diagnosis = bench.ask_with(port, &[], &right).await?;
    ensure!(diagnosis.findings().is_empty(), "{:#}", diagnosis.json);
    Ok(())
}

pub async fn sockets_that_stop_daprd_are_found_and_cured(fixture: Arc<Fixture>) -> Result<()> {
    tokio::try_join!(
        left_behind(&fixture),
        closed_to_a_user(&fixture),
        closed_to_daprd(&fixture),
    )?;
    Ok(())
}

/// As a killed process leaves them: this component's, and another one's.
async fn left_behind(fixture: &Fixture) -> Result<()> {
    let bench = Bench::new(fixture, "pubsub.rdkafka").await?;
    bench.load("pubsub.rdkafka")?;
    drop(UnixListener::bind(bench.place.socket("rdkafka"))?);
    let port = free_port()?;
    let waits = bench.spawn(&DaprdBuild::USUAL.program(), port)?;
    let command = command_of(&bench.ask(port, &[]).await?, "RDK-DAPR-03")?;
    drop(waits);
    let _component = start(&command).await?;
    let daprd = bench.daprd().await?;
    let port = daprd.http_port;
    bench.is_healthy(port, &[]).await?;

    drop(UnixListener::bind(bench.place.socket("other"))?);
    let command = command_of(&bench.ask(port, &[]).await?, "RDK-DAPR-03")?;
    run(&command).await?;
    bench.is_healthy(port, &[]).await?;
    Ok(())
}

/// The way to the socket, and then the socket itself. daprd could use both; the user who
/// is said could not.
async fn closed_to_a_user(fixture: &Fixture) -> Result<()> {
    let bench = Bench::new(fixture, "pubsub.rdkafka").await?;
    bench.load("pubsub.rdkafka")?;
    let mode = ["--socket-mode", "600"];
    let component = bench.place.component_with(&["rdkafka"], &mode).await?;
    let daprd = bench.daprd().await?;
    let sockets = bench.place.sockets();
    let way = sockets.parent().ok_or("it is in a folder")?;
    let user = format!("65532:{}", fs::metadata(&sockets)?.gid());
    let (port, said) = (daprd.http_port, ["--daprd-user", &user]);

    for folder in [way, &sockets] {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    for folder in [way, &sockets] {
        let diagnosis = bench.ask(port, &said).await?;
        diagnosis.is_first("RDK-DAPR-04")?;
        let expected = format!("chmod a+rx {}", folder.display());
        let command = diagnosis.findings()[0]["fix"]["command"].as_str();
        ensure!(command == Some(&expected), "{command:?}");
        run(&expected.split(' ').map(str::to_owned).collect::<Vec<_>>()).await?;
    }
    let command = command_of(&bench.ask(port, &said).await?, "RDK-DAPR-04")?;
    component.stop().await?;
    drop(daprd);
    let _component = start(&command).await?;
    let daprd = bench.daprd().await?;
    bench.is_healthy(daprd.http_port, &said).await?;
    Ok(())
}

/// A daprd of another user, which only root can start: it says nothing, and waits.
async fn closed_to_daprd(fixture: &Fixture) -> Result<()> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(());
    }
    let bench = Bench::new(fixture, "pubsub.rdkafka").await?;
    bench.load("pubsub.rdkafka")?;
    let sockets = bench.place.sockets();
    let way = sockets.parent().ok_or("it is in a folder")?;
    fs::set_permissions(way, Permissions::from_mode(0o755))?;
    let mode = ["--socket-mode", "660"];
    let component = bench.place.component_with(&["rdkafka"], &mode).await?;
    let port = free_port()?;
    let user = "setpriv --reuid 65532 --regid 65532 --clear-groups";
    let waits = bench.daprd_after(&format!("exec {user}"), port)?;
    let process = waits.process.id().unwrap_or_default();
    let is_it = || async {
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        (name.trim() == "daprd").then_some(())
    };
    eventually("setpriv became daprd", SOON, is_it).await?;
    let command = command_of(&bench.ask(port, &[]).await?, "RDK-DAPR-04")?;
    drop(waits);
    component.stop().await?;
    let _component = start(&command).await?;
    let mut daprd = bench.daprd_after(&format!("exec {user}"), port)?;
    daprd.ready().await?;
    bench.is_healthy(port, &[]).await?;
    Ok(())
}

/// daprd's environment names another folder: by the wrong variable it would be the
/// default one, which other tests may use.
pub async fn a_daprd_that_looks_elsewhere_is_found_and_cured(fixture: Arc<Fixture>) -> Result<()> {
    let bench = Bench::new(&fixture, "pubsub.kafka").await?;
    bench.load("pubsub.kafka")?;
    let _component = bench.place.component_with(&["kafka"], &[]).await?;
    let (elsewhere, port) = (Place::new()?, free_port()?);
    fs::create_dir_all(elsewhere.sockets())?;
    let folder = elsewhere.sockets().display().to_string();
    let variable = "DAPR_COMPONENTS_SOCKETS_FOLDER";
    let mut daprd = bench.daprd_after(&format!("{variable}={folder} exec"), port)?;
    daprd.ready().await?;
    let diagnosis = bench.ask(port, &[]).await?;
    diagnosis.is_first("RDK-DAPR-01")?;
    ensure!(diagnosis.codes().len() == 1, "{:#}", diagnosis.json);
    let fix = diagnosis.findings()[0]["fix"]["text"].to_string();
    let setting = format!("{variable}={} ", bench.place.sockets().display());
    ensure!(fix.contains(&setting), "{fix}");
    drop(daprd);

    let port = free_port()?;
    let mut daprd = bench.daprd_after(&format!("{setting} exec"), port)?;
    daprd.ready().await?;
    bench.is_healthy(port, &[]).await?;
    Ok(())
}
