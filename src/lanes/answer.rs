//! What an app answers to `GET /dapr/subscribe` (dapr/dapr v1.18.3,
//! `pkg/runtime/pubsub/subscriptions.go`).
//!
//! It is read as daprd's `encoding/json` reads it: the names of fields in any case, since
//! SDKs write `pubsubname` and `pubsubName`, and null for what is left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Bulk, Rule, Subscription};
use crate::model::text::beginning;

/// How much of a wrong value an error shows, in bytes.
const SHOWN: usize = 60;

/// The subscriptions in an answer's body. A body without content has none.
///
/// # Errors
/// Where the body is not what daprd expects.
pub(super) fn subscriptions(body: &[u8]) -> Result<Vec<Subscription>, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    let items = match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        other => return Err(wrong("the body", &other, "a list of subscriptions")),
    };
    let items = items.iter().enumerate();
    items
        .map(|(at, item)| Fields::of(item, format!("[{at}]"))?.subscription())
        .collect()
}

/// The fields of an object, and where the object stands in the answer.
struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    place: String,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, place: String) -> Result<Self, String> {
        let object = match value {
            Value::Null => None,
            Value::Object(object) => Some(object),
            other => return Err(wrong(&place, other, "an object")),
        };
        Ok(Self { object, place })
    }

    fn subscription(&self) -> Result<Subscription, String> {
        let routes = self.object("routes")?;
        let mut default_route = routes.text("default")?;
        if default_route.is_empty() {
            default_route = self.text("route")?;
        }
        Ok(Subscription {
            pubsub: self.text("pubsubname")?,
            topic: self.text("topic")?,
            rules: routes.rules()?,
            default_route,
            metadata: self.object("metadata")?.texts()?,
            dead_letter_topic: self.text("deadLetterTopic")?,
            bulk: self.object("bulkSubscribe")?.bulk()?,
        })
    }

    fn rules(&self) -> Result<Vec<Rule>, String> {
        let rules = match self.get("rules") {
            None => return Ok(Vec::new()),
            Some(Value::Array(rules)) => rules,
            Some(other) => return Err(wrong(&self.place_of("rules"), other, "a list")),
        };
        let rules = rules.iter().enumerate().map(|(at, rule)| {
            let rule = Fields::of(rule, format!("{}[{at}]", self.place_of("rules")))?;
            Ok(Rule {
                condition: rule.text("match")?,
                path: rule.text("path")?,
            })
        });
        rules.collect()
    }

    fn bulk(&self) -> Result<Option<Bulk>, String> {
        let enabled = match self.get("enabled") {
            None => false,
            Some(Value::Bool(enabled)) => *enabled,
            Some(other) => return Err(wrong(&self.place_of("enabled"), other, "true or false")),
        };
        let bulk = Bulk {
            max_messages: self.number("maxMessagesCount")?,
            max_await_ms: self.number("maxAwaitDurationMs")?,
        };
        Ok(enabled.then_some(bulk))
    }

    /// All fields of an object of texts, with their names as they are.
    fn texts(&self) -> Result<BTreeMap<String, String>, String> {
        let fields = self.object.into_iter().flatten();
        let texts =
            fields.map(|(name, value)| Ok((name.clone(), self.as_text(name, Some(value))?)));
        texts.collect()
    }

    fn object(&self, name: &str) -> Result<Self, String> {
        Self::of(self.get(name).unwrap_or(&Value::Null), self.place_of(name))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        self.as_text(name, self.get(name))
    }

    fn as_text(&self, name: &str, value: Option<&Value>) -> Result<String, String> {
        match value {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(wrong(&self.place_of(name), other, "a text")),
        }
    }

    fn number(&self, name: &str) -> Result<i32, String> {
        let Some(value) = self.get(name) else {
            return Ok(0);
        };
        let number = value.as_i64().and_then(|number| number.try_into().ok());
        number.ok_or_else(|| wrong(&self.place_of(name), value, "a whole number of 32 bits"))
    }

    /// A field that is there and not null: of this very name, or of one in another case.
    fn get(&self, name: &str) -> Option<&'a Value> {
        let object = self.object?;
        let mut fields = object.iter();
        let value = object.get(name).or_else(|| {
            let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value)
        });
        value.filter(|value| !value.is_null())
    }

    fn place_of(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }
}

