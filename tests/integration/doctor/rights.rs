//! Permissions, groups and the round trip.

use crate::tests;

tests!("system::doctor::rights",);
