//! The documents of a file, and what daprd makes of each.

use super::{
    component::{self, Component},
    subscription::{self, Subscription},
    yaml::{self, Node},
};

/// The longest document that daprd can read, in bytes; at a longer one it never starts (Go's
/// `bufio.MaxScanTokenSize`, in `manifest.go` v1.18.3).
const LONGEST: usize = 64 * 1024;

/// The `apiVersion` of a Component, and those of a Subscription.
const COMPONENT: &[&str] = &["dapr.io/v1alpha1"];
const SUBSCRIPTION: &[&str] = &["dapr.io/v1alpha1", "dapr.io/v2alpha1"];

/// A document of a file.
#[derive(Debug)]
pub enum Document {
    /// A pub/sub Component.
    PubSub(Component),
    /// A Subscription.
    Subscription(Subscription),
    /// What can't be read.
    Broken {
        /// The type of the pub/sub Component that it should be; `None` if that is not known.
        of: Option<String>,
        /// What is wrong with it, without any value.
        problem: String,
    },
    /// What is meant to be a pub/sub Component or a Subscription, and daprd skips without a word.
    Skipped {
        /// What it is, in words.
        what: String,
        /// Why daprd skips it, and what to write.
        why: String,
    },
    /// Anything else, in words.
    Other(String),
}

/// Reads a text of one or more YAML documents. One that can't be read hides no other.
pub fn documents(text: &str) -> Vec<Document> {
    let mut found = Vec::new();
    for Part { text, line } in parts(text) {
        if text.len() > LONGEST {
            found.push(broken(format!(
                "the document from line {line} on has {} KiB, and daprd never starts with one over \
                 64 KiB; keep what is long in a secret store",
                text.len().div_ceil(1024)
            )));
            continue;
        }
        match yaml::read(text) {
            Ok(Node::Null) => {}
            Ok(node) => found.push(document(&node)),
            Err(error) => {
                // The parser's own words may hold a value.
                let at = match error.at {
                    Some((at, column)) => format!("line {}, column {column}", line + at - 1),
                    None => format!("the document from line {line} on"),
                };
                found.push(broken(format!("no YAML that daprd can read: {at}")));
            }
        }
    }
    found
}

fn broken(problem: String) -> Document {
    Document::Broken { of: None, problem }
}

/// A part of a file that daprd reads as a document.
struct Part<'a> {
    text: &'a str,
    /// The line of the file that it begins at, from 1.
    line: usize,
}

/// Splits a file as daprd does, at each `---` that begins a line; the rest of such a line is
/// dropped. A last line of that kind without an end hides what is before it.
fn parts(text: &str) -> Vec<Part<'_>> {
    const SEPARATOR: &str = "\n---";
    let (mut parts, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some((part, after)) = rest.split_once(SEPARATOR) {
        if after.is_empty() {
            rest = part;
            break;
        }
        let Some((_, following)) = after.split_once('\n') else {
            return parts;
        };
        parts.push(Part { text: part, line });
        line += part.matches('\n').count() + 2;
        rest = following;
    }
    if !rest.is_empty() {
        parts.push(Part { text: rest, line });
    }
    parts
}

fn document(node: &Node) -> Document {
    let field = |name: &str| node.get(name).and_then(Node::text);
    let (kind, version) = (field("kind"), field("apiVersion"));
    let kind = kind.filter(|kind| !kind.is_empty());
    let name = node.get("metadata").and_then(|it| it.get("name"));
    let name = name.and_then(Node::text);
    let of = node.get("spec").and_then(|spec| spec.get("type"));
    let of = of.and_then(Node::text);
    let is_pubsub = of.as_deref().is_some_and(|of| of.starts_with("pubsub."));
    let subscribes = node.get("spec").and_then(|spec| spec.get("pubsubname"));
    let what = words(kind.as_deref(), name.as_deref(), of.as_deref());
    let is = |wanted: &str| {
        let kind = kind.as_deref();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
    };
    let skipped =
        |wanted, versions| why_skipped(kind.as_deref(), wanted, version.as_deref(), versions);
    if is_pubsub && (kind.is_none() || is("Component")) {
        if let Some(why) = skipped("Component", COMPONENT) {
            return Document::Skipped { what, why };
        }
        return match component::read(node) {
            Ok(component) => Document::PubSub(component),
            Err(problem) => Document::Broken { of, problem },
        };
    }
    if subscribes.is_some() && (kind.is_none() || is("Subscription")) {
        if let Some(why) = skipped("Subscription", SUBSCRIPTION) {
            return Document::Skipped { what, why };
        }
        return match subscription::read(node) {
            Ok(subscription) => Document::Subscription(subscription),
            Err(problem) => broken(format!("{what}: {problem}")),
        };
    }
    Document::Other(what)
}

