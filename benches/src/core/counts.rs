//! Allocations for each message.

use std::time::Duration;

use benches::{figures::Kind, is_left_out, kafka};
use harness::Result;
use tokio::process::Command;

use crate::{
    SOCKET, World,
    component::Called,
    counted::{COMMAND, told},
};

const SCENARIO: &str = "allocations for a message";
const WARM_UP: usize = 1000;
const COUNT: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(10);

#[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
pub async fn all(world: &mut World) -> Result<()> {
    if is_left_out(SCENARIO) {
        return Ok(());
    }
    let brokers = world.kafka.address.clone();
    let topics = ["published", "consumed"].map(|name| format!("counted-{name}-{}", world.round));
    kafka::create(&brokers, &topics, 6).await?;
    kafka::fill(&brokers, &topics[1..], COUNT, 200).await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(COMMAND);
    let mut called = Called::start(command, &brokers, &topics[1], 1).await?;

    called.publish_all(&topics[0], WARM_UP).await?;
    let before = read(&mut called, 1).await?;
    called.publish_all(&topics[0], COUNT).await?;
    let between = read(&mut called, 2).await?;
    called.consume(&topics[1..], COUNT).await?;
    let after = read(&mut called, 3).await?;
    for (name, counted) in [("publish", between - before), ("consume", after - between)] {
        let kind = Kind::cost(name, "").against(SOCKET);
        world.add(SCENARIO, kind, SOCKET, counted / COUNT as f64);
    }
    Ok(())
}

/// How many there were so far, when it is asked for the nth time.
async fn read(called: &mut Called, nth: usize) -> Result<f64> {
    let process = &mut called.component.process;
    process.signal("USR1").await?;
    let told = told(nth);
    let line = process
        .line(&told, LIMIT, |line| line.starts_with(&told))
        .await?;
    Ok(line.trim_start_matches(&told).parse()?)
}
