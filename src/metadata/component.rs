//! Dapr's Component YAML, as far as a pub/sub's metadata goes.

use std::collections::HashMap;

use serde::Deserialize;
use serde_norway::Value;

/// A document of a text with YAML.
#[derive(Debug)]
pub enum Document {
    /// A pub/sub Component.
    PubSub(Component),
    /// What can't be read.
    Broken {
        /// The type of the pub/sub Component that it should be; `None` if it is no YAML.
        of: Option<String>,
        /// What is wrong with it, without any value.
        problem: String,
    },
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
    /// The variables of those that come from the environment, by their keys.
    pub variables: HashMap<String, String>,
    /// Keys that are written more than once, in the same letters: a value that nobody sees.
    pub twice: Vec<String>,
    /// Keys whose values are lists or maps, which no key here takes.
    pub shapes: Vec<String>,
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

/// Reads a text of one or more YAML documents, up to one that is no YAML.
pub fn documents(text: &str) -> Vec<Document> {
    let mut found = Vec::new();
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for document in serde_norway::Deserializer::from_str(text) {
        let read = Value::deserialize(document).and_then(|mut document| {
            document.apply_merge()?;
            Ok(document)
        });
        match read {
            Ok(document) if document.is_null() => {}
            Ok(document) => found.push(read_document(document)),
            Err(error) => {
                // The reader's own words may hold a value.
                let at = error.location().map_or_else(String::new, |at| {
                    format!(": line {}, column {}", at.line(), at.column())
                });
                found.push(Document::Broken {
                    of: None,
                    problem: format!("no YAML{at}; what follows is not read"),
                });
                break;
            }
        }
    }
    found
}

fn read_document(document: Value) -> Document {
    let of = document.get("spec").and_then(|spec| text_of(spec, "type"));
    let of = of.map(str::to_owned);
    let kind = text_of(&document, "kind");
    match of {
        Some(of) if kind == Some("Component") && of.starts_with("pubsub.") => {
            match component(document) {
                Ok(component) => Document::PubSub(component),
                Err(problem) => Document::Broken {
                    of: Some(of),
                    problem,
                },
            }
        }
        of => {
            let name = document.get("metadata").and_then(|it| text_of(it, "name"));
            Document::Other(words(kind, name, of.as_deref()))
        }
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn words(kind: Option<&str>, name: Option<&str>, of: Option<&str>) -> String {
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    match (kind, of) {
        (None, _) => "a document without a kind".to_owned(),
        (Some("Component"), Some(of)) => format!("Component{name} ({of})"),
        (Some("List"), _) => {
            "List: its items were not read; write each as a document of its own".to_owned()
        }
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
        variables: HashMap::new(),
        twice: Vec::new(),
        shapes: Vec::new(),
    };
    for item in spec.metadata {
        let there = component.elsewhere.iter().any(|(key, _)| *key == item.name);
        if there || component.properties.contains_key(&item.name) {
            component.twice.push(item.name.clone());
        }
        component.take(item);
    }
    Ok(component)
}

impl Component {
    /// Takes what comes from the environment, as far as it is there; `variable` reads it.
    /// daprd hands nobody its own variables (`isEnvVarAllowed`, in the same package).
    pub fn look_up(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let variables = std::mem::take(&mut self.variables);
        for (key, name) in variables {
            let own = name.to_ascii_uppercase();
            let allowed = !own.starts_with("DAPR_") && own != "APP_API_TOKEN";
            match variable(&name).filter(|_| allowed) {
                Some(value) => {
                    self.elsewhere.retain(|(there, _)| *there != key);
                    self.properties.insert(key, value);
                }
                None => {
                    self.variables.insert(key, name);
                }
            }
        }
    }

    /// Takes an item as daprd does (dapr v1.16.5, `pkg/runtime/processor/secret`): an
    /// `envRef` yields to a value, and a secret replaces it.
    fn take(&mut self, item: Item) {
        let Item {
            name,
            value,
            secret_key_ref,
            env_ref,
        } = item;
        let value = value.filter(|value| !value.is_null());
        let has = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        let secret = secret_key_ref.as_ref();
        let variable = env_ref.as_ref().and_then(Value::as_str);
        if let (None, Some(variable)) = (&value, variable.filter(|name| !name.is_empty())) {
            self.variables.insert(name.clone(), variable.to_owned());
            self.elsewhere.push((name, Elsewhere::Environment));
            return;
        }
        if has(secret.and_then(|secret| text_of(secret, "name"))) {
            self.elsewhere.push((name, Elsewhere::Secret));
            return;
        }
        let value = match value {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            None => String::new(),
            Some(_) => {
                self.shapes.push(name);
                return;
            }
        };
        self.properties.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
