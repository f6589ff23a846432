//! Text that others wrote.

/// The beginning of a text: whole characters, of at most so many bytes.
pub fn beginning(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
