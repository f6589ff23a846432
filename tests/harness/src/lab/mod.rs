//! A listener before a real Kafka that is not quite like Kafka: Redpanda's versions, TLS,
//! other addresses, wrong answers. Any number of them share one Kafka, since they put
//! their own address into answers.

mod ask;
mod connection;
mod options;
mod ranges;
mod rewrite;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use openssl::ssl::SslAcceptor;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use ask::ask;
pub use options::{Advertise, Behaviour, LabOptions, LabTls, Rewrite};
pub use ranges::Ranges;
pub use rewrite::edit;

use crate::{Result, free_port};

/// A listener before a Kafka. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Lab {
    /// Where it listens, `host:port`. With TLS the host is `localhost`, else 127.0.0.1.
    pub address: String,
    /// Its port, on 127.0.0.1.
    pub port: u16,
    kafka: String,
    log: Arc<Log>,
    shape: watch::Sender<Arc<Shape>>,
    task: JoinHandle<()>,
}

/// A request that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its key.
    pub key: i16,
    /// Its version.
    pub version: i16,
}

/// The requests that came, and whether each was cut off.
type Log = Mutex<Vec<(Asked, bool)>>;

/// What connections are served by.
struct Shape {
    options: LabOptions,
    acceptor: Option<SslAcceptor>,
    kafka: String,
    host: String,
    port: u16,
    log: Arc<Log>,
}

impl Lab {
    /// Listens on a free port before the Kafka that listens here, in plaintext.
    pub async fn start(kafka: &str, options: LabOptions) -> Result<Self> {
        Self::start_on(free_port()?, kafka, options).await
    }

    /// The same on a port that is known before.
    pub async fn start_on(port: u16, kafka: &str, options: LabOptions) -> Result<Self> {
        let log = Arc::default();
        let shape = Shape::new(options, kafka, port, &log)?;
        let address = format!("{}:{port}", shape.host);
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let (shape, watched) = watch::channel(Arc::new(shape));
        Ok(Self {
            address,
            port,
            kafka: kafka.to_owned(),
            log,
            shape,
            task: tokio::spawn(accept(listener, watched)),
        })
    }

    /// One before each of several brokers, each advertised by its own one.
    pub async fn before_each(brokers: &[String], options: &LabOptions) -> Result<Vec<Self>> {
        let host = Shape::host(options);
        let mut map = BTreeMap::new();
        for broker in brokers {
            map.insert(broker.clone(), format!("{host}:{}", free_port()?));
        }
        let options = options.clone().advertising(Advertise::Each(map.clone()));
        let mut labs = Vec::new();
        for (broker, lab) in &map {
            let (_, port) = lab.rsplit_once(':').ok_or("no port")?;
            labs.push(Self::start_on(port.parse()?, broker, options.clone()).await?);
        }
        Ok(labs)
    }

    /// Closes all connections, and goes on otherwise, on the same port.
    pub fn change(&self, options: LabOptions) -> Result<()> {
        let shape = Shape::new(options, &self.kafka, self.port, &self.log)?;
        self.shape.send_replace(Arc::new(shape));
        Ok(())
    }

    /// The requests that came so far.
    pub fn asked(&self) -> Vec<Asked> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|(asked, _)| *asked).collect()
    }

    /// Those of them on which it closed the connection.
    pub fn cut_off(&self) -> Vec<Asked> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = log.iter().filter(|(_, cut)| *cut);
        cut.map(|(asked, _)| *asked).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.options.fmt(f)
    }
}

impl Shape {
    fn new(options: LabOptions, kafka: &str, port: u16, log: &Arc<Log>) -> Result<Self> {
        let acceptor = options.tls.as_ref().map(LabTls::acceptor).transpose()?;
        Ok(Self {
            host: Self::host(&options),
            acceptor,
            options,
            kafka: kafka.to_owned(),
            port,
            log: log.clone(),
        })
    }

    fn host(options: &LabOptions) -> String {
        let host = if options.tls.is_some() {
            "localhost"
        } else {
            "127.0.0.1"
        };
        host.to_owned()
    }

    fn note(&self, asked: Asked, cut: bool) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push((asked, cut));
    }
}

async fn accept(listener: TcpListener, mut watched: watch::Receiver<Arc<Shape>>) {
    // They end with this one.
    let mut connections = JoinSet::new();
    let mut shape = watched.borrow_and_update().clone();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let shape = shape.clone();
                connections.spawn(async move { connection::serve(&shape, client).await });
            }
            Ok(()) = watched.changed() => {
                shape = watched.borrow_and_update().clone();
                connections.abort_all();
            }
            Some(_) = connections.join_next() => {}
            else => return,
        }
    }
}
