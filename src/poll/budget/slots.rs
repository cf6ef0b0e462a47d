//! Places for requests under way at the same time, and the share of the turns that listing jobs keep.

use super::Priority;

/// Places for requests under way.
#[derive(Debug)]
pub struct Slots {
    max: usize,
    taken: usize,
}

impl Slots {
    /// So many, at least one.
    pub fn new(max: usize) -> Self {
        Slots { max: max.max(1), taken: 0 }
    }

    /// Requests under way.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// True where one is free, and as many besides as listing jobs leave for the live line.
    pub fn has_room(&self, leaves_reserve: bool) -> bool {
        let reserve = if leaves_reserve && self.max > 1 { (self.max / 10).max(1) } else { 0 };
        self.taken + reserve < self.max
    }

    /// Takes one.
    pub fn take(&mut self) {
        self.taken += 1;
    }

    /// Gives one back.
    pub fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }
}

/// Which of the turns listing jobs get while the live line wants all of them.
#[derive(Debug)]
pub struct Share {
    percent: u32,
    /// Turns of the live line since the last one of a listing job, while one waited.
    passed_over: u32,
}

impl Share {
    /// This share of the turns, in percent.
    pub fn new(percent: u32) -> Self {
        Share { percent: percent.min(100), passed_over: 0 }
    }

    /// True where the next turn is a listing job's, though the live line waits.
    pub fn is_due(&self) -> bool {
        u64::from(self.passed_over) * u64::from(self.percent) >= u64::from(100 - self.percent)
    }

    /// Counts a turn.
    pub fn count(&mut self, whose: Priority, listing_waits: bool) {
        match whose {
            Priority::Listing => self.passed_over = 0,
            Priority::Live if listing_waits => self.passed_over = self.passed_over.saturating_add(1),
            Priority::Live => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_jobs_get_their_share_of_the_turns_and_no_more() {
        for percent in [1, 5, 10, 25, 50] {
            let mut share = Share::new(percent);
            let turns = (0..1_000).map(|_| {
                let whose = if share.is_due() { Priority::Listing } else { Priority::Live };
                share.count(whose, true);
                whose
            });
            let listed = turns.filter(|whose| *whose == Priority::Listing).count();
            let wanted = percent as usize * 10;
            assert!(listed <= wanted && listed + 1 >= wanted, "{listed} of 1,000 at {percent} %");
        }
    }

    #[test]
    fn the_last_places_are_the_live_lines() {
        let mut slots = Slots::new(10);
        (0..9).for_each(|_| slots.take());
        assert!(slots.has_room(false) && !slots.has_room(true));
        slots.take();
        assert!(!slots.has_room(false));
        assert!(Slots::new(1).has_room(true), "where there is but one, it is everybody's");
    }
}
