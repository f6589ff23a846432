//! What the tests share.

pub mod app;
pub mod brokers;
pub mod doctor;
pub mod endpoints;
#[cfg(target_os = "linux")]
pub mod images;
pub mod letters;
pub mod members;
pub mod notebook;
pub mod page;
pub mod player;
pub mod records;
pub mod transactions;
pub mod troubled;

use std::{
    future::Future,
    ops::Deref,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use harness::{
    Component, Daprd, DaprdBuild, DaprdOptions, Kafka, Process, Result, SecureKafka,
    write_component,
};
pub use ledger::{admin, idp};
use tempfile::TempDir;
use tokio::{process::Command, runtime::Runtime, sync::OnceCell};

use crate::load;

/// How long any one test may take, unless it is a heavy run.
const LIMIT: Duration = Duration::from_secs(300);

/// How long something may take that should happen at once: a machine with two
/// cores runs two tests, each with several processes.
pub const SOON: Duration = Duration::from_secs(20);

/// One test.
#[derive(Clone, Copy)]
pub struct Test {
    /// Its name.
    pub name: &'static str,
    /// Its body.
    pub run: fn(Arc<Fixture>) -> Running,
}

/// A test under way.
pub type Running = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Lists tests: their functions, under a name for each.
#[macro_export]
macro_rules! tests {
    ($room:literal: $($module:ident::$test:ident),* $(,)?) => {
        /// The tests of this room.
        pub const TESTS: &[$crate::support::Test] = &[$(
            $crate::support::Test {
                name: concat!($room, "::", stringify!($module), "::", stringify!($test)),
                run: |fixture| Box::pin($module::$test(fixture)),
            },
        )*];
    };
    // The same of functions that stand in the same file.
    ($room:literal, $($test:ident),* $(,)?) => {
        /// The tests of this file.
        pub const TESTS: &[$crate::support::Test] = &[$(
            $crate::support::Test {
                name: concat!($room, "::", stringify!($test)),
                run: |fixture| Box::pin($test(fixture)),
            },
        )*];
    };
}

/// What a test is given: what all tests share, and the daprd that it runs on.
pub struct Fixture {
    shared: Arc<Shared>,
    /// The daprd for [`Place::daprd`].
    pub daprd: DaprdBuild,
}

impl Deref for Fixture {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// The runtime, and the Kafkas that tests share; each uses names of its own.
/// They end with it, before the runtime does.
pub struct Shared {
    kafka: OnceCell<Kafka>,
    secure_kafka: OnceCell<SecureKafka>,
    token_kafka: OnceCell<idp::TokenKafka>,
    todo_topics: OnceCell<()>,
    #[cfg(target_os = "linux")]
    images: OnceCell<images::Images>,
    runtime: Runtime,
    names: AtomicU32,
}

impl Shared {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            runtime: Runtime::new()?,
            kafka: OnceCell::new(),
            secure_kafka: OnceCell::new(),
            token_kafka: OnceCell::new(),
            todo_topics: OnceCell::new(),
            #[cfg(target_os = "linux")]
            images: OnceCell::new(),
            names: AtomicU32::new(0),
        })
    }

    /// Runs a test on a daprd to its end.
    pub fn run(self: &Arc<Self>, test: Test, daprd: DaprdBuild) -> Result<()> {
        let (daprd, limit) = if load::is_one(test.name) {
            (load::daprd()?, load::LIMIT)
        } else {
            (daprd, LIMIT)
        };
        let shared = self.clone();
        let run = (test.run)(Arc::new(Fixture { shared, daprd }));
        self.runtime.block_on(async {
            tokio::time::timeout(limit, run)
                .await
                .map_err(|_| format!("not done within {limit:?}"))?
        })
    }

    /// The address of the shared Kafka, started for the first test that asks.
    pub async fn kafka(&self) -> Result<&str> {
        let kafka = self.kafka.get_or_try_init(Kafka::start).await?;
        Ok(&kafka.address)
    }

    /// The same with the Todo app's topics, created for the first test that asks.
    pub async fn todo_kafka(&self) -> Result<&str> {
        let kafka = self.kafka().await?;
        let created = || crate::system::todo::create_topics(kafka);
        self.todo_topics.get_or_try_init(created).await?;
        Ok(kafka)
    }

    /// The root filesystems of a pod, made for the first test that asks.
    #[cfg(target_os = "linux")]
    pub async fn images(&self) -> Result<&images::Images> {
        self.images.get_or_try_init(images::Images::make).await
    }

    /// The shared Kafka with a listener for each way to connect, started likewise.
    pub async fn secure_kafka(&self) -> Result<&SecureKafka> {
        self.secure_kafka.get_or_try_init(SecureKafka::start).await
    }

    /// The Kafka that takes tokens only, started for the first test that asks.
    pub async fn token_kafka(&self) -> Result<&idp::TokenKafka> {
        self.token_kafka
            .get_or_try_init(idp::TokenKafka::start)
            .await
    }

    /// A name that no other test has.
    pub fn name(&self, prefix: &str) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{number}")
    }
}

