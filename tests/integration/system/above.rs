//! What is committed beside a group's offset, and what one topic's commit is to another's.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use dapr_rdkafka::{
    kafka::GroupConsumer,
    metadata::resolve,
    model::{Offset, TopicPartition},
    telemetry::Member,
};
use harness::{Component, Kafka, Result, eventually};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, Pull, properties, text},
    },
};

/// An app that refuses one record all the time, and takes everything else.
struct App<'a> {
    kafka: &'a str,
    group: &'a str,
    topic: &'a str,
    taken: BTreeSet<String>,
}

impl<'a> App<'a> {
    /// Makes its topic, with a first record.
    async fn new(kafka: &'a str, group: &'a str, topic: &'a str, first: &str) -> Result<Self> {
        admin::create_topic(kafka, topic, 1, &[]).await?;
        admin::produce(kafka, topic, first).await?;
        Ok(Self {
            kafka,
            group,
            topic,
            taken: BTreeSet::new(),
        })
    }

    /// Publishes five more with keys of their own, and takes them. The stream stays open, so
    /// that the answers arrive.
    async fn takes_five_more(&mut self, player: &mut Player) -> Result<Pull> {
        let mut pull = player.pull(self.topic).await?;
        let more = self.taken.len()..self.taken.len() + 5;
        for n in more.clone() {
            let data = n.to_string();
            player.publish(self.topic, &data, &data).await?;
        }
        while self.taken.len() < more.end {
            let message = pull.next(SOON * 2).await?;
            let text = text(&message);
            if text == "refused" {
                pull.nack(&message, "not this one").await?;
            } else {
                pull.ack(&message).await?;
                ensure!(self.taken.insert(text), "{message:?} came again");
            }
        }
        Ok(pull)
    }

    /// Waits until the group has committed with this metadata.
    async fn committed(&self, metadata: impl Fn(&str) -> bool) -> Result<()> {
        let committed = || async {
            let committed = admin::committed_metadata(self.kafka, self.group, self.topic).await;
            committed.is_ok_and(|it| metadata(&it)).then_some(())
        };
        eventually("the commit of what is finished above", SOON, committed).await
    }
}

async fn member(place: &Place, kafka: &str, group: &str) -> Result<(Component, Player)> {
    let component = place.component().await?;
    let properties = properties(kafka, group, &[("backOffDuration", "100ms")]);
    let player = Player::start(&place.socket("rdkafka"), properties).await?;
    Ok((component, player))
}

pub async fn however_a_member_ends_only_the_refused_record_comes_again(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("above"), fixture.name("group"));
    let mut app = App::new(kafka, &group, &topic, "refused").await?;
    let place = Place::new()?;
    for (round, killed) in [(1, true), (2, false), (3, true)] {
        let (component, mut player) = member(&place, kafka, &group).await?;
        let pull = app.takes_five_more(&mut player).await?;
        let wanted = format!(" 0 1-{}", round * 5);
        app.committed(|it| it.ends_with(&wanted)).await?;
        drop((pull, player));
        if killed {
            component.process.kill().await?;
        } else {
            component.stop().await?;
        }
    }
    Ok(())
}

/// A tool may copy a group's offsets to a topic of this name in another cluster.
pub async fn what_is_said_of_another_topic_hides_no_record(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("above"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    for n in ["0", "1", "2"] {
        admin::produce(kafka, &topic, n).await?;
    }
    let metadata = "dapr-rdkafka AAAAAAAAAAAAAAAAAAAAAQ 0 1-2";
    admin::commit(kafka, &group, &topic, 0, metadata).await?;
    let place = Place::new()?;
    let (_component, mut player) = member(&place, kafka, &group).await?;
    let texts = player.pull(&topic).await?.take(3, SOON).await?;
    ensure!(texts == ["0", "1", "2"], "{texts:?}");
    Ok(())
}

/// As long as the refused record holds it, what was taken before is committed.
pub async fn brokers_that_take_no_metadata_get_offsets_alone(fixture: Arc<Fixture>) -> Result<()> {
    let own = Kafka::start_with(&[("offset.metadata.max.bytes", "20")]).await?;
    let kafka = own.address.as_str();
    let (topic, group) = (fixture.name("above"), fixture.name("group"));
    let mut app = App::new(kafka, &group, &topic, "before").await?;
    admin::produce(kafka, &topic, "refused").await?;
    let place = Place::new()?;
    let (mut component, mut player) = member(&place, kafka, &group).await?;
    let mut pull = app.takes_five_more(&mut player).await?;
    let told = "offset.metadata.max.bytes";
    let process = &mut component.process;
    process.line(told, SOON, |line| line.contains(told)).await?;
    let committed = || async {
        let committed = admin::committed(kafka, &group, &topic, 1).await;
        committed.is_ok_and(|it| it == [Some(1)]).then_some(())
    };
    eventually("the commit of the offset", SOON, committed).await?;
    app.committed(str::is_empty).await?;
    let mut left = pull.take(2, SOON).await?;
    left.retain(|text| app.taken.insert(text.clone()));
    ensure!(app.taken.len() == 7, "{left:?} and {:?}", app.taken);
    admin::all_committed(kafka, &group, &topic, 1, 7).await
}

pub async fn a_topic_that_is_gone_keeps_no_other_from_being_committed(
    fixture: Arc<Fixture>,
) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("above"), fixture.name("group"));
    admin::create_topic(kafka, &topic, 1, &[]).await?;
    let settings = resolve(&properties(kafka, &group, &[]));
    let settings = settings
        .map_err(|problems| format!("{problems:?}"))?
        .settings;
    let member = Member {
        component: "todo-pubsub".into(),
        group: group.as_str().into(),
    };
    let (consumer, _signals) = GroupConsumer::new(&settings, member)?;
    let at = |topic: &str| (TopicPartition::new(topic, 0), Offset(7).into());
    let both = vec![at(&fixture.name("gone")), at(&topic)];
    let results = consumer.commit(both, HashMap::new()).results().await.0;
    ensure!(results[0].is_err() && results[1].is_ok(), "{results:?}");
    let committed = admin::committed(kafka, &group, &topic, 1).await?;
    ensure!(committed == [Some(7)], "{committed:?}");
    Ok(())
}
