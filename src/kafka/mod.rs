//! The only room that names rdkafka.
//!
//! What goes up from here is the model's vocabulary and [`Cause`], which says
//! what went wrong in words that an operator can act on.

mod acked;
mod admin_request;
mod at_position;
mod batch_limit;
mod browse;
mod classify;
mod commit;
mod connection;
mod consumer;
mod context;
mod convert;
mod embedded;
mod exclusive;
mod groups;
mod health;
mod identity;
mod list_offsets;
mod logged_in;
mod oauth;
mod producer;
mod producers;
mod progress;
mod purge;
mod reach;
mod reading;
mod sender;
mod start;
mod topic_limit;
mod topic_limits;
mod topics;
#[cfg(openssl_wrapped)]
mod trailing_dot;
mod watch;

pub use at_position::{AtPosition, at_positions};
pub use browse::{Browser, Mark};
pub use classify::{Cause, Kind};
pub use consumer::{Commit, GroupConsumer, PartitionReader, Signal, Within};
pub use embedded::{EmbeddedBroker, Fault};
pub use exclusive::{Exclusive, Refused};
pub use groups::Members;
pub use health::Health;
pub use identity::{Origin, TopicId};
pub use oauth::Session;
pub use producer::{Outgoing, SendError};
pub use producers::{InOrder, Producers};
#[cfg(test)]
pub use progress::{metadata, parse};
pub use purge::delete_records;
pub use reach::{Unreachable, broker_answers};
pub use reading::Reading;
pub use sender::{Confirmation, Placed, Sender};
pub use start::{Need, Needed, Start, StartAt, StartFrom, Starts, Wanted, need};
pub use topics::{New, Shape, create_topic, topic_retention};
pub use watch::BrokerWatch;

use openssl::error::ErrorStack;
use rdkafka::{
    ClientConfig,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
};

use crate::{
    doctor::authorities,
    metadata::{
        Settings,
        librdkafka::{self, Pairs},
    },
};
use logged_in::{HasNative, LoggedIn};

/// librdkafka's own bound of `message.max.bytes`.
const LARGEST: usize = 1_000_000_000;

/// The same settings without a bound on a record's size but librdkafka's.
fn of_any_size(settings: &Settings) -> Settings {
    Settings {
        max_message_bytes: LARGEST,
        ..settings.clone()
    }
}

/// Makes a client of any type, which logs in as the settings say.
fn create<T, C>(settings: &Settings, pairs: Pairs, context: C) -> Result<LoggedIn<T>, Cause>
where
    C: rdkafka::ClientContext,
    T: FromClientConfigAndContext<C> + HasNative,
{
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in pairs {
        if (name, value.as_str()) == librdkafka::SYSTEMS_AUTHORITIES {
            config.set(name, authorities::system().map_err(Cause::other)?);
        } else {
            config.set(name, value);
        }
    }
    let client = config.create_with_context(context);
    // Where librdkafka reads certificates, OpenSSL keeps that there is no further one among
    // this thread's errors, and the next TLS on it, a check's or a token's, fails by that.
    drop(ErrorStack::get());
    LoggedIn::new(client?, &settings.security.login)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rdkafka::{admin::AdminClient, client::DefaultClientContext};

    use super::*;
    use crate::metadata::resolve;

    #[test]
    fn a_client_leaves_no_error_to_the_tls_of_others() {
        let authority = harness::Authority::new("test").expect("an authority");
        let given = [
            ("brokers", "localhost:1"),
            ("authType", "certificate"),
            ("caCert", &authority.pem),
        ];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = resolve(&HashMap::from(given))
            .expect("it is right")
            .settings;
        let pairs = librdkafka::client(&settings);
        let made = create::<AdminClient<_>, _>(&settings, pairs, DefaultClientContext);
        made.map(drop).expect("it is made");
        let left = ErrorStack::get();
        assert!(left.errors().is_empty(), "{left}");
    }
}
