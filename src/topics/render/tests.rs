use super::*;
use crate::topics::plan::What;

fn plan(name: &str, fate: Fate) -> Plan {
    let config = [(RETENTION.to_owned(), "604800000".to_owned())];
    Plan {
        wanted: Wanted {
            name: name.into(),
            partitions: Some(6),
            replication: None,
            config: config.into(),
        },
        allowed: false,
        fate,
        notes: Vec::new(),
    }
}

fn steps() -> Vec<Step> {
    let step = |name: &str, from: &str, to: &str, sort| Step {
        what: What::Config(name.into()),
        from: from.into(),
        to: to.into(),
        sort,
    };
    vec![
        step("segment.ms", "1", "2", Sort::Change(None)),
        step(RETENTION, "-1", "3600000", Sort::Risk("some go")),
        step("x", "not there", "a\nb", Sort::Impossible("mend it".into())),
    ]
}

#[test]
fn a_plan_is_read_at_a_glance() {
    let plans = [
        plan("new", Fate::Create),
        plan("same", Fate::Alter(Vec::new())),
        plan("other", Fate::Alter(steps())),
        plan("hidden", Fate::Unknown("not allowed".into())),
    ];
    let text: String = plans.iter().map(text).collect();
    let expected = "\
+ new  create: 6 partitions, replicas by the brokers' default, retention.ms=604800000 (7d)
= same  unchanged
x other
    ~ segment.ms 1 -> 2
    ! retention.ms -1 (forever) -> 3600000 (1h) (not without --allow other: some go)
    x x not there -> a\\nb: mend it
x hidden  not known: not allowed
";
    assert_eq!(text, expected);
    let summary = summary(&plans);
    assert_eq!(
        summary,
        "1 to create, 1 can't be as wanted, 1 not known, 1 unchanged"
    );
}

#[test]
fn what_came_of_it_is_told_of_each_step() {
    let plan = plan("other", Fate::Alter(steps()));
    let mut applied = Applied::new(&plan);
    applied.steps[0] = Some(Outcome::Done);
    applied.steps[1] = Some(Outcome::Left("some go".into()));
    let expected = "\
other
    segment.ms 1 -> 2: done
    retention.ms -1 (forever) -> 3600000 (1h): left: some go
    x not there -> a\\nb: not asked for
";
    assert_eq!(applied_text(&plan, &applied), expected);
    let json = applied_json(&plan, &applied);
    assert_eq!(json["steps"][0]["outcome"]["came"], "done");
    assert_eq!(json["steps"][1]["taken"], false);
    assert_eq!(json["steps"][2]["outcome"], Value::Null);
}
