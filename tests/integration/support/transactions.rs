//! A transactional producer of its own.

use std::time::Duration;

use harness::Result;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, Producer as _},
};

/// Runs `work`, which may block, with a producer whose transactions are initialised within that time.
pub async fn with_producer<T: Send + 'static>(
    brokers: &str,
    id: &str,
    within: Duration,
    work: impl FnOnce(BaseProducer) -> Result<T> + Send + 'static,
) -> Result<T> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("transactional.id", id);
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = config.create()?;
        producer.init_transactions(within)?;
        work(producer)
    })
    .await?
}
