//! `escapeHeaders`: text for any bytes, as Go's `url.QueryEscape` writes it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What Go escapes (`net/url`, `shouldEscape` for a query's component).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The text for these bytes.
pub(super) fn escape(bytes: &[u8]) -> String {
    // A % of the bytes themselves is %25 by now: only spaces are %20.
    let escaped = percent_encode(bytes, ESCAPED).to_string();
    escaped.replace("%20", "+")
}

/// The bytes that were escaped to this text.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    percent_decode_str(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair was made by Go's `url.QueryEscape`.
    #[test]
    fn it_writes_what_go_writes() {
        for (bytes, expected) in [
            (&b"plain-_.~"[..], "plain-_.~"),
            (b"a b+c", "a+b%2Bc"),
            (b"100%20", "100%2520"),
            (
                b"!*'();:@&=$,/?#[]",
                "%21%2A%27%28%29%3B%3A%40%26%3D%24%2C%2F%3F%23%5B%5D",
            ),
            ("gr\u{fc}n".as_bytes(), "gr%C3%BCn"),
            (b"\0\n\xff\x7f", "%00%0A%FF%7F"),
            (b"\"<>\\^`{|}", "%22%3C%3E%5C%5E%60%7B%7C%7D"),
            (b"", ""),
        ] {
            assert_eq!(escape(bytes), expected);
        }
    }

    #[test]
    fn any_bytes_come_back() {
        let all: Vec<u8> = (0..=255).chain(*b"%20+ %2B").collect();
        assert_eq!(unescape(&escape(&all)), all);
    }
}
