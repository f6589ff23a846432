//! What the process tells about itself over HTTP: metrics and health on a TCP
//! port, and on a Unix socket for its own user the instances with their
//! connection settings as well.

mod folder;
mod routes;
mod server;

use std::{fmt, net::SocketAddr, str::FromStr};

pub use folder::{AdminFolder, FolderError};
pub use server::Admin;

use crate::{
    dapr::Instances,
    heal::Healing,
    telemetry::{metrics::Metrics, readiness::Readiness},
};

/// What is told. Cheap to clone.
#[derive(Clone)]
pub struct Told {
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the process can do its work.
    pub readiness: Readiness,
    /// The component instances.
    pub instances: Instances,
    /// What comes of `--heal-daprd`, if it was asked for.
    pub healing: Option<Healing>,
}

/// `--admin-listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On a TCP port; port 0 takes a free one.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            "expected an IP address with a port, such as 127.0.0.1:9405 or [::]:9405, or off".into()
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_is_shown_as_it_was_given(text in ".{0,30}", address in any::<SocketAddr>()) {
            if let Ok(listen) = text.parse::<Listen>() {
                prop_assert_eq!(listen.to_string().parse(), Ok(listen));
            }
            // An IPv6 address has a flow label, which its text does not show.
            let address = SocketAddr::new(address.ip(), address.port());
            let listen = Listen::At(address);
            prop_assert_eq!(listen.to_string().parse(), Ok(listen));
        }
    }
}
