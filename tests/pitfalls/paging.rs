//! Pages of a listing that moves, lies or has no end.

use super::support::{Setup, Subscription, vendors};
use super::*;
use anyhook::simulator::{Deletions, Granularity};
use anyhook_connectors::contract::Change;
use serde_json::json;

fn with(granularity: Granularity) -> Setup {
    let mut setup = Setup::default();
    setup.simulator.granularity = granularity;
    setup
}

#[tokio::test(start_paused = true)]
async fn p03_records_change_while_they_are_paged_by_offset() {
    let (world, ..) = listening_to(Setup::contacts(450), vendors::BY_CHANGE).await;
    world.run_for(MINUTE).await;
    // Behind each page some of it change and go to the end, so that as many slip over the start of the next page.
    world.faults(vec![contacts(Fault::ChangesWhilePaging { records: 7 }, 6)]);
    let seen = world.simulator.with(|vendor, _| vendor.history().after(0).count()) as u64;
    let ids = world.create_many(150);
    world.until(2 * MINUTE, "news", |world| !world.got("a").is_empty()).await;
    world.run_for(5 * SECOND).await;
    let told = world.ids("a", "VIRTUAL");
    assert!(ids.iter().all(|id| told.contains(id)), "told by the very run under which the others changed");
    world.run_for(3 * MINUTE).await;
    let changed: Vec<String> = world.simulator.with(|vendor, _| {
        vendor.history().after(seen).map(|entry| entry.id.clone()).filter(|id| !ids.contains(id)).collect()
    });
    let all: Vec<String> = ids.iter().chain(&changed).cloned().collect();
    assert!(changed.len() >= 21, "{}", changed.len());
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&all));
}

#[tokio::test(start_paused = true)]
async fn p03_history_by_offset_misses_nothing_that_stays() {
    for (vendor, fault) in [
        (vendors::BY_CHANGE, Fault::ChangesWhilePaging { records: 9 }),
        (vendors::BY_PLACE, Fault::ShrinkingList { records: 9 }),
    ] {
        let world = World::new(Setup::contacts(600)).await;
        let connection = world.connect_to(vendor, "sandbox").await;
        world.faults(vec![contacts(fault, 30)]);
        world.subscribe(&connection, Subscription::new("a").include_all()).await;
        world.run_for(10 * MINUTE).await;
        let told = held_by(&world, "a");
        let stayed = at_vendor(&world);
        let missing: Vec<_> = stayed.keys().filter(|id| !told.contains_key(*id)).take(5).collect();
        assert!(missing.is_empty(), "{vendor}: missing {missing:?}");
        assert!(told.iter().all(|(id, title)| stayed.get(id).is_none_or(|now| now == title)), "{vendor}: as they are");
    }
}

#[tokio::test(start_paused = true)]
async fn p05_more_records_share_a_time_than_a_page_holds() {
    let (world, ..) = listening_to(with(Granularity::Second), vendors::SECONDS).await;
    let ids = world.create_many(350);
    world.run_for(3 * MINUTE).await;
    assert_told_once(&world, &ids, "350 of one second");
    let polls = world.polls();
    world.run_for(10 * MINUTE).await;
    assert!(world.polls() - polls <= 50, "it does not go round in circles: {}", world.polls() - polls);
}

#[tokio::test(start_paused = true)]
async fn p05_more_records_match_than_the_vendor_lets_be_paged() {
    let window = FaultRule::always(Fault::ResultWindow { records: 200 });
    let (world, ..) = listening_under(with(Granularity::Second), vendors::WINDOWED, vec![window]).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.extend(world.create_many(150));
        world.run_for(2 * SECOND).await;
    }
    world.run_for(3 * MINUTE).await;
    assert_told_once(&world, &ids, "six times 150 beyond a window of 200");
}

#[tokio::test(start_paused = true)]
async fn p05_a_time_that_cannot_be_listed_whole_is_told_of_and_not_passed_over() {
    let window = FaultRule::always(Fault::ResultWindow { records: 200 });
    let (world, _, webhook) = listening_under(with(Granularity::Second), vendors::WINDOWED, vec![window]).await;
    let mut ids = world.create_many(350);
    world.run_for(10 * SECOND).await;
    ids.extend(world.create_many(10));
    world.run_for(2 * MINUTE).await;
    let state = world.feed_state(&webhook).await;
    assert!(
        matches!(&state.health, FeedHealth::Unhealthy { code, .. } if code == "listing_tie_too_large"),
        "{:?}",
        state.health
    );
    // Once some of them have another time, all of them are told.
    for some in [0..90, 90..180] {
        ids[some].iter().for_each(|id| world.update(id, json!({"title": "Captain"})));
        world.run_for(2 * SECOND).await;
    }
    world.run_for(3 * HOUR).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids));
}

/// Records of many times, more than two pages of them, that are there at the next poll.
async fn three_pages(world: &World, webhook: &Webhook) -> Vec<String> {
    world.change(webhook.id, |row| row.is_paused = true).await;
    let mut ids = Vec::new();
    for _ in 0..250 {
        ids.push(world.create(json!({})));
        world.run_for(Duration::from_millis(40)).await;
    }
    world.faults(vec![contacts(Fault::Slow { ms: 500 }, 4)]);
    world.change(webhook.id, |row| row.is_paused = false).await;
    ids
}

