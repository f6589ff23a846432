use harness::{Kafka, KafkaCluster, Result, RoughWay, free_port};

/// Which brokers a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// One.
    One,
    /// Three, with copies of everything on each.
    Three,
    /// One, that the members reach by a way on which anything may happen.
    Rough,
}

/// A run's brokers.
pub enum Brokers {
    One(Box<Kafka>),
    Three(Box<KafkaCluster>),
    Rough(Box<Kafka>, RoughWay),
}

impl Brokers {
    pub async fn start(place: Place) -> Result<Self> {
        Ok(match place {
            Place::One => Self::One(Box::new(Kafka::start().await?)),
            Place::Three => Self::Three(Box::new(KafkaCluster::start().await?)),
            Place::Rough => rough().await?,
        })
    }

    /// Where the run's own clients connect to.
    pub fn own(&self) -> String {
        match self {
            Self::One(kafka) | Self::Rough(kafka, _) => kafka.address.clone(),
            Self::Three(cluster) => cluster.brokers(),
        }
    }

    /// Where members do.
    pub fn of_members(&self) -> String {
        match self {
            Self::Rough(_, way) => format!("127.0.0.1:{}", way.port),
            _ => self.own(),
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
            Self::One(kafka) | Self::Rough(kafka, _) => Ok(kafka),
            Self::Three(_) => Err("this run has three brokers".into()),
        }
    }

    /// The members' way.
    pub fn way(&self) -> Result<&RoughWay> {
        match self {
            Self::Rough(_, way) => Ok(way),
            _ => Err("this run has no rough way".into()),
        }
    }
}

/// A second listener is advertised where the way begins; the first one is for the run's
/// own clients.
async fn rough() -> Result<Brokers> {
    let (before, behind) = (free_port()?, free_port()?);
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},ROUGH://127.0.0.1:{behind}"
    );
    let advertised = format!("PLAINTEXT://127.0.0.1:{{port}},ROUGH://127.0.0.1:{before}");
    let protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,ROUGH:PLAINTEXT";
    let kafka = Kafka::start_with(&[
        ("listeners", &listeners),
        ("advertised.listeners", &advertised),
        ("listener.security.protocol.map", protocols),
    ])
    .await?;
    let way = RoughWay::start(before, behind).await?;
    Ok(Brokers::Rough(Box::new(kafka), way))
}
