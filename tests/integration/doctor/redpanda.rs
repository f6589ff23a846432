//! The whole main job on brokers of other kinds than the tests' usual one: Redpanda's
//! shape, in plaintext and with TLS, an older Kafka, a cluster of several. And the
//! built-in component there, with what its user sees.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use harness::{
    Authority, Daprd, DaprdOptions, Kafka, KafkaCluster, Lab, LabOptions, LabTls, PASSWORD,
    Release, Result, STARTUP, USER, Way, eventually, free_port,
};

use crate::{
    ensure,
    support::{Fixture, admin, brokers::Brokers, doctor::Patient, player::Player, records},
    system::{dead_letters, rebalance, todo},
    tests,
};

tests!(
    "system::doctor::redpanda",
    the_main_job_is_done_on_redpandas_versions,
    the_main_job_is_done_on_redpandas_versions_with_tls,
    a_login_over_tls_goes_through_redpandas_versions,
    the_main_job_is_done_on_an_older_kafka,
    the_main_job_is_done_with_one_of_three_brokers_down_and_another_controller,
    the_built_in_fails_on_redpanda_in_the_users_words,
);

/// Kafka's `InitProducerId`, `Produce`, `Metadata`.
const INIT_PRODUCER_ID: i16 = 22;
const PRODUCE: i16 = 0;
const METADATA: i16 = 3;

pub async fn the_main_job_is_done_on_redpandas_versions(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start().await?;
    let lab = Lab::start(&kafka.address, LabOptions::redpanda()?).await?;
    let brokers = Brokers::by(&kafka.address, &lab.address, &[("authType", "none")]);
    through_the_lab(&fixture, &lab, &brokers, &LabOptions::redpanda()?).await?;
    kafka.stop().await
}

pub async fn the_main_job_is_done_on_redpandas_versions_with_tls(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = Kafka::start().await?;
    let (options, authority) = tls()?;
    let lab = Lab::start(&kafka.address, options.clone()).await?;
    let settings = [("authType", "certificate"), ("caCert", authority.as_str())];
    let brokers = Brokers::by(&kafka.address, &lab.address, &settings);
    through_the_lab(&fixture, &lab, &brokers, &options).await?;
    kafka.stop().await
}

/// What Redpanda's users mostly have: TLS, and a user by SCRAM.
pub async fn a_login_over_tls_goes_through_redpandas_versions(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.secure_kafka().await?;
    let (options, authority) = tls()?;
    let lab = Lab::start(&kafka.address(Way::Sasl), options).await?;
    let settings = [
        ("authType", "password"),
        ("saslMechanism", "SHA-512"),
        ("saslUsername", USER),
        ("saslPassword", PASSWORD),
        ("caCert", authority.as_str()),
    ];
    let brokers = Brokers::by(&kafka.address(Way::Plaintext), &lab.address, &settings);
    dead_letters::one_poison_message(&fixture, &brokers).await?;
    let (asked, cut) = (lab.asked(), lab.cut_off());
    ensure!(
        cut.is_empty() && asked.iter().any(|asked| asked.key == PRODUCE),
        "{asked:?}, cut off: {cut:?}"
    );
    Ok(())
}

/// Redpanda's shape with TLS, and the authority that signed its certificate.
fn tls() -> Result<(LabOptions, String)> {
    let authority = Authority::new("The lab's authority")?;
    let identity = authority.server(&["localhost"])?;
    let options = LabOptions::redpanda()?.with_tls(LabTls::new(identity));
    Ok((options, authority.pem))
}

/// All of it, with nothing that goes past the lab or that the lab would not have.
async fn through_the_lab(
    fixture: &Fixture,
    lab: &Lab,
    brokers: &Brokers,
    options: &LabOptions,
) -> Result<()> {
    todo::create_topics(&brokers.own).await?;
    let patient = Patient::new(&brokers.with(&[]))?;
    patient.is_healthy(&[]).await?;
    let seen = lab.asked();
    ensure!(
        seen.iter().any(|asked| asked.key == METADATA),
        "the doctor did not come as far as the cluster: {seen:?}"
    );
    main_job(fixture, brokers, "todo").await?;
    lost_answers_make_no_duplicates(fixture, lab, brokers, options).await?;
    let (asked, cut) = (lab.asked(), lab.cut_off());
    ensure!(cut.is_empty(), "it was asked for what it has not: {cut:?}");
    for key in [PRODUCE, INIT_PRODUCER_ID] {
        ensure!(
            asked.iter().any(|asked| asked.key == key),
            "request {key} went past the lab: {asked:?}"
        );
    }
    Ok(())
}

