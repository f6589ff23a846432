//! The same checks at Init, and when a running connection breaks.

use crate::tests;

tests!("system::doctor::inits",);
