//! Where a command's settings come from: a file, a running process, or flags.

mod component;
mod instance;

use std::{collections::HashMap, path::PathBuf};

/// There is no metadata to be had, or more than one that could be meant; with what
/// was found instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// Where to look for a component's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file with Component YAML; the name picks one of several.
    Component {
        /// The file.
        file: PathBuf,
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
}

/// Finds a component's metadata. Without a name, as with flags alone, it is called
/// `nameless`.
///
/// # Errors
/// When there is none, or more than one that could be meant.
pub async fn find(connect: &Connect, nameless: &str) -> Result<Given, Unknown> {
    let (name, kind, mut properties) = match &connect.source {
        Source::Component { file, name } => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Unknown(format!("reading {}: {error}", file.display())))?;
            let set: Vec<_> = connect.set.iter().map(|(key, _)| key.as_str()).collect();
            let (name, kind, properties) = component::properties(&text, name.as_deref(), &set)
                .map_err(|problem| Unknown(format!("{}: {problem}", file.display())))?;
            (name, Some(kind), properties)
        }
        Source::Instance {
            name,
            process,
            folder,
        } => {
            let properties = instance::properties(folder, name, *process).await?;
            (name.clone(), None, properties)
        }
        Source::Flags => {
            let none = ("authType".to_owned(), "none".to_owned());
            (nameless.to_owned(), None, HashMap::from([none]))
        }
    };
    for (key, value) in &connect.set {
        properties.retain(|there, _| !there.eq_ignore_ascii_case(key));
        properties.insert(key.clone(), value.clone());
    }
    Ok(Given {
        name,
        kind,
        properties,
    })
}