/// Six topics by the Todo app and daprd; a poison message behind the real daprd, and its
/// dead letter; members of a group that come and go.
async fn main_job(fixture: &Fixture, brokers: &Brokers, app_id: &str) -> Result<()> {
    let place = brokers.place("pubsub.rdkafka", &[])?;
    let component = place.component().await?;
    let around = todo::goes_around(fixture.daprd, &place, app_id).await;
    around.map_err(|error| format!("{error}; {}", component.process.failed("ran")))?;
    dead_letters::one_poison_message(fixture, brokers).await?;
    rebalance::members_come_and_go(fixture, brokers).await
}

/// Kafka has the records, but its answers are lost: they are sent again, and stand there
/// once.
async fn lost_answers_make_no_duplicates(
    fixture: &Fixture,
    lab: &Lab,
    brokers: &Brokers,
    options: &LabOptions,
) -> Result<()> {
    const MESSAGES: usize = 40;
    let topic = fixture.name("idempotence");
    admin::create_topic(&brokers.own, &topic, 1, &[]).await?;
    let place = brokers.place("pubsub.rdkafka", &[])?;
    let _component = place.component().await?;
    let properties = brokers.properties(&topic);
    let mut player = Player::start(&place.socket("rdkafka"), properties).await?;
    player.publish(&topic, "key", "0").await?;

    let (answers, lost) = (AtomicUsize::new(0), Arc::new(Mutex::new(0)));
    let counted = lost.clone();
    let mut losing = options.clone();
    losing.rewrite = Some(Arc::new(move |key, _, answer| {
        if key != PRODUCE || answers.fetch_add(1, Ordering::Relaxed) % 4 != 0 {
            return answer;
        }
        if let Ok(mut lost) = counted.lock() {
            *lost += 1;
        }
        bytes::Bytes::new()
    }));
    lab.change(losing)?;
    for n in 1..MESSAGES {
        player.publish(&topic, "key", &n.to_string()).await?;
    }
    lab.change(options.clone())?;
    let lost = *lost.lock().map_err(|error| error.to_string())?;
    ensure!(lost > 5, "only {lost} answers were lost");
    let stored = records::read(&brokers.own, &topic).await?;
    let values = stored.into_iter().filter_map(|record| record.value);
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(&value).into_owned())
        .collect();
    let wanted: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    ensure!(values == wanted, "each once, in order: {values:?}");
    Ok(())
}

/// What the built-in of the same daprd does there. What its user saw, word for word, comes
/// of a `version` whose Metadata is newer than what is served.
pub async fn the_built_in_fails_on_redpanda_in_the_users_words(
    fixture: Arc<Fixture>,
) -> Result<()> {
    const USERS: &str = "kafka: client has run out of available brokers to talk to: EOF";
    const CUT_SHORT: &str =
        "kafka: client has run out of available brokers to talk to: unexpected EOF";
    let kafka = Kafka::start().await?;
    todo::create_topics(&kafka.address).await?;
    let plain = Lab::start(&kafka.address, LabOptions::redpanda()?).await?;
    let (options, _) = tls()?;
    let tls = Lab::start(&kafka.address, options).await?;
    let brokers = Brokers::by(&kafka.address, &plain.address, &[("authType", "none")]);

    let newer = [("version", "2.8.0")];
    built_in_fails(&fixture, &brokers, &newer, USERS).await?;
    let cut = plain.cut_off();
    ensure!(
        !cut.is_empty()
            && cut
                .iter()
                .all(|asked| (asked.key, asked.version) == (METADATA, 10)),
        "{cut:?}"
    );

    // In plaintext on a TLS port it is the same where that just closes, as OpenSSL does;
    // where the broker is Kafka itself, seven bytes of an alert come before.
    let secure = fixture.secure_kafka().await?.address(Way::Tls);
    for (port, words) in [(&tls.address, USERS), (&secure, CUT_SHORT)] {
        let brokers = Brokers::by(&kafka.address, port, &[("authType", "none")]);
        built_in_fails(&fixture, &brokers, &[], words).await?;
    }

    let place = brokers.place("pubsub.kafka", &[])?;
    std::fs::create_dir_all(place.sockets())?;
    todo::goes_around(fixture.daprd, &place, "built-in").await?;
    kafka.stop().await
}

