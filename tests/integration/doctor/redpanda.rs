//! What Redpanda does, by a listener that is shaped like it.

use crate::tests;

tests!("system::doctor::redpanda",);
