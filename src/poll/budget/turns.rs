//! Whose turn it is among callers that wait for the same thing: each lane in turn, however much each of them wants.
//!
//! Start-time fair queueing: a call is numbered by when its lane is next to be served, and the lowest number goes first.
//! A lane that had to give up waiting keeps its number, so that it comes first when it is back.

use std::collections::{BTreeMap, HashMap};

/// Lanes that are remembered beside those that wait.
const LANES_MAX: usize = 10_000;

/// Whose turn it is: an id.
pub type Lane = [u8; 12];

/// A place among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    start: u64,
    order: u64,
}

#[derive(Debug, Default)]
struct Served {
    /// The number of its next call.
    next: u64,
    /// The number of a call that gave up.
    kept: Option<u64>,
    waiting: usize,
}

/// Those that wait.
#[derive(Debug)]
pub struct Turns<T> {
    waiting: BTreeMap<Place, (Lane, T)>,
    lanes: HashMap<Lane, Served>,
    /// The number of the call that was served last.
    now: u64,
    order: u64,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns { waiting: BTreeMap::new(), lanes: HashMap::new(), now: 0, order: 0 }
    }
}

impl<T> Turns<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True where nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Begins to wait.
    pub fn push(&mut self, lane: Lane, call: T) -> Place {
        if self.lanes.len() >= LANES_MAX {
            self.lanes.retain(|_, served| served.waiting > 0);
        }
        let served = self.lanes.entry(lane).or_default();
        let start = served.kept.take().unwrap_or_else(|| served.next.max(self.now));
        served.next = served.next.max(start + 1);
        served.waiting += 1;
        self.order += 1;
        let place = Place { start, order: self.order };
        self.waiting.insert(place, (lane, call));
        place
    }

    /// Serves whose turn it is.
    pub fn serve(&mut self) -> Option<T> {
        let (place, (lane, call)) = self.waiting.pop_first()?;
        self.now = self.now.max(place.start);
        self.note_left(lane);
        Some(call)
    }

    /// Gives up waiting, and keeps the place for the lane's next call. None where it was served.
    pub fn leave(&mut self, place: Place) -> Option<T> {
        let (lane, call) = self.waiting.remove(&place)?;
        self.note_left(lane);
        if let Some(served) = self.lanes.get_mut(&lane) {
            served.kept = Some(served.kept.map_or(place.start, |kept| kept.min(place.start)));
        }
        Some(call)
    }

    /// How many go first.
    pub fn ahead_of(&self, place: Place) -> usize {
        self.waiting.range(..place).count()
    }

    fn note_left(&mut self, lane: Lane) {
        if let Some(served) = self.lanes.get_mut(&lane) {
            served.waiting = served.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lane(number: u8) -> Lane {
        [number; 12]
    }

    #[test]
    fn a_lane_that_always_wants_more_gets_one_turn_in_each_round() {
        let mut turns = Turns::default();
        for nth in 0..100 {
            turns.push(lane(0), (0, nth));
        }
        for number in 1..=5 {
            turns.push(lane(number), (number, 0));
        }
        let first: Vec<u8> = (0..6).map(|_| turns.serve().unwrap().0).collect();
        assert_eq!(first, [0, 1, 2, 3, 4, 5]);
        assert_eq!(turns.serve(), Some((0, 1)));
        turns.push(lane(3), (3, 1));
        assert_eq!(turns.serve(), Some((3, 1)), "it was served less than the first one");
    }

    #[test]
    fn who_gives_up_comes_first_when_it_is_back() {
        let mut turns = Turns::default();
        turns.push(lane(0), 0);
        let place = turns.push(lane(1), 1);
        assert_eq!(turns.ahead_of(place), 1);
        assert_eq!(turns.leave(place), Some(1));
        assert_eq!(turns.leave(place), None);
        turns.serve();
        for number in 2..9 {
            turns.push(lane(number), number);
            turns.serve();
            turns.push(lane(number), number);
        }
        turns.push(lane(1), 1);
        assert_eq!(turns.serve(), Some(1));
    }

    proptest! {
        #[test]
        fn whoever_waits_is_passed_by_each_other_lane_twice_at_most(
            wants in prop::collection::vec((0..8u8, 0..3u8), 1..300),
        ) {
            let mut turns: Turns<u8> = Turns::default();
            let mut passed: HashMap<u8, HashMap<u8, u32>> = HashMap::new();
            for (number, serves) in wants {
                if !turns.waiting.values().any(|(_, waits)| *waits == number) {
                    turns.push(lane(number), number);
                    passed.insert(number, HashMap::new());
                }
                for _ in 0..serves {
                    let Some(served) = turns.serve() else { break };
                    passed.remove(&served);
                    passed.values_mut().for_each(|by| *by.entry(served).or_default() += 1);
                    prop_assert!(passed.values().flat_map(HashMap::values).all(|times| *times <= 2), "{passed:?}");
                }
            }
        }
    }
}
