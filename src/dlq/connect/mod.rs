//! Where the connection's settings come from.

mod component;
mod instance;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use super::Failed;
use crate::{
    kafka::Session,
    metadata::{self, Settings},
};

/// How long fetching a token for the login may take: as long as an endpoint may.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

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

/// What is needed to connect.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The component's name, for messages.
    pub name: Arc<str>,
    /// Its settings.
    pub settings: Settings,
    /// Keeps the login's token fresh.
    _session: Session,
}

/// Finds and resolves a component's metadata.
///
/// # Errors
/// When there is none, more than one, or it can't be used.
pub async fn connect(connect: &Connect) -> Result<Connection, Failed> {
    let (name, mut properties) = match &connect.source {
        Source::Component { file, name } => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failed::Connect(format!("reading {}: {error}", file.display())))?;
            let set: Vec<_> = connect.set.iter().map(|(key, _)| key.as_str()).collect();
            component::properties(&text, name.as_deref(), &set)
                .map_err(|problem| Failed::Connect(format!("{}: {problem}", file.display())))?
        }
        Source::Instance {
            name,
            process,
            folder,
        } => {
            let properties = instance::properties(folder, name, *process).await?;
            (name.clone(), properties)
        }
        Source::Flags => {
            let none = ("authType".to_owned(), "none".to_owned());
            ("dlq".to_owned(), HashMap::from([none]))
        }
    };
    for (key, value) in &connect.set {
        properties.retain(|there, _| !there.eq_ignore_ascii_case(key));
        properties.insert(key.clone(), value.clone());
    }
    let resolved = metadata::resolve(&properties)
        .map_err(|problems| Failed::Connect(format!("{name}: {problems}")))?;
    for note in resolved.notes {
        tracing::info!("{name}: {note}");
    }
    let (name, settings) = (Arc::<str>::from(name), resolved.settings);
    let failed = |cause| Failed::Connect(format!("{name}: login: {cause}"));
    let session = Session::open(&settings, &name).map_err(failed)?;
    session.ready(LOGIN_TIMEOUT).await.map_err(failed)?;
    Ok(Connection {
        name: name.clone(),
        settings,
        _session: session,
    })
}
