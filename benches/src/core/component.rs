//! The component, called by its socket.

use std::{path::Path, time::Duration};

use benches::{
    kafka::KEYS,
    load::closed,
    player::{Player, properties},
    usage::{cpu_seconds, mebibytes},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::{Component, Result};
use tempfile::TempDir;
use tokio::{process::Command, sync::watch, task::JoinSet, time::Instant};

use crate::raw::Done;

/// How long consuming may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A running component, whose instances are initialised.
pub struct Called {
    pub component: Component,
    players: Vec<Player>,
    _sockets: TempDir,
}

/// How it is published to.
#[derive(Clone, Copy)]
pub struct Load {
    pub callers: usize,
    pub per_call: usize,
    pub size: usize,
    pub keys: usize,
    pub window: Duration,
}

impl Load {
    /// By 64 callers, one message a call.
    pub const PLAIN: Self = Self {
        callers: 64,
        per_call: 1,
        size: 200,
        keys: KEYS,
        window: Duration::from_secs(4),
    };
}

impl Called {
    /// Starts a program with so many instances, each with a group of its own.
    pub async fn start(
        command: Command,
        brokers: &str,
        group: &str,
        instances: usize,
    ) -> Result<Self> {
        let sockets = tempfile::tempdir()?;
        let component = Component::start_by(command, sockets.path(), &["rdkafka"], &[]).await?;
        let socket = sockets.path().join("rdkafka.sock");
        let mut players = Vec::new();
        for n in 0..instances {
            players.push(player(&socket, brokers, group, n).await?);
        }
        Ok(Self {
            component,
            players,
            _sockets: sockets,
        })
    }

    fn process(&self) -> Result<u32> {
        let id = self.component.process.id();
        Ok(id.ok_or("the component is gone")?)
    }

    /// The most that it had in memory, in MiB.
    pub fn most_memory(&self) -> Result<f64> {
        mebibytes(self.process()?, "VmHWM")
    }

    /// Publishes to topics and by instances in turn.
    pub async fn publish(&self, topics: &[String], load: Load) -> Result<Done> {
        let (players, topics) = (self.players.clone(), topics.to_vec());
        let call = move |n: usize| {
            let mut player = players[n % players.len()].clone();
            let topic = topics[n % topics.len()].clone();
            async move {
                let key = |n: usize| format!("k{}", n % load.keys);
                let data = vec![b'x'; load.size];
                if load.per_call == 1 {
                    return player.publish(&topic, &key(n), data).await;
                }
                let entry = |at| (key(n * load.per_call + at), data.clone());
                player
                    .bulk(&topic, (0..load.per_call).map(entry).collect())
                    .await
            }
        };
        let process = self.process()?;
        let mut readings = Vec::new();
        let window = closed(load.callers, load.window, call, || {
            readings.push(cpu_seconds(process)?);
            Ok(())
        })
        .await?;
        Ok(Done {
            messages: window.calls * load.per_call,
            seconds: window.taken.as_secs_f64(),
            cpu: readings[1] - readings[0],
        })
    }

    /// Publishes so many, 64 at a time, by the first instance.
    pub async fn publish_all(&self, topic: &str, count: usize) -> Result<()> {
        let published = (0..count).map(|n| {
            let mut player = self.players[0].clone();
            let key = format!("k{}", n % KEYS);
            async move { player.publish(topic, &key, vec![b'x'; 200]).await }
        });
        let published = stream::iter(published).buffer_unordered(Load::PLAIN.callers);
        published.try_collect().await
    }

    /// Each instance consumes all topics, until they have done so many together; what
    /// counts begins at the tenth part.
    pub async fn consume(&self, topics: &[String], count: usize) -> Result<Done> {
        let (done, mut seen) = watch::channel(0);
        let mut consuming = JoinSet::new();
        for player in &self.players {
            for topic in topics {
                let consumed = player
                    .clone()
                    .consume(topic.clone(), Duration::ZERO, done.clone());
                consuming.spawn(consumed);
            }
        }
        let process = self.process()?;
        let mut reached = async |count: usize| {
            let enough = seen.wait_for(|done| *done >= count);
            let waited = tokio::time::timeout(LIMIT, enough).await;
            waited.map_err(|_| format!("not {count} records within {LIMIT:?}"))??;
            Ok::<_, harness::Error>((Instant::now(), cpu_seconds(process)?))
        };
        let both = async { Ok((reached(count / 10).await?, reached(count).await?)) };
        let (begun, ended) = tokio::select! {
            ended = consuming.join_next() => return Err(format!("consuming ended: {ended:?}").into()),
            both = both => { let both: Result<_> = both; both? }
        };
        Ok(Done {
            messages: count - count / 10,
            seconds: (ended.0 - begun.0).as_secs_f64(),
            cpu: ended.1 - begun.1,
        })
    }
}

async fn player(socket: &Path, brokers: &str, group: &str, n: usize) -> Result<Player> {
    let properties = properties(brokers, &format!("{group}-{n}"));
    Player::start(socket, &format!("pubsub-{n}"), properties).await
}
