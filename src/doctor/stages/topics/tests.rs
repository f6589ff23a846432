use kafka_protocol::messages::BrokerId;
use proptest::prelude::*;

use super::*;
use crate::{doctor::run::WantedTopic, metadata::TopicCreation};

fn wanted(names: &[&str]) -> Wanted {
    let topics = names.iter().map(|name| WantedTopic {
        name: (*name).to_owned(),
        publish: true,
        subscribe: true,
        dead_letters_of: Vec::new(),
        by_component: false,
    });
    Wanted {
        topics: topics.collect(),
        group: None,
    }
}

#[test]
fn lanes_are_their_topics_and_all_sources_are_kept() {
    let mut wanted = wanted(&["a", "a#1", "b", "no name"]);
    for source in ["a#1", "b"] {
        wanted.topics.push(WantedTopic {
            name: "letters".into(),
            publish: true,
            subscribe: false,
            dead_letters_of: vec![source.into()],
            by_component: source == "b",
        });
    }
    let (wishes, refused) = wishes(&wanted);
    let names: Vec<_> = wishes.keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "b", "letters"]);
    assert_eq!(wishes["letters"].sources, ["a", "b"]);
    assert!(wishes["letters"].by_component && !wishes["a"].by_component);
    assert_eq!(refused.len(), 1);
}

#[test]
fn a_missing_dead_letter_topic_is_made_by_the_component_alone() {
    for (by_component, code) in [(true, "RDK-TOP-09"), (false, "RDK-TOP-02")] {
        let wish = Wish {
            publish: true,
            sources: vec!["a".into()],
            by_component,
            ..Wish::default()
        };
        let found = missing::finding("letters", &wish, &Ok(false), &[]);
        assert_eq!(found.row.code, code);
    }
}

#[test]
fn what_the_subscription_makes_is_what_it_was_told_to() {
    let letters = Wish {
        by_component: true,
        ..Wish::default()
    };
    let subscribed = Wish {
        subscribe: true,
        ..Wish::default()
    };
    let published = Wish {
        publish: true,
        ..Wish::default()
    };
    let wishes = [letters, subscribed, published];
    for (creation, expected) in [
        (TopicCreation::Never, [false, false, false]),
        (TopicCreation::DeadLetters, [true, false, false]),
        (TopicCreation::Subscribed, [true, true, false]),
    ] {
        let made = wishes
            .each_ref()
            .map(|wish| missing::is_made(creation, wish));
        assert_eq!(made, expected, "{creation:?}");
    }
}

fn partition(leader: i32, replicas: &[i32], in_sync: &[i32]) -> MetadataResponsePartition {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    MetadataResponsePartition::default()
        .with_leader_id(leader.into())
        .with_replica_nodes(ids(replicas))
        .with_isr_nodes(ids(in_sync))
}

fn topic(partitions: Vec<MetadataResponsePartition>, config: &[(&str, &str)]) -> Topic {
    let config = config.iter();
    Topic {
        name: "t".into(),
        wish: Wish {
            publish: true,
            subscribe: true,
            ..Wish::default()
        },
        partitions,
        config: config
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

#[test]
fn acknowledgements_of_all_want_enough_replicas_in_sync() {
    let few = topic(
        vec![partition(1, &[1, 2, 3], &[1])],
        &[("min.insync.replicas", "2")],
    );
    let codes = |topic: &Topic, acks_all| -> Vec<_> {
        let around = Around {
            brokers: [1, 2, 3].into(),
            acks_all,
        };
        let found = partitions::judge(topic, &around);
        found.into_iter().map(|found| found.row.code).collect()
    };
    assert_eq!(codes(&few, true), ["RDK-TOP-05"]);
    assert!(codes(&few, false).is_empty());
    let mut read = few.clone();
    read.wish.publish = false;
    assert!(codes(&read, true).is_empty());
    let unknown = topic(few.partitions.clone(), &[]);
    assert!(codes(&unknown, true).is_empty());
}

proptest! {
    #[test]
    fn nothing_that_brokers_say_is_too_much(
        each in prop::collection::vec((any::<i32>(), prop::collection::vec(any::<i32>(), 0..5), prop::collection::vec(any::<i32>(), 0..5)), 0..5),
        values in prop::collection::vec(("cleanup.policy|min.insync.replicas|retention.ms", "[-0-9]{0,22}|\\PC{0,300}"), 0..4),
    ) {
        let partitions = each.iter().map(|(leader, replicas, in_sync)| partition(*leader, replicas, in_sync));
        let values: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut topic = topic(partitions.collect(), &values);
        topic.wish.sources = vec!["t".into()];
        let around = Around { brokers: [1, 2, 3].into(), acks_all: true };
        let mut found = partitions::judge(&topic, &around);
        found.extend(kept::judge(&topic, [&topic]));
        for finding in found {
            prop_assert!(finding.cause.len() < 1000 && !finding.cause.contains(char::is_control));
        }
    }
}
