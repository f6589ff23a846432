use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use openssl::{
    pkey::PKey,
    ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion},
    x509::{X509, store::X509StoreBuilder},
};

use super::Ranges;
use crate::{Identity, Result};

/// Changes an answer: the request's key and version, and the answer from its correlation
/// id on. See [`super::edit`]. An empty one is not given: the connection is closed.
pub type Rewrite = Arc<dyn Fn(i16, i16, Bytes) -> Bytes + Send + Sync>;

/// How a lab differs from the Kafka behind it. By default it does not, but for the
/// address under which brokers are advertised: its own, so that all goes through it.
#[derive(Clone, Default)]
pub struct LabOptions {
    /// What it serves. It answers `ApiVersions` itself then, and closes the connection on
    /// everything else, as Redpanda does.
    pub ranges: Option<Ranges>,
    /// It speaks TLS.
    pub tls: Option<LabTls>,
    /// Where brokers are said to be.
    pub advertise: Advertise,
    /// What it does instead of a broker's work.
    pub behaviour: Behaviour,
    /// How long every answer takes beside the time that Kafka needs.
    pub delay: Duration,
    /// By how many milliseconds the broker's clock is ahead, as `DescribeQuorum` tells.
    pub clock: i64,
    /// Changes answers; the last of the changes.
    pub rewrite: Option<Rewrite>,
}

impl LabOptions {
    /// The shape of Redpanda.
    pub fn redpanda() -> Result<Self> {
        Ok(Self {
            ranges: Some(Ranges::redpanda()?),
            ..Self::default()
        })
    }

    /// The same with TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: LabTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same, doing this.
    #[must_use]
    pub fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// The same, with brokers advertised so.
    #[must_use]
    pub fn advertising(mut self, advertise: Advertise) -> Self {
        self.advertise = advertise;
        self
    }
}

impl fmt::Debug for LabOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabOptions")
            .field("ranges", &self.ranges)
            .field("advertise", &self.advertise)
            .field("behaviour", &self.behaviour)
            .finish_non_exhaustive()
    }
}

/// Where brokers are said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Advertise {
    /// All at the lab's own address: for a Kafka of one broker.
    #[default]
    Itself,
    /// All at the lab's own port, with this name.
    Host(String),
    /// All here.
    At(String, u16),
    /// Each at the address that stands for its own here (`host:port`); others stay.
    Each(BTreeMap<String, String>),
    /// Where they say themselves.
    Untouched,
}

/// What a lab does with connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// A broker's work.
    #[default]
    Broker,
    /// It closes them at once.
    Hangup,
    /// It closes them at the first request.
    CloseAtFirst,
    /// It answers `ApiVersions`, and closes them at what comes next.
    CloseAfterVersions,
    /// It answers with bytes that no broker writes.
    Garbage,
    /// It answers as a web server does.
    Http,
    /// It takes them, and never answers.
    Silent,
}

/// How a lab speaks TLS.
#[derive(Clone, Debug)]
pub struct LabTls {
    /// Its certificate, with those of authorities in between if there are any, and its key.
    pub identity: Identity,
    /// Whose clients' certificates are accepted, as PEM.
    pub clients: Option<String>,
    /// Whether a client must have one of those.
    pub required: bool,
    /// The newest version of TLS that it speaks, if it is an old one.
    pub newest: Option<SslVersion>,
}

impl LabTls {
    /// TLS with this certificate, and none of clients.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            clients: None,
            required: false,
            newest: None,
        }
    }

    /// The same; clients must have a certificate of this authority (PEM).
    #[must_use]
    pub fn requiring(mut self, clients: &str) -> Self {
        self.clients = Some(clients.to_owned());
        self.required = true;
        self
    }

    pub(super) fn acceptor(&self) -> Result<SslAcceptor> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        let mut chain = X509::stack_from_pem(self.identity.certificate.as_bytes())?.into_iter();
        acceptor.set_certificate(&*chain.next().ok_or("no certificate")?)?;
        for between in chain {
            acceptor.add_extra_chain_cert(between)?;
        }
        let key = PKey::private_key_from_pem(self.identity.key.as_bytes())?;
        acceptor.set_private_key(&key)?;
        if let Some(newest) = self.newest {
            acceptor.set_min_proto_version(None)?;
            acceptor.set_max_proto_version(Some(newest))?;
            acceptor.set_cipher_list("ALL:@SECLEVEL=0")?;
        }
        if let Some(clients) = &self.clients {
            let mut store = X509StoreBuilder::new()?;
            for authority in X509::stack_from_pem(clients.as_bytes())? {
                acceptor.add_client_ca(&authority)?;
                store.add_cert(authority)?;
            }
            acceptor.set_verify_cert_store(store.build())?;
            let must = SslVerifyMode::FAIL_IF_NO_PEER_CERT;
            let must = if self.required {
                must
            } else {
                SslVerifyMode::empty()
            };
            acceptor.set_verify(SslVerifyMode::PEER | must);
        }
        // Kafka makes one too: without it OpenSSL refuses clients that come again.
        acceptor.set_session_id_context(b"lab")?;
        Ok(acceptor.build())
    }
}
