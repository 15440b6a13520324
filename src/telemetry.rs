//! The metrics of this package, and how observations and decisions become rows.
//!
//! A metric is declared here once; names, labels and codes are fixed, because other people's dashboards
//! read them. A recorder knows the series of one controller and turns a step into one [`Frame`] and,
//! when something happened, [`Event`]s. It formats nothing: sinks do, on their own threads.

use std::sync::Arc;

use serde_json::{Map, Value};
use wanctl_sink::{
    Admission, Details, Event, Frame, Kind, Metric, MetricsSink, Rollup, Schema, SchemaError,
    Series, StateNames, Timestamp, Unit,
};

use crate::units::{Rate, quantise_ms};
use crate::{autorate, steering};

/// The `source` of autorate's series.
pub const AUTORATE: &str = "autorate";
/// The `source` of steering's series.
pub const STEERING: &str = "steering";

/// Names of [`PROBE`]'s codes for autorate.
const AUTORATE_PROBES: [&str; 6] = ["ICMP", "TCP", "PENDING", "GATEWAY_ONLY", "LOST", "REFUSED"];
/// Names of [`PROBE`]'s codes for steering.
const STEERING_PROBES: [&str; 4] = ["FRESH", "PENDING", "NO_BASELINE", "REFUSED"];

/// Round-trip time, as measured.
pub static RTT: Metric =
    gauge("wanctl_rtt_ms", Unit::Milliseconds, "Round-trip time to the reflectors");
/// Round-trip time without load.
pub static RTT_BASELINE: Metric =
    gauge("wanctl_rtt_baseline_ms", Unit::Milliseconds, "Round-trip time without load");
/// What load adds to it.
pub static RTT_DELTA: Metric =
    gauge("wanctl_rtt_delta_ms", Unit::Milliseconds, "Round-trip time above the baseline");
/// The download shaper's rate, as decided.
pub static RATE_DOWNLOAD: Metric = gauge(
    "wanctl_rate_download_mbps",
    Unit::MegabitsPerSecond,
    "Rate decided for the download shaper",
);
/// The upload shaper's rate, as decided.
pub static RATE_UPLOAD: Metric =
    gauge("wanctl_rate_upload_mbps", Unit::MegabitsPerSecond, "Rate decided for the upload shaper");
/// Congestion, by direction for autorate.
pub static STATE: Metric = Metric {
    name: "wanctl_state",
    unit: Unit::None,
    kind: Kind::State,
    rollup: Rollup::Mode,
    help: "Congestion state; steering's stays GREEN unless cake_aware",
    states: &[
        StateNames { source: AUTORATE, names: &autorate::Zone::NAMES },
        StateNames { source: STEERING, names: &steering::Congestion::NAMES },
    ],
};
/// Whether traffic takes the alternate WAN.
pub static STEERING_ENABLED: Metric = Metric {
    name: "wanctl_steering_enabled",
    unit: Unit::None,
    kind: Kind::State,
    rollup: Rollup::Mode,
    help: "Whether latency-sensitive traffic takes the alternate WAN",
    states: &[StateNames { source: STEERING, names: &["DISABLED", "ENABLED"] }],
};
/// What the probes brought in the cycle.
pub static PROBE: Metric = Metric {
    name: "wanctl_probe_outcome",
    unit: Unit::None,
    kind: Kind::State,
    rollup: Rollup::Mode,
    help: "What the probes brought in the cycle; without a fresh sample there is no wanctl_rtt_ms",
    states: &[
        StateNames { source: AUTORATE, names: &AUTORATE_PROBES },
        StateNames { source: STEERING, names: &STEERING_PROBES },
    ],
};
/// The configuration in force, in the labels.
pub static CONFIG_SNAPSHOT: Metric = Metric {
    name: "wanctl_config_snapshot",
    unit: Unit::UnixSeconds,
    kind: Kind::Event,
    rollup: Rollup::None,
    help: "Operational parameters in force from this time on",
    states: &[],
};

