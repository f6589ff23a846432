//! librdkafka's mock cluster as a broker in memory, for demos and tests.

use rdkafka::{
    ClientConfig, bindings,
    mocking::MockCluster,
    producer::{BaseProducer, DefaultProducerContext, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::Cause;

/// Partitions of each topic: enough to see keys spread.
const PARTITIONS: i32 = 3;

/// A broker in this process, on a free port, until it is dropped.
///
/// It keeps 5 MiB per partition, has no admin API, no ACLs and no TLS, and
/// forgets everything at the end. Never for production.
pub struct EmbeddedBroker {
    host: BaseProducer,
}

/// A fault of a broker, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The broker refuses idempotent writes to the client.
    IdempotenceRefused,
    /// The broker takes a group's member for replaced by another.
    MemberFenced,
    /// The broker calls the position of a fetch out of range.
    OutOfRange,
}

impl EmbeddedBroker {
    /// Answers the next request of the kind with the fault.
    pub fn fault(&self, fault: Fault) -> Result<(), Cause> {
        let (request, error) = match fault {
            Fault::IdempotenceRefused => (
                RDKafkaApiKey::InitProducerId,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            ),
            Fault::MemberFenced => (
                RDKafkaApiKey::Heartbeat,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
            ),
            Fault::OutOfRange => (
                RDKafkaApiKey::Fetch,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
            ),
        };
        self.cluster()?.request_errors(request, &[error]);
        Ok(())
    }

    /// Starts one with these topics.
    pub fn start<'a>(topics: impl IntoIterator<Item = &'a str>) -> Result<Self, Cause> {
        let host: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create()?;
        let broker = Self { host };
        broker.join_groups_at_once();
        for topic in topics {
            broker.create_topic(topic)?;
        }
        Ok(broker)
    }

    /// The address to connect to, `host:port`.
    pub fn address(&self) -> Result<String, Cause> {
        Ok(self.cluster()?.bootstrap_servers())
    }

    /// Adds a topic.
    pub fn create_topic(&self, topic: &str) -> Result<(), Cause> {
        self.cluster()?
            .create_topic(topic, PARTITIONS, 1)
            .map_err(Cause::from)
    }

    fn cluster(&self) -> Result<MockCluster<'_, DefaultProducerContext>, Cause> {
        let cluster = self.host.client().mock_cluster();
        cluster.ok_or_else(|| Cause::other("librdkafka has no mock cluster"))
    }

    /// The mock waits 3 s before a group's first assignment, as a real broker
    /// does for members to gather. There are few here, and someone is watching.
    fn join_groups_at_once(&self) {
        let client = self.host.client().native_ptr();
        // SAFETY: `client` is alive as long as `self.host`; the cluster belongs
        // to it, or is null, which is checked. The call only sets a number.
        // rdkafka has no safe function for it (0.39, mocking.rs).
        unsafe {
            let cluster = bindings::rd_kafka_handle_mock_cluster(client);
            if !cluster.is_null() {
                bindings::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
            }
        }
    }
}
