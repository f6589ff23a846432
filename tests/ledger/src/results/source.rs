use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

use harness::{Result, root};

use crate::{Side, faults::Fault};

/// What the component is built from. The built-in's runs do not depend on it.
const COMPONENT: &[&str] = &["Cargo.lock", "build.rs", "proto", "src"];

/// What a run is made of.
const RUN: &[&str] = &[
    "tests/harness/src/daprd.rs",
    "tests/harness/src/kafka",
    "tests/harness/src/kafka.rs",
    "tests/harness/src/kafka_cluster.rs",
    "tests/harness/src/ledger",
    "tests/harness/src/rough_way.rs",
    "tests/ledger/src/run",
    "tests/ledger/src/scene",
];

/// Names all that a run's result depends on: a result of another source is of no use.
pub fn source(fault: &Fault, side: Side) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for path in RUN {
        add(&root().join(path), &mut hasher)?;
    }
    let own = root().join("tests/ledger/src/faults").join(fault.file);
    add(&own, &mut hasher)?;
    if side == Side::Component {
        for path in COMPONENT {
            add(&root().join(path), &mut hasher)?;
        }
        // A debug build is another program.
        super::about::build().hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn add(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    if path.is_dir() {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        let mut entries = entries.collect::<Result<Vec<_>>>()?;
        entries.sort_unstable();
        for entry in entries {
            add(&entry, hasher)?;
        }
    } else {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        path.strip_prefix(root())?.hash(hasher);
        bytes.hash(hasher);
    }
    Ok(())
}