wanctl_sink::register_metrics!(&[
    &RTT,
    &RTT_BASELINE,
    &RTT_DELTA,
    &RATE_DOWNLOAD,
    &RATE_UPLOAD,
    &STATE,
    &STEERING_ENABLED,
    &PROBE,
    &CONFIG_SNAPSHOT,
]);

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric { name, unit, kind: Kind::Gauge, rollup: Rollup::Mean, help, states: &[] }
}

/// Turns autorate's steps into rows. Positions in the schema are the constants below.
#[derive(Clone, Debug)]
pub struct AutorateRecorder {
    wan: Arc<str>,
    source: Arc<str>,
    schema: Arc<Schema>,
}

impl AutorateRecorder {
    /// The series of one WAN's autorate controller.
    ///
    /// # Errors
    ///
    /// An empty WAN name.
    pub fn new(wan: &str) -> Result<Self, SchemaError> {
        let series = |metric| Series::new(metric, wan, AUTORATE);
        let direction = |name| series(&STATE).with_labels(&[("direction", name)]);
        let schema = Schema::new(vec![
            series(&RTT),
            series(&RTT_BASELINE),
            series(&RTT_DELTA),
            series(&RATE_DOWNLOAD),
            series(&RATE_UPLOAD),
            direction(autorate::Direction::Download.as_str()),
            direction(autorate::Direction::Upload.as_str()),
            series(&PROBE),
        ])?;
        Ok(AutorateRecorder { wan: wan.into(), source: AUTORATE.into(), schema })
    }

    /// The frame of a step. Derived times are rounded as measurements are, rates to whole bits a second.
    pub fn frame(
        &self,
        at: Timestamp,
        probe: autorate::Probe,
        decision: &autorate::Decision,
    ) -> Frame {
        // What stands in for a sample, while only the gateway answers, is no round trip.
        let is_measured = matches!(probe, autorate::Probe::Icmp(_) | autorate::Probe::Tcp(_));
        let rtt_ms = decision.rtt_ms.filter(|_| is_measured);
        let times = [rtt_ms, decision.baseline_ms, decision.delta_ms()];
        let [download, upload] = decision.directions();
        // In whole bits a second, as the shaper is asked for.
        let rates =
            [download.rate, upload.rate].map(|rate| Rate::from_bps(rate.whole_bps() as f64).mbps());
        let zones = [download.zone, upload.zone].map(|zone| f64::from(zone.code()));
        let probe = match (decision.outcome, probe) {
            (autorate::Outcome::Refused, _) => 5,
            (_, autorate::Probe::Icmp(_)) => 0,
            (_, autorate::Probe::Tcp(_)) => 1,
            (_, autorate::Probe::Pending) => 2,
            (_, autorate::Probe::GatewayOnly) => 3,
            (_, autorate::Probe::Lost) => 4,
        };
        let mut frame = Frame::new(at, &self.schema);
        for (position, time) in times.into_iter().enumerate() {
            if let Some(ms) = time {
                frame.push(position, quantise_ms(ms));
            }
        }
        let rest = rates.into_iter().chain(zones).chain([f64::from(probe)]);
        for (position, value) in (times.len()..).zip(rest) {
            frame.push(position, value);
        }
        frame
    }

    /// The changes of zone in a step.
    pub fn events(
        &self,
        at: Timestamp,
        decision: &autorate::Decision,
    ) -> impl Iterator<Item = Event> {
        decision.directions().into_iter().filter_map(move |direction| {
            let transition = direction.transition?;
            Some(Event {
                at,
                metric: &STATE,
                wan: Arc::clone(&self.wan),
                source: Arc::clone(&self.source),
                value: f64::from(transition.to.code()),
                details: Arc::new(ZoneChange { direction: direction.direction, transition }),
            })
        })
    }
}

/// Details of a change of zone.
#[derive(Debug)]
struct ZoneChange {
    direction: autorate::Direction,
    transition: autorate::Transition,
}

impl Details for ZoneChange {
    fn labels(&self) -> Map<String, Value> {
        object([
            ("direction", self.direction.as_str().to_owned()),
            ("reason", self.transition.reason.to_string()),
        ])
    }
}

