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

use std::{fmt, future::Future, pin::Pin};

use harness::{DaprdBuild, Result};

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
    /// The daprds that it is run on.
    pub daprds: &'static [DaprdBuild],
    /// How many seeds it is run with.
    pub seeds: u64,
    /// The run around it.
    pub shape: Shape,
    /// Makes it, and waits until it has healed.
    pub run: for<'a> fn(&'a mut Stage) -> Running<'a>,
    /// The file that it stands in, below this one.
    pub file: &'static str,
}

impl Fault {
    /// Every run that the page has of it.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for side in self.sides {
            for daprd in self.daprds {
                cases.extend((1..=self.seeds).map(|seed| Case {
                    fault: *self,
                    side: *side,
                    daprd: *daprd,
                    seed,
                }));
            }
        }
        cases
    }
}

/// One run of a fault.
#[derive(Clone, Copy)]
pub struct Case {
    /// The fault.
    pub fault: Fault,
    /// Who is between daprd and Kafka.
    pub side: Side,
    /// The daprd beside each member.
    pub daprd: DaprdBuild,
    /// The seed of the messages and of the app's moods.
    pub seed: u64,
}

impl fmt::Display for Case {
    /// How `make ledger` runs it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fault,
            side,
            daprd,
            seed,
        } = self;
        let (name, daprd) = (fault.name, daprd.version());
        write!(
            f,
            "FAULT={name} SIDE={side} DAPRD_VERSION={daprd} SEED={seed}"
        )
    }
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

/// Rows of this file's faults, each with its function. Behind the file's name stand the daprds,
/// unless they are the usual one.
macro_rules! faults {
    ($file:literal: $($rows:tt)*) => {
        faults! { $file, &[harness::DaprdBuild::USUAL]; $($rows)* }
    };
    ($file:literal, $daprds:expr; $($function:ident: $name:literal, $sides:expr, $seeds:literal, $shape:expr, $what:literal;)*) => {
        pub(super) const FAULTS: &[super::Fault] = &[$(
            super::Fault {
                name: $name,
                what: $what,
                sides: $sides,
                daprds: $daprds,
                seeds: $seeds,
                shape: $shape,
                run: |stage| Box::pin($function(stage)),
                file: $file,
            },
        )*];
    };
}
use faults;
