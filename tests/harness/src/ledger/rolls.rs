use std::hash::{DefaultHasher, Hash, Hasher};

/// Everything random in a run, from one seed. A roll depends on what it is for
/// and not on when it happens, so that a seed gives the same messages and the
/// same moods of the app in every run.
#[derive(Clone, Copy, Debug)]
pub struct Rolls {
    /// What to start from to see the same again.
    pub seed: u64,
}

impl Rolls {
    /// The seed in an environment variable, else a new one.
    pub fn from_env(variable: &str) -> crate::Result<Self> {
        let seed = match std::env::var(variable) {
            Ok(text) => text
                .parse()
                .map_err(|error| format!("{variable}={text}: {error}; give a whole number"))?,
            Err(_) => {
                let now = std::time::UNIX_EPOCH.elapsed()?;
                u64::from(now.subsec_nanos())
            }
        };
        Ok(Self { seed })
    }

    /// A number for a purpose.
    pub fn number(&self, purpose: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, purpose).hash(&mut hasher);
        hasher.finish()
    }

    /// A number below `bound` for a purpose.
    pub fn below(&self, bound: u64, purpose: impl Hash) -> u64 {
        self.number(purpose) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_depends_on_seed_and_purpose_alone() {
        let (one, other) = (Rolls { seed: 1 }, Rolls { seed: 2 });
        assert_eq!(one.number("a"), one.number("a"));
        assert_ne!(one.number("a"), one.number("b"));
        assert_ne!(one.number("a"), other.number("a"));
        assert!((0..100).all(|n| one.below(7, n) < 7));
    }
}
