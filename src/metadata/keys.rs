//! The table of metadata keys.
//!
//! Names, meanings and defaults of the built-in component's keys come from
//! dapr/components-contrib v1.16.5, `common/component/kafka/metadata.go`, and those
//! since 1.18 from v1.18.4; where that code and `pubsub/kafka/metadata.yaml` differ,
//! the code counts. Those since 1.19 come from the pull requests that the release notes
//! of Dapr 1.19.0 name (components-contrib#4508, and docs#5276), because the sources of
//! components-contrib v1.19 were not at hand.

/// A row of text that the login is made of, and which `authType`s read it.
macro_rules! text {
    ($name:literal, $field:ident, $auth_types:expr, $doc:literal) => {
        access(
            $name,
            None,
            |text, access| {
                access.$field = Some(text.to_owned());
                Ok(())
            },
            $doc,
        )
        .only_for($auth_types)
    };
}

/// The same, of a value that nobody may see.
macro_rules! secret {
    ($name:literal, $field:ident, $auth_types:expr, $doc:literal) => {
        access(
            $name,
            None,
            |text, access| {
                access.$field = Some(Secret::new(text.to_owned()));
                Ok(())
            },
            $doc,
        )
        .only_for($auth_types)
        .hidden()
    };
}

mod aws;
mod connection;
mod dead_letter;
mod headers;
mod login;
mod publish;
mod retry;
mod schema;
mod scopes;
mod subscribe;
mod tls;
mod transactions;

use super::{
    Settings,
    security::{Access, AuthType},
};

/// One metadata key.
#[derive(Debug)]
pub struct Key {
    /// The name; matched without regard to case.
    pub name: &'static str,
    /// Other names of it. Where the built-in has two names, the newer wins, and stands here.
    pub aliases: &'static [&'static str],
    /// Whether its names must not be given different values. Where they may, an alias wins,
    /// as in the built-in component.
    pub names_agree: bool,
    /// The default, as one would write it.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Which `authType`s read it; empty for a key that has nothing to do with them.
    pub auth_types: &'static [AuthType],
    /// How its value is written.
    pub kind: Kind,
    /// Whether every component needs it.
    pub required: bool,
    /// "1.16" if the built-in component of v1.16.5 has it, "1.18" if that of v1.18.4 has it
    /// and that of v1.16.5 has not, "1.19" if it came with v1.19.0; meaningless for ours.
    pub since: &'static str,
    /// How what it does here compares with the built-in component.
    pub compare: Compare,
    /// What differs from the built-in component while the key is not given.
    pub unset: Option<&'static str>,
    /// A value as one would write it, where the default is none or says little.
    pub example: Option<&'static str>,
    /// What it means: unit, bounds, and why the default is what it is.
    pub doc: &'static str,
    /// What is done with it.
    pub support: Support,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words, in any case.
    Words(&'static [&'static str]),
    /// true or false; y, yes, t, on, 1 and their opposites are taken too.
    Flag,
    /// A number.
    Number,
    /// A number of bytes.
    Bytes,
    /// A duration; a number alone is in seconds.
    Seconds,
    /// A duration; a number alone is in milliseconds.
    Millis,
    /// A duration, always with its unit.
    Duration,
}

