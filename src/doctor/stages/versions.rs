//! Which versions of which requests a broker serves.

mod release;

use kafka_protocol::{ResponseError, messages::ApiKey};
pub(super) use release::product;

use super::port;
use crate::{
    doctor::{
        BrokerSeen, Finding, Fix, Seen, Stage,
        context::{Context, Target},
        rows,
        wire::{self, Ranges, Wire},
    },
    metadata::{Compression, Settings, security::Login},
};

/// What the component asks, and the versions in which it can: those that librdkafka 2.12.1
/// knows, without the oldest ones of Produce and Fetch, whose records have no headers, and
/// of others that it uses only for what the component does not do.
const NEEDED: [(ApiKey, i16, i16); 11] = [
    (ApiKey::Produce, 3, 10),
    (ApiKey::Fetch, 4, 16),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::JoinGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 3),
    (ApiKey::Heartbeat, 0, 3),
    (ApiKey::LeaveGroup, 0, 1),
    (ApiKey::OffsetCommit, 1, 9),
    (ApiKey::OffsetFetch, 1, 9),
];

/// The versions of `InitProducerId` that librdkafka knows.
const IDEMPOTENCE: (ApiKey, i16, i16) = (ApiKey::InitProducerId, 0, 4);

/// What zstd takes, as librdkafka decides it.
const ZSTD: [(ApiKey, i16); 2] = [(ApiKey::Produce, 7), (ApiKey::Fetch, 10)];

/// Asks the broker what it serves, and keeps that with the connection; true if the
/// component can work with it.
pub(in crate::doctor) async fn agree(
    context: &Context<'_>,
    target: &Target,
    wire: &mut Wire,
) -> bool {
    let answer = match wire.agree(context.until()).await {
        Ok(answer) => answer,
        Err(broken) => {
            port::explain(context, target, wire.peer, &broken).await;
            return false;
        }
    };
    if answer.value.error != 0 {
        let finding = refused(answer.value.error);
        context.recorder.found(target.subject(), finding);
        return false;
    }
    if port::is_no_broker(context, target, &wire.ranges) {
        return false;
    }
    context.recorder.saw(BrokerSeen {
        subject: target.subject(),
        product: product(&wire.ranges, None),
        tls: context.settings.security.tls.is_some(),
        login: context.settings.security.login != Login::None,
        ranges: wire.ranges.clone(),
    });
    let findings = findings(&wire.ranges, context.settings);
    let works = findings
        .iter()
        .all(|finding| finding.row.code != rows::versions::UNSERVED.code);
    if findings.is_empty() {
        let seen = Seen::by(
            &answer,
            format!("serves what is needed, as {}", product(&wire.ranges, None)),
        );
        let recorder = &context.recorder;
        recorder.fine(Stage::Versions, target.subject(), seen);
    }
    for finding in findings {
        context.recorder.found(target.subject(), finding);
    }
    works
}

fn refused(code: i16) -> Finding {
    let error = ResponseError::try_from_code(code);
    let error = error.map_or_else(|| format!("error {code}"), |error| format!("{error:?}"));
    let fix = Fix::words("look into the broker's log for why it refuses ApiVersions");
    let cause = format!("the broker answers the first request, ApiVersions, with {error}");
    Finding::new(&rows::versions::REFUSED, cause, fix)
}

/// What these ranges lack for the component.
fn findings(ranges: &Ranges, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lacking: Vec<_> = NEEDED
        .iter()
        .filter_map(|needed| lack(ranges, *needed))
        .collect();
    if !lacking.is_empty() {
        let cause = format!(
            "the component needs what the broker does not serve: {}",
            lacking.join(", ")
        );
        let fix = Fix::words(
            "update the broker, or write the address of another in `brokers`: Apache Kafka from \
             0.11 on and Redpanda serve all of it",
        );
        findings.push(Finding::new(&rows::versions::UNSERVED, cause, fix));
    }
    if settings.idempotence
        && let Some(lack) = lack(ranges, IDEMPOTENCE)
    {
        let cause = format!("`idempotence` is true, and the broker does not serve it: {lack}");
        let fix = Fix::words("publish without idempotence: a retry may write a record twice")
            .set("idempotence", "false");
        findings.push(Finding::new(&rows::versions::NO_IDEMPOTENCE, cause, fix));
    }
    let below = ZSTD.iter().find_map(|(key, first)| {
        let last = ranges.of(*key as i16)?.1;
        (last < *first).then(|| format!("{key:?} up to v{last}, and zstd is from v{first} on"))
    });
    if settings.compression == Compression::Zstd
        && let Some(below) = below
    {
        let cause = format!("`compression` is zstd, and the broker serves {below}");
        let fix = Fix::words("compress by what every broker takes").set("compression", "lz4");
        findings.push(Finding::new(&rows::versions::NO_ZSTD, cause, fix));
    }
    findings
}

