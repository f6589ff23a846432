//! Text that others wrote.

/// The beginning of a text: whole characters, of at most so many bytes.
pub fn beginning(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Text without what could steer a terminal: control characters are written as
/// `\u{1b}`, except line ends and tabs.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        // Also those that turn the direction of writing around.
        let steers = c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        if steers && c != '\n' && c != '\t' {
            printable.extend(c.escape_unicode());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// The same with its line ends written as `\n`.
pub fn on_one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
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
