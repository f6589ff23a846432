//! Which tests run on which daprd. One table: the tests are run by it, and tests/README.md shows it.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use harness::{DaprdBuild, Result, root};

use crate::{
    doctor, ensure,
    support::{Fixture, Test},
    system, tests,
};

tests!("matrix", each_named_test_exists, the_page_shows_the_table);

/// Tests that run on more than the usual daprd.
struct Row {
    /// What depends on the daprd.
    subject: &'static str,
    /// The daprds.
    daprds: &'static [DaprdBuild],
    /// The tests' names.
    tests: &'static [&'static str],
}

use DaprdBuild::{V1_16_5, V1_18_3, V1_18_4};

/// The builds that hand an app the messages of a stream one at a time.
const SERIAL: &[DaprdBuild] = &[V1_16_5, V1_18_3];
/// One build of each behaviour that was released.
const EACH: &[DaprdBuild] = &[V1_16_5, V1_18_3, V1_18_4];
/// Every build.
const ALL: &[DaprdBuild] = &DaprdBuild::ALL;

const ROWS: &[Row] = &[
    Row {
        subject: "Dispatch and order of each key over one stream",
        daprds: ALL,
        tests: &["system::dispatch::one_stream_hands_out_as_daprd_does"],
    },
    Row {
        subject: "Shutdown of daprd while the app works",
        daprds: ALL,
        tests: &["system::dispatch::a_daprd_that_ends_waits_for_its_app"],
    },
    Row {
        subject: "The log's advice about a serial stream",
        daprds: SERIAL,
        tests: &["system::lanes::that_one_stream_is_not_enough_is_told"],
    },
    Row {
        subject: "Order of each key over lanes",
        daprds: EACH,
        tests: &["system::lanes::lanes_of_a_topic_share_it_and_keep_the_order_of_keys"],
    },
    Row {
        subject: "Rollout: apps and daprds end and start under load",
        daprds: ALL,
        tests: &["system::rollout::fifty_rollouts_make_no_dead_letter_and_lose_nothing"],
    },
    Row {
        subject: "Hot reload of a Component, which Dapr 1.18 has on by default",
        daprds: EACH,
        tests: &["system::reload::a_changed_component_goes_on_without_loss"],
    },
    Row {
        subject: "Restart of component and daprd",
        daprds: EACH,
        tests: &[
            "system::restart::component_and_daprd_restarted_go_on_where_they_stopped",
            "system::daprds::after_a_crash_of_daprd_its_successor_goes_on",
        ],
    },
    Row {
        subject: "Rebalance: members join, leave and are killed",
        daprds: EACH,
        tests: &["system::ledger::nothing_is_lost_whatever_breaks"],
    },
    Row {
        subject: "The doctor's advice about a serial daprd",
        daprds: EACH,
        tests: &["system::doctor::daprs::a_daprd_that_uses_this_component_has_no_finding"],
    },
    Row {
        subject: "The built-in component's error on Redpanda, before its Sarama negotiated versions",
        daprds: &[V1_16_5],
        tests: &["system::doctor::redpanda::the_built_in_fails_on_redpanda_in_the_users_words"],
    },
    Row {
        subject: "Dapr's transactional outbox",
        daprds: EACH,
        tests: &["system::outbox::what_a_transaction_saved_is_published_once"],
    },
    Row {
        subject: "Drop-in for the built-in: the same records, the same events",
        daprds: EACH,
        tests: &[
            "system::differential::the_same_requests_become_the_same_records",
            "system::differential::an_app_gets_the_same_from_the_same_records",
        ],
    },
    Row {
        subject: "Bulk publish and subscribe",
        daprds: EACH,
        tests: &[
            "system::publish::cloud_events_raw_payloads_and_bulks_arrive",
            "system::publish::a_bulk_with_an_oversized_entry_publishes_nothing",
            "system::dispatch::a_bulk_subscription_gets_batches_if_daprd_is_concurrent",
        ],
    },
];

/// A test's trials: its name for each daprd that it runs on. Names are told apart by `@` and the
/// version where the table has a row for the test.
pub fn trials(name: &str) -> Vec<(String, DaprdBuild)> {
    let row = ROWS.iter().find(|row| row.tests.contains(&name));
    row.map_or_else(
        || vec![(name.to_owned(), DaprdBuild::USUAL)],
        |row| {
            let named = row.daprds.iter();
            let named = named.map(|daprd| (format!("{name}@{}", daprd.version()), *daprd));
            named.collect()
        },
    )
}

async fn each_named_test_exists(_: Arc<Fixture>) -> Result<()> {
    let all = [system::TESTS, system::topics::TESTS, &doctor::tests()].concat();
    let all: BTreeSet<_> = all.into_iter().map(|Test { name, .. }| name).collect();
    let mut seen = BTreeSet::new();
    for name in ROWS.iter().flat_map(|row| row.tests) {
        ensure!(all.contains(name), "no test is named {name}");
        ensure!(seen.insert(name), "{name} has two rows");
    }
    Ok(())
}

/// The table as tests/README.md has it.
fn table() -> String {
    let mut table = "| subject |".to_owned();
    for daprd in DaprdBuild::ALL {
        let _ = write!(table, " {} |", daprd.version());
    }
    table.push_str(" tests |\n|---|");
    table.push_str(&":-:|".repeat(DaprdBuild::ALL.len()));
    table.push_str("---|\n");
    for row in ROWS {
        let _ = write!(table, "| {} |", row.subject);
        for daprd in DaprdBuild::ALL {
            let runs = row.daprds.contains(&daprd);
            table.push_str(if runs { " yes |" } else { " |" });
        }
        let tests: Vec<_> = row.tests.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(table, " {} |", tests.join(", "));
    }
    let usual = |daprd| {
        if daprd == DaprdBuild::USUAL {
            " yes |"
        } else {
            " |"
        }
    };
    let usual: String = DaprdBuild::ALL.map(usual).concat();
    let _ = writeln!(
        table,
        "| Everything else with a daprd |{usual} all other tests of `system`, `doctor` and `pods` |"
    );
    table
}

async fn the_page_shows_the_table(_: Arc<Fixture>) -> Result<()> {
    let table = table();
    let page = std::fs::read_to_string(root().join("tests/README.md"))?;
    ensure!(
        page.contains(&table),
        "tests/README.md does not have the table of tests/integration/matrix.rs:\n\n{table}"
    );
    Ok(())
}
