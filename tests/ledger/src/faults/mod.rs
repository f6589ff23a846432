//! What may break: a row per fault.

mod app;
mod brokers;
mod members;
mod network;
mod records;
mod rights;
mod soak;
mod topics;

pub use soak::soak;

use std::{future::Future, pin::Pin};

use harness::Result;

use crate::{
    Side,
    scene::{Shape, Stage},
};

/// A fault.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name, as `FAULT=` gives it.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// For whom it means anything.
    pub sides: &'static [Side],
    /// How many seeds it is run with.
    pub seeds: u64,
    /// The run around it.
    pub shape: Shape,
    /// Makes it, and waits until it has healed.
    pub run: for<'a> fn(&'a mut Stage) -> Running<'a>,
    /// The file that it stands in, below this one.
    pub file: &'static str,
}

/// A fault under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// All of them, in the order of the page.
pub fn all() -> Vec<Fault> {
    [
        brokers::FAULTS,
        network::FAULTS,
        members::FAULTS,
        app::FAULTS,
        topics::FAULTS,
        records::FAULTS,
        rights::FAULTS,
    ]
    .concat()
}

/// Rows of this file's faults, each with its function.
macro_rules! faults {
    ($file:literal: $($function:ident: $name:literal, $sides:expr, $seeds:literal, $shape:expr, $what:literal;)*) => {
        pub(super) const FAULTS: &[super::Fault] = &[$(
            super::Fault {
                name: $name,
                what: $what,
                sides: $sides,
                seeds: $seeds,
                shape: $shape,
                run: |stage| Box::pin($function(stage)),
                file: $file,
            },
        )*];
    };
}
use faults;
