//! Every limit: its name, its default, and by that its setting (`[poll]`, `[deliver]` … in the settings file, or
//! `ANYHOOK_POLL_RUNS_MAX` and the like in the environment).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! limits {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $name {
            /// The names of its settings.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}

limits! {
    /// A budget for one vendor in place of what its integration documents.
    BudgetLimits {
        /// Requests with one credential, refilled evenly over `per_ms`.
        requests: Option<u32> = None,
        /// The period in milliseconds.
        per_ms: Option<u64> = None,
        /// Requests with all credentials together, refilled evenly over `app_per_ms`.
        app_requests: Option<u32> = None,
        /// The period in milliseconds.
        app_per_ms: Option<u64> = None,
    }
}

limits! {
    /// What polling may take.
    PollLimits {
        /// Poll runs at the same time.
        runs_max: usize = 64,
        /// Listing jobs (back-fills) that fetch at the same time.
        jobs_max: usize = 16,
        /// Pages a run reads before it ends and the next one goes on.
        pages_per_run_max: u32 = 10_000,
        /// Pages of a listing that cannot be left and taken up again.
        pages_per_listing_max: u32 = 1_000_000,
        /// How long a feed's list of parents is used before it is listed again, in milliseconds.
        parents_kept_ms: u64 = 600_000,
        /// Page commits of one run that wait to be durable while the next page is fetched.
        commits_in_flight_max: usize = 8,
        /// From connecting to the last byte of a vendor's answer, in milliseconds.
        request_deadline_ms: u64 = 60_000,
        /// From looking up a vendor's name to the end of the TLS handshake, in milliseconds.
        connect_timeout_ms: u64 = 10_000,
        /// Bytes of a vendor's answer after decompression.
        response_bytes_max: usize = 32 << 20,
        /// Tries of one request within a run, the first among them.
        request_tries_max: u32 = 4,
        /// The first wait between tries, in milliseconds; it doubles, with full jitter.
        retry_base_ms: u64 = 500,
        /// The longest wait between tries within a run, in milliseconds.
        retry_wait_max_ms: u64 = 15_000,
        /// The shortest pause after a vendor said that there were too many requests, in milliseconds.
        pause_floor_ms: u64 = 1_000,
        /// The longest pause that a vendor's word is taken for, in milliseconds.
        pause_max_ms: u64 = 86_400_000,
        /// The share of a vendor's documented limits that is used, in percent: less leaves room for others who use the
        /// same account, more is for vendors that granted more. What a vendor's headers say counts either way.
        budget_percent: u32 = 100,
        /// How long a run waits for its budget before it ends and comes again later, in milliseconds.
        budget_wait_max_ms: u64 = 10_000,
        /// The longest wait between failing runs, in milliseconds.
        failure_wait_max_ms: u64 = 3_600_000,
        /// Records of a run, in percent, that may be unreadable before it fails.
        bad_records_percent_max: u32 = 10,
        /// Stored bytes of a feed's log before polling waits for deliveries.
        log_bytes_max: u64 = 256 << 20,
        /// Bytes of objects and raws in one log page; a larger record gets a page of its own.
        log_page_bytes_max: usize = 160 << 10,
        /// Pages of a listing job that wait for delivery before the next one is fetched.
        spool_pages_max: u64 = 8,
        /// The share of an interval, in percent, by which polls are spread.
        jitter_percent: u64 = 10,
        /// Parents (repositories, mailboxes) of a feed.
        parents_max: usize = 10_000,
        /// Runs without progress after which a feed is reported as stuck.
        stuck_runs_max: u32 = 10,
        /// How long a feed has to be without progress before it is reported as stuck, in milliseconds.
        stuck_after_ms: u64 = 600_000,
        /// The share of a vendor's budget, in percent, that polls at intervals of a range may plan with; the rest is for
        /// back-fills, retries and what else asks the vendor.
        pace_budget_percent: u32 = 75,
        /// The share of a vendor's budget, in percent, that listing jobs keep while polls want all of it.
        backfill_floor_percent: u32 = 10,
        /// Requests under way to one host of a vendor at the same time.
        host_requests_max: usize = 32,
        /// Requests under way with one credential at the same time.
        bucket_requests_max: usize = 8,
        /// Requests that wait for their turn at one host of a vendor; those of listing jobs may be half of them. A run
        /// that finds more ends and comes again later.
        host_waiting_max: usize = 16,
        /// Budgets by integration (`[poll.budgets.<integration>]`), in place of what the vendors document.
        budgets: BTreeMap<String, BudgetLimits> = BTreeMap::new(),
        /// The longest time between two sweeps for deletions that a vendor does not tell, in milliseconds. A collection
        /// that is listed by few requests is swept more often.
        sweep_interval_ms: u64 = 3_600_000,
        /// Feeds that are swept at the same time.
        sweeps_max: usize = 16,
        /// Ids that a sweep compares with the ledger in one pass, eight bytes each; more take several passes.
        sweep_seen_max: usize = 1_000_000,
        /// Records of a feed, in percent, that one sweep may find missing before it is taken for a fault.
        sweep_missing_percent_max: u32 = 30,
        /// Missing records that are no fault, whatever their share.
        sweep_missing_min: u64 = 20,
        /// Missing records that one sweep asks the vendor for, about; the next one goes on with others.
        sweep_gets_max: u64 = 10_000,
    }
}

