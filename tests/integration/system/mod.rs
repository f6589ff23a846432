//! The component with the real daprd and a real Kafka.

mod brokers;
mod daprds;
mod partitions;
mod publish;
mod rebalance;
mod restart;
mod retention;
mod todo;

use crate::tests;

tests!("system":
    brokers::a_broker_that_comes_later_is_used,
    brokers::a_broker_that_crashed_and_came_back_loses_nothing,
    brokers::a_missing_topic_is_read_from_its_first_message,
    daprds::after_a_crash_of_daprd_its_successor_goes_on,
    daprds::as_kafka_the_component_takes_the_built_ins_place,
    daprds::two_daprds_that_share_the_folder_keep_their_groups,
    partitions::keys_go_where_the_built_in_puts_them,
    publish::a_bulk_with_an_oversized_entry_fails_for_the_app,
    publish::cloud_events_raw_payloads_and_bulks_arrive,
    publish::large_requests_are_taken,
    rebalance::members_come_and_go_and_nothing_is_lost,
    restart::a_restarted_component_goes_on_at_once,
    restart::component_and_daprd_restarted_go_on_where_they_stopped,
    retention::a_group_that_comes_back_too_late_goes_on_at_what_is_left,
    retention::a_reader_that_falls_behind_retention_goes_on_at_what_is_left,
    todo::all_six_topics_go_around,
);
