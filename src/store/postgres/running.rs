//! Units of work that share a transaction, run so that they wait for the database together.
//!
//! A unit can be run again, and does the same as long as it reads the same. So units are run until they lack a row; what
//! all of them lack is fetched at once, and they are run again. A group needs as many ways to the database as the one of
//! its units that reads deepest, and not as many as its units have reads.

use super::reading::{Lacked, Reading};
use crate::limits::StoreLimits;
use crate::store::Wake;
use crate::store::kv::Domain;
use crate::store::kv::engine::{Batch, Place};
use crate::store::kv::queue::Unit;
use crate::store::kv::txn::Txn;
use std::collections::VecDeque;

/// Rows of one transaction, beyond which no further unit joins it.
const ROWS_MAX: usize = 3_000;
/// Bytes of one transaction, beyond which no further unit joins it.
const BYTES_MAX: usize = 16 << 20;

/// What of a group goes into one transaction.
pub(super) struct Ran {
    pub(super) units: usize,
    /// What the unit behind them lacks.
    pub(super) lacked: Vec<Domain>,
    pub(super) batch: Batch,
    pub(super) wakes: Vec<Wake>,
}

/// A group that is being run, its units in their order.
pub(super) struct Running<'a> {
    txn: Txn<'a>,
    reading: &'a Reading<'a>,
    /// For each unit, whether it may lack rows that it has not told of.
    is_open: Vec<bool>,
    /// How many have been run.
    units: usize,
    lacked: Vec<Domain>,
}

impl<'a> Running<'a> {
    /// The first `units_max` units of a group.
    pub(super) fn new(reading: &'a Reading<'a>, limits: &'a StoreLimits, held: &'a [Domain], units_max: usize) -> Self {
        let txn = Txn::holding(reading, limits, held);
        Running { txn, reading, is_open: vec![true; units_max], units: 0, lacked: Vec::new() }
    }

    /// Learns what the units that have not been run lack, without asking the database for anything.
    pub(super) fn survey(&mut self, group: &mut VecDeque<Unit>) -> Vec<Place> {
        self.reading.set_asks(false);
        for (unit, is_open) in group.iter_mut().zip(&mut self.is_open).skip(self.units).filter(|(_, open)| **open) {
            let rows = self.reading.lacked_rows();
            unit.run(&mut self.txn);
            self.txn.take_back();
            self.txn.wanted();
            *is_open = self.reading.lacked_since(rows) == Lacked::Rows;
        }
        self.reading.take_lacked()
    }

    /// Runs the units until all are, or there is enough for one transaction, or one lacks a domain, or a read fails.
    pub(super) fn finish(mut self, group: &mut VecDeque<Unit>) -> Ran {
        while self.reading.failure().is_none() && self.run(group) {
            let lacked = self.survey(group);
            // Where this fails, the reading tells why.
            let _ = self.reading.fetch(lacked);
        }
        let (batch, wakes) = self.txn.finish();
        Ran { units: self.units, lacked: self.lacked, batch, wakes }
    }

    /// Runs units up to the first that lacks rows which can be fetched with others'; false where none does.
    fn run(&mut self, group: &mut VecDeque<Unit>) -> bool {
        while self.units < self.is_open.len() && self.txn.len() < ROWS_MAX && self.txn.bytes() < BYTES_MAX {
            let Some(unit) = group.get_mut(self.units) else { return false };
            // The last that lacks something asks for it by itself.
            let is_alone = !self.is_open.iter().skip(self.units + 1).any(|open| *open);
            match self.run_unit(unit, is_alone) {
                Lacked::Nothing => {}
                Lacked::Rows => return true,
                Lacked::Range => drop(self.run_unit(unit, true)),
            }
            if !self.lacked.is_empty() || self.reading.failure().is_some() {
                return false;
            }
            self.units += 1;
        }
        false
    }

    /// Runs a unit. What it wrote stays only where it lacked nothing.
    fn run_unit(&mut self, unit: &mut Unit, asks: bool) -> Lacked {
        self.reading.set_asks(asks);
        let rows = self.reading.lacked_rows();
        self.txn.set_waited(unit.waited());
        unit.run(&mut self.txn);
        let lacked = self.reading.lacked_since(rows);
        if lacked == Lacked::Nothing {
            self.lacked = self.txn.wanted();
        } else {
            self.txn.take_back();
            self.txn.wanted();
        }
        lacked
    }
}
