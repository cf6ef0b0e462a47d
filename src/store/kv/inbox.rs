//! Where units of work wait for the committer, each as long as its pace allows.
//!
//! The committer is woken when a group is complete, and not for each unit that joins one: under load most units find
//! others waiting, and cost no switch of threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Units of one group.
const UNITS_MAX: usize = 1_024;
/// Units in no hurry that make a group by themselves.
const LAZY_MAX: usize = 512;

/// The units that wait, in the order in which they came. Whoever adds bounds how many there are.
pub(crate) struct Inbox<T> {
    waiting: Mutex<Waiting<T>>,
    /// Told when a group is complete, or when there is a new time to wake at.
    changed: Condvar,
}

struct Waiting<T> {
    units: Vec<T>,
    /// When the first of them waits no longer; none where none waits.
    until: Option<Instant>,
    is_closed: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        let waiting = Waiting { units: Vec::new(), until: None, is_closed: false };
        Inbox { waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// Adds a unit that waits for company for so long at most; gives it back where nobody works any more.
    pub(crate) fn add(&self, unit: T, linger: Duration) -> Result<(), T> {
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return Err(unit);
        }
        waiting.units.push(unit);
        let until = Instant::now() + linger;
        let is_sooner = waiting.until.is_none_or(|known| until < known);
        if is_sooner {
            waiting.until = Some(until);
        }
        if is_sooner || waiting.units.len() == LAZY_MAX {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for a group; none once it is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        let mut waiting = self.waiting();
        loop {
            let now = Instant::now();
            let left = waiting.until.map(|until| until.saturating_duration_since(now));
            let is_complete =
                waiting.is_closed || waiting.units.len() >= LAZY_MAX || left.is_some_and(|left| left.is_zero());
            waiting = match left {
                None if waiting.is_closed => return None,
                Some(_) if is_complete => return Some(waiting.group(now)),
                Some(left) => self
                    .changed
                    .wait_timeout(waiting, left)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |woken| woken.0),
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Takes no more units. What waits is still worked on.
    pub(crate) fn close(&self) {
        self.waiting().is_closed = true;
        self.changed.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    /// The first of them. Those that are left have waited for long enough.
    fn group(&mut self, now: Instant) -> Vec<T> {
        if self.units.len() <= UNITS_MAX {
            self.until = None;
            return std::mem::take(&mut self.units);
        }
        self.until = Some(now);
        let left = self.units.split_off(UNITS_MAX);
        std::mem::replace(&mut self.units, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn who_is_in_a_hurry_takes_all_along_in_their_order() {
        let inbox = Arc::new(Inbox::new());
        let taker = inbox.clone();
        let group = std::thread::spawn(move || taker.take());
        for (unit, linger) in [(1, LONG), (2, LONG), (3, Duration::ZERO)] {
            inbox.add(unit, linger).unwrap();
        }
        assert_eq!(group.join().unwrap(), Some(vec![1, 2, 3]));
    }

    #[test]
    fn full_groups_wait_no_longer_and_what_is_left_goes_next() {
        let inbox = Inbox::new();
        let count = UNITS_MAX + 6;
        (0..count).for_each(|unit| inbox.add(unit, LONG).unwrap());
        assert_eq!(inbox.take(), Some((0..UNITS_MAX).collect()));
        assert_eq!(inbox.take(), Some((UNITS_MAX..count).collect()));
        (0..LAZY_MAX).for_each(|unit| inbox.add(unit, LONG).unwrap());
        assert_eq!(inbox.take().map(|group| group.len()), Some(LAZY_MAX));
    }

    #[test]
    fn after_the_end_what_waits_is_handed_out_and_nothing_taken() {
        let inbox = Inbox::new();
        inbox.add(1, LONG).unwrap();
        inbox.close();
        assert_eq!(inbox.add(2, Duration::ZERO), Err(2));
        assert_eq!((inbox.take(), inbox.take()), (Some(vec![1]), None));
    }
}
