//! Webhooks that wait for a pump: for their turn, for a time, or for their host. Ids alone, so that a great many may wait.

use super::signal::CHANGED;
use crate::ids::WebhookId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// Webhooks that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<WebhookId>,
    /// What its pump is to be told.
    bits: HashMap<WebhookId, u8>,
    delayed: BinaryHeap<Reverse<(Instant, WebhookId)>>,
    parked: HashMap<Arc<str>, VecDeque<WebhookId>>,
}

impl Queue {
    /// Adds a webhook at the end, once.
    pub(super) fn push(&mut self, webhook: WebhookId, bits: u8) {
        let known = self.bits.entry(webhook).or_insert_with(|| {
            self.ready.push_back(webhook);
            0
        });
        *known |= bits;
    }

    /// The next one whose turn it is.
    pub(super) fn pop(&mut self) -> Option<(WebhookId, u8)> {
        let webhook = self.ready.pop_front()?;
        let bits = self.bits.remove(&webhook).unwrap_or(CHANGED);
        Some((webhook, bits))
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Adds a webhook for then.
    pub(super) fn push_at(&mut self, at: Instant, webhook: WebhookId) {
        self.delayed.push(Reverse((at, webhook)));
    }

    /// When the next delayed one is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((at, _))| *at)
    }

    /// Makes those ready whose time has come.
    pub(super) fn wake_due(&mut self, now: Instant) {
        while let Some(Reverse((_, webhook))) = self.delayed.pop_if_due(now) {
            self.push(webhook, CHANGED);
        }
    }

    /// Adds a webhook that waits until there is room for its host.
    pub(super) fn park(&mut self, host: Arc<str>, webhook: WebhookId) {
        self.parked.entry(host).or_default().push_back(webhook);
    }

    /// Makes one parked webhook of each host ready that has room, as `has_room` tells.
    pub(super) fn unpark(&mut self, has_room: impl Fn(&str) -> bool) {
        let mut free = Vec::new();
        self.parked.retain(|host, waiting| {
            if has_room(host) {
                free.extend(waiting.pop_front());
            }
            !waiting.is_empty()
        });
        free.into_iter().for_each(|webhook| self.push(webhook, CHANGED));
    }
}

/// Takes from a heap only what is due.
trait PopIfDue {
    fn pop_if_due(&mut self, now: Instant) -> Option<Reverse<(Instant, WebhookId)>>;
}

impl PopIfDue for BinaryHeap<Reverse<(Instant, WebhookId)>> {
    fn pop_if_due(&mut self, now: Instant) -> Option<Reverse<(Instant, WebhookId)>> {
        if self.peek()?.0.0 <= now { self.pop() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn id(number: u8) -> WebhookId {
        WebhookId::from_bytes([number; 12])
    }

    #[tokio::test]
    async fn each_waits_once_and_comes_in_turn() {
        let mut queue = Queue::default();
        let now = Instant::now();
        queue.push(id(1), 1);
        queue.push(id(2), 1);
        queue.push(id(1), 4);
        queue.push_at(now + Duration::from_secs(2), id(4));
        queue.push_at(now + Duration::from_secs(1), id(3));
        assert_eq!(queue.next_at(), Some(now + Duration::from_secs(1)));
        queue.wake_due(now + Duration::from_secs(1));
        let popped = [queue.pop(), queue.pop(), queue.pop(), queue.pop()];
        assert_eq!(popped, [Some((id(1), 5)), Some((id(2), 1)), Some((id(3), CHANGED)), None]);
        queue.push(id(1), 1);
        assert_eq!(queue.pop(), Some((id(1), 1)));
    }

    #[test]
    fn parked_ones_wait_for_their_own_host() {
        let mut queue = Queue::default();
        queue.park("a".into(), id(1));
        queue.park("a".into(), id(2));
        queue.park("b".into(), id(3));
        queue.unpark(|host| host == "a");
        assert_eq!((queue.pop(), queue.pop()), (Some((id(1), CHANGED)), None));
        queue.unpark(|_| true);
        assert_eq!(queue.len(), 2);
        queue.unpark(|_| true);
        assert!(queue.parked.is_empty() && queue.len() == 2);
    }
}
