//! Whose turn it is at a host, under a clock that is an argument.

use super::host::{Host, Rules};
use super::pace::{Pace, Slice};
use super::quota::{Hint, Pauses};
use super::turns::Place;
use super::{Caller, Priority};
use crate::ids::{FeedId, JobId};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const RULES: Rules =
    Rules { host_requests_max: 32, bucket_requests_max: 8, floor_percent: 10, app: None, slice: Slice::WHOLE };

fn feed(number: u8) -> Caller {
    Caller::poll(FeedId::from_bytes([number; 12]))
}

fn job(number: u8) -> Caller {
    Caller::job(JobId::from_bytes([number; 12]))
}

/// Callers that ask again as soon as they were answered, which takes no time.
struct Crowd {
    host: Host<(String, Caller)>,
    now: Instant,
    /// Who was served when.
    served: Vec<(Instant, String, Caller)>,
}

impl Crowd {
    fn new(rules: Rules, buckets: &[(&str, Pace)]) -> Self {
        let now = Instant::now();
        let mut host = Host::new(rules, now);
        for (bucket, pace) in buckets {
            host.make(bucket, *pace, now);
        }
        Crowd { host, now, served: Vec::new() }
    }

    fn ask(&mut self, bucket: &str, caller: Caller) -> Place {
        self.host.push(bucket, caller, (bucket.to_owned(), caller)).unwrap()
    }

    /// Lets time pass; who was served and is `greedy` asks again.
    fn run(&mut self, span: Duration, greedy: &[Caller]) {
        let end = self.now + span;
        loop {
            for granted in self.host.grant(self.now) {
                let (bucket, caller) = granted.call;
                self.host.end(&bucket);
                self.served.push((self.now, bucket.clone(), caller));
                if greedy.contains(&caller) {
                    self.ask(&bucket, caller);
                }
            }
            match self.host.next_at() {
                Some(next_at) if next_at <= end => self.now = self.now.max(next_at),
                _ => break,
            }
        }
        self.now = end;
    }

    fn count(&self, caller: Caller) -> usize {
        self.served.iter().filter(|(_, _, served)| *served == caller).count()
    }
}

#[test]
fn a_feed_of_many_pages_delays_others_by_a_few_turns_at_most() {
    let mut crowd = Crowd::new(RULES, &[("b", Pace::new(2, 2 * SECOND))]);
    let huge = feed(0);
    crowd.ask("b", huge);
    crowd.run(10 * SECOND, &[huge]);
    for round in 0..20u32 {
        let began = crowd.now;
        (1..=20).for_each(|number| {
            let _ = crowd.ask("b", feed(number));
        });
        crowd.served.clear();
        crowd.run(60 * SECOND, &[huge]);
        for number in 1..=20 {
            let (at, ..) = crowd.served.iter().find(|(_, _, served)| *served == feed(number)).unwrap();
            // All of them want a turn at once: 21 turns of a second, and one under way.
            assert!(*at - began <= 23 * SECOND, "round {round}, feed {number}: {:?}", *at - began);
        }
        assert!(crowd.count(huge) >= 35, "what is left is the huge one's: {}", crowd.count(huge));
    }
}

#[test]
fn listing_jobs_keep_their_share_of_a_saturated_budget_and_no_more() {
    let mut crowd = Crowd::new(RULES, &[("b", Pace::new(10, SECOND))]);
    let greedy: Vec<Caller> = (0..4).map(feed).chain([job(9)]).collect();
    greedy.iter().for_each(|caller| {
        let _ = crowd.ask("b", *caller);
    });
    crowd.run(100 * SECOND, &greedy);
    let (listed, all) = (crowd.count(job(9)), crowd.served.len());
    assert!((990..=1_011).contains(&all), "{all}");
    assert!((95..=105).contains(&listed), "a tenth: {listed} of {all}");
}

