//! A fleet: what happens to its nodes, and what must be so of the work that they share.

use crate::life::{Failure, Life};
use crate::plan::Ways;
use crate::support::World;
use crate::support::receiver::{Delivery, Reply};
use crate::support::vendor::Call;
use anyhook::store::*;
use chrono::TimeDelta;
use std::time::Duration;
use tokio::time::Instant;

/// Nodes at a time.
pub const NODES_MAX: usize = 3;
/// Connections of a fleet, each with a shard of its own.
const CONNECTIONS: usize = 2;

/// How long it takes at most until an attempt has ended and its outcome is kept.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// What happens to a node. Which one is told by a number that is taken modulo how many there are.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeAct {
    /// A node comes, whose clock is off by so much.
    Join { does: Does, off_s: i64 },
    /// It stops as an operator would have it, and gives its shards back.
    Leave { which: u32 },
    /// It vanishes.
    Crash { which: u32 },
    /// It stands still for so long, and goes on.
    Stall { which: u32, ms: u64 },
    /// It cannot tell that it lives, or can again.
    CutOff { which: u32, is_cut_off: bool },
    /// Its clock jumps.
    Clock { which: u32, by_s: i64 },
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Does {
    Everything,
    Polling,
    Delivering,
}

impl Does {
    fn duties(self) -> &'static [Duty] {
        match self {
            Does::Everything => &Duty::ALL,
            Does::Polling => &[Duty::Poll],
            Does::Delivering => &[Duty::Deliver],
        }
    }
}

impl Ways {
    pub fn is_fleet(&self) -> bool {
        self.nodes > 1
    }
}

/// A world with nodes over one store, whose clock they follow.
pub async fn fleet(ways: &Ways) -> (World, Vec<Connection>) {
    let mut world = World::without_engine(ways.setup()).await;
    world.disk.clock.set(world.clock.clone()).unwrap();
    let mut connections = Vec::new();
    for nth in 0..CONNECTIONS {
        let (bucket, host) = (format!("customer-{nth}"), format!("host-{nth}.test"));
        connections.push(world.connect_to_by_host(ways.vendor, &bucket, &host).await);
    }
    for _ in 0..ways.nodes {
        world.add_node(&Duty::ALL, TimeDelta::zero()).await;
    }
    (world, connections)
}

impl Life {
    pub async fn act_on_node(&mut self, act: &NodeAct) {
        match act {
            NodeAct::Join { does, off_s } => self.join(*does, *off_s).await,
            NodeAct::Leave { which } => {
                let Some(node) = self.nth_node(*which) else { return };
                self.world.stop_node(node).await;
            }
            NodeAct::Crash { which } => {
                let Some(node) = self.nth_node(*which) else { return };
                self.world.crash_node(node);
            }
            NodeAct::Stall { which, ms } => {
                let Some(node) = self.nth_node(*which) else { return };
                let stall = Duration::from_millis(*ms);
                self.world.stall_node(node, stall);
                self.stalled_until = self.stalled_until.max(Some(Instant::now() + stall));
            }
            NodeAct::CutOff { which, is_cut_off } => {
                let Some(node) = self.nth_node(*which) else { return };
                self.world.cut_off(node, *is_cut_off);
            }
            NodeAct::Clock { which, by_s } => {
                let Some(node) = self.nth_node(*which) else { return };
                if self.has_begun().await {
                    self.jumps.push(Instant::now());
                    self.world.node(node).clock.jump(by_s * 1_000);
                }
            }
        }
    }

    async fn join(&mut self, does: Does, off_s: i64) {
        if self.world.living_nodes().len() < NODES_MAX {
            self.world.try_add_node(does.duties(), TimeDelta::seconds(off_s)).await;
        }
    }

    fn nth_node(&mut self, which: u32) -> Option<usize> {
        let nodes = self.world.living_nodes();
        nodes.get((which as usize).checked_rem(nodes.len())?).copied()
    }

    /// Another node comes where none is left.
    pub async fn see_nodes(&mut self) {
        if self.world.living_nodes().is_empty() {
            self.say("a node rises");
            self.world.disk.live_on();
            self.join(Does::Everything, 0).await;
        }
    }

