use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use harness::{Kafka, Result};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, Event, subscription},
        brokers::Brokers,
        endpoints::at_least,
        player::{Player, properties},
        records::{self, Plain},
    },
};

/// Quick attempts, and no waiting for the minimum age.
const QUICK: [(&str, &str); 3] = [
    ("backOffDuration", "50ms"),
    ("maxDeliveryAttempts", "3"),
    ("deadLetterMinAge", "0s"),
];

/// Keys, values and headers are what they were, also those that are no text, and
/// the group goes on behind them.
pub async fn what_the_app_refuses_stands_in_the_dead_letter_topic_as_it_was(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("poison"), fixture.name("group"));
    let dead = format!("{topic}.dlq");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    let mut binary = Plain::new(b"\0\x01\xff", b"\xfe\0value").with("trace", b"\xff\0");
    binary.timestamp = Some(1_700_000_000_000);
    let tombstone = Plain {
        value: None,
        ..binary.clone()
    };
    let empty = Plain::new(b"", b"");
    let poison = [binary, tombstone, empty];
    records::write(kafka, &topic, &poison).await?;
    records::write(kafka, &topic, &[Plain::new(b"k", b"fine")]).await?;

    let place = Place::new()?;
    let _component = place.component().await?;
    let more = [&QUICK[..], &[("deadLetterTopic", "{topic}.dlq")]].concat();
    let properties = properties(kafka, &group, &more);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let mut pull = player.pull(&topic).await?;
    let mut acknowledged = 0;
    let mut refused = 0;
    while refused < 9 || acknowledged < 1 {
        let message = pull.next(SOON).await?;
        if &message.data[..] == b"fine" {
            acknowledged += 1;
            pull.ack(&message).await?;
        } else {
            refused += 1;
            pull.nack(&message, "RETRY status returned from app: can't read it")
                .await?;
        }
    }
    admin::all_committed(kafka, &group, &topic, 1, 4).await?;
    let mut letters = records::wait_for(kafka, &dead, 3).await?;
    letters.sort_by_key(|letter| letter.header("__dlq.errors.offset"));
    ensure!(letters.len() == 3, "each once: {letters:?}");
    for (offset, (letter, source)) in letters.iter().zip(&poison).enumerate() {
        ensure!(letter.key == source.key, "{letter:?}");
        ensure!(letter.value == source.value, "{letter:?}");
        if let Some(timestamp) = source.timestamp {
            ensure!(letter.timestamp == Some(timestamp), "{letter:?}");
        }
        for (name, value) in &source.headers {
            let kept = letter.headers.contains(&(name.clone(), value.clone()));
            ensure!(kept, "{letter:?}");
        }
        for (name, value) in [
            ("__dlq.errors.topic", topic.as_str()),
            ("__dlq.errors.partition", "0"),
            ("__dlq.errors.offset", &offset.to_string()),
            ("__dlq.errors.group", &group),
            ("__dlq.errors.delivery.count", "3"),
            ("dapr-dlq-component", "todo-pubsub"),
            ("dapr-dlq-failure", "rejected"),
        ] {
            ensure!(
                letter.header(name).as_deref() == Some(value),
                "{name}: {letter:?}"
            );
        }
        let message = letter.header("__dlq.errors.message").unwrap_or_default();
        ensure!(message.ends_with("can't read it"), "{letter:?}");
    }
    Ok(())
}

