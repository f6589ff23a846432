//! A YAML document as daprd reads it: turned into JSON, whose fields match in any case.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use saphyr::{Mapping, Yaml, YamlLoader};
use saphyr_parser::{Parser, ScalarStyle, Tag};

use super::plain::{self, Plain};

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why a text is no YAML document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Where, counted from 1; `None` if no place is known.
    pub(super) at: Option<(usize, usize)>,
}

/// Reads the first document of a text, as daprd reads a part of a file; what follows in it is
/// ignored.
pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut loader = YamlLoader::<Yaml>::default();
    loader.early_parse(false);
    loader.allow_duplicate_keys(true);
    let mut parser = Parser::new_from_str(text);
    let read = parser.load(&mut loader, false);
    if let Some(error) = read.err().or_else(|| loader.error().cloned()) {
        let marker = error.marker();
        let at = Some((marker.line(), marker.col() + 1));
        return Err(Unreadable { at });
    }
    let Some(mut document) = loader.into_documents().into_iter().next() else {
        return Ok(Node::Null);
    };
    end_without_a_break(&mut document, text);
    node(&document).ok_or(Unreadable { at: None })
}

/// A block of text (`|` or `>`) that ends the document without a line break has none at its end
/// for daprd, and one for YAML 1.2. daprd's own splitting takes that break from the last block
/// before a `---`.
fn end_without_a_break(yaml: &mut Yaml<'_>, document: &str) {
    match yaml {
        Yaml::Representation(text, ScalarStyle::Literal | ScalarStyle::Folded, _) => {
            let content = text.trim_end_matches('\n');
            let last = document.lines().next_back().unwrap_or_default().trim();
            let ends_here = !document.ends_with(['\n', '\r']) && content.ends_with(last);
            if ends_here && !last.is_empty() {
                *text = content.to_owned().into();
            }
        }
        Yaml::Sequence(items) => {
            if let Some(last) = items.last_mut() {
                end_without_a_break(last, document);
            }
        }
        Yaml::Mapping(members) => {
            if let Some((_, last)) = members.iter_mut().next_back() {
                end_without_a_break(last, document);
            }
        }
        Yaml::Tagged(_, inner) => end_without_a_break(inner, document),
        Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue | Yaml::Representation(..) => {}
    }
}

