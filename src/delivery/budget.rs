//! The memory for records that are read ahead, shared by all groups of the process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Memory for records that librdkafka has read and the engine has not taken, in bytes. Cheap to
/// clone: all clones are the same budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    last: u64,
    used: HashMap<u64, usize>,
}

impl Budget {
    /// A budget of so many bytes, for all groups that use it together.
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Shared {
            total,
            users: Mutex::default(),
        }))
    }

    /// A share for one group.
    pub(super) fn join(&self) -> Share {
        let mut users = self.users();
        users.last += 1;
        let id = users.last;
        users.used.insert(id, 0);
        drop(users);
        Share {
            budget: self.clone(),
            id,
        }
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        // A panic leaves numbers that are correct or will be corrected by the next look.
        self.0.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One group's share of the budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    id: u64,
}

impl Share {
    /// Takes in how much the group uses.
    pub(super) fn uses(&self, bytes: usize) {
        self.budget.users().used.insert(self.id, bytes);
    }

    /// How much the group may use: what the others leave, and at least its equal part.
    pub(super) fn may_use(&self) -> usize {
        let users = self.budget.users();
        let others = users.used.iter().filter(|(id, _)| **id != self.id);
        let others: usize = others.map(|(_, used)| used).sum();
        let total = self.budget.0.total;
        total.saturating_sub(others).max(total / users.used.len())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.users().used.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_what_others_leave_and_at_least_its_part() {
        let budget = Budget::new(100);
        let first = budget.join();
        first.uses(90);
        assert_eq!(first.may_use(), 100, "it is alone");
        let second = budget.join();
        assert_eq!(second.may_use(), 50, "its part, though 10 are left");
        assert_eq!(first.may_use(), 100, "the other uses nothing");
        second.uses(30);
        assert_eq!((first.may_use(), second.may_use()), (70, 50));
        drop(second);
        assert_eq!(first.may_use(), 100);
    }
}
