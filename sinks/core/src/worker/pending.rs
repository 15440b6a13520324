//! The rows in flight: taken off the queue, not yet at the destination.

use std::collections::{HashSet, VecDeque};

use crate::Item;
use crate::queue::Came;
use crate::transform::split;

/// Items in the order they are written, and how many of them the next call gets.
#[derive(Debug)]
pub(crate) struct Pending {
    held: VecDeque<Held>,
    rows: usize,
    bytes: usize,
    /// All of them, unless the destination could not take so many, or panicked: then half as many each
    /// time, until the item that is to blame is alone. From there on it is twice as many each time.
    portion: usize,
    /// How many items the last call had that failed: they may be there already.
    tried: usize,
}

/// An item and what is known of it. Its size is asked for once, since it is others that tell it.
#[derive(Clone, Debug)]
struct Held {
    item: Item,
    bytes: usize,
    came: Came,
}

/// What became of the items to blame, after they were made fewer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Narrowed {
    /// The next call gets less.
    Further,
    /// The next call gets the one row that the last call got.
    Alone,
}

impl Default for Pending {
    fn default() -> Self {
        let held = VecDeque::new();
        Pending { held, rows: 0, bytes: 0, portion: usize::MAX, tried: 0 }
    }
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// By the estimate of [`Item::bytes`].
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a call with these items failed, so that they come again as they are.
    pub(crate) fn comes_again(&self) -> bool {
        self.tried > 0 || self.portion != usize::MAX
    }

    /// When the oldest was emitted.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.held.front().map(|held| held.came.emitted)
    }

    /// Whether anything here came before this many orders to flush.
    pub(crate) fn has_before(&self, epoch: u64) -> bool {
        self.held.iter().any(|held| held.came.epoch < epoch)
    }

    /// Adds an item of this size.
    pub(crate) fn add(&mut self, item: Item, bytes: usize, came: Came) {
        self.rows += item.rows();
        self.bytes += bytes;
        self.held.push_back(Held { item, bytes, came });
    }

    /// What the next call gets.
    pub(crate) fn next(&self) -> Vec<Item> {
        self.held.iter().take(self.portion).map(|held| held.item.clone()).collect()
    }

    /// The next call gets one item, the one after it two, and so on: whether the destination takes
    /// anything is seen by a little.
    pub(crate) fn start_small(&mut self) {
        if !self.held.is_empty() {
            self.portion = 1;
        }
    }

    /// The call with the first items failed.
    pub(crate) fn failed(&mut self, items: usize) {
        self.tried = self.tried.max(items.min(self.held.len()));
    }

    /// The call with the next items has not returned.
    pub(crate) fn hangs(&mut self) {
        self.failed(self.portion);
    }

    /// The first items are to blame for something, and must be made fewer.
    pub(crate) fn narrow(&mut self, items: usize) -> Narrowed {
        self.portion = (items / 2).max(1);
        if items > 1 {
            return Narrowed::Further;
        }
        let Some(first) = self.held.front() else { return Narrowed::Alone };
        let parts = split(&first.item);
        if parts.len() <= 1 {
            return Narrowed::Alone;
        }
        let (came, bytes) = (first.came, first.bytes);
        self.held.pop_front();
        self.bytes -= bytes;
        for item in parts.into_iter().rev() {
            let bytes = item.bytes();
            self.bytes += bytes;
            self.held.push_front(Held { item, bytes, came });
        }
        Narrowed::Further
    }

    /// Takes the first items out. Returns how many rows they were, and how many of these may be at the
    /// destination twice.
    pub(crate) fn remove(&mut self, items: usize) -> (usize, usize) {
        let (mut rows, mut again) = (0, 0);
        for position in 0..items {
            let Some(held) = self.held.pop_front() else { break };
            rows += held.item.rows();
            self.bytes -= held.bytes;
            if position < self.tried {
                again += held.item.rows();
            }
        }
        self.rows -= rows;
        self.tried = self.tried.saturating_sub(items);
        self.portion =
            if self.held.is_empty() { usize::MAX } else { self.portion.saturating_mul(2) };
        (rows, again)
    }

    /// Takes out what was emitted before this time; returns how many rows.
    pub(crate) fn expire(&mut self, before: u64) -> usize {
        let old = self.held.iter().take_while(|held| held.came.emitted < before).count();
        self.remove(old).0
    }

    /// Rows that a sink named as rejected: those that exist, each once.
    pub(crate) fn rejected(&self, items: usize, written: &[(usize, String)]) -> usize {
        let all: usize = self.held.iter().take(items).map(|held| held.item.rows()).sum();
        let rows: HashSet<usize> =
            written.iter().map(|(row, _)| *row).filter(|row| *row < all).collect();
        rows.len()
    }
}
