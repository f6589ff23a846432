//! Addresses take connections.

use std::{io, net::SocketAddr, time::Instant};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{net::TcpStream, time::timeout_at};

use super::names::BROKERS;
use crate::doctor::{
    Finding, Fix, Seen, Stage,
    context::{Context, Target},
    rows::{cluster, tcp},
};

/// How it went wrong at an address.
#[derive(Debug)]
enum Failed {
    Refused,
    TimedOut,
    /// The system itself won't send there, and why.
    Unreachable(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Closed while it is taken: a proxy in between with nothing behind it.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Unreachable(error),
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("refused the connection"),
            Self::TimedOut => f.write_str("did not answer in time"),
            Self::Unreachable(error) => write!(f, "can't be reached: {error}"),
        }
    }
}

/// A connection to the first of the addresses that takes one, and which that is. The others
/// are tried too.
pub(in crate::doctor) async fn connect(
    context: &Context<'_>,
    target: &Target,
    addresses: &[SocketAddr],
) -> Option<(TcpStream, SocketAddr)> {
    let (streams, failed) = each(addresses, context.until()).await;
    // In the order of the addresses, as a client library would take them.
    let first = streams.into_iter().min_by_key(|(place, _)| *place);
    let Some((place, stream)) = first else {
        none(context, target, &failed);
        return None;
    };
    let taken = *addresses.get(place)?;
    let seen = Seen::by(&stream, format!("{taken} took a connection"));
    context.recorder.fine(Stage::Tcp, target.subject(), seen);
    some(context, target, taken, &failed);
    Some((stream, taken))
}

type Tried = (Vec<(usize, TcpStream)>, Vec<(SocketAddr, Failed)>);

/// Tries all of them at once. As soon as one is connected, the others get a share of what
/// is left: there is more to do in it.
async fn each(addresses: &[SocketAddr], until: Instant) -> Tried {
    let mut end = until;
    let mut under_way: FuturesUnordered<_> = addresses
        .iter()
        .enumerate()
        .map(async |(place, address)| (place, TcpStream::connect(address).await))
        .collect();
    let (mut streams, mut failed) = (Vec::new(), Vec::new());
    let mut open: Vec<_> = addresses.iter().copied().map(Some).collect();
    while let Ok(Some((place, connected))) = timeout_at(end.into(), under_way.next()).await {
        let address = open.get_mut(place).and_then(Option::take);
        match (connected, address) {
            (Ok(stream), _) => {
                if streams.is_empty() {
                    let now = Instant::now();
                    end = now + until.saturating_duration_since(now) / 4;
                }
                streams.push((place, stream));
            }
            (Err(error), Some(address)) => failed.push((address, error.into())),
            (Err(_), None) => {}
        }
    }
    let silent = open.into_iter().flatten();
    failed.extend(silent.map(|address| (address, Failed::TimedOut)));
    (streams, failed)
}

/// No address took a connection.
fn none(context: &Context<'_>, target: &Target, failed: &[(SocketAddr, Failed)]) {
    // What says most: a port that is closed is nearer than a host that is silent.
    let refused = failed.iter().any(|(_, why)| matches!(why, Failed::Refused));
    let silent = failed
        .iter()
        .any(|(_, why)| matches!(why, Failed::TimedOut));
    let row = if refused {
        target.pick(&tcp::REFUSED, &cluster::ADVERTISED_REFUSED)
    } else if silent {
        target.pick(&tcp::TIMED_OUT, &cluster::ADVERTISED_TIMED_OUT)
    } else {
        target.pick(&tcp::UNREACHABLE, &cluster::ADVERTISED_UNREACHABLE)
    };
    let fix = if target.advertised.is_none() {
        let words = "see that the broker runs and can be reached from here, or write where its \
                     Kafka listener is";
        Fix::words(words).set("brokers", BROKERS)
    } else if failed.iter().all(|(address, _)| is_here(*address)) {
        Fix::words(
            "it advertises this machine itself: let it advertise a name by which clients \
             elsewhere reach it (`advertised.listeners`, in Redpanda `advertised_kafka_api`), or \
             start it here",
        )
    } else {
        Fix::words(
            "see that the broker runs, or let it advertise what can be reached from here \
             (`advertised.listeners`, in Redpanda `advertised_kafka_api`)",
        )
    };
    let finding = Finding::new(row, all(failed), fix);
    context.recorder.found(target.subject(), finding);
}

/// Some took one. That localhost is two addresses and a server listens on one is so
/// nearly everywhere, and so is a machine without IPv6: clients pass over both at once.
fn some(
    context: &Context<'_>,
    target: &Target,
    taken: SocketAddr,
    failed: &[(SocketAddr, Failed)],
) {
    let failed = failed.iter().filter(|(address, why)| match why {
        Failed::Unreachable(error) => error.kind() != io::ErrorKind::NetworkUnreachable,
        _ => !is_here(*address) || address.is_ipv4() == taken.is_ipv4(),
    });
    let cause: Vec<_> = failed.map(words).collect();
    if !cause.is_empty() {
        let cause = format!("{}, while {taken} took it", cause.join(", "));
        let fix = Fix::words(
            "remove the addresses that do not answer from the name in DNS, or start the broker \
             there",
        );
        let finding = Finding::new(&tcp::SOME, cause, fix);
        context.recorder.found(target.subject(), finding);
    }
}

fn is_here(address: SocketAddr) -> bool {
    address.ip().is_loopback() || address.ip().is_unspecified()
}

fn all(failed: &[(SocketAddr, Failed)]) -> String {
    let words: Vec<_> = failed.iter().map(words).collect();
    words.join(", ")
}

fn words((address, why): &(SocketAddr, Failed)) -> String {
    format!("{address} {why}")
}
