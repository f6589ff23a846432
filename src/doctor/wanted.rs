//! What the component is to do with brokers.

use std::collections::{BTreeMap, HashMap};

use super::{
    Finding, Fix, Recorder, Stage, Wanted, WantedTopic,
    rows::{settings as rows, topics as topics_rows},
    stages::{settings::shortened, topics::subject as topics_subject},
};
use crate::{connect::Given, metadata::Settings, model::topic, resources::Subscription};

/// What daprd replaces by a namespace that no file tells.
const NAMESPACE: &str = "{namespace}";

/// Puts together what is known of topics and of the group.
pub(super) fn wanted(
    given: &Given,
    settings: &Settings,
    topics: &[String],
    recorder: &Recorder,
) -> Wanted {
    let mut found = Topics::default();
    let uses = &given.uses;
    let scoped = given
        .properties
        .values()
        .any(|value| value.contains(NAMESPACE));
    if scoped && !uses.subscriptions.is_empty() {
        let why = "the metadata has {namespace}, so daprd puts the namespace before each topic, \
                   and it is not known here: give the topics with --topic";
        recorder.skipped(Stage::Topics, "the Subscriptions' topics", why);
    } else {
        for subscription in &uses.subscriptions {
            if let Err(problem) = found.subscribed(settings, subscription) {
                let cause = shortened(&problem);
                let fix = Fix::words("Change the Subscription as the cause says");
                let subject = shortened(&subscription.topic);
                recorder.found(subject, Finding::new(&rows::SUBSCRIPTION, cause, fix));
            }
        }
    }
    for published in &uses.published {
        found.topic(published).publish = true;
    }
    let mut refused = Vec::new();
    for name in topics {
        let (name, _) = topic::subscribed(name);
        let topic = found.topic(name);
        (topic.publish, topic.subscribe) = (true, true);
        match settings.policy(name, &HashMap::new()) {
            Ok(policy) => found.by_component(policy.dead_letter.as_deref(), name),
            Err(cause) => refused.push((name, cause)),
        }
    }
    for (name, cause) in refused {
        // One that is the dead-letter topic itself has none.
        if found.topic(name).dead_letters_of.is_empty() && topic::check_topic(name).is_ok() {
            let fix = Fix::words("name another topic").set("deadLetterTopic", "{topic}.dlq");
            let finding = Finding::new(&topics_rows::DEAD_LETTER_NAME, cause, fix);
            recorder.found(topics_subject(name), finding);
        }
    }
    let group = settings.consumer_group.clone();
    Wanted {
        topics: found.0.into_values().collect(),
        // daprd puts something in its place: what, is not known here.
        group: group.filter(|group| !group.contains('{')),
    }
}

/// By their names.
#[derive(Default)]
struct Topics(BTreeMap<String, WantedTopic>);

impl Topics {
    fn topic(&mut self, name: &str) -> &mut WantedTopic {
        self.0
            .entry(name.to_owned())
            .or_insert_with(|| WantedTopic {
                name: name.to_owned(),
                publish: false,
                subscribe: false,
                dead_letters_of: Vec::new(),
                by_component: false,
            })
    }

    fn dead_letters(&mut self, letters: &str, of: &str) -> &mut WantedTopic {
        let topic = self.topic(letters);
        topic.publish = true;
        if !topic.dead_letters_of.iter().any(|known| known == of) {
            topic.dead_letters_of.push(of.to_owned());
        }
        topic
    }

    /// What the component itself writes.
    fn by_component(&mut self, letters: Option<&str>, of: &str) {
        if let Some(letters) = letters {
            self.dead_letters(letters, of).by_component = true;
        }
    }

