//! Words of commands that people paste into a shell.

/// A word as a shell takes it. What stands for something that the reader fills in (`<…>`
/// at its end) stays as it is.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || ":=,._-@/".contains(c);
    let (fixed, open) = match word.rfind('<') {
        Some(at) if word.ends_with('>') => word.split_at(at),
        _ => (word, ""),
    };
    let is_placeholder = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphabetic() || "<> ".contains(c))
    };
    if fixed.chars().all(plain) && is_placeholder(open) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        for plain in [
            "User:CN=app,O=x",
            "/tmp/dapr-components-sockets",
            "User:<principal>",
            "<the folder where daprd looks>",
        ] {
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(quoted("it's $me"), r"'it'\''s $me'");
        for steers in [
            "a b",
            "a;reboot",
            "a<$(reboot)>",
            "<a>b",
            "$(reboot)",
            "a\nb",
        ] {
            assert_eq!(quoted(steers), format!("'{steers}'"));
        }
    }
}
