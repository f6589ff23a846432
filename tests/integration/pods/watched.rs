//! A container that is started again when it ends.

use std::time::{Duration, Instant};

use harness::{Daprd, Process, Result};

/// How long the kubelet waits before it starts one again: the first time not at all.
const BACK_OFF: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
];

/// What has a container's process.
pub trait Contained {
    fn process(&mut self) -> &mut Process;
}

impl Contained for Process {
    fn process(&mut self) -> &mut Process {
        self
    }
}

impl Contained for Daprd {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A container over its restarts.
pub struct Watched<T> {
    pub running: Option<T>,
    /// How often it was started.
    pub starts: usize,
    /// When it was started last.
    pub since: Instant,
    /// When it is started again, if it has ended.
    again: Option<Instant>,
    /// What those printed that have ended.
    before: Vec<String>,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self {
            running: None,
            starts: 0,
            since: Instant::now(),
            again: None,
            before: Vec::new(),
        }
    }
}

impl<T: Contained> Watched<T> {
    pub fn started(&mut self, running: T) {
        self.running = Some(running);
        self.starts += 1;
        self.since = Instant::now();
        self.again = None;
    }

    /// Whether it has ended and is to be started again now.
    pub fn is_due(&mut self) -> bool {
        if self
            .running
            .as_mut()
            .is_some_and(|it| it.process().has_ended())
            && let Some(mut ended) = self.running.take()
        {
            self.before.push(ended.process().output());
            let waits = BACK_OFF[self.starts.clamp(1, BACK_OFF.len()) - 1];
            self.again = Some(Instant::now() + waits);
        }
        self.again.is_some_and(|again| again <= Instant::now())
    }

    /// Its process, which has to run.
    pub fn process(&mut self) -> Result<&mut Process> {
        let running = self.running.as_mut().map(Contained::process);
        running.ok_or_else(|| format!("it does not run; before: {:#?}", self.before).into())
    }

    /// Ends it at once, as the system does for want of memory.
    pub async fn killed(&mut self) -> Result<()> {
        self.process()?.signal_inner("KILL").await
    }

    /// What it printed, over all its starts.
    pub fn output(&mut self) -> String {
        let now = self.running.as_mut().map(|it| it.process().output());
        let all = self.before.iter().cloned().chain(now);
        all.collect::<Vec<_>>().join("\n-- started again --\n")
    }
}
