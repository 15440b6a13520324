//! Instants as one number: microseconds of Unix time.

use super::Order;

const SECOND: i64 = 1_000_000;

/// The instant `us` microseconds after second `sec`; the ends of time stand for what lies beyond.
pub(super) fn instant(sec: i64, us: u32) -> i64 {
    sec.saturating_mul(SECOND).saturating_add(i64::from(us))
}

/// The last instant of a second.
pub(super) fn end_of(sec: i64) -> i64 {
    instant(sec, 999_999)
}

/// Whole seconds, and microseconds within the second.
pub(super) fn split(instant: i64) -> (i64, u32) {
    (instant.div_euclid(SECOND), instant.rem_euclid(SECOND) as u32)
}

/// What is still to be read, from instant to instant, both included; it shrinks from the end at which
/// reading begins. `None` when nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    range: Option<(i64, i64)>,
    pub(super) order: Order,
}

impl Left {
    pub(super) fn new(from: i64, to: i64, order: Order) -> Self {
        Left { range: (from <= to).then_some((from, to)), order }
    }

    pub(super) fn range(self) -> Option<(i64, i64)> {
        self.range
    }

    /// Where reading goes on.
    pub(super) fn next(self) -> Option<i64> {
        self.range.map(|(from, to)| match self.order {
            Order::OldestFirst => from,
            Order::NewestFirst => to,
        })
    }

    /// All up to this instant, in the order of reading, has been read, the instant included.
    pub(super) fn read_through(&mut self, instant: i64) {
        let Some((from, to)) = self.range else { return };
        self.range = match self.order {
            Order::OldestFirst => instant.checked_add(1).map(|next| (next.max(from), to)),
            Order::NewestFirst => instant.checked_sub(1).map(|next| (from, next.min(to))),
        }
        .filter(|(from, to)| from <= to);
    }

    /// Nothing is left.
    pub(super) fn finish(&mut self) {
        self.range = None;
    }
}
