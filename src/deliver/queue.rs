//! Webhooks that wait for a pump: for their turn, for a time, for their host or for the slow pool. Ids alone, each once,
//! so that a great many may wait.

use crate::ids::WebhookId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// Where a webhook waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// For its turn.
    Ready,
    /// For its turn with a batch that is tried again.
    Retry,
    /// For an admission to the slow pool.
    Slow {
        /// With a batch that is tried again.
        is_retry: bool,
    },
    /// For room at its host.
    Host {
        /// The host.
        host: Arc<str>,
        /// With a batch that is tried again.
        is_retry: bool,
    },
}

/// Webhooks in their order, each with the number of its waiting. One that was taken out of its turn leaves an entry.
type Line = VecDeque<(WebhookId, u64)>;

/// Webhooks that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: HashMap<WebhookId, (Place, u64)>,
    lines: HashMap<Place, Line>,
    delayed: BinaryHeap<Reverse<(Instant, WebhookId)>>,
    next: u64,
}

impl Queue {
    /// Adds a webhook at the end of a line, once. One that waits already waits on where it is.
    pub(super) fn push(&mut self, webhook: WebhookId, place: Place) {
        if !self.waiting.contains_key(&webhook) {
            self.insert(webhook, place);
        }
    }

    /// Adds a webhook that may be another than it was, at the end of those that are ready: it may not have to wait for
    /// its host any more.
    pub(super) fn push_changed(&mut self, webhook: WebhookId) {
        if !matches!(self.waiting.get(&webhook), Some((Place::Ready, _))) {
            self.insert(webhook, Place::Ready);
        }
    }

    fn insert(&mut self, webhook: WebhookId, place: Place) {
        self.next += 1;
        self.waiting.insert(webhook, (place.clone(), self.next));
        self.lines.entry(place).or_default().push_back((webhook, self.next));
    }

    /// The next one in a line.
    pub(super) fn pop(&mut self, place: &Place) -> Option<WebhookId> {
        let line = self.lines.get_mut(place)?;
        let waiting = &mut self.waiting;
        let is_here = |(webhook, number): &(WebhookId, u64)| waiting.get(webhook).is_some_and(|(_, of)| of == number);
        let found = std::iter::from_fn(|| line.pop_front()).find(is_here).map(|(webhook, _)| webhook);
        if line.is_empty() {
            self.lines.remove(place);
        }
        if let Some(webhook) = found {
            waiting.remove(&webhook);
        }
        found
    }

    /// Webhooks in a line, about.
    pub(super) fn len(&self, place: &Place) -> usize {
        self.lines.get(place).map_or(0, VecDeque::len)
    }

    /// Webhooks in all lines.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Hosts that webhooks wait for.
    pub(super) fn hosts(&self) -> HashSet<Arc<str>> {
        let hosts = self.lines.keys().filter_map(|place| match place {
            Place::Host { host, .. } => Some(host.clone()),
            Place::Ready | Place::Retry | Place::Slow { .. } => None,
        });
        hosts.collect()
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
        while self.next_at().is_some_and(|at| at <= now) {
            let Some(Reverse((_, webhook))) = self.delayed.pop() else { break };
            self.push(webhook, Place::Ready);
        }
    }

    /// Makes as many ready that wait for a host as there is room for. True if more wait.
    pub(super) fn unpark(&mut self, host: &Arc<str>, room: impl Fn(bool) -> usize) -> bool {
        let mut more_wait = false;
        for (is_retry, ready) in [(false, Place::Ready), (true, Place::Retry)] {
            let place = Place::Host { host: host.clone(), is_retry };
            for _ in 0..room(is_retry) {
                let Some(webhook) = self.pop(&place) else { break };
                self.push(webhook, ready.clone());
            }
            more_wait |= self.len(&place) > 0;
        }
        more_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn id(number: u8) -> WebhookId {
        WebhookId::from_bytes([number; 12])
    }

    fn at(host: &str, is_retry: bool) -> Place {
        Place::Host { host: host.into(), is_retry }
    }

    fn all(queue: &mut Queue, place: Place) -> Vec<WebhookId> {
        std::iter::from_fn(|| queue.pop(&place)).collect()
    }

    #[tokio::test]
    async fn each_waits_once_and_comes_in_turn() {
        let mut queue = Queue::default();
        let now = Instant::now();
        [1, 2, 1].iter().for_each(|number| queue.push(id(*number), Place::Ready));
        queue.push_at(now + Duration::from_secs(2), id(4));
        queue.push_at(now + Duration::from_secs(1), id(3));
        assert_eq!(queue.next_at(), Some(now + Duration::from_secs(1)));
        queue.wake_due(now + Duration::from_secs(1));
        assert_eq!(all(&mut queue, Place::Ready), [id(1), id(2), id(3)]);
        queue.push(id(1), Place::Ready);
        assert_eq!(all(&mut queue, Place::Ready), [id(1)]);
        assert!(queue.waiting.is_empty() && queue.lines.is_empty());
    }

    #[test]
    fn one_that_waits_elsewhere_is_not_woken_by_more_to_deliver() {
        let mut queue = Queue::default();
        queue.push(id(1), Place::Slow { is_retry: true });
        queue.push(id(2), at("a", false));
        for _ in 0..1_000 {
            [1, 2].iter().for_each(|number| queue.push(id(*number), Place::Ready));
        }
        assert_eq!((queue.len(&Place::Ready), queue.waiting()), (0, 2));
        assert_eq!(all(&mut queue, Place::Slow { is_retry: true }), [id(1)]);
    }

    #[test]
    fn one_that_has_changed_waits_no_longer() {
        let mut queue = Queue::default();
        queue.push(id(1), at("a", false));
        queue.push_changed(id(1));
        queue.push_changed(id(1));
        assert_eq!(all(&mut queue, Place::Ready), [id(1)]);
        assert!(!queue.unpark(&"a".into(), |_| 9), "nobody waits there any more");
        assert!(queue.waiting.is_empty() && queue.lines.is_empty());
    }

    #[test]
    fn parked_ones_wait_for_their_own_host() {
        let mut queue = Queue::default();
        for (number, host, is_retry) in [(9, "a", true), (1, "a", false), (2, "a", false), (3, "b", false)] {
            queue.push(id(number), at(host, is_retry));
        }
        assert!(queue.unpark(&"a".into(), |is_retry| usize::from(!is_retry)));
        assert_eq!(all(&mut queue, Place::Ready), [id(1)]);
        assert!(!queue.unpark(&"a".into(), |_| 2));
        assert_eq!(queue.hosts(), ["b".into()].into());
        assert_eq!(all(&mut queue, Place::Ready), [id(2)]);
        assert_eq!(all(&mut queue, Place::Retry), [id(9)]);
    }
}
