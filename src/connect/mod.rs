//! Where a command's settings come from: a file, a running process, or flags.

mod component;
mod files;
mod instance;
mod uses;

use std::{collections::HashMap, path::PathBuf};

pub use uses::Uses;

use crate::resources::Component;

/// There is no metadata to be had, or more than one that could be meant; with what
/// was found instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// Where to look for a component's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files with Component YAML; the name picks one of several.
    Component {
        /// The files, or folders with them; `-` is the standard input.
        files: Vec<PathBuf>,
        /// The Component's name.
        name: Option<String>,
    },
    /// An instance of a running `dapr-rdkafka run`.
    Instance {
        /// Its name.
        name: String,
        /// The process id of its daprd, when several have one of that name.
        process: Option<i32>,
        /// The folder of the sockets for daprd.
        folder: PathBuf,
    },
    /// The command line alone.
    Flags,
}

/// Where a component's metadata comes from, and what is set on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Where from.
    pub source: Source,
    /// Keys and values that take the place of what is there.
    pub set: Vec<(String, String)>,
}

/// How results are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// JSON for scripts, one value per line.
    Json,
}

/// A component's metadata, as it was given.
#[derive(Clone)]
pub struct Given {
    /// The component's name; for messages.
    pub name: String,
    /// Its type, such as `pubsub.rdkafka`, where that is written.
    pub kind: Option<String>,
    /// Keys and values, secrets included.
    pub properties: HashMap<String, String>,
    /// The keys whose values only daprd can look up.
    pub elsewhere: Vec<String>,
    /// Keys that are written more than once.
    pub twice: Vec<String>,
    /// What it is used for, as far as that is known.
    pub uses: Uses,
}

impl Given {
    fn of(component: Component, uses: Uses) -> Self {
        let elsewhere = component.elsewhere.into_iter().map(|(key, _)| key);
        Self {
            name: component.name,
            kind: Some(component.of),
            properties: component.properties,
            elsewhere: elsewhere.collect(),
            twice: component.twice,
            uses,
        }
    }

    fn known(name: String, kind: Option<String>, properties: HashMap<String, String>) -> Self {
        Self {
            name,
            kind,
            properties,
            elsewhere: Vec::new(),
            twice: Vec::new(),
            uses: Uses::default(),
        }
    }

    /// Writes keys over what is there.
    fn set(&mut self, pairs: &[(String, String)]) {
        for (key, value) in pairs {
            let is_other = |there: &String| !there.eq_ignore_ascii_case(key);
            self.properties.retain(|there, _| is_other(there));
            for keys in [&mut self.elsewhere, &mut self.twice] {
                keys.retain(is_other);
            }
            self.properties.insert(key.clone(), value.clone());
        }
    }
}

/// Finds a component's metadata. Without a name, as with flags alone, it is called
/// `nameless`.
///
/// # Errors
/// When there is none, more than one that could be meant, or a value that nobody has here.
pub async fn find(connect: &Connect, nameless: &str) -> Result<Given, Unknown> {
    let given = look(connect, nameless).await?;
    let complete = component::complete(&given);
    complete.map_err(|problem| Unknown(files::at(connect, &problem)))?;
    Ok(given)
}

/// The same, also when values are not to be had: it says which.
///
/// # Errors
/// When there is none, or more than one that could be meant.
pub async fn look(connect: &Connect, nameless: &str) -> Result<Given, Unknown> {
    let mut given = match &connect.source {
        Source::Component { files, name } => {
            let documents = files::read(files)?;
            let (mut component, subscriptions) = component::pick(documents, name.as_deref())
                .map_err(|problem| Unknown(files::at(connect, &problem)))?;
            component.look_up(|name| std::env::var(name).ok());
            let uses = Uses::of(subscriptions, &component.name);
            Given::of(component, uses)
        }
        Source::Instance {
            name,
            process,
            folder,
        } => instance::look(folder, name, *process).await?,
        Source::Flags => {
            let none = ("authType".to_owned(), "none".to_owned());
            Given::known(nameless.to_owned(), None, HashMap::from([none]))
        }
    };
    given.set(&connect.set);
    Ok(given)
}
