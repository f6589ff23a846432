//! Brokers as a component reaches them, and as the test's own clients do.

use std::collections::HashMap;

use harness::{Result, write_component};

use super::Place;

/// Where brokers are.
#[derive(Clone, Debug)]
pub struct Brokers {
    /// Where the test's own clients reach them, in plaintext.
    pub own: String,
    /// How the component does: what its metadata says of them.
    pub metadata: Vec<(&'static str, String)>,
}

impl Brokers {
    /// In plaintext for both.
    pub fn plain(address: &str) -> Self {
        Self::by(address, address, &[("authType", "none")])
    }

    /// For the component there, by these settings.
    pub fn by(own: &str, address: &str, settings: &[(&'static str, &str)]) -> Self {
        let given = [("brokers", address)];
        let pairs = given.iter().chain(settings);
        Self {
            own: own.to_owned(),
            metadata: pairs
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect(),
        }
    }

    /// All of a Component's metadata.
    pub fn with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = self.metadata.iter();
        let own = own.map(|(key, value)| (*key, value.as_str()));
        let oldest = [("initialOffset", "oldest")];
        own.chain(oldest).chain(more.iter().copied()).collect()
    }

    /// A place with the Component `todo-pubsub`.
    pub fn place(&self, kind: &str, more: &[(&str, &str)]) -> Result<Place> {
        let place = Place::new()?;
        let metadata = self.with(more);
        write_component(&place.resources(), "todo-pubsub", kind, &metadata)?;
        Ok(place)
    }

    /// What daprd hands on of such a Component at Init.
    pub fn properties(&self, group: &str) -> HashMap<String, String> {
        let pairs = self.with(&[("consumerID", group)]);
        let pairs = pairs.into_iter();
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}
