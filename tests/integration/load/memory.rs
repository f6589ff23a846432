//! The component's memory at several ratios of compression, and with many partitions.

use std::sync::Arc;

use harness::{Result, ledger::Rolls};

use crate::{
    support::Fixture,
    system::memory::{Backlog, LIMIT, SLOW_LIMIT, event, fits},
};

/// The records of few partitions together take so many bytes when they are read.
const TOTAL: usize = 480_000_000;

/// The same of many partitions. Their records are small, and the writer holds a million at most.
const TOTAL_OF_MANY: usize = 240_000_000;

/// A record's size where the ratio of compression counts, in bytes.
const SIZE: usize = 4_000;

pub async fn ratio_1(fixture: Arc<Fixture>) -> Result<()> {
    // Nothing is inflated, so all partitions fit: this holds the sizes of fetches.
    ratio::<1>(&fixture, 60).await
}

pub async fn ratio_5(fixture: Arc<Fixture>) -> Result<()> {
    ratio::<5>(&fixture, 120).await
}

pub async fn ratio_20(fixture: Arc<Fixture>) -> Result<()> {
    ratio::<20>(&fixture, 60).await
}

pub async fn ratio_100(fixture: Arc<Fixture>) -> Result<()> {
    ratio::<100>(&fixture, 24).await
}

pub async fn partitions_200(fixture: Arc<Fixture>) -> Result<()> {
    many(&fixture, 200).await
}

pub async fn partitions_1000(fixture: Arc<Fixture>) -> Result<()> {
    many(&fixture, 1_000).await
}

/// From a ratio of 5 on, so many partitions take more than the limit if all are fetched at a time.
async fn ratio<const RATIO: usize>(fixture: &Fixture, partitions: i32) -> Result<()> {
    println!("compression ratio of about {RATIO}:");
    let backlog = Backlog {
        partitions,
        records: TOTAL / SIZE / partitions.unsigned_abs() as usize,
        value: compressible::<RATIO>,
    };
    fits(fixture, backlog, SLOW_LIMIT).await
}

async fn many(fixture: &Fixture, partitions: i32) -> Result<()> {
    let backlog = Backlog {
        partitions,
        records: TOTAL_OF_MANY / event(0).len() / partitions.unsigned_abs() as usize,
        value: event,
    };
    fits(fixture, backlog, LIMIT).await
}

/// A record of which one part in `RATIO` is random bytes, and the rest spaces.
fn compressible<const RATIO: usize>(number: usize) -> Vec<u8> {
    let rolls = Rolls { seed: 1 };
    let random = (0..SIZE / RATIO / 8).flat_map(|part| rolls.number((number, part)).to_le_bytes());
    let mut value: Vec<u8> = random.collect();
    value.resize(SIZE, b' ');
    value
}
