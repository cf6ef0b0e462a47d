use super::*;
use crate::random::Random;
use crate::store::{Leases, MemoryStore, StoreError};
use std::collections::BTreeSet;

const SECOND: Duration = Duration::from_secs(1);

struct Nodes {
    store: Arc<MemoryStore>,
    clock: Clock,
    limits: Limits,
    random: Random,
}

impl Nodes {
    fn new() -> Self {
        let (limits, start) = (Limits::default(), DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let store = Arc::new(MemoryStore::new(&limits.store));
        Nodes { store, clock: Clock::simulated(start), limits, random: Random::seeded(3) }
    }

    async fn keeper(&self) -> Arc<LeaseKeeper> {
        let node = NodeId::new(&self.clock, &self.random).unwrap();
        let keeper = LeaseKeeper::new(node, &Duty::ALL, &self.limits, &self.clock);
        keeper.renew(&*self.store).await.unwrap();
        Arc::new(keeper)
    }

    fn run(&self, keeper: &Arc<LeaseKeeper>) {
        let (keeper, store) = (keeper.clone(), self.store.clone());
        tokio::spawn(async move { keeper.run(&*store, CancellationToken::new()).await });
    }
}

fn lease(keeper: &LeaseKeeper, shard: u16) -> Option<Lease> {
    keeper.lease(Duty::Deliver, ShardId(shard))
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_shown_until_it_ends_by_either_clock() {
    let nodes = Nodes::new();
    let keeper = nodes.keeper().await;
    let first = lease(&keeper, 7).unwrap();
    tokio::time::advance(29 * SECOND).await;
    assert_eq!(lease(&keeper, 7).unwrap().fence, first.fence);
    // Nobody ran meanwhile, as in a process that was stopped and is woken.
    tokio::time::advance(SECOND).await;
    assert!(lease(&keeper, 7).is_none() && keeper.shards(Duty::Poll).is_empty());
    assert_eq!(keeper.share(Duty::Poll), (0, SHARDS));
    keeper.renew(&*nodes.store).await.unwrap();
    let again = lease(&keeper, 7).unwrap();
    assert_eq!(again.fence, first.fence, "nobody has taken it");
    assert_ne!(again.term, first.term, "whoever missed it is to look again");

    nodes.clock.jump(-3_600_000);
    tokio::time::advance(30 * SECOND).await;
    assert!(lease(&keeper, 7).is_none(), "a clock that is put back makes it no longer");
    keeper.renew(&*nodes.store).await.unwrap();
    nodes.clock.jump(30_000);
    assert!(lease(&keeper, 7).is_none(), "time passed that the machine slept through");
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_given_away_once_nobody_works_on_it_any_more() {
    let nodes = Nodes::new();
    let one = nodes.keeper().await;
    let working: Vec<_> = (0..SHARDS).map(|shard| lease(&one, shard).unwrap()).collect();
    nodes.run(&one);
    let mut changes = one.changes();
    let other = nodes.keeper().await;
    nodes.run(&other);
    assert_eq!(other.share(Duty::Deliver).0, 0);
    changes.changed().await;
    let kept: BTreeSet<_> = one.shards(Duty::Deliver).into_iter().collect();
    assert_eq!(kept.len(), 32, "what is to go is shown no more");
    tokio::time::sleep(12 * SECOND).await;
    assert_eq!(other.share(Duty::Poll).0, 32, "nobody polls: it is handed over at once");
    assert_eq!(other.share(Duty::Deliver).0, 0, "deliveries are under way");
    let (staying, mut leaving): (Vec<_>, Vec<_>) =
        working.into_iter().partition(|lease| kept.contains(&lease.fence.shard));
    let slow = leaving.split_off(28);
    drop((staying, leaving));
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!(other.share(Duty::Deliver).0, 28);
    tokio::time::sleep(16 * SECOND).await;
    assert_eq!(other.share(Duty::Deliver).0, 32, "nobody waits longer than an attempt takes");
    assert!(
        slow.iter().all(|lease| other.lease(Duty::Deliver, lease.fence.shard).unwrap().fence.epoch > lease.fence.epoch)
    );
}

#[tokio::test(start_paused = true)]
async fn a_fenced_shard_is_forgotten_but_not_its_successor() {
    let nodes = Nodes::new();
    let keeper = nodes.keeper().await;
    let old = lease(&keeper, 3).unwrap().fence;
    nodes.store.give_shards(&[old]).await.unwrap();
    keeper.renew(&*nodes.store).await.unwrap();
    let new = lease(&keeper, 3).unwrap().fence;
    assert!(new.epoch > old.epoch);
    keeper.lost(old);
    assert_eq!(lease(&keeper, 3).map(|lease| lease.fence), Some(new));
    keeper.lost(new);
    assert!(lease(&keeper, 3).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_return_is_not_waited_for_beyond_a_lease() {
    let never = std::future::pending::<Result<(), StoreError>>();
    let began = Instant::now();
    assert!(matches!(within(30 * SECOND, never).await, Err(StoreError::Unavailable(_))));
    assert_eq!(began.elapsed(), 30 * SECOND);
}
