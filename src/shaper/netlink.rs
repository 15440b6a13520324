//! The little netlink that a shaper needs: one request, its replies, and queueing disciplines in both.
//!
//! Replies are read attribute by attribute and not through the typed messages, because one discipline of
//! another interface that those can't parse would hide all others.

use netlink_packet_core::{
    DefaultNla, NLA_HEADER_SIZE, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_ALIGNTO, NLMSG_DONE,
    NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcHeader, TcMessage, TcOption};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;

/// How long a reply of the kernel may take. It holds a lock that others may keep for a while.
const REPLY_SECONDS: i64 = 2;

const NETLINK_HEADER_LEN: usize = 16;
const TC_HEADER_LEN: usize = 20;
const RTM_NEWQDISC: u16 = 36;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STATS2: u16 = 7;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_CAKE_BASE_RATE64: u16 = 2;

/// A connection to the kernel's routing and traffic control.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

/// A root queueing discipline.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Qdisc {
    pub(super) interface_index: i32,
    pub(super) kind: String,
    /// In bytes a second; of CAKE only. 0 is no limit.
    pub(super) cake_rate: Option<u64>,
    /// Packets queued now, and packets dropped since the discipline was made.
    pub(super) queue: Option<(u32, u32)>,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(REPLY_SECONDS))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// The root discipline of an interface; `None` when the kernel's built-in one is there.
    pub(super) fn root(&mut self, interface_index: i32) -> io::Result<Option<Qdisc>> {
        let message = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
        let found = self.request(message, NLM_F_DUMP)?;
        Ok(found.into_iter().find(|qdisc| qdisc.interface_index == interface_index))
    }

    /// Makes or changes a root CAKE. Of an existing one only the rate changes.
    ///
    /// `flags` tell making from changing; with `NLM_F_ECHO` the kernel answers what there is now.
    pub(super) fn set_cake(
        &mut self,
        interface_index: i32,
        bytes_per_second: u64,
        flags: u16,
    ) -> io::Result<Option<Qdisc>> {
        let message =
            RouteNetlinkMessage::NewQueueDiscipline(cake(interface_index, bytes_per_second));
        let found = self.request(message, flags | NLM_F_ACK)?;
        Ok(found.into_iter().next_back())
    }

    /// Sends a request and collects the root disciplines in its replies.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<Qdisc>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        self.replies()
    }

    /// The root disciplines in the replies to the last request.
    fn replies(&mut self) -> io::Result<Vec<Qdisc>> {
        let mut found = Vec::new();
        loop {
            let (datagram, _) = match self.socket.recv_from_full() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the kernel does not reply",
                    ));
                }
                received => received?,
            };
            if collect(&datagram, self.sequence, &mut found)? {
                return Ok(found);
            }
        }
    }
}

fn cake(interface_index: i32, bytes_per_second: u64) -> TcMessage {
    let rate = DefaultNla::new(TCA_CAKE_BASE_RATE64, bytes_per_second.to_ne_bytes().to_vec());
    let mut message = TcMessage::with_index(interface_index);
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind("cake".to_owned()),
        TcAttribute::Options(vec![TcOption::Other(rate)]),
    ];
    message
}

/// Reads one datagram; true when it ends the replies to request number `sequence`.
fn collect(mut datagram: &[u8], sequence: u32, found: &mut Vec<Qdisc>) -> io::Result<bool> {
    while NETLINK_HEADER_LEN <= datagram.len() {
        let message = NetlinkBuffer::new_checked(datagram).map_err(invalid)?;
        if message.sequence_number() == sequence {
            match message.message_type() {
                NLMSG_DONE => return Ok(true),
                NLMSG_ERROR => return acknowledged(message.payload()).map(|()| true),
                RTM_NEWQDISC => found.extend(root_qdisc(message.payload())),
                _ => {}
            }
        }
        let len = (message.length() as usize).next_multiple_of(NLMSG_ALIGNTO.into());
        datagram = datagram.get(len..).unwrap_or_default();
    }
    Ok(false)
}

/// The error code of an acknowledgement: 0, or a negative errno.
fn acknowledged(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        None => Err(invalid("an acknowledgement without a code")),
    }
}

