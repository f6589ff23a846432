//! Which headers pass between records and Dapr's metadata, and how.

use regex::Regex;

/// `escapeHeaders` and `excludeHeaderMetaRegex`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers {
    /// `escapeHeaders`.
    pub escape: bool,
    /// `excludeHeaderMetaRegex`.
    pub exclude: Option<Pattern>,
}

impl Headers {
    /// Whether a header of this name is passed neither from metadata nor to it.
    pub fn excludes(&self, name: &str) -> bool {
        self.exclude
            .as_ref()
            .is_some_and(|Pattern(regex)| regex.is_match(name))
    }
}

/// A regular expression; two are equal if they were written alike.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| {
            // The crate draws a picture of several lines; the last says what is wrong.
            let drawn = error.to_string();
            let said = drawn.lines().last().unwrap_or_default();
            let said = said.strip_prefix("error: ").unwrap_or(said);
            format!("expected a regular expression: {said}")
        })?;
        Ok(Self(regex))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluding(pattern: &str) -> Headers {
        Headers {
            escape: false,
            exclude: Some(Pattern::new(pattern).expect("it is right")),
        }
    }

    #[test]
    fn a_name_is_excluded_when_the_pattern_is_found_in_it() {
        let headers = excluding("^valueSchemaType|rawPayload$");
        for name in ["valueSchemaType", "valueSchemaTypes", "my-rawPayload"] {
            assert!(headers.excludes(name), "{name}");
        }
        for name in ["rawPayloads", "avalueSchemaType", ""] {
            assert!(!headers.excludes(name), "{name}");
        }
        assert!(!Headers::default().excludes("anything"));
    }

    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        let error = Pattern::new("a(b").expect_err("it is not closed");
        assert_eq!(error, "expected a regular expression: unclosed group");
    }
}
