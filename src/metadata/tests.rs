//! Whatever comes from outside is read or refused, and never ends the program.

use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::select,
};

use super::{check, duration, keys, resolve};

/// A name of the table, as it is or shouted, or any text.
fn name() -> impl Strategy<Value = String> {
    let names: Vec<_> = keys::all().flat_map(keys::Key::names).collect();
    prop_oneof![
        6 => select(names.clone()).prop_map(str::to_owned),
        1 => select(names).prop_map(str::to_uppercase),
        1 => any::<String>(),
    ]
}

/// A value: what some key promises to read, something near it, or any text.
fn value() -> impl Strategy<Value = String> {
    let written = keys::all().flat_map(|key| key.default.into_iter().chain(key.example));
    let words = [
        "sticky",
        "none",
        "-1",
        "0",
        "9223372036854775807",
        "1e400",
        "NaN",
        "-",
        "é:1",
    ];
    let known: Vec<_> = written.chain(words).collect();
    prop_oneof![
        3 => select(known).prop_map(str::to_owned),
        1 => duration_like(),
        1 => "[-+]?(0[xob]?)?[0-9a-f_]{0,20}",
        1 => any::<String>(),
    ]
}

/// A text of the shape of a duration, often too large for one.
fn duration_like() -> impl Strategy<Value = String> {
    "[-+]?([0-9]{0,20}(\\.[0-9]{0,20})?(ns|us|ms|s|m|h|x|)){0,4}"
}

proptest! {
    #[test]
    fn any_metadata_is_resolved_or_refused(
        properties in hash_map(name(), value(), 0..30),
        elsewhere in vec(name(), 0..5),
    ) {
        let checked = check("rdkafka", &properties, &[]);
        match resolve(&properties) {
            Ok(resolved) => {
                prop_assert_eq!(resolved.notes, checked.notes);
                prop_assert!(checked.problems.is_empty());
                // What was resolved can be used.
                let _ = resolved.settings.policy("orders", &properties);
            }
            Err(problems) => prop_assert_eq!(problems.0, checked.problems),
        }
        // Where a value stands takes no key away, so it brings no "missing" with it.
        let mut there = properties.clone();
        there.retain(|key, _| !elsewhere.iter().any(|name| name.eq_ignore_ascii_case(key)));
        for problem in check("rdkafka", &there, &elsewhere).problems {
            let missing = problem.message.starts_with("required");
            let is_there = elsewhere.iter().any(|name| name.eq_ignore_ascii_case(&problem.key));
            prop_assert!(!(missing && is_there), "{}", problem);
        }
    }

    #[test]
    fn any_text_is_a_duration_or_none(text in prop_oneof![duration_like(), any::<String>()]) {
        duration::nanos(&text);
    }

    #[test]
    fn whole_nanoseconds_are_read_exactly(nanos in i64::MIN + 1..=i64::MAX) {
        prop_assert_eq!(duration::nanos(&format!("{nanos}ns")), Some(nanos));
        let (sign, all) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
        let (seconds, rest) = (all / 1_000_000_000, all % 1_000_000_000);
        let text = format!("{sign}{}h{}m{}s{rest}ns", seconds / 3600, seconds / 60 % 60, seconds % 60);
        prop_assert_eq!(duration::nanos(&text), Some(nanos), "{}", text);
    }
}
