//! The table: everything that can be found, a file per stage.

pub(super) mod clock;
pub(super) mod cluster;
pub(super) mod dapr;
pub(super) mod group;
pub(super) mod limits;
pub(super) mod names;
pub(super) mod permissions;
pub(super) mod port;
pub(super) mod round_trip;
pub(super) mod sasl;
pub(super) mod settings;
pub(super) mod tcp;
pub(super) mod tls;
pub(super) mod topics;
pub(super) mod versions;

use super::Row;

/// All rows, in the order of their stages.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [
        settings::ROWS,
        names::ROWS,
        tcp::ROWS,
        port::ROWS,
        tls::ROWS,
        versions::ROWS,
        sasl::ROWS,
        cluster::ROWS,
        topics::ROWS,
        permissions::ROWS,
        group::ROWS,
        limits::ROWS,
        clock::ROWS,
        round_trip::ROWS,
        dapr::ROWS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
