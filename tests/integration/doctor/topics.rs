//! Topics, limits and clocks.

use crate::tests;

tests!("system::doctor::topics",);
