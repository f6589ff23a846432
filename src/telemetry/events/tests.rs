use super::*;
use crate::model::dead_letter::Failure;
use crate::telemetry::metrics::tests::rendered;

const WHO: &str = "component=\"todo-pubsub\"";

fn member() -> Member {
    Member {
        component: "todo-pubsub".into(),
        group: "todo".into(),
    }
}

fn moves(emitted: impl FnOnce(), name: &str, labels: &str) {
    let text = rendered(emitted);
    let line = format!("dapr_rdkafka_{name}{{{WHO},{labels}}} 1\n");
    assert!(text.contains(&line), "{line} is not in:\n{text}");
}

#[test]
fn a_position_says_how_many_later_records_are_done() {
    let at = |partition| TopicPartition::new("orders", partition);
    let some = Progress {
        point: Offset(7),
        above: vec![Offset(9)..Offset(11), Offset(20)..Offset(21)],
    };
    let told = positions(&[(at(0), Offset(5).into()), (at(1), some)]);
    assert_eq!(told, "orders/0@5, orders/1@7 (but 3 later are done)");
}

#[test]
fn a_line_names_some_partitions_and_counts_the_others() {
    let at = |partition| (TopicPartition::new("orders", partition), Offset(5).into());
    let many: Vec<_> = (0..1000).map(at).collect();
    let told = positions(&many);
    assert!(told.ends_with("orders/19@5 and 980 more"), "{told}");
    assert!(positions(&many[..20]).ends_with("orders/19@5"));
}

#[test]
fn what_happens_in_a_group_is_counted_for_it() {
    let (instance, at) = (&member(), &TopicPartition::new("orders", 3));
    let offsets = &[(at.clone(), Offset(7).into())];
    let reason = "because";
    let of = |result| format!("group=\"todo\",result=\"{result}\"");
    moves(
        || Committed { instance, offsets }.emit(),
        "commits_total",
        &of("ok"),
    );
    let failed = CommitFailed {
        instance,
        offsets,
        reason,
    };
    moves(|| failed.emit(), "commits_total", &of("failed"));
    let of = |event| format!("group=\"todo\",event=\"{event}\"");
    let assigned = Assigned {
        instance,
        starts: offsets,
    };
    moves(|| assigned.emit(), "rebalances_total", &of("assigned"));
    let revoked = Revoked {
        instance,
        partitions: 1,
        unanswered: 0,
    };
    moves(|| revoked.emit(), "rebalances_total", &of("revoked"));
    let of_topic = "topic=\"orders\",group=\"todo\"";
    let returned = Returned {
        instance,
        topic: &at.topic,
        reason,
    };
    moves(|| returned.emit(), "redeliveries_total", of_topic);
    let moved = OutOfRange {
        instance,
        at,
        from: Offset(7),
        to: Offset(9),
        reason: Reason::Removed(2),
    };
    moves(|| moved.emit(), "out_of_range_total", of_topic);
    let refused = Refused {
        instance,
        at,
        offset: Offset(7),
        failed: 1,
        delay: Duration::ZERO,
        standing: "the records of its key wait",
        reason,
    };
    moves(|| refused.emit(), "retries_total", of_topic);
    let passed = PassedOver {
        instance,
        at,
        offset: Offset(7),
    };
    moves(|| passed.emit(), "passed_over_total", of_topic);
}

#[test]
fn the_line_about_a_cut_log_names_its_end_and_where_reading_continues() {
    let (instance, at) = (&member(), &TopicPartition::new("orders", 3));
    let told = |to| {
        let (from, reason) = (Offset(25), Reason::Truncated(5));
        let moved = OutOfRange {
            instance,
            at,
            from,
            to: Offset(to),
            reason,
        };
        moved.text()
    };
    let unfinished = told(12);
    assert!(
        unfinished.contains("offset 25 is out of range"),
        "{unfinished}"
    );
    assert!(unfinished.contains("its log ends at 20. "), "{unfinished}");
    assert!(unfinished.contains("lost 5 offsets"), "{unfinished}");
    assert!(
        unfinished.contains("Continuing at 12, the commit point"),
        "{unfinished}"
    );
    let finished = told(20);
    assert!(finished.contains("its log ends at 20. "), "{finished}");
    assert!(
        finished.contains("Continuing at 20, the log's end"),
        "{finished}"
    );
}

#[test]
fn dead_letters_are_counted_by_why_and_whether_they_were_written() {
    let (instance, at) = (&member(), &TopicPartition::new("orders", 3));
    let (topic, reason) = ("orders.dlq", "because");
    let of_topic = "topic=\"orders\",group=\"todo\"";
    let written = DeadLettered {
        instance,
        at,
        offset: Offset(7),
        topic,
        failure: Failure::Rejected,
        deliveries: 3,
        reason,
    };
    let by_reason = format!("{of_topic},reason=\"rejected\"");
    moves(|| written.emit(), "dlq_published_total", &by_reason);
    let delayed = DeadLetterDelayed {
        instance,
        at,
        offset: Offset(7),
        topic,
        failed: 1,
        delay: Duration::ZERO,
        reason,
    };
    moves(|| delayed.emit(), "dlq_publish_failures_total", of_topic);
}

#[test]
fn answers_are_measured_and_new_clients_counted() {
    let answered = Answered {
        instance: &member(),
        topic: &"orders".into(),
        outcome: "ack",
        took: Duration::from_millis(7),
    };
    moves(
        || answered.emit(),
        "process_duration_seconds_count",
        "topic=\"orders\",group=\"todo\",outcome=\"ack\"",
    );
    let anew = MadeAnew {
        instance: &"todo-pubsub".into(),
        client: "producer",
        reason: "because",
    };
    moves(
        || anew.emit(),
        "clients_made_anew_total",
        "client=\"producer\"",
    );
}

#[test]
fn asking_daprd_is_counted_by_what_came_of_it() {
    for (failed, result) in [(None, "ok"), (Some("refused"), "failed")] {
        let (daprd, proof) = ("http://127.0.0.1:3500", "a call");
        let asked = DaprdShutdown {
            daprd,
            proof,
            failed,
        };
        let text = rendered(|| asked.emit());
        let line = format!("dapr_rdkafka_daprd_shutdowns_total{{result=\"{result}\"}} 1\n");
        assert!(text.contains(&line), "{line} is not in:\n{text}");
    }
}

#[test]
fn what_is_served_and_what_is_not_are_two_figures() {
    let text = rendered(|| served(2, 1));
    for line in [
        "dapr_rdkafka_instances 2\n",
        "dapr_rdkafka_uninitialised 1\n",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
}

#[test]
fn a_topic_that_nothing_reached_is_no_label() {
    let failed = PublishFailed {
        instance: &"todo-pubsub".into(),
        topic: None,
        took: Duration::ZERO,
        reason: "because",
    };
    moves(
        || failed.emit(),
        "published_messages_total",
        "topic=\"\",result=\"failed\"",
    );
}
