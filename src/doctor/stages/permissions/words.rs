//! Brokers' errors in words.

use kafka_protocol::ResponseError;

/// The most that is shown of a broker's own words, in characters.
const MOST: usize = 200;

/// An error by its name in Kafka's documentation.
pub(in crate::doctor::stages) fn error(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        None => "no error".into(),
        Some(ResponseError::Unknown(code)) => format!("error {code}"),
        Some(known) => {
            let mut name = String::new();
            for character in format!("{known:?}").chars() {
                if character.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(character.to_ascii_uppercase());
            }
            name
        }
    }
}

/// An error, and what the broker says of it.
pub(in crate::doctor) fn told(code: i16, message: Option<&str>) -> String {
    let name = error(code);
    match message.map(shown).filter(|words| !words.is_empty()) {
        Some(words) => format!("{name}: {words}"),
        None => name,
    }
}

/// Text of a broker as it may be shown: short, and in one line.
pub(in crate::doctor::stages) fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = plain.take(MOST).collect();
    short.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_of_kafkas_documentation() {
        assert_eq!(error(0), "no error");
        assert_eq!(error(29), "TOPIC_AUTHORIZATION_FAILED");
        assert_eq!(error(6), "NOT_LEADER_OR_FOLLOWER");
        assert_eq!(error(9999), "error 9999");
    }

    #[test]
    fn brokers_words_are_short_and_in_one_line() {
        assert_eq!(
            told(38, Some("a\n\x1b[31mb.")),
            "INVALID_REPLICATION_FACTOR: a  [31mb"
        );
        assert_eq!(told(38, Some("")), "INVALID_REPLICATION_FACTOR");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), MOST);
    }
}
