//! Whether it may write with idempotence.

use std::time::{Duration, Instant};

use kafka_protocol::{ResponseError, messages::InitProducerIdRequest};

use super::{allow, error, of_topics::Writes};
use crate::{
    doctor::{
        Finding, Fix, Seen, Stage, context::Context, rows::permissions as rows, stages::Cluster,
    },
    metadata::Acks,
};

/// What this check is about.
const SUBJECT: &str = "idempotent writes";

/// How long it waits before it asks once more.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks for a producer id, as every idempotent producer does first. A broker before Kafka
/// 3.0 wants a right of its own for it, later ones are content with that to write.
pub(super) async fn check(context: &Context<'_>, cluster: &mut Cluster, writes: Writes) {
    let settings = context.settings;
    if !settings.idempotence || settings.acks != Acks::All {
        return;
    }
    let skipped = |why: String| context.recorder.skipped(Stage::Permissions, SUBJECT, why);
    match writes {
        Writes::None => return skipped("no topic that is published to is known".into()),
        Writes::Forbidden => return skipped("writing is not allowed at all: see there".into()),
        Writes::Some => {}
    }
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    let until = context.until();
    let answer = loop {
        let answer = match cluster.any().ask(&request, until).await {
            Ok(answer) => answer,
            Err(broken) => return skipped(broken.to_string()),
        };
        // A broker that has just started is still reading what it gave out.
        let is_early = ResponseError::try_from_code(answer.value.error_code)
            == Some(ResponseError::CoordinatorLoadInProgress);
        if !is_early || until.saturating_duration_since(Instant::now()) < PAUSE {
            break answer;
        }
        tokio::time::sleep(PAUSE).await;
    };
    let code = answer.value.error_code;
    match ResponseError::try_from_code(code) {
        None => {
            let seen = Seen::by(&answer, "it got a producer id");
            context.recorder.fine(Stage::Permissions, SUBJECT, seen);
        }
        Some(ResponseError::ClusterAuthorizationFailed) => {
            let cause = "the broker answers CLUSTER_AUTHORIZATION_FAILED to the question for a \
                         producer id";
            let command = allow(&settings.security, "--operation IdempotentWrite --cluster");
            let fix = Fix::words("Write without idempotence, or allow it on the cluster")
                .set("idempotence", "false")
                .run(command);
            let finding = Finding::new(&rows::IDEMPOTENT, cause, fix);
            context.recorder.found(SUBJECT, finding);
        }
        Some(_) => skipped(format!("the broker gives no producer id: {}", error(code))),
    }
}
