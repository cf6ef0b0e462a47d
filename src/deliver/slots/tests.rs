use super::*;
use futures_util::FutureExt;

const SECOND: Duration = Duration::from_secs(1);

fn slots(all: usize, per_host: usize, slow: usize) -> Arc<Slots> {
    let (slots_max, host_slots_max, slow_slots_max) = (all, per_host, slow);
    Slots::new(&DeliverLimits { slots_max, host_slots_max, slow_slots_max, ..DeliverLimits::default() })
}

fn host(name: &str) -> Arc<str> {
    Arc::from(name)
}

impl Slots {
    async fn take(self: &Arc<Self>, name: &str, is_retry: bool) -> Result<Slot, Refused> {
        self.acquire(&host(name), is_retry, &mut None).await
    }

    fn try_take(self: &Arc<Self>, name: &str, is_retry: bool) -> Option<Result<Slot, Refused>> {
        self.take(name, is_retry).now_or_never()
    }

    fn quick_free(&self) -> usize {
        std::iter::from_fn(|| self.quick.try_take(false)).collect::<Vec<_>>().len()
    }
}

/// An attempt that is never answered, run to where it turns slow.
async fn turn_slow(mut slot: Slot) -> Slot {
    assert!(tokio::time::timeout(SECOND + SECOND / 2, slot.run(std::future::pending::<()>())).await.is_err());
    // The work was dropped with the wait for it; its place was not.
    slot
}

#[tokio::test]
async fn a_full_host_keeps_nobody_elses_slots() {
    let slots = slots(4, 2, 4);
    slots.note(&host("quick"), Speed::Quick);
    let (a, b) = (slots.take("slow", false).await, slots.take("slow", false).await);
    let mut third = Box::pin(slots.take("slow", false));
    assert!(third.as_mut().now_or_never().is_none());
    let others = [slots.take("quick", false).await, slots.take("quick", false).now_or_never().unwrap()];
    drop(others);
    drop(a);
    assert!(third.await.is_ok());
    drop(b);
    let hosts = slots.hosts();
    assert!(hosts.used.is_empty() && hosts.waiting.all == 0, "hosts without users are forgotten");
}

#[tokio::test]
async fn retries_leave_room_for_fresh_batches() {
    let slots = slots(4, 4, 4);
    slots.note(&host("dead"), Speed::Quick);
    let mut retries = Vec::new();
    while let Some(slot) = slots.try_take("dead", true) {
        retries.push(slot.ok());
        assert!(retries.len() <= 3);
    }
    assert!(slots.try_take("dead", false).is_some());
}

#[tokio::test]
async fn a_crowd_is_turned_away_and_told_of_room() {
    let slots = slots(1, 1, 4);
    let mut waiting: Vec<_> = (0..CROWD).map(|_| Box::pin(slots.take("slow", false))).collect();
    let mut first: Vec<_> = waiting.iter_mut().map(|wait| wait.as_mut().now_or_never()).collect();
    assert!(first[0].as_ref().is_some_and(Result::is_ok) && first[1].is_none());
    assert!(slots.room("slow", false) == 0 && slots.room("quick", false) == CROWD);
    assert_eq!(slots.take("slow", false).await.err(), Some(Refused::Crowded));
    assert!(slots.take_freed().is_empty());
    drop(first.remove(0));
    assert!(slots.take_freed().contains("slow") && slots.freed.notified().now_or_never().is_some());
    drop((first, waiting));
    assert!(slots.hosts().used.is_empty());
}

#[tokio::test]
async fn who_waits_late_is_told_of_room_or_that_nobody_would_tell() {
    let slots = slots(1, 1, 4);
    let slot = slots.take("a", false).await.unwrap();
    // One was turned away, and is on his way to the queue while it is found empty.
    slots.is_awaited_no_more("a");
    assert!(slots.await_room("a"));
    drop(slot);
    assert!(slots.take_freed().contains("a"));
    assert!(!slots.await_room("a"), "all have left");
}

