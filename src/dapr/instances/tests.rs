use std::{
    future::poll_fn,
    pin::Pin,
    process::{Command, Stdio},
    task::Poll,
};

use super::*;
use crate::kafka::EmbeddedBroker;

impl Identity {
    /// Of no process that is known.
    pub(in crate::dapr) fn named(name: &str) -> Self {
        of("kafka", None, name)
    }
}

fn of(socket: &str, process: Option<i32>, name: &str) -> Identity {
    let (socket, name) = (socket.into(), name.to_owned());
    Identity {
        socket,
        process,
        name,
    }
}

#[tokio::test]
async fn one_instance_too_many_is_refused() {
    let instances = Instances::new(Readiness::default(), 0);
    let others: Vec<_> = (0..limits::INSTANCES)
        .map(|n| instances.inits.begin(&Identity::named(&n.to_string())))
        .collect();
    let none = HashMap::new();
    let init = || instances.init(of("kafka", None, "todo"), &none);
    let refused = init().await.expect_err("there is no room");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    drop(others);
    let looked_at = init().await.expect_err("there are no brokers");
    assert_eq!(looked_at.code(), tonic::Code::InvalidArgument);
}

fn my_process() -> i32 {
    i32::try_from(std::process::id()).expect("a process id")
}

fn given(more: &[(&str, &str)]) -> HashMap<String, String> {
    let pairs = [("authType", "none"), ("consumerID", "group")];
    let pairs = pairs.iter().chain(more);
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Runs an Init until it waits for its broker: the instance before is gone.
async fn begin(init: &mut (impl Future<Output = Result<(), Status>> + Unpin)) {
    let begun = poll_fn(|context| Poll::Ready(Pin::new(&mut *init).poll(context))).await;
    assert!(begun.is_pending(), "it is done already: {begun:?}");
}

#[tokio::test]
async fn a_call_beside_a_second_init_leaves_nothing_behind() {
    let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
    let readiness = Readiness::default();
    let instances = Instances::new(readiness.clone(), 0);
    let given = given(&[("brokers", &broker.address().expect("its address"))]);
    let me = of("kafka", Some(my_process()), "todo");
    let init = || Box::pin(instances.init(me.clone(), &given));
    init().await.expect("it starts");
    let mut again = init();
    begin(&mut again).await;

    let mine = instances
        .find(&me, None)
        .map(drop)
        .expect_err("no instance");
    assert_eq!(mine.code(), tonic::Code::Unavailable);
    assert!(mine.message().contains("is being initialised"), "{mine}");
    assert_eq!(readiness.reasons(), []);
    // The kernel did not tell whose this call is.
    let unknown = instances.find(&Identity::named("todo"), None).map(drop);
    unknown.expect_err("no instance");
    assert_eq!(readiness.reasons().len(), 1);

    again.await.expect("it starts again");
    assert_eq!(readiness.reasons(), []);
    instances
        .find(&me, None)
        .map(drop)
        .expect("the new instance");
}

#[tokio::test]
async fn the_newest_failure_is_told_until_its_daprd_ends() {
    let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
    let address = broker.address().expect("its address");
    let readiness = Readiness::default();
    let instances = Instances::new(readiness.clone(), 0);
    // It ends with its input, even if the test fails.
    let mut daprd = Command::new("cat");
    let mut daprd = daprd.stdin(Stdio::piped()).spawn().expect("a child");
    let process = i32::try_from(daprd.id()).expect("a process id");
    let me = of("kafka", Some(process), "todo");
    let init = async |ordering: &str| {
        let given = given(&[("brokers", &address), ("ordering", ordering)]);
        instances.init(me.clone(), &given).await
    };
    init("key").await.expect("it starts");
    for wrong in ["backwards", "sideways"] {
        init(wrong).await.expect_err("it can't be");
        let reasons = readiness.reasons();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].text.contains(wrong), "{reasons:?}");
    }
    daprd.wait().expect("it ends");
    assert!(instances.uninitialised().is_empty());
    assert_eq!(readiness.reasons(), []);
}

#[tokio::test]
async fn an_init_that_fails_beside_one_that_succeeds_holds_nothing() {
    let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
    let readiness = Readiness::default();
    let instances = Instances::new(readiness.clone(), 0);
    let right = given(&[("brokers", &broker.address().expect("its address"))]);
    let wrong = given(&[("brokers", "127.0.0.1:1")]);
    let me = Identity::named("todo");
    let init = |given| Box::pin(instances.init(me.clone(), given));
    init(&right).await.expect("it starts");
    let mut failing = init(&wrong);
    begin(&mut failing).await;
    init(&right).await.expect("it starts beside it");
    failing.await.expect_err("there is no broker");
    assert_eq!(readiness.reasons(), []);
    instances.find(&me, None).map(drop).expect("the right one");
}

/// Neither one that runs, nor one that has ended, nor one that the kernel does not tell.
#[tokio::test]
async fn an_instance_of_another_daprd_is_never_adopted() {
    let broker = EmbeddedBroker::start(["orders"]).expect("a broker");
    let instances = Instances::new(Readiness::default(), 0);
    let given = given(&[("brokers", &broker.address().expect("its address"))]);
    // It ends with its input, even if the test fails.
    let mut daprd = Command::new("cat");
    let mut daprd = daprd.stdin(Stdio::piped()).spawn().expect("a child");
    let process = i32::try_from(daprd.id()).expect("a process id");
    let owner = of("kafka", Some(process), "todo");
    instances
        .init(owner.clone(), &given)
        .await
        .expect("it starts");
    let callers = [Some(my_process()), None];
    let refused = |when: &str| {
        for caller in callers {
            let caller = of("kafka", caller, "todo");
            let found = instances.find(&caller, None).map(drop);
            let error = found.expect_err(when);
            assert!(error.message().contains("never initialised"), "{error}");
        }
    };
    refused("its daprd runs");
    instances.find(&owner, None).map(drop).expect("its own");
    daprd.wait().expect("it ends");
    refused("its daprd has ended");
}

#[tokio::test]
async fn what_an_init_gave_that_failed_is_told() {
    let instances = Instances::new(Readiness::default(), 0);
    let given = HashMap::from([("brokers".to_owned(), "kafka".to_owned())]);
    let todo = of("kafka", None, "todo");
    let refused = instances.init(todo, &given).await;
    assert!(refused.is_err());
    let all = instances.list();
    let [info] = &all[..] else {
        panic!("{all:?}");
    };
    assert!(
        !info.initialised && info.component.name == "todo",
        "{info:?}"
    );
    assert_eq!(instances.properties(info), Some(given));
    assert!(instances.uses(info).is_some());
}
