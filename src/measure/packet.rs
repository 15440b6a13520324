//! The wire format of ICMP echo for both address families (RFC 792, RFC 4443).
//!
//! Pure: bytes in, values out. Whether an echo answers one of our probes is decided elsewhere.

/// Type, code, checksum, identifier, sequence number; then our cookie and the probe's number.
pub(super) const ECHO_LEN: usize = 24;

const CHECKSUM_AT: usize = 2;

/// The address family of a socket or packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn request_type(self) -> u8 {
        match self {
            Family::V4 => 8,
            Family::V6 => 128,
        }
    }

    const fn reply_type(self) -> u8 {
        match self {
            Family::V4 => 0,
            Family::V6 => 129,
        }
    }
}

/// What one echo carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// Names the sender on a raw socket; the kernel overwrites it on a datagram socket.
    pub(super) identifier: u16,
    /// Counts probes, and wraps.
    pub(super) sequence: u16,
    /// A random number of this prober; tells our echoes from other programs'.
    pub(super) cookie: u64,
    /// Counts probes, and does not wrap; tells this probe from older ones with its sequence number.
    pub(super) number: u64,
}

impl Echo {
    /// The bytes of an echo request.
    ///
    /// The checksum is filled in for IPv4; for IPv6 it covers addresses too, and the kernel does it.
    pub(super) fn request(&self, family: Family) -> [u8; ECHO_LEN] {
        let mut packet = [0; ECHO_LEN];
        packet[0] = family.request_type();
        packet[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        packet[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        packet[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        packet[16..24].copy_from_slice(&self.number.to_be_bytes());
        if family == Family::V4 {
            let sum = checksum(&packet);
            packet[CHECKSUM_AT..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// Reads an echo reply; `None` for anything else, our own requests seen on loopback included.
    pub(super) fn parse_reply(family: Family, icmp: &[u8]) -> Option<Echo> {
        let packet: &[u8; ECHO_LEN] = icmp.first_chunk()?;
        if packet[0] != family.reply_type() || packet[1] != 0 {
            return None;
        }
        let [_, _, _, _, i0, i1, s0, s1, rest @ ..] = packet;
        Some(Echo {
            identifier: u16::from_be_bytes([*i0, *i1]),
            sequence: u16::from_be_bytes([*s0, *s1]),
            cookie: u64::from_be_bytes(*rest.first_chunk()?),
            number: u64::from_be_bytes(*rest.last_chunk()?),
        })
    }
}

/// The ICMP part of an IPv4 packet, which is what a raw socket delivers; `None` when it is cut short.
pub(super) fn strip_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    const WORD: usize = 4;
    let header_len = usize::from(packet.first()? & 0x0f) * WORD;
    packet.get(header_len..)
}

/// The Internet checksum (RFC 1071): the complement of the ones' complement sum of 16-bit words.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            [high] => u32::from(u16::from_be_bytes([*high, 0])),
            _ => 0,
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo =
        Echo { identifier: 0x1234, sequence: 7, cookie: 0x0102_0304_0506_0708, number: 9 };

    #[test]
    fn checksum_of_the_example_in_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn checksum_pads_an_odd_byte_with_zero() {
        assert_eq!(checksum(&[0x12, 0x34, 0x56]), checksum(&[0x12, 0x34, 0x56, 0x00]));
    }

    #[test]
    fn request_has_the_known_bytes() {
        let expected = [
            8, 0, 0xd5, 0xa7, 0x12, 0x34, 0, 7, // type, code, checksum, identifier, sequence
            1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9,
        ];
        assert_eq!(ECHO.request(Family::V4), expected);
    }

    #[test]
    fn request_with_its_checksum_sums_to_zero() {
        assert_eq!(checksum(&ECHO.request(Family::V4)), 0);
    }

    #[test]
    fn reply_is_read_back_in_both_families() {
        for (family, reply_type) in [(Family::V4, 0), (Family::V6, 129)] {
            let mut packet = ECHO.request(family);
            packet[0] = reply_type;
            assert_eq!(Echo::parse_reply(family, &packet), Some(ECHO));
        }
    }

    #[test]
    fn request_is_not_a_reply() {
        assert_eq!(Echo::parse_reply(Family::V4, &ECHO.request(Family::V4)), None);
        assert_eq!(Echo::parse_reply(Family::V6, &ECHO.request(Family::V6)), None);
    }

    #[test]
    fn short_packets_are_nothing() {
        let packet = [0; ECHO_LEN];
        for len in 0..ECHO_LEN {
            assert_eq!(Echo::parse_reply(Family::V4, &packet[..len]), None);
        }
        assert_eq!(strip_ipv4_header(&[]), None);
        assert_eq!(strip_ipv4_header(&[0x46; 20]), None);
    }

    #[test]
    fn ip_options_are_stripped_with_the_header() {
        let mut packet = [0; 25];
        packet[0] = 0x46;
        packet[24] = 99;
        assert_eq!(strip_ipv4_header(&packet), Some(&[99][..]));
    }
}
