//! When a client that will not recover is made anew.

use std::time::{Duration, Instant};

/// Waits between making a client anew: at first, and at the most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How a client is doing: pure, so that there is no storm of new clients, and
/// none too late.
///
/// librdkafka recovers from nearly everything by itself, and a new client only
/// disturbs that. So repeated errors alone are no reason for one: a fatal error
/// is, which librdkafka never recovers from, or that nothing has succeeded for
/// long while a fresh client gets an answer.
#[derive(Debug)]
pub struct Health {
    /// How long nothing may succeed.
    patience: Duration,
    failing_since: Option<Instant>,
    /// The last failure: those that lie further apart than the patience are not
    /// one standstill.
    failed_last: Option<Instant>,
    made_anew: Option<Instant>,
    wait: Duration,
}

impl Health {
    /// A client that is well; `patience` is the setting `stallTimeout`.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            failing_since: None,
            failed_last: None,
            made_anew: None,
            wait: FIRST,
        }
    }

    /// Something worked.
    pub fn succeeded(&mut self) {
        self.failing_since = None;
        self.wait = FIRST;
    }

    /// Something did not, though it might have.
    pub fn failed(&mut self, now: Instant) {
        let last = self.failed_last.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) > self.patience) {
            self.failing_since = None;
        }
        self.failing_since.get_or_insert(now);
    }

    /// Whether the last thing that was heard of is a failure.
    pub fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }

    /// Whether nothing has worked for so long that a fresh client is to be asked
    /// whether a broker answers.
    pub fn is_suspect(&self, now: Instant) -> bool {
        let failing = self.failing_since;
        failing.is_some_and(|since| now.saturating_duration_since(since) >= self.patience)
            && self.may_make_anew(now)
    }

    /// Whether the last new client was long enough ago.
    pub fn may_make_anew(&self, now: Instant) -> bool {
        self.made_anew
            .is_none_or(|last| now.saturating_duration_since(last) >= self.wait)
    }

    /// The client was made anew.
    pub fn made_anew(&mut self, now: Instant) {
        if self.made_anew.is_some() {
            self.wait = (self.wait * 2).min(LONGEST);
        }
        self.made_anew = Some(now);
        self.failing_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn only_long_failure_without_success_makes_a_client_suspect() {
        let mut health = Health::new(PATIENCE);
        let begun = Instant::now();
        health.failed(begun);
        health.failed(begun + PATIENCE / 2);
        assert!(!health.is_suspect(begun + PATIENCE / 2));
        assert!(
            health.is_suspect(begun + PATIENCE),
            "counted from the first"
        );
        health.succeeded();
        assert!(!health.is_suspect(begun + PATIENCE * 9));
        health.failed(begun + PATIENCE * 9);
        assert!(!health.is_suspect(begun + PATIENCE * 9));
    }

    #[test]
    fn rare_failures_are_no_standstill() {
        let mut health = Health::new(PATIENCE);
        let begun = Instant::now();
        health.failed(begun);
        let later = begun + PATIENCE * 10;
        health.failed(later);
        assert!(!health.is_suspect(later));
        health.failed(later + PATIENCE);
        assert!(health.is_suspect(later + PATIENCE));
    }

    #[test]
    fn new_clients_come_later_each_time_until_something_works() {
        let mut health = Health::new(PATIENCE);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert!(health.may_make_anew(now));
            health.made_anew(now);
            let begun = now;
            while !health.may_make_anew(now) {
                now += FIRST;
            }
            waits.push((now - begun).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        health.succeeded();
        assert!(health.may_make_anew(now));
        now += FIRST;
        assert!(health.may_make_anew(now));
    }

    #[test]
    fn a_client_that_was_just_made_is_not_suspect() {
        let mut health = Health::new(Duration::ZERO);
        let now = Instant::now();
        health.made_anew(now);
        health.failed(now);
        assert!(!health.is_suspect(now));
        assert!(health.is_suspect(now + FIRST));
    }
}
