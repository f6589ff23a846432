//! Load: as fast as callers get answers, or at fixed times whatever the answers do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use harness::Result;
use tokio::task::JoinSet;

/// How long callers call before the clock starts.
pub const WARM_UP: Duration = Duration::from_secs(1);

/// What happened while the clock ran.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Calls that were answered.
    pub calls: usize,
    /// How long it ran.
    pub taken: Duration,
}

/// Each of the callers calls again when it has its answer; `at_edge` runs when the clock
/// starts, and when it stops. An error ends all.
pub async fn closed<F>(
    callers: usize,
    within: Duration,
    call: impl Fn(usize) -> F + Clone + Send + 'static,
    mut at_edge: impl FnMut() -> Result<()>,
) -> Result<Window>
where
    F: Future<Output = Result<()>> + Send,
{
    let calls = Arc::new(AtomicUsize::new(0));
    let next = Arc::new(AtomicUsize::new(0));
    let mut running: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..callers {
        let (call, calls, next) = (call.clone(), calls.clone(), next.clone());
        running.spawn(async move {
            loop {
                call(next.fetch_add(1, Ordering::Relaxed)).await?;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut failed = async || match running.join_next().await {
        Some(Ok(Err(error))) => error,
        other => format!("a caller ended: {other:?}").into(),
    };
    tokio::select! {
        error = failed() => return Err(error),
        () = tokio::time::sleep(WARM_UP) => {}
    }
    at_edge()?;
    let (begun, before) = (Instant::now(), calls.load(Ordering::Relaxed));
    tokio::select! {
        error = failed() => return Err(error),
        () = tokio::time::sleep(within) => {}
    }
    let (taken, after) = (begun.elapsed(), calls.load(Ordering::Relaxed));
    at_edge()?;
    Ok(Window {
        calls: after - before,
        taken,
    })
}

/// Calls at fixed times, so many in a second, whether the calls before have been answered
/// or not; what is late is late by the plan's clock. Returns when each was due.
pub async fn open<F>(
    per_second: u32,
    count: usize,
    call: impl Fn(usize) -> F + Send + 'static,
) -> Result<Vec<Instant>>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    let pause = Duration::from_secs(1) / per_second;
    // A thread, since it wakes up to 50 µs late and tokio's timer up to 1 ms.
    let planned = tokio::task::spawn_blocking(move || {
        let begun = Instant::now() + pause;
        let mut running = JoinSet::new();
        let mut due = Vec::with_capacity(count);
        for n in 0..count {
            let at = begun + pause * u32::try_from(n).unwrap_or(u32::MAX);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            running.spawn_on(call(n), &runtime);
            due.push(at);
        }
        (running, due)
    });
    let (mut running, due) = planned.await?;
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(due)
}
