//! The table of metadata keys.
//!
//! Names, meanings and defaults of the built-in component's keys come from
//! dapr/components-contrib v1.16.5, `common/component/kafka/metadata.go`; where
//! that code and `pubsub/kafka/metadata.yaml` differ, the code counts.

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
    /// The default, as one would write it.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Which `authType`s read it; empty for a key that has nothing to do with them.
    pub auth_types: &'static [AuthType],
    /// What it means: unit, bounds, and why the default is what it is.
    pub doc: &'static str,
    /// What is done with it.
    pub support: Support,
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
            default,
            secret: false,
            auth_types: &[],
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

    const fn only_for(mut self, auth_types: &'static [AuthType]) -> Self {
        self.auth_types = auth_types;
        self
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

/// Every known key.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [
        connection::KEYS,
        tls::KEYS,
        login::KEYS,
        aws::KEYS,
        publish::KEYS,
        headers::KEYS,
        subscribe::KEYS,
        retry::KEYS,
        dead_letter::KEYS,
        scopes::KEYS,
        schema::KEYS,
    ]
    .into_iter()
    .flatten()
}
