//! What can go wrong at a shaper.

use crate::units::Rate;
use std::io;

/// Why a shaper did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShaperError {
    /// No interface has this name.
    #[error("there is no interface {interface:?}")]
    NoInterface {
        /// The name as configured.
        interface: String,
    },
    /// The process may not change queueing disciplines.
    #[error("may not set the rate of {interface}: it takes the capability CAP_NET_ADMIN")]
    Forbidden {
        /// The interface.
        interface: String,
    },
    /// The kernel does not know CAKE.
    #[error("can't put CAKE on {interface}: the kernel has no module sch_cake")]
    NoCake {
        /// The interface.
        interface: String,
    },
    /// A rate that CAKE would take for no limit, or that is not a number.
    #[error("{rate} is no rate for {interface}, accepted: at least 8 bit/s")]
    BadRate {
        /// The interface.
        interface: String,
        /// The rate.
        rate: Rate,
    },
    /// The kernel accepted a rate and reports another one.
    #[error("{interface} was told {wanted} and reports {found}")]
    NotInEffect {
        /// The interface.
        interface: String,
        /// The rate that was set.
        wanted: Rate,
        /// The rate that was read back.
        found: Rate,
    },
    /// Anything else that the kernel answers.
    #[error("can't shape {interface}")]
    Kernel {
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}
