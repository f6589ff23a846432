//! daprd, and the way to it. It needs no broker.

mod access;
mod daprd;
mod instances;
mod process;
mod sockets;
mod start;

use std::path::PathBuf;

use redact::Secret;
use reqwest::Response;
use tokio::time::timeout_at;

pub use access::User;
use daprd::{Listed, Metadata};
use instances::Initialised;
use process::Process;
use sockets::Place;
pub use start::shut_out;

use crate::{
    doctor::{Finding, Fix, Report, Seen, Severity, Stage, context::Context, rows::dapr as rows},
    model::text::{beginning, on_one_line},
};

/// As much of a text as is shown, in bytes.
const SHOWN: usize = 200;

/// What is known of daprd. Nothing is checked if nothing is.
#[derive(Clone, Debug, Default)]
pub struct Dapr {
    /// Its HTTP port.
    pub http_port: Option<u16>,
    /// Its API token.
    pub token: Option<Secret<String>>,
    /// The folder where the component has its sockets.
    pub folder: Option<PathBuf>,
    /// As whom it runs; if it is not said, as whom it is seen to run.
    pub user: Option<User>,
    /// The component that is examined.
    pub component: Option<Component>,
}

/// A component as daprd knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its type, such as `pubsub.rdkafka`, if it is known.
    pub kind: Option<String>,
}

/// Others' words, as much as is shown of them.
fn shown(text: &str) -> String {
    beginning(&on_one_line(text).replace('\t', " "), SHOWN).to_owned()
}

/// The part of a type that is the socket's name.
fn socket_name(kind: &str) -> &str {
    kind.strip_prefix("pubsub.").unwrap_or(kind)
}

/// Checks the sockets, and what daprd has loaded.
pub(in crate::doctor) async fn check(context: &Context<'_>, dapr: &Dapr) {
    if dapr.http_port.is_none() && dapr.folder.is_none() && dapr.user.is_none() {
        return;
    }
    let answer = if let Some(port) = dapr.http_port {
        Some(daprd::ask(port, dapr.token.as_ref(), context.until()).await)
    } else {
        let why = "--dapr-http-port is not given: what daprd has loaded is not known";
        context.recorder.skipped(Stage::Dapr, "daprd", why);
        None
    };
    let known = answer.as_ref().and_then(|answer| answer.as_ref().ok());
    let listed = known.and_then(|(metadata, _)| listed(metadata, dapr));
    let wanted = dapr.component.as_ref();
    let kind = wanted.and_then(|wanted| wanted.kind.as_deref());
    let process = dapr.http_port.and_then(process::find);
    let place = Place {
        told: dapr.folder.as_deref(),
        process: process.as_ref(),
        user: dapr.user.as_ref().or(process.as_ref().map(|it| &it.user)),
        name: kind.or(listed.map(|it| it.kind.as_str())).map(socket_name),
        reached: listed.is_some_and(|it| it.version().is_some()),
    };
    let mut faults = sockets::look(context, &place).await;
    if let Some((metadata, response)) = known {
        judge(context, dapr, &place, (metadata, response), &mut faults);
    }
    if place.reached && faults.is_empty() {
        age(context, dapr, &place).await;
    }
    let is_explained = !faults.is_empty();
    for (subject, finding) in faults {
        context.recorder.found(subject, finding);
    }
    match answer.and_then(Result::err) {
        Some(finding) if is_explained && finding.row.code == rows::SILENT.code => {
            let why = format!("{}; see the sockets first", finding.cause);
            context.recorder.skipped(Stage::Dapr, subject(dapr), why);
        }
        Some(mut finding) => {
            if let Some(waits) = process.as_ref().map(waiting)
                && finding.row.code == rows::SILENT.code
            {
                finding.cause += &waits;
            }
            context.recorder.found(subject(dapr), *finding);
        }
        None => {}
    }
}

/// That there is a daprd which does not answer.
fn waiting(process: &Process) -> String {
    let id = process.id;
    format!("; process {id} is a daprd for this port, which has not come so far")
}

