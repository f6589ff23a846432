//! Starts and stops the real daprd, Kafka, component and Todo app, for the tests
//! and the demo.
//!
//! Every child is ended by its id when its handle is dropped. Waiting is always
//! for a state, with a deadline; what a child printed is told when it fails.

mod certificates;
mod component;
#[cfg(target_os = "linux")]
pub mod container;
mod daprd;
mod kafka;
mod kafka_cluster;
mod kafka_security;
pub mod lab;
pub mod ledger;
mod process;
mod prometheus;
mod proxy;
mod rough_way;
mod todo;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

pub use certificates::{Authority, Identity};
pub use component::{Component, EmbeddedBroker, copy_sample, write_component};
pub use daprd::{Daprd, DaprdBuild, DaprdOptions};
pub use kafka::{Kafka, Release};
pub use kafka_cluster::KafkaCluster;
pub use kafka_security::{DOTTED, PASSWORD, SecureKafka, USER, Way};
pub use lab::{Advertise, Behaviour, Lab, LabOptions, LabTls, Ranges};
pub use process::{Process, Stopped};
pub use prometheus::{Prometheus, prometheus_program};
pub use proxy::Proxy;
pub use rough_way::{Direction, RoughWay, Weather};
pub use todo::{TODO_TOPICS, Todo};

/// What goes wrong here goes wrong for a person: text is enough.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The harness's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long a child may take to come up on a loaded machine with two cores.
pub const STARTUP: Duration = Duration::from_secs(45);

/// Where free ports are looked for: below the range from which the system takes
/// the local ports of outgoing connections, any of which could take a port in
/// between.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The next port to try. It starts at a different one in each process, far from that
/// of a process that was started beside this one (Knuth's multiplicative hash).
static NEXT_PORT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let spread =
        std::process::id().wrapping_mul(2_654_435_761) % u32::from(PORTS.end - PORTS.start);
    AtomicU16::new(PORTS.start + u16::try_from(spread).unwrap_or_default())
});

/// A port that nobody listens on right now, and that this function gives to nobody
/// else for a long time.
pub fn free_port() -> Result<u16> {
    for _ in PORTS {
        let next = |port| {
            Some(if port + 1 == PORTS.end {
                PORTS.start
            } else {
                port + 1
            })
        };
        let port = NEXT_PORT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let port = port.unwrap_or(PORTS.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port of {PORTS:?} is free").into())
}

/// The repository's root.
pub fn root() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).unwrap_or(harness).to_owned()
}

/// The folder that cargo built this program's binaries and `examples/` into.
pub fn build_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    // target/debug/deps/<test> or target/debug/examples/<example>
    let folder = program.ancestors().nth(2);
    Ok(folder
        .ok_or("this program stands in no build folder")?
        .to_owned())
}

/// Waits until `state` gives a value; `what` names it if it never does. Asks
/// again every 50 ms.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    mut state: impl FnMut() -> F,
) -> Result<T> {
    let mut interval = tokio::time::interval(Duration::from_millis(50));
    let asked = async {
        loop {
            interval.tick().await;
            if let Some(value) = state().await {
                return value;
            }
        }
    };
    tokio::time::timeout(within, asked)
        .await
        .map_err(|_| format!("not within {within:?}: {what}").into())
}
