//! How much memory the component takes where records wait for it.

use std::{fs, sync::Arc};

use futures_util::future::try_join_all;
use harness::{Result, root};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, Pull, properties},
        records::{Plain, write},
    },
};

const TOPICS: usize = 6;
const PARTITIONS: i32 = 6;

/// A record's size, in bytes, and how many there are of each topic: far more than are
/// read ahead.
const SIZE: usize = 10_000;
const RECORDS: usize = 4_000;

/// As many are acknowledged of each topic before it is looked at: by then all that may be
/// read ahead was.
const TAKEN: usize = 300;

/// What the manifests allow a container (deploy/sidecar), in KiB.
const LIMIT: usize = 128 * 1024;

/// The most memory that a process had of its own, in KiB. Pages of its program count for a
/// container too, but are given back before it is ended for want of memory; a debug build
/// has far more of them than an image.
fn peak(process: u32) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |name: &str| -> Result<usize> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|text| text.trim().strip_suffix(" kB"));
        Ok(value.ok_or_else(|| format!("no {name}"))?.parse()?)
    };
    Ok(value("VmHWM:")?.saturating_sub(value("RssFile:")?))
}

/// An app that was down for hours comes back to six topics of large records.
pub async fn a_backlog_fits_into_a_pods_limit(fixture: Arc<Fixture>) -> Result<()> {
    let patch = fs::read_to_string(root().join("deploy/sidecar/native/patch.yaml"))?;
    let limit = format!("memory: {}Mi", LIMIT / 1024);
    ensure!(patch.contains(&limit), "no {limit} in the manifest");
    let kafka = fixture.kafka().await?;
    let topics: Vec<_> = (0..TOPICS).map(|_| fixture.name("backlog")).collect();
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Plain::new(number.to_string(), vec![b'x'; SIZE]))
        .collect();
    for topic in &topics {
        admin::create_topic(kafka, topic, PARTITIONS, &[]).await?;
        write(kafka, topic, &records).await?;
    }
    let place = Place::new()?;
    let component = place.component().await?;
    let group = fixture.name("group");
    let mut player =
        Player::start(&place.socket("rdkafka"), properties(kafka, &group, &[])).await?;
    let process = component.process.id().ok_or("it has ended")?;
    let before = peak(process)?;
    let mut pulls: Vec<Pull> = Vec::new();
    for topic in &topics {
        pulls.push(player.pull(topic).await?);
    }
    try_join_all(pulls.iter_mut().map(|pull| pull.take(TAKEN, SOON))).await?;
    let after = peak(process)?;
    println!("{before} KiB before, {after} KiB at most");
    ensure!(after < LIMIT, "{after} KiB are more than {LIMIT}");
    Ok(())
}
