//! The brokers as they are advertised.

use std::collections::BTreeMap;

use kafka_protocol::messages::MetadataRequest;

use crate::doctor::{
    Seen, Stage,
    context::{Context, Target},
    run,
    wire::Wire,
};

/// The brokers that can be asked.
pub(in crate::doctor) struct Cluster {
    /// Its id, if it says one.
    pub(in crate::doctor) id: Option<String>,
    /// The controller's node id, as brokers tell it: with `KRaft` some broker's.
    pub(in crate::doctor) controller: Option<i32>,
    /// All brokers, by their node ids.
    pub(in crate::doctor) brokers: BTreeMap<i32, Member>,
    /// Connections to bootstrap brokers; at least one.
    bootstrap: Vec<(Target, Wire)>,
}

/// A broker as it is advertised.
pub(in crate::doctor) struct Member {
    /// Where it is said to be.
    pub(in crate::doctor) target: Target,
    /// A connection to it, if there is one.
    pub(in crate::doctor) wire: Option<Wire>,
}

impl Cluster {
    /// A connection to any broker; one that is reached as advertised if there is one.
    pub(in crate::doctor) fn any(&mut self) -> &mut Wire {
        let first = self
            .brokers
            .values_mut()
            .find_map(|member| member.wire.as_mut());
        match first {
            Some(wire) => wire,
            None => &mut self.bootstrap[0].1,
        }
    }

    /// A connection to this broker.
    pub(in crate::doctor) fn at(&mut self, id: i32) -> Option<&mut Wire> {
        self.brokers.get_mut(&id)?.wire.as_mut()
    }
}

/// Examines the brokers where the cluster says they are.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    mut bootstrap: Vec<(Target, Wire)>,
) -> Option<Cluster> {
    let (target, wire) = bootstrap.first_mut()?;
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    let answer = wire.ask(&request, context.until()).await.ok()?;
    let count = answer.value.brokers.len();
    let seen = Seen::by(&answer, format!("{count} brokers"));
    context
        .recorder
        .fine(Stage::Cluster, target.subject(), seen);
    let each = answer.value.brokers.iter().map(|broker| async move {
        let target = Target {
            address: format!("{}:{}", broker.host, broker.port),
            advertised: Some(broker.node_id.0),
        };
        let wire = run::examine(context, &target).await;
        (broker.node_id.0, Member { target, wire })
    });
    let brokers = futures_util::future::join_all(each).await;
    Some(Cluster {
        id: answer.value.cluster_id.map(|id| id.to_string()),
        controller: Some(answer.value.controller_id.0).filter(|id| *id >= 0),
        brokers: brokers.into_iter().collect(),
        bootstrap,
    })
}
