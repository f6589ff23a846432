//! Checks Component YAML as Init would, without the values that only daprd knows.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Held, findings, held, line, subscriptions};
use crate::{
    metadata::Findings,
    resources::{Component, Elsewhere, Subscription},
};

/// Writes every problem and note of every file, and says whether all is right: at least
/// one Component was there, and none has a problem.
///
/// # Errors
/// When the result can't be written.
pub fn check(files: &[PathBuf], out: &mut impl Write) -> io::Result<bool> {
    let (mut components, mut problems) = (Vec::new(), 0);
    let mut subscribed = Vec::new();
    for file in files {
        let name = file.display();
        let held = held(file).unwrap_or_else(|problem| vec![Held::Broken(problem)]);
        if held.is_empty() {
            line(out, &format!("{name}: skipped: nothing in it"))?;
        }
        for held in held {
            match held {
                Held::Skipped(what) => line(out, &format!("{name}: skipped: {what}"))?,
                Held::Broken(problem) => {
                    problems += 1;
                    line(out, &format!("{name}: problem: {problem}"))?;
                }
                Held::Component(component) => {
                    problems += tell(file, &component, out)?;
                    components.push(component);
                }
                Held::Subscription(subscription) => subscribed.push((file, subscription)),
            }
        }
    }
    // A Subscription may stand before its Component.
    for (file, subscription) in &subscribed {
        problems += tell_subscription(file, subscription, &components, out)?;
    }
    // What has a problem may be one.
    if components.is_empty() && problems == 0 {
        line(
            out,
            "no Component of type pubsub.kafka or pubsub.rdkafka was found",
        )?;
    }
    Ok(!components.is_empty() && problems == 0)
}

/// Tells about one Component, and how many problems it has.
fn tell(file: &Path, component: &Component, out: &mut impl Write) -> io::Result<usize> {
    let Findings { problems, notes } = findings(component);
    let Component {
        name,
        of,
        elsewhere,
        ..
    } = component;
    let verdict = if problems.is_empty() { ": right" } else { "" };
    let file = file.display();
    line(out, &format!("{file}: Component {name} ({of}){verdict}"))?;
    for problem in &problems {
        line(out, &format!("  problem: {problem}"))?;
    }
    for note in notes.into_iter().chain(init_timeout(component)) {
        line(out, &format!("  note: {note}"))?;
    }
    for (from, words) in [
        (Elsewhere::Secret, "from a secret"),
        (Elsewhere::Environment, "from the environment"),
    ] {
        let keys = elsewhere.iter().filter(|(_, there)| *there == from);
        let keys: Vec<_> = keys.map(|(key, _)| key.as_str()).collect();
        if !keys.is_empty() {
            let keys = keys.join(", ");
            line(
                out,
                &format!("  {words}, so its value is not checked: {keys}"),
            )?;
        }
    }
    Ok(problems.len())
}

/// daprd hands a pluggable component neither `spec.initTimeout` nor a deadline, and counts an Init
/// that ends later as failed (dapr/dapr v1.18.3, `pkg/components/pubsub/pluggable.go` and
/// `pkg/runtime/processor/components.go`).
fn init_timeout(component: &Component) -> Option<String> {
    let mut keys = component.properties.keys();
    let is_given = keys.any(|key| key.eq_ignore_ascii_case("initTimeout"));
    let of_daprd = component.init_timeout.as_ref().filter(|_| !is_given)?;
    Some(format!(
        "spec.initTimeout {of_daprd}: daprd waits so long, and does not tell the component, whose \
         Init gives up after 4s; give the metadata key initTimeout as well, a little shorter"
    ))
}

