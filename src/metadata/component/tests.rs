use super::*;

fn component(items: &str) -> Component {
    let head = "kind: Component\nmetadata: {name: c}\nspec:\n  type: pubsub.kafka\n";
    match documents(&format!("{head}  metadata:\n{items}")).pop() {
        Some(Document::PubSub(component)) => component,
        other => panic!("no Component: {other:?}"),
    }
}

#[test]
fn a_secret_wins_over_a_value_and_a_value_over_the_environment() {
    let read = component(
        "  - {name: a, value: x, secretKeyRef: {name: s, key: k}}
  - {name: b, value: '', secretKeyRef: {name: s}}
  - {name: c, value: x, secretKeyRef: {name: '', key: k}}
  - {name: d, value: x, envRef: E}
  - {name: e, value: null, envRef: E, secretKeyRef: {name: s}}
  - {name: f, envRef: ''}
",
    );
    let elsewhere = [
        ("a", Elsewhere::Secret),
        ("b", Elsewhere::Secret),
        ("e", Elsewhere::Environment),
    ];
    let elsewhere = elsewhere.map(|(key, there)| (key.to_owned(), there));
    assert_eq!(read.elsewhere, elsewhere);
    let properties = [("c", "x"), ("d", "x"), ("f", "")];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(read.properties, properties.into());
}

#[test]
fn lists_and_maps_are_kept_as_what_they_are() {
    let read = component("  - {name: a, value: {b: c}}\n  - {name: b, value: [c]}\n");
    assert_eq!(read.shapes, ["a", "b"]);
    assert!(read.properties.is_empty());
}

#[test]
fn a_byte_order_mark_and_merged_maps_are_read() {
    let text = "\u{feff}kind: Component
metadata: {name: c}
spec:
  type: pubsub.kafka
  metadata:
  - &first {name: brokers, value: 'a:1'}
  - {<<: *first, name: clientID}
";
    let found = documents(text);
    let [Document::PubSub(component)] = &found[..] else {
        panic!("no Component: {found:?}");
    };
    assert_eq!(component.properties["brokers"], "a:1");
    assert_eq!(component.properties["clientID"], "a:1");
}

#[test]
fn what_is_before_a_broken_document_is_read() {
    let found = documents("kind: Subscription\n---\nkind: [hunter2");
    let [Document::Other(_), Document::Broken { of: None, problem }] = &found[..] else {
        panic!("{found:?}");
    };
    assert!(problem.starts_with("no YAML: line "), "{problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[test]
fn what_comes_from_the_environment_is_looked_up_where_it_is() {
    let mut read = component(
        "  - {name: a, envRef: HERE}\n  - {name: b, envRef: THERE}\n  - {name: c, envRef: dapr_own}\n",
    );
    read.look_up(|name| (name != "THERE").then(|| format!("of {name}")));
    assert_eq!(read.properties, [("a".into(), "of HERE".into())].into());
    let left: Vec<_> = read.elsewhere.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(left, ["b", "c"]);
}
