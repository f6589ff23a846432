//! Bytes as a person can read them.

use std::fmt::Write as _;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::model::text::{on_one_line, printable};

/// A key or a header's value, on one line: text as it is, other bytes as `hex:00ff`.
pub fn line(bytes: Option<&[u8]>) -> String {
    match bytes.map(readable) {
        None => "(null)".into(),
        Some(Ok(text)) => on_one_line(text),
        Some(Err(bytes)) => format!("hex:{}", hex(bytes)),
    }
}

/// A value and its kind: JSON set out in lines, text, or hex.
pub fn value(bytes: Option<&[u8]>) -> (&'static str, String) {
    let Some(bytes) = bytes else {
        return ("null", String::new());
    };
    match readable(bytes) {
        Err(bytes) => ("hex", hex(bytes)),
        Ok(text) => match structure(text) {
            Some(value) => ("JSON", printable(&value)),
            None => ("text", printable(text)),
        },
    }
}

/// A key, header or value for JSON: null, a string, or `{"hex": …}`.
pub fn json(bytes: Option<&[u8]>) -> Value {
    match bytes.map(readable) {
        None => Value::Null,
        Some(Ok(text)) => json!(text),
        Some(Err(bytes)) => json!({ "hex": hex(bytes) }),
    }
}

/// Text that is meant to be text: Java's numbers are valid UTF-8 full of NUL bytes.
fn readable(bytes: &[u8]) -> Result<&str, &[u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(bytes),
    }
}

/// A JSON object or array, set out in lines. Only white space changes: reading numbers
/// and writing them anew could change them.
fn structure(text: &str) -> Option<String> {
    let json = text.trim_start().starts_with(['{', '[']);
    if !json || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let (mut lines, mut depth) = (String::with_capacity(text.len()), 0);
    let (mut quoted, mut escaped, mut fresh) = (false, false, false);
    for c in text.chars() {
        if quoted {
            lines.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        let closes = c == '}' || c == ']';
        depth -= usize::from(closes);
        // Nothing between the brackets stays on one line.
        if fresh != closes {
            lines.push('\n');
            lines.extend(std::iter::repeat_n("  ", depth));
        }
        lines.push(c);
        depth += usize::from(c == '{' || c == '[');
        fresh = matches!(c, '{' | '[' | ',');
        quoted = c == '"';
        if c == ':' {
            lines.push(' ');
        }
    }
    Some(lines)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_text_or_hex() {
        assert_eq!(value(None).0, "null");
        let json = br#"{"b": [1.50,"a\"{,\\"],"a":{ },"b":98765432109876543210}"#;
        let lines = "{\n  \"b\": [\n    1.50,\n    \"a\\\"{,\\\\\"\n  ],\n  \"a\": {},\n  \
                     \"b\": 98765432109876543210\n}";
        assert_eq!(value(Some(json)), ("JSON", lines.into()));
        assert_eq!(value(Some(b"{no}")).0, "text");
        assert_eq!(value(Some(b"12345678901234567890123")).0, "text");
        assert_eq!(value(Some(b"")), ("text", String::new()));
        assert_eq!(value(Some(b"\x00\xff")), ("hex", "00ff".into()));
        assert_eq!(value(Some(b"\x00\x00\x00\x05")), ("hex", "00000005".into()));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_shown_and_steer_nothing(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), text in "[\\x00-\u{a0}]{0,30}|.{0,30}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let steers = |text: &str| text.chars().any(|c| c.is_control() && !"\n\t".contains(c));
                proptest::prop_assert!(!steers(&value(Some(bytes)).1));
                let line = line(Some(bytes));
                proptest::prop_assert!(!steers(&line) && !line.contains('\n'), "{:?}", line);
            }
        }

        #[test]
        fn json_set_out_in_lines_is_the_same_json(keys in proptest::collection::vec(("[a-z\"\\\\{}, ]{0,6}", proptest::prelude::any::<i64>()), 0..6)) {
            let wanted = json!([keys, { "a": keys }, {}, []]);
            let (kind, shown) = value(Some(wanted.to_string().as_bytes()));
            proptest::prop_assert_eq!(kind, "JSON");
            proptest::prop_assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), wanted);
        }
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(line(Some(b"a\nb")), "a\\nb");
        assert_eq!(line(Some(b"\xff")), "hex:ff");
        assert_eq!(line(None), "(null)");
        let (_, json) = value(Some("[\"\u{9b}\"]".as_bytes()));
        assert!(json.contains("\\u{9b}"), "{json}");
    }

    #[test]
    fn json_tells_text_bytes_and_null_apart() {
        assert_eq!(json(None), Value::Null);
        assert_eq!(json(Some(b"a")), json!("a"));
        assert_eq!(json(Some(b"\xff")), json!({"hex": "ff"}));
    }
}
