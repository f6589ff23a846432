//! The addresses that the cluster tells its clients to connect to.

use std::{collections::BTreeMap, net::IpAddr};

use futures_util::future::join_all;

use super::{Cluster, Member, Reached, fine, id, identity, listed::Listed, metadata};
use crate::doctor::{
    Finding, Fix, Seen, Severity, Stage,
    context::{Context, Target},
    rows, run,
    wire::Wire,
};

/// An address, and how it is got at.
struct Way {
    target: Target,
    host: String,
    /// It is where the main bootstrap broker is.
    is_bootstrap: bool,
    /// Or another bootstrap broker that was reached.
    reached: Option<Reached>,
}

/// Examines each address, and keeps the connections to those that work.
pub(super) async fn examine(
    context: &Context<'_>,
    listed: Listed,
    first: Reached,
    others: Vec<Reached>,
) -> Cluster {
    let ways = ways(listed.targets, &first, others);
    let ids: Vec<_> = ways
        .iter()
        .filter_map(|way| way.target.advertised)
        .collect();
    let main = ways.iter().find(|way| way.is_bootstrap);
    let bootstrap_is = main.and_then(|way| way.target.advertised);
    if let Some(way) = main {
        already(context, way, &first);
    }
    // Elsewhere "localhost" is another machine than here.
    let away = !first.wire.peer.ip().to_canonical().is_loopback();
    let id = listed.id.as_deref();
    let each = ways.into_iter().map(|mut way| async move {
        let wire = match way.reached.take() {
            Some(reached) => {
                already(context, &way, &reached);
                Some(reached.wire)
            }
            None if way.is_bootstrap => None,
            None => connect(context, &way, away, id).await,
        };
        (way, wire)
    });
    let mut brokers = BTreeMap::new();
    for (way, wire) in join_all(each).await {
        let Some(id) = way.target.advertised else {
            continue;
        };
        let member = Member {
            target: way.target,
            wire,
        };
        // Of several addresses of one broker, one that works.
        let known: Option<&Member> = brokers.get(&id);
        if known.is_none_or(|known| known.wire.is_none() && bootstrap_is != Some(id)) {
            brokers.insert(id, member);
        }
    }
    if listed.left > 0 {
        let why = format!("{} more are advertised: too many to examine", listed.left);
        context.recorder.skipped(Stage::Cluster, "brokers", why);
    }
    let mut cluster = Cluster {
        controller: listed.controller,
        brokers,
        bootstrap: first.wire,
        bootstrap_is,
    };
    identity::check(context, &mut cluster, &ids).await;
    cluster
}

/// Connections that are there already are not made again.
fn ways(targets: Vec<(Target, String)>, first: &Reached, mut others: Vec<Reached>) -> Vec<Way> {
    let mut taken = false;
    let each = targets.into_iter().map(|(target, host)| {
        let same = |one: &Reached| one.target.address.eq_ignore_ascii_case(&target.address);
        let is_bootstrap = !taken && same(first);
        taken |= is_bootstrap;
        let at = others.iter().position(same);
        Way {
            is_bootstrap,
            reached: at
                .filter(|_| !is_bootstrap)
                .map(|at| others.swap_remove(at)),
            target,
            host,
        }
    });
    each.collect()
}

/// Notes that an address is that of a bootstrap broker, which was examined.
fn already(context: &Context<'_>, way: &Way, reached: &Reached) {
    let seen = Seen::by(&reached.answer, "as `brokers` has it");
    let recorder = context.recorder;
    recorder.fine(Stage::Cluster, way.target.subject(), seen);
}

/// A connection to a broker of this cluster, where it is said to be.
async fn connect(context: &Context<'_>, way: &Way, away: bool, ours: Option<&str>) -> Option<Wire> {
    let target = &way.target;
    let found = match run::examine(context, target).await {
        Some(mut wire) => {
            let answer = metadata(context, target, &mut wire).await;
            answer.map(|answer| (wire, answer))
        }
        None => None,
    };
    let theirs = found.as_ref().and_then(|(_, answer)| id(&answer.value));
    let fits = match (&theirs, ours) {
        (Some(theirs), Some(ours)) => theirs == ours,
        _ => true,
    };
    let works = found.is_some() && fits;
    // Init goes on as soon as one broker is fine, so nothing is before this is known.
    if let (true, Some((_, answer))) = (works, &found) {
        fine(context, target, answer);
    }
    if away && is_here(&way.host) {
        loopback(context, way, works);
    } else if found.is_some() && !works {
        let cause = format!(
            "the broker there is of the cluster {}, not of {}",
            theirs.as_deref().unwrap_or_default(),
            ours.unwrap_or_default()
        );
        let finding = Finding::new(&rows::cluster::OTHER_CLUSTER, cause, advertise(target));
        context.recorder.found(target.subject(), finding);
    }
    found.filter(|_| works).map(|(wire, _)| wire)
}

/// The client is told to connect to itself. What came of that explains nothing more.
fn loopback(context: &Context<'_>, way: &Way, works: bool) {
    let subject = way.target.subject();
    let row = &rows::cluster::LOOPBACK;
    context.recorder.explain(&subject, row);
    let (cause, severity) = if works {
        (
            "that is the client's own machine; it works from here alone",
            Severity::Warning,
        )
    } else {
        (
            "that is the client's own machine, and no broker of this cluster answers there",
            Severity::Problem,
        )
    };
    let cause = format!("the broker is advertised at {}: {cause}", way.host);
    let finding = Finding::new(row, cause, advertise(&way.target)).as_bad_as(severity);
    context.recorder.found(subject, finding);
}

/// What helps when a broker is advertised wrongly.
pub(super) fn advertise(target: &Target) -> Fix {
    let broker = target.advertised.unwrap_or_default();
    Fix::words(format!(
        "let broker {broker} advertise, on the listener that clients use, the host and port \
         where they reach it: `advertised.listeners` (Kafka), `advertised_kafka_api` (Redpanda)"
    ))
}

/// Whether a host is whoever asks.
fn is_here(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_lowercase();
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_own_machine_has_many_names() {
        for host in [
            "localhost",
            "LocalHost.",
            "a.localhost",
            "127.1.2.3",
            "0.0.0.0",
            "::1",
            "::",
        ] {
            assert!(is_here(host), "{host}");
        }
        assert!(is_here("::ffff:127.0.0.1"));
        for host in [
            "localhost.example",
            "10.0.0.1",
            "128.0.0.1",
            "",
            ".",
            "fd00::1",
        ] {
            assert!(!is_here(host), "{host}");
        }
    }
}
