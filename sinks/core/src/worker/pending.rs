//! The rows in flight: taken off the queue, not yet at the destination.

use crate::Item;
use crate::transform::split;

/// Items in the order they are written, and how many of them the next call gets.
#[derive(Debug)]
pub(crate) struct Pending {
    items: Vec<Item>,
    /// When each was emitted, in milliseconds of the pipeline's coarse clock.
    emitted: Vec<u64>,
    rows: usize,
    bytes: usize,
    /// All of them, unless the destination could not take so many, or panicked: then half as many each
    /// time, until the item that is to blame is alone. From there on it is twice as many each time.
    portion: usize,
    /// How many items the last call had that failed: they may be there already.
    tried: usize,
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
        Pending {
            items: Vec::new(),
            emitted: Vec::new(),
            rows: 0,
            bytes: 0,
            portion: usize::MAX,
            tried: 0,
        }
    }
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
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
        self.emitted.first().copied()
    }

    /// Adds items that were emitted at this time, or before it.
    pub(crate) fn add(&mut self, items: impl IntoIterator<Item = Item>, emitted: u64) {
        for item in items {
            self.rows += item.rows();
            self.bytes += item.bytes();
            self.items.push(item);
            self.emitted.push(emitted);
        }
    }

    /// What the next call gets.
    pub(crate) fn next(&self) -> Vec<Item> {
        self.items.iter().take(self.portion).cloned().collect()
    }

    /// The next call gets one item, the one after it two, and so on: whether the destination takes
    /// anything is seen by a little.
    pub(crate) fn start_small(&mut self) {
        if !self.items.is_empty() {
            self.portion = 1;
        }
    }

    /// The call with the first items failed.
    pub(crate) fn failed(&mut self, items: usize) {
        self.tried = self.tried.max(items);
    }

    /// The first items are to blame for something, and must be made fewer.
    pub(crate) fn narrow(&mut self, items: usize) -> Narrowed {
        self.portion = (items / 2).max(1);
        if items > 1 {
            return Narrowed::Further;
        }
        let parts = self.items.first().map(split).unwrap_or_default();
        if parts.len() <= 1 {
            return Narrowed::Alone;
        }
        let emitted = self.emitted.first().copied().unwrap_or_default();
        let (before, count) = (self.items.first().map_or(0, Item::bytes), parts.len());
        self.bytes = self.bytes - before + parts.iter().map(Item::bytes).sum::<usize>();
        self.items.splice(..1, parts);
        self.emitted.splice(..1, std::iter::repeat_n(emitted, count));
        Narrowed::Further
    }

    /// Takes the first items out. Returns how many rows they were, and how many of these may be at the
    /// destination twice.
    pub(crate) fn remove(&mut self, items: usize) -> (usize, usize) {
        self.emitted.drain(..items);
        let (mut rows, mut again) = (0, 0);
        for (position, item) in self.items.drain(..items).enumerate() {
            rows += item.rows();
            self.bytes -= item.bytes();
            if position < self.tried {
                again += item.rows();
            }
        }
        self.rows -= rows;
        self.tried = self.tried.saturating_sub(items);
        self.portion =
            if self.items.is_empty() { usize::MAX } else { self.portion.saturating_mul(2) };
        (rows, again)
    }

    /// Takes out what was emitted before this time; returns how many rows.
    pub(crate) fn expire(&mut self, before: u64) -> usize {
        let old = self.emitted.iter().take_while(|emitted| **emitted < before).count();
        self.remove(old).0
    }

    /// Rows that a sink named as rejected: those that exist, each once.
    pub(crate) fn rejected(&self, items: usize, written: &[(usize, String)]) -> usize {
        let all: usize = self.items.iter().take(items).map(Item::rows).sum();
        let rows: std::collections::HashSet<usize> =
            written.iter().map(|(row, _)| *row).filter(|row| *row < all).collect();
        rows.len()
    }
}
