//! What is answered where. Everything only reads.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Told;
use crate::{
    dapr::{InstanceHealth, InstanceInfo, Instances, Uninitialised, told},
    heal::HealingStatus,
};

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// For anyone who can connect: no secrets.
pub(super) fn public(told: Told) -> Router {
    open().with_state(told)
}

/// For the process's own user.
pub(super) fn private(told: Told) -> Router {
    open()
        .route("/v1/instances", get(list))
        .route("/v1/instances/{name}/properties", get(properties))
        .route("/v1/instances/{name}/uses", get(uses))
        .with_state(told)
}

fn open() -> Router<Told> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "the process runs\n" }))
        .route("/startupz", get(startup))
        .route("/readyz", get(ready))
}

async fn metrics(State(told): State<Told>) -> Response {
    told.instances.observe();
    ([(CONTENT_TYPE, METRICS_TYPE)], told.metrics.render()).into_response()
}

async fn startup(State(told): State<Told>) -> (StatusCode, &'static str) {
    if told.readiness.has_started() {
        (StatusCode::OK, "the sockets are bound\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the sockets are not bound yet\n",
        )
    }
}

/// The answer of `/readyz`.
#[derive(Serialize)]
struct Diagnosis {
    ready: bool,
    /// Why it is not ready, oldest first.
    reasons: Vec<Reason>,
    instances: Vec<InstanceHealth>,
    uninitialised: Vec<Uninitialised>,
    heal_daprd: Option<HealingStatus>,
}

#[derive(Serialize)]
struct Reason {
    text: String,
    since: String,
}

async fn ready(State(told): State<Told>) -> (StatusCode, Json<Diagnosis>) {
    let instances = told.instances.health().await;
    // Before the reasons: what is over is none any more.
    let uninitialised = told.instances.uninitialised();
    let reasons = told.readiness.reasons().into_iter().map(|reason| Reason {
        text: reason.text,
        since: self::told(reason.since),
    });
    let reasons: Vec<_> = reasons.collect();
    let reachable = instances.iter().all(|instance| instance.brokers.reachable);
    let diagnosis = Diagnosis {
        ready: told.readiness.has_started() && reasons.is_empty() && reachable,
        reasons,
        instances,
        uninitialised,
        heal_daprd: told.healing.map(|healing| healing.status()),
    };
    let status = if diagnosis.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(diagnosis))
}

async fn list(State(told): State<Told>) -> Json<Vec<InstanceInfo>> {
    Json(told.instances.list())
}

/// Which of the instances of one name is meant.
#[derive(Deserialize)]
struct Which {
    /// Its component type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The process id of its daprd.
    process: Option<i32>,
}

async fn properties(
    State(told): State<Told>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    one(&told, &name, &which, Instances::properties)
}

async fn uses(
    State(told): State<Told>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    one(&told, &name, &which, Instances::uses)
}

/// What is told of the one instance that is meant.
fn one<T: Serialize>(
    told: &Told,
    name: &str,
    which: &Which,
    tell: impl Fn(&Instances, &InstanceInfo) -> Option<T>,
) -> Response {
    let all = told.instances.list();
    match choose(&all, name, which) {
        Ok(instance) => match tell(&told.instances, instance) {
            Some(found) => Json(found).into_response(),
            None => refused(
                StatusCode::NOT_FOUND,
                &format!("{name} has just ended"),
                &[],
            ),
        },
        Err(choices) if choices.is_empty() => {
            let all: Vec<_> = all.iter().collect();
            let text = format!("there is no instance {name:?}; choices names those there are");
            refused(StatusCode::NOT_FOUND, &text, &all)
        }
        Err(choices) => {
            let text = format!(
                "there are {} instances {name:?}; add ?process= or ?type= of one of the choices",
                choices.len()
            );
            refused(StatusCode::CONFLICT, &text, &choices)
        }
    }
}

fn refused(status: StatusCode, error: &str, choices: &[&InstanceInfo]) -> Response {
    let body = json!({ "error": error, "choices": choices });
    (status, Json(body)).into_response()
}