#[test]
fn a_listing_job_takes_what_polls_leave_and_polls_do_not_wait_for_it() {
    let mut crowd = Crowd::new(RULES, &[("b", Pace::new(60, 60 * SECOND))]);
    crowd.ask("b", job(9));
    crowd.run(120 * SECOND, &[job(9)]);
    crowd.served.clear();
    for _ in 0..60 {
        crowd.ask("b", feed(1));
        let asked_at = crowd.now;
        crowd.run(10 * SECOND, &[job(9)]);
        let (at, ..) = crowd.served.iter().rfind(|(_, _, served)| *served == feed(1)).unwrap();
        assert_eq!(*at, asked_at, "the reserve is there");
    }
    assert!(crowd.count(job(9)) >= 530, "ten a poll less one: {}", crowd.count(job(9)));
}

#[test]
fn an_apps_quota_is_shared_by_buckets_in_turn_and_bounds_them_together() {
    let app = Some(Pace::new(10, 10 * SECOND));
    let own = Pace::new(100, SECOND);
    let mut crowd = Crowd::new(Rules { app, ..RULES }, &[("a", own), ("b", own), ("c", own)]);
    let greedy = [feed(1), feed(2), feed(3), job(4)];
    for (bucket, caller) in [("a", feed(1)), ("b", feed(2)), ("b", feed(3)), ("c", job(4))] {
        crowd.ask(bucket, caller);
    }
    crowd.run(1_000 * SECOND, &greedy);
    let of = |bucket: &str| crowd.served.iter().filter(|(_, served, _)| served == bucket).count();
    assert!((1_000..=1_011).contains(&crowd.served.len()), "{}", crowd.served.len());
    assert!((95..=105).contains(&of("c")), "a job's share of the app's quota: {}", of("c"));
    assert!(of("a").abs_diff(of("b")) <= 3, "{} and {}", of("a"), of("b"));
}

#[test]
fn a_credential_that_pauses_holds_up_no_other_and_an_app_holds_up_all() {
    let bounds = Pauses { floor: SECOND, silent: Duration::ZERO, max: HOUR };
    let wait = Hint { retry_after: Some(60 * SECOND), ..Hint::default() };
    let own = Pace::new(100, SECOND);
    let mut crowd = Crowd::new(Rules { app: Some(own), ..RULES }, &[("a", own), ("b", own)]);
    let now = crowd.now;
    crowd.host.bucket("a").unwrap().quota.refuse(wait, now, bounds, now);
    crowd.ask("a", feed(1));
    crowd.ask("b", feed(2));
    crowd.run(SECOND, &[]);
    assert_eq!((crowd.count(feed(1)), crowd.count(feed(2))), (0, 1));
    crowd.run(60 * SECOND, &[]);
    assert_eq!(crowd.count(feed(1)), 1);
    let now = crowd.now;
    crowd.host.app.as_mut().unwrap().refuse(wait, now, bounds, now);
    crowd.ask("b", feed(3));
    crowd.run(59 * SECOND, &[]);
    assert_eq!(crowd.count(feed(3)), 0);
    crowd.run(2 * SECOND, &[]);
    assert_eq!(crowd.count(feed(3)), 1);
}

