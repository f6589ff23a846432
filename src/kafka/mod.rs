//! The only room that names rdkafka.
//!
//! What goes up from here is the model's vocabulary and [`Cause`], which says
//! what went wrong in words that an operator can act on.

mod classify;
mod consumer;
mod context;
mod convert;
mod embedded;
mod producer;
mod reach;

pub use classify::{Cause, Kind};
pub use consumer::{GroupConsumer, PartitionReader, Signal, Start, StartAt, StartFrom};
pub use embedded::EmbeddedBroker;
pub use producer::{Outgoing, Producer, SendError};
pub use reach::Unreachable;

use rdkafka::{
    ClientConfig,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
};

use crate::metadata::librdkafka::Pairs;

/// Makes a client of any type.
fn create<T, C>(pairs: Pairs, context: C) -> Result<T, Cause>
where
    C: rdkafka::ClientContext,
    T: FromClientConfigAndContext<C>,
{
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in pairs {
        config.set(name, value);
    }
    config.create_with_context(context).map_err(Cause::from)
}
