//! A question to the brokers that is asked again and again, once at a time.

use std::time::{Duration, Instant};

/// When a question is asked.
#[derive(Debug)]
pub(super) struct Question {
    every: Duration,
    due: Instant,
    under_way: bool,
}

impl Question {
    /// One that may be asked at once, and afterwards so often.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self {
            every,
            due: now,
            under_way: false,
        }
    }

    /// Whether it may be asked now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.under_way && self.due <= now
    }

    /// It is asked now; [`Question::ended`] is to follow.
    pub(super) fn asked(&mut self, now: Instant) {
        self.under_way = true;
        self.due = now + self.every;
    }

    /// It was answered, or will not be.
    pub(super) fn ended(&mut self) {
        self.under_way = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_once_at_a_time_and_not_too_often() {
        let (every, now) = (Duration::from_secs(5), Instant::now());
        let mut question = Question::new(every, now);
        assert!(question.is_due(now));
        question.asked(now);
        assert!(!question.is_due(now + 2 * every), "it is under way");
        question.ended();
        assert!(!question.is_due(now + every / 2), "too soon");
        assert!(question.is_due(now + every));
    }
}