/// Nothing is lost while the dead letter can't be written, and it is written once
/// it can be. The lack is told before the first one.
pub async fn a_missing_dead_letter_topic_holds_the_source_until_it_is_there(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("nodlq"), fixture.name("group"));
    let dead = format!("{topic}-dead");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let once = [("maxDeliveryAttempts", "1"), ("deadLetterMinAge", "0s")];
    let more = [
        &once[..],
        &[
            ("deadLetterTopic", "{topic}-dead"),
            ("publishTimeout", "1s"),
        ],
    ];
    let properties = properties(kafka, &group, &more.concat());
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    // By another client: a busy broker may take longer than that for a first record.
    let both = [Plain::new("a", "poison"), Plain::new("b", "fine")];
    records::write(kafka, &topic, &both).await?;
    let mut pull = player.pull(&topic).await?;
    let named = format!("the dead-letter topic {dead} does not exist");
    let warned = component
        .process
        .line(&named, SOON, |line| line.contains(&named))
        .await?;
    ensure!(warned.contains("kafka-topics.sh"), "{warned}");
    for _ in 0..2 {
        let message = pull.next(SOON).await?;
        if &message.data[..] == b"poison" {
            pull.nack(&message, "no").await?;
        } else {
            pull.ack(&message).await?;
        }
    }
    let told = "the dead letter of";
    let line = component
        .process
        .line(told, SOON, |line| line.contains(told))
        .await?;
    ensure!(
        line.contains("topicCreation"),
        "the remedy is named: {line}"
    );
    let labels = format!("component=\"todo-pubsub\",topic=\"{topic}\",group=\"{group}\"");
    let counted = format!("dlq_publish_failures_total{{{labels}}}");
    at_least(&component.admin().await?, &counted, 1.0).await?;
    let committed = admin::committed(kafka, &group, &topic, 1).await?;
    ensure!(
        committed == [Some(0)],
        "the source is uncommitted: {committed:?}"
    );

    admin::create_topic(kafka, &dead, 1, &[]).await?;
    records::wait_for(kafka, &dead, 1).await?;
    admin::all_committed(kafka, &group, &topic, 1, 2).await
}

/// What fails for another reason is named with its own remedy, and written once
/// that was done.
pub async fn a_dead_letter_that_cant_be_written_names_the_remedy(_: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start_with(&[
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("allow.everyone.if.no.acl.found", "true"),
    ])
    .await?;
    let brokers = kafka.address.as_str();
    let small = [("max.message.bytes", "2000")];
    for (topic, settings) in [
        ("large", &[][..]),
        ("large.dlq", &small),
        ("secret", &[]),
        ("secret.dlq", &[]),
    ] {
        admin::create_topic(brokers, topic, 1, settings).await?;
    }
    let deny = ["--deny-principal", "User:ANONYMOUS", "--operation", "Write"];
    let deny = [&deny[..], &["--topic", "secret.dlq"]].concat();
    let acls = "org.apache.kafka.tools.AclCommand";
    kafka.tool(acls, &[&["--add"], &deny[..]].concat()).await?;

    let place = Place::new()?;
    let mut component = place.component().await?;
    let once = [("maxDeliveryAttempts", "1"), ("deadLetterMinAge", "0s")];
    let more = [&once[..], &[("deadLetterTopic", "{topic}.dlq")]].concat();
    let properties = properties(brokers, "group", &more);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    for (topic, remedy) in [
        ("large", "raise the dead-letter topic's max.message.bytes"),
        (
            "secret",
            "allow this client to write to the dead-letter topic",
        ),
    ] {
        let mut pull = player.pull(topic).await?;
        player.publish(topic, "a", &"x".repeat(1800)).await?;
        let message = pull.next(SOON).await?;
        pull.nack(&message, "no").await?;
        component
            .process
            .line(remedy, SOON, |line| line.contains(remedy))
            .await?;
        let committed = admin::committed(brokers, "group", topic, 1).await?;
        ensure!(committed == [Some(0)], "{topic}: {committed:?}");
        if topic == "large" {
            admin::set_topic(brokers, "large.dlq", "max.message.bytes", "20000").await?;
        } else {
            let remove = [&["--remove", "--force"], &deny[..]].concat();
            kafka.tool(acls, &remove).await?;
        }
        records::wait_for(brokers, &format!("{topic}.dlq"), 1).await?;
        admin::all_committed(brokers, "group", topic, 1, 1).await?;
    }
    kafka.stop().await
}