#[tokio::test]
async fn those_who_wait_for_their_hosts_are_bounded_in_all() {
    let slots = slots(1, 2, 4);
    let (mut waiting, mut held, mut refused) = (Vec::new(), Vec::new(), 0);
    for name in ["a", "b", "c", "d"] {
        for _ in 0..2 * CROWD {
            let mut wait = Box::pin(async { slots.take(name, false).await });
            match wait.as_mut().now_or_never() {
                Some(Ok(slot)) => held.push(slot),
                Some(Err(error)) => {
                    assert_eq!(error, Refused::Crowded);
                    refused += 1;
                }
                None => waiting.push(wait),
            }
        }
    }
    assert_eq!((slots.hosts().waiting.all, refused), (WAITING_PER_SLOT, 16 - 8 - WAITING_PER_SLOT));
}

#[tokio::test(start_paused = true)]
async fn what_turns_out_slow_gives_its_quick_slot_back() {
    let slots = slots(2, 2, 4);
    let a = turn_slow(slots.take("a", false).await.unwrap()).await;
    assert_eq!((slots.quick_free(), slots.slow.len()), (2, 1));
    // The host begins in the slow pool from now on, until it answers quickly.
    let mut next = slots.take("a", false).await.unwrap();
    assert_eq!((slots.quick_free(), slots.slow.len()), (2, 2));
    assert_eq!(next.run(async { 7 }).await, Ok(7));
    drop((a, next));
    assert_eq!(slots.slow.len(), 0);
    let _quick = slots.take("a", false).await.unwrap();
    assert_eq!((slots.quick_free(), slots.slow.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_slow_pool_holds_no_quick_slot() {
    let slots = slots(8, 8, 1);
    let began = Instant::now();
    let mut oldest = slots.take("a", false).await.unwrap();
    let ended = tokio::spawn(async move { oldest.run(std::future::pending::<()>()).await });
    tokio::time::sleep(SECOND / 2).await;
    let _second = turn_slow(slots.take("b", false).await.unwrap()).await;
    assert_eq!((slots.quick_free(), slots.slow.len()), (8, 1));
    assert_eq!(ended.await.unwrap(), Err(Ended(SECOND + SECOND / 2)), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_slow_host_or_the_slow_pool() {
    let slots = slots(8, 1, 2);
    let a = turn_slow(slots.take("a", false).await.unwrap()).await;
    assert_eq!(slots.take("a", false).await.err(), Some(Refused::Crowded));
    drop(a);
    let mut admission = None;
    let slow = slots.acquire(&host("a"), false, &mut admission).await;
    assert!(slow.is_ok() && admission.is_some());
    slots.note(&host("b"), Speed::Slow);
    assert_eq!(slots.take("b", false).await.err(), Some(Refused::Slow), "there is one admission");
    drop((slow, admission));
    assert!(slots.take("b", false).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn hosts_that_answered_quickly_have_slots_of_their_own() {
    let slots = slots(16, 16, 64);
    slots.note(&host("known"), Speed::Quick);
    let unknown: Vec<_> = (0..20).map_while(|number| slots.try_take(&format!("host {number}"), false)).collect();
    assert_eq!(unknown.len(), 14);
    assert!(slots.try_take("known", false).is_some());
}

#[tokio::test]
async fn retries_that_wait_for_a_host_leave_room_for_fresh_batches() {
    let slots = slots(8, 4, 4);
    let (mut held, mut waiting, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..9 {
        let mut wait = Box::pin(async { slots.take("host", true).await });
        match wait.as_mut().now_or_never() {
            Some(Ok(slot)) => held.push(slot),
            Some(Err(_)) => refused += 1,
            None => waiting.push(wait),
        }
    }
    assert_eq!((held.len(), waiting.len(), refused), (3, 3, 3));
    assert_eq!((slots.room("host", true), slots.room("host", false)), (0, 2));
    assert!(slots.try_take("host", false).is_some_and(|slot| slot.is_ok()));
}
