//! Round trips by TCP connect, without blocking.
//!
//! The handshake's answer is the round trip: an acknowledged connection or a refused one. A connection
//! that opens is reset at once, so that no state stays behind on either side.
#![expect(
    clippy::disallowed_methods,
    reason = "a connect is timed where it is started and seen to end"
)]

use super::sample::{Sample, Target};
use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, setsockopt, socket,
    sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// A connect on its way.
pub(super) struct Attempt {
    fd: OwnedFd,
    target: Target,
    sent: Instant,
}

/// What became of a connect.
pub(super) enum Progress {
    /// Nothing yet.
    Waiting(Attempt),
    /// The other side answered, by accepting or by refusing.
    Answered(Sample),
    /// Unreachable, forbidden, or out of descriptors.
    Failed,
}

impl Attempt {
    /// Sends the first packet of a handshake.
    pub(super) fn start(target: Target, to: SocketAddr) -> Progress {
        let domain = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let Ok(fd) = socket(domain, SockType::Stream, flags, None) else {
            return Progress::Failed;
        };
        // Without it a program that probes 20 times a second leaves a thousand sockets in TIME_WAIT.
        // A kernel that refuses the option still measures correctly.
        let reset_on_close = linger { l_onoff: 1, l_linger: 0 };
        let _ = setsockopt(&fd, sockopt::Linger, &reset_on_close);
        let sent = Instant::now();
        let result = connect(fd.as_raw_fd(), &SockaddrStorage::from(to));
        Attempt { fd, target, sent }.judge(result)
    }

    /// Asks what became of the connect, after poll said that something did.
    pub(super) fn resume(self) -> Progress {
        let result = match getsockopt(&self.fd, sockopt::SocketError) {
            Ok(0) => Ok(()),
            Ok(code) => Err(Errno::from_raw(code)),
            Err(error) => Err(error),
        };
        self.judge(result)
    }

    /// When the first packet left.
    pub(super) fn sent(&self) -> Instant {
        self.sent
    }

    /// Whom it is about.
    pub(super) fn target(&self) -> Target {
        self.target
    }

    fn judge(self, result: Result<(), Errno>) -> Progress {
        match result {
            Ok(()) | Err(Errno::ECONNREFUSED) => {
                Progress::Answered(Sample::new(self.target, self.sent, Instant::now()))
            }
            Err(Errno::EINPROGRESS) => Progress::Waiting(self),
            Err(_) => Progress::Failed,
        }
    }
}

impl AsFd for Attempt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
