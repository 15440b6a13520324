//! wanctl keeps an internet link fast under load, and records why.

pub mod autorate;
pub mod signal;
pub mod measure;
pub mod config;
pub mod router;
pub mod shaper;
pub mod steering;
pub mod units;

pub use wanctl_sink as sink;
