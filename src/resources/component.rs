//! Dapr's Components, as far as pub/sub goes.

use std::collections::HashMap;

use super::yaml::Node;

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
    /// `spec.initTimeout`, as it is written; `None` if it is not given.
    pub init_timeout: Option<String>,
}

/// Where daprd looks a value up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// `secretKeyRef`.
    Secret,
    /// `envRef`.
    Environment,
}

/// Reads a Component.
///
/// # Errors
/// Names the field that daprd can't read, without its value.
pub(super) fn read(document: &Node) -> Result<Component, String> {
    let nothing = Node::Null;
    let head = document.get("metadata").unwrap_or(&nothing);
    let spec = document.get("spec").unwrap_or(&nothing);
    check_types(document, head, spec)?;
    let field = |of: &Node, name: &str| of.get(name).and_then(Node::text);
    let name = field(head, "name").filter(|name| !name.is_empty());
    let mut component = Component {
        name: name.ok_or("metadata.name is missing")?,
        of: field(spec, "type").unwrap_or_default(),
        properties: HashMap::new(),
        elsewhere: Vec::new(),
        variables: HashMap::new(),
        twice: Vec::new(),
        init_timeout: field(spec, "initTimeout").filter(|text| !text.is_empty()),
    };
    let items = match spec.get("metadata") {
        None => &[],
        Some(Node::List(items)) => &items[..],
        Some(_) => return Err("spec.metadata is no list of names with values".into()),
    };
    for item in items.iter().filter(|item| !item.is_null()) {
        component.take(item)?;
    }
    Ok(component)
}

/// What kind of value a field takes.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Flag,
    Texts,
}

/// Refuses a value of the wrong kind, for which daprd would skip the whole Component with a
/// warning.
fn check_types(document: &Node, head: &Node, spec: &Node) -> Result<(), String> {
    let auth = document.get("auth");
    let fields = [
        ("metadata.name", head.get("name"), Takes::Text),
        ("metadata.namespace", head.get("namespace"), Takes::Text),
        ("spec.type", spec.get("type"), Takes::Text),
        ("spec.version", spec.get("version"), Takes::Text),
        ("spec.ignoreErrors", spec.get("ignoreErrors"), Takes::Flag),
        ("spec.initTimeout", spec.get("initTimeout"), Takes::Text),
        (
            "auth.secretStore",
            auth.and_then(|auth| auth.get("secretStore")),
            Takes::Text,
        ),
        ("scopes", document.get("scopes"), Takes::Texts),
    ];
    for (name, value, takes) in fields {
        let Some(value) = value else { continue };
        let (fits, wanted) = match (takes, value) {
            (Takes::Text, value) => (value.text().is_some(), "a text"),
            (Takes::Flag, value) => (matches!(value, Node::Bool(_)), "true or false, unquoted"),
            (Takes::Texts, Node::List(items)) => {
                let are_texts = items.iter().all(|item| item.text().is_some());
                (are_texts, "a list of texts")
            }
            (Takes::Texts, _) => (false, "a list of texts"),
        };
        if !fits {
            return Err(format!(
                "{name} must be {wanted}; daprd skips the Component otherwise"
            ));
        }
    }
    Ok(())
}

impl Component {
    /// Takes what comes from the environment, as far as it is there; `variable` reads it.
    /// daprd hands nobody its own variables (`isEnvVarAllowed`, in
    /// `pkg/runtime/processor/secret`).
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

