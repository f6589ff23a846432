//! Brokers as they are advertised, and clusters of several.

use crate::tests;

tests!("system::doctor::cluster",);
