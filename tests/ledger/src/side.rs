use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Who is between daprd and Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// This component.
    Component,
    /// daprd's own `pubsub.kafka`.
    BuiltIn,
}

impl Side {
    /// Both.
    pub const BOTH: &[Self] = &[Self::Component, Self::BuiltIn];

    /// The type that a Component file names.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Component => "pubsub.rdkafka",
            Self::BuiltIn => "pubsub.kafka",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Component => "component",
            Self::BuiltIn => "built-in",
        })
    }
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sides = Self::BOTH.iter().copied();
        let found = sides.find(|side| side.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is neither component nor built-in"))
    }
}
