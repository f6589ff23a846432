use harness::{
    Authority, Kafka, KafkaCluster, Lab, LabOptions, LabTls, PASSWORD, Result, RoughWay, USER,
    free_port,
};

use crate::idp::{Idp, TokenKafka};

/// Which brokers a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// One.
    One,
    /// Three, with copies of everything on each.
    Three,
    /// One, that the members reach by a way on which anything may happen.
    Rough,
    /// Three, each of which the members reach by a way of its own.
    ThreeWays,
    /// One, where the members log in, and what nobody was forbidden is allowed.
    Login,
    /// One behind TLS.
    Tls,
    /// One that takes tokens.
    Tokens,
}

/// A run's brokers.
pub enum Brokers {
    One(Box<Kafka>),
    Three(Box<KafkaCluster>),
    Rough(Box<Kafka>, RoughWay),
    ThreeWays(Box<KafkaCluster>, Vec<RoughWay>),
    Login(Box<Kafka>, u16),
    Tls(Box<Kafka>, Lab, Box<Authority>),
    Tokens(Box<TokenKafka>, Idp),
}

impl Brokers {
    pub async fn start(place: Place) -> Result<Self> {
        match place {
            Place::One => Ok(Self::One(Box::new(Kafka::start().await?))),
            Place::Three => Ok(Self::Three(Box::new(KafkaCluster::start().await?))),
            Place::Rough => rough().await,
            Place::ThreeWays => three_ways().await,
            Place::Login => login().await,
            Place::Tls => tls().await,
            Place::Tokens => {
                let kafka = TokenKafka::start().await?;
                let idp = Idp::start(kafka.key.clone()).await?;
                Ok(Self::Tokens(Box::new(kafka), idp))
            }
        }
    }

    /// Where the run's own clients connect to, in plaintext.
    pub fn own(&self) -> String {
        match self {
            Self::Three(cluster) | Self::ThreeWays(cluster, _) => cluster.brokers(),
            Self::One(kafka)
            | Self::Rough(kafka, _)
            | Self::Login(kafka, _)
            | Self::Tls(kafka, ..) => kafka.address.clone(),
            Self::Tokens(kafka, _) => kafka.plain().to_owned(),
        }
    }

    /// What the members' metadata says of them.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let port = |port| format!("127.0.0.1:{port}");
        let none = ("authType", "none".to_owned());
        match self {
            Self::One(_) | Self::Three(_) => vec![("brokers", self.own()), none],
            Self::Rough(_, way) => vec![("brokers", port(way.port)), none],
            Self::ThreeWays(_, ways) => {
                let ways: Vec<_> = ways.iter().map(|way| port(way.port)).collect();
                vec![("brokers", ways.join(",")), none]
            }
            Self::Login(_, login) => vec![
                ("brokers", port(*login)),
                ("authType", "password".to_owned()),
                ("saslUsername", USER.to_owned()),
                ("saslPassword", PASSWORD.to_owned()),
                ("disableTls", "true".to_owned()),
            ],
            Self::Tls(_, lab, authority) => vec![
                ("brokers", lab.address.clone()),
                ("authType", "certificate".to_owned()),
                ("caCert", authority.pem.clone()),
            ],
            Self::Tokens(kafka, idp) => {
                let login = idp.by_secret().into_iter();
                let login = login.map(|(key, value)| (key, value.to_owned()));
                let mut metadata = vec![("brokers", kafka.address.clone())];
                metadata.extend(login);
                metadata
            }
        }
    }

    /// The three.
    pub fn cluster(&mut self) -> Result<&mut KafkaCluster> {
        match self {
            Self::Three(cluster) => Ok(cluster),
            _ => Err("this run has no cluster".into()),
        }
    }

    /// The only one.
    pub fn single(&mut self) -> Result<&mut Kafka> {
        match self {
            Self::One(kafka)
            | Self::Rough(kafka, _)
            | Self::Login(kafka, _)
            | Self::Tls(kafka, ..) => Ok(kafka),
            _ => Err("this run has no single broker".into()),
        }
    }

    /// The members' way.
    pub fn way(&self) -> Result<&RoughWay> {
        match self {
            Self::Rough(_, way) => Ok(way),
            _ => Err("this run has no rough way".into()),
        }
    }

    /// The members' ways to the three brokers.
    pub fn ways(&self) -> Result<&[RoughWay]> {
        match self {
            Self::ThreeWays(_, ways) => Ok(ways),
            _ => Err("this run has no three ways".into()),
        }
    }

    /// Who gives the members their tokens.
    pub fn idp(&mut self) -> Result<&mut Idp> {
        match self {
            Self::Tokens(_, idp) => Ok(idp),
            _ => Err("this run has no tokens".into()),
        }
    }

    /// From now on the broker's certificate is over, or one that is valid; all connections
    /// are closed.
    pub fn certificate(&self, valid: bool) -> Result<()> {
        match self {
            Self::Tls(_, lab, authority) => lab.change(options(authority, valid)?),
            _ => Err("this run has no TLS".into()),
        }
    }
}

