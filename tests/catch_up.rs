//! A webhook that rests while its log is trimmed catches up with what it missed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::store::*;
use anyhook_connectors::contract::Change;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use support::receiver::Reply;
use support::{Setup, Subscription, World, vendors};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn set(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

/// A small log, `a` that is to rest, and `b` that listens all the while.
struct Rest {
    world: World,
    connection: Connection,
    a: Webhook,
}

impl Rest {
    async fn new(vendor: &str, event: Change) -> Rest {
        Rest::with(vendor, event, |_| {}).await
    }

    async fn with(vendor: &str, event: Change, change: impl Fn(&mut Setup)) -> Rest {
        let mut setup = Setup::contacts(300);
        setup.limits.poll.log_bytes_max = 40_000;
        setup.limits.poll.log_page_bytes_max = 4_000;
        // Pages that `b` has read are not at hand any more.
        setup.limits.deliver.page_cache_bytes_max = 0;
        change(&mut setup);
        let world = World::new(setup).await;
        let connection = world.connect_to(vendor, "sandbox").await;
        let a = world.subscribe(&connection, Subscription::new("a").event(event).every(10 * SECOND)).await;
        world.subscribe(&connection, Subscription::new("b").every(10 * SECOND)).await;
        world.run_for(MINUTE).await;
        Rest { world, connection, a }
    }

    async fn pause(&self, is_paused: bool) {
        self.world.change(self.a.id, |row| row.is_paused = is_paused).await;
    }

    /// Changes at the vendor until the log was overrun this often.
    async fn overrun(&self, times: u32) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..times * 5 {
            ids.extend(self.world.create_many(60));
            self.world.run_for(40 * SECOND).await;
        }
        let head = self.world.disk.store.log_head(self.a.feed_id).await.unwrap();
        let missed = self.state().await.missed;
        assert!(missed.is_some_and(|missed| missed.sequence < head.start), "{missed:?} {head:?}");
        ids
    }

    async fn state(&self) -> DeliveryState {
        self.world.disk.store.delivery(self.a.id).await.unwrap().unwrap()
    }

    async fn caught_up(&self) -> ListingJob {
        let is_over = |state: &DeliveryState| state.missed.is_none() && state.listing.is_none();
        for _ in 0..600 {
            let jobs = self.world.disk.store.jobs_of_webhook(self.a.id, 9).await.unwrap();
            if let Some(job) = jobs.into_iter().find(|job| job.mode == JobMode::CatchUp)
                && is_over(&self.state().await)
            {
                return job;
            }
            self.world.run_for(SECOND).await;
        }
        panic!("not caught up: {:?}; {}", self.state().await, self.world.tell());
    }

    /// What the audit says of falling behind.
    async fn said(&self) -> String {
        let query =
            ApiCallQuery { webhook_id: Some(self.a.id), is_failure: Some(true), limit: 9, ..ApiCallQuery::default() };
        let calls = self.world.disk.store.api_calls(self.world.workspace, &query).await.unwrap();
        let errors = calls.into_iter().filter_map(|call| call.error);
        errors.filter(|error| error.contains("dropped while the webhook rested")).collect()
    }

    fn told(&self, to: &str) -> Vec<String> {
        self.world.ids(to, "VIRTUAL")
    }

    /// `b` was told of everything once and in order.
    fn check_other(&self, ids: &[String]) {
        assert!(self.told("b") == ids, "{} for {}: {}", self.told("b").len(), ids.len(), self.world.tell());
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_webhook_gets_everything_though_its_log_was_overrun() {
    for vendor in ["sandbox", vendors::UNFILTERED, vendors::EXCLUSIVE] {
        let rest = Rest::new(vendor, Change::Updated).await;
        let mut ids = rest.world.create_many(5);
        rest.world.run_for(MINUTE).await;
        rest.pause(true).await;
        ids.extend(rest.overrun(3).await);
        rest.world.update("con_00000007", json!({"title": "Captain"}));
        ids.push("con_00000007".to_owned());
        rest.world.run_for(MINUTE).await;
        let mark = rest.state().await.missed.unwrap();
        assert!(mark.since.is_some_and(|since| since < rest.world.clock.now()), "{mark:?}");
        rest.pause(false).await;
        let job = rest.caught_up().await;
        assert_eq!((job.state, job.updated_gte), (JobState::Done, mark.since), "{vendor}");
        let new = rest.world.create_many(3);
        rest.world.run_for(MINUTE).await;
        ids.extend(new.clone());
        assert_eq!(set(&rest.told("a")), set(&ids), "{vendor}: only what changed, and all of it");
        assert_eq!(rest.told("a")[rest.told("a").len() - 3..], new, "{vendor}: then the log");
        assert!(rest.told("a").len() < ids.len() + 40, "{vendor}: {} for {}", rest.told("a").len(), ids.len());
        rest.check_other(&ids);
        let said = rest.said().await;
        assert!(said.contains("catches up, what changed since") && !said.contains("backfill"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_time_the_whole_history_is_told() {
    let rest = Rest::new(vendors::TIMELESS, Change::Updated).await;
    rest.pause(true).await;
    let ids = rest.overrun(2).await;
    rest.pause(false).await;
    rest.caught_up().await;
    let told = rest.told("a");
    assert!(set(&told).is_superset(&set(&ids)) && told.contains(&"con_00000001".to_owned()));
    assert_eq!(rest.world.kinds("a").iter().filter(|kind| *kind != "VIRTUAL").count(), 0);
    rest.check_other(&ids);
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_webhook_catches_up_once_it_is_resumed() {
    let rest = Rest::new("sandbox", Change::Updated).await;
    rest.world.replies("a", &[], Reply::Status(410));
    let mut ids = rest.world.create_many(5);
    rest.world.run_for(MINUTE).await;
    ids.extend(rest.overrun(2).await);
    rest.world.replies("a", &[], Reply::Ok);
    rest.world.disk.store.resume_webhook(rest.a.id, rest.world.clock.now()).await.unwrap();
    rest.caught_up().await;
    ids.extend(rest.world.create_many(2));
    rest.world.run_for(MINUTE).await;
    let got: Vec<_> = rest.world.got("a").into_iter().filter(|delivery| delivery.is_accepted).collect();
    let told: BTreeSet<_> =
        got.iter().flat_map(|delivery| &delivery.data).map(|object| object["id"].as_str().unwrap()).collect();
    assert_eq!(told, set(&ids));
    rest.check_other(&ids);
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_the_middle_goes_on() {
    let mut rest = Rest::new("sandbox", Change::Updated).await;
    rest.pause(true).await;
    let mut ids = rest.overrun(3).await;
    rest.world.replies("a", &[], Reply::Slow(SECOND));
    rest.pause(false).await;
    rest.world.until(MINUTE, "some", |world| world.got("a").len() == 3).await;
    let calls = rest.world.history_calls();
    rest.world.crash();
    ids.extend(rest.world.create_many(4));
    rest.world.run_for(MINUTE).await;
    rest.world.start().await;
    assert_eq!(rest.caught_up().await.state, JobState::Done);
    rest.world.run_for(5 * MINUTE).await;
    assert_eq!(set(&rest.told("a")), set(&ids));
    let pages = 9 + 2;
    assert!(rest.world.history_calls() <= pages, "{calls} and then {}", rest.world.history_calls());
    assert_eq!(set(&rest.told("b")), set(&ids));
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_again_before_it_has_caught_up_misses_nothing() {
    let rest = Rest::new("sandbox", Change::Updated).await;
    rest.pause(true).await;
    let mut ids = rest.overrun(2).await;
    rest.world.replies("a", &[], Reply::Slow(SECOND));
    rest.pause(false).await;
    rest.world.until(MINUTE, "some", |world| world.got("a").len() == 2).await;
    rest.pause(true).await;
    ids.extend(rest.overrun(2).await);
    rest.world.replies("a", &[], Reply::Ok);
    rest.pause(false).await;
    rest.caught_up().await;
    rest.world.run_for(MINUTE).await;
    assert_eq!(set(&rest.told("a")), set(&ids));
    rest.check_other(&ids);
}

#[tokio::test(start_paused = true)]
async fn a_back_fill_waits_until_it_has_caught_up() {
    let rest = Rest::new("sandbox", Change::Updated).await;
    rest.pause(true).await;
    let ids = rest.overrun(2).await;
    let job = rest.world.back_fill(&rest.a, (None, None)).await;
    rest.pause(false).await;
    rest.caught_up().await;
    rest.world.run_for(2 * MINUTE).await;
    assert_eq!(rest.world.job(job.id).await.state, JobState::Done);
    let kinds = rest.world.kinds("a");
    let first = kinds.iter().position(|kind| kind.starts_with("INITIAL")).unwrap();
    assert!(kinds[first..].iter().all(|kind| kind.starts_with("INITIAL")), "{kinds:?}");
    assert_eq!(set(&rest.told("a")), set(&ids));
    assert_eq!(set(&rest.world.ids("a", "INITIAL")).len(), 300 + ids.len());
}

#[tokio::test(start_paused = true)]
async fn of_creations_only_those_since_are_told() {
    let rest = Rest::new("sandbox", Change::Created).await;
    rest.pause(true).await;
    for number in 1..=50 {
        rest.world.update(&format!("con_{number:08}"), json!({"title": "Captain"}));
    }
    let ids = rest.overrun(2).await;
    rest.pause(false).await;
    rest.caught_up().await;
    assert_eq!(set(&rest.told("a")), set(&ids));
}

#[tokio::test(start_paused = true)]
async fn deletions_that_were_trimmed_are_told_unless_the_record_came_back() {
    let rest = Rest::new("sandbox", Change::Deleted).await;
    rest.pause(true).await;
    for number in 1..=20 {
        rest.world.delete(&format!("con_{number:08}"));
    }
    rest.world.run_for(MINUTE).await;
    // Some come back, at once or much later.
    rest.world.update("con_00000003", json!({"deleted": false}));
    rest.overrun(2).await;
    rest.world.update("con_00000005", json!({"deleted": false}));
    rest.overrun(2).await;
    rest.world.update("con_00000007", json!({"deleted": false}));
    rest.world.delete("con_00000050");
    rest.world.run_for(MINUTE).await;
    let kept = rest.world.disk.store.kept_deletions(rest.a.feed_id, None, 99).await.unwrap();
    assert_eq!(kept.len(), 18, "but those that came back in what was trimmed");
    rest.pause(false).await;
    rest.caught_up().await;
    rest.world.delete("con_00000060");
    rest.world.run_for(MINUTE).await;
    let told = rest.told("a");
    let back = [3, 5, 7];
    let gone = (1..=20).filter(|number| !back.contains(number)).chain([50, 60]);
    let expected: Vec<String> = gone.map(|number| format!("con_{number:08}")).collect();
    assert_eq!(set(&told), set(&expected));
    assert_eq!(told.len(), expected.len(), "each once");
    assert_eq!(told.last().unwrap(), "con_00000060");
    assert_eq!(rest.world.history_calls(), 0, "nothing has to be listed for that");
    assert!(!rest.said().await.contains("backfill"));
    rest.overrun_nobody().await;
    let kept = rest.world.disk.store.kept_deletions(rest.a.feed_id, None, 99).await.unwrap();
    assert!(kept.is_empty(), "nobody needs them any more");
}

#[tokio::test(start_paused = true)]
async fn deletions_that_could_not_be_kept_are_listed_where_the_vendor_does_and_that_is_said() {
    let rest = Rest::with("sandbox", Change::Deleted, |setup| setup.limits.deliver.deletions_kept_max = 5).await;
    rest.pause(true).await;
    for number in 1..=20 {
        rest.world.delete(&format!("con_{number:08}"));
    }
    rest.overrun(3).await;
    assert!(rest.state().await.missed.unwrap().lost_deletions);
    rest.pause(false).await;
    rest.caught_up().await;
    rest.world.run_for(MINUTE).await;
    assert_eq!(set(&rest.told("a")).len(), 20, "the vendor lists those that are gone");
    let said = rest.said().await;
    assert!(said.contains("some deletions were not kept") && said.contains("POST /unified/webhook/"), "{said}");
    assert_eq!(rest.connection.integration, "sandbox");
}

impl Rest {
    /// Trims the log while nobody is behind.
    async fn overrun_nobody(&self) {
        for _ in 0..5 {
            self.world.create_many(60);
            self.world.run_for(40 * SECOND).await;
        }
    }
}
