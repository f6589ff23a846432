//! Logins and rights that go and come back.

use std::time::Duration;

use harness::{Result, USER};
use tokio::time::sleep;

use super::faults;
use crate::{
    Side,
    run::Moods,
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
    stage.heals().await?;
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
