//! How sure we are that the primary WAN is congested, as points from 0 to 100.
//!
//! Each step is scored from scratch. How long a score must last is the business of
//! [`Scoring`](super::Scoring).

use std::fmt;

use super::Congestion;

/// A delta above this is severe, in ms.
const SEVERE_DELTA_MS: f64 = 120.0;

/// A delta above this is high, in ms.
const HIGH_DELTA_MS: f64 = 80.0;

/// A queue above this is long, in packets.
const LONG_QUEUE: f64 = 50.0;

/// What a step is scored by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// What CAKE's statistics said.
    pub cake: CakeState,
    /// The same of the latest steps.
    pub cake_history: Recent<CakeState>,
    /// RTT minus baseline, not smoothed, in ms.
    pub rtt_delta_ms: f64,
    /// Packets dropped in this step.
    pub drops: f64,
    /// The same of the latest steps, this one included.
    pub drops_history: Recent<f64>,
    /// Packets queued now.
    pub queue: f64,
    /// The same of the latest steps, this one included.
    pub queue_history: Recent<f64>,
}

/// What CAKE's statistics say. The steering controller itself knows no SOFT_RED.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CakeState {
    /// Nobody asked, or nobody knows the answer.
    #[default]
    Unknown,
    /// Not congested.
    Green,
    /// Somewhat.
    Yellow,
    /// Congested, without drops.
    SoftRed,
    /// Congested.
    Red,
}

impl From<Congestion> for CakeState {
    fn from(congestion: Congestion) -> Self {
        match congestion {
            Congestion::Green => CakeState::Green,
            Congestion::Yellow => CakeState::Yellow,
            Congestion::Red => CakeState::Red,
        }
    }
}

/// The latest three values of a series, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recent<T>([Option<T>; 3]);

impl<T: Copy> Recent<T> {
    /// Adds a value; the oldest of three gives way.
    pub fn push(&mut self, value: T) {
        let [_, second, last] = self.0;
        self.0 = [second, last, Some(value)];
    }
}

/// A score and what it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score([Option<Contributor>; 4]);

impl Score {
    /// Scores a step.
    pub fn of(signals: &Signals) -> Score {
        Score([
            of_cake(signals),
            of_delta(signals.rtt_delta_ms),
            of_drops(signals),
            of_queue(signals),
        ])
    }

    /// 0 to 100.
    pub fn points(&self) -> f64 {
        let points: u8 = self.contributors().map(Contributor::points).sum();
        f64::from(points.min(100))
    }

    /// What adds to the score.
    pub fn contributors(&self) -> impl Iterator<Item = Contributor> {
        self.0.into_iter().flatten()
    }
}

/// Something that adds to a score. Its text is the original's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Contributor {
    /// CAKE says RED.
    Red,
    /// CAKE says SOFT_RED for the third time in a row.
    SoftRedSustained,
    /// CAKE says YELLOW.
    Yellow,
    /// A delta above 120 ms.
    RttSevere(f64),
    /// A delta above 80 ms.
    RttHigh(f64),
    /// Drops, and more of them than two steps ago.
    DropsIncreasing(f64),
    /// A queue above 50 packets for the second time in a row.
    QueueHigh(f64),
}

impl Contributor {
    /// What it adds.
    pub fn points(self) -> u8 {
        match self {
            Contributor::Red => 50,
            Contributor::SoftRedSustained | Contributor::RttSevere(_) => 25,
            Contributor::RttHigh(_) => 15,
            Contributor::Yellow | Contributor::DropsIncreasing(_) | Contributor::QueueHigh(_) => 10,
        }
    }
}

impl fmt::Display for Contributor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contributor::Red => write!(f, "RED"),
            Contributor::SoftRedSustained => write!(f, "SOFT_RED_sustained"),
            Contributor::Yellow => write!(f, "YELLOW"),
            Contributor::RttSevere(delta_ms) => write!(f, "rtt_delta={delta_ms:.1}ms(severe)"),
            Contributor::RttHigh(delta_ms) => write!(f, "rtt_delta={delta_ms:.1}ms(high)"),
            Contributor::DropsIncreasing(drops) => write!(f, "drops_increasing({drops:.1}/s)"),
            Contributor::QueueHigh(queue) => write!(f, "queue_high({queue:.0}%)"),
        }
    }
}

fn of_cake(signals: &Signals) -> Option<Contributor> {
    match signals.cake {
        CakeState::Red => Some(Contributor::Red),
        CakeState::SoftRed => (signals.cake_history.0 == [Some(CakeState::SoftRed); 3])
            .then_some(Contributor::SoftRedSustained),
        CakeState::Yellow => Some(Contributor::Yellow),
        CakeState::Green | CakeState::Unknown => None,
    }
}

fn of_delta(delta_ms: f64) -> Option<Contributor> {
    if SEVERE_DELTA_MS < delta_ms {
        Some(Contributor::RttSevere(delta_ms))
    } else if HIGH_DELTA_MS < delta_ms {
        Some(Contributor::RttHigh(delta_ms))
    } else {
        None
    }
}

fn of_drops(signals: &Signals) -> Option<Contributor> {
    match signals.drops_history.0 {
        [Some(before), _, Some(now)] if before < now && 0.0 < now => {
            Some(Contributor::DropsIncreasing(signals.drops))
        }
        _ => None,
    }
}

fn of_queue(signals: &Signals) -> Option<Contributor> {
    match signals.queue_history.0 {
        [_, Some(before), Some(now)] if LONG_QUEUE < before && LONG_QUEUE < now => {
            Some(Contributor::QueueHigh(signals.queue))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent<T: Copy + Default>(values: &[T]) -> Recent<T> {
        let mut recent = Recent::default();
        values.iter().for_each(|value| recent.push(*value));
        recent
    }

    #[test]
    fn limits_are_exclusive() {
        let points =
            |rtt_delta_ms| Score::of(&Signals { rtt_delta_ms, ..Signals::default() }).points();
        assert_eq!([80.0, 80.1, 120.0, 120.1, f64::NAN].map(points), [0.0, 15.0, 15.0, 25.0, 0.0]);
    }

    #[test]
    fn everything_at_once_is_ninety_five() {
        let score = Score::of(&Signals {
            cake: CakeState::Red,
            rtt_delta_ms: 200.0,
            drops: 7.0,
            drops_history: recent(&[1.0, 9.0, 7.0]),
            queue: 80.0,
            queue_history: recent(&[60.0, 80.0]),
            ..Signals::default()
        });
        assert_eq!(score.points(), 95.0);
        let texts: Vec<String> = score.contributors().map(|it| it.to_string()).collect();
        assert_eq!(
            texts,
            ["RED", "rtt_delta=200.0ms(severe)", "drops_increasing(7.0/s)", "queue_high(80%)"]
        );
    }

    #[test]
    fn histories_that_are_too_short_add_nothing() {
        let score = Score::of(&Signals {
            cake: CakeState::SoftRed,
            cake_history: recent(&[CakeState::SoftRed; 2]),
            drops_history: recent(&[0.0, 5.0]),
            queue_history: recent(&[90.0]),
            ..Signals::default()
        });
        assert_eq!(score.contributors().count(), 0);
    }
}