    fn subscribed(
        &mut self,
        settings: &Settings,
        subscription: &Subscription,
    ) -> Result<(), String> {
        let (name, _) = topic::subscribed(&subscription.topic);
        topic::check_topic(name)?;
        let daprs = subscription.dead_letter_topic.as_deref();
        if let Some(letters) = daprs {
            topic::check_topic(letters)?;
        }
        let policy = settings.policy(name, &subscription.metadata)?;
        self.topic(name).subscribe = true;
        self.by_component(policy.dead_letter.as_deref(), name);
        if let Some(letters) = daprs {
            self.dead_letters(letters, name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connect::Uses, metadata};

    fn wanted_by(more: &[(&str, &str)], uses: Uses, topics: &[&str]) -> (Vec<String>, usize) {
        let pairs = [("brokers", "a:1"), ("authType", "none")];
        let pairs = pairs.iter().chain(more);
        let properties: HashMap<_, _> = pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let settings = metadata::resolve(&properties)
            .expect("it is right")
            .settings;
        let given = Given {
            name: "c".into(),
            kind: None,
            properties,
            elsewhere: Vec::new(),
            twice: Vec::new(),
            uses,
        };
        let topics: Vec<_> = topics.iter().map(|name| (*name).to_owned()).collect();
        let recorder = Recorder::default();
        let wanted = wanted(&given, &settings, &topics, &recorder);
        let told = wanted.topics.into_iter().map(|topic| {
            let publish = if topic.publish { "p" } else { "" };
            let subscribe = if topic.subscribe { "s" } else { "" };
            let of = topic.dead_letters_of.join(",");
            let by = if topic.by_component { "!" } else { "" };
            format!("{} {publish}{subscribe} {of}{by}", topic.name)
        });
        (told.collect(), recorder.report().findings().len())
    }

    fn subscription(topic: &str, letters: Option<&str>, own: &[(&str, &str)]) -> Uses {
        let own = own.iter();
        Uses {
            published: vec!["orders".into(), "sent".into()],
            subscriptions: vec![Subscription {
                topic: topic.into(),
                dead_letter_topic: letters.map(str::to_owned),
                metadata: own
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
                ..Subscription::default()
            }],
        }
    }

    #[test]
    fn all_sources_of_topics_come_together() {
        let component = [("deadLetterTopic", "{topic}.dlq")];
        let own = [("deadLetterTopic", "own")];
        let uses = subscription("orders#1", Some("daprs"), &own);
        let (told, _) = wanted_by(&component, uses, &["flag#2"]);
        let expected = [
            "daprs p orders",
            "flag ps ",
            "flag.dlq p flag!",
            "orders ps ",
            "own p orders!",
            "sent p ",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_dead_letter_topic_may_be_that_of_several() {
        let mut uses = subscription("a", None, &[]);
        let more = subscription("b", Some("shared"), &[("deadLetterTopic", "shared")]);
        uses.subscriptions.extend(more.subscriptions);
        let component = [("deadLetterTopic", "shared")];
        let (told, _) = wanted_by(&component, uses, &[]);
        let expected = ["a s ", "b s ", "orders p ", "sent p ", "shared p a,b!"];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_dead_letter_topic_of_its_own_is_found_unless_it_is_one() {
        let component = [("deadLetterTopic", "letters")];
        let none = Uses::default;
        assert_eq!(wanted_by(&component, none(), &["letters"]).1, 1);
        assert_eq!(wanted_by(&component, none(), &["letters", "a"]).1, 0);
        assert_eq!(wanted_by(&[], none(), &["no name"]).1, 0);
    }

    #[test]
    fn a_subscription_that_would_be_refused_is_found() {
        for uses in [
            subscription("a b", None, &[]),
            subscription("a", Some("b c"), &[]),
            subscription("a", None, &[("deadLetterTopic", "a")]),
            subscription("a", None, &[("maxDeliveryAttempts", "0")]),
        ] {
            assert_eq!(wanted_by(&[], uses, &[]).1, 1);
        }
    }

    #[test]
    fn a_namespace_that_is_not_known_makes_topics_unknown() {
        let scoped = [("consumerGroup", "{namespace}-app")];
        let (told, found) = wanted_by(&scoped, subscription("a", None, &[]), &[]);
        assert_eq!((told.len(), found), (2, 0), "{told:?}");
    }
}