/// Requires that daprd, with its own component, says this.
async fn built_in_fails(
    fixture: &Fixture,
    brokers: &Brokers,
    settings: &[(&str, &str)],
    words: &str,
) -> Result<()> {
    let place = brokers.place("pubsub.kafka", settings)?;
    std::fs::create_dir_all(place.sockets())?;
    let app_id = fixture.name("app");
    let options = DaprdOptions {
        app_id: &app_id,
        app_port: None,
        resources: &place.resources(),
        sockets: &place.sockets(),
    };
    let mut daprd = Daprd::spawn(&fixture.daprd.program(), &options, free_port()?)?;
    let at_the_end = |line: &str| {
        line.split_once(words)
            .is_some_and(|(_, rest)| !rest.starts_with(|next: char| next.is_alphabetic()))
    };
    let line = daprd.process.line(words, STARTUP, at_the_end).await?;
    println!("daprd: {line}");
    Ok(())
}

pub async fn the_main_job_is_done_on_an_older_kafka(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = Kafka::start_release(Release::Three).await?;
    let brokers = Brokers::plain(&kafka.address);
    todo::create_topics(&brokers.own).await?;
    Patient::new(&brokers.with(&[]))?.is_healthy(&[]).await?;
    main_job(&fixture, &brokers, "todo").await?;
    kafka.stop().await
}

pub async fn the_main_job_is_done_with_one_of_three_brokers_down_and_another_controller(
    fixture: Arc<Fixture>,
) -> Result<()> {
    // Two copies, so that topics can be made while one broker is down.
    let more = [
        ("default.replication.factor", "2"),
        ("min.insync.replicas", "1"),
    ];
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let mut cluster = KafkaCluster::start_with(|_| more.iter().map(owned).collect()).await?;
    let brokers = Brokers::plain(&cluster.brokers());
    todo::create_topics(&brokers.own).await?;
    // Makes the topic of offsets, which has a copy on each.
    eventually("the topic of offsets is there", STARTUP, || async {
        let committed = admin::committed(&brokers.own, "nobody", "task-created", 3).await;
        committed.ok()
    })
    .await?;
    Patient::new(&brokers.with(&[]))?.is_healthy(&[]).await?;

    let controller = cluster.controller().await?;
    let other = (1..=3).find(|id| *id != controller).unwrap_or(1);
    cluster.down(other).await?;
    main_job(&fixture, &brokers, "one-down").await?;

    cluster.up(other).await?;
    let (old, new) = cluster.move_controller().await?;
    ensure!(old != new, "{old} is still the controller");
    Patient::new(&brokers.with(&[]))?.is_healthy(&[]).await?;
    // This time in Redpanda's shape, each broker by an address of its own.
    let labs = Lab::before_each(&cluster.addresses(), &LabOptions::redpanda()?).await?;
    let addresses: Vec<_> = labs.iter().map(|lab| lab.address.as_str()).collect();
    let by = [("authType", "none")];
    let shaped = Brokers::by(&brokers.own, &addresses.join(","), &by);
    Patient::new(&shaped.with(&[]))?.is_healthy(&[]).await?;
    main_job(&fixture, &shaped, "another-controller").await?;
    for lab in &labs {
        let (asked, cut) = (lab.asked(), lab.cut_off());
        ensure!(
            cut.is_empty() && asked.iter().any(|asked| asked.key == PRODUCE),
            "{asked:?}, cut off: {cut:?}"
        );
    }
    Ok(())
}
