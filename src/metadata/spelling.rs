//! Values that are most likely not what their authors wanted, and that no error shows.

use super::keys::{Key, Kind};

/// What is odd about the value of a key, without the value.
pub(super) fn note(key: &Key, written: &str, value: &str) -> Option<String> {
    // A list of brokers with a placeholder is refused.
    if is_placeholder(value) && key.name != "brokers" {
        return Some(format!(
            "{written}: its value looks like a placeholder that nobody replaced"
        ));
    }
    // Words and numbers are taken without blanks, and PEM ends in a line break.
    let is_literal = key.kind == Kind::Text && key.name != "brokers";
    if !is_literal || value.contains("-----BEGIN") || value.trim() == value {
        return None;
    }
    let ends = match value.chars().next_back() {
        Some('\n' | '\r') => "ends in a line break",
        Some(last) if last.is_whitespace() => "ends in a blank",
        _ => "begins with a blank or a line break",
    };
    Some(format!("{written}: its value {ends}, which is part of it"))
}

/// Whether a text holds `${…}`, `$(…)` or `{{…}}`. `$ConnectionString` and `$Default` are names that
/// Azure uses, and `{namespace}` is one of daprd's.
pub(super) fn is_placeholder(text: &str) -> bool {
    let holds = |open: &str, close: &str| {
        let after = text.split_once(open).map(|(_, after)| after);
        after.is_some_and(|after| after.contains(close))
    };
    holds("${", "}") || holds("$(", ")") || holds("{{", "}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::keys::find;

    fn noted(key: &str, value: &str) -> Option<String> {
        let (key, name) = find(key).expect("it is in the table");
        note(key, name, value)
    }

    #[test]
    fn placeholders_are_told_from_values() {
        for text in [
            "${A}",
            "a-${B:-c}",
            "$(KAFKA_USERNAME)",
            "{{ kafka_password }}",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "$ConnectionString",
            "$Default",
            "{namespace}",
            "a}b{{",
            "$(",
            "pa$$word",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_in_a_value_is_named_without_it() {
        for (key, value, says) in [
            ("saslPassword", "hunter2\n", "ends in a line break"),
            ("consumerGroup", "hunter2 ", "ends in a blank"),
            (
                "clientID",
                "\thunter2",
                "begins with a blank or a line break",
            ),
            ("saslPassword", "{{ hunter2 }}", "placeholder"),
        ] {
            let note = noted(key, value).expect("it is odd");
            assert!(note.starts_with(&format!("{key}: ")), "{note}");
            assert!(note.contains(says) && !note.contains("hunter2"), "{note}");
        }
        for (key, value) in [
            ("saslPassword", "a b"),
            ("brokers", "a:1, b:2\n"),
            ("saslMechanism", "PLAIN "),
            (
                "caCert",
                "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
            ),
        ] {
            assert_eq!(noted(key, value), None, "{key}");
        }
    }
}
