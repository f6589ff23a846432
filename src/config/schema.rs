//! The table in Dapr's own component-metadata schema (components-contrib v1.18.4,
//! `component-metadata-schema.json`); `components/metadata.yaml` is this.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::metadata::{
    check,
    keys::{self, Key, Kind, Support},
    security::AuthType,
};

/// What every generated file begins with.
const HEAD: &str =
    "# Made from src/metadata/keys; `UPDATE_DOCS=1 cargo test --lib docs` writes it anew.\n";

/// Metadata of a component.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Page {
    schema_version: String,
    #[serde(rename = "type")]
    of: String,
    name: String,
    version: String,
    status: String,
    title: String,
    urls: Vec<Url>,
    authentication_profiles: Vec<Profile>,
    metadata: Vec<Property>,
}

/// A page with more.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Url {
    title: String,
    url: String,
}

/// A way to log in.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    title: String,
    description: String,
    metadata: Vec<Property>,
}

/// A key.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Property {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "is_false")]
    required: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    sensitive: bool,
    description: String,
    example: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allowed_values: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The schema, in YAML. Refused keys and what a login does not read are left out.
pub fn schema() -> String {
    let general = offered().filter(|key| key.auth_types.is_empty() && key.name != "authType");
    let schema = Page {
        schema_version: "v1".into(),
        of: "pubsub".into(),
        name: "rdkafka".into(),
        version: "v1".into(),
        status: "alpha".into(),
        title: "Apache Kafka and Redpanda, by librdkafka".into(),
        urls: vec![Url {
            title: "Dapr's own pubsub.kafka, whose keys these are".into(),
            url: "https://docs.dapr.io/reference/components-reference/supported-pubsub/setup-apache-kafka/".into(),
        }],
        authentication_profiles: AuthType::WORDS.iter().map(profile).collect(),
        metadata: general.map(|key| property(key, key.required)).collect(),
    };
    let yaml = serde_norway::to_string(&schema).unwrap_or_default();
    format!("{HEAD}{yaml}")
}

fn offered() -> impl Iterator<Item = &'static Key> {
    keys::all().filter(|key| !matches!(key.support, Support::Refused(_)))
}

fn profile((word, auth_type): &(&'static str, AuthType)) -> Profile {
    let given = [("brokers", "kafka:9092"), ("authType", word)];
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    // What is missing when nothing else is given.
    let missing: HashSet<_> = check("rdkafka", &HashMap::from(given), &[])
        .problems
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    let of_login = offered().filter(|key| key.auth_types.contains(auth_type));
    let mut metadata: Vec<_> = of_login
        .map(|key| property(key, missing.contains(key.name)))
        .collect();
    let own = keys::find("authType").map(|(key, _)| Property {
        description: format!("The way to log in; for this one \"{word}\"."),
        allowed_values: vec![(*word).to_owned()],
        example: quoted(word),
        ..property(key, true)
    });
    metadata.splice(0..0, own);
    Profile {
        title: format!("authType {word}"),
        description: auth_type.description().into(),
        metadata,
    }
}

fn property(key: &Key, required: bool) -> Property {
    let kind = match key.kind {
        Kind::Text | Kind::Words(_) => "string",
        Kind::Flag => "bool",
        Kind::Number | Kind::Bytes => "number",
        Kind::Seconds | Kind::Millis | Kind::Duration => "duration",
    };
    // Strings are in quotes there.
    let written = |value: &str| {
        if ["bool", "number"].contains(&kind) {
            value.to_owned()
        } else {
            quoted(value)
        }
    };
    let allowed = match key.kind {
        Kind::Words(words) => words,
        _ => &[],
    };
    Property {
        name: key.name.into(),
        kind: kind.into(),
        required,
        sensitive: key.secret,
        description: key.doc.into(),
        example: key.example.or(key.default).map(written).unwrap_or_default(),
        default: key.default.map(written),
        allowed_values: allowed.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_for_dapr_are_the_table() {
        crate::config::tests::same("components/metadata.yaml", &schema());
    }

    #[test]
    fn it_can_be_read_and_says_what_each_login_needs() {
        let read: Page = serde_norway::from_str(&schema()).expect("it is the schema");
        let needs = |word: &str| {
            let title = format!("authType {word}");
            let mut profiles = read.authentication_profiles.iter();
            let profile = profiles.find(|profile| profile.title == title);
            let metadata = &profile.expect("each way has a profile").metadata;
            let required = metadata.iter().filter(|property| property.required);
            required
                .map(|property| property.name.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(needs("none"), ["authType"]);
        assert_eq!(needs("certificate"), ["authType", "caCert"]);
        assert_eq!(
            needs("password"),
            ["authType", "saslUsername", "saslPassword"]
        );
        assert_eq!(needs("mtls"), ["authType", "clientCert", "clientKey"]);
        assert_eq!(needs("awsiam"), ["authType", "awsRegion"]);
        let all = read
            .authentication_profiles
            .iter()
            .flat_map(|profile| &profile.metadata);
        for property in all.chain(&read.metadata) {
            assert!(!property.example.is_empty(), "{}", property.name);
        }
    }
}
