//! The table of metadata keys.
//!
//! Names, meanings and defaults of the built-in component's keys come from
//! dapr/components-contrib v1.16.5, `common/component/kafka/metadata.go`; where
//! that code and `pubsub/kafka/metadata.yaml` differ, the code counts.

mod builtin;
mod connection;
mod dead_letter;
mod headers;
mod login;
mod publish;
mod retry;
mod scopes;
mod subscribe;
mod tls;

use super::{Settings, security::Access};

/// One metadata key.
#[derive(Debug)]
pub struct Key {
    /// The name; matched without regard to case.
    pub name: &'static str,
    /// The default, as one would write it.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
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
    /// Known from the built-in component, and refused as long as it would have
    /// no effect here.
    NotYet,
}

const fn honoured(
    name: &'static str,
    default: Option<&'static str>,
    set: fn(&str, &mut Settings) -> Result<(), String>,
    doc: &'static str,
) -> Key {
    Key {
        name,
        default,
        secret: false,
        doc,
        support: Support::Honoured(set),
    }
}

const fn access(
    name: &'static str,
    default: Option<&'static str>,
    set: fn(&str, &mut Access) -> Result<(), String>,
    doc: &'static str,
) -> Key {
    Key {
        name,
        default,
        secret: false,
        doc,
        support: Support::Access(set),
    }
}

/// A key whose value must never be shown.
const fn hidden(mut key: Key) -> Key {
    key.secret = true;
    key
}

const fn plain(name: &'static str, support: Support, doc: &'static str) -> Key {
    Key {
        name,
        default: None,
        secret: false,
        doc,
        support,
    }
}

const fn not_yet(name: &'static str) -> Key {
    plain(name, Support::NotYet, "A key of the built-in component.")
}

const fn secret(name: &'static str) -> Key {
    hidden(not_yet(name))
}

/// Every known key.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [
        connection::KEYS,
        tls::KEYS,
        login::KEYS,
        publish::KEYS,
        headers::KEYS,
        subscribe::KEYS,
        retry::KEYS,
        dead_letter::KEYS,
        scopes::KEYS,
        builtin::KEYS,
    ]
    .into_iter()
    .flatten()
}
