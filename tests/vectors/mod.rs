//! Replays the recorded vectors: input and output of the system this one reproduces.
//!
//! Files are read from the folder in `WANCTL_VECTORS`, else from `tests/data/vectors`. A family without
//! a file there is skipped, and says so. What is contract stands in that folder's README; the
//! measurement wiring around the recorded controllers is rebuilt here, not in the library.

mod autorate_cycle;
mod autorate_units;
mod files;
mod policies;
mod steering_cycle;
mod steering_units;
