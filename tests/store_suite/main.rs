//! The promises of the Store contract, one test each, for every implementation. They speak only the contract, and all
//! names are new each time, so that a shared database would do.

// The helpers of tests are tests too, but clippy cannot see that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod behind;
mod connections;
mod deliveries;
mod destinations;
mod feeds;
mod health;
mod insights;
mod leases;
mod ledger;
mod listings;
mod log;
mod notifications;
mod postgres_only;
mod replays;
mod same_answers;
mod sled_only;
mod sweeps;
mod webhooks;
mod workspaces;
mod world;

macro_rules! store_suite {
    ($($noun:ident { $($promise:ident,)* })*) => {
        mod memory {
            $(mod $noun {
                $(#[tokio::test]
                async fn $promise() {
                    crate::$noun::$promise(&crate::world::World::in_memory()).await;
                })*
            })*
        }

        mod sled {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let directory = tempfile::tempdir().unwrap();
                    crate::$noun::$promise(&crate::world::World::on_disk(directory.path())).await;
                })*
            })*
        }

        mod postgres {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
                async fn $promise() {
                    let schema = crate::world::Schema::new().await;
                    crate::$noun::$promise(&crate::world::World::in_postgres(&schema).await).await;
                    schema.drop().await;
                })*
            })*
        }
    };
}

