//! The component's metadata.

use crate::{
    connect::Given,
    doctor::{Finding, Fix, Recorder, Seen, Stage, rows::settings as rows},
    metadata::{
        self, Problem, Settings,
        keys::{self, Key, Kind, Support},
    },
    model::text::{beginning, on_one_line},
};

/// How much of a text that others wrote goes into a cause, in bytes.
const LONGEST: usize = 400;

/// The settings, if the metadata can be used.
pub(in crate::doctor) fn check(given: &Given, recorder: &Recorder) -> Option<Settings> {
    let of = given.kind.as_deref().unwrap_or_default();
    let of = of.strip_prefix("pubsub.").unwrap_or("rdkafka");
    let found = metadata::check(of, &given.properties, &given.elsewhere);
    for problem in found.problems.iter().chain(&twice(given)) {
        let (cause, fix) = (shortened(&problem.to_string()), fix(problem));
        recorder.found(&*given.name, Finding::new(&rows::METADATA, cause, fix));
    }
    for note in &found.notes {
        tell(note, given, recorder);
    }
    if !given.elsewhere.is_empty() {
        recorder.found(&*given.name, elsewhere(given));
    }
    let right = found.problems.is_empty() && given.elsewhere.is_empty() && given.twice.is_empty();
    let resolved = metadata::resolve_for(of, &given.properties).ok();
    let Some(resolved) = resolved.filter(|_| right) else {
        let why = "the component's metadata can't be used as it stands, so no broker was asked";
        recorder.skipped(Stage::Names, &*given.name, why);
        return None;
    };
    let words = format!("{} keys can be used", given.properties.len());
    let seen = Seen::by(&resolved, words);
    recorder.fine(Stage::Settings, &*given.name, seen);
    Some(resolved.settings)
}

/// Keys that the YAML has more than once.
fn twice(given: &Given) -> Vec<Problem> {
    let twice = given.twice.iter();
    let problem = |key: &String| Problem {
        key: key.clone(),
        value: None,
        message: "given twice; daprd takes the last, keep one".into(),
    };
    twice.map(problem).collect()
}

/// What to write instead.
fn fix(problem: &Problem) -> Fix {
    let written = problem.key.clone();
    let known = keys::find(&written).map(|(key, _)| key);
    match known {
        Some(key) if matches!(key.support, Support::Refused(_)) => {
            Fix::words("Remove the key; docs/metadata.md says what to use instead").remove(written)
        }
        _ if problem.message.starts_with("given twice, as") => {
            Fix::words("Keep one of the two").remove(written)
        }
        _ if problem.message.starts_with("given twice") => Fix::words("Keep one of the two"),
        Some(key) => {
            let text = "Write a value that can be used; docs/metadata.md has all keys";
            Fix::words(text).set(written, placeholder(key))
        }
        None => Fix::words("Write a value that can be used").set(written, "<a value>"),
    }
}

/// What only the user knows, in words.
fn placeholder(key: &Key) -> String {
    let kind = match key.kind {
        Kind::Words(words) => return format!("<one of {}>", words.join(", ")),
        Kind::Text => "a text",
        Kind::Flag => "true or false",
        Kind::Number => "a number",
        Kind::Bytes => "a number of bytes",
        Kind::Seconds | Kind::Millis | Kind::Duration => "a duration",
    };
    match key.example.or(key.default) {
        Some(example) if !key.secret => format!("<{kind}, such as {example}>"),
        _ => format!("<{kind}>"),
    }
}

/// A note of the metadata's: a warning, unless the key is one of the built-in's that has no
/// effect here by nature, or nothing is to be done about it.
fn tell(note: &str, given: &Given, recorder: &Recorder) {
    let written = note.split(' ').next().unwrap_or_default();
    let known = keys::find(written).map(|(key, _)| key);
    let cause = shortened(note);
    match known {
        Some(key) if matches!(key.support, Support::Inert) => {
            recorder.skipped(Stage::Settings, written, cause);
        }
        // It asks for no TLS where there is none: the same Component with a login needs it.
        Some(key) if key.name == "disableTls" => {}
        Some(_) if note.contains("has no effect") => {
            let fix = Fix::words("Remove the key, or the one that it is for is to be given");
            let finding =
                Finding::new(&rows::WITHOUT_EFFECT, cause, fix.remove(written.to_owned()));
            recorder.found(&*given.name, finding);
        }
        Some(_) => {}
        None => {
            let meant = note
                .rsplit_once("did you mean ")
                .map(|(_, name)| name.trim_end_matches('?'));
            let meant = meant.and_then(keys::find);
            let fix = match meant {
                Some((_, name)) => {
                    let fix = Fix::words(format!("Write `{name}` instead, or remove the key"));
                    let value = given.properties.get(written).map(String::as_str);
                    let value = value.filter(|value| may_show(value));
                    fix.set(name, value.unwrap_or("<the value>"))
                }
                None => Fix::words("Remove the key"),
            };
            let cause = cause.trim_end_matches('?');
            let fix = fix.remove(written.to_owned());
            recorder.found(
                &*given.name,
                Finding::new(&rows::WITHOUT_EFFECT, cause, fix),
            );
        }
    }
}

/// Whether an unknown key's value may be shown. Nobody knows what it is, so only a flag or a
/// small number.
fn may_show(value: &str) -> bool {
    let is_short = value.len() <= 5;
    is_short && (value.parse::<bool>().is_ok() || value.parse::<u32>().is_ok())
}

fn elsewhere(given: &Given) -> Finding {
    let (name, keys) = (&given.name, given.elsewhere.join(", "));
    let each: Vec<_> = given
        .elsewhere
        .iter()
        .map(|key| format!("--set {key}=VALUE"))
        .collect();
    let cause = shortened(&format!("only daprd can look up {keys}"));
    let text = format!(
        "Where the component runs, ask the running process; anywhere else give the values: {}",
        shortened(&each.join(" "))
    );
    let fix = Fix::words(text).run(on_one_line(&format!(
        "dapr-rdkafka doctor --instance {name}"
    )));
    Finding::new(&rows::ELSEWHERE, cause, fix)
}

/// On one line, and not too long.
pub(in crate::doctor) fn shortened(text: &str) -> String {
    let text = on_one_line(text);
    let short = beginning(&text, LONGEST);
    if short.len() < text.len() {
        format!("{short}…")
    } else {
        text
    }
}
