//! What an unquoted word of YAML means to daprd.
//!
//! daprd reads YAML 1.1 (`sigs.k8s.io/yaml` v1.4.0, `goyaml.v2/resolve.go`): `yes`, `on` and `y`
//! are true, `0x10`, `020` and `1_000` are numbers, and `1048576.0` is one as well.

/// A word's meaning.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    /// From -2^63 to 2^64 - 1.
    Integer(i128),
    Float(f64),
    /// Anything else is text, as it is written.
    Text,
}

const TRUE: [&str; 8] = ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON"];
const FALSE: [&str; 8] = ["n", "N", "no", "No", "NO", "off", "Off", "OFF"];

/// The meaning of an unquoted word.
pub(super) fn meaning(word: &str) -> Plain {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Plain::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Plain::Float(f64::NEG_INFINITY),
        _ if TRUE.contains(&word) => return Plain::Bool(true),
        _ if FALSE.contains(&word) => return Plain::Bool(false),
        _ => {}
    }
    match word.as_bytes()[0] {
        b'.' if separates_digits(word) => {
            float(&word.replace('_', "")).map_or(Plain::Text, Plain::Float)
        }
        b'0'..=b'9' | b'+' | b'-' => number(&word.replace('_', "")),
        _ => Plain::Text,
    }
}

/// Whether each `_` stands between two digits, as Go wants it.
fn separates_digits(word: &str) -> bool {
    let is_digit = |place: Option<usize>| {
        let byte = place.and_then(|place| word.as_bytes().get(place));
        byte.is_some_and(u8::is_ascii_digit)
    };
    let mut places = word.match_indices('_').map(|(place, _)| place);
    places.all(|place| is_digit(place.checked_sub(1)) && is_digit(Some(place + 1)))
}

fn number(word: &str) -> Plain {
    if let Some(integer) = integer(word) {
        Plain::Integer(integer)
    } else {
        float(word).map_or(Plain::Text, Plain::Float)
    }
}

/// A whole number as Go's `ParseInt` and `ParseUint` read it with base 0: in hexadecimal (0x),
/// octal (0o or 0) and binary (0b) as well.
fn integer(word: &str) -> Option<i128> {
    let (sign, digits) = match word.as_bytes().first()? {
        b'-' => (-1, &word[1..]),
        b'+' => (1, &word[1..]),
        _ => (1, word),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.split_at_checked(2) {
        Some(("0x", digits)) => (16, digits),
        Some(("0o", digits)) => (8, digits),
        Some(("0b", digits)) => (2, digits),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    // Only an unsigned number reaches beyond 2^63 - 1.
    let bounds = match word.as_bytes()[0] {
        b'-' => i128::from(i64::MIN)..=-0,
        b'+' => 0..=i128::from(i64::MAX),
        _ => 0..=i128::from(u64::MAX),
    };
    Some(sign * magnitude).filter(|integer| bounds.contains(integer))
}

/// A decimal number with a point or an exponent, or one that is too long for an integer.
fn float(word: &str) -> Option<f64> {
    let digits = word.trim_start_matches(['+', '-']);
    let is_decimal = digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && !digits.starts_with(['e', 'E']);
    // Go has no infinite number for one that is too large, but an error.
    let float = word.parse::<f64>().ok().filter(|_| is_decimal)?;
    float.is_finite().then_some(float)
}

/// A number as Go writes it in JSON: `1048576` for `1048576.0`, and with an exponent below
/// 0.000001 and from 10^21 on (`encoding/json`, `encode.go`). `None` for what JSON has no number
/// for.
pub(super) fn json(float: f64) -> Option<String> {
    if !float.is_finite() {
        return None;
    }
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let written = format!("{float:e}");
        let is_small = written.contains("e-");
        return Some(if is_small {
            written
        } else {
            written.replace('e', "e+")
        });
    }
    Some(float.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_mean_to_daprd() {
        for (words, meant) in [
            (&["yes", "On", "Y", "TRUE"][..], Plain::Bool(true)),
            (&["no", "OFF", "n", "False"], Plain::Bool(false)),
            (&["", "~", "null"], Plain::Null),
            (
                &["16", "0x10", "020", "0o20", "0b10000", "1_6", "+16"],
                Plain::Integer(16),
            ),
            (&["-16", "-0x10", "-020"], Plain::Integer(-16)),
            (
                &["18446744073709551615"],
                Plain::Integer(i128::from(u64::MAX)),
            ),
            (&["16.0", "1.6e1", "1_6.0", "16."], Plain::Float(16.0)),
            (&["08"], Plain::Float(8.0)),
            (&[".5", "+.5", ".5_0", "+._5"], Plain::Float(0.5)),
            (
                &[
                    "yEs",
                    "tRue",
                    "1:30",
                    "2026-01-02",
                    "0xfg",
                    "1e",
                    "e1",
                    ".",
                    "-",
                    "+",
                    "1.2.3",
                    "_1",
                    "..5",
                    "1e400",
                    "0b2",
                    "nUll",
                    "-y",
                    "._5",
                    ".5_",
                ],
                Plain::Text,
            ),
        ] {
            for word in words {
                assert_eq!(meaning(word), meant, "{word}");
            }
        }
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (float, written) in [
            (1_048_576.0, "1048576"),
            (0.5, "0.5"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
        ] {
            assert_eq!(json(float).as_deref(), Some(written));
        }
        assert_eq!(json(f64::NAN), None);
    }
}
