//! The steering controller with its sink.

use std::sync::Arc;

use wanctl_sink::{MetricsSink, SchemaError, Timestamp};

use crate::steering::{Controller, Decision, Observation, Policy, Route, RouteChange, Transition};
use crate::telemetry::SteeringRecorder;

/// What became of a change of route that a step asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// The router has it.
    Changed,
    /// The router does not have it; the controller asks again when the next sample says so.
    Failed,
    /// Not known yet; report it with [`SteeringRunner::route_changed`].
    Pending,
}

/// A steering controller, recording every step and every change of route.
#[derive(Debug)]
pub struct SteeringRunner {
    controller: Controller,
    recorder: SteeringRecorder,
    sink: Box<dyn MetricsSink>,
}

impl SteeringRunner {
    /// A controller that starts on the primary WAN and records to `sink`.
    ///
    /// # Errors
    ///
    /// An empty WAN name.
    pub fn new(policy: Policy, sink: Box<dyn MetricsSink>) -> Result<Self, SchemaError> {
        let recorder = SteeringRecorder::new(&policy)?;
        Ok(SteeringRunner { controller: Controller::new(policy), recorder, sink })
    }

    /// Decides, has the route changed if need be, records. Returns the decision and the change of
    /// route, if one took place at once.
    ///
    /// `act` is called only when the step asks for a change of route. It must not wait for a router:
    /// it answers [`RouteOutcome::Pending`] and reports the outcome later.
    pub fn step(
        &mut self,
        at: Timestamp,
        observation: &Observation,
        act: impl FnOnce(RouteChange) -> RouteOutcome,
    ) -> (Decision, Option<Transition>) {
        let decision = self.controller.step(observation);
        let transition = decision.request.and_then(|change| self.route_changed(at, act(change)));
        let frame = self.recorder.frame(at, &decision, self.controller.route());
        let _ = self.sink.emit(&Arc::new(frame));
        (decision, transition)
    }

    /// Reports what became of a change of route that was pending; records it if it took place.
    pub fn route_changed(&mut self, at: Timestamp, outcome: RouteOutcome) -> Option<Transition> {
        let transition = match outcome {
            RouteOutcome::Changed => self.controller.route_changed(true)?,
            RouteOutcome::Failed => self.controller.route_changed(false)?,
            RouteOutcome::Pending => return None,
        };
        let _ = self.sink.event(&Arc::new(self.recorder.event(at, transition)));
        Some(transition)
    }

    /// Which way traffic goes.
    pub fn route(&self) -> Route {
        self.controller.route()
    }

    /// The controller, to look at its state or restore it.
    pub fn controller_mut(&mut self) -> &mut Controller {
        &mut self.controller
    }
}
