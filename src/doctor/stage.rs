use serde::Serialize;

/// What a check is about. The order is that of the checks: what comes later can't work as
/// long as what comes before does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The component's metadata.
    Settings,
    /// Names become addresses.
    Names,
    /// Addresses take connections.
    Tcp,
    /// What the port speaks.
    Port,
    /// TLS and certificates.
    Tls,
    /// Which versions of which requests a broker serves.
    Versions,
    /// The login.
    Sasl,
    /// The brokers as they are advertised.
    Cluster,
    /// Topics.
    Topics,
    /// What this client may do.
    Permissions,
    /// The consumer group.
    Group,
    /// Sizes and times that brokers bound.
    Limits,
    /// Whether the clocks agree.
    Clock,
    /// A record to a topic and back.
    RoundTrip,
    /// daprd, and the way to it.
    Dapr,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 15] = [
        Self::Settings,
        Self::Names,
        Self::Tcp,
        Self::Port,
        Self::Tls,
        Self::Versions,
        Self::Sasl,
        Self::Cluster,
        Self::Topics,
        Self::Permissions,
        Self::Group,
        Self::Limits,
        Self::Clock,
        Self::RoundTrip,
        Self::Dapr,
    ];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Names => "names",
            Self::Tcp => "TCP",
            Self::Port => "port",
            Self::Tls => "TLS",
            Self::Versions => "versions",
            Self::Sasl => "login",
            Self::Cluster => "cluster",
            Self::Topics => "topics",
            Self::Permissions => "permissions",
            Self::Group => "group",
            Self::Limits => "limits",
            Self::Clock => "clock",
            Self::RoundTrip => "round trip",
            Self::Dapr => "Dapr",
        }
    }
}
