//! `dapr-rdkafka doctor`, each finding with the fix that cures it.

mod cluster;
mod command;
mod daprs;
mod inits;
mod logins;
mod ports;
mod redpanda;
pub mod rights;
mod topics;

use crate::support::Test;

/// All of them.
pub fn tests() -> Vec<Test> {
    [
        cluster::TESTS,
        command::TESTS,
        daprs::TESTS,
        inits::TESTS,
        logins::TESTS,
        ports::TESTS,
        redpanda::TESTS,
        rights::TESTS,
        topics::TESTS,
    ]
    .concat()
}
