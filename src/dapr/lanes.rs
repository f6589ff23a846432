//! Which lanes may be opened.
//!
//! daprd compares topic scopes as exact names (dapr/dapr v1.16.5,
//! `pkg/runtime/pubsub/adapter.go`, `IsOperationAllowed`): for it `orders#1` has
//! nothing to do with `orders`. So whoever may not read a topic must not read it
//! by one of its lanes either.

use std::collections::HashMap;

use crate::{metadata::Settings, model::topic::subscribed};

/// Refuses a lane of a topic that is protected or scoped, unless the lane is
/// listed too: then daprd itself has checked it. `properties` are the Component's
/// metadata as daprd sent them.
pub(super) fn check(
    settings: &Settings,
    properties: &HashMap<String, String>,
    name: &str,
) -> Result<(), String> {
    let (topic, Some(lane)) = subscribed(name) else {
        return Ok(());
    };
    for (key, listed) in [
        ("protectedTopics", &settings.protected_topics),
        ("subscriptionScopes", &settings.scoped_topics),
    ] {
        if names(listed, properties, topic) && !lists(listed, properties, topic, lane) {
            return Err(format!(
                "{name:?} is a lane of {topic}, which {key} names, and is not named itself: daprd \
                 knows it by its own name only. List it in {key} beside {topic}"
            ));
        }
    }
    Ok(())
}

/// Whether the list names a topic.
fn names(listed: &[String], properties: &HashMap<String, String>, topic: &str) -> bool {
    listed
        .iter()
        .any(|listed| is_topic(listed, properties, topic))
}

/// Whether the list has this very lane, separator included: daprd, which allows what is
/// listed, does not know that `~` and `#` mean the same. An entry that is no lane lists none.
fn lists(listed: &[String], properties: &HashMap<String, String>, topic: &str, lane: &str) -> bool {
    let mut entries = listed.iter().map(|entry| subscribed(entry));
    entries.any(|(of, listed)| listed == Some(lane) && is_topic(of, properties, topic))
}

/// Whether a listed name means a topic: they are equal, or daprd has put the namespace before
/// the listed name. daprd does so, without saying it, if the metadata has the template
/// `{namespace}`, which it replaces by `NAMESPACE.APP-ID` (dapr/dapr v1.18.3,
/// `pkg/runtime/meta/meta.go`). Therefore only what a property holds, followed by a dot, is taken
/// for a namespace.
fn is_topic(listed: &str, properties: &HashMap<String, String>, topic: &str) -> bool {
    match topic.strip_suffix(listed) {
        None => false,
        Some("") => true,
        Some(prefix) => {
            let namespace = format!("{prefix}.");
            properties.values().any(|value| value.contains(&namespace))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::resolve;

    fn refused(scopes: &[(&str, &str)], name: &str) -> Option<String> {
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let pairs = required.iter().chain(scopes);
        let properties: HashMap<_, _> = pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let settings = resolve(&properties).expect("it is right").settings;
        check(&settings, &properties, name).err()
    }

    #[test]
    fn a_lane_of_a_protected_topic_is_refused_unless_it_is_listed() {
        let protected = [("protectedTopics", "secret, other")];
        let error = refused(&protected, "secret#1").expect("it is protected");
        assert!(error.contains("List it in protectedTopics"), "{error}");
        assert!(refused(&protected, "other#a").is_some());
        assert_eq!(refused(&protected, "secret"), None, "daprd checks that one");
        assert_eq!(refused(&protected, "open#1"), None);
        let listed = [("protectedTopics", "secret,secret#1")];
        assert_eq!(refused(&listed, "secret#1"), None);
        assert!(refused(&listed, "secret#2").is_some());
    }

    #[test]
    fn both_separators_make_lanes_and_a_listed_one_opens_only_itself() {
        let protected = [("protectedTopics", "secret")];
        assert!(refused(&protected, "secret~1").is_some());
        for (listed, other) in [("secret~1", "secret#1"), ("secret#1", "secret~1")] {
            let protected = format!("secret,{listed}");
            let protected = [("protectedTopics", &*protected)];
            assert_eq!(refused(&protected, listed), None);
            assert!(refused(&protected, other).is_some(), "{other}");
        }
        let scoped = [("subscriptionScopes", "app1=secret,secret~1")];
        assert_eq!(refused(&scoped, "secret~1"), None);
        assert!(refused(&scoped, "secret#1").is_some());
    }

    #[test]
    fn a_lane_of_a_scoped_topic_is_refused_unless_it_is_listed() {
        let scoped = [("subscriptionScopes", "app1=secret;app2=a,b;app3=")];
        assert!(refused(&scoped, "secret#1").is_some());
        assert!(refused(&scoped, "b#1").is_some());
        assert_eq!(refused(&scoped, "c#1"), None);
        let listed = [("subscriptionScopes", "app1=secret,secret#1")];
        assert_eq!(refused(&listed, "secret#1"), None);
    }

    #[test]
    fn being_scoped_does_not_lift_a_protection() {
        let both = [
            ("protectedTopics", "secret"),
            ("subscriptionScopes", "app1=secret#1"),
        ];
        assert!(refused(&both, "secret#1").is_some());
    }

    #[test]
    fn a_lane_whose_end_looks_like_what_is_listed_is_not_listed() {
        let protected = [("protectedTopics", "secret,secret#1")];
        for lane in [
            "secret#secret",
            "secret#x-secret#1",
            "secret#a#1",
            "secret#",
            "secret~",
            "secret~#1",
            "secret#~1",
            "secret~secret#1",
        ] {
            assert!(refused(&protected, lane).is_some(), "{lane}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_of_a_lane_opens_a_protected_topic(
            topic in "[a-z.]{1,8}",
            lane in "(listed|.{0,12})",
            signs in "[#~][#~]",
            other in "[a-z.]{1,8}",
        ) {
            let (sign, listed) = signs.split_at(1);
            let protected = format!("{topic},{topic}{listed}listed");
            let scopes = [("protectedTopics", &*protected)];
            let wanted = format!("{topic}{sign}{lane}");
            let is_listed = lane == "listed" && sign == listed;
            proptest::prop_assert_eq!(refused(&scopes, &wanted).is_none(), is_listed);
            // daprd itself decides on what is no lane.
            proptest::prop_assert_eq!(refused(&scopes, &other), None);
        }
    }

    #[test]
    fn a_namespace_before_the_name_changes_nothing() {
        let protected = ("protectedTopics", "secret,secret#listed");
        let scoped = [protected, ("consumerID", "production.todo")];
        assert!(refused(&scoped, "productionsecret#1").is_some());
        assert!(refused(&scoped, "productionsecret~1").is_some());
        assert_eq!(refused(&scoped, "productionsecret#listed"), None);
    }

    #[test]
    fn a_topic_whose_name_ends_alike_is_another_topic() {
        let protected = [
            ("protectedTopics", "orders"),
            ("consumerID", "production.todo"),
        ];
        assert_eq!(refused(&protected, "customer-orders#1"), None);
        assert_eq!(refused(&protected, "stagingorders#1"), None);
        assert!(refused(&protected, "productionorders#1").is_some());
    }
}
