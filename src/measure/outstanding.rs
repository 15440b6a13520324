//! Which echoes are on their way: a table of fixed size that tells answers from everything else.
//!
//! Pure: instants come in as values. The table forgets the oldest probe of a slot when it is needed again.

use super::packet::Echo;
use super::sample::{Sample, Target};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Enough for 16 reflectors at 20 probes a second that answer after three seconds.
const SLOTS: usize = 1024;

/// Probes that were sent and may be answered.
pub(super) struct Outstanding {
    slots: Box<[Option<Probe>]>,
    cookie: u64,
    identifier: u16,
    next_number: u64,
    timeout: Duration,
}

#[derive(Clone, Copy)]
struct Probe {
    echo: Echo,
    target: Target,
    to: IpAddr,
    sent: Instant,
    answered: bool,
}

/// What a received echo reply is.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The first answer to a probe, in time.
    Answer(Sample),
    /// An answer after the timeout.
    Late,
    /// A second answer to the same probe.
    Duplicate,
    /// Somebody else's, or older than the table remembers.
    Foreign,
}

impl Outstanding {
    /// An empty table. `cookie` should be a random number; answers count up to `timeout` after the probe.
    pub(super) fn new(cookie: u64, timeout: Duration) -> Self {
        Outstanding {
            slots: vec![None; SLOTS].into(),
            cookie,
            identifier: cookie as u16,
            next_number: 0,
            timeout,
        }
    }

    /// Notes a probe that is about to leave, and answers what it has to carry.
    pub(super) fn depart(&mut self, target: Target, to: IpAddr, sent: Instant) -> Echo {
        let number = self.next_number;
        self.next_number += 1;
        let echo = Echo {
            identifier: self.identifier,
            sequence: number as u16,
            cookie: self.cookie,
            number,
        };
        if let Some(slot) = self.slots.get_mut(slot_of(echo.sequence)) {
            *slot = Some(Probe { echo, target, to, sent, answered: false });
        }
        echo
    }

    /// Judges an echo reply that came from `from`.
    ///
    /// `identifier_kept` is false on a datagram socket, whose kernel side matches identifiers itself
    /// and shows us its own.
    pub(super) fn arrive(
        &mut self,
        reply: Echo,
        from: IpAddr,
        arrived: Instant,
        identifier_kept: bool,
    ) -> Verdict {
        let Some(Some(probe)) = self.slots.get_mut(slot_of(reply.sequence)) else {
            return Verdict::Foreign;
        };
        let sent = probe.echo;
        let same = (reply.sequence, reply.cookie, reply.number)
            == (sent.sequence, sent.cookie, sent.number)
            && (!identifier_kept || reply.identifier == sent.identifier)
            && from == probe.to;
        if !same {
            return Verdict::Foreign;
        }
        if probe.answered {
            return Verdict::Duplicate;
        }
        probe.answered = true;
        if self.timeout < arrived.saturating_duration_since(probe.sent) {
            return Verdict::Late;
        }
        Verdict::Answer(Sample::new(probe.target, probe.sent, arrived))
    }

    /// When the probe of this reply left; the reply can't have arrived before.
    pub(super) fn sent_at(&self, sequence: u16) -> Option<Instant> {
        self.slots.get(slot_of(sequence)).copied().flatten().map(|probe| probe.sent)
    }
}

fn slot_of(sequence: u16) -> usize {
    usize::from(sequence) % SLOTS
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an `Instant` can be made in no other way")]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const TO: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
    const TIMEOUT: Duration = Duration::from_secs(1);
    const RTT: Duration = Duration::from_millis(20);

    fn one_probe() -> (Outstanding, Echo, Instant) {
        let mut table = Outstanding::new(42, TIMEOUT);
        let sent = Instant::now();
        let echo = table.depart(Target::Reflector(3), TO, sent);
        (table, echo, sent)
    }

    #[test]
    fn answer_gives_the_round_trip_of_its_probe() {
        let (mut table, echo, sent) = one_probe();
        let Verdict::Answer(sample) = table.arrive(echo, TO, sent + RTT, true) else {
            panic!("not an answer");
        };
        assert_eq!((sample.target, sample.rtt_ms), (Target::Reflector(3), 20.0));
    }

    #[test]
    fn second_answer_is_a_duplicate() {
        let (mut table, echo, sent) = one_probe();
        table.arrive(echo, TO, sent + RTT, true);
        assert_eq!(table.arrive(echo, TO, sent + RTT, true), Verdict::Duplicate);
    }

    #[test]
    fn answer_exactly_at_the_timeout_counts_and_a_later_one_does_not() {
        let (mut table, echo, sent) = one_probe();
        assert!(matches!(table.arrive(echo, TO, sent + TIMEOUT, true), Verdict::Answer(_)));
        let (mut table, echo, sent) = one_probe();
        let late = sent + TIMEOUT + Duration::from_nanos(1);
        assert_eq!(table.arrive(echo, TO, late, true), Verdict::Late);
    }

    #[test]
    fn reply_that_differs_in_anything_is_foreign() {
        let (mut table, echo, sent) = one_probe();
        let at = sent + RTT;
        for strange in [
            Echo { identifier: !echo.identifier, ..echo },
            Echo { sequence: echo.sequence + 1, ..echo },
            Echo { cookie: echo.cookie + 1, ..echo },
            Echo { number: echo.number + 1, ..echo },
        ] {
            assert_eq!(table.arrive(strange, TO, at, true), Verdict::Foreign, "{strange:?}");
        }
        assert_eq!(table.arrive(echo, OTHER, at, true), Verdict::Foreign);
        assert!(matches!(table.arrive(echo, TO, at, true), Verdict::Answer(_)));
    }

    #[test]
    fn identifier_does_not_matter_on_a_datagram_socket() {
        let (mut table, echo, sent) = one_probe();
        let rewritten = Echo { identifier: !echo.identifier, ..echo };
        assert!(matches!(table.arrive(rewritten, TO, sent + RTT, false), Verdict::Answer(_)));
    }

    #[test]
    fn reply_to_a_probe_whose_sequence_number_came_round_again_is_foreign() {
        let (mut table, first, sent) = one_probe();
        for _ in 0..=u16::MAX {
            table.depart(Target::Reflector(0), TO, sent);
        }
        assert_eq!(table.arrive(first, TO, sent + RTT, true), Verdict::Foreign);
    }
}
