use super::*;

fn app(subscriptions: &[(&str, &str)]) -> Vec<Subscription> {
    let all = subscriptions.iter().map(|(pubsub, topic)| Subscription {
        pubsub: (*pubsub).into(),
        topic: (*topic).into(),
        default_route: "/events".into(),
        ..Subscription::default()
    });
    all.collect()
}

fn asked(pubsub: Option<&str>, topics: &[&str], count: u16) -> Selection {
    Selection {
        pubsub: pubsub.map(str::to_owned),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        count,
        app_ids: Vec::new(),
    }
}

fn chosen(plan: Result<Plan, NoPlan>) -> String {
    let plan = plan.expect("there is a plan");
    let topics = plan.subscriptions.iter().map(|one| one.topic.as_str());
    topics.collect::<Vec<_>>().join(" ")
}

fn refused(plan: Result<Plan, NoPlan>) -> String {
    match plan {
        Err(NoPlan::Selection(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_topics_of_the_only_component_get_lanes_unless_some_are_named() {
    let all = || app(&[("todo", "b"), ("todo", "a"), ("todo", "c")]);
    assert_eq!(chosen(plan(all(), &asked(None, &[], 15))), "a b c");
    assert_eq!(
        chosen(plan(all(), &asked(Some("todo"), &["c", "a"], 15))),
        "a c"
    );
    let missing = refused(plan(all(), &asked(None, &["a", "d"], 15)));
    assert!(
        missing.contains("\"d\" of \"todo\", but to \"a\", \"b\", \"c\""),
        "{missing}"
    );
}

#[test]
fn of_several_components_one_must_be_chosen() {
    let all = || app(&[("todo", "a"), ("redis", "a")]);
    let several = refused(plan(all(), &asked(None, &[], 15)));
    assert!(
        several.contains("with --pubsub: \"redis\", \"todo\""),
        "{several}"
    );
    let plan_of_one = plan(all(), &asked(Some("redis"), &[], 15)).expect("it is there");
    assert_eq!(plan_of_one.subscriptions[0].pubsub, "redis");
    assert_eq!(plan_of_one.subscriptions.len(), 1);
    let missing = refused(plan(all(), &asked(Some("kafka"), &[], 15)));
    assert!(
        missing.contains("--pubsub \"kafka\", but to \"redis\", \"todo\""),
        "{missing}"
    );
}

#[test]
fn lanes_of_the_app_itself_are_not_doubled() {
    let all = || {
        app(&[
            ("todo", "a"),
            ("todo", "a#1"),
            ("todo", "a~1"),
            ("todo", "b~x"),
            ("todo", "c"),
        ])
    };
    let made = plan(all(), &asked(None, &[], 15)).expect("one is without lanes");
    assert_eq!(
        made.notes,
        [
            "\"a\" gets no lanes: the app opens 2 of its own",
            "\"b\" gets no lanes: the app opens 1 of its own"
        ]
    );
    assert_eq!(chosen(Ok(made)), "c");
    let only = plan(all(), &asked(None, &["b"], 15)).expect_err("it has lanes");
    assert!(matches!(only, NoPlan::Nothing(notes) if notes.len() == 1));
}

#[test]
fn what_daprd_drops_gets_no_lanes_and_of_doubles_the_last_counts() {
    let mut all = app(&[("todo", "a"), ("todo", "b"), ("todo", "a"), ("todo", "a")]);
    all[1].default_route.clear();
    all[2].default_route = "/last".into();
    all[3].default_route.clear();
    let made = plan(all, &asked(None, &[], 15)).expect("there is one");
    assert_eq!(made.subscriptions.len(), 1);
    assert_eq!(made.subscriptions[0].default_route, "/last");
    assert_eq!(made.notes.len(), 3, "{:?}", made.notes);
}

#[test]
fn a_name_that_kafka_does_not_take_is_left_out_and_said() {
    let made = plan(
        app(&[("todo", "a b"), ("todo", ""), ("todo", "c")]),
        &asked(None, &[], 15),
    );
    let made = made.expect("one is right");
    assert!(
        made.notes.len() == 2 && made.notes[1].contains("can't be a Kafka topic"),
        "{:?}",
        made.notes
    );
    assert_eq!(chosen(Ok(made)), "c");
}

#[test]
fn nothing_is_said_to_be_nothing() {
    assert_eq!(
        plan(Vec::new(), &asked(None, &[], 15)),
        Err(NoPlan::Nothing(Vec::new()))
    );
    assert_eq!(
        plan(Vec::new(), &asked(Some("todo"), &["a"], 15)),
        Err(NoPlan::Nothing(Vec::new()))
    );
}

#[test]
fn no_more_streams_than_a_component_takes() {
    let all = || app(&[("todo", "a"), ("todo", "b"), ("todo", "c#1")]);
    assert_eq!(chosen(plan(all(), &asked(None, &["a"], 893))), "a");
    let too_many = refused(plan(all(), &asked(None, &["a"], 894)));
    assert!(
        too_many.contains("are 897 streams; a component takes 896. Use --count 893"),
        "{too_many}"
    );
    let both = refused(plan(all(), &asked(None, &[], 447)));
    assert!(both.contains("Use --count 446"), "{both}");
    assert_eq!(chosen(plan(all(), &asked(None, &[], 446))), "a b");
    let names: Vec<_> = (0..600).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(|name| ("todo", name.as_str())).collect();
    let crowd = refused(plan(app(&names), &asked(None, &[], 1)));
    assert!(
        crowd.ends_with("Choose fewer topics with --topic"),
        "{crowd}"
    );
}

proptest::proptest! {
    #[test]
    fn a_plan_always_fits_and_holds_topics_that_kafka_takes(
        topics in proptest::collection::vec("[ab~#]{0,3}", 0..8),
        count in 1_u16..=895,
    ) {
        let topics: Vec<_> = topics.iter().map(|topic| ("todo", topic.as_str())).collect();
        let Ok(plan) = plan(app(&topics), &asked(None, &[], count)) else {
            return Ok(());
        };
        let lanes = plan.subscriptions.len() * usize::from(count);
        proptest::prop_assert!(lanes + plan.subscriptions.len() <= MOST_STREAMS);
        for one in &plan.subscriptions {
            proptest::prop_assert!(check_topic(&one.topic).is_ok());
        }
    }
}