/// A Kafka with a second listener for the members; the first one is for the run's own
/// clients. The second is advertised at `advertised`, and has these properties.
async fn with_second(
    listens: u16,
    advertised: u16,
    protocol: &str,
    more: &[(&str, &str)],
) -> Result<Box<Kafka>> {
    let second = second(listens, advertised, protocol);
    let second = second.iter().map(|(key, value)| (*key, value.as_str()));
    let given: Vec<_> = second.chain(more.iter().copied()).collect();
    let kafka = Kafka::start_with(&given).await?;
    Ok(Box::new(kafka))
}

/// The properties of a second listener.
fn second(listens: u16, advertised: u16, protocol: &str) -> [(&'static str, String); 3] {
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},\
         SECOND://127.0.0.1:{listens}"
    );
    let advertised = format!("PLAINTEXT://127.0.0.1:{{port}},SECOND://127.0.0.1:{advertised}");
    let protocols = format!("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECOND:{protocol}");
    [
        ("listeners", listeners),
        ("advertised.listeners", advertised),
        ("listener.security.protocol.map", protocols),
    ]
}

async fn three_ways() -> Result<Brokers> {
    let mut ports = Vec::new();
    for _ in 0..3 {
        ports.push((free_port()?, free_port()?));
    }
    let cluster = KafkaCluster::start_with(|id| {
        let (before, behind) = ports[id - 1];
        let second = second(behind, before, "PLAINTEXT");
        let second = second.into_iter();
        second.map(|(key, value)| (key.to_owned(), value)).collect()
    });
    let cluster = cluster.await?;
    let mut ways = Vec::new();
    for (before, behind) in ports {
        ways.push(RoughWay::start(before, behind).await?);
    }
    Ok(Brokers::ThreeWays(Box::new(cluster), ways))
}

async fn rough() -> Result<Brokers> {
    let (before, behind) = (free_port()?, free_port()?);
    let kafka = with_second(behind, before, "PLAINTEXT", &[]).await?;
    let way = RoughWay::start(before, behind).await?;
    Ok(Brokers::Rough(kafka, way))
}

async fn login() -> Result<Brokers> {
    let port = free_port()?;
    let module = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
    );
    let more = [
        ("listener.name.second.sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.second.plain.sasl.jaas.config", &module),
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("super.users", "User:ANONYMOUS"),
        ("allow.everyone.if.no.acl.found", "true"),
    ];
    let kafka = with_second(port, port, "SASL_PLAINTEXT", &more).await?;
    Ok(Brokers::Login(kafka, port))
}

async fn tls() -> Result<Brokers> {
    let authority = Authority::new("The run's authority")?;
    let kafka = Kafka::start().await?;
    let lab = Lab::start(&kafka.address, options(&authority, true)?).await?;
    Ok(Brokers::Tls(Box::new(kafka), lab, Box::new(authority)))
}

fn options(authority: &Authority, valid: bool) -> Result<LabOptions> {
    let names = ["localhost"];
    let identity = if valid {
        authority.server(&names)?
    } else {
        authority.expired_server(&names)?
    };
    Ok(LabOptions::default().with_tls(LabTls::new(identity)))
}
