//! The only room that names tonic and prost: Dapr's component protocol.
//!
//! What daprd does with it was read in dapr/dapr at v1.16.5,
//! `pkg/components/pluggable` and `pkg/components/pubsub/pluggable.go`.

mod brokers;
mod diagnosis;
mod escape;
mod event;
mod inits;
mod instance;
mod instances;
mod lanes;
mod limits;
mod owners;
mod peer;
#[allow(missing_docs, clippy::pedantic)]
pub mod proto;
mod publish;
mod pubsub;
mod pull;
mod reflection;
mod room;
mod schema;
mod server;
mod shut_out;
pub mod socket;
mod status;
mod uninitialised;
mod verdict;

pub use diagnosis::{Brokers, InstanceHealth, InstanceInfo, told};
pub use instances::Instances;
pub use limits::MOST_STREAMS;
pub use reflection::{NoComponent, ask, innermost};
pub use room::Room;
pub use server::{Server, ServerError};
pub use shut_out::{Daprd, warn as warn_if_shut_out};
pub use uninitialised::{Component, Uninitialised};
