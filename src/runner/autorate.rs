//! The autorate controller with its sink.

use std::sync::Arc;

use wanctl_sink::{MetricsSink, SchemaError, Timestamp};

use crate::autorate::{Controller, Decision, Observation, Policy};
use crate::telemetry::AutorateRecorder;

/// One WAN's autorate controller, recording every step.
///
/// ```
/// use std::sync::Arc;
/// use wanctl::autorate::{Observation, Probe};
/// use wanctl::config;
/// use wanctl::runner::AutorateRunner;
/// use wanctl::sink::Timestamp;
///
/// let file = config::parse("
/// wan_name: wan1
/// shaper: { type: dry_run }
/// continuous_monitoring:
///   reflectors: [192.0.2.1]
///   download: { ceiling_mbps: 100, floor_mbps: 20 }
///   upload: { ceiling_mbps: 20, floor_mbps: 4 }
/// ", "wan1.yaml".as_ref()).expect("it is valid");
/// let policy = file.autorate.expect("it has an autorate controller").policy;
///
/// let memory = wanctl_sink_memory::MemorySink::default();
/// let mut runner = AutorateRunner::new("wan1", policy, Box::new(memory.clone()))?;
/// let observation = Observation { probe: Probe::Icmp(23.4), elapsed_seconds: 0.05 };
/// runner.step(Timestamp::default(), &observation, |decision| {
///     // Set the shaper here.
///     assert!(decision.download.rate.mbps() > 0.0);
/// });
/// assert!(memory.records().iter().any(|r| r.metric == "wanctl_rtt_ms" && r.value == 23.4));
/// # Ok::<(), wanctl::sink::SchemaError>(())
/// ```
#[derive(Debug)]
pub struct AutorateRunner {
    controller: Controller,
    recorder: AutorateRecorder,
    sink: Box<dyn MetricsSink>,
}

impl AutorateRunner {
    /// A controller that starts at its ceilings and records to `sink`.
    ///
    /// # Errors
    ///
    /// An empty WAN name.
    pub fn new(wan: &str, policy: Policy, sink: Box<dyn MetricsSink>) -> Result<Self, SchemaError> {
        let recorder = AutorateRecorder::new(wan)?;
        Ok(AutorateRunner { controller: Controller::new(policy), recorder, sink })
    }

    /// Decides, acts, records.
    ///
    /// `act` is called between deciding and recording; a sink can neither change nor delay it.
    pub fn step(
        &mut self,
        at: Timestamp,
        observation: &Observation,
        act: impl FnOnce(&Decision),
    ) -> Decision {
        let decision = self.controller.step(observation);
        act(&decision);
        let frame = self.recorder.frame(at, observation.probe, &decision);
        // What became of the rows is in the sink's own accounts; control does not depend on it.
        let _ = self.sink.emit(&Arc::new(frame));
        for event in self.recorder.events(at, &decision) {
            let _ = self.sink.event(&Arc::new(event));
        }
        decision
    }

    /// The controller, to look at its state or restore it.
    pub fn controller_mut(&mut self) -> &mut Controller {
        &mut self.controller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autorate::fixtures::policy;
    use crate::autorate::{Outcome, Probe};

    #[test]
    fn what_stands_in_for_a_sample_is_not_recorded_as_a_round_trip() {
        let memory = wanctl_sink_memory::MemorySink::default();
        let mut runner = AutorateRunner::new("wan1", policy(), Box::new(memory.clone())).unwrap();
        for probe in [Probe::Icmp(24.0), Probe::GatewayOnly] {
            let observation = Observation { probe, elapsed_seconds: 0.05 };
            let decision = runner.step(Timestamp::default(), &observation, |_| {});
            assert_eq!(decision.outcome, Outcome::Stepped);
        }
        let records = memory.records();
        let count = |name: &str| records.iter().filter(|r| r.metric == name).count();
        assert_eq!(count("wanctl_rtt_ms"), 1);
        assert_eq!(count("wanctl_rtt_delta_ms"), 2);
    }
}
