//! A side, running.

use std::path::PathBuf;

use benches::{
    app::App,
    figures::Kind,
    program,
    usage::{cpu_seconds, mebibytes},
};
use harness::{Component, Daprd, DaprdOptions, Process, Result, write_component};
use tempfile::TempDir;

use crate::World;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Side {
    pub name: &'static str,
    pub is_built_in: bool,
    /// How often the app names each topic.
    pub lanes: usize,
}

pub const BUILT_IN: Side = Side {
    name: "built-in",
    is_built_in: true,
    lanes: 1,
};

pub const COMPONENT: Side = Side {
    name: "component",
    is_built_in: false,
    lanes: 1,
};

pub const LANES: Side = Side {
    name: "component, 16 lanes",
    is_built_in: false,
    lanes: 16,
};

impl Side {
    /// For names of topics.
    pub fn slug(self) -> String {
        match self.is_built_in {
            true => "built-in".into(),
            false => format!("component{}", self.lanes),
        }
    }

    fn kind(self) -> &'static str {
        match self.is_built_in {
            true => "pubsub.kafka",
            false => "pubsub.rdkafka",
        }
    }
}

/// A daprd, and its component unless that is built in. Dropping it kills both.
pub struct Rig {
    pub daprd: Daprd,
    pub component: Option<Component>,
    _place: TempDir,
}

/// Folders for a daprd, with a Component file.
struct Place {
    folder: TempDir,
    resources: PathBuf,
    sockets: PathBuf,
}

impl Place {
    fn new(side: Side, brokers: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let resources = folder.path().join("components");
        let sockets = folder.path().join("sockets");
        std::fs::create_dir_all(&sockets)?;
        let metadata = [
            ("brokers", brokers),
            ("authType", "none"),
            ("initialOffset", "oldest"),
        ];
        write_component(&resources, "pubsub", side.kind(), &metadata)?;
        Ok(Self {
            folder,
            resources,
            sockets,
        })
    }
}

impl Rig {
    /// Starts a side for an app, whose id is also its group.
    pub async fn start(world: &World, side: Side, app_id: &str, app: Option<&App>) -> Result<Self> {
        let place = Place::new(side, &world.kafka.address)?;
        let component = match side.is_built_in {
            true => None,
            false => Some(Component::start(&program()?, &place.sockets, &["rdkafka"]).await?),
        };
        let options = DaprdOptions {
            app_id,
            app_port: app.map(|app| app.port),
            resources: &place.resources,
            sockets: &place.sockets,
        };
        let quiet = ["--log-level", "warn"];
        let daprd = Daprd::start_with(&world.daprd.program(), options, &quiet).await?;
        Ok(Self {
            daprd,
            component,
            _place: place.folder,
        })
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let component = self.component.as_ref().map(|component| &component.process);
        let processes = [Some(&self.daprd.process), component];
        let id = |process: &Process| process.id().ok_or("a process is gone");
        let ids: Result<Vec<_>, _> = processes.into_iter().flatten().map(id).collect();
        Ok(ids?)
    }

    /// CPU seconds so far: of daprd, and of both.
    pub fn cpu(&self) -> Result<(f64, f64)> {
        let used: Result<Vec<_>> = self.processes()?.into_iter().map(cpu_seconds).collect();
        let used = used?;
        Ok((used[0], used.iter().sum()))
    }

    /// What is in memory now, in MiB: of daprd, and of the component if there is one.
    pub fn memory(&self) -> Result<(f64, Option<f64>)> {
        let all = self.processes()?;
        let used = all.into_iter().map(|process| mebibytes(process, "VmRSS"));
        let used: Vec<_> = used.collect::<Result<_>>()?;
        Ok((used[0], used.get(1).copied()))
    }
}

/// Adds the CPU seconds between two readings of [`Rig::cpu`].
#[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
pub fn add_cpu(
    world: &mut World,
    scenario: &str,
    side: Side,
    readings: [(f64, f64); 2],
    events: usize,
) {
    let per = 100_000.0 / events.max(1) as f64;
    let [(daprd, both), (daprd_after, both_after)] = readings;
    let sum = Kind::cost("CPU of daprd and component", "s");
    world.add(scenario, sum, side, (both_after - both) * per);
    let own = Kind::cost("CPU of daprd", "s");
    world.add(scenario, own, side, (daprd_after - daprd) * per);
}
