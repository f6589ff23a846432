//! The brokers as they are advertised.

mod advertised;
mod identity;
mod listed;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};

use crate::{
    doctor::{
        Finding, Fix, Seen, Stage,
        context::{Context, Target},
        rows,
        wire::{Answered, Wire},
    },
    model::text::{beginning, on_one_line},
};

/// The most of a broker's text that is shown, in bytes.
const SHOWN: usize = 200;

/// The brokers that can be asked.
pub(in crate::doctor) struct Cluster {
    /// The controller's node id, as brokers tell it: with `KRaft` some broker's.
    pub(in crate::doctor) controller: Option<i32>,
    /// All brokers, by their node ids.
    pub(in crate::doctor) brokers: BTreeMap<i32, Member>,
    /// A connection to a bootstrap broker; there is always one.
    bootstrap: Wire,
    /// Which broker that is, if it is one that is advertised at just this address.
    bootstrap_is: Option<i32>,
}

/// A broker as it is advertised.
pub(in crate::doctor) struct Member {
    /// Where it is said to be.
    pub(in crate::doctor) target: Target,
    /// A connection to it, if there is one of its own; [`Cluster::at`] knows of the others.
    pub(in crate::doctor) wire: Option<Wire>,
}

/// A bootstrap broker that answered.
struct Reached {
    target: Target,
    wire: Wire,
    answer: Answered<MetadataResponse>,
}

impl Cluster {
    /// A connection to any broker; one that is reached as advertised if there is one.
    pub(in crate::doctor) fn any(&mut self) -> &mut Wire {
        if self.bootstrap_is.is_some() {
            return &mut self.bootstrap;
        }
        let mut members = self.brokers.values_mut();
        let first = members.find_map(|member| member.wire.as_mut());
        first.unwrap_or(&mut self.bootstrap)
    }

    /// A connection to this broker.
    pub(in crate::doctor) fn at(&mut self, id: i32) -> Option<&mut Wire> {
        if self.bootstrap_is == Some(id) {
            return Some(&mut self.bootstrap);
        }
        self.brokers.get_mut(&id)?.wire.as_mut()
    }

    /// A connection to a broker that is known by its node id.
    pub(in crate::doctor) fn known(&mut self) -> Option<(i32, &mut Wire)> {
        if let Some(id) = self.bootstrap_is {
            return Some((id, &mut self.bootstrap));
        }
        let mut members = self.brokers.iter_mut();
        members.find_map(|(id, member)| Some((*id, member.wire.as_mut()?)))
    }

    /// Which brokers left a question without an answer since this was last asked for, and
    /// which one.
    pub(in crate::doctor) fn unanswered(&mut self) -> Vec<(String, String)> {
        let members = self.brokers.values_mut();
        let members = members.filter_map(|member| {
            Some((member.target.subject(), member.wire.as_mut()?.unanswered()?))
        });
        let mut silent: Vec<_> = members.collect();
        let first = self.bootstrap.unanswered();
        silent.extend(first.map(|what| ("bootstrap broker".to_owned(), what)));
        silent
    }
}

/// Examines the brokers where the cluster says they are.
pub(in crate::doctor) async fn check(
    context: &Context<'_>,
    bootstrap: Vec<(Target, Wire)>,
) -> Option<Cluster> {
    let each = bootstrap.into_iter().map(|(target, mut wire)| async move {
        match metadata(context, &target, &mut wire).await {
            Some(answer) => {
                fine(context, &target, &answer);
                Ok(Reached {
                    target,
                    wire,
                    answer,
                })
            }
            None => Err(target),
        }
    });
    let each = join_all(each).await;
    let (reached, silent): (Vec<_>, Vec<_>) = each.into_iter().partition(Result::is_ok);
    let mut reached: Vec<_> = reached.into_iter().flatten().collect();
    if !reached.is_empty() {
        for target in silent.into_iter().filter_map(Result::err) {
            context.recorder.ease(&target.subject());
        }
    }
    let listed = listed::weigh(context, &mut reached)?;
    let mut reached = reached.into_iter();
    let first = reached.next()?;
    Some(advertised::examine(context, listed, first, reached.collect()).await)
}

/// What a broker says of its cluster.
async fn metadata(
    context: &Context<'_>,
    target: &Target,
    wire: &mut Wire,
) -> Option<Answered<MetadataResponse>> {
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    match wire.ask(&request, context.until()).await {
        Ok(answer) => Some(answer),
        Err(broken) => {
            let finding = Finding::new(
                &rows::cluster::UNANSWERED,
                format!("asked for Metadata: {}", shown(&broken.to_string())),
                Fix::words("look into this broker's log at the time of this check"),
            );
            context.recorder.found(target.subject(), finding);
            None
        }
    }
}

/// Notes that a broker told of its cluster, and what.
fn fine(context: &Context<'_>, target: &Target, answer: &Answered<MetadataResponse>) {
    let id = id(&answer.value).unwrap_or_else(|| "without an id".into());
    let count = answer.value.brokers.len();
    let brokers = if count == 1 { "broker" } else { "brokers" };
    let dot = if target.parts().is_some_and(|(host, _)| host.ends_with('.')) {
        "; the name's trailing dot does no harm here"
    } else {
        ""
    };
    let seen = Seen::by(answer, format!("cluster {id}, {count} {brokers}{dot}"));
    let recorder = context.recorder;
    recorder.fine(Stage::Cluster, target.subject(), seen);
}

/// A cluster's id, as it can be shown.
fn id(answer: &MetadataResponse) -> Option<String> {
    answer.cluster_id.as_ref().map(|id| shown(id))
}

/// A broker's text as it can be shown: short, and on one line.
pub(in crate::doctor) fn shown(text: &str) -> String {
    beginning(&on_one_line(beginning(text, SHOWN)), SHOWN).to_owned()
}
