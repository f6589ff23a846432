//! The stages, one after the other. Each notes what came of it, and hands on what the
//! next one needs.

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

pub(super) use cluster::Cluster;
pub(super) use permissions::{allow, told};
