//! Logins and rights that go and come back.

use std::time::Duration;

use harness::{Result, USER};
use tokio::time::sleep;

use super::faults;
use crate::{
    Side,
    run::{Moods, Written, write},
    scene::{BOUND, DEAD_LETTERS, GROUP, PLAIN, Place, Shape, Stage, TOPIC},
};

const LOGIN: Shape = Shape {
    place: Place::Login,
    ..PLAIN
};

const POISONED: Shape = Shape {
    moods: Moods {
        poison: 10,
        ..PLAIN.moods
    },
    ..LOGIN
};

/// With the judged one they are ten.
const BESIDE: [&str; 9] = [
    "beside-1", "beside-2", "beside-3", "beside-4", "beside-5", "beside-6", "beside-7", "beside-8",
    FORBIDDEN,
];

const FORBIDDEN: &str = "forbidden";

const TEN: Shape = Shape {
    beside: &BESIDE,
    ..LOGIN
};

const TLS: Shape = Shape {
    place: Place::Tls,
    ..PLAIN
};

const TOKENS: Shape = Shape {
    place: Place::Tokens,
    ..PLAIN
};

faults! { "rights.rs":
    topic_forbidden: "acl-removed", Side::BOTH, 3, LOGIN,
        "for 20 s the user may neither read nor write the topic, nor use the group";
    one_forbidden: "one-forbidden-topic", &[Side::Component], 3, TEN,
        "ten topics; the user may do nothing with one of them, not even describe it, while the only member goes and another takes over: until the right is back, all records of the other nine must arrive";
    dead_letters_forbidden: "dead-letter-forbidden", &[Side::Component], 3, POISONED,
        "for 20 s the user may not write the dead-letter topic, while 1 % of all records want to go there";
    no_tokens: "token-expiry", Side::BOTH, 3, TOKENS,
        "tokens live for 5 s, brokers ask for a new one every 3 s, and for 20 s nobody gives any";
    certificate_over: "certificate-expiry", Side::BOTH, 3, TLS,
        "for 20 s the broker's certificate is over, with all connections closed when that begins, and a valid one is there again afterwards";
}

const LASTS: Duration = Duration::from_secs(20);

async fn topic_forbidden(stage: &mut Stage) -> Result<()> {
    let (topic, group) = (format!("--topic {TOPIC}"), format!("--group {GROUP}"));
    stage.begins("the topic and the group are forbidden", BOUND);
    for what in [&topic, &group] {
        forbid(stage, "--add", what).await?;
    }
    sleep(LASTS).await;
    for what in [&topic, &group] {
        forbid(stage, "--remove --force", what).await?;
    }
    stage.heals().await
}

/// Records in each topic beside the judged one while one is forbidden.
const EACH: usize = 20;

/// The right comes back when all that may arrive has arrived: that is when the fault ends.
async fn one_forbidden(stage: &mut Stage) -> Result<()> {
    let (healthy, topic) = (&BESIDE[..8], format!("--topic {FORBIDDEN}"));
    write_beside(stage, 1).await?;
    stage.come_beside(&BESIDE, 1).await?;
    stage.begins("one of ten topics is forbidden", BOUND);
    forbid(stage, "--add", &topic).await?;
    let first = stage.members.remove(0);
    first.leave().await?;
    stage.join().await?;
    write_beside(stage, EACH).await?;
    stage.come_beside(healthy, 1 + EACH).await?;
    stage.goes_on(500).await?;
    let came = stage.app.came_beside(FORBIDDEN);
    if came != 1 {
        return Err(format!("{came} messages came from the forbidden topic").into());
    }
    forbid(stage, "--remove --force", &topic).await?;
    stage.heals_after_drain().await?;
    stage.come_beside(&BESIDE, 1 + EACH).await
}

/// Writes so many records to each of the topics beside the judged one.
async fn write_beside(stage: &mut Stage, count: usize) -> Result<()> {
    for topic in BESIDE {
        let messages = stage.others(topic, count as u64);
        let records = messages.iter().map(|message| Written::event(0, message, 0));
        write(&stage.brokers.own(), topic, records.collect()).await?;
    }
    Ok(())
}

async fn dead_letters_forbidden(stage: &mut Stage) -> Result<()> {
    let topic = format!("--topic {DEAD_LETTERS}");
    stage.begins("the dead-letter topic is forbidden", 0);
    forbid(stage, "--add", &topic).await?;
    sleep(LASTS).await;
    forbid(stage, "--remove --force", &topic).await?;
    stage.heals().await
}

/// Whatever is forbidden explicitly can't be done; everything else is allowed.
async fn forbid(stage: &mut Stage, how: &str, what: &str) -> Result<()> {
    let line = format!(
        "kafka-acls.sh --bootstrap-server <bootstrap> {how} --deny-principal User:{USER} --operation All {what}"
    );
    stage.brokers.single()?.run(&line).await
}

async fn no_tokens(stage: &mut Stage) -> Result<()> {
    let idp = stage.brokers.idp()?;
    idp.tokens_live(Duration::from_secs(5));
    // The first member has a token that lives long.
    stage.begins("another member, with short tokens", BOUND);
    stage.join().await?;
    let first = stage.members.remove(0);
    first.leave().await?;
    stage.heals_after_drain().await?;
    stage.goes_on(500).await?;
    stage.begins("nobody gives tokens", BOUND);
    stage.brokers.idp()?.down();
    sleep(LASTS).await;
    stage.brokers.idp()?.up().await?;
    stage.heals().await
}

async fn certificate_over(stage: &mut Stage) -> Result<()> {
    stage.begins("the certificate is over", BOUND);
    stage.brokers.certificate(false)?;
    sleep(LASTS).await;
    stage.brokers.certificate(true)?;
    stage.heals().await
}
