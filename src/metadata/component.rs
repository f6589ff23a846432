//! Dapr's Component YAML, as far as a pub/sub's metadata goes.

use std::collections::HashMap;

use serde::Deserialize;
use serde_norway::Value;

/// A document of a text with YAML.
#[derive(Debug)]
pub enum Document {
    /// A pub/sub Component.
    PubSub(Component),
    /// Anything else, in words.
    Other(String),
}

/// A pub/sub Component.
#[derive(Debug)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its type, such as `pubsub.kafka`.
    pub of: String,
    /// The metadata whose values stand in the text.
    pub properties: HashMap<String, String>,
    /// The keys whose values only daprd can look up, and where.
    pub elsewhere: Vec<(String, Elsewhere)>,
    /// Keys that are written more than once, in the same letters: a value that nobody sees.
    pub twice: Vec<String>,
}

/// Where daprd looks a value up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// `secretKeyRef`.
    Secret,
    /// `envRef`.
    Environment,
}

#[derive(Deserialize)]
struct Written {
    metadata: Named,
    spec: Spec,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "type")]
    of: String,
    #[serde(default)]
    metadata: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    value: Option<Value>,
    secret_key_ref: Option<Value>,
    env_ref: Option<Value>,
}

/// Reads a text of one or more YAML documents.
///
/// # Errors
/// What is no YAML, a Component without name or type, or a value that is no text, number
/// or flag. Values are never in it.
pub fn documents(text: &str) -> Result<Vec<Document>, String> {
    let mut found = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        // The reader's own words may hold a value.
        let document = Value::deserialize(document).map_err(|error| match error.location() {
            Some(at) => format!("no YAML: line {}, column {}", at.line(), at.column()),
            None => "no YAML".to_owned(),
        })?;
        let of = document.get("spec").and_then(|spec| text_of(spec, "type"));
        let kind = text_of(&document, "kind");
        let pubsub = of.is_some_and(|of| of.starts_with("pubsub."));
        if kind == Some("Component") && pubsub {
            found.push(Document::PubSub(component(document)?));
        } else if !document.is_null() {
            let name = document.get("metadata").and_then(|it| text_of(it, "name"));
            found.push(Document::Other(words(kind, name, of)));
        }
    }
    Ok(found)
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn words(kind: Option<&str>, name: Option<&str>, of: Option<&str>) -> String {
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    match (kind, of) {
        (None, _) => "a document without a kind".to_owned(),
        (Some("Component"), Some(of)) => format!("Component{name} ({of})"),
        (Some(kind), _) => format!("{kind}{name}"),
    }
}

fn component(document: Value) -> Result<Component, String> {
    let Written { metadata, spec } = serde_norway::from_value(document).map_err(|_| {
        "no Component of Dapr: it needs metadata.name, and in spec.metadata a list of names with \
         values"
            .to_owned()
    })?;
    let mut component = Component {
        name: metadata.name,
        of: spec.of,
        properties: HashMap::new(),
        elsewhere: Vec::new(),
        twice: Vec::new(),
    };
    for item in spec.metadata {
        let name = item.name;
        let there = component.elsewhere.iter().any(|(key, _)| *key == name);
        if there || component.properties.contains_key(&name) {
            component.twice.push(name.clone());
        }
        let referred = match (&item.secret_key_ref, &item.env_ref) {
            (Some(_), _) => Some(Elsewhere::Secret),
            (None, Some(_)) => Some(Elsewhere::Environment),
            (None, None) => None,
        };
        let value = match item.value {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            None | Some(Value::Null) => match referred {
                Some(referred) => {
                    component.elsewhere.push((name, referred));
                    continue;
                }
                None => String::new(),
            },
            Some(_) => {
                let component = component.name;
                return Err(format!(
                    "{component}: the value of {name} is no text, number or flag"
                ));
            }
        };
        component.properties.insert(name, value);
    }
    Ok(component)
}
