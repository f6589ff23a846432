//! A component's metadata from a file with Component YAML.

use super::Given;
use crate::resources::{Component, Document, Subscription};

/// The pub/sub Component among these documents that is meant, and the Subscriptions.
///
/// # Errors
/// When there is none, or several and no name.
pub(super) fn pick(
    documents: Vec<Document>,
    name: Option<&str>,
) -> Result<(Component, Vec<Subscription>), String> {
    let (mut found, mut subscriptions, mut broken) = (Vec::new(), Vec::new(), None);
    for document in documents {
        match document {
            Document::PubSub(component) => found.push(component),
            Document::Subscription(subscription) => subscriptions.push(subscription),
            Document::Broken { problem, .. } => broken = broken.or(Some(problem)),
            Document::Skipped { what, why } => {
                broken = broken.or(Some(format!("daprd skips {what}: {why}")));
            }
            Document::Other(_) => {}
        }
    }
    let names: Vec<_> = found.iter().map(|found| found.name.clone()).collect();
    let names = names.join(", ");
    if let Some(name) = name {
        found.retain(|found| found.name == name);
    }
    // The wanted one may be what can't be read.
    if let Some(problem) = broken
        && (name.is_none() || found.is_empty())
    {
        return Err(problem);
    }
    match (found.pop(), found.len(), name) {
        (Some(component), 0, _) => Ok((component, subscriptions)),
        (None, _, _) if names.is_empty() => {
            Err("no Component of a type pubsub.… is in this file".into())
        }
        (None, _, _) => {
            let wanted = name.unwrap_or_default();
            Err(format!(
                "no pub/sub Component {wanted} in this file; there is {names}"
            ))
        }
        (Some(_), _, None) => Err(format!(
            "several pub/sub Components; pick one with --name: {names}"
        )),
        (Some(_), _, Some(name)) => Err(format!("several Components are named {name}")),
    }
}

/// Refuses a Component with values that nobody has here.
pub(super) fn complete(given: &Given) -> Result<(), String> {
    let name = &given.name;
    let Some(example) = given.elsewhere.first() else {
        return Ok(());
    };
    let keys = given.elsewhere.join(", ");
    Err(format!(
        "{name}: only daprd can look up {keys} (a secretKeyRef, or an envRef of a variable \
         that is not set here); where \
         the component runs use --instance {name}, or give it with --set {example}=VALUE"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{connect::Uses, resources::documents};

    /// A Component's name and metadata, all of which must be there.
    fn properties(
        text: &str,
        name: Option<&str>,
        set: &[&str],
    ) -> Result<(String, HashMap<String, String>), String> {
        let mut given = Given::of(pick(documents(text), name)?.0, Uses::default());
        let set: Vec<_> = set
            .iter()
            .map(|key| ((*key).to_owned(), "set".to_owned()))
            .collect();
        given.set(&set);
        complete(&given).map(|()| (given.name, given.properties))
    }

    const FILE: &str = r#"
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: {name: s}
spec: {topic: t, pubsubname: nothing}
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
apiVersion: dapr.io/v1alpha1
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
        let (name, ..) = properties(&both, Some("todo-pubsub"), &[]).expect("it is there");
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
        assert_eq!(given.len(), 2);
    }

    #[test]
    fn a_foreign_components_value_hides_no_other() {
        let foreign = "---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: foreign}
spec:
  type: pubsub.redis
  metadata:
  - {name: x, secretKeyRef: a}
";
        let both = format!("{FILE}{foreign}");
        let (name, ..) = properties(&both, Some("todo-pubsub"), &[]).expect("it is there");
        assert_eq!(name, "todo-pubsub");
        let error = properties(&both, Some("foreign"), &[]).unwrap_err();
        assert!(error.contains("x: secretKeyRef must have"), "{error}");
        let broken = format!("{FILE}kind: [");
        assert!(properties(&broken, Some("todo-pubsub"), &[]).is_ok());
        let error = properties(&broken, None, &[]).unwrap_err();
        assert!(error.contains("no YAML"), "{error}");
    }

    #[test]
    fn a_file_without_one_says_so() {
        for (text, says) in [
            ("", "no Component"),
            ("kind: [", "no YAML"),
            ("just text", "no Component"),
            (
                "apiVersion: dapr.io/v1alpha1\nkind: Component\nspec: {type: pubsub.x}",
                "metadata.name is missing",
            ),
            (
                "kind: Component\nmetadata: {name: c}\nspec: {type: pubsub.x}",
                "daprd skips Component c (pubsub.x): it has no apiVersion",
            ),
        ] {
            let error = properties(text, None, &[]).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
