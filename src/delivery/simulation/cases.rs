//! Seeds of schedules that failed once.

/// Each with the fault that it found.
const CASES: [(u64, &str); 0] = [];

#[test]
fn what_failed_once_does_not_fail_again() {
    for (seed, found) in CASES {
        let played = super::play(seed, false);
        assert!(played.is_ok(), "{found}: {played:?}");
    }
}