store_suite! {
    workspaces {
        the_store_key_is_made_once,
        ids_and_key_hashes_are_taken_once,
        the_first_workspace_is_made_once,
        an_old_key_finds_nothing_after_a_replacement,
        a_changed_workspace_is_told_and_a_change_of_an_older_one_refused,
        a_list_goes_on_behind_an_id,
    }
    connections {
        an_id_is_taken_once,
        a_replacement_needs_the_revision_that_was_read,
        the_end_of_a_pause_makes_feeds_due,
        new_credentials_make_feeds_due_and_retried,
        a_deleted_connection_leaves_nothing_to_be_found,
        what_there_is_is_counted,
        lists_filter_sort_and_page,
        changes_are_told,
    }
    webhooks {
        one_subject_is_one_feed,
        a_new_feed_is_due_now,
        a_position_begins_at_the_end_of_the_log,
        settings_follow_from_all_webhooks_and_the_revision_grows,
        the_smallest_of_each_bound_of_an_interval_rules,
        a_missing_connection_is_told,
        an_initial_listing_comes_with_its_webhook,
        a_replacement_needs_the_revision_that_was_read,
        what_a_feed_is_made_of_is_not_replaced,
        the_last_webhook_takes_its_feed_along,
        lists_filter_sort_and_page,
        lists_of_feeds_and_shards_go_on_behind_an_id,
    }
    feeds {
        a_page_is_kept_whole,
        another_epoch_is_fenced,
        another_end_or_revision_is_a_conflict_and_keeps_nothing,
        a_missing_feed_is_told,
        commits_keep_their_order_and_fail_behind_a_failure,
        empty_pages_are_not_logged,
        due_feeds_come_soonest_first_and_by_shard,
        a_ping_counts_and_makes_due,
        a_paused_feed_is_not_made_due_by_a_ping,
        a_ping_during_a_run_makes_it_due_at_once,
        a_webhook_resumed_during_a_run_is_polled,
        parents_have_progress_of_their_own,
        cleaning_up_ends,
    }
    health {
        a_connection_that_works_as_before_is_noted_and_wakes_nobody,
        feeds_that_are_refused_together_are_told_of_once,
        new_credentials_are_shown_as_retried_until_a_run_tells,
        a_feed_that_turns_is_told_of_to_its_active_webhooks,
        sweeps_that_fail_are_told_of_to_whoever_wants_deletions,
        a_vendors_ping_does_not_wake_a_refused_feed,
    }
    ledger {
        entries_come_back_in_the_order_asked,
        thousands_of_records_are_found_again,
        what_is_older_may_be_forgotten_and_a_window_does_not_grow,
        nothing_is_forgotten_unless_asked,
        feeds_do_not_share_records,
    }
    sweeps {
        a_step_is_kept_whole,
        another_epoch_end_or_revision_keeps_nothing,
        rows_come_in_their_order_a_few_at_a_time,
        rows_go_with_their_sweep,
        the_ledger_is_looked_through_in_pieces,
    }
    log {
        pages_of_any_size_come_back,
        trimming_is_bounded_and_counted,
        an_arrival_is_all_or_nothing,
        an_arrival_pings_feeds,
        a_repeated_delivery_is_known_for_a_while,
        growth_is_told,
        pages_that_leave_are_kept_apart_for_a_while,
    }
    behind {
        what_is_trimmed_unread_leaves_a_mark,
        marks_add_up_and_end_with_reading_on,
        deletions_are_kept_while_someone_is_behind,
        returned_records_void_their_deletions,
        deletions_have_an_age_and_a_number,
        catching_up_takes_the_mark_and_moves_on,
        catching_up_comes_after_what_the_log_waits_for,
        a_back_fill_is_told_when_its_webhook_has_caught_up,
    }
    deliveries {
        an_attempt_moves_position_and_leaves_a_row,
        a_deleted_webhook_takes_no_outcome,
        another_epoch_is_fenced,
        a_position_never_moves_back,
        reaching_a_held_page_is_told,
        retries_are_due_soonest_first,
        what_waits_in_a_shard_is_found_a_part_at_a_time,
        an_unhealthy_webhook_rests_until_resumed,
        a_paused_webhook_is_not_retried,
        passing_over_records_sends_nothing,
        a_skipped_batch_is_passed_and_takes_no_outcome,
        what_decides_over_an_attempt_is_told,
    }
    listings {
        one_open_job_a_webhook,
        pages_are_spooled_with_the_walk,
        delivered_pages_are_forgotten_and_the_end_is_the_end,
        a_job_that_is_over_takes_no_pages,
        a_cancelled_job_gives_way_to_the_log,
        open_jobs_go_on_behind_an_id,
        a_backfill_does_not_hold_the_log,
        a_turn_comes_once_the_log_is_delivered,
        a_turn_ends_with_its_pages,
        a_job_that_ends_lets_the_log_go,
        what_is_delivered_of_a_job_is_counted,
        the_oldest_job_that_is_over_makes_room,
    }
    replays {
        one_at_a_time_and_the_last_is_remembered,
        a_step_moves_the_replay_and_nothing_else,
        one_that_is_over_takes_no_step,
        a_destination_has_one_under_what_it_is_served_as,
    }
    audit {
        failures_and_successes_do_not_drive_each_other_out,
        empty_runs_are_folded,
        lists_filter_and_come_newest_first,
        ids_find_rows_and_sort_by_time,
        deleted_scopes_are_not_listed,
        rows_have_an_age,
    }
    insights {
        runs_and_attempts_are_added_up_by_hour_and_day,
        requests_of_listings_are_counted,
        lists_of_insights_come_in_parts,
        old_hours_and_days_make_room,
        an_hour_is_told_once_it_is_over,
    }
    notifications {
        what_a_person_does_is_told_once,
        a_change_that_is_refused_tells_nothing,
        lists_come_newest_first_and_in_parts,
        a_workspace_keeps_the_newest_up_to_a_number_and_an_age,
        a_webhook_that_is_not_delivered_to_is_told_once,
        the_end_of_a_listing_is_told,
        ended_polls_drive_out_no_other,
        sequences_grow_over_all_that_is_told,
        lists_filter_by_event_connection_and_webhook,
    }
    destinations {
        an_id_is_taken_once_and_finds_it,
        a_position_begins_at_the_end_of_the_notifications,
        a_replacement_needs_the_revision_that_was_read,
        lists_are_a_workspaces_own_or_a_shards,
        a_deleted_destination_takes_no_outcome,
        whoever_listens_is_woken,
        ends_of_polls_are_told_to_whoever_listens,
        an_ended_poll_is_told_with_what_it_came_to,
        what_is_dropped_undelivered_is_missed_and_told_of,
        an_unhealthy_destination_is_told_of_to_others,
        a_paused_destination_is_not_retried,
    }
    leases {
        a_heartbeat_renews_all_that_a_node_holds,
        a_heartbeat_names_the_nodes_that_live,
        a_shard_of_the_living_is_not_taken,
        duties_are_held_on_their_own,
        what_a_dead_node_held_begins_a_new_epoch,
        what_nobody_took_from_the_dead_is_still_theirs,
        what_is_given_back_is_free_and_its_epoch_has_ended,
        a_node_that_leaves_gives_all_back,
        nobody_lives_by_a_clock_that_has_gone_back,
        pauses_are_only_extended,
        a_pause_is_no_longer_than_it_was_when_the_clock_has_gone_back,
    }
}
