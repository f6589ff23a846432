//! A component's settings, and its login.

use std::{sync::Arc, time::Duration};

use super::Failed;
use crate::{
    connect::{Connect, Given, Uses, find},
    kafka::Session,
    metadata::{self, Settings},
};

/// How long fetching a token for the login may take: as long as an endpoint may.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What is needed to connect.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The component's name, for messages.
    pub name: Arc<str>,
    /// Its settings.
    pub settings: Settings,
    /// What subscribes with it, as far as that is known.
    pub uses: Uses,
    /// Keeps the login's token fresh.
    _session: Session,
}

/// Finds and resolves a component's metadata, and logs in.
///
/// # Errors
/// When there is none, more than one, or it can't be used.
pub async fn connect(connect: &Connect) -> Result<Connection, Failed> {
    let Given {
        name,
        properties,
        uses,
        ..
    } = find(connect, "dlq").await?;
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
        uses,
        _session: session,
    })
}