fn subject(dapr: &Dapr) -> String {
    let port = dapr.http_port.unwrap_or_default();
    format!("daprd at 127.0.0.1:{port}")
}

/// The component as daprd lists it.
fn listed<'a>(metadata: &'a Metadata, dapr: &Dapr) -> Option<&'a Listed> {
    let wanted = dapr.component.as_ref()?;
    let mut all = metadata.components.iter();
    all.find(|listed| listed.name == wanted.name)
}

/// What daprd says of the component; `faults` are those of the sockets, which may be why.
fn judge(
    context: &Context<'_>,
    dapr: &Dapr,
    place: &Place<'_>,
    (metadata, response): (&Metadata, &Response),
    faults: &mut Vec<(String, Finding)>,
) {
    let recorder = context.recorder;
    let runtime = shown(&metadata.runtime_version);
    let seen = Seen::by(response, format!("it is daprd {runtime}"));
    recorder.fine(Stage::Dapr, subject(dapr), seen);
    recorder.saw_daprd(&runtime);
    let Some(wanted) = &dapr.component else {
        let why = "which component is not known: give --component or --instance";
        return recorder.skipped(Stage::Dapr, subject(dapr), why);
    };
    let name = &wanted.name;
    let Some(listed) = listed(metadata, dapr) else {
        let finding = not_loaded(name, metadata);
        if let Some(code) = unreachable(&recorder.report()) {
            let why = format!("{}: follows from {code}", finding.cause);
            return recorder.skipped(Stage::Dapr, name, why);
        }
        if faults.is_empty() {
            return recorder.found(name, finding);
        }
        let why = format!("{}; see the sockets first", finding.cause);
        return recorder.skipped(Stage::Dapr, name, why);
    };
    let kind = shown(&listed.kind);
    let Some(version) = listed.version() else {
        let no_socket = |(_, finding): &(String, Finding)| finding.row.code == rows::NO_SOCKET.code;
        if listed.is_built_in() {
            let at = faults.iter().position(no_socket);
            let missing = at.map(|at| faults.remove(at).1.cause);
            if faults.is_empty() {
                return recorder.found(name, built_in(place, missing));
            }
            let why = "daprd uses its built-in pubsub.kafka; see the sockets first";
            return recorder.skipped(Stage::Dapr, name, why);
        }
        faults.retain(|fault| !no_socket(fault));
        return recorder.found(name, other_type(&kind));
    };
    let version = shown(version);
    let own = env!("CARGO_PKG_VERSION");
    if version == own {
        let words = format!("{kind} is this component, version {version}");
        recorder.fine(Stage::Dapr, name, Seen::by(response, words));
    } else {
        recorder.found(name, other_version(&version, own));
    }
    let words = subscriptions(metadata, name);
    recorder.fine(Stage::Dapr, name, Seen::by(response, words));
}

/// Whether the component knows of the daprd that has loaded it.
async fn age(context: &Context<'_>, dapr: &Dapr, place: &Place<'_>) {
    let (Some(wanted), Some(folder)) = (&dapr.component, place.folder()) else {
        return;
    };
    let name = &wanted.name;
    let daprd = place.process.map(|process| process.id);
    let asked = timeout_at(context.until().into(), instances::ask(folder, name, daprd));
    let unknown = match asked.await {
        Ok(Initialised::Yes(response)) => {
            let seen = Seen::by(&response, "the component was initialised by daprd");
            return context.recorder.fine(Stage::Dapr, name, seen);
        }
        Ok(Initialised::No) => {
            let cause = format!(
                "daprd has loaded {name}, and the component that runs now was never initialised: \
                 it was started after daprd"
            );
            let fix = Fix::words("restart daprd; --heal-daprd does that after each restart");
            return context
                .recorder
                .found(name, Finding::new(&rows::OLDER, cause, fix));
        }
        Ok(Initialised::Failed) => {
            let why = "daprd has initialised the component, and that failed: the component's log \
                       and the stages before say why";
            return context.recorder.skipped(Stage::Dapr, name, why);
        }
        Ok(Initialised::Unknown(why)) => shown(&why),
        Err(_) => {
            let why = "whether it was initialised is not known: no answer came in time";
            return context.recorder.unanswered(Stage::Dapr, name, why);
        }
    };
    let why = format!("whether it was initialised is not known: {unknown}");
    context.recorder.skipped(Stage::Dapr, name, why);
}

