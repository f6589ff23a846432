use proptest::prelude::*;

use super::*;
use crate::topics::wanted::{CLEANUP, RETENTION};

fn wanted(partitions: i32, replication: i16, config: &[(&str, &str)]) -> Wanted {
    let config = config.iter();
    Wanted {
        name: "t".into(),
        partitions: Some(partitions),
        replication: Some(replication),
        config: config
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn present(partitions: usize, replication: i32, config: &[(&str, &str)]) -> Present {
    Present {
        replicas: vec![(1..=replication).collect(); partitions],
        config: wanted(1, 1, config).config,
        own: config.iter().map(|(name, _)| (*name).to_owned()).collect(),
        moving: false,
    }
}

/// The plan for one topic of a cluster of three brokers.
fn planned(wanted: Wanted, known: Known) -> Plan {
    let known = [(wanted.name.clone(), known)].into();
    let mut plans = plan(vec![wanted], &known, 3, &BTreeSet::new());
    plans.pop().expect("one is wanted")
}

fn steps(wanted: Wanted, present: Present) -> Vec<Step> {
    planned(wanted, Known::There(present)).steps().to_vec()
}

/// The one step that a config's change is.
fn of_config(name: &str, from: &str, to: &str) -> Option<Sort> {
    let wanted = wanted(1, 3, &[(name, to)]);
    let mut steps = steps(wanted, present(1, 3, &[(name, from)]));
    assert!(steps.len() < 2, "{steps:?}");
    steps.pop().map(|step| step.sort)
}

fn shrinks(sort: Option<&Sort>) -> bool {
    matches!(sort, Some(Sort::Risk(_)))
}

fn changes(sort: Option<&Sort>) -> bool {
    matches!(sort, Some(Sort::Change(_)))
}

#[test]
fn what_is_missing_is_created_if_there_are_brokers_enough() {
    assert_eq!(
        planned(wanted(1, 3, &[]), Known::Missing(None)).fate,
        Fate::Create
    );
    let fate = planned(wanted(1, 4, &[]), Known::Missing(None)).fate;
    assert!(matches!(&fate, Fate::Impossible(why) if why.contains("3 of the cluster's are up")));
    let fate = planned(wanted(1, 3, &[]), Known::Not("x".into())).fate;
    assert_eq!(fate, Fate::Unknown("x".into()));
}

#[test]
fn what_is_as_wanted_has_no_steps() {
    let config = [(RETENTION, "1000"), (CLEANUP, "compact,delete")];
    let as_brokers_say = [
        (RETENTION, "1000"),
        (CLEANUP, "delete, compact"),
        ("other", "x"),
    ];
    assert_eq!(
        steps(wanted(2, 3, &config), present(2, 3, &as_brokers_say)),
        []
    );
    for (name, from, to) in [
        ("preallocate", "false", "False"),
        ("min.cleanable.dirty.ratio", "0.50", "0.5"),
    ] {
        assert_eq!(of_config(name, from, to), None, "{name}");
    }
    let large = of_config("segment.bytes", "9007199254740993", "9007199254740992");
    assert!(changes(large.as_ref()), "whole numbers are told apart");
}

#[test]
fn partitions_only_grow() {
    let more = steps(wanted(3, 3, &[]), present(2, 3, &[]));
    assert!(matches!(
        &more[..],
        [Step {
            what: What::Partitions,
            sort: Sort::Risk(_),
            ..
        }]
    ));
    let fewer = steps(wanted(1, 3, &[]), present(2, 3, &[]));
    let [
        Step {
            sort: Sort::Impossible(why),
            ..
        },
    ] = &fewer[..]
    else {
        panic!("{fewer:?}");
    };
    assert!(why.contains("takes no partitions away; want 2"), "{why}");
}

#[test]
fn replication_grows_as_far_as_there_are_brokers_and_fewer_is_a_risk() {
    let sort = |to, from| {
        steps(wanted(1, to, &[]), present(1, from, &[]))
            .pop()
            .map(|it| it.sort)
    };
    assert!(changes(sort(3, 1).as_ref()));
    assert!(shrinks(sort(1, 3).as_ref()));
    assert!(matches!(sort(4, 3), Some(Sort::Impossible(_))));
    let mut uneven = present(2, 3, &[]);
    uneven.replicas[1] = vec![1];
    let step = steps(wanted(2, 2, &[]), uneven.clone())
        .pop()
        .expect("it differs");
    assert_eq!(step.from, "1 to 3");
    assert!(
        matches!(step.sort, Sort::Risk(_)),
        "one of them loses a copy"
    );
    uneven.moving = true;
    let plan = planned(wanted(2, 2, &[]), Known::There(uneven));
    assert!(plan.notes[0].contains("being moved"));
}

#[test]
fn what_may_lose_data_or_safety_is_a_risk_one_way_only() {
    for (name, less, more) in [
        (RETENTION, "1000", "2000"),
        (RETENTION, "1000", "-1"),
        ("retention.bytes", "1", "-1"),
        (MIN_IN_SYNC, "1", "2"),
        ("max.message.bytes", "1000", "2000"),
        ("delete.retention.ms", "1", "2"),
        ("min.compaction.lag.ms", "0", "1"),
        ("max.compaction.lag.ms", "1", "9223372036854775807"),
        ("unclean.leader.election.enable", "true", "false"),
        ("remote.storage.enable", "false", "true"),
        (CLEANUP, "compact", "delete"),
        (CLEANUP, "compact,delete", "delete"),
        (CLEANUP, "compact,delete", "compact"),
    ] {
        assert!(
            shrinks(of_config(name, more, less).as_ref()),
            "{name}: {more} to {less}"
        );
        let back = of_config(name, less, more);
        let back = back.as_ref();
        let both = (less, more) == ("compact", "delete");
        assert!(
            if both { shrinks(back) } else { changes(back) },
            "{name}: {less} to {more}"
        );
    }
    assert!(
        changes(of_config("segment.ms", "2", "1").as_ref()),
        "that loses nothing"
    );
}

#[test]
fn what_may_lose_something_is_taken_only_if_it_is_allowed() {
    let wanted = wanted(1, 3, &[(RETENTION, "1"), ("segment.ms", "1")]);
    let known = Known::There(present(1, 3, &[(RETENTION, "2"), ("segment.ms", "2")]));
    let taken = |allowed: &[&str]| {
        let allowed = allowed.iter().map(|name| (*name).to_owned()).collect();
        let known = [("t".to_owned(), known.clone())].into();
        let plan = plan(vec![wanted.clone()], &known, 3, &allowed).remove(0);
        let steps = plan.steps().iter();
        steps.map(|step| plan.takes(step)).collect::<Vec<_>>()
    };
    assert_eq!(taken(&[]), [false, true]);
    assert_eq!(taken(&["other"]), [false, true]);
    assert_eq!(taken(&["t"]), [true, true]);
}

#[test]
fn a_topic_never_waits_for_more_replicas_than_it_will_have() {
    let two = [(MIN_IN_SYNC, "2")];
    let one = [(MIN_IN_SYNC, "1")];
    let alone = Wanted {
        replication: None,
        ..wanted(1, 1, &two)
    };
    let stuck = steps(alone, present(1, 1, &one));
    assert!(matches!(stuck[0].sort, Sort::Impossible(_)), "{stuck:?}");
    let grows = steps(wanted(1, 3, &two), present(1, 1, &one));
    assert!(
        grows
            .iter()
            .all(|step| matches!(step.sort, Sort::Change(_))),
        "{grows:?}"
    );
    let cant_grow = steps(wanted(1, 4, &two), present(1, 1, &one));
    assert!(
        cant_grow
            .iter()
            .all(|step| matches!(step.sort, Sort::Impossible(_)))
    );
}

#[test]
fn configs_that_brokers_do_not_have_are_named() {
    let plan = planned(
        wanted(1, 3, &[(MIN_IN_SYNC, "2"), ("retention.mss", "1")]),
        Known::There(present(1, 3, &[(RETENTION, "1")])),
    );
    assert!(
        plan.notes[0].contains("have no min.insync.replicas"),
        "{plan:?}"
    );
    assert!(matches!(
        plan.steps(),
        [Step {
            sort: Sort::Impossible(_),
            ..
        }]
    ));
}

#[test]
fn a_value_that_only_the_default_gives_is_pinned_once() {
    let wanted = wanted(1, 3, &[(RETENTION, "1000")]);
    let mut present = present(1, 3, &[(RETENTION, "1000")]);
    present.own.clear();
    let pins = steps(wanted.clone(), present.clone());
    let [step] = &pins[..] else {
        panic!("{pins:?}");
    };
    assert_eq!((&*step.from, &*step.to), ("1000", "1000"));
    assert!(matches!(step.sort, Sort::Change(Some(note)) if note.contains("default")));
    present.own.insert(RETENTION.to_owned());
    assert_eq!(steps(wanted, present), []);
}

#[test]
fn fewer_replicas_than_a_write_waits_for_are_refused_by_name() {
    let refused = |sort: Option<&Sort>| {
        matches!(sort, Some(Sort::Impossible(why))
            if why.contains("min.insync.replicas is 2") && why.contains("want at least 2"))
    };
    // The topic's own, or the brokers' default: the brokers tell both alike.
    let two = present(1, 3, &[(MIN_IN_SYNC, "2")]);
    let fewer = steps(wanted(1, 1, &[]), two.clone());
    assert!(refused(fewer.first().map(|step| &step.sort)), "{fewer:?}");
    let enough = steps(wanted(1, 2, &[]), two.clone());
    assert!(shrinks(enough.first().map(|step| &step.sort)), "{enough:?}");
    let both = steps(wanted(1, 1, &[(MIN_IN_SYNC, "1")]), two);
    assert!(
        both.iter().all(|step| shrinks(Some(&step.sort))),
        "{both:?}"
    );

    let by_default = planned(wanted(1, 1, &[]), Known::Missing(Some(2))).fate;
    assert!(
        matches!(&by_default, Fate::Impossible(why) if why.contains("min.insync.replicas is 2"))
    );
    let own = planned(wanted(1, 1, &[(MIN_IN_SYNC, "1")]), Known::Missing(Some(2)));
    assert_eq!(own.fate, Fate::Create);
}

proptest! {
    /// What was applied is as it is wanted: a second plan is empty.
    #[test]
    fn a_plan_that_was_taken_leaves_nothing(
        (to, from) in (1_i32..6, 1_usize..6), (more, less) in (1_i16..4, 1_i32..4),
        (kept, was) in (-1_i64..5, -1_i64..5), (policy, before) in (0_usize..3, 0_usize..3),
    ) {
        let policies = ["delete", "compact", "compact,delete"];
        let (kept, was) = (kept.to_string(), was.to_string());
        let wanted = wanted(to, more, &[(RETENTION, &kept), (CLEANUP, policies[policy])]);
        let mut present = present(from, less, &[(RETENTION, &was), (CLEANUP, policies[before])]);
        let known = [("t".to_owned(), Known::There(present.clone()))].into();
        let allowed = ["t".to_owned()].into();
        let plan = plan(vec![wanted.clone()], &known, 3, &allowed).remove(0);
        for step in plan.steps().iter().filter(|step| plan.takes(step)) {
            match &step.what {
                What::Partitions => present.replicas.resize(to.unsigned_abs() as usize, present.replicas[0].clone()),
                What::Replication => {}
                What::Config(name) => {
                    present.config.insert(name.clone(), step.to.clone());
                    present.own.insert(name.clone());
                }
            }
        }
        for replicas in &mut present.replicas {
            *replicas = (1..=more.into()).collect();
        }
        let left = steps(wanted, present);
        prop_assert!(left.iter().all(|step| matches!(step.sort, Sort::Impossible(_))), "{:?}", left);
        prop_assert_eq!(left.is_empty(), to.unsigned_abs() as usize >= from);
    }
}
