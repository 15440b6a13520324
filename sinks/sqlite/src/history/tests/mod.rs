//! Reading files that stand as the writer and its maintenance leave them.

mod checks;
mod fixture;
mod pages;
mod sums;
mod tiers;