pub async fn a_missing_dead_letter_topic_is_created_if_told_to(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("create"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 4, &[]).await?;
    let place = Place::new()?;
    let mut component = place.component().await?;
    let more = [("deadLetterTopic", "{topic}.dlq"), ("topicCreation", "dlq")];
    let properties = properties(kafka, &group, &more);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    let _pull = player.pull(&topic).await?;
    let created = format!("created the dead-letter topic {topic}.dlq");
    component
        .process
        .line(&created, SOON, |line| line.contains(&created))
        .await?;
    let dead = format!("{topic}.dlq");
    let settings = admin::topic_settings(kafka, &dead).await?;
    ensure!(
        settings.get("retention.ms").map(String::as_str) == Some("1209600000"),
        "{settings:?}"
    );
    let replicas = admin::replicas(kafka, &dead).await?;
    ensure!(
        replicas == [1; 4],
        "as many partitions as its source, one replica each: {replicas:?}"
    );
    Ok(())
}

/// A 5 MiB record in the middle of a topic: all others arrive, and it stands in
/// the dead-letter topic.
pub async fn a_record_that_daprd_cant_receive_breaks_no_stream(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("huge");
    let dead = format!("{topic}.dlq");
    let large = [("max.message.bytes", "8388608")];
    admin::create_topic(kafka, &topic, 1, &large).await?;
    admin::create_topic(kafka, &dead, 1, &large).await?;
    let place = Place::with_component(kafka, &[("deadLetterTopic", "{topic}.dlq")])?;
    let _component = place.component().await?;
    let app = App::start_raw(&topic).await?;
    let event = |n: usize| Plain::new(format!("k{}", n % 3), n.to_string());
    let before: Vec<_> = (0..20).map(event).collect();
    let huge = Plain::new(b"k1", vec![b'x'; 5 * 1024 * 1024]);
    let after: Vec<_> = (20..40).map(event).collect();
    records::write(kafka, &topic, &[before, vec![huge.clone()], after].concat()).await?;
    let app_id = fixture.name("app");
    let _daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
    let events = app.events(40).await?;
    ensure!(events.len() == 40, "each once: {}", events.len());
    admin::all_committed(kafka, &app_id, &topic, 1, 41).await?;
    let letters = records::wait_for(kafka, &dead, 1).await?;
    ensure!(letters[0].value == huge.value, "byte for byte");
    let failure = letters[0].header("dapr-dlq-failure");
    ensure!(
        failure.as_deref() == Some("too-large-for-daprd"),
        "{failure:?}"
    );
    Ok(())
}

/// A subscription's own metadata, which daprd passes along, wins over the component's.
pub async fn a_subscription_has_a_dead_letter_topic_of_its_own(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("own");
    let (own, components) = (format!("{topic}-own"), format!("{topic}.dlq"));
    for name in [&topic, &own, &components] {
        admin::create_topic(kafka, name, 1, &[]).await?;
    }
    let settings = [&QUICK[..], &[("deadLetterTopic", "{topic}.dlq")]].concat();
    let place = Place::with_component(kafka, &settings)?;
    let _component = place.component().await?;
    let metadata = json!({ "deadLetterTopic": own, "maxDeliveryAttempts": "1" });
    let subscriptions = json!([subscription(&topic, &metadata)]);
    let app = App::with(subscriptions, |_| StatusCode::INTERNAL_SERVER_ERROR).await?;
    let daprd = place
        .daprd(fixture.daprd, &fixture.name("app"), Some(app.port))
        .await?;
    let data = json!("poison");
    daprd.publish("todo-pubsub", &topic, "", &data).await?;
    let letters = records::wait_for(kafka, &own, 1).await?;
    let count = letters[0].header("__dlq.errors.delivery.count");
    ensure!(count.as_deref() == Some("1"), "{letters:?}");
    ensure!(
        records::read(kafka, &components).await?.is_empty(),
        "there too"
    );
    Ok(())
}

