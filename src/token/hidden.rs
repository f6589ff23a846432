//! What an endpoint was sent and must not come back in an error: an endpoint may well
//! repeat what it was asked.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use redact::Secret;

/// Texts that are shown as an ellipsis.
#[derive(Default)]
pub(super) struct Hidden(Vec<Secret<String>>);

impl Hidden {
    /// A secret alone.
    pub(super) fn new(secret: &str) -> Self {
        Self(vec![Secret::new(secret.to_owned())])
    }

    /// A client's secret, as it is, and as forms and Basic authentication send it.
    pub(super) fn client(id: &str, secret: &str) -> Self {
        let [encoded_id, encoded] = [id, secret].map(form_encoded);
        let basic = [format!("{encoded_id}:{encoded}"), format!("{id}:{secret}")];
        // A space has two forms in a URL.
        let spaced = encoded.replace('+', "%20");
        let texts = basic.map(|pair| BASE64_STANDARD.encode(pair)).into_iter();
        let texts = texts.chain([secret.to_owned(), encoded, spaced]);
        Self(texts.map(Secret::new).collect())
    }

    /// A text without them. To be called before the text is cut, since a part of a secret
    /// would not be known.
    pub(super) fn mask(&self, text: &str) -> String {
        let hidden = self.0.iter().map(Secret::expose_secret);
        hidden
            .filter(|hidden| !hidden.is_empty())
            .fold(text.to_owned(), |text, hidden| {
                text.replace(hidden.as_str(), "…")
            })
    }
}

/// Encoded as RFC 6749, section 2.3.1, wants it.
pub(super) fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_each_of_its_forms() {
        let hidden = Hidden::client("me & you", "hunter2: %");
        for form in [
            "hunter2: %",
            "hunter2%3A+%25",
            "hunter2%3A%20%25",
            // "me+%26+you:hunter2%3A+%25"
            "bWUrJTI2K3lvdTpodW50ZXIyJTNBKyUyNQ==",
            // "me & you:hunter2: %"
            "bWUgJiB5b3U6aHVudGVyMjogJQ==",
        ] {
            let masked = hidden.mask(&format!("got {form} from you"));
            assert_eq!(masked, "got … from you");
        }
        assert_eq!(Hidden::new("").mask("as it is"), "as it is");
    }
}
