use std::{collections::BTreeSet, time::Duration};

use futures_util::future::try_join_all;
use kafka_protocol::{
    messages::{
        DescribeQuorumRequest, DescribeQuorumResponse, TopicName,
        describe_quorum_request::{PartitionData, TopicData},
    },
    protocol::StrBytes,
};

use crate::{Kafka, Result, STARTUP, eventually, free_port, kafka::Setup, lab};

/// How many brokers there are; each is a controller too.
const NODES: usize = 3;

/// What all of them have: copies everywhere, and a dead one is noticed soon.
const PROPERTIES: [(&str, &str); 4] = [
    ("offsets.topic.replication.factor", "3"),
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("broker.session.timeout.ms", "6000"),
];

/// Three real brokers of one cluster. Their node ids are 1, 2 and 3.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<Kafka>,
    up: BTreeSet<usize>,
}

impl KafkaCluster {
    /// Formats fresh folders, starts all brokers, and waits for them.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| Vec::new()).await
    }

    /// The same with more properties for each node; see [`Kafka::start_with`].
    pub async fn start_with(more: impl Fn(usize) -> Vec<(String, String)>) -> Result<Self> {
        let mut ports = Vec::new();
        for _ in 0..NODES {
            ports.push((free_port()?, free_port()?));
        }
        let voters = ports.iter().zip(1..);
        let voters = voters.map(|((_, controller), id)| format!("{id}@127.0.0.1:{controller}"));
        let voters = voters.collect::<Vec<_>>().join(",");
        let formatted = ports.into_iter().zip(1..).map(|(ports, id)| {
            let (voters, own) = (&voters, more(id));
            async move {
                let id = id.to_string();
                let mut all = PROPERTIES.to_vec();
                all.extend([
                    ("node.id", id.as_str()),
                    ("controller.quorum.voters", voters),
                ]);
                all.extend(
                    own.iter()
                        .map(|(key, value)| (key.as_str(), value.as_str())),
                );
                let setup = Setup {
                    more: &all,
                    ports: Some(ports),
                    ..Setup::default()
                };
                Kafka::formatted(&setup).await
            }
        });
        let mut nodes = try_join_all(formatted).await?;
        // None is ready without another.
        try_join_all(nodes.iter_mut().map(Kafka::up)).await?;
        let up = (1..=NODES).collect();
        Ok(Self { nodes, up })
    }

    /// Where all brokers listen, also those that are down.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address.clone()).collect()
    }

    /// The same as `brokers` has it.
    pub fn brokers(&self) -> String {
        self.addresses().join(",")
    }

    /// A broker.
    pub fn node(&self, id: usize) -> &Kafka {
        &self.nodes[id - 1]
    }

    /// Kills a broker, as a crash would.
    pub async fn down(&mut self, id: usize) -> Result<()> {
        self.up.remove(&id);
        self.nodes[id - 1].down().await
    }

    /// Starts it again, on the same port and data.
    pub async fn up(&mut self, id: usize) -> Result<()> {
        self.nodes[id - 1].up().await?;
        self.up.insert(id);
        Ok(())
    }

    /// Kills all brokers at once.
    pub async fn all_down(&mut self) -> Result<()> {
        self.up.clear();
        try_join_all(self.nodes.iter_mut().map(Kafka::down)).await?;
        Ok(())
    }

    /// Starts all again: none is ready without another.
    pub async fn all_up(&mut self) -> Result<()> {
        try_join_all(self.nodes.iter_mut().map(Kafka::up)).await?;
        self.up = (1..=NODES).collect();
        Ok(())
    }

    /// The node that is the controller now; waits until there is one.
    pub async fn controller(&self) -> Result<usize> {
        eventually("a controller", STARTUP, || async {
            let asked = self.up.iter().map(|id| leader(&self.node(*id).address));
            let told = futures_util::future::join_all(asked).await;
            let leader = told.into_iter().find_map(Result::ok).flatten()?;
            self.up.contains(&leader).then_some(leader)
        })
        .await
    }

    /// Makes another node the controller: the present one is killed and comes back.
    /// Returns both, the old and the new one.
    pub async fn move_controller(&mut self) -> Result<(usize, usize)> {
        let old = self.controller().await?;
        self.down(old).await?;
        let new = self.controller().await?;
        self.up(old).await?;
        Ok((old, new))
    }
}

/// Whom a broker takes for the controller.
async fn leader(broker: &str) -> Result<Option<usize>> {
    let topic = TopicName(StrBytes::from_static_str("__cluster_metadata"));
    let topic = TopicData::default()
        .with_topic_name(topic)
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let asked = lab::ask(broker, &request, 0);
    let answer: DescribeQuorumResponse =
        tokio::time::timeout(Duration::from_secs(5), asked).await??;
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let leader = partitions.next().map(|partition| partition.leader_id.0);
    Ok(leader.and_then(|id| usize::try_from(id).ok()))
}
