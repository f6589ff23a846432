//! Versions and logins, and why the built-in failed.

use crate::tests;

tests!("system::doctor::logins",);