/// Tells about one Subscription, and how many problems it has.
fn tell_subscription(
    file: &Path,
    subscription: &Subscription,
    components: &[Component],
    out: &mut impl Write,
) -> io::Result<usize> {
    let (file, topic) = (file.display(), &subscription.topic);
    let name = &subscription.component;
    let Some(component) = components.iter().find(|it| it.name == *name) else {
        let what = format!("Subscription to {topic} of Component {name}, which is not here");
        line(out, &format!("{file}: skipped: {what}"))?;
        return Ok(0);
    };
    let Findings { problems, notes } = subscriptions::findings(subscription, component);
    let verdict = if problems.is_empty() { ": right" } else { "" };
    line(
        out,
        &format!("{file}: Subscription to {topic} of {name}{verdict}"),
    )?;
    for problem in &problems {
        line(out, &format!("  problem: {problem}"))?;
    }
    for note in notes {
        line(out, &format!("  note: {note}"))?;
    }
    Ok(problems.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a text, and whether it is right.
    fn checked(text: &str) -> (String, bool) {
        let folder = tempfile::tempdir().expect("a folder is made");
        let file = folder.path().join("c.yaml");
        std::fs::write(&file, text).expect("the file is written");
        let mut out = Vec::new();
        let right = check(&[file], &mut out).expect("a vector takes all");
        let out = String::from_utf8(out).expect("it is text");
        let folder = format!("{}/", folder.path().display());
        (out.replace(&folder, ""), right)
    }

    fn component(of: &str, items: &[(&str, &str)]) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: c}}\nspec:\n  type: {of}\n  metadata:\n"
        );
        for (key, value) in items {
            writeln!(text, "  - {{name: {key}, {value}}}").expect("a string grows");
        }
        text
    }

    const NONE: [(&str, &str); 2] = [("brokers", "value: 'a:1'"), ("authType", "value: none")];

    #[test]
    fn a_right_component_is_right_and_others_are_skipped() {
        let right = [
            ("brokers", "value: 'a:1'"),
            ("authType", "value: password"),
            ("saslUsername", "envRef: KAFKA_USER"),
            ("saslPassword", "secretKeyRef: {name: kafka, key: password}"),
            ("sessionTimeout", "secretKeyRef: {name: kafka, key: s}"),
        ];
        let text = component("pubsub.kafka", &right)
            + &component("pubsub.redis", &[])
            + "---\nkind: Subscription\nmetadata: {name: s}\n---\n";
        let (said, right) = checked(&text);
        assert!(right, "{said}");
        let expected = "\
c.yaml: Component c (pubsub.kafka): right
  note: ordering is \"partition\", as pubsub.kafka has it: one record of a partition at a time. Set ordering to \"key\" for those of different keys at once
  from a secret, so its value is not checked: saslPassword, sessionTimeout
  from the environment, so its value is not checked: saslUsername
c.yaml: skipped: Component c (pubsub.redis)
c.yaml: skipped: Subscription s
";
        assert_eq!(said, expected);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let first = [
            ("brokers", "value: kafka"),
            ("authType", "value: password"),
            ("saslPassword", "secretKeyRef: {name: kafka, key: password}"),
            ("compression", "value: brotli"),
            ("compression", "value: gzip"),
            ("initialOfset", "value: hunter2"),
        ];
        let second = [("brokers", "secretKeyRef: {name: k, key: b}")];
        let text = component("pubsub.rdkafka", &first) + &component("pubsub.kafka", &second);
        let (said, right) = checked(&text);
        assert!(!right, "{said}");
        let expected = "\
c.yaml: Component c (pubsub.rdkafka)
  problem: brokers: \"kafka\": \"kafka\" has no port; write host:port, such as kafka:9092
  problem: saslUsername: required with authType password
  problem: compression: given twice; daprd takes the last, keep one
  note: initialOfset is no known key and has no effect; did you mean initialOffset?
  from a secret, so its value is not checked: saslPassword
c.yaml: Component c (pubsub.kafka)
  problem: authType: required, but missing or empty; for example \"none\"
  note: ordering is \"partition\", as pubsub.kafka has it: one record of a partition at a time. Set ordering to \"key\" for those of different keys at once
  from a secret, so its value is not checked: brokers
";
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_elsewhere_counts_as_given_and_right() {
        let of_login = |auth: &str, keys: &[&str]| {
            let secret = "secretKeyRef: {name: k, key: k}";
            let mut items = vec![("brokers", "value: 'a:1'"), ("authType", auth)];
            items.extend(keys.iter().map(|key| (*key, secret)));
            checked(&component("pubsub.kafka", &items))
        };
        let mtls = of_login("value: mtls", &["clientCert", "clientKey", "caCert"]);
        assert!(mtls.1, "{}", mtls.0);
        let unknown = of_login("secretKeyRef: {name: k, key: a}", &["saslPassword"]);
        assert!(unknown.1, "{}", unknown.0);
        let aws = of_login("value: awsiam", &["region", "accessKey"]);
        assert!(
            aws.0.contains("problem: awsSecretKey: required"),
            "{}",
            aws.0
        );
    }

    #[test]
    fn one_bad_document_hides_no_other_and_foreign_ones_are_not_judged() {
        let map = [("brokers", "value: 'a:1'"), ("x", "value: {a: b}")];
        let foreign = component("pubsub.redis", &map)
            + "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nspec: {type: pubsub.nats, metadata: 1}\n---\nkind: List\n";
        let (said, right) = checked(&(foreign.clone() + &component("pubsub.rdkafka", &NONE)));
        assert!(right, "{said}");
        assert!(said.contains("skipped: List: its items were not"), "{said}");
        let wrong = [&NONE[..], &[("brokers", "value: [a]")]].concat();
        let text = foreign + &component("pubsub.rdkafka", &wrong) + "---\nkind: [";
        let (said, right) = checked(&text);
        assert!(!right, "{said}");
        for part in [
            "(pubsub.rdkafka)\n  problem: brokers: ",
            "c.yaml: problem: no YAML that daprd can read: line",
        ] {
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
        assert!(!said.contains("was found"), "{said}");
        let (said, _) = checked("kind: Component\nspec: {type: pubsub.kafka}\n");
        assert!(
            said.contains("daprd skips Component (pubsub.kafka): it has no apiVersion"),
            "{said}"
        );
        assert!(!said.contains("was found"), "{said}");
    }

    #[test]
    fn nothing_in_a_file_steers_the_terminal() {
        let text = component("pubsub.rdkafka", &NONE).replace("{name: c}", r#"{name: "c\e[1m"}"#)
            + "  - {name: \"a\\nb\", value: x}\n  - {name: compression, value: \"\\e\\nx\"}\n\
               ---\nkind: \"\\e[2J\"\n";
        let (said, _) = checked(&text);
        assert_eq!(said.lines().count(), 4, "{said}");
        assert!(!said.contains('\u{1b}'), "{said}");
        assert!(said.contains("a\\nb is no known key"), "{said}");
    }

    #[test]
    fn nothing_to_check_is_not_right() {
        let (said, right) = checked("kind: Subscription\n");
        assert!(!right && said.contains("no Component of type"), "{said}");
        let (said, right) = checked("kind: [hunter2");
        assert!(
            !right && said.contains("c.yaml: problem: no YAML"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        let mut out = Vec::new();
        let none = check(&["no such file".into()], &mut out).expect("a vector takes all");
        assert!(!none && String::from_utf8_lossy(&out).contains("it can't be read"));
    }
}
