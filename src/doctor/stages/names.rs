//! Names become addresses.

use std::{io, net::SocketAddr};

use tokio::{net::lookup_host, time::timeout_at};

use crate::doctor::{
    Finding, Fix, Row, Seen, Stage,
    context::{Context, Target},
    rows::{cluster, names},
};

/// How many addresses of a name are looked at.
const MOST: usize = 16;

/// Where placeholders for brokers go.
pub(super) const BROKERS: &str = "<host:port of the brokers, with commas between them>";

/// The addresses of a broker's name.
pub(in crate::doctor) async fn resolve(
    context: &Context<'_>,
    target: &Target,
) -> Option<Vec<SocketAddr>> {
    let Some((host, port)) = target.parts() else {
        let cause = format!("\"{}\" is no host and port", target.address);
        unknown(context, target, cause, "");
        return None;
    };
    // It runs in a thread that nothing ends; nobody waits for it longer than this.
    let looked_up = timeout_at(context.until().into(), lookup_host((host, port))).await;
    let found: Vec<_> = match looked_up {
        Ok(Ok(found)) => found.take(MOST).collect(),
        Ok(Err(error)) if is_no_answer(&error) => {
            silent(context, target, format!("{host}: {error}"));
            return None;
        }
        Ok(Err(error)) => {
            unknown(context, target, format!("{host}: {error}"), host);
            return None;
        }
        Err(_) => {
            let cause = format!("nothing was heard of the name {host} in time");
            silent(context, target, cause);
            return None;
        }
    };
    let Some(first) = found.first() else {
        unknown(context, target, format!("{host} has no address"), host);
        return None;
    };
    let all: Vec<_> = found.iter().map(|one| one.ip().to_string()).collect();
    let seen = Seen::by(first, format!("{host} is {}", all.join(", ")));
    context.recorder.fine(Stage::Names, target.subject(), seen);
    Some(found)
}

/// Whether nobody could be asked, or nobody answered: whether there is such a name is not
/// known then. Only getaddrinfo's words tell; those of glibc and of musl.
fn is_no_answer(error: &io::Error) -> bool {
    let words = error.to_string();
    ["Temporary failure", "Try again", "Non-recoverable failure"]
        .iter()
        .any(|one| words.contains(one))
}

fn unknown(context: &Context<'_>, target: &Target, cause: String, host: &str) {
    let hint = if host.contains('.') || host.is_empty() {
        ""
    } else {
        "; a short name is known in its own Kubernetes namespace only, elsewhere it is \
         <name>.<namespace>.svc.cluster.local"
    };
    let fix = if target.advertised.is_some() {
        Fix::words(format!(
            "let the broker advertise a name that is known here (`advertised.listeners`, in \
             Redpanda `advertised_kafka_api`), or make this name known here{hint}"
        ))
    } else {
        Fix::words(format!("write a name that is known here{hint}")).set("brokers", BROKERS)
    };
    let row = target.pick(&names::UNKNOWN, &cluster::NAME_UNKNOWN);
    note(context, target, row, cause, fix);
}

fn silent(context: &Context<'_>, target: &Target, cause: String) {
    let fix = Fix::words(
        "see that the name servers in /etc/resolv.conf answer from here; in Kubernetes that \
         CoreDNS runs, and that no network policy forbids port 53",
    );
    note(context, target, &names::SILENT, cause, fix);
}

fn note(context: &Context<'_>, target: &Target, row: &'static Row, cause: String, fix: Fix) {
    let finding = Finding::new(row, cause, fix);
    context.recorder.found(target.subject(), finding);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_not_that_there_is_no_such_name() {
        let said = |words: &str| {
            let prefix = "failed to lookup address information";
            is_no_answer(&io::Error::other(format!("{prefix}: {words}")))
        };
        assert!(said("Temporary failure in name resolution"), "glibc");
        assert!(said("Try again"), "musl");
        assert!(said("Non-recoverable failure in name resolution"));
        assert!(!said("Name or service not known"), "glibc");
        assert!(!said("Name does not resolve"), "musl");
        assert!(!said("No address associated with hostname"));
    }
}