limits! {
    /// What delivering may take.
    DeliverLimits {
        /// Attempts at the same time.
        slots_max: usize = 256,
        /// Attempts at the same time to one host.
        host_slots_max: usize = 64,
        /// From connecting to the last byte of the answer, in milliseconds.
        attempt_deadline_ms: u64 = 15_000,
        /// From looking up the name to the end of the TLS handshake, in milliseconds.
        connect_timeout_ms: u64 = 10_000,
        /// From connecting to the head of the answer, in milliseconds; with 0 it may take as long as the whole attempt.
        first_byte_timeout_ms: u64 = 0,
        /// Bytes of a destination's answer that are read.
        response_bytes_max: usize = 16 << 10,
        /// Objects in one payload where the webhook names no `page_max_limit`.
        batch_records_max: u32 = 100,
        /// Bytes of `data` in one payload; a larger single object is sent alone.
        batch_bytes_max: usize = 1 << 20,
        /// Batches delivered whose positions are not durable yet, per webhook.
        positions_in_flight_max: usize = 512,
        /// Retries of one batch, in milliseconds after the attempt before: each is drawn from zero to twice its value,
        /// so that this is the mean.
        retry_schedule_ms: Vec<u64> = vec![
            2_000, 10_000, 60_000, 300_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 43_200_000, 86_400_000, 86_400_000,
        ],
        /// Where an endpoint cannot be reached, it is tried again at once beside the schedule: after a fifth of this up
        /// to the whole of it, in milliseconds; with 0 it is not.
        quick_retry_ms: u64 = 500,
        /// The longest Retry-After that is honoured, in milliseconds.
        retry_after_max_ms: u64 = 86_400_000,
        /// Decompressed log pages kept for other webhooks of the same feed, in bytes.
        page_cache_bytes_max: usize = 64 << 20,
        /// How long deletions are kept for webhooks that rest while their log is trimmed, in milliseconds.
        deletions_kept_ms: u64 = 30 * 86_400_000,
        /// Deletions kept so per feed; the oldest make room.
        deletions_kept_max: usize = 10_000,
        /// Bytes of a destination's answer that are kept with the attempt's row; 0 keeps none.
        response_kept_bytes: usize = 1 << 10,
        /// How long log pages that everyone has read are kept, so that they can be sent again, in milliseconds; 0 keeps
        /// none.
        replay_kept_ms: u64 = 3 * 86_400_000,
        /// Stored bytes of such pages kept per feed, beside the log's own; the oldest make room. 0 keeps none.
        replay_bytes_max: u64 = 4 << 20,
        /// Deliveries that one replay repeats at most.
        replay_deliveries_max: u64 = 10_000,
        /// Replays that send at the same time.
        replays_max: usize = 16,
        /// Bytes of a template.
        template_bytes_max: usize = 64 << 10,
        /// Bytes of what a template makes.
        template_output_bytes_max: usize = 1 << 20,
        /// What one rendering may do: each instruction costs one, and so do 64 bytes that it makes or 4 bytes of JSON
        /// that it writes.
        template_fuel: u64 = 500_000,
        /// Levels of loops and recursion in a template.
        template_depth_max: usize = 32,
        /// Headers of a webhook's own.
        headers_max: usize = 32,
        /// Bytes of such a header's value.
        header_bytes_max: usize = 4 << 10,
        /// How long an attempt holds one of `slots_max`, in milliseconds: one that lasts longer goes on as one of
        /// `slow_slots_max`, and so begins the next one to its host.
        slow_after_ms: u64 = 1_000,
        /// Attempts at the same time that are slow, beside `slots_max`. With more, the one that has lasted longest ends
        /// as unanswered: each has at least `slow_after_ms` times `slow_slots_max / slots_max`.
        slow_slots_max: usize = 2_048,
    }
}