/// For a `deadLetterTopic` of the Subscription daprd publishes the record itself.
pub async fn what_daprd_dead_letters_gets_the_same_headers(fixture: Arc<Fixture>) -> Result<()> {
    daprd_gives_up(fixture, None).await
}

/// For a bulk subscription it does so in bulk.
pub async fn what_daprd_dead_letters_in_bulk_gets_the_same_headers(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let bulk = json!({ "enabled": true, "maxMessagesCount": 10, "maxAwaitDurationMs": 100 });
    daprd_gives_up(fixture, Some(bulk)).await
}

async fn daprd_gives_up(fixture: Arc<Fixture>, bulk: Option<Value>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let topic = fixture.name("daprs");
    let dead = format!("{topic}.bad");
    admin::create_topic(kafka, &topic, 3, &[]).await?;
    // It has no partition of the source's number.
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    let place = Place::with_component(kafka, &[("escapeHeaders", "true")])?;
    let _component = place.component().await?;
    let mut subscription = subscription(&topic, &json!({}));
    subscription["deadLetterTopic"] = json!(dead);
    if let Some(bulk) = bulk {
        subscription["bulkSubscribe"] = bulk;
    }
    let app = App::with(json!([subscription]), |_| StatusCode::INTERNAL_SERVER_ERROR).await?;
    let app_id = fixture.name("app");
    let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
    // The key, and the note, have signs that are escaped on their way to daprd.
    let query = "metadata.partitionKey=k%0A1&metadata.note=a%20b&metadata.partitionNumber=2";
    daprd
        .publish("todo-pubsub", &topic, query, &json!("poison"))
        .await?;
    let letters = records::wait_for(kafka, &dead, 1).await?;
    let sources = records::read(kafka, &topic).await?;
    ensure!(
        letters[0].value == sources[0].value,
        "{letters:?} of {sources:?}"
    );
    let key = letters[0].key.as_deref();
    ensure!(key == Some(b"k\n1"), "{letters:?} of {sources:?}");
    ensure!(
        key == sources[0].key.as_deref(),
        "{letters:?} of {sources:?}"
    );
    let number = letters[0].header("partitionNumber");
    ensure!(number.is_none(), "{letters:?}");
    for (name, value) in [
        ("note", "a b"),
        ("__dlq.errors.partition", "2"),
        ("__dlq.errors.topic", topic.as_str()),
        ("__dlq.errors.offset", "0"),
        ("__dlq.errors.group", &app_id),
        ("dapr-dlq-failure", "dead-lettered-by-daprd"),
    ] {
        ensure!(
            letters[0].header(name).as_deref() == Some(value),
            "{name}: {letters:?}"
        );
    }
    admin::all_committed(kafka, &app_id, &topic, 3, 1).await
}

/// One poison message on a quiet topic is a dead letter, and nothing is held up.
pub async fn one_poison_message_on_a_quiet_topic_is_dead_lettered(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let brokers = Brokers::plain(fixture.kafka().await?);
    one_poison_message(&fixture, &brokers).await
}

/// The same on any brokers.
pub async fn one_poison_message(fixture: &Fixture, brokers: &Brokers) -> Result<()> {
    let poison = |event: &Event| {
        if event.body["data"] == "poison" {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        }
    };
    let bench = Bench::start(fixture, brokers, &QUICK, poison).await?;
    for data in ["before", "poison", "after"] {
        let query = "metadata.partitionKey=same";
        let data = json!(data);
        bench
            .daprd
            .publish("todo-pubsub", &bench.topic, query, &data)
            .await?;
    }
    let letters = records::wait_for(&bench.kafka, &bench.dead, 1).await?;
    ensure!(letters.len() == 1, "{letters:?}");
    let events = bench.app.events(5).await?;
    let seen: Vec<_> = events
        .iter()
        .map(|event| event.body["data"].clone())
        .collect();
    let expected = ["before", "poison", "poison", "poison", "after"];
    ensure!(seen == expected, "{seen:?}");
    Ok(())
}