/// The one that is meant, or those that may be. One whose daprd has ended gives way
/// to one whose daprd may run.
fn choose<'a>(
    all: &'a [InstanceInfo],
    name: &str,
    which: &Which,
) -> Result<&'a InstanceInfo, Vec<&'a InstanceInfo>> {
    let meant = |instance: &&InstanceInfo| {
        let Which { kind, process } = which;
        instance.component.name == name
            && kind
                .as_ref()
                .is_none_or(|kind| *kind == instance.component.kind)
            && process.is_none_or(|process| Some(process) == instance.process)
    };
    let mut found: Vec<_> = all.iter().filter(meant).collect();
    // One that failed at Init gives way to one that works.
    if found.iter().any(|instance| instance.initialised) {
        found.retain(|instance| instance.initialised);
    }
    let alive: Vec<_> = found
        .iter()
        .copied()
        .filter(|instance| instance.process_runs != Some(false))
        .collect();
    match (&found[..], &alive[..]) {
        ([one], _) | (_, [one]) => Ok(one),
        (_, []) => Err(found),
        _ => Err(alive),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use axum::{body::Body, extract::Request};
    use tower::Service as _;

    use super::*;
    use crate::{
        dapr::Component,
        telemetry::{metrics::Metrics, readiness::Readiness},
    };

    fn told() -> Told {
        static METRICS: LazyLock<Metrics> =
            LazyLock::new(|| Metrics::install().expect("no other test installs them"));
        let readiness = Readiness::default();
        Told {
            metrics: METRICS.clone(),
            readiness: readiness.clone(),
            instances: Instances::new(readiness, 0),
            healing: None,
        }
    }

    fn instance(kind: &str, process: i32, runs: bool) -> InstanceInfo {
        InstanceInfo {
            component: Component::new("todo", kind),
            process: Some(process),
            process_runs: Some(runs),
            group: None,
            initialised: true,
        }
    }

    async fn status(router: &mut Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).expect("it is right");
        let Ok(answer) = router.call(request).await;
        answer.status()
    }

    #[tokio::test]
    async fn it_has_started_when_the_sockets_are_bound() {
        let told = told();
        let readiness = told.readiness.clone();
        let mut router = public(told);
        assert_eq!(status(&mut router, "/livez").await, StatusCode::OK);
        for path in ["/startupz", "/readyz"] {
            let status = status(&mut router, path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
        readiness.set_started();
        for path in ["/startupz", "/readyz"] {
            assert_eq!(status(&mut router, path).await, StatusCode::OK, "{path}");
        }
    }

    /// Of whatever is asked nothing comes but an answer.
    #[test]
    fn any_question_is_answered() {
        use proptest::{strategy::Strategy as _, test_runner::TestRunner};

        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let told = told();
        let text = || {
            ".{0,12}".prop_map(|text: String| {
                text.bytes()
                    .fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
            })
        };
        let process = "-?[0-9]{0,12}".prop_map(|text: String| text);
        let asked =
            TestRunner::default().run(&(text(), text(), process), |(name, kind, process)| {
                let path = format!("/v1/instances/{name}/properties?type={kind}&process={process}");
                let status = runtime.block_on(status(&mut private(told.clone()), &path));
                let right = process.parse::<i32>().is_ok();
                let wanted = if right {
                    StatusCode::NOT_FOUND
                } else {
                    StatusCode::BAD_REQUEST
                };
                // A name that is empty, or no UTF-8, is none of a route's.
                proptest::prop_assert!(status == wanted || name.is_empty(), "{}: {}", path, status);
                Ok(())
            });
        asked.expect("each is answered");
    }

    fn chosen(
        all: &[InstanceInfo],
        kind: Option<&str>,
        process: Option<i32>,
    ) -> Result<i32, usize> {
        let kind = kind.map(str::to_owned);
        let which = Which { kind, process };
        choose(all, "todo", &which)
            .map(|instance| instance.process.unwrap_or_default())
            .map_err(|choices| choices.len())
    }

    #[test]
    fn of_two_daprds_the_process_or_the_type_tells_and_else_nobody_guesses() {
        let all = [
            instance("pubsub.kafka", 1, true),
            instance("pubsub.rdkafka", 2, true),
        ];
        assert_eq!(chosen(&all, None, None), Err(2));
        assert_eq!(chosen(&all, None, Some(2)), Ok(2));
        assert_eq!(chosen(&all, Some("pubsub.kafka"), None), Ok(1));
        assert_eq!(chosen(&all, Some("pubsub.kafka"), Some(2)), Err(0));
        assert_eq!(
            choose(
                &all,
                "other",
                &Which {
                    kind: None,
                    process: None
                }
            )
            .map(|_| ())
            .map_err(|c| c.len()),
            Err(0)
        );
    }

    #[test]
    fn one_that_failed_at_init_gives_way() {
        let mut failed = instance("pubsub.rdkafka", 1, true);
        failed.initialised = false;
        assert_eq!(chosen(std::slice::from_ref(&failed), None, None), Ok(1));
        let works = instance("pubsub.rdkafka", 2, true);
        assert_eq!(chosen(&[failed, works], None, None), Ok(2));
    }

    #[test]
    fn one_whose_daprd_has_ended_gives_way() {
        let ended = instance("pubsub.rdkafka", 1, false);
        assert_eq!(chosen(std::slice::from_ref(&ended), None, None), Ok(1));
        let runs = instance("pubsub.rdkafka", 2, true);
        assert_eq!(chosen(&[ended.clone(), runs], None, None), Ok(2));
        let another = instance("pubsub.rdkafka", 3, false);
        assert_eq!(chosen(&[ended, another], None, None), Err(2));
    }
}