/// How what a key does here compares with the built-in component. What is refused or has
/// no effect says so by its [`Support`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The same.
    Same,
    /// The same and more.
    Wider(&'static str),
    /// Not quite the same.
    Differs(&'static str),
    /// The built-in component has no such key.
    Ours,
}

/// What is done with a key.
#[derive(Debug)]
pub enum Support {
    /// It sets something; the function says what was expected if it can't.
    Honoured(fn(&str, &mut Settings) -> Result<(), String>),
    /// The same, of TLS and login, whose keys mean something only together.
    Access(fn(&str, &mut Access) -> Result<(), String>),
    /// It is accepted and changes nothing, for the reason in the key's doc.
    Inert,
    /// daprd itself acts on it and hands it on.
    Daprd,
    /// Known from the built-in component and refused: why, and what to use instead.
    Refused(&'static str),
}

impl Key {
    const fn new(
        name: &'static str,
        default: Option<&'static str>,
        doc: &'static str,
        support: Support,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            names_agree: false,
            default,
            secret: false,
            auth_types: &[],
            kind: Kind::Text,
            required: false,
            since: "1.16",
            compare: Compare::Same,
            unset: None,
            example: None,
            doc,
            support,
        }
    }

    /// A key whose value must never be shown.
    const fn hidden(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// A key whose names must not be given different values.
    const fn names_agree(mut self) -> Self {
        self.names_agree = true;
        self
    }

    const fn only_for(mut self, auth_types: &'static [AuthType]) -> Self {
        self.auth_types = auth_types;
        self
    }

    const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    const fn words(self, words: &'static [&'static str]) -> Self {
        self.kind(Kind::Words(words))
    }

    const fn flag(self) -> Self {
        self.kind(Kind::Flag)
    }

    const fn number(self) -> Self {
        self.kind(Kind::Number)
    }

    const fn bytes(self) -> Self {
        self.kind(Kind::Bytes)
    }

    const fn seconds(self) -> Self {
        self.kind(Kind::Seconds)
    }

    const fn millis(self) -> Self {
        self.kind(Kind::Millis)
    }

    const fn duration(self) -> Self {
        self.kind(Kind::Duration)
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn since(mut self, version: &'static str) -> Self {
        self.since = version;
        self
    }

    const fn compare(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    const fn unset(mut self, difference: &'static str) -> Self {
        self.unset = Some(difference);
        self
    }

    const fn example(mut self, value: &'static str) -> Self {
        self.example = Some(value);
        self
    }

    /// How what it does here compares with the built-in component, in words.
    pub fn comparison(&self) -> String {
        match (&self.support, self.compare) {
            (Support::Refused(reason), _) => format!("refused because {reason}"),
            (_, Compare::Ours) => "ours".into(),
            (Support::Inert, _) => "no effect".into(),
            (_, Compare::Same) => "same".into(),
            (_, Compare::Wider(how)) => format!("wider: {how}"),
            (_, Compare::Differs(how)) => format!("differs: {how}"),
        }
    }

    /// The name and the other names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let others = self.aliases.iter().copied();
        std::iter::once(self.name).chain(others)
    }
}

const fn honoured(
    name: &'static str,
    default: Option<&'static str>,
    set: fn(&str, &mut Settings) -> Result<(), String>,
    doc: &'static str,
) -> Key {
    Key::new(name, default, doc, Support::Honoured(set))
}

const fn access(
    name: &'static str,
    default: Option<&'static str>,
    set: fn(&str, &mut Access) -> Result<(), String>,
    doc: &'static str,
) -> Key {
    Key::new(name, default, doc, Support::Access(set))
}

const fn plain(name: &'static str, support: Support, doc: &'static str) -> Key {
    Key::new(name, None, doc, support)
}

const fn inert(name: &'static str, doc: &'static str) -> Key {
    plain(name, Support::Inert, doc)
}

const fn refused(name: &'static str, reason: &'static str, doc: &'static str) -> Key {
    plain(name, Support::Refused(reason), doc)
}

/// The table by groups, each with its title.
pub const GROUPS: [(&str, &[Key]); 12] = [
    ("Brokers and connections", connection::KEYS),
    ("TLS", tls::KEYS),
    ("Login", login::KEYS),
    ("Login at AWS", aws::KEYS),
    ("Publishing", publish::KEYS),
    ("Transactions", transactions::KEYS),
    ("Headers", headers::KEYS),
    ("Subscribing", subscribe::KEYS),
    ("Retries", retry::KEYS),
    ("Dead letters", dead_letter::KEYS),
    ("Topic scopes", scopes::KEYS),
    ("Schema registry", schema::KEYS),
];

/// Every known key.
pub fn all() -> impl Iterator<Item = &'static Key> {
    GROUPS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The key of a name in any case, and that name as the table has it.
pub fn find(written: &str) -> Option<(&'static Key, &'static str)> {
    all().find_map(|key| {
        let name = key.names().find(|name| name.eq_ignore_ascii_case(written));
        name.map(|name| (key, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::resolve;

    /// A value that a row's kind promises to be readable.
    fn examples(key: &Key) -> Vec<&'static str> {
        let given = key.default.into_iter().chain(key.example);
        match key.kind {
            Kind::Words(words) => given.chain(words.iter().copied()).collect(),
            Kind::Flag => given.chain(["true", "false"]).collect(),
            _ => given.collect(),
        }
    }

    #[test]
    fn what_the_table_promises_can_be_read() {
        for key in all() {
            assert!(!examples(key).is_empty(), "{} has no example", key.name);
            for value in examples(key) {
                let read = match key.support {
                    Support::Honoured(set) => set(value, &mut Settings::blank()),
                    Support::Access(set) => set(value, &mut Access::default()),
                    _ => Ok(()),
                };
                assert_eq!(read, Ok(()), "{}: {value}", key.name);
            }
        }
    }

    #[test]
    fn kinds_say_what_a_number_alone_and_a_wrong_word_mean() {
        for key in all() {
            let Support::Honoured(set) = key.support else {
                continue;
            };
            let number = set("5", &mut Settings::blank());
            match key.kind {
                Kind::Duration => assert!(number.is_err(), "{}", key.name),
                Kind::Seconds | Kind::Millis => {
                    let unit = if key.kind == Kind::Seconds { "s" } else { "ms" };
                    let [mut alone, mut with] = [Settings::blank(), Settings::blank()];
                    let results = (
                        set("1000", &mut alone),
                        set(&format!("1000{unit}"), &mut with),
                    );
                    assert_eq!(
                        (results.0.is_ok(), &alone),
                        (results.1.is_ok(), &with),
                        "{}",
                        key.name
                    );
                }
                Kind::Words(_) | Kind::Flag | Kind::Number | Kind::Bytes => {
                    assert!(
                        set("no such word", &mut Settings::blank()).is_err(),
                        "{}",
                        key.name
                    );
                }
                Kind::Text => {}
            }
        }
    }

    #[test]
    fn names_are_unique_and_what_every_component_needs_is_required() {
        let mut names: Vec<_> = all().flat_map(Key::names).map(str::to_lowercase).collect();
        names.sort_unstable();
        let all_names = names.len();
        names.dedup();
        assert_eq!(names.len(), all_names);
        let missing = resolve(&std::collections::HashMap::new()).expect_err("nothing is given");
        let required = all().filter(|key| key.required).map(|key| key.name);
        let missing: Vec<_> = missing
            .0
            .iter()
            .map(|problem| problem.key.clone())
            .collect();
        assert_eq!(missing, required.collect::<Vec<_>>());
    }
}
