//! ICMP sockets with the kernel's receive time stamps.
//!
//! A raw socket is tried first, then an unprivileged datagram socket (`net.ipv4.ping_group_range`).
//! Replies are only read here; judging them is the work of the table of outstanding probes.
#![expect(clippy::disallowed_methods, reason = "a reply is timed where it is read")]

use super::packet::{ECHO_LEN, Echo, Family, strip_ipv4_header};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
    SockaddrStorage, recvmsg, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An IPv4 header with all options, and our echo.
const BUFFER_LEN: usize = 60 + ECHO_LEN;

/// A stamp older than this says that the clock was set, not that the reply waited.
const MAX_STAMP_AGE: Duration = Duration::from_secs(1);

/// A non-blocking ICMP socket of one address family.
pub(super) struct EchoSocket {
    fd: OwnedFd,
    family: Family,
    raw: bool,
    control: Vec<u8>,
}

/// An echo reply as it was read.
pub(super) struct Received {
    pub(super) echo: Echo,
    pub(super) from: IpAddr,
    /// When it was read.
    pub(super) read_at: Instant,
    /// How long it had waited in the kernel by then, if that is known.
    pub(super) waited: Option<Duration>,
}

impl EchoSocket {
    /// Opens a raw socket, or else a datagram one.
    pub(super) fn open(family: Family) -> Result<Self, Errno> {
        Self::open_as(family, SockType::Raw).or_else(|_| Self::open_as(family, SockType::Datagram))
    }

    fn open_as(family: Family, kind: SockType) -> Result<Self, Errno> {
        let (domain, protocol) = match family {
            Family::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
            Family::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(domain, kind, flags, protocol)?;
        setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
        Ok(EchoSocket { fd, family, raw: kind == SockType::Raw, control: cmsg_space!(TimeSpec) })
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// Whether a reply carries the identifier that its request had.
    pub(super) fn keeps_identifier(&self) -> bool {
        self.raw
    }

    pub(super) fn send(&self, echo: &Echo, to: IpAddr) -> Result<(), Errno> {
        let address = SockaddrStorage::from(SocketAddr::new(to, 0));
        let packet = echo.request(self.family);
        sendto(self.fd.as_raw_fd(), &packet, &address, MsgFlags::empty()).map(drop)
    }

    /// The next packet: `Ok(None)` when it is no echo reply, `EAGAIN` when there is none.
    pub(super) fn receive(&mut self) -> Result<Option<Received>, Errno> {
        let mut buffer = [0; BUFFER_LEN];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.fd.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let read_at = Instant::now();
        let waited = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => {
                waited(SystemTime::now().duration_since(UNIX_EPOCH).ok()?, stamp.into())
            }
            _ => None,
        });
        let (bytes, from) = (message.bytes, message.address.as_ref().and_then(ip_of));
        let packet = buffer.get(..bytes).unwrap_or_default();
        let icmp = match (self.raw, self.family) {
            (true, Family::V4) => strip_ipv4_header(packet),
            _ => Some(packet),
        };
        let echo = icmp.and_then(|icmp| Echo::parse_reply(self.family, icmp));
        Ok(echo.zip(from).map(|(echo, from)| Received { echo, from, read_at, waited }))
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Received {
    /// The monotonic time of arrival.
    ///
    /// The kernel stamps with the wall clock. Only a difference of two wall-clock readings is used, and only
    /// when it is plausible and does not put the arrival before `sent`, so a clock that is set meanwhile
    /// makes no wrong round trip.
    pub(super) fn arrived(&self, sent: Instant) -> Instant {
        self.waited
            .and_then(|waited| self.read_at.checked_sub(waited))
            .filter(|arrived| sent <= *arrived)
            .unwrap_or(self.read_at)
    }
}

/// From the kernel's stamp to now; `None` when the wall clock must have been set in between.
fn waited(now: Duration, stamp: Duration) -> Option<Duration> {
    now.checked_sub(stamp).filter(|waited| *waited <= MAX_STAMP_AGE)
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_800_000_000);
    const TICK: Duration = Duration::from_millis(3);

    fn received(waited: Option<Duration>, read_at: Instant) -> Received {
        let echo = Echo { identifier: 0, sequence: 0, cookie: 0, number: 0 };
        Received { echo, from: IpAddr::from([127, 0, 0, 1]), read_at, waited }
    }

    #[test]
    fn time_in_the_kernel_is_taken_off() {
        let sent = Instant::now();
        let read_at = sent + 10 * TICK;
        let stamped = received(waited(NOON, NOON - TICK), read_at);
        assert_eq!(stamped.arrived(sent), read_at - TICK);
    }

    #[test]
    fn clock_set_back_or_far_forward_leaves_the_time_of_the_read() {
        let sent = Instant::now();
        let read_at = sent + 10 * TICK;
        for stamp in [NOON + TICK, NOON - MAX_STAMP_AGE - TICK] {
            assert_eq!(received(waited(NOON, stamp), read_at).arrived(sent), read_at);
        }
    }

    #[test]
    fn clock_set_a_little_forward_never_puts_the_arrival_before_the_departure() {
        let sent = Instant::now();
        let read_at = sent + TICK;
        let stamped = received(waited(NOON, NOON - 2 * TICK), read_at);
        assert_eq!(stamped.arrived(sent), read_at);
    }

    #[test]
    fn without_a_stamp_the_time_of_the_read_counts() {
        let sent = Instant::now();
        assert_eq!(received(None, sent + TICK).arrived(sent), sent + TICK);
    }
}
