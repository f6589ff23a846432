//! Whatever a file holds is read or refused, and never ends the program.

use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*, sample::select};

use super::documents;

/// What may stand behind `value:`.
fn written() -> impl Strategy<Value = String> {
    let shapes = [
        "[a]",
        "{a: b}",
        "null",
        "~",
        "'x'",
        "1",
        "1.5",
        "true",
        "!!binary aGk=",
        "!t x",
        "&a x",
        "*a",
        "|\n      x",
        ">-\n      x",
        "",
        "\"\\u0000\"",
        "? a",
        "- b",
    ];
    prop_oneof![
        4 => select(shapes.to_vec()).prop_map(str::to_owned),
        1 => "[ -~]{0,30}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_yaml_or_refused(text in any::<String>()) {
        let _ = documents(&text);
    }

    #[test]
    fn what_looks_like_a_component_is_read_or_refused(
        kind in select(vec!["Component", "Component", "Component", "Subscription", "[]", "&a", "*a", "!t x", "'"]),
        of in select(vec!["pubsub.kafka", "pubsub.kafka", "pubsub.", "{}", "1", "null"]),
        items in vec(("[a-zA-Z]{1,12}|.{0,9}", written()), 0..4),
    ) {
        let mut text = format!("apiVersion: dapr.io/v1alpha1\nkind: {kind}\nmetadata: {{name: c}}\nspec:\n  type: {of}\n  metadata:\n");
        for (name, value) in items {
            writeln!(text, "  - name: {name:?}\n    value: {value}").expect("a string grows");
        }
        let _ = documents(&text);
    }
}
