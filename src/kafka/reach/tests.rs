use std::{collections::HashMap, net::TcpListener, sync::mpsc};

use super::*;
use crate::metadata;

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(brokers: &str) -> Settings {
    let pairs = [("brokers", brokers), ("authType", "none")];
    let pairs: HashMap<_, _> = pairs.map(|(key, value)| (key.into(), value.into())).into();
    metadata::resolve(&pairs).expect("good metadata").settings
}

#[test]
fn a_probe_that_hangs_is_not_waited_for() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_hold, release) = mpsc::channel::<()>();
    let release = Arc::new(Mutex::new(release));
    let brokers = ["hanging:9092".to_owned()];
    let hanging = each(&brokers, Instant::now(), |_| {
        let release = release.clone();
        move || {
            let release = release.lock().unwrap_or_else(PoisonError::into_inner);
            release
                .recv()
                .map(|()| 0)
                .map_err(|ended| ended.to_string())
        }
    });
    let verdicts = runtime.block_on(async { tokio::time::timeout(PATIENCE, hanging).await });
    runtime.shutdown_background();
    let verdicts = verdicts.expect("not to hang").expect_err("no answer");
    assert_eq!(verdicts["hanging:9092"], NO_ANSWER);
}

#[test]
fn the_main_clients_answer_counts_also_when_it_comes_late() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(&silent.local_addr().unwrap().to_string());
    // It has its answer once a probe has come: so after the head start.
    let reached = runtime.block_on(reach(&settings, PATIENCE, move |_| {
        silent.accept().is_ok().then_some(3)
    }));
    runtime.shutdown_background();
    assert_eq!(reached, Ok(3));
}

/// Of a name with two addresses, one dead.
#[test]
fn what_says_most_is_the_verdict_whichever_address_comes_first() {
    let dead = "Connect to ipv6#[::1]:1 failed: Connection refused (after 0ms in state CONNECT)";
    let closed = "Disconnected: connection closed by peer (after 1ms in state UP)";
    let timeout = "Connection setup timed out in state AUTH_REQ (after 1ms in state AUTH_REQ)";
    let refused = "SASL authentication error: no (after 3ms in state AUTH_REQ)";
    for (lines, expected) in [
        (&[dead, closed, dead][..], closed),
        (&[closed, timeout], timeout),
        (&[dead, refused, closed], refused),
        (&[dead], dead),
    ] {
        let said = Said::default();
        for line in lines {
            said.log(RDKafkaLogLevel::Error, "FAIL", &format!("[thrd:a]: {line}"));
        }
        assert_eq!(said.failure().as_deref(), Some(expected));
        assert_eq!(said.is_lasting(), expected == refused);
    }
}
