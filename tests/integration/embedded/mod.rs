//! The component on the embedded broker, with a client that plays daprd.

mod config;
mod delivery;
mod endpoints;
mod headers;
mod heal;
mod init;
mod instances;
mod lanes;
mod limits;
mod probe;
mod publish;
mod renewal;
mod secrets;
mod shutdown;
mod silent;
mod sockets;
mod topics;

use std::collections::HashMap;

use dapr_rdkafka::kafka::EmbeddedBroker;
use harness::{Component, Result};

use crate::{
    support::{
        Place,
        player::{Player, properties},
    },
    tests,
};

tests!("embedded":
    config::librdkafka_takes_the_keys_at_their_bounds,
    config::the_samples_are_right,
    config::transactions_are_refused_by_name,
    config::what_is_wrong_is_told_to_scripts_by_the_exit_code,
    delivery::every_commit_reaches_the_broker,
    delivery::a_refused_record_comes_again_and_the_others_of_its_key_wait,
    delivery::keys_run_concurrently_and_equal_keys_in_order,
    delivery::no_verdict_is_delivered_again_soon,
    delivery::in_the_built_ins_place_a_refused_record_holds_its_partition,
    delivery::paused_nothing_is_delivered,
    delivery::an_app_that_is_gone_is_tried_and_an_untrue_ack_is_not_believed,
    delivery::what_a_cut_stream_had_comes_again_on_another,
    endpoints::a_name_that_two_instances_have_is_no_guess,
    endpoints::a_taken_port_is_a_warning,
    endpoints::metrics_move_with_what_happens,
    endpoints::properties_are_for_the_own_user_only,
    endpoints::the_diagnosis_names_a_component_without_init,
    endpoints::the_diagnosis_names_brokers_that_went_away,
    endpoints::who_is_slow_or_sends_too_much_gets_nothing,
    headers::odd_records_leave_the_stream_alive,
    headers::the_trace_of_a_null_stays_here,
    heal::daprd_is_asked_once_per_start_and_within_the_hours_limit,
    heal::a_refusal_is_told_and_counts_for_nothing,
    heal::a_component_that_daprd_only_lists_is_counted,
    heal::without_its_folder_the_component_runs_unhealed,
    heal::without_proof_nothing_is_asked,
    init::a_broker_that_cant_be_reached_is_named_with_its_cause,
    init::bad_metadata_is_reported_at_once,
    init::the_component_starts_without_brokers_if_told_to,
    instances::a_call_without_init_says_so,
    instances::a_second_init_does_not_wait_for_a_slow_app,
    instances::a_second_init_lets_the_first_finish,
    instances::a_second_init_replaces_the_first,
    instances::a_second_init_that_fails_leaves_nothing_behind,
    instances::an_instance_outlives_its_connections,
    lanes::both_separators_and_the_plain_name_share_a_topic,
    lanes::the_lanes_of_an_app_are_printed_and_work,
    lanes::without_lanes_the_exit_code_and_a_line_say_why,
    limits::a_request_over_the_limit_fails_alone,
    limits::a_socket_survives_a_process_without_files,
    limits::an_instance_has_so_many_streams,
    limits::calls_that_are_given_up_together_break_no_stream,
    limits::what_is_over_a_limit_is_refused_by_name,
    probe::a_probe_waits_as_long_as_it_was_told,
    probe::a_running_component_passes_and_a_hanging_one_does_not,
    probe::connections_to_the_admin_port_keep_no_liveness_waiting,
    probe::what_is_wrong_with_a_socket_is_named_with_the_remedy,
    probe::who_may_not_open_the_socket_is_told_whose_it_is,
    publish::a_message_carries_its_metadata,
    publish::a_partition_number_is_honoured,
    publish::a_publish_in_a_transaction_is_refused_by_name,
    publish::a_schema_is_refused_by_name,
    publish::a_tombstone_goes_around,
    publish::a_bulk_with_an_entry_that_cant_be_publishes_nothing,
    publish::a_topic_that_cant_be_is_refused_by_name,
    publish::a_broker_that_is_silent_is_named_by_the_failed_publish,
    publish::without_a_broker_publish_ends_in_time_and_says_what_is_known,
    renewal::an_offset_that_is_called_out_of_range_and_is_there_brings_nothing_back,
    renewal::a_consumer_that_is_broken_for_good_is_made_anew_behind_its_streams,
    renewal::a_producer_that_is_refused_idempotent_writes_says_so_and_is_made_anew,
    secrets::no_secret_is_shown_in_json,
    secrets::no_secret_is_shown_in_text,
    shutdown::publish_is_served_until_daprd_has_gone,
    shutdown::what_is_not_answered_in_time_is_told_by_the_exit_code,
    silent::a_silent_coordinator_stops_no_partition,
    silent::a_silent_leader_holds_up_its_own_partitions_only,
    sockets::a_socket_that_daprd_may_not_open_is_told_at_start,
    sockets::daprd_can_discover_the_service,
    sockets::others_may_not_write_whatever_the_umask,
    sockets::the_embedded_broker_prints_its_address_first,
    sockets::the_sockets_go_with_the_process_and_live_ones_are_refused,
    topics::topics_that_come_together_join_once,
);

/// A component on a broker of its own.
struct Bench {
    broker: EmbeddedBroker,
    place: Place,
    component: Component,
}

impl Bench {
    async fn start(topics: &[&str]) -> Result<Self> {
        let broker = EmbeddedBroker::start(topics.iter().copied())?;
        let place = Place::new()?;
        let component = place.component().await?;
        Ok(Self {
            broker,
            place,
            component,
        })
    }

    fn properties(&self, more: &[(&str, &str)]) -> Result<HashMap<String, String>> {
        Ok(properties(&self.broker.address()?, "group", more))
    }

    async fn player(&self) -> Result<Player> {
        Player::start(&self.place.socket("rdkafka"), self.properties(&[])?).await
    }
}
