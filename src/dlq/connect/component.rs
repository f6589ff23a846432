//! Dapr's Component YAML, as far as a pub/sub's metadata goes.

use std::collections::HashMap;

use serde::Deserialize;
use serde_norway::Value;

#[derive(Deserialize)]
struct Component {
    metadata: Named,
    spec: Spec,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Spec {
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

/// The name and the metadata of the pub/sub Component in a text of one or more YAML
/// documents. References are left out for the keys that are `set` elsewhere.
///
/// # Errors
/// When there is none, several and no name, or a value that only daprd can look up.
pub(super) fn properties(
    text: &str,
    name: Option<&str>,
    set: &[&str],
) -> Result<(String, HashMap<String, String>), String> {
    let mut found = pubsubs(text)?;
    let names: Vec<_> = found
        .iter()
        .map(|found| found.metadata.name.clone())
        .collect();
    let names = names.join(", ");
    if let Some(name) = name {
        found.retain(|found| found.metadata.name == name);
    }
    let component = match (found.pop(), found.len(), name) {
        (Some(component), 0, _) => component,
        (None, _, _) if names.is_empty() => {
            return Err("no Component of a type pubsub.… is in this file".into());
        }
        (None, _, _) => {
            let wanted = name.unwrap_or_default();
            return Err(format!(
                "no pub/sub Component {wanted} in this file; there is {names}"
            ));
        }
        (Some(_), _, None) => {
            return Err(format!(
                "several pub/sub Components; pick one with --name: {names}"
            ));
        }
        (Some(_), _, Some(name)) => return Err(format!("several Components are named {name}")),
    };
    let name = component.metadata.name;
    let properties = values(&name, component.spec.metadata, set)?;
    Ok((name, properties))
}

fn pubsubs(text: &str) -> Result<Vec<Component>, String> {
    let mut found = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let document = Value::deserialize(document).map_err(|error| format!("no YAML: {error}"))?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let kind = text(document.get("kind"));
        let of = text(document.get("spec").and_then(|spec| spec.get("type")));
        if kind.as_deref() == Some("Component") && of.is_some_and(|of| of.starts_with("pubsub.")) {
            let component = serde_norway::from_value(document)
                .map_err(|error| format!("no Component of Dapr: {error}"))?;
            found.push(component);
        }
    }
    Ok(found)
}

fn values(name: &str, items: Vec<Item>, set: &[&str]) -> Result<HashMap<String, String>, String> {
    let mut properties = HashMap::new();
    let mut elsewhere = Vec::new();
    for item in items {
        if set.iter().any(|set| set.eq_ignore_ascii_case(&item.name)) {
            continue;
        }
        let referred = item.secret_key_ref.is_some() || item.env_ref.is_some();
        match item.value {
            Some(Value::String(text)) => drop(properties.insert(item.name, text)),
            Some(Value::Number(number)) => {
                drop(properties.insert(item.name, number.to_string()));
            }
            Some(Value::Bool(flag)) => drop(properties.insert(item.name, flag.to_string())),
            None | Some(Value::Null) if referred => elsewhere.push(item.name),
            None | Some(Value::Null) => drop(properties.insert(item.name, String::new())),
            Some(_) => {
                let key = item.name;
                return Err(format!(
                    "{name}: the value of {key} is no text, number or flag"
                ));
            }
        }
    }
    if elsewhere.is_empty() {
        return Ok(properties);
    }
    let keys = elsewhere.join(", ");
    let example = &elsewhere[0];
    Err(format!(
        "{name}: only daprd can look up {keys} (a secretKeyRef or envRef without a value); where \
         the component runs use --instance {name}, or give it with --set {example}=VALUE"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: {name: s}
spec: {type: pubsub.nothing}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: state
spec:
  type: state.redis
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: todo-pubsub
spec:
  type: pubsub.rdkafka
  version: v1
  metadata:
  - name: brokers
    value: "a:1,b:2"
  - name: maxInFlight
    value: 10
  - name: startWithoutBrokers
    value: true
  - name: clientID
    value:
---
"#;

    const SECRETS: &str = r"
kind: Component
metadata: {name: other}
spec:
  type: pubsub.kafka
  metadata:
  - {name: brokers, value: 'c:3'}
  - {name: saslPassword, secretKeyRef: {name: kafka, key: password}}
";

    #[test]
    fn the_pubsub_component_of_several_documents_is_read() {
        let (name, properties) = properties(FILE, None, &[]).expect("there is one");
        assert_eq!(name, "todo-pubsub");
        let wanted = [
            ("brokers", "a:1,b:2"),
            ("maxInFlight", "10"),
            ("startWithoutBrokers", "true"),
            ("clientID", ""),
        ];
        assert_eq!(properties, wanted.map(|(k, v)| (k.into(), v.into())).into());
    }

    #[test]
    fn a_name_picks_one_of_several() {
        let both = format!("{FILE}{SECRETS}");
        let several = properties(&both, None, &[]).unwrap_err();
        assert!(several.contains("--name: todo-pubsub, other"), "{several}");
        let (name, _) = properties(&both, Some("todo-pubsub"), &[]).expect("it is there");
        assert_eq!(name, "todo-pubsub");
        let none = properties(&both, Some("x"), &[]).unwrap_err();
        assert!(none.contains("todo-pubsub, other"), "{none}");
        let twice = format!("{SECRETS}---{SECRETS}");
        assert!(properties(&twice, Some("other"), &["saslPassword"]).is_err());
    }

    #[test]
    fn what_only_daprd_can_look_up_is_named_with_the_ways_out() {
        let error = properties(SECRETS, None, &[]).unwrap_err();
        for part in ["saslPassword", "--instance other", "--set saslPassword="] {
            assert!(error.contains(part), "{error}");
        }
        let (_, given) = properties(SECRETS, None, &["SASLpassword"]).expect("it is set");
        assert_eq!(given.len(), 1);
    }

    #[test]
    fn a_file_without_one_says_so() {
        for (text, says) in [
            ("", "no Component"),
            ("kind: [", "no YAML"),
            ("just text", "no Component"),
            (
                "kind: Component\nspec: {type: pubsub.x}",
                "no Component of Dapr",
            ),
        ] {
            let error = properties(text, None, &[]).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
