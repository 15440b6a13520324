//! The clocks, read in one place.
#![expect(clippy::disallowed_methods, reason = "this is where the daemon reads the clocks")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wanctl_sink::Timestamp;

/// The program's clocks. Monotonic time counts from when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Self {
        Clock { origin: Instant::now() }
    }

    /// Monotonic time now.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Both clocks now.
    pub fn stamp(&self) -> Timestamp {
        let mono_nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        // A router may boot before 1970.
        let unix_nanos = match since_epoch {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        Timestamp { unix_nanos, mono_nanos }
    }
}
