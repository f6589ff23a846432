//! Holds the rooms to the design: each uses only the rooms below it.

use std::{
    fs,
    future::ready,
    path::{Path, PathBuf},
};

use harness::{Result, root};

use crate::{ensure, support::Test};

/// The tests of this file; nothing in them waits.
pub const TESTS: &[Test] = &[
    Test {
        name: "rooms::a_room_uses_only_the_rooms_below_it",
        run: |_| Box::pin(ready(a_room_uses_only_the_rooms_below_it())),
    },
    Test {
        name: "rooms::only_their_rooms_name_rdkafka_and_tonic",
        run: |_| Box::pin(ready(only_their_rooms_name_rdkafka_and_tonic())),
    },
];

/// Each room and what it may use. `shutdown`, `cli`, `app` and `main` are the
/// composition, above all rooms.
const ROOMS: [(&str, &[&str]); 18] = [
    ("model", &[]),
    ("engine", &["model"]),
    ("metadata", &["model"]),
    ("token", &["metadata"]),
    ("resources", &[]),
    ("connect", &["resources"]),
    (
        "doctor",
        &["connect", "metadata", "model", "resources", "token"],
    ),
    ("telemetry", &["model"]),
    (
        "kafka",
        &["doctor", "metadata", "model", "telemetry", "token"],
    ),
    (
        "delivery",
        &["engine", "kafka", "metadata", "model", "telemetry"],
    ),
    (
        "dapr",
        &[
            "delivery",
            "doctor",
            "engine",
            "kafka",
            "metadata",
            "model",
            "telemetry",
        ],
    ),
    ("heal", &["dapr", "model", "telemetry"]),
    ("admin", &["dapr", "heal", "telemetry"]),
    ("probe", &["admin", "dapr", "model"]),
    ("config", &["metadata", "model", "resources"]),
    ("lanes", &["dapr", "model"]),
    ("topics", &["connect", "doctor", "metadata", "model"]),
    (
        "dlq",
        &[
            "connect",
            "kafka",
            "metadata",
            "model",
            "resources",
            "telemetry",
        ],
    ),
];

fn a_room_uses_only_the_rooms_below_it() -> Result<()> {
    for (room, may_use) in ROOMS {
        for (file, text) in sources(&root().join("src").join(room))? {
            for used in rooms_named_in(&text) {
                ensure!(
                    used == room || may_use.contains(&used.as_str()),
                    "{} uses {used}, which {room} may not",
                    file.display()
                );
            }
        }
    }
    Ok(())
}

fn only_their_rooms_name_rdkafka_and_tonic() -> Result<()> {
    let owners = [
        ("rdkafka::", "kafka"),
        ("tonic::", "dapr"),
        ("prost::", "dapr"),
    ];
    for (file, text) in sources(&root().join("src"))? {
        let in_room = |room: &str| file.starts_with(root().join("src").join(room));
        for (name, owner) in owners {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let used = code
                .flat_map(|line| line.match_indices(name).map(move |(at, _)| (line, at)))
                // `dapr_rdkafka::` and `librdkafka::` are our own.
                .any(|(line, at)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            ensure!(!used || in_room(owner), "{} names {name}", file.display());
        }
    }
    Ok(())
}

/// The rooms that follow `crate::` in `use` lines and paths, braces included.
fn rooms_named_in(text: &str) -> Vec<String> {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(first_names(group)),
            None => rooms.extend(name_at(rest)),
        }
    }
    rooms
}

/// The names at the top level of a brace group.
fn first_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut fresh) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            ' ' => {}
            _ if fresh => {
                names.extend(name_at(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            found.push((path, text));
        }
    }
    Ok(found)
}
