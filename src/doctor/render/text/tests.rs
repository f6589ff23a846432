use super::*;
use crate::doctor::{Recorder, rows};

fn report() -> Report {
    let recorder = Recorder::default();
    let fix = Fix::words("Write the port of a listener that is for Kafka, and not the one that is for people or for other brokers")
        .set("brokers", "<host:port>")
        .set("caCert", "<\u{1b}[2J \"x\">")
        .remove("disable tls")
        .run("kafka-topics.sh --bootstrap-server <bootstrap> --create --topic orders --partitions 3 --replication-factor 1");
    let cause = "brokers: \u{1b}[31mred";
    let row = &rows::settings::METADATA;
    recorder.found("todo\nb", Finding::new(row, cause, fix));
    let row = &rows::settings::WITHOUT_EFFECT;
    recorder.found(
        "todo",
        Finding::new(row, "x has no effect", Fix::words("Remove it").remove("x")),
    );
    recorder.skipped(
        Stage::Group,
        "consumer group",
        "it is not known which one the component uses",
    );
    let mut report = recorder.report();
    report.given.insert("brokers".into());
    report
}

#[test]
fn it_begins_with_the_verdict_and_tells_what_to_paste() {
    let text = text("todo", &report(), Verdict::Problems, false);
    let expected = "\
todo: 1 problem, 1 warning: The component's metadata can't be used

RDK-CFG-01 problem: The component's metadata can't be used
  where  todo\\nb
  cause  brokers: \\u{1b}[31mred
  why    Init refuses it, and daprd goes on without the component or ends.
  fix    Write the port of a listener that is for Kafka, and not the one that is for people or for
         other brokers
  # replace:
  - name: brokers
    value: \"<host:port>\"
  # add:
  - name: caCert
    value: \"<\\u001b[2J \\\"x\\\">\"
  # remove: \"disable tls\"
    $ kafka-topics.sh --bootstrap-server '<bootstrap>' --create --topic orders --partitions 3 --replication-factor 1

RDK-CFG-02 warning: A key has no effect
  where  todo
  cause  x has no effect
  why    Whoever wrote it wanted something that does not happen.
  fix    Remove it
  # remove: x

Not checked
  group, consumer group: it is not known which one the component uses

";
    assert_eq!(text, expected);
}

#[test]
fn colours_are_only_there_when_they_are_wanted() {
    let with = text("todo", &report(), Verdict::Problems, true);
    assert!(
        with.contains("\u{1b}[1;31mRDK-CFG-01 problem\u{1b}[0m"),
        "{with}"
    );
    let mut without = with;
    for colour in [RED, YELLOW, GREEN, BOLD, "0"] {
        without = without.replace(&format!("\u{1b}[{colour}m"), "");
    }
    assert_eq!(without, text("todo", &report(), Verdict::Problems, false));
}

#[test]
fn what_is_fine_is_wrapped_and_not_cut() {
    let recorder = Recorder::default();
    let answer = crate::doctor::wire::Answered {
        value: (),
        version: 0,
    };
    for stage in [Stage::Permissions, Stage::RoundTrip] {
        for subject in ["topic orders", "topic payments"] {
            let words = "what is seen here is told to its end, which a line has no room for";
            recorder.fine(stage, subject, crate::doctor::Seen::by(&answer, words));
        }
    }
    let text = text("todo", &recorder.report(), Verdict::Fine, false);
    let expected = "\
Fine
  permissions   topic orders: what is seen here is told to its end, which a line has no room for;
                topic payments: what is seen here is told to its end, which a line has no room for
  round trip    topic orders: what is seen here is told to its end, which a line has no room for
                topic payments: what is seen here is told to its end, which a line has no room for
";
    assert!(text.contains(expected), "{text}");
}

proptest::proptest! {
    #[test]
    fn lines_are_no_wider_and_lose_nothing(words in "[a-zé]{1,20}( [a-zé]{1,20}){0,30}") {
        let lines = wrapped(&words, 40);
        proptest::prop_assert!(lines.iter().all(|line| line.chars().count() <= 40));
        proptest::prop_assert_eq!(lines.join(" "), words);
    }

    #[test]
    fn what_is_to_be_pasted_is_yaml(key in "\\PC{1,20}", value in "(?s).{0,60}") {
        let written = format!("- name: {}\n  value: {}", yaml(&key), in_yaml(&value));
        let read: Vec<std::collections::BTreeMap<String, serde_norway::Value>> =
            serde_norway::from_str(&written).expect("it is YAML");
        proptest::prop_assert_eq!(read[0]["value"].as_str(), Some(&*value));
    }
}
