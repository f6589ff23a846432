use std::{fmt::Write as _, path::Path};

/// A listener beside the plaintext one that every Kafka here has.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// Its name, in capitals.
    pub(crate) name: &'static str,
    /// Its `security.protocol`.
    pub(crate) protocol: &'static str,
    /// The host that it is advertised as.
    pub(crate) host: &'static str,
    /// Its port, on 127.0.0.1.
    pub(crate) port: u16,
    /// Its own properties, without the prefix that names it.
    pub(crate) properties: Vec<(String, String)>,
}

pub(super) fn configuration(
    folder: &Path,
    port: u16,
    controller: u16,
    more: &[Listener],
) -> String {
    let data = folder.join("data");
    let (mut listeners, mut advertised) = (String::new(), String::new());
    let (mut protocols, mut properties) = (String::new(), String::new());
    for listener in more {
        let (name, port) = (listener.name, listener.port);
        let _ = write!(listeners, ",{name}://127.0.0.1:{port}");
        let _ = write!(advertised, ",{name}://{}:{port}", listener.host);
        let _ = write!(protocols, ",{name}:{}", listener.protocol);
        for (key, value) in &listener.properties {
            // What Java reads back as lines.
            let value = value.trim_end().replace('\n', "\\n");
            let name = name.to_lowercase();
            let _ = writeln!(properties, "listener.name.{name}.{key}={value}");
        }
    }
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0\n\
         message.max.bytes=10485760\n\
         replica.fetch.max.bytes=10485760\n\
         {properties}",
        data = data.display()
    )
}

/// Brokers ask only those URLs for keys that their JVM was told of.
pub(super) fn allowed_urls(properties: &[(&str, &str)]) -> String {
    let url = properties
        .iter()
        .find(|(key, _)| key.ends_with("jwks.endpoint.url"));
    url.map_or_else(String::new, |(_, url)| {
        format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}")
    })
}