    /// No node dies any more, each can tell that it lives, none stalls, and all that there is to do is done by one. What
    /// they had begun has ended.
    pub async fn mend_nodes(&mut self) {
        self.world.disk.live_on();
        self.subscribers.iter().for_each(|one| self.world.replies(&one.name, &[], Reply::Ok));
        let nodes = self.world.living_nodes();
        nodes.iter().for_each(|node| self.world.cut_off(*node, false));
        let is_done = |duty: Duty| nodes.iter().any(|node| self.world.node(*node).leases.duties().contains(&duty));
        if !Duty::ALL.into_iter().all(is_done) {
            if nodes.len() == NODES_MAX {
                self.world.stop_node(nodes[0]).await;
            }
            self.join(Does::Everything, 0).await;
        }
        let stalls = self.stalled_until.map(|until| until.saturating_duration_since(Instant::now()));
        self.world.run_for(stalls.unwrap_or_default() + ENDED_WITHIN).await;
    }

    /// Polls that wait because of what went wrong are asked for now: with one feed waiting, the others would go on.
    pub async fn ask_for_polls(&self) {
        for subscriber in self.subscribed() {
            self.world.disk.store.ping_feed(subscriber.webhook.feed_id, self.world.clock.now()).await.unwrap();
        }
    }

    /// Whoever asks or delivers holds the shard, and no two nodes do so at once.
    pub fn check_nodes(&self) -> Result<(), Failure> {
        if !self.ways.is_fleet() {
            return Ok(());
        }
        let strays = self.world.disk.holdings.strays();
        self.ensure(strays.is_empty(), "nothing is written by a lease that has ended", || format!("{strays:?}"))?;
        for (nth, connection) in self.connections.iter().enumerate() {
            let mut calls = self.world.calls.lock().unwrap().clone();
            calls.retain(|call| call.host == format!("host-{nth}.test"));
            self.check_polls(connection, calls)?;
        }
        self.subscribers.iter().try_for_each(|one| self.check_attempts(one.webhook.shard, &self.world.got(&one.name)))
    }

    fn check_polls(&self, connection: &Connection, mut calls: Vec<Call>) -> Result<(), Failure> {
        calls.sort_by_key(|call| call.sent_at);
        for call in &calls {
            let holds = self.world.disk.holdings.holds(call.engine, Duty::Poll, connection.shard, call.sent_at);
            self.ensure(holds, "only who holds a shard polls", || format!("{call:?}"))?;
        }
        // What was asked just before a lease ended may still be under way when it is taken: a vendor may take as long to
        // answer as a lease lives. Where a shard is handed over, that is waited for.
        let is_taken =
            |call: &Call| self.world.disk.holdings.is_taken(call.engine, Duty::Poll, connection.shard, call.sent_at);
        let end = |call: &Call| call.ended_at.map_or(call.until, |ended_at| ended_at.min(call.until));
        let mut busy: Option<&Call> = None;
        for call in calls.iter() {
            let apart = busy.is_none_or(|busy| busy.engine == call.engine || end(busy) <= call.sent_at);
            self.ensure(apart, "no feed is polled by two nodes at once", || format!("{busy:?} and {call:?}"))?;
            if busy.is_none_or(|busy| end(busy) < end(call)) && !is_taken(call) {
                busy = Some(call);
            }
        }
        Ok(())
    }

    fn check_attempts(&self, shard: ShardId, got: &[Delivery]) -> Result<(), Failure> {
        let end = |one: &Delivery| one.ended_at.unwrap_or(one.instant);
        let mut attempts: Vec<_> = got.iter().collect();
        attempts.sort_by_key(|one| one.instant);
        let mut busy: Option<&Delivery> = None;
        for one in attempts {
            let holds = self.world.disk.holdings.holds(one.engine, Duty::Deliver, shard, one.instant);
            self.ensure(holds, "only who holds a shard delivers", || format!("{one:?}"))?;
            let apart = busy.is_none_or(|busy| busy.engine == one.engine || end(busy) <= one.instant);
            self.ensure(apart, "no two nodes deliver to a webhook at once", || format!("{busy:?} and {one:?}"))?;
            if busy.is_none_or(|busy| end(busy) < end(one)) {
                busy = Some(one);
            }
        }
        Ok(())
    }
}