/// A discipline, if it is a root and can be read.
fn root_qdisc(payload: &[u8]) -> Option<Qdisc> {
    let header = TcHeader::parse(payload).ok()?;
    let attributes = payload.get(TC_HEADER_LEN..)?;
    let name = attribute(attributes, TCA_KIND)?;
    let kind = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let rate =
        || attribute(attribute(attributes, TCA_OPTIONS)?, TCA_CAKE_BASE_RATE64)?.first_chunk();
    let cake_rate = (kind == "cake").then(rate).flatten().map(|rate| u64::from_ne_bytes(*rate));
    // struct gnet_stats_queue: qlen, backlog, drops, requeues, overlimits; 32 bits each.
    let queue = || {
        let counters = attribute(attribute(attributes, TCA_STATS2)?, TCA_STATS_QUEUE)?;
        let number = |at: usize| Some(u32::from_ne_bytes(*counters.get(at..)?.first_chunk()?));
        Some((number(0)?, number(8)?))
    };
    (header.parent == TcHandle::ROOT).then(|| Qdisc {
        interface_index: header.index,
        kind,
        cake_rate,
        queue: queue(),
    })
}

/// The value of the first attribute of a kind.
fn attribute(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let found = NlasIterator::new(attributes).flatten().find(|found| found.kind() == kind)?;
    let len = found.value_length();
    found.into_inner().get(NLA_HEADER_SIZE..NLA_HEADER_SIZE + len)
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::Emitable;

    const SEQUENCE: u32 = 7;

    /// A netlink message as the kernel would send it.
    fn framed(message_type: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let len = (NETLINK_HEADER_LEN + payload.len()) as u32;
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(message_type.to_ne_bytes());
        bytes.extend(0u16.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }

    fn bytes_of(message: &TcMessage) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn cake_is_read_back_as_it_is_written() {
        let found = root_qdisc(&bytes_of(&cake(3, 2_500_000)));
        let expected = Qdisc {
            interface_index: 3,
            kind: "cake".to_owned(),
            cake_rate: Some(2_500_000),
            queue: None,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn discipline_below_the_root_is_left_out() {
        let mut message = cake(3, 1);
        message.header.parent = TcHandle { major: 1, minor: 1 };
        assert_eq!(root_qdisc(&bytes_of(&message)), None);
    }

    #[test]
    fn counters_of_the_queue_are_read() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes
        };
        let counters: Vec<u8> =
            [12u32, 34_000, 56, 7, 8].into_iter().flat_map(u32::to_ne_bytes).collect();
        let statistics = attribute(TCA_STATS2, &attribute(TCA_STATS_QUEUE, &counters));
        let mut message = bytes_of(&cake(3, 1));
        message.extend(statistics);
        assert_eq!(root_qdisc(&message).unwrap().queue, Some((12, 56)));
    }

    #[test]
    fn other_discipline_with_the_same_attribute_has_no_rate_of_cake() {
        let mut message = cake(3, 1);
        message.attributes[0] = TcAttribute::Kind("fq".to_owned());
        let found = root_qdisc(&bytes_of(&message)).unwrap();
        assert_eq!((found.kind.as_str(), found.cake_rate), ("fq", None));
    }

    #[test]
    fn replies_end_with_the_acknowledgement() {
        let mut datagram = framed(RTM_NEWQDISC, SEQUENCE, &bytes_of(&cake(3, 1)));
        let mut found = Vec::new();
        assert!(!collect(&datagram, SEQUENCE, &mut found).unwrap());
        datagram.extend(framed(NLMSG_ERROR, SEQUENCE, &[0; 20]));
        found.clear();
        assert!(collect(&datagram, SEQUENCE, &mut found).unwrap());
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn replies_to_an_earlier_request_are_left_out() {
        let datagram = framed(NLMSG_ERROR, SEQUENCE - 1, &(-1i32).to_ne_bytes());
        assert!(!collect(&datagram, SEQUENCE, &mut Vec::new()).unwrap());
    }

    #[test]
    fn refusal_is_an_error_with_its_number() {
        let datagram = framed(NLMSG_ERROR, SEQUENCE, &(-1i32).to_ne_bytes());
        let error = collect(&datagram, SEQUENCE, &mut Vec::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(1));
    }

    #[test]
    fn reply_that_does_not_come_is_an_error_in_time() {
        let mut netlink = Netlink::open().unwrap();
        setsockopt(&netlink.socket, ReceiveTimeout, &TimeVal::milliseconds(20)).unwrap();
        // Nothing was asked.
        let error = netlink.replies().unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut), "{error}");
    }

    #[test]
    fn damaged_datagrams_are_errors_or_nothing() {
        let whole = framed(RTM_NEWQDISC, SEQUENCE, &bytes_of(&cake(3, 1)));
        for len in 0..whole.len() {
            let mut found = Vec::new();
            let _ = collect(&whole[..len], SEQUENCE, &mut found);
            assert!(found.is_empty(), "of {len} bytes");
        }
    }
}