/// What is lacking of a request, if the two have no version in common.
fn lack(ranges: &Ranges, (key, first, last): (ApiKey, i16, i16)) -> Option<String> {
    let name = wire::name(key as i16);
    match ranges.of(key as i16) {
        None => Some(format!("{name} (not at all)")),
        Some((oldest, newest)) if newest < first || oldest > last => Some(format!(
            "{name} (v{oldest} to v{newest}, needed is one of v{first} to v{last})"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind::WouldBlock, time::Duration};

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{
        doctor::{Patience, Recorder, Token, stages::tls},
        metadata::resolve,
    };

    /// What serves just what is needed, and may lack something.
    fn ranges(without: &[ApiKey], but: &[(ApiKey, i16, i16)]) -> Ranges {
        let all = NEEDED.iter().chain([&IDEMPOTENCE]);
        let kept = all.filter(|(key, ..)| !without.contains(key));
        let each = kept.chain(but);
        each.map(|(key, first, last)| (*key as i16, *first, *last))
            .collect()
    }

    fn codes(ranges: &Ranges, settings: &Settings) -> Vec<(&'static str, String)> {
        let findings = findings(ranges, settings);
        let each = findings.into_iter();
        each.map(|finding| (finding.row.code, finding.cause))
            .collect()
    }

    fn settings(more: &[(&str, &str)]) -> Settings {
        let given = [("brokers", "kafka:9092"), ("authType", "none")];
        let given = given.iter().chain(more);
        let given = given.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        resolve(&given.collect()).unwrap().settings
    }

    #[test]
    fn what_has_all_that_is_needed_lacks_nothing() {
        assert_eq!(codes(&ranges(&[], &[]), &settings(&[])), []);
    }

    #[test]
    fn a_request_that_is_not_served_is_named_with_its_versions() {
        let (key, of) = (ApiKey::JoinGroup, ApiKey::Produce);
        for (lacks, words) in [
            (ranges(&[key], &[]), "JoinGroup (not at all)"),
            (ranges(&[], &[(key, 6, 9)]), "JoinGroup (v6 to v9"),
            (ranges(&[], &[(of, 0, 2)]), "Produce (v0 to v2"),
        ] {
            let codes = codes(&lacks, &settings(&[]));
            assert_eq!(codes[0].0, "RDK-VER-01");
            assert!(codes[0].1.contains(words), "{codes:?}");
            assert_eq!(codes.len(), 1);
        }
    }

    #[test]
    fn idempotence_and_zstd_are_looked_at_only_if_they_are_wanted() {
        let lacks = ranges(&[ApiKey::InitProducerId], &[(ApiKey::Fetch, 4, 9)]);
        let wanted = settings(&[("compression", "zstd")]);
        let found = codes(&lacks, &wanted);
        let found: Vec<_> = found.iter().map(|(code, _)| *code).collect();
        assert_eq!(found, ["RDK-VER-02", "RDK-VER-03"]);
        assert_eq!(codes(&lacks, &settings(&[("idempotence", "false")])), []);
    }

    /// The system forgets at once whom such a connection was with.
    #[tokio::test]
    async fn a_connection_that_was_reset_before_it_was_used_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (other, _) = listener.accept().await.expect("the connection");
        other.set_zero_linger().expect("it closes by a reset");
        drop((other, listener));
        let gone = loop {
            stream.readable().await.expect("it is watched");
            match stream.try_read(&mut [0]) {
                Err(error) if error.kind() == WouldBlock => {}
                ended => break ended,
            }
        };
        gone.expect_err("it was reset");
        assert!(stream.peer_addr().is_err());

        let (settings, recorder) = (settings(&[]), Recorder::default());
        let context = Context {
            settings: &settings,
            token: Token::fetched(),
            patience: Patience::EachStage(Duration::from_secs(5)),
            recorder: &recorder,
        };
        let target = Target::bootstrap(&address.to_string());
        let secured = tls::secure(&context, &target, (stream, address)).await;
        let mut wire = secured.expect("there is nothing to agree on");
        assert!(!agree(&context, &target, &mut wire).await);
        let report = recorder.report();
        let code = report.findings()[0].finding().map(|found| found.row.code);
        assert_eq!(code, Some("RDK-PRT-04"), "{report:?}");
    }
}