/// What made Init fail, so that daprd left the component out: a problem on the way to the
/// brokers.
fn unreachable(report: &Report) -> Option<&'static str> {
    let findings = report.findings().into_iter();
    let mut way = findings.filter(|check| (Stage::Names..=Stage::Sasl).contains(&check.stage));
    let finding = way.next()?.finding()?;
    (finding.severity == Severity::Problem).then_some(finding.row.code)
}

fn not_loaded(name: &str, metadata: &Metadata) -> Finding {
    let all = metadata.components.iter();
    let all: Vec<_> = all
        .take(20)
        .map(|it| format!("{} ({})", it.name, it.kind))
        .collect();
    let all = if all.is_empty() {
        "none".to_owned()
    } else {
        shown(&all.join(", "))
    };
    let cause = format!("daprd has no component {name}; it has loaded: {all}");
    let fix = Fix::words(format!(
        "put the Component {name} into the folder of daprd's --resources-path (in Kubernetes into \
         its namespace, with the app in its `scopes`), and restart daprd; if it is there and has \
         `ignoreErrors`, daprd's log says why it was left out"
    ));
    Finding::new(&rows::NOT_LOADED, cause, fix)
}

fn built_in(place: &Place<'_>, missing: Option<String>) -> Finding {
    let why = missing.unwrap_or_else(|| {
        "it found no kafka.sock when it started, or could not ask whoever listens there".into()
    });
    let cause = format!("daprd uses its built-in pubsub.kafka, not this component: {why}");
    let fix = Fix::words(
        "start this component with the name kafka, where daprd looks for sockets, and only then \
         restart daprd; or write `type: pubsub.rdkafka` in the Component",
    );
    Finding::new(&rows::BUILT_IN, cause, fix.run(place.start("kafka", "")))
}

fn other_type(kind: &str) -> Finding {
    let cause = format!("daprd loaded it as {kind}, which is not this component");
    let fix = Fix::words(
        "write `type: pubsub.rdkafka` and `version: v1` in the Component that daprd reads, start \
         `dapr-rdkafka run`, and then restart daprd",
    );
    Finding::new(&rows::OTHER_TYPE, cause, fix)
}

fn other_version(theirs: &str, own: &str) -> Finding {
    let cause = format!("daprd works with version {theirs} of this component; this is {own}");
    let fix = Fix::words(format!(
        "run the doctor of version {theirs}, or start the component of version {own} and restart \
         daprd"
    ));
    Finding::new(&rows::OTHER_VERSION, cause, fix)
}

/// What the app subscribes to, and what that means for how much it gets at a time.
fn subscriptions(metadata: &Metadata, component: &str) -> String {
    let streams = metadata.streams(component);
    if streams.is_empty() {
        return "the app has no subscription to it".into();
    }
    let each: Vec<_> = streams
        .iter()
        .map(|(topic, count)| format!("{topic} ({count})"))
        .collect();
    let each = shown(&each.join(", "));
    let runtime = shown(&metadata.runtime_version);
    let means = match metadata.is_serial() {
        Some(true) => format!(
            "; Dapr {runtime} hands the app one message of each lane at a time. Upgrade to 1.17.14, \
             1.18.4, 1.19 or a later release, which hand out many; if you can't, open more lanes \
             (docs/lanes.md)"
        ),
        Some(false) | None => String::new(),
    };
    format!("the app's topics and their lanes: {each}{means}")
}

#[cfg(test)]
mod tests;
