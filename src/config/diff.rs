//! What changes when a Component moves from the built-in `pubsub.kafka` to this one.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{Held, held};
use crate::metadata::{
    component::Component,
    keys::{self, Key, Support},
};

/// Writes what each given key means here, and what differs without being given; and says
/// whether the Component may move as it is: no key is refused.
///
/// # Errors
/// When the file can't be read, or holds no such Component, as text; or when the result
/// can't be written.
pub fn diff(file: &Path, out: &mut impl Write) -> io::Result<bool> {
    let name = file.display();
    let held = match held(file) {
        Ok(held) => held,
        Err(problem) => {
            writeln!(out, "{name}: problem: {problem}")?;
            return Ok(false);
        }
    };
    let (mut components, mut moves) = (0, true);
    for held in held {
        match held {
            Held::Skipped(what) => writeln!(out, "{name}: skipped: {what}")?,
            Held::Component(component) => {
                components += 1;
                moves &= tell(&component, out)?;
            }
        }
    }
    if components == 0 {
        writeln!(out, "{name}: no Component of type pubsub.kafka is in it")?;
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
    writeln!(out, "Component {name} ({of})\n\nWhat is given:\n")?;
    let given = properties.keys();
    let mut given: Vec<&str> = given
        .chain(elsewhere.iter().map(|(key, _)| key))
        .map(String::as_str)
        .collect();
    given.sort_unstable();
    let mut moves = true;
    for written in &given {
        match keys::find(written) {
            Some((key, _)) => {
                moves &= !matches!(key.support, Support::Refused(_));
                writeln!(out, "  {written}: {}", meaning(key))?;
            }
            None => writeln!(out, "  {written}: no known key, in neither component")?,
        }
    }
    writeln!(out, "\nWhat is not given, and differs:\n")?;
    let is_given = |key: &Key| {
        let mut names = given.iter().filter_map(|written| keys::find(written));
        names.any(|(given, _)| given.name == key.name)
    };
    for key in keys::all().filter(|key| !is_given(key)) {
        if let Some(difference) = key.unset {
            writeln!(out, "  {}: {difference}", key.name)?;
        }
    }
    writeln!(
        out,
        "\n`dapr-rdkafka config check` says whether the values are right.\n"
    )?;
    Ok(moves)
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
        let head = "kind: Component\nmetadata: {name: c}\nspec:\n  type: pubsub.kafka\n";
        std::fs::write(&file, format!("{head}  metadata:\n{metadata}")).expect("it is written");
        let mut out = Vec::new();
        let moves = diff(&file, &mut out).expect("a vector takes all");
        (String::from_utf8(out).expect("it is text"), moves)
    }

    #[test]
    fn each_given_key_and_each_other_default_is_told() {
        let (said, moves) = told(
            "  - {name: brokers, value: 'a:1'}
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
            "  ordering: as pubsub.rdkafka records of one partition",
        ] {
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
        assert!(!said.contains("  initialOffset: a topic"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn a_refused_key_keeps_it_from_moving() {
        let (said, moves) = told("  - {name: schemaRegistryURL, value: 'http://r'}\n");
        assert!(!moves);
        let part = "  schemaRegistryURL: refused because Avro";
        assert!(said.contains(part), "{said}");
    }
}
