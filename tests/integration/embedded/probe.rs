use std::{
    fs::Permissions,
    os::unix::{fs::PermissionsExt as _, net::UnixListener as Listener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{Process, Result, Stopped};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UnixListener},
    process::Command,
    task::JoinHandle,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use super::Bench;
use crate::{
    ensure,
    support::{Fixture, Place, SOON, program},
};

/// More than a question may take, and much less than the time that a hanging process has.
const BOUND: Duration = Duration::from_secs(5);

fn command(program: &Path, place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg("probe").args(arguments);
    command.arg("--socket-folder").arg(place.sockets());
    command
}

async fn ended(command: Command) -> Result<Stopped> {
    Process::start("a probe", command)?.wait(SOON).await
}

async fn probe(place: &Place, arguments: &[&str]) -> Result<Stopped> {
    ended(command(program(), place, arguments)).await
}

async fn passes(place: &Place, arguments: &[&str]) -> Result<()> {
    let Stopped { status, output } = probe(place, arguments).await?;
    ensure!(status.success() && output.is_empty(), "{status}: {output}");
    Ok(())
}

/// It fails with one line that names the socket, what is wrong, and what to do.
async fn fails(place: &Place, arguments: &[&str], parts: &[&str]) -> Result<()> {
    says(&probe(place, arguments).await?, parts)
}

fn says(Stopped { status, output }: &Stopped, parts: &[&str]) -> Result<()> {
    ensure!(status.code() == Some(1), "{status}: {output}");
    ensure!(output.lines().count() == 1, "not one line: {output}");
    for part in parts {
        ensure!(output.contains(part), "{part} is not in: {output}");
    }
    Ok(())
}

fn socket(place: &Place) -> Result<PathBuf> {
    std::fs::create_dir_all(place.sockets())?;
    let path = place.socket("rdkafka");
    let _ = std::fs::remove_file(&path);
    Ok(path)
}

pub async fn what_is_wrong_with_a_socket_is_named_with_the_remedy(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let path = socket(&place)?;
    let named = path.display().to_string();
    fails(
        &place,
        &["socket"],
        &[&named, "no such socket", "--socket-folder"],
    )
    .await?;
    let admin = place.sockets().join("admin/rdkafka.sock");
    let admin = admin.display().to_string();
    fails(&place, &["live"], &[&admin, "no such socket"]).await?;
    std::fs::write(&path, "no socket")?;
    fails(&place, &["socket"], &[&named, "no socket; remove it"]).await?;
    drop(Listener::bind(socket(&place)?)?);
    fails(
        &place,
        &["socket"],
        &[&named, "nobody listens", "remove it"],
    )
    .await?;

    let _hangs = Listener::bind(socket(&place)?)?;
    let begun = Instant::now();
    fails(
        &place,
        &["socket"],
        &[&named, "no answer within 800ms", "restart"],
    )
    .await?;
    ensure!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());

    let other = answering(&socket(&place)?)?;
    fails(&place, &["socket"], &[&named, "v1alpha"]).await?;
    other.abort();
    let health = serving(&socket(&place)?)?;
    let told = [
        "it serves",
        "grpc.health.v1.Health",
        "not dapr.proto.components.v1.PubSub",
    ];
    fails(&place, &["socket"], &told).await?;
    health.abort();
    Ok(())
}

/// Something that speaks no gRPC.
fn answering(path: &Path) -> Result<JoinHandle<std::io::Result<()>>> {
    let listener = UnixListener::bind(path)?;
    Ok(tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await?;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    }))
}

/// Something that speaks gRPC, and is no pub/sub component.
fn serving(path: &Path) -> Result<JoinHandle<()>> {
    let incoming = UnixListenerStream::new(UnixListener::bind(path)?);
    let (_, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1alpha()?;
    let server = Server::builder()
        .add_service(health)
        .add_service(reflection);
    Ok(tokio::spawn(async move {
        let _ = server.serve_with_incoming(incoming).await;
    }))
}

pub async fn a_running_component_passes_and_a_hanging_one_does_not(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let component = place
        .component_with(&["rdkafka", "kafka"], &["--admin-listen", "off"])
        .await?;
    let both = ["--name", "rdkafka", "--name", "kafka"];
    for question in ["socket", "live"] {
        passes(&place, &[&[question][..], &both].concat()).await?;
    }
    let third = ["socket", "--name", "rdkafka", "--name", "third"];
    fails(&place, &third, &["third.sock", "no such socket"]).await?;

    component.process.signal("STOP").await?;
    for question in ["socket", "live"] {
        let begun = Instant::now();
        fails(
            &place,
            &[&[question][..], &both].concat(),
            &["no answer within"],
        )
        .await?;
        ensure!(
            begun.elapsed() < BOUND,
            "{question} took {:?}",
            begun.elapsed()
        );
    }
    component.process.signal("CONT").await?;
    passes(&place, &[&["live", "--wait", "10s"][..], &both].concat()).await?;
    component.process.kill().await?;
    fails(
        &place,
        &[&["live"][..], &both].concat(),
        &["rdkafka+kafka.sock", "nobody listens"],
    )
    .await
}

pub async fn a_probe_waits_as_long_as_it_was_told(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let begun = Instant::now();
    fails(&place, &["socket", "--wait", "1s"], &["no such socket"]).await?;
    ensure!(
        begun.elapsed() >= Duration::from_millis(800),
        "it did not wait"
    );
    let waiting = command(program(), &place, &["socket", "--wait", "60s"]);
    let waiting = Process::start("a probe", waiting)?;
    let _component = place.component().await?;
    let Stopped { status, output } = waiting.wait(SOON).await?;
    ensure!(status.success(), "{status}: {output}");
    Ok(())
}

/// As another user, or, for one who can't become that, without any permission.
pub async fn who_may_not_open_the_socket_is_told_whose_it_is(_: Arc<Fixture>) -> Result<()> {
    let place = Place::new()?;
    let folder = place.sockets();
    let open = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    let path = socket(&place)?;
    let _listener = Listener::bind(&path)?;
    let above = folder.parent().ok_or("a folder above")?;
    // Whoever asks must find the program.
    let copy = above.join("dapr-rdkafka");
    std::fs::copy(program(), &copy)?;
    let mut command = command(&copy, &place, &["socket"]);
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        command.uid(65532).gid(65532);
    }
    open(above, 0o755)?;
    open(&folder, 0o755)?;
    open(&path, if is_root { 0o660 } else { 0 })?;
    let stopped = ended(command).await?;
    let user = if is_root {
        65532
    } else {
        nix::unistd::geteuid().as_raw()
    };
    let who = format!("permission denied for user {user} with group");
    let mode = if is_root { "mode 660" } else { "mode 0;" };
    says(
        &stopped,
        &[&path.display().to_string(), &who, mode, "--socket-group"],
    )
}

/// The port answers 32 at once, and each may take 5 s. The private socket has room of its own.
pub async fn connections_to_the_admin_port_keep_no_liveness_waiting(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start(&["orders"]).await?;
    let admin = bench.component.admin().await?;
    let address = admin.trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..256 {
        idle.push(TcpStream::connect(&address).await?);
    }
    for _ in 0..8 {
        passes(&bench.place, &["live"]).await?;
    }
    Ok(())
}
