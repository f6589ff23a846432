//! What a process takes of the machine.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use harness::Result;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(10);

/// What a process takes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the first one.
    pub at: u64,
    /// Resident memory.
    pub rss_kib: u64,
    pub threads: u64,
    /// Open file descriptors.
    pub files: u64,
}

/// Samples of one process, until it is dropped.
pub(super) struct Samples {
    taken: Arc<Mutex<Vec<Sample>>>,
    _task: AbortOnDropHandle<()>,
}

impl Samples {
    pub(super) fn of(process: u32) -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let samples = taken.clone();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let mut every = interval(EVERY);
            loop {
                every.tick().await;
                let Ok(sample) = sample(process, began.elapsed().as_secs()) else {
                    return;
                };
                samples
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(sample);
            }
        });
        Self {
            taken,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub(super) fn taken(&self) -> Vec<Sample> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.clone()
    }
}

fn sample(process: u32, at: u64) -> Result<Sample> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|text| text.parse().ok()).ok_or("no value")
    };
    Ok(Sample {
        at,
        rss_kib: value("VmRSS:")?,
        threads: value("Threads:")?,
        files: fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64,
    })
}

/// The medians of the first and of the last quarter.
pub fn quarters(samples: &[Sample], of: fn(&Sample) -> u64) -> Option<(u64, u64)> {
    let quarter = samples.len() / 4;
    let median = |samples: &[Sample]| {
        let mut values: Vec<_> = samples.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    Some((
        median(&samples[..quarter])?,
        median(&samples[samples.len() - quarter..])?,
    ))
}

/// Whether the last quarter takes no more than the first: a tenth more memory, and two
/// threads or ten files, are what faults leave for a while.
pub fn is_flat(samples: &[Sample]) -> bool {
    let flat = |of: fn(&Sample) -> u64, more: fn(u64) -> u64| {
        quarters(samples, of).is_some_and(|(first, last)| last <= first + more(first))
    };
    flat(|sample| sample.rss_kib, |first| first / 10)
        && flat(|sample| sample.threads, |_| 2)
        && flat(|sample| sample.files, |_| 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rss: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |at| Sample {
            at,
            rss_kib: rss(at),
            threads: 20,
            files: 40,
        };
        (0..100).map(sample).collect()
    }

    #[test]
    fn what_grows_is_not_flat() {
        assert!(is_flat(&samples(|_| 30_000)));
        assert!(is_flat(&samples(|at| 30_000 + at % 7 * 100)));
        assert!(!is_flat(&samples(|at| 30_000 + at * 100)));
        assert!(!is_flat(&[]));
    }

    #[test]
    fn this_process_has_threads_and_files() {
        let sample = sample(std::process::id(), 0).expect("it is there");
        assert!(sample.threads > 0 && sample.files > 0 && sample.rss_kib > 0);
    }
}
