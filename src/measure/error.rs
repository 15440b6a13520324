//! What can go wrong before measuring begins. Once it runs, a failure is an answer that does not come.

use super::MAX_REFLECTORS;
use nix::errno::Errno;

/// Why measuring can't begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The configured method has no targets.
    #[error("there is nothing to probe")]
    NothingToProbe,
    /// More targets than a prober serves.
    #[error("{count} targets are too many, accepted: up to {MAX_REFLECTORS}")]
    TooManyTargets {
        /// How many were given.
        count: usize,
    },
    /// The interval between probes is zero.
    #[error("the interval between probes is zero, accepted: more than zero")]
    NoInterval,
    /// Neither a raw nor a datagram ICMP socket could be opened.
    #[error(
        "can't open an ICMP socket: it takes the capability CAP_NET_RAW, or a group of the process in the \
         sysctl net.ipv4.ping_group_range"
    )]
    NoIcmp {
        /// What the kernel said.
        source: Errno,
    },
    /// The thread or its wake-up could not be made.
    #[error("can't start the prober")]
    Start(#[source] std::io::Error),
    /// A name has no address.
    #[error("can't resolve {name:?}")]
    Resolve {
        /// The name as it was given.
        name: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// Nothing that may be probed answers.
    #[error("nothing to probe answers: {tried}")]
    NoAnswer {
        /// What was tried, in words.
        tried: String,
    },
}