fn wrong(place: &str, value: &Value, expected: &str) -> String {
    let value = value.to_string();
    let shown = beginning(&value, SHOWN);
    let more = if shown.len() < value.len() { "…" } else { "" };
    format!("{place} is {shown}{more}, not {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"[
      {"pubsubname": "todo", "topic": "a", "route": "/a"},
      {"pubsubName": "todo", "Topic": "b", "metadata": {"rawPayload": "true", "Case": "kept"},
       "deadLetterTopic": "b.dead", "bulkSubscribe": {"enabled": true, "maxMessagesCount": 100},
       "routes": {"rules": [{"match": "event.type == \"x\"", "path": "/x"}], "default": "/b"},
       "route": "/not-taken"},
      {"pubsubname": "todo", "topic": "c", "route": "/c", "routes": null, "metadata": null,
       "deadLetterTopic": null, "bulkSubscribe": {"enabled": false, "maxMessagesCount": 5}}]"#;

    #[test]
    fn every_field_is_read_in_the_ways_that_daprd_reads_it() {
        let read = subscriptions(FULL.as_bytes()).expect("it is right");
        let of = |topic: &str, route: &str| Subscription {
            pubsub: "todo".into(),
            topic: topic.into(),
            default_route: route.into(),
            ..Subscription::default()
        };
        let pairs = [("rawPayload", "true"), ("Case", "kept")];
        let rule = Rule {
            condition: "event.type == \"x\"".into(),
            path: "/x".into(),
        };
        let b = Subscription {
            rules: vec![rule],
            metadata: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            dead_letter_topic: "b.dead".into(),
            bulk: Some(Bulk {
                max_messages: 100,
                max_await_ms: 0,
            }),
            ..of("b", "/b")
        };
        assert_eq!(read, [of("a", "/a"), b, of("c", "/c")]);
    }

    #[test]
    fn an_empty_answer_has_no_subscriptions() {
        for body in ["", " \n", "null", "[]"] {
            assert_eq!(subscriptions(body.as_bytes()), Ok(Vec::new()), "{body:?}");
        }
        let nothing = subscriptions(b"[null]").expect("daprd takes it");
        assert_eq!(nothing, [Subscription::default()]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (body, problem) in [
            (
                "<html>",
                "it is not JSON: expected value at line 1 column 1",
            ),
            ("{}", "the body is {}, not a list of subscriptions"),
            ("[5]", "[0] is 5, not an object"),
            (r#"[{"topic":5}]"#, "[0].topic is 5, not a text"),
            (
                r#"[null,{"metadata":{"a":true}}]"#,
                "[1].metadata.a is true, not a text",
            ),
            (
                r#"[{"routes":{"rules":[{"match":"x","path":1}]}}]"#,
                "[0].routes.rules[0].path is 1, not a text",
            ),
            (
                r#"[{"routes":"/a"}]"#,
                "[0].routes is \"/a\", not an object",
            ),
            (
                r#"[{"bulkSubscribe":{"maxMessagesCount":3000000000}}]"#,
                "[0].bulkSubscribe.maxMessagesCount is 3000000000, not a whole number of 32 bits",
            ),
            (
                r#"[{"bulkSubscribe":{"enabled":"yes"}}]"#,
                "[0].bulkSubscribe.enabled is \"yes\", not true or false",
            ),
        ] {
            assert_eq!(subscriptions(body.as_bytes()), Err(problem.into()));
        }
        let bytes = subscriptions(b"[{\"topic\":\"\xff\"}]").expect_err("it is not UTF-8");
        assert!(bytes.starts_with("it is not JSON: "), "{bytes}");
        let long = format!("[{}]", serde_json::Value::from("ä".repeat(1000)));
        let long = subscriptions(long.as_bytes()).expect_err("it is no object");
        assert!(long.len() < 100 && long.contains('…'), "{long}");
    }

    proptest::proptest! {
        #[test]
        fn no_answer_breaks_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0..FULL.len()) {
            let _ = subscriptions(&bytes);
            let _ = subscriptions(&FULL.as_bytes()[..at]);
            let _ = subscriptions(&[&FULL.as_bytes()[..at], &bytes, &FULL.as_bytes()[at..]].concat());
        }
    }
}