/// Turns steering's steps into rows.
#[derive(Clone, Debug)]
pub struct SteeringRecorder {
    wan: Arc<str>,
    source: Arc<str>,
    states: Arc<StateLabels>,
    schema: Arc<Schema>,
}

/// The names of steering's two states.
#[derive(Debug)]
struct StateLabels {
    good: String,
    degraded: String,
}

impl SteeringRecorder {
    /// The series of a steering controller; their WAN is the one it watches.
    ///
    /// # Errors
    ///
    /// An empty WAN name.
    pub fn new(policy: &steering::Policy) -> Result<Self, SchemaError> {
        let wan = policy.primary_wan.as_str();
        let series = |metric| Series::new(metric, wan, STEERING);
        let schema = Schema::new(vec![
            series(&RTT),
            series(&RTT_BASELINE),
            series(&RTT_DELTA),
            series(&STEERING_ENABLED),
            series(&STATE).with_labels(&[("source", STEERING)]),
            series(&PROBE),
        ])?;
        let states =
            Arc::new(StateLabels { good: policy.state_good(), degraded: policy.state_degraded() });
        Ok(SteeringRecorder { wan: wan.into(), source: STEERING.into(), states, schema })
    }

    /// The frame of a step, with the route as it is after the step.
    pub fn frame(
        &self,
        at: Timestamp,
        decision: &steering::Decision,
        route: steering::Route,
    ) -> Frame {
        let times = [decision.rtt_ms, decision.baseline_ms, decision.delta_ms];
        let probe = match decision.outcome {
            steering::Outcome::Stepped => 0,
            steering::Outcome::Held => 1,
            steering::Outcome::NoBaseline => 2,
            steering::Outcome::Refused => 3,
        };
        let mut frame = Frame::new(at, &self.schema);
        for (position, time) in times.into_iter().enumerate() {
            if let Some(ms) = time {
                frame.push(position, quantise_ms(ms));
            }
        }
        let rest = [enabled(route), f64::from(decision.congestion.code()), f64::from(probe)];
        for (position, value) in (times.len()..).zip(rest) {
            frame.push(position, value);
        }
        frame
    }

    /// A change of route.
    pub fn event(&self, at: Timestamp, transition: steering::Transition) -> Event {
        Event {
            at,
            metric: &STEERING_ENABLED,
            wan: Arc::clone(&self.wan),
            source: Arc::clone(&self.source),
            value: enabled(transition.to),
            details: Arc::new(RouteChanged { states: Arc::clone(&self.states), transition }),
        }
    }
}

fn enabled(route: steering::Route) -> f64 {
    match route {
        steering::Route::Primary => 0.0,
        steering::Route::Alternate => 1.0,
    }
}

/// Details of a change of route.
#[derive(Debug)]
struct RouteChanged {
    states: Arc<StateLabels>,
    transition: steering::Transition,
}

impl Details for RouteChanged {
    fn labels(&self) -> Map<String, Value> {
        let name = |route| match route {
            steering::Route::Primary => &self.states.good,
            steering::Route::Alternate => &self.states.degraded,
        };
        let (from, to) = (name(self.transition.from), name(self.transition.to));
        object([
            ("reason", format!("Transitioned from {from} to {to}")),
            ("from_state", from.clone()),
            ("to_state", to.clone()),
            ("cause", self.transition.reason.as_str().to_owned()),
        ])
    }
}

fn object<const N: usize>(pairs: [(&str, String); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect()
}

/// Records the configuration in force for one WAN of one controller.
///
/// `labels` are those of [`crate::config::snapshot_labels`]: operational parameters only, never a
/// secret. The row's value is `at`, in whole Unix seconds.
pub fn record_config_snapshot(
    sink: &dyn MetricsSink,
    at: Timestamp,
    wan: &str,
    source: &str,
    labels: Map<String, Value>,
) -> Admission {
    sink.event(&Arc::new(Event {
        at,
        metric: &CONFIG_SNAPSHOT,
        wan: wan.into(),
        source: source.into(),
        value: at.unix_seconds() as f64,
        details: Arc::new(labels),
    }))
}