/// The component's program.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_dapr-rdkafka"))
}

/// Folders for one test's sockets and Component files.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
        })
    }

    pub fn sockets(&self) -> PathBuf {
        self.folder.path().join("sockets")
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.sockets().join(format!("{name}.sock"))
    }

    pub fn resources(&self) -> PathBuf {
        self.folder.path().join("components")
    }

    /// A place with the Component `todo-pubsub` for these brokers, and what the test
    /// adds to its metadata.
    pub fn with_component(brokers: &str, more: &[(&str, &str)]) -> Result<Self> {
        let place = Self::new()?;
        let given = [
            ("brokers", brokers),
            ("authType", "none"),
            ("initialOffset", "oldest"),
        ];
        let metadata = [&given, more].concat();
        write_component(
            &place.resources(),
            "todo-pubsub",
            "pubsub.rdkafka",
            &metadata,
        )?;
        Ok(place)
    }

    /// Puts the Component `todo-pubsub` here in one step, as a daprd that watches the
    /// folder has to find it.
    pub fn put_component(&self, kind: &str, metadata: &[(&str, &str)]) -> Result<()> {
        self.put(kind, metadata, "")
    }

    /// The same with `ignoreErrors`: daprd goes on without the component if it can't
    /// be initialised.
    pub fn put_lenient_component(&self, kind: &str, metadata: &[(&str, &str)]) -> Result<()> {
        self.put(kind, metadata, "  ignoreErrors: true\n")
    }

    fn put(&self, kind: &str, metadata: &[(&str, &str)], more: &str) -> Result<()> {
        let next = self.folder.path().join("next");
        write_component(&next, "todo-pubsub", kind, metadata)?;
        let file = next.join("todo-pubsub.yaml");
        let spec = "spec:\n";
        let yaml = std::fs::read_to_string(&file)?.replace(spec, &format!("{spec}{more}"));
        std::fs::write(&file, yaml)?;
        std::fs::create_dir_all(self.resources())?;
        Ok(std::fs::rename(
            file,
            self.resources().join("todo-pubsub.yaml"),
        )?)
    }

    /// Starts the component with its sockets here.
    pub async fn component(&self) -> Result<Component> {
        Component::start(program(), &self.sockets(), &["rdkafka"]).await
    }

    /// The same with more arguments.
    pub async fn component_with(&self, names: &[&str], more: &[&str]) -> Result<Component> {
        Component::start_with(program(), &self.sockets(), names, more).await
    }

    /// The program alone, after a shell's command that changes what it may do.
    pub async fn component_after(&self, command: &str) -> Result<Process> {
        let script = format!("{command} && exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(program());
        command.args(["run", "--admin-listen", "off", "--socket-folder"]);
        command.arg(self.sockets());
        let mut process = Process::start("dapr-rdkafka", command)?;
        let bound = "listens on";
        process
            .line(bound, SOON, |line| line.contains(bound))
            .await?;
        Ok(process)
    }

    /// Starts a daprd with this place's folders.
    pub async fn daprd(
        &self,
        build: DaprdBuild,
        app_id: &str,
        app_port: Option<u16>,
    ) -> Result<Daprd> {
        self.daprd_with(build, app_id, app_port, &[]).await
    }

    /// The same with Dapr's hot reload: a changed Component is closed and initialised again.
    /// Dapr 1.18 does so unasked; 1.16 needs the feature `HotReload`.
    pub async fn reloading_daprd(
        &self,
        build: DaprdBuild,
        app_id: &str,
        app_port: Option<u16>,
    ) -> Result<Daprd> {
        if build != DaprdBuild::V1_16_5 {
            return self.daprd(build, app_id, app_port).await;
        }
        let configuration = self.folder.path().join("configuration.yaml");
        let yaml = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: reload\n\
                    spec:\n  features:\n  - name: HotReload\n    enabled: true\n";
        std::fs::write(&configuration, yaml)?;
        let configuration = configuration.display().to_string();
        self.daprd_with(build, app_id, app_port, &["--config", &configuration])
            .await
    }

    async fn daprd_with(
        &self,
        build: DaprdBuild,
        app_id: &str,
        app_port: Option<u16>,
        more: &[&str],
    ) -> Result<Daprd> {
        let options = DaprdOptions {
            app_id,
            app_port,
            resources: &self.resources(),
            sockets: &self.sockets(),
        };
        Daprd::start_with(&build.program(), options, more).await
    }
}

/// Fails a test with a message, unless it holds.
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+).into());
        }
    };
}
