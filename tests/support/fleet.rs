//! Several engines beside each other over one disk.

use super::World;
use anyhook::clock::Clock;
use anyhook::context::Context;
use anyhook::store::Duty;
use chrono::TimeDelta;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl World {
    /// Another engine over the same disk, with these duties and a clock that is off by so much. Answers its number.
    pub async fn add_node(&mut self, duties: &[Duty], off: TimeDelta) -> usize {
        self.try_add_node(duties, off).await.unwrap()
    }

    /// The same; none where it dies while it starts, or finds no disk.
    pub async fn try_add_node(&mut self, duties: &[Duty], off: TimeDelta) -> Option<usize> {
        let node = self.launch(duties, Clock::simulated(self.clock.now() + off)).await?;
        let number = node.store.number;
        self.nodes.insert(number, node);
        Some(number)
    }

    /// Ends one of several engines at once.
    pub fn crash_node(&mut self, number: usize) {
        self.nodes.remove(&number).unwrap().store.die();
    }

    /// Stops one of several engines as an operator would.
    pub async fn stop_node(&mut self, number: usize) {
        let node = self.nodes.remove(&number).unwrap();
        let dead = node.store.dead.clone();
        dead.run_until_cancelled(node.engine.stop()).await;
    }

    /// The numbers of the engines that run beside each other. Those that died by themselves are forgotten.
    pub fn living_nodes(&mut self) -> Vec<usize> {
        self.nodes.retain(|_, node| !node.store.dead.is_cancelled());
        self.nodes.keys().copied().collect()
    }

    /// What one of several engines may touch.
    pub fn node(&self, number: usize) -> &Context {
        &self.nodes[&number].context
    }

    /// Whether one of several engines can neither take nor renew leases.
    pub fn cut_off(&self, number: usize, is_cut_off: bool) {
        self.nodes[&number].store.is_cut_off.store(is_cut_off, Ordering::Relaxed);
    }

    /// Nothing of this engine goes on within this time, as in a process that is stopped and woken later. What is on its
    /// way to it waits.
    pub fn stall_node(&self, number: usize, duration: Duration) {
        self.node(number).clock.stall(duration);
    }
}