limits! {
    /// What the API and the ingress may take.
    ApiLimits {
        /// Bytes of a request's body.
        body_bytes_max: usize = 1 << 20,
        /// Bytes of a native webhook's body.
        ingress_body_bytes_max: usize = 5 << 20,
        /// Requests a second per API key, refilled evenly.
        requests_per_second_max: u32 = 200,
        /// Native webhooks a second per connection, refilled evenly.
        ingress_per_second_max: u32 = 500,
        /// From the head of a request to the end of its answer, in milliseconds.
        request_deadline_ms: u64 = 30_000,
        /// Requests at the same time.
        requests_max: usize = 1_024,
        /// Rows of a list, and its default.
        list_limit_max: usize = 100,
        /// The greatest offset of a list.
        list_offset_max: usize = 100_000,
        /// Connections of a workspace.
        connections_max: usize = 100_000,
        /// Webhooks of a connection.
        webhooks_per_connection_max: usize = 1_000,
        /// Entries of `filters`, of `auth.meta` and the like.
        entries_max: usize = 64,
        /// Bytes of a text field of the API.
        text_bytes_max: usize = 4_096,
        /// The shortest poll interval, in milliseconds.
        interval_floor_ms: u64 = 1_000,
        /// The interval where a webhook names none, in milliseconds.
        interval_default_ms: u64 = 60_000,
        /// The longest poll interval, in milliseconds.
        interval_max_ms: u64 = 31 * 86_400_000,
        /// Test payloads a second per workspace, refilled evenly.
        tests_per_second_max: u32 = 2,
        /// Signing secrets of a workspace or webhook that sign at the same time.
        secrets_max: usize = 4,
        /// How long a signing secret signs on once it is replaced, in seconds.
        secret_overlap_s: u32 = 86_400,
        /// The longest such overlap that can be asked for, in seconds.
        secret_overlap_max_s: u32 = 31 * 86_400,
        /// Retries of one batch that a workspace's or webhook's own schedule may have.
        retries_max: usize = 50,
        /// The shortest wait of such a schedule, in milliseconds.
        retry_wait_floor_ms: u64 = 100,
        /// The longest wait of such a schedule, in milliseconds.
        retry_wait_max_ms: u64 = 7 * 86_400_000,
        /// Destinations of a workspace.
        destinations_max: usize = 100,
        /// Subscriptions of a destination.
        subscriptions_max: usize = 50,
    }
}

limits! {
    /// What the store may take.
    StoreLimits {
        /// sled's page cache in bytes; its memory in all is about four times that.
        cache_bytes: u64 = 128 << 20,
        /// Units of work that wait for the committer.
        queue_max: usize = 4_096,
        /// How long a page waits for company before it is committed, in microseconds.
        page_linger_us: u64 = 1_000,
        /// How long a position waits for company, in milliseconds.
        position_linger_ms: u64 = 50,
        /// Audit rows of successes kept per webhook and per feed.
        calls_ok_max: u64 = 200,
        /// Audit rows of failures kept per webhook and per feed.
        calls_failed_max: u64 = 200,
        /// How long audit rows are kept, in milliseconds.
        calls_kept_ms: u64 = 30 * 86_400_000,
        /// How long a node's leases last without renewal, in milliseconds.
        lease_ttl_ms: u64 = 30_000,
        /// Notifications kept per workspace.
        notifications_max: u64 = 10_000,
        /// How long notifications are kept, in milliseconds.
        notifications_kept_ms: u64 = 30 * 86_400_000,
        /// Hours that insights are kept of, for each connection and object type.
        insight_hours_max: u32 = 14 * 24,
        /// Days that insights are kept of, for each connection and object type.
        insight_days_max: u32 = 400,
        /// Ids of vendors' deliveries kept per connection, by which repeats are known.
        arrivals_max: u64 = 100_000,
        /// How long ids of vendors' deliveries are kept, in milliseconds.
        arrivals_kept_ms: u64 = 3 * 86_400_000,
        /// Notifications of ended polls kept per workspace, apart from the others.
        syncs_max: u64 = 10_000,
        /// Connections to PostgreSQL that a node writes by; shards are spread over them.
        writers: usize = 4,
        /// Connections to PostgreSQL that a node reads by.
        connections_max: usize = 12,
        /// From connecting to PostgreSQL to the end of signing in, in milliseconds.
        connect_timeout_ms: u64 = 5_000,
        /// How long one statement in PostgreSQL, its wait for locks, or a pause of ours within a transaction may take, in
        /// milliseconds.
        statement_timeout_ms: u64 = 10_000,
        /// How long a unit of work is tried again while PostgreSQL cannot take it, in milliseconds.
        write_deadline_ms: u64 = 30_000,
        /// How often a node looks for itself for what others have done, besides being told, in milliseconds.
        look_every_ms: u64 = 300_000,
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Polling.
    pub poll: PollLimits,
    /// Delivering.
    pub deliver: DeliverLimits,
    /// API and ingress.
    pub api: ApiLimits,
    /// The store.
    pub store: StoreLimits,
}