/// Waits until so many more pages have been asked for.
async fn pages_asked_for(world: &World, pages: usize) {
    let before = world.calls.lock().unwrap().len();
    world.until(3 * MINUTE, "pages", |world| world.calls.lock().unwrap().len() >= before + pages).await;
}

#[tokio::test(start_paused = true)]
async fn p14_a_page_in_the_middle_of_a_run_fails() {
    let faults = [(Fault::Status { status: 500 }, 5), (Fault::TruncatedBody {}, 2), (Fault::HtmlBody {}, 2)];
    for vendor in ["sandbox", vendors::NEWEST_FIRST, vendors::WHOLE] {
        for (fault, times) in &faults {
            let (world, _, webhook) = listening_to(Setup::contacts(20), vendor).await;
            let ids = three_pages(&world, &webhook).await;
            pages_asked_for(&world, 1).await;
            // The first page is as it should be; then the vendor fails until the run is given up, and once more.
            world.faults(vec![contacts(fault.clone(), *times)]);
            world.run_for(4 * MINUTE).await;
            assert_told_once(&world, &ids, &format!("{vendor} {fault:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p14_a_page_in_the_middle_of_a_run_is_empty() {
    for vendor in ["sandbox", vendors::NEWEST_FIRST, vendors::WHOLE] {
        for nth in 0..3 {
            let (world, _, webhook) = listening_to(Setup::contacts(20), vendor).await;
            let ids = three_pages(&world, &webhook).await;
            pages_asked_for(&world, nth).await;
            world.faults(vec![contacts(Fault::EmptyPage {}, 1)]);
            world.run_for(3 * MINUTE).await;
            assert_told_once(&world, &ids, &format!("{vendor}, after {nth} pages"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p03_a_new_record_moves_to_a_page_that_was_read() {
    for crashes in [false, true] {
        let (mut world, connection, webhook) = listening_to(Setup::contacts(20), vendors::NEWEST_FIRST).await;
        world.subscribe(&connection, Subscription::new("created").event(Change::Created)).await;
        world.run_for(MINUTE).await;
        let ids = three_pages(&world, &webhook).await;
        pages_asked_for(&world, 2).await;
        // Oldest of all, on the last page, until it changes.
        world.update(&ids[0], json!({"title": "Captain"}));
        pages_asked_for(&world, 2).await;
        if crashes {
            let is_answered = world.calls.lock().unwrap().last().unwrap().answered_at.is_some();
            assert!(!is_answered, "it was read to its end, and is being asked for again");
            world.crash();
            world.start().await;
        }
        world.run_for(3 * MINUTE).await;
        assert_eq!(set(&world.ids("created", "VIRTUAL")), set(&ids), "crashes: {crashes}");
        assert_told_once(&world, &ids, &format!("crashes: {crashes}"));
    }
}

#[tokio::test(start_paused = true)]
async fn p19_the_last_record_read_is_deleted() {
    for vendor in ["sandbox", vendors::NEWEST_FIRST, vendors::WHOLE, vendors::LATE] {
        let mut setup = Setup::contacts(450);
        setup.simulator.deletions = Deletions::Silent;
        let (world, ..) = listening_to(setup, vendor).await;
        let mut ids = world.create_many(3);
        world.run_for(2 * MINUTE).await;
        world.delete(&ids[2]);
        world.run_for(2 * MINUTE).await;
        let before = world.calls.lock().unwrap().len();
        world.run_for(10 * MINUTE).await;
        let pages = world.calls.lock().unwrap().len() - before;
        assert!(vendor == vendors::WHOLE || pages <= 12, "{vendor}: {pages} pages in ten polls: it lists all again");
        ids.extend(world.create_many(2));
        world.run_for(2 * MINUTE).await;
        assert_told_once(&world, &ids, vendor);
    }
}

#[tokio::test(start_paused = true)]
async fn p19_the_list_shrinks_while_it_is_read() {
    let mut setup = Setup::contacts(450);
    setup.simulator.deletions = Deletions::Silent;
    let (world, ..) = listening_to(setup, vendors::WHOLE).await;
    world.run_for(MINUTE).await;
    let ids = world.create_many(150);
    world.faults(vec![contacts(Fault::ShrinkingList { records: 60 }, 5)]);
    world.run_for(70 * SECOND).await;
    world.faults(Vec::new());
    assert_told_once(&world, &ids, "told by the very run under which the list shrank");
    world.run_for(2 * MINUTE).await;
    assert_told_once(&world, &ids, "and once");
}

#[tokio::test(start_paused = true)]
async fn p19_a_history_that_shrinks_faster_than_it_is_read_does_not_end_as_if_it_were_whole() {
    let world = World::new(Setup::contacts(2_000)).await;
    let connection = world.connect_to(vendors::BY_PLACE, "sandbox").await;
    world.faults(vec![contacts(Fault::ShrinkingList { records: 3 }, 40)]);
    let webhook = world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(20 * MINUTE).await;
    let told = held_by(&world, "a");
    assert!(at_vendor(&world).keys().all(|id| told.contains_key(id)));
    let jobs = world.disk.store.jobs_of_webhook(webhook.id, 1).await.unwrap();
    assert!(!matches!(jobs[0].state, JobState::Failed { .. }), "{:?}", jobs[0].state);
}