    /// Takes an item of `spec.metadata` as daprd does (dapr/dapr v1.18.3,
    /// `pkg/runtime/processor/secret`): an `envRef` yields to a value, and a secret replaces it.
    fn take(&mut self, item: &Node) -> Result<(), String> {
        let text = |of: &Node, name: &str| match of.get(name) {
            None => Ok(String::new()),
            Some(value) => value.text().ok_or(name.to_owned()),
        };
        let Node::Map(_) = item else {
            return Err("spec.metadata has an item without a name".into());
        };
        let wrong = |field: String| format!("spec.metadata: {field} must be a text");
        let name = text(item, "name").map_err(wrong)?;
        let wrong = |field: String| format!("spec.metadata, {name}: {field} must be a text");
        let value = item.get("value");
        let variable = text(item, "envRef").map_err(wrong)?;
        let secret = match item.get("secretKeyRef") {
            None => String::new(),
            Some(reference @ Node::Map(_)) => text(reference, "name").map_err(wrong)?,
            Some(_) => {
                return Err(format!(
                    "spec.metadata, {name}: secretKeyRef must have a name and a key"
                ));
            }
        };
        let there = self.elsewhere.iter().any(|(key, _)| *key == name);
        if there || self.properties.contains_key(&name) {
            // The last one counts.
            self.elsewhere.retain(|(key, _)| *key != name);
            self.properties.remove(&name);
            self.variables.remove(&name);
            self.twice.push(name.clone());
        }
        if value.is_none() && !variable.is_empty() {
            self.variables.insert(name.clone(), variable);
            self.elsewhere.push((name, Elsewhere::Environment));
        } else if !secret.is_empty() {
            self.elsewhere.push((name, Elsewhere::Secret));
        } else {
            let value = value.map_or(Some(String::new()), Node::dynamic);
            let value = value.ok_or_else(|| {
                format!("spec.metadata, {name}: its value is a number without end, or no number")
            })?;
            self.properties.insert(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Document, documents};

    const HEAD: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: c}\nspec:\n  type: pubsub.kafka\n";

    fn component(items: &str) -> Component {
        match documents(&format!("{HEAD}  metadata:\n{items}")).pop() {
            Some(Document::PubSub(component)) => component,
            other => panic!("no Component: {other:?}"),
        }
    }

    #[test]
    fn a_secret_wins_over_a_value_and_a_value_over_the_environment() {
        let read = component(
            "  - {name: a, value: x, secretKeyRef: {name: s, key: k}}
  - {name: b, value: '', secretKeyRef: {name: s}}
  - {name: c, value: x, secretKeyRef: {name: '', key: k}}
  - {name: d, value: x, envRef: E}
  - {name: e, value: null, envRef: E, secretkeyref: {name: s}}
  - {name: f, envRef: ''}
  - {NAME: g, Value: x}
",
        );
        let elsewhere = [
            ("a", Elsewhere::Secret),
            ("b", Elsewhere::Secret),
            ("e", Elsewhere::Environment),
        ];
        let elsewhere = elsewhere.map(|(key, there)| (key.to_owned(), there));
        assert_eq!(read.elsewhere, elsewhere);
        let properties = [("c", "x"), ("d", "x"), ("f", ""), ("g", "x")];
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read.properties, properties.into());
    }

    #[test]
    fn a_byte_order_mark_and_merged_maps_are_read() {
        let text = format!(
            "\u{feff}{HEAD}  metadata:\n  - &first {{name: brokers, value: 'a:1'}}\n  - {{<<: *first, name: clientID}}\n"
        );
        let found = documents(&text);
        let [Document::PubSub(component)] = &found[..] else {
            panic!("no Component: {found:?}");
        };
        assert_eq!(component.properties["brokers"], "a:1");
        assert_eq!(component.properties["clientID"], "a:1");
    }

    #[test]
    fn a_value_that_daprd_cannot_read_is_named() {
        for (wrong, says) in [
            ("spec:\n", "spec:\n  ignoreErrors: 'true'\n"),
            ("spec:\n", "scopes: orders\nspec:\n"),
            (
                "  type",
                "  metadata: [{name: a, secretKeyRef: kafka}]\n  type",
            ),
            ("  type", "  metadata: {brokers: a}\n  type"),
            ("  type", "  metadata: [{name: [a]}]\n  type"),
            ("  type", "  metadata: [hunter2]\n  type"),
            ("{name: c}", "{namespace: d}"),
        ]
        .map(|(old, new)| HEAD.replacen(old, new, 1))
        .into_iter()
        .zip([
            "spec.ignoreErrors must be true or false, unquoted",
            "scopes must be a list of texts",
            "a: secretKeyRef must have a name and a key",
            "spec.metadata is no list",
            "name must be a text",
            "an item without a name",
            "metadata.name is missing",
        ]) {
            let read = documents(&wrong);
            let [Document::Broken { of, problem }] = &read[..] else {
                panic!("{wrong}: {read:?}");
            };
            assert_eq!(of.as_deref(), Some("pubsub.kafka"));
            assert!(
                problem.contains(says) && !problem.contains("hunter2"),
                "{problem}"
            );
        }
    }

    #[test]
    fn what_comes_from_the_environment_is_looked_up_where_it_is() {
        let mut read = component(
            "  - {name: a, envRef: HERE}\n  - {name: b, envRef: THERE}\n  - {name: c, envRef: dapr_own}\n",
        );
        read.look_up(|name| (name != "THERE").then(|| format!("of {name}")));
        assert_eq!(read.properties, [("a".into(), "of HERE".into())].into());
        let left: Vec<_> = read.elsewhere.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(left, ["b", "c"]);
    }
}
