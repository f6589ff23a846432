//! Which lanes may be opened.
//!
//! daprd compares topic scopes as exact names (dapr/dapr v1.16.5,
//! `pkg/runtime/pubsub/adapter.go`, `IsOperationAllowed`): for it `orders#1` has
//! nothing to do with `orders`. So whoever may not read a topic must not read it
//! by one of its lanes either.

use crate::{
    metadata::Settings,
    model::topic::{LANE, subscribed},
};

/// Refuses a lane of a topic that is protected or scoped, unless the lane is
/// listed too: then daprd itself has checked it.
pub(super) fn check(settings: &Settings, name: &str) -> Result<(), String> {
    let (topic, is_lane) = subscribed(name);
    if !is_lane {
        return Ok(());
    }
    for (key, listed) in [
        ("protectedTopics", &settings.protected_topics),
        ("subscriptionScopes", &settings.scoped_topics),
    ] {
        if names(listed, topic) && !lists(listed, name) {
            return Err(format!(
                "{name:?} is a lane of {topic}, which {key} names, and is not named itself: daprd \
                 knows it by its own name only. List it in {key} beside {topic}"
            ));
        }
    }
    Ok(())
}

/// Whether the list names a topic. daprd puts the namespace before a topic's
/// name if the metadata asks for it, and does not say so: an end that is the same
/// counts, since refusing too much is the safer mistake.
fn names(listed: &[String], topic: &str) -> bool {
    listed.iter().any(|listed| topic.ends_with(listed.as_str()))
}

/// Whether the list has this very lane: an entry that is no lane lists none.
fn lists(listed: &[String], lane: &str) -> bool {
    let Some((topic, lane)) = lane.split_once(LANE) else {
        return false;
    };
    let entries = listed.iter().filter_map(|listed| listed.split_once(LANE));
    entries
        .into_iter()
        .any(|(of, listed)| listed == lane && topic.ends_with(of))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::metadata::resolve;

    fn refused(scopes: &[(&str, &str)], name: &str) -> Option<String> {
        let required = [("brokers", "a:9092"), ("authType", "none")];
        let pairs = required.iter().chain(scopes);
        let properties: HashMap<_, _> = pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let settings = resolve(&properties).expect("it is right").settings;
        check(&settings, name).err()
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
        ] {
            assert!(refused(&protected, lane).is_some(), "{lane}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_of_a_lane_opens_a_protected_topic(
            topic in "[a-z.]{1,8}",
            lane in ".{0,12}",
            other in "[a-z#.]{1,8}",
        ) {
            let protected = format!("{topic},{topic}#listed");
            let scopes = [("protectedTopics", &*protected)];
            let wanted = format!("{topic}#{lane}");
            proptest::prop_assert_eq!(refused(&scopes, &wanted).is_none(), lane == "listed");
            // daprd itself decides on what is no lane.
            let other = other.replace('#', "");
            proptest::prop_assert_eq!(refused(&scopes, &other), None);
        }
    }

    #[test]
    fn a_namespace_before_the_name_changes_nothing() {
        let protected = [("protectedTopics", "secret")];
        assert!(refused(&protected, "productionsecret#1").is_some());
    }
}
