//! Connections that stay open and say nothing any more, while new ones work, as
//! after a firewall has lost its state.

use std::sync::Arc;

use harness::{Kafka, Proxy, Result, free_port};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        player::{Player, properties, text},
        records::{self, Plain},
    },
};

/// A broker behind a proxy.
struct Bench {
    kafka: Kafka,
    /// The broker itself, for the test's own clients.
    direct: String,
    proxy: Proxy,
    component: harness::Component,
    player: Player,
    _place: Place,
}

impl Bench {
    async fn start() -> Result<Self> {
        let port = free_port()?;
        let advertised = format!("PLAINTEXT://127.0.0.1:{port}");
        let kafka = Kafka::start_with(&[("advertised.listeners", &advertised)]).await?;
        let direct = kafka.address.clone();
        let target = direct.rsplit_once(':').ok_or("no port")?.1.parse()?;
        let proxy = Proxy::start(port, target).await?;
        admin::create_topic(&direct, "hang", 1, &[]).await?;
        let place = Place::new()?;
        let component = place.component().await?;
        let soon = [("publishTimeout", "1s"), ("stallTimeout", "5s")];
        let properties = properties(&format!("127.0.0.1:{port}"), "group", &soon);
        let player = Player::start(&place.socket("rdkafka"), properties).await?;
        Ok(Self {
            kafka,
            direct,
            proxy,
            component,
            player,
            _place: place,
        })
    }
}

pub async fn publishing_goes_on_when_its_connections_hang(_: Arc<Fixture>) -> Result<()> {
    let bench = Bench::start().await?;
    bench.player.publish_at_last("hang", "a", "before").await?;
    bench.proxy.hang();
    bench.player.publish_at_last("hang", "a", "after").await?;
    bench.kafka.stop().await
}

/// The stream to daprd stays the same.
pub async fn delivery_goes_on_when_its_connections_hang(_: Arc<Fixture>) -> Result<()> {
    let mut bench = Bench::start().await?;
    let mut pull = bench.player.pull("hang").await?;
    bench.player.publish_at_last("hang", "a", "before").await?;
    ensure!(pull.take(1, SOON).await? == ["before"], "it works");
    bench.proxy.hang();
    records::write(&bench.direct, "hang", &[Plain::new("a", "after")]).await?;
    // The session's end is waited for, and a join that hangs.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "after") {
        let message = pull.next(SOON * 3).await;
        let message =
            message.map_err(|error| bench.component.process.failed(&error.to_string()))?;
        pull.ack(&message).await?;
        seen.push(text(&message));
    }
    bench.kafka.stop().await
}