/// `None` for what JSON has no value for.
fn node(yaml: &Yaml<'_>) -> Option<Node> {
    match yaml {
        Yaml::Representation(text, style, tag) => scalar(text, *style, tag.as_deref()),
        Yaml::Sequence(items) => Some(Node::List(items.iter().map(node).collect::<Option<_>>()?)),
        Yaml::Mapping(mapping) => {
            let mut map = Vec::new();
            fill(&mut map, mapping)?;
            Some(Node::Map(map))
        }
        Yaml::Tagged(_, inner) => node(inner),
        Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue => None,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Node> {
    let known = tag.map(|tag| tag.is_yaml_core_schema().then_some(tag.suffix.as_str()));
    match known {
        None if style == ScalarStyle::Plain => Some(plain(text)),
        None | Some(None | Some("str")) => Some(Node::Text(text.to_owned())),
        Some(Some("binary")) => {
            let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
            Some(Node::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Some(Some(wanted)) => {
            let node = plain(text);
            let found = match (&node, wanted) {
                (Node::Null, "null")
                | (Node::Bool(_), "bool")
                | (Node::Integer(_), "int")
                | (Node::Float(_), "float") => node,
                #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
                (Node::Integer(integer), "float") => Node::Float(*integer as f64),
                _ => return None,
            };
            Some(found)
        }
    }
}

fn plain(text: &str) -> Node {
    match plain::meaning(text) {
        Plain::Null => Node::Null,
        Plain::Bool(flag) => Node::Bool(flag),
        Plain::Integer(integer) => Node::Integer(integer),
        Plain::Float(float) => Node::Float(float),
        Plain::Text => Node::Text(text.to_owned()),
    }
}

/// Adds a mapping's members in their order: a later one replaces an earlier one, also where one
/// of both is merged in (`<<`).
fn fill(map: &mut Vec<(String, Node)>, mapping: &Mapping<'_>) -> Option<()> {
    for (key, value) in mapping {
        if is_merge(key) {
            match value {
                Yaml::Mapping(merged) => fill(map, merged)?,
                Yaml::Sequence(all) => {
                    // The earlier ones win.
                    for merged in all.iter().rev() {
                        let Yaml::Mapping(merged) = merged else {
                            return None;
                        };
                        fill(map, merged)?;
                    }
                }
                _ => return None,
            }
            continue;
        }
        let key = match node(key)? {
            Node::Text(text) => text,
            Node::Bool(flag) => flag.to_string(),
            Node::Integer(integer) => integer.to_string(),
            Node::Float(float) => plain::json(float)?,
            Node::Null | Node::List(_) | Node::Map(_) => return None,
        };
        let value = node(value)?;
        map.retain(|(there, _)| *there != key);
        map.push((key, value));
    }
    Some(())
}

fn is_merge(key: &Yaml<'_>) -> bool {
    matches!(key, Yaml::Representation(text, ScalarStyle::Plain, _) if text == "<<")
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// A member by its name in any case. Of several, the one counts that Go's JSON comes to last:
    /// members are sorted by their bytes.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(members) = self else {
            return None;
        };
        let found = members
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let last = found.max_by(|(a, _), (b, _)| a.cmp(b))?;
        Some(&last.1).filter(|value| !value.is_null())
    }

    /// The value of a field that takes text; `None` if daprd can't read it as such.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Null => Some(String::new()),
            Self::Text(text) => Some(text.clone()),
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Integer(integer) => Some(integer.to_string()),
            Self::Float(float) => plain::json(*float),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The value of a field that takes anything, as daprd hands it on: text as it is, all else as
    /// JSON (`DynamicValue` in `pkg/apis/common`). `None` for what JSON has no value for.
    pub(super) fn dynamic(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Float(float) => plain::json(*float),
            other => other.json().map(|json| json.to_string()),
        }
    }

    fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value;
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Text(text) => Value::String(text.clone()),
            Self::Integer(integer) => serde_json::from_str(&integer.to_string()).ok()?,
            Self::Float(float) => serde_json::from_str(&plain::json(*float)?).ok()?,
            Self::List(items) => Value::Array(items.iter().map(Self::json).collect::<Option<_>>()?),
            Self::Map(members) => {
                let members = members.iter();
                let members = members.map(|(key, value)| Some((key.clone(), value.json()?)));
                Value::Object(members.collect::<Option<_>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn quoted_words_are_text_and_others_are_what_they_mean() {
        let read =
            read("{a: yes, b: 'yes', c: \"1\", d: 1.0, e: !!str 5, f: !!binary aGk=, g: !x 7}");
        let members = [
            ("a", Node::Bool(true)),
            ("b", text("yes")),
            ("c", text("1")),
            ("d", Node::Float(1.0)),
            ("e", text("5")),
            ("f", text("hi")),
            ("g", text("7")),
        ];
        let members = members.map(|(key, value)| (key.to_owned(), value));
        assert_eq!(read, Ok(Node::Map(members.into())));
    }

    #[test]
    fn a_later_member_replaces_an_earlier_one() {
        let read =
            read("p: &p {a: 1, b: 2}\nq: {b: 3, <<: *p}\nr: {<<: [{a: 5}, *p], b: 4}\na: 1\na: 2");
        let read = read.expect("it is YAML");
        let number = |map: &str, key: &str| read.get(map).and_then(|map| map.get(key)).cloned();
        assert_eq!(number("q", "b"), Some(Node::Integer(2)));
        assert_eq!(number("r", "a"), Some(Node::Integer(5)));
        assert_eq!(number("r", "b"), Some(Node::Integer(4)));
        assert_eq!(read.get("a"), Some(&Node::Integer(2)));
    }

    #[test]
    fn a_block_ends_as_the_document_does() {
        for (yaml, value) in [
            ("a: |\n  x\n  y", "x\ny"),
            ("a: >\n  x\n  y", "x y"),
            ("a: |\n  x\n", "x\n"),
            ("a: |\n  x\n# x", "x\n"),
            ("a: |-\n  x", "x"),
        ] {
            let read = read(yaml).expect("it is YAML");
            assert_eq!(read.get("a"), Some(&text(value)), "{yaml:?}");
        }
    }

    #[test]
    fn names_match_in_any_case_and_the_last_in_order_counts() {
        let read = read("kind: a\nKind: b\nKIND: c").expect("it is YAML");
        assert_eq!(read.get("kind"), Some(&text("a")));
        assert_eq!(read.get("KINd"), Some(&text("a")));
        assert_eq!(read.get("kin"), None);
    }

    #[test]
    fn what_daprd_hands_on_is_text_or_json() {
        for (yaml, handed) in [
            ("1048576.0", "1048576"),
            ("on", "true"),
            ("0x10", "16"),
            ("1e3", "1000"),
            ("'0x10'", "0x10"),
            ("[a, 1.0, no]", r#"["a",1,false]"#),
            ("{b: {c: ~}, a: x}", r#"{"a":"x","b":{"c":null}}"#),
        ] {
            let read = read(&format!("v: {yaml}")).expect("it is YAML");
            let handed_on = read.get("v").and_then(Node::dynamic);
            assert_eq!(handed_on.as_deref(), Some(handed), "{yaml}");
        }
    }

    #[test]
    fn a_broken_document_is_placed_and_a_value_without_json_is_not() {
        assert_eq!(read("a: 1\nb: [").map_err(|it| it.at.is_some()), Err(true));
        assert_eq!(
            read("a: .nan").map(|node| node.get("a").and_then(Node::dynamic)),
            Ok(None)
        );
        assert_eq!(read("~: 1"), Err(Unreadable { at: None }));
        assert_eq!(read("# nothing"), Ok(Node::Null));
    }

    #[test]
    fn what_grows_without_bounds_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            use std::fmt::Write as _;
            let below = format!("*a{}", level - 1);
            let all = [below.as_str(); 10].join(", ");
            writeln!(bomb, "a{level}: &a{level} [{all}]").expect("a string grows");
        }
        assert!(read(&bomb).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in proptest::prelude::any::<String>()) {
            let _ = read(&text);
        }
    }
}