/// An app that fails everything for a while: few become dead letters, and all
/// others are processed once it is well.
pub async fn a_broken_app_does_not_drain_its_topic(fixture: Arc<Fixture>) -> Result<()> {
    const MESSAGES: usize = 200;
    const BOUND: usize = 20;
    let well = Arc::new(AtomicBool::new(false));
    let answer = {
        let well = well.clone();
        move |_: &Event| {
            if well.load(Ordering::Relaxed) {
                StatusCode::OK
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    };
    let settings = [&QUICK[..], &[("breakerProbeInterval", "100ms")]].concat();
    let brokers = Brokers::plain(fixture.kafka().await?);
    let mut bench = Bench::start(&fixture, &brokers, &settings, answer).await?;
    for n in 0..MESSAGES {
        let query = format!("metadata.partitionKey=k{n}");
        let data = json!(n);
        bench
            .daprd
            .publish("todo-pubsub", &bench.topic, &query, &data)
            .await?;
    }
    let opened = format!("the app fails most records of {}", bench.topic);
    bench
        .component
        .process
        .line(&opened, SOON, |line| line.contains(&opened))
        .await?;
    let labels = format!("topic=\"{}\",group=\"{}\"", bench.topic, bench.app_id);
    let open = format!("breaker_state{{component=\"todo-pubsub\",{labels}}}");
    at_least(&bench.component.admin().await?, &open, 1.0).await?;
    let attempts = bench.app.seen().len();
    bench.app.events(attempts + 10).await?;
    well.store(true, Ordering::Relaxed);

    let partitions = Bench::PARTITIONS;
    admin::all_committed(
        &bench.kafka,
        &bench.app_id,
        &bench.topic,
        partitions,
        MESSAGES,
    )
    .await?;
    let letters = records::read(&bench.kafka, &bench.dead).await?;
    ensure!(letters.len() < BOUND, "{} dead letters", letters.len());
    let closed = format!("the app processes records of {} again", bench.topic);
    bench
        .component
        .process
        .line(&closed, SOON, |line| line.contains(&closed))
        .await?;
    Ok(())
}

/// A topic with a dead-letter topic, and an app behind the real daprd.
struct Bench {
    kafka: String,
    topic: String,
    dead: String,
    app_id: String,
    app: App,
    daprd: harness::Daprd,
    component: harness::Component,
    _place: Place,
}

impl Bench {
    const PARTITIONS: i32 = 3;

    async fn start(
        fixture: &Fixture,
        brokers: &Brokers,
        settings: &[(&str, &str)],
        answer: impl Fn(&Event) -> StatusCode + Send + Sync + 'static,
    ) -> Result<Self> {
        let kafka = brokers.own.clone();
        let topic = fixture.name("dlq");
        let dead = format!("{topic}.dlq");
        admin::create_topic(&kafka, &topic, Self::PARTITIONS, &[]).await?;
        admin::create_topic(&kafka, &dead, 1, &[]).await?;
        let settings = [settings, &[("deadLetterTopic", "{topic}.dlq")]].concat();
        let place = brokers.place("pubsub.rdkafka", &settings)?;
        let component = place.component().await?;
        let app = App::with(json!([subscription(&topic, &json!({}))]), answer).await?;
        let app_id = fixture.name("app");
        let daprd = place.daprd(fixture.daprd, &app_id, Some(app.port)).await?;
        Ok(Self {
            kafka,
            topic,
            dead,
            app_id,
            app,
            daprd,
            component,
            _place: place,
        })
    }
}

/// A handler that panics cuts its connection: nothing but that says that the record is at fault.
/// The others go on, and the record becomes a dead letter.
pub async fn a_handler_that_panics_costs_one_dead_letter(fixture: Arc<Fixture>) -> Result<()> {
    const MESSAGES: usize = 40;
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("panics"), fixture.name("app"));
    let dead = format!("{topic}.dlq");
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    admin::create_topic(kafka, &dead, 1, &[]).await?;
    let more = [&QUICK[..], &[("deadLetterTopic", "{topic}.dlq")]].concat();
    let place = Place::with_component(kafka, &more)?;
    let _component = place.component().await?;
    let app = App::with(json!([subscription(&topic, &json!({}))]), |event| {
        assert!(event.body["data"] != 6, "the handler panics");
        StatusCode::OK
    });
    let app = app.await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(app.port)).await?;
    for number in 0..MESSAGES {
        daprd
            .publish("todo-pubsub", &topic, "", &json!(number))
            .await?;
    }
    admin::all_committed(kafka, &group, &topic, 1, MESSAGES).await?;
    let letters = records::read(kafka, &dead).await?;
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.header("dapr-dlq-failure"))
        .collect();
    ensure!(reasons == [Some("broke-the-app".to_owned())], "{reasons:?}");
    let mut seen: Vec<_> = app
        .seen()
        .iter()
        .filter_map(|event| event.body["data"].as_u64())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    ensure!(seen.len() == MESSAGES - 1, "{seen:?}");
    Ok(())
}

