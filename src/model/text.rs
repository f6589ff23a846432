//! Text that others wrote.

use std::fmt::Write as _;

/// The beginning of a text: whole characters, of at most so many bytes.
pub fn beginning(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Text without what could steer a terminal: control characters, and those that turn the
/// direction of writing around, are written as `\u{1b}`, except line ends and tabs.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control() || turns(c);
        if steers && c != '\n' && c != '\t' {
            printable.extend(c.escape_unicode());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Whether a character turns the direction of writing around, for the text or a part of it.
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// The same with its line ends written as `\n`.
pub fn on_one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// Text in YAML's double quotes, whose escapes are those of JSON. Also escaped is what JSON
/// leaves as it is and a terminal obeys, or YAML takes for the end of a line. In quotes
/// nothing is taken for a number or a flag (`on` and `1_000` are, in YAML 1.1).
pub fn in_yaml(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        let steers = c.is_control() || turns(c) || matches!(c, '\u{2028}' | '\u{2029}');
        if steers || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            let _ = write!(quoted, "\\u{:04x}", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let text = "a\u{1b}[31m\tb\nc\u{9b}\u{202e}";
        assert_eq!(printable(text), "a\\u{1b}[31m\tb\nc\\u{9b}\\u{202e}");
        assert_eq!(on_one_line(text), "a\\u{1b}[31m\tb\\nc\\u{9b}\\u{202e}");
        for turns in "\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}".chars() {
            let (text, escaped) = (turns.to_string(), turns.escape_unicode().to_string());
            assert_eq!(printable(&text), escaped);
            assert!(in_yaml(&text).is_ascii());
        }
    }

    #[test]
    fn in_quotes_a_text_stays_one_for_every_reader() {
        for (text, quoted) in [
            ("on", "\"on\""),
            ("a\"\\\n", r#""a\"\\\n""#),
            ("\u{2028}\u{85}\u{feff}", r#""\u2028\u0085\ufeff""#),
        ] {
            assert_eq!(in_yaml(text), quoted);
            assert_eq!(
                serde_norway::from_str::<String>(quoted).expect("it is YAML"),
                text
            );
        }
    }

    proptest! {
        #[test]
        fn as_much_is_kept_as_fits(text in any::<String>(), longest in 0_usize..80) {
            let kept = beginning(&text, longest);
            prop_assert!(text.starts_with(kept) && kept.len() <= longest);
            let next = text[kept.len()..].chars().next().map_or(0, char::len_utf8);
            prop_assert!(next == 0 || kept.len() + next > longest, "more would fit");
        }
    }
}
