//! What the controller answers.

use std::fmt;

use crate::units::{Number, Rate};

/// One step's output.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What was made of the observation.
    pub outcome: Outcome,
    /// The sample the filters took, in ms; `None` when there was none.
    pub rtt_ms: Option<f64>,
    /// The baseline after the step, in ms; `None` before the first sample of a baseline that is learnt.
    pub baseline_ms: Option<f64>,
    /// The load filter after the step, in ms.
    pub load_ms: Option<f64>,
    /// Download.
    pub download: DirectionDecision,
    /// Upload.
    pub upload: DirectionDecision,
}

impl Decision {
    /// Load minus baseline, in ms: what the zones are judged by.
    pub fn delta_ms(&self) -> Option<f64> {
        Some(self.load_ms? - self.baseline_ms?)
    }

    /// Download and upload.
    pub fn directions(&self) -> [&DirectionDecision; 2] {
        [&self.download, &self.upload]
    }
}

/// What a step made of its observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The filters took a sample; zones and rates are new.
    Stepped,
    /// There was nothing fresh; everything is as before.
    Held,
    /// Reflectors are silent, but the link is there: everything is as before, on purpose.
    Frozen,
    /// The link can't be measured: everything is as before. The original counts this as a failed cycle.
    Lost,
    /// The sample was not a number the filters can take.
    Refused,
}

/// One direction's zone and rate.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionDecision {
    /// Which direction.
    pub direction: Direction,
    /// The zone.
    pub zone: Zone,
    /// The rate the shaper should have.
    pub rate: Rate,
    /// What happened to the zone in this step.
    pub transition: Option<Transition>,
}

/// A direction of the link, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the internet.
    Download,
    /// To the internet.
    Upload,
}

impl Direction {
    /// The name in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Download => "download",
            Direction::Upload => "upload",
        }
    }
}

/// How congested a direction is, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// No queue.
    #[default]
    Green,
    /// A small queue.
    Yellow,
    /// A queue; download only.
    SoftRed,
    /// A large queue.
    Red,
}

impl Zone {
    /// Names by code; the code of a zone is its position.
    pub const NAMES: [&'static str; 4] = ["GREEN", "YELLOW", "SOFT_RED", "RED"];

    /// The code that is recorded.
    pub fn code(self) -> u8 {
        match self {
            Zone::Green => 0,
            Zone::Yellow => 1,
            Zone::SoftRed => 2,
            Zone::Red => 3,
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[usize::from(self.code())]
    }
}

/// A change of zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// The zone before.
    pub from: Zone,
    /// The zone now.
    pub to: Zone,
    /// Why.
    pub reason: Reason,
}

/// Why a zone changed: the RTT delta and the threshold it is compared with.
///
/// Its text is the original's: `RTT delta 50.3ms exceeded soft_red threshold 45ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    /// Load minus baseline, in ms.
    pub delta_ms: f64,
    /// Exceeded, or fell below.
    pub comparison: Comparison,
    /// Which threshold.
    pub threshold: ThresholdName,
    /// Its value, as the configuration spells it.
    pub limit_ms: Number,
}

/// How a delta stands to its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Towards a worse zone, or any zone but GREEN.
    Exceeded,
    /// Back to GREEN.
    FellBelow,
}

/// The name of a threshold in a reason's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdName {
    /// Download, into RED.
    HardRed,
    /// Download, into SOFT_RED.
    SoftRed,
    /// Download, into YELLOW and GREEN.
    Green,
    /// Upload, into RED.
    Warn,
    /// Upload, into YELLOW and GREEN.
    Target,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.comparison {
            Comparison::Exceeded => "exceeded",
            Comparison::FellBelow => "fell below",
        };
        let threshold = match self.threshold {
            ThresholdName::HardRed => "hard_red",
            ThresholdName::SoftRed => "soft_red",
            ThresholdName::Green => "green",
            ThresholdName::Warn => "warn",
            ThresholdName::Target => "target",
        };
        let limit = self.limit_ms;
        write!(f, "RTT delta ")?;
        match self.delta_ms {
            // The original's spelling of what is not a number.
            nan if nan.is_nan() => write!(f, "nan")?,
            delta => write!(f, "{delta:.1}")?,
        }
        write!(f, "ms {verb} {threshold} threshold {limit}ms")
    }
}