/// A message that ends the process, together with others of three more topics that it always works
/// on: only tests tell which of them it is. No other becomes a dead letter.
pub async fn a_message_that_ends_a_busy_process_costs_one_dead_letter(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let group = fixture.name("app");
    let topics: Vec<_> = (0..4).map(|n| fixture.name(&format!("ends{n}"))).collect();
    for topic in &topics {
        admin::create_topic(kafka, topic, 1, &[]).await?;
        admin::create_topic(kafka, &format!("{topic}.dlq"), 1, &[]).await?;
    }
    let more = [&QUICK[..], &[("deadLetterTopic", "{topic}.dlq")]].concat();
    let place = Place::with_component(kafka, &more)?;
    let _component = place.component().await?;
    // When the app is back, it is tried with a message of the first topic.
    let [busy @ .., poisoned] = &topics[..] else {
        return Err("no topics".into());
    };
    let (ends, mut ended) = mpsc::unbounded_channel();
    let subscriptions: Vec<_> = topics
        .iter()
        .map(|topic| subscription(topic, &json!({})))
        .collect();
    let mut app = App::start_with(
        json!(subscriptions),
        Duration::from_millis(100),
        move |event| {
            if event.body["data"] == "poison" {
                // The test is gone once it is over.
                let _ = ends.send(());
                panic!("the process ends");
            }
            StatusCode::OK
        },
    )
    .await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(app.port)).await?;
    daprd
        .publish("todo-pubsub", poisoned, "", &json!("poison"))
        .await?;
    let dead = format!("{poisoned}.dlq");
    let mut published = 0;
    let deadline = Instant::now() + SOON * 3;
    while records::read(kafka, &dead).await?.is_empty() {
        ensure!(
            Instant::now() < deadline,
            "no dead letter after {published} others"
        );
        // More than the app works on meanwhile: it is never idle.
        for topic in busy {
            for _ in 0..10 {
                let event = json!(published);
                daprd.publish("todo-pubsub", topic, "", &event).await?;
            }
        }
        published += 10;
        while ended.try_recv().is_ok() {
            app.down();
            app.up().await?;
        }
    }
    admin::all_committed(kafka, &group, poisoned, 1, 1).await?;
    for topic in busy {
        admin::all_committed(kafka, &group, topic, 1, published).await?;
        let letters = records::read(kafka, &format!("{topic}.dlq")).await?;
        ensure!(letters.is_empty(), "{topic}: {letters:?}");
    }
    let letters = records::read(kafka, &dead).await?;
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.header("dapr-dlq-failure"))
        .collect();
    ensure!(reasons == [Some("broke-the-app".to_owned())], "{reasons:?}");
    Ok(())
}
