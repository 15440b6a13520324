//! wanctl keeps an internet link fast under load, and records why.

pub mod autorate;
pub mod measure;
pub mod router;
pub mod shaper;
pub mod steering;
pub mod units;

pub use wanctl_sink as sink;