/// Why daprd skips a document of the wanted kind; `None` if it reads the document.
fn why_skipped(
    kind: Option<&str>,
    wanted: &str,
    version: Option<&str>,
    versions: &[&str],
) -> Option<String> {
    let expected = versions.join(" or ");
    match (kind, version) {
        (None, _) => Some(format!("it has no kind; write kind: {wanted}")),
        (Some(kind), _) if kind != wanted => {
            Some(format!("its kind is {kind}; write kind: {wanted}"))
        }
        (_, None) => Some(format!(
            "it has no apiVersion; write apiVersion: {expected}"
        )),
        (_, Some(version)) if !versions.contains(&version) => Some(format!(
            "its apiVersion is {version}; write apiVersion: {expected}"
        )),
        _ => None,
    }
}

fn words(kind: Option<&str>, name: Option<&str>, of: Option<&str>) -> String {
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    match (kind, of) {
        (None, None) => "a document without a kind".to_owned(),
        (None, Some(of)) => format!("a document{name} ({of})"),
        (Some("Component"), Some(of)) => format!("Component{name} ({of})"),
        (Some("List"), _) => {
            "List: its items were not read; write each as a document of its own".to_owned()
        }
        (Some(kind), _) => format!("{kind}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(&str, usize)> {
        let parts = parts(text).into_iter();
        parts.map(|part| (part.text, part.line)).collect()
    }

    #[test]
    fn a_file_is_split_as_daprd_splits_it() {
        for (file, parts) in [
            ("a\n---\nb\n", &[("a", 1), ("b\n", 3)][..]),
            ("---\na\n--- # next\nb", &[("---\na", 1), ("b", 4)]),
            ("a\r\n---\r\nb", &[("a\r", 1), ("b", 3)]),
            ("a\n---", &[("a", 1)]),
            ("a\n---  ", &[]),
            ("a: |\n---\n x", &[("a: |", 1), (" x", 3)]),
            ("", &[]),
        ] {
            assert_eq!(texts(file), parts, "{file:?}");
        }
    }

    const COMPONENT: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: c}\nspec: {type: pubsub.kafka}\n";

    #[test]
    fn what_daprd_skips_is_skipped_and_says_why() {
        for (old, new, says) in [
            ("apiVersion: dapr.io/v1alpha1\n", "", "has no apiVersion"),
            ("v1alpha1", "v1", "apiVersion is dapr.io/v1; write"),
            (
                "kind: Component",
                "kind: component",
                "its kind is component",
            ),
            ("kind: Component\n", "", "has no kind"),
        ] {
            let read = documents(&COMPONENT.replace(old, new));
            let [Document::Skipped { why, .. }] = &read[..] else {
                panic!("{old:?}: {read:?}");
            };
            assert!(why.contains(says), "{why}");
        }
        // The names of fields match in any case.
        let read = documents(&COMPONENT.replace("kind:", "Kind:").replace("spec", "SPEC"));
        assert!(matches!(&read[..], [Document::PubSub(_)]), "{read:?}");
    }

    #[test]
    fn documents_of_others_are_not_judged() {
        let text = "kind: Subscription\napiVersion: messaging.knative.dev/v1\nmetadata: {name: s}
---
kind: Component
metadata: {name: state}
spec: {type: state.redis}
---
kind: List
items: []
---
just text
";
        let words: Vec<_> = documents(text)
            .into_iter()
            .map(|document| match document {
                Document::Other(what) => what,
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            "Subscription s",
            "Component state (state.redis)",
            "List: its items were not read; write each as a document of its own",
            "a document without a kind",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn one_broken_document_hides_no_other_and_is_placed_in_the_file() {
        let text = format!("{COMPONENT}---\na: 1\nkind: [hunter2\n---\n{COMPONENT}");
        let read = documents(&text);
        let [
            Document::PubSub(_),
            Document::Broken { of: None, problem },
            Document::PubSub(_),
        ] = &read[..]
        else {
            panic!("{read:?}");
        };
        assert!(
            problem.contains("line 7") || problem.contains("line 8"),
            "{problem}"
        );
        assert!(!problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn what_is_too_long_for_daprd_is_named() {
        let long = format!("{COMPONENT}# {}\n", "x".repeat(LONGEST));
        let read = documents(&format!("{COMPONENT}---\n{long}"));
        let [Document::PubSub(_), Document::Broken { problem, .. }] = &read[..] else {
            panic!("{read:?}");
        };
        assert!(problem.contains("from line 6 on has 65 KiB"), "{problem}");
    }
}
