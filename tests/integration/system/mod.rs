//! The component with the real daprd and a real Kafka.

mod above;
mod admin;
mod batches;
mod brokers;
mod conformance;
mod daprds;
pub mod dead_letters;
mod differential;
mod dispatch;
mod dlq;
mod files;
mod hang;
mod heal;
mod isolation;
mod lanes;
mod ledger;
pub mod memory;
mod metrics;
mod migration;
mod monitoring;
mod outage;
mod outbox;
mod partitions;
mod publish;
pub mod rebalance;
mod recreated;
mod redriven;
mod reload;
mod restart;
mod resume;
mod retention;
mod rollout;
mod runbook;
mod security;
pub mod todo;
mod tokens;
pub mod topics;

use crate::tests;

tests!("system":
    above::a_topic_that_is_gone_keeps_no_other_from_being_committed,
    above::brokers_that_take_no_metadata_get_offsets_alone,
    above::however_a_member_ends_only_the_refused_record_comes_again,
    above::what_is_said_of_another_topic_hides_no_record,
    admin::daprd_minds_its_own_sockets_only,
    batches::what_fits_a_narrow_topic_is_written,
    batches::many_callers_of_a_new_narrow_topic_are_served,
    batches::a_key_keeps_its_order_where_the_limit_is_not_disclosed,
    batches::a_record_over_the_topics_limit_is_refused_by_its_number,
    batches::dead_letters_fit_a_narrow_topic,
    batches::a_redrive_fits_a_narrow_topic,
    batches::a_redrive_keeps_the_order_where_the_limit_is_not_disclosed,
    brokers::a_broker_that_comes_later_is_used,
    brokers::a_broker_that_crashed_and_came_back_loses_nothing,
    brokers::a_missing_topic_is_read_from_its_first_message,
    conformance::daprs_own_suite_passes,
    daprds::after_a_crash_of_daprd_its_successor_goes_on,
    daprds::as_kafka_the_component_takes_the_built_ins_place,
    daprds::two_daprds_that_share_the_folder_keep_their_groups,
    dead_letters::a_broken_app_does_not_drain_its_topic,
    dead_letters::a_dead_letter_that_cant_be_written_names_the_remedy,
    dead_letters::a_missing_dead_letter_topic_holds_the_source_until_it_is_there,
    dead_letters::a_handler_that_panics_costs_one_dead_letter,
    dead_letters::a_message_that_ends_a_busy_process_costs_one_dead_letter,
    dead_letters::a_missing_dead_letter_topic_is_created_if_told_to,
    dead_letters::a_record_that_daprd_cant_receive_breaks_no_stream,
    dead_letters::a_subscription_has_a_dead_letter_topic_of_its_own,
    dead_letters::one_poison_message_on_a_quiet_topic_is_dead_lettered,
    dead_letters::what_daprd_dead_letters_gets_the_same_headers,
    dead_letters::what_daprd_dead_letters_in_bulk_gets_the_same_headers,
    dead_letters::what_the_app_refuses_stands_in_the_dead_letter_topic_as_it_was,
    differential::an_app_gets_the_same_from_the_same_records,
    differential::the_same_requests_become_the_same_records,
    dispatch::a_bulk_subscription_gets_batches_if_daprd_is_concurrent,
    dispatch::a_daprd_that_ends_waits_for_its_app,
    dispatch::one_stream_hands_out_as_daprd_does,
    dlq::a_killed_redrive_goes_on_at_its_progress,
    dlq::a_record_that_cant_be_sent_holds_up_no_other,
    dlq::a_redriven_record_is_what_it_was,
    dlq::an_interrupted_redrive_repeats_nothing,
    dlq::a_redrive_can_be_interrupted_before_it_has_begun,
    dlq::dead_letters_are_listed_and_shown,
    dlq::a_redrive_never_starts_over_by_itself,
    dlq::a_wide_redrive_sends_what_a_narrow_one_did_not,
    dlq::purge_deletes_what_is_finished_and_asks,
    dlq::the_rights_of_the_manifests_suffice,
    dlq::two_redrives_of_a_topic_exclude_each_other,
    dlq::what_nobody_would_get_is_refused_with_the_remedy,
    dlq::what_version_0_1_sent_is_not_sent_again,
    dlq::a_purge_that_fails_says_what_was_deleted,
    dlq::settings_come_from_a_file_or_a_running_process,
    files::a_component_means_to_this_program_what_it_means_to_daprd,
    files::init_may_wait_for_brokers_longer_than_five_seconds,
    files::peoples_files_are_checked_as_daprd_would_take_them,
    files::peoples_files_go_through_daprds_init,
    hang::delivery_goes_on_when_its_connections_hang,
    hang::publishing_goes_on_when_its_connections_hang,
    heal::an_app_that_never_publishes_gets_messages_again,
    heal::an_app_that_publishes_gets_messages_again,
    isolation::aborted_records_come_only_if_asked_for,
    isolation::markers_are_committed_and_an_open_transaction_is_named,
    lanes::a_lane_is_no_way_around_a_protected_topic,
    lanes::a_lane_with_other_metadata_waits_for_the_others_to_close,
    lanes::a_lane_that_hangs_holds_up_no_other,
    lanes::lanes_of_a_topic_share_it_and_keep_the_order_of_keys,
    lanes::that_one_stream_is_not_enough_is_told,
    ledger::nothing_is_lost_whatever_breaks,
    memory::a_backlog_fits_into_a_pods_limit,
    memory::a_compressed_backlog_and_a_slow_app_fit_as_well,
    memory::many_partitions_with_a_backlog_take_turns,
    memory::an_app_that_hangs_holds_no_memory,
    memory::publishes_fit_while_brokers_stand_still,
    memory::turns_lose_and_repeat_nothing,
    metrics::a_group_shows_how_it_is_doing,
    migration::a_group_may_hold_both,
    migration::the_component_takes_over_and_gives_back,
    monitoring::a_real_prometheus_sees_what_is_asked_for,
    monitoring::the_alerts_pass_their_tests,
    monitoring::the_plain_configuration_is_right,
    outbox::what_a_transaction_saved_is_published_once,
    outage::a_minute_without_a_broker_heals_by_itself,
    partitions::keys_go_where_the_built_in_puts_them,
    publish::a_bulk_with_an_oversized_entry_publishes_nothing,
    publish::cloud_events_raw_payloads_and_bulks_arrive,
    publish::large_requests_are_taken,
    rebalance::members_come_and_go_and_nothing_is_lost,
    rebalance::a_slow_handler_is_waited_for,
    rebalance::an_app_that_hangs_lets_the_group_scale_out,
    recreated::a_topic_that_is_made_again_gives_each_record_once,
    recreated::a_topic_that_is_made_again_after_a_leader_change_goes_on_at_its_start,
    recreated::a_topic_without_an_id_that_is_made_again_goes_on_at_its_start,
    recreated::a_topic_that_is_made_again_is_read_whole_by_all_members,
    redriven::a_mended_app_gets_its_dead_letters_back,
    redriven::the_running_process_tells_how_to_connect,
    reload::a_changed_component_goes_on_without_loss,
    restart::a_restarted_component_goes_on_at_once,
    restart::component_and_daprd_restarted_go_on_where_they_stopped,
    resume::a_commit_beyond_the_end_that_names_no_topic_skips_no_record,
    resume::a_commit_of_the_topic_before_skips_no_record,
    resume::a_commit_that_was_copied_from_another_cluster_keeps_its_offset,
    resume::a_log_that_was_cut_is_read_on_at_its_end,
    resume::a_topic_that_may_not_be_described_keeps_no_other_from_being_read,
    resume::an_open_transaction_at_a_takeover_brings_nothing_back,
    retention::a_group_that_comes_back_too_late_goes_on_at_what_is_left,
    retention::a_reader_that_falls_behind_retention_goes_on_at_what_is_left,
    retention::a_position_before_the_log_is_not_taken_for_its_end,
    rollout::fifty_rollouts_make_no_dead_letter_and_lose_nothing,
    runbook::a_thousand_dead_letters_are_redriven_as_the_page_says,
    runbook::each_of_kafkas_commands_on_the_page_is_one_that_kafka_takes,
    runbook::the_page_shows_what_its_commands_print,
    security::a_refused_login_is_told_and_heals,
    security::daprd_gets_its_messages_over_tls_with_a_login,
    security::each_way_to_connect_goes_around,
    security::each_way_that_is_wrong_is_told_with_its_remedy,
    security::names_with_a_trailing_dot_are_verified_without_it,
    todo::all_six_topics_go_around,
    tokens::a_client_secret_logs_in_with_scopes_and_extensions,
    tokens::a_login_outlives_its_tokens_and_their_provider,
    tokens::a_signed_assertion_logs_in,
    tokens::aws_keys_sign_a_token_that_reaches_the_broker,
    tokens::dead_letters_are_read_with_a_token,
    tokens::what_is_wrong_with_a_token_is_inits_error,
    tokens::without_a_provider_it_starts_if_told_to,
);
