//! What happens to a record that the app refuses.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

/// How long a refused record waits for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backoff {
    /// Always as long.
    Constant(Duration),
    /// Longer each time, up to a bound.
    Exponential {
        /// The first wait.
        initial: Duration,
        /// The longest wait.
        max: Duration,
        /// What each wait is multiplied with to get the next, 1 or more.
        multiplier: f64,
        /// By what part of itself a wait is varied up and down, 0 to 1.
        randomization: f64,
    },
}

impl Backoff {
    /// The wait after so many failed attempts (1 or more). `salt` varies it: the
    /// same salt gives the same wait, so that the engine stays a pure function.
    pub fn delay(&self, failed: u32, salt: u64) -> Duration {
        match *self {
            Self::Constant(delay) => delay,
            Self::Exponential {
                initial,
                max,
                multiplier,
                randomization,
            } => {
                let doublings = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
                // A power that overflows is infinite, and zero times infinity is NaN.
                let factor = multiplier.powi(doublings).min(f64::MAX);
                let plain = (initial.as_secs_f64() * factor).min(max.as_secs_f64());
                let varied = plain * (1.0 + randomization * unit(failed, salt));
                Duration::from_secs_f64(varied.max(0.0))
            }
        }
    }

    /// The longest wait.
    pub fn longest(&self) -> Duration {
        match *self {
            Self::Constant(delay) => delay,
            Self::Exponential { max, .. } => max,
        }
    }
}

/// A number from -1 to 1 that looks random, and is the same for the same input.
fn unit(failed: u32, salt: u64) -> f64 {
    let mut hasher = DefaultHasher::new();
    (failed, salt).hash(&mut hasher);
    let bits = u32::try_from(hasher.finish() >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// What happens to the records of one subscription that the app refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The waits between attempts.
    pub backoff: Backoff,
    /// After so many attempts the record is not tried as before: it becomes a
    /// dead letter, or, without a topic for those, is tried at the longest wait
    /// for ever. `None`: it is tried as before for ever.
    pub max_attempts: Option<u32>,
    /// The same after so long, counted from the first failure.
    pub max_elapsed: Option<Duration>,
    /// A record whose call broke so often while no other was under way is given up, even if nothing
    /// shows that the app has lived in between. `None`: that takes evidence.
    pub max_breaks: Option<u32>,
    /// The topic for dead letters.
    pub dead_letter: Option<Arc<str>>,
    /// How long after its first failure a record may become a dead letter, so
    /// that a restart of the app makes none.
    pub min_age: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_wait_stays() {
        let backoff = Backoff::Constant(Duration::from_secs(5));
        assert_eq!(backoff.delay(1, 0), backoff.delay(1000, 7));
        assert_eq!(backoff.longest(), Duration::from_secs(5));
    }

    #[test]
    fn an_exponential_wait_grows_to_its_bound() {
        let backoff = Backoff::Exponential {
            initial: Duration::from_millis(100),
            max: Duration::from_millis(350),
            multiplier: 2.0,
            randomization: 0.0,
        };
        let waits: Vec<_> = (1..=4).map(|n| backoff.delay(n, n.into())).collect();
        assert_eq!(waits, [100, 200, 350, 350].map(Duration::from_millis));
        assert_eq!(backoff.delay(u32::MAX, 0), Duration::from_millis(350));
    }

    #[test]
    fn no_wait_stays_none_however_often_it_failed() {
        let backoff = Backoff::Exponential {
            initial: Duration::ZERO,
            max: Duration::from_secs(60),
            multiplier: 2.0,
            randomization: 0.0,
        };
        assert_eq!(backoff.delay(5000, 0), Duration::ZERO);
    }

    #[test]
    fn a_varied_wait_stays_within_its_part_and_differs() {
        let backoff = Backoff::Exponential {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(1),
            multiplier: 1.0,
            randomization: 0.5,
        };
        let waits: Vec<_> = (0..100).map(|salt| backoff.delay(1, salt)).collect();
        let (low, high) = (Duration::from_millis(500), Duration::from_millis(1500));
        assert!(waits.iter().all(|wait| (low..=high).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(800)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(1200)));
        assert_eq!(backoff.delay(1, 3), waits[3], "the same again");
    }
}