#[test]
fn a_slow_host_has_so_many_requests_at_once_and_serves_the_live_line_first() {
    let own = Pace::new(1_000, SECOND);
    let rules = Rules { host_requests_max: 10, bucket_requests_max: 4, ..RULES };
    let mut crowd = Crowd::new(rules, &[("a", own), ("b", own), ("c", own)]);
    for (nth, bucket) in ["a", "b", "c"].into_iter().enumerate() {
        (0..20u8).for_each(|number| {
            let _ = crowd.ask(bucket, job(number + 20 * u8::try_from(nth).unwrap()));
        });
    }
    let granted = crowd.host.grant(crowd.now);
    let of = |bucket: &str| granted.iter().filter(|granted| granted.bucket == bucket).count();
    assert_eq!((granted.len(), of("a"), of("b"), of("c")), (9, 3, 3, 3), "one place of each is the live line's");
    (100..108).for_each(|number| {
        let _ = crowd.ask("a", feed(number));
    });
    let next = crowd.host.grant(crowd.now);
    assert_eq!(next.len(), 1, "the reserve, and then the host is full");
    assert_eq!((next[0].call.1.priority, crowd.host.next_at()), (Priority::Live, None));
    // Nine turns of the live line, then one of a listing job, whose bucket has room.
    let mut turns = Vec::new();
    for _ in 0..20 {
        crowd.host.end(turns.last().map_or("a", String::as_str));
        let granted = crowd.host.grant(crowd.now);
        turns.extend(granted.iter().map(|granted| granted.bucket.clone()));
        crowd.ask("a", feed(99));
    }
    assert_eq!(turns.len(), 20, "each end makes room for one: {turns:?}");
    let listed = turns.iter().filter(|bucket| *bucket != "a").count();
    assert!((1..=3).contains(&listed), "{listed} of 20");
}

proptest! {
    #[test]
    fn every_call_is_served_once_within_all_bounds_and_none_is_forgotten(
        steps in prop::collection::vec((0..6u8, 0..3usize, 0..4u8, 0..2_000u64), 1..150),
        app in prop::option::of((1..20u32, 1..5_000u64)),
    ) {
        let rules = Rules {
            host_requests_max: 5,
            bucket_requests_max: 3,
            floor_percent: 10,
            app: app.map(|(burst, ms)| Pace::new(burst, Duration::from_millis(ms))),
            slice: Slice::WHOLE,
        };
        let names = ["a", "b", "c"];
        let mut now = Instant::now();
        let mut host: Host<u32> = Host::new(rules, now);
        for name in names {
            host.make(name, Pace::new(4, SECOND), now);
        }
        let mut waiting: BTreeMap<u32, (usize, Caller, Place)> = BTreeMap::new();
        let mut under_way: Vec<usize> = Vec::new();
        let (mut served, mut next) = (HashSet::new(), 0u32);
        let mut take = |host: &mut Host<u32>, now, waiting: &mut BTreeMap<u32, _>, under_way: &mut Vec<usize>| {
            for granted in host.grant(now) {
                waiting.remove(&granted.call);
                assert!(served.insert(granted.call), "served twice");
                under_way.push(names.iter().position(|name| *name == granted.bucket).unwrap());
            }
            let mut counts: HashMap<usize, usize> = HashMap::new();
            under_way.iter().for_each(|bucket| *counts.entry(*bucket).or_default() += 1);
            assert!(under_way.len() <= 5 && counts.values().all(|count| *count <= 3), "{counts:?}");
        };
        for (kind, bucket, who, ms) in steps {
            match kind {
                0..=2 => {
                    let caller = if who % 2 == 0 { feed(who) } else { job(who) };
                    let place = host.push(names[bucket], caller, next).unwrap();
                    waiting.insert(next, (bucket, caller, place));
                    next += 1;
                }
                3 => if let Some((bucket, caller, place)) = waiting.pop_first().map(|(_, call)| call) {
                    prop_assert!(host.leave(names[bucket], caller.priority, place));
                },
                4 => if let Some(bucket) = under_way.pop() {
                    host.end(names[bucket]);
                },
                _ => now += Duration::from_millis(ms),
            }
            take(&mut host, now, &mut waiting, &mut under_way);
            prop_assert_eq!(host.waiting(), waiting.len());
        }
        for _ in 0..10_000 {
            under_way.drain(..).for_each(|bucket| host.end(names[bucket]));
            match host.next_at() {
                Some(next_at) => now = now.max(next_at),
                None => break,
            }
            take(&mut host, now, &mut waiting, &mut under_way);
        }
        prop_assert!(waiting.is_empty(), "{} wait for ever", waiting.len());
    }
}
