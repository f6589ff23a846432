//! librdkafka alone, in a process of its own, so that what it uses can be read. It has the
//! configuration that the component gives it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use benches::{kafka::KEYS, load::closed, player::properties, usage::cpu_seconds};
use dapr_rdkafka::metadata::{Settings, librdkafka, resolve};
use futures_util::future::try_join_all;
use harness::{Process, Result};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// The first argument of such a process.
pub const COMMAND: &str = "raw";

/// How long such a process may take.
const LIMIT: Duration = Duration::from_secs(300);

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(60);

/// How long one call waits.
const TURN: Duration = Duration::from_millis(100);

/// What it is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Publish as long as this.
    Publish {
        callers: usize,
        per_call: usize,
        size: usize,
        seconds: u64,
    },
    /// Consume so many records; what counts begins at the tenth part.
    Consume { count: usize },
}

/// What it did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Done {
    pub messages: usize,
    pub seconds: f64,
    pub cpu: f64,
}

/// Has a process do the task.
pub async fn start(brokers: &str, topic: &str, task: &Task) -> Result<Done> {
    let program: PathBuf = std::env::current_exe()?;
    let mut command = Command::new(program);
    let task = serde_json::to_string(task)?;
    command.args([COMMAND, brokers, topic, &task]);
    let stopped = Process::start("librdkafka alone", command)?
        .wait(LIMIT)
        .await?;
    let done = stopped.output.lines().find(|line| line.starts_with('{'));
    match done {
        Some(done) => Ok(serde_json::from_str(done)?),
        None => Err(format!("librdkafka alone: {}", stopped.output).into()),
    }
}

/// Does the task, and prints what was done.
pub async fn run(arguments: Vec<String>) -> Result<()> {
    let [brokers, topic, task] = <[String; 3]>::try_from(arguments)
        .map_err(|given| format!("brokers, topic and task are wanted, not {given:?}"))?;
    let settings = resolve(&properties(&brokers, &topic)).map_err(|error| error.to_string())?;
    let settings = settings.settings;
    let done = match serde_json::from_str(&task)? {
        Task::Publish {
            callers,
            per_call,
            size,
            seconds,
        } => {
            let window = Duration::from_secs(seconds);
            publish(&settings, &topic, (callers, per_call, size), window).await?
        }
        Task::Consume { count } => {
            tokio::task::spawn_blocking(move || consume(&settings, &topic, count)).await??
        }
    };
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

fn config(pairs: librdkafka::Pairs) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in pairs {
        config.set(name, value);
    }
    config
}

async fn publish(
    settings: &Settings,
    topic: &str,
    (callers, per_call, size): (usize, usize, usize),
    window: Duration,
) -> Result<Done> {
    let producer: FutureProducer = config(librdkafka::producer(settings, 1_000_000)).create()?;
    let (topic, data) = (topic.to_owned(), vec![b'x'; size]);
    let call = move |n: usize| {
        let (producer, topic, data) = (producer.clone(), topic.clone(), data.clone());
        async move {
            let sent = (0..per_call).map(|at| {
                let (producer, topic, data) = (&producer, &topic, &data);
                async move {
                    let key = format!("k{}", (n * per_call + at) % KEYS);
                    let record = FutureRecord::to(topic).key(&key).payload(data);
                    producer.send(record, Timeout::Never).await
                }
            });
            match try_join_all(sent).await {
                Ok(_) => Ok(()),
                Err((error, _)) => Err(error.into()),
            }
        }
    };
    let mut readings = Vec::new();
    let window = closed(callers, window, call, || {
        readings.push(cpu_seconds(std::process::id())?);
        Ok(())
    })
    .await?;
    Ok(Done {
        messages: window.calls * per_call,
        seconds: window.taken.as_secs_f64(),
        cpu: readings[1] - readings[0],
    })
}

fn consume(settings: &Settings, topic: &str, count: usize) -> Result<Done> {
    let group = format!("{topic}-alone");
    let mut config = config(librdkafka::consumer(settings, &group));
    // The component seeks where it wants to begin.
    config.set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[topic])?;
    let (mut seen, mut begun) = (0, None);
    let me = std::process::id();
    let mut heard = Instant::now();
    while seen < count {
        match consumer.poll(TURN) {
            Some(record) => record.map(drop)?,
            // It returns early after a rebalance, too.
            None if heard.elapsed() < SILENCE => continue,
            None => {
                let silent = format!("{seen} of {count} records, and none for {SILENCE:?}");
                return Err(silent.into());
            }
        }
        heard = Instant::now();
        seen += 1;
        if seen == count / 10 {
            begun = Some((Instant::now(), cpu_seconds(me)?));
        }
    }
    let (begun, cpu) = begun.ok_or("less than ten records were wanted")?;
    Ok(Done {
        messages: count - count / 10,
        seconds: begun.elapsed().as_secs_f64(),
        cpu: cpu_seconds(me)? - cpu,
    })
}

#[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
impl Done {
    /// Messages per second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// CPU seconds for 100,000 messages.
    pub fn cpu_for_100_000(&self) -> f64 {
        self.cpu * 100_000.0 / self.messages.max(1) as f64
    }
}
