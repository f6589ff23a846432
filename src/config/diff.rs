//! What changes when a Component moves from the built-in `pubsub.kafka` to this one.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{Held, findings, held, line};
use crate::{
    metadata::keys::{self, Key, Support},
    resources::Component,
};

/// Writes what each given key means here, what differs without being given, and what
/// Init would refuse; and says whether the Component may move as it is: the file can be
/// read and holds one, and nothing in it is refused.
///
/// # Errors
/// When the result can't be written.
pub fn diff(file: &Path, out: &mut impl Write) -> io::Result<bool> {
    let name = file.display();
    let held = held(file).unwrap_or_else(|problem| vec![Held::Broken(problem)]);
    let (mut components, mut moves) = (0, true);
    for held in held {
        match held {
            Held::Subscription(_) => {}
            Held::Skipped(what) => line(out, &format!("{name}: skipped: {what}"))?,
            Held::Broken(problem) => {
                moves = false;
                line(out, &format!("{name}: problem: {problem}"))?;
            }
            Held::Component(component) => {
                components += 1;
                moves &= tell(&component, out)?;
            }
        }
    }
    if components == 0 && moves {
        line(
            out,
            &format!("{name}: no Component of type pubsub.kafka is in it"),
        )?;
    }
    Ok(components > 0 && moves)
}

fn tell(component: &Component, out: &mut impl Write) -> io::Result<bool> {
    let Component {
        name,
        of,
        properties,
        elsewhere,
        ..
    } = component;
    line(out, &format!("Component {name} ({of})"))?;
    // An empty value is the default.
    let values = properties.iter().filter(|(_, value)| !value.is_empty());
    let mut given: Vec<&str> = values
        .map(|(key, _)| key)
        .chain(elsewhere.iter().map(|(key, _)| key))
        .map(String::as_str)
        .collect();
    given.sort_unstable();
    writeln!(out, "\nWhat is given:\n")?;
    for written in &given {
        let meaning = match keys::find(written) {
            Some((key, _)) => meaning(key),
            None => "no known key, in neither component".to_owned(),
        };
        line(out, &format!("  {written}: {meaning}"))?;
    }
    writeln!(out, "\nWhat is not given, and differs:\n")?;
    let is_given = |key: &Key| {
        let mut names = given.iter().filter_map(|written| keys::find(written));
        names.any(|(given, _)| given.name == key.name)
    };
    for key in keys::all().filter(|key| !is_given(key)) {
        if let Some(difference) = key.unset {
            line(out, &format!("  {}: {difference}", key.name))?;
        }
    }
    let problems = findings(component).problems;
    if !problems.is_empty() {
        writeln!(out, "\nWhat is refused, so that it can't move as it is:\n")?;
    }
    for problem in &problems {
        line(out, &format!("  {problem}"))?;
    }
    writeln!(out)?;
    Ok(problems.is_empty())
}

/// What a key that is given means here, beside the built-in component.
fn meaning(key: &Key) -> String {
    match key.support {
        Support::Inert => format!("no effect: {}", key.doc),
        _ => key.comparison(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(metadata: &str) -> (String, bool) {
        let folder = tempfile::tempdir().expect("a folder is made");
        let file = folder.path().join("old.yaml");
        let head = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: c}\nspec:\n  type: pubsub.kafka\n";
        std::fs::write(&file, format!("{head}  metadata:\n{metadata}")).expect("it is written");
        let mut out = Vec::new();
        let moves = diff(&file, &mut out).expect("a vector takes all");
        (String::from_utf8(out).expect("it is text"), moves)
    }

    #[test]
    fn each_given_key_and_each_other_default_is_told() {
        let (said, moves) = told(
            "  - {name: brokers, value: 'a:1'}
  - {name: authType, value: password}
  - {name: saslUsername, value: u}
  - {name: schemaRegistryURL, value: ''}
  - {name: InitialOffset, value: oldest}
  - {name: version, value: 2.0.0}
  - {name: saslPassword, secretKeyRef: {name: k, key: p}}
  - {name: zzz, value: hunter2}
",
        );
        assert!(moves, "{said}");
        for part in [
            "Component c (pubsub.kafka)\n\nWhat is given:\n\n  InitialOffset: wider: a topic",
            "  brokers: same\n",
            "  saslPassword: same\n",
            "  version: no effect: The built-in's protocol version",
            "  zzz: no known key, in neither component\n",
            "What is not given, and differs:\n\n  dialTimeout: a connection may take 3s",
            "  escapeHeaders: a header that no HTTP header can carry is left out",
            "  ordering: as pubsub.rdkafka records of one partition",
        ] {
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
        assert!(!said.contains("  initialOffset: a topic"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn what_is_refused_keeps_it_from_moving() {
        let right = "  - {name: brokers, value: 'a:1'}\n  - {name: authType, value: none}\n";
        assert!(told(right).1);
        for (key, value, part) in [
            (
                "consumerGroupRebalanceStrategy",
                "sticky",
                "\"sticky\": Sar",
            ),
            ("producerRequiredAcks", "none", "\"none\": with none"),
            ("compression", "{a: b}", "\"{\"a\":\"b\"}\": expected none"),
        ] {
            let (said, moves) = told(&format!("{right}  - {{name: {key}, value: {value}}}\n"));
            assert!(!moves, "{said}");
            let refused = said.split_once("can't move as it is:\n");
            let (given, refused) = refused.unwrap_or_else(|| panic!("{said}"));
            assert!(given.contains(&format!("  {key}: ")), "{said}");
            assert!(refused.contains(&format!("  {key}: {part}")), "{said}");
        }
    }

    #[test]
    fn an_empty_value_is_the_default() {
        let empty = "  - {name: schemaRegistryURL, value: ''}\n  - {name: ordering, value: ''}\n";
        let (said, _) = told(empty);
        assert!(!said.contains("schemaRegistryURL"), "{said}");
        assert!(said.contains("  ordering: as pubsub.rdkafka"), "{said}");
    }
}
