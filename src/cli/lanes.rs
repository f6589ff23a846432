//! `dapr-rdkafka lanes …` on the command line.

use std::collections::BTreeMap;

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{LogArgs, masked::Masked};
use crate::{
    dapr::MOST_STREAMS,
    lanes::{AppUrl, Lanes, Selection, Source, Subscription},
    model::topic::check_topic,
};

/// The most lanes of one topic, whose own subscription is a stream too.
const MOST: u16 = 895;

/// The environment's variable with the app's API token: daprd's own.
const TOKEN: &str = "APP_API_TOKEN";

/// `dapr-rdkafka lanes`.
#[derive(Args, Debug)]
#[command(mut_arg("log_level", |level| level.default_value("warn")))]
pub struct LanesArgs {
    /// Where a running app tells its subscriptions.
    #[arg(
        long,
        value_name = "URL",
        value_parser = Masked(|text| text.parse::<AppUrl>()),
        help = "Take topics, routes, metadata, dead-letter topics and bulk settings from what this \
                running app answers daprd, such as http://localhost:8080 (its own port; the path is \
                /dapr/subscribe unless given). $APP_API_TOKEN is sent if set"
    )]
    pub from: Option<AppUrl>,
    /// A topic that gets lanes. Repeatable; with --from by default all of them.
    #[arg(
        long = "topic",
        value_name = "TOPIC",
        required_unless_present = "from",
        value_parser = topic
    )]
    pub topics: Vec<String>,
    /// The Component's name. With --from it is needed only if the app uses several.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "from",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub pubsub: Option<String>,
    /// The path where the app takes the topics' messages, such as /events/orders.
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present = "from",
        conflicts_with = "from",
        value_parser = route
    )]
    pub route: Option<String>,
    /// Metadata of the app's own subscription, such as rawPayload=true: lanes need the same.
    /// Repeatable.
    #[arg(
        long = "metadata",
        value_name = "KEY=VALUE",
        conflicts_with = "from",
        value_parser = pair
    )]
    pub metadata: Vec<(String, String)>,
    /// How many lanes each topic gets beside the app's own subscription, 1 to 895.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 15,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST))
    )]
    pub count: u16,
    /// An app that the Subscriptions are for (`scopes`). Repeatable.
    #[arg(
        long = "app-id",
        value_name = "ID",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub app_ids: Vec<String>,
    /// How messages look; Subscriptions go to standard output.
    #[command(flatten)]
    pub log: LogArgs,
}

impl LanesArgs {
    /// What was asked for; `variable` reads the environment.
    ///
    /// # Errors
    /// When something was given twice.
    pub fn lanes(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Lanes, String> {
        // The range and the help say it in numbers.
        const { assert!(MOST as usize == MOST_STREAMS - 1) };
        if let Some(topic) = twice(&self.topics) {
            return Err(format!("--topic {topic} is given twice. Give it once"));
        }
        let keys: Vec<_> = self.metadata.iter().map(|(key, _)| key).collect();
        if let Some(key) = twice(&keys) {
            return Err(format!("--metadata {key:?} is given twice. Give it once"));
        }
        let mut app_ids = self.app_ids.clone();
        app_ids.sort();
        app_ids.dedup();
        let source = match &self.from {
            Some(url) => {
                let token = variable(TOKEN).filter(|token| !token.is_empty());
                Source::App(url.clone(), token)
            }
            None => Source::Given(self.given()),
        };
        Ok(Lanes {
            source,
            selection: Selection {
                pubsub: self.pubsub.clone(),
                topics: self.topics.clone(),
                count: self.count,
                app_ids,
            },
        })
    }

    /// The app's subscriptions as the command line describes them.
    fn given(&self) -> Vec<Subscription> {
        let metadata: BTreeMap<_, _> = self.metadata.iter().cloned().collect();
        let topics = self.topics.iter().map(|topic| Subscription {
            pubsub: self.pubsub.clone().unwrap_or_default(),
            topic: topic.clone(),
            default_route: self.route.clone().unwrap_or_default(),
            metadata: metadata.clone(),
            ..Subscription::default()
        });
        topics.collect()
    }
}

/// The first that stands there twice.
fn twice<T: PartialEq>(all: &[T]) -> Option<&T> {
    let mut each = all.iter().enumerate();
    each.find_map(|(at, one)| all[..at].contains(one).then_some(one))
}

fn topic(text: &str) -> Result<String, String> {
    check_topic(text).map(|()| text.to_owned())
}

fn route(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/') && !text.contains(|c: char| c == '#' || c.is_control());
    if is_path {
        return Ok(text.to_owned());
    }
    Err("expected a path that begins with / and has no #, such as /events/orders".into())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("expected KEY=VALUE, such as rawPayload=true")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn lanes(line: &str) -> Result<Lanes, String> {
        let line = ["dapr-rdkafka", "lanes"]
            .into_iter()
            .chain(line.split_whitespace());
        match Cli::try_parse_from(line)
            .map_err(|error| error.to_string())?
            .command
        {
            Command::Lanes(args) => args.lanes(|_| None),
            _ => panic!("lanes were asked for"),
        }
    }

    #[test]
    fn a_topic_needs_its_component_and_route_and_an_app_needs_neither() {
        for (line, is_right) in [
            ("--topic a --pubsub p --route /a", true),
            (
                "--topic a --topic b --pubsub p --route /a --count 895",
                true,
            ),
            (
                "--topic a --pubsub p --route /a --metadata rawPayload=true",
                true,
            ),
            ("--from http://localhost:80", true),
            (
                "--from http://localhost:80 --topic a --pubsub p --app-id x",
                true,
            ),
            ("", false),
            ("--topic a", false),
            ("--topic a --pubsub p", false),
            ("--topic a --route /a", false),
            ("--pubsub p --route /a", false),
            ("--from http://localhost:80 --route /a", false),
            ("--from http://localhost:80 --metadata a=b", false),
            ("--topic a --topic a --pubsub p --route /a", false),
            (
                "--topic a --pubsub p --route /a --metadata a=b --metadata a=c",
                false,
            ),
            ("--topic a --pubsub p --route /a --metadata =b", false),
            ("--topic a --pubsub p --route a", false),
            ("--topic a --pubsub p --route /a#b", false),
            ("--topic a --pubsub p --route /a --count 0", false),
            ("--topic a --pubsub p --route /a --count 896", false),
            ("--topic a --pubsub= --route /a", false),
            ("--topic a --pubsub p --route /a --app-id=", false),
            ("--topic= --pubsub p --route /a", false),
            ("--topic é --pubsub p --route /a", false),
        ] {
            assert_eq!(lanes(line).is_ok(), is_right, "{line}: {:?}", lanes(line));
        }
        let lane = lanes("--topic a~1 --pubsub p --route /a").expect_err("it is a lane");
        assert!(lane.contains("is a lane of the topic a,"), "{lane}");
    }

    #[test]
    fn what_is_given_describes_the_apps_own_subscriptions() {
        let line =
            "--topic a --topic b --pubsub p --route /a --metadata k=v=w --app-id y --app-id x";
        let Lanes { source, selection } = lanes(line).expect("it is right");
        let Source::Given(given) = source else {
            panic!("{source:?}");
        };
        assert_eq!(given.len(), 2);
        assert_eq!((&*given[1].topic, &*given[1].default_route), ("b", "/a"));
        assert_eq!(given[1].metadata["k"], "v=w");
        assert_eq!(
            (selection.count, selection.app_ids.join(",")),
            (15, "x,y".into())
        );
    }
}
