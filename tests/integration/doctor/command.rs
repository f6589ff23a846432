//! The command itself: what it writes, how it ends.

use crate::tests;

tests!("system::doctor::command",);
