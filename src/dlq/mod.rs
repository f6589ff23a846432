//! The commands for dead letters: look at them, send them back, delete them.

mod connection;
mod finished;
mod flight;
mod format;
mod letter;
mod list;
mod purge;
mod redrive;
mod redriven;
mod resolve;
mod selection;
mod settled;
mod show;
mod store;
mod tally;
mod targets;
mod topics;
mod transfer;
mod wait;

use std::{io, sync::Arc, time::Duration};

pub use connection::{Connection, connect};
pub use flight::MAY_REPEAT;
pub use list::{List, list};
pub use purge::{Purge, purge};
pub use redrive::{Ended, Redrive, redrive};
pub use redriven::{Left, Rules};
pub use resolve::{Resolve, resolve};
pub use selection::{Key, Offsets, Selection, time};
pub use show::{Show, show};
pub use transfer::{export, import};

use crate::{
    connect::{Output, Unknown},
    kafka::{Browser, Cause},
};

/// How long the brokers may take to answer at all.
const REACH: Duration = Duration::from_secs(10);

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It was asked for in a way that can't be.
    #[error("{0}")]
    Usage(String),
    /// The connection's settings are not to be had, or no broker answers.
    #[error("{0}")]
    Connect(String),
    /// Kafka refused something.
    #[error("{what}: {cause}")]
    Kafka {
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: Cause,
    },
    /// It was done in part. Names what was not, why, what to do about it, and what is done
    /// again.
    #[error("{0}")]
    Partly(String),
    /// The result could not be written.
    #[error("writing the result: {0}")]
    Output(#[from] io::Error),
}

impl From<Unknown> for Failed {
    fn from(Unknown(text): Unknown) -> Self {
        Self::Connect(text)
    }
}

impl Failed {
    fn kafka(what: impl Into<String>) -> impl FnOnce(Cause) -> Self {
        let what = what.into();
        move |cause| Self::Kafka { what, cause }
    }
}

/// A browser that sees a group's offsets, once a broker answers.
async fn browser(connection: &Connection, group: &str) -> Result<Browser, Failed> {
    let name: Arc<str> = connection.name.clone();
    let browser = Browser::new(&connection.settings, group, name)
        .map_err(Failed::kafka("making a Kafka client"))?;
    let reached = browser.reach(REACH).await;
    reached.map_err(|unreachable| Failed::Connect(unreachable.to_string()))?;
    Ok(browser)
}

#[cfg(test)]
mod tests;
