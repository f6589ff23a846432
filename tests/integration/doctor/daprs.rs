//! daprd, and the way to it.

use crate::tests;

tests!("system::doctor::daprs",);
