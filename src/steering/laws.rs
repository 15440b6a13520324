//! What holds for any observations.

use proptest::prelude::*;

use super::fixtures::{confidence, policy};
use super::{CakeSample, Confidence, Controller, Observation, Policy, Route};

/// An observation, and what becomes of a request that it brings about; `None` leaves it unanswered.
type Step = (Observation, Option<bool>);

fn milliseconds() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..200.0, 1 => any::<f64>()]
}

fn observation() -> impl Strategy<Value = Observation> {
    let cake = (any::<bool>(), 0..20_i64, 0..200_i64, any::<i64>()).prop_map(
        |(odd, drops, queued_packets, any)| CakeSample {
            drops: if odd { drops } else { any },
            queued_packets,
        },
    );
    (
        prop::option::weighted(0.9, milliseconds()),
        prop::option::weighted(0.9, prop_oneof![9 => Just(24.0), 1 => any::<f64>()]),
        prop::option::weighted(0.9, cake),
        prop_oneof![9 => Just(0.05), 1 => any::<f64>()],
        any::<f64>(),
    )
        .prop_map(|(rtt_ms, baseline_ms, cake, elapsed_seconds, mono_seconds)| Observation {
            rtt_ms,
            baseline_ms,
            cake,
            elapsed_seconds,
            mono_seconds,
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = prop_oneof![Just(None), Just(Some(false)), Just(Some(true))];
    prop::collection::vec((observation(), answer), 1..200)
}

fn policies() -> impl Strategy<Value = Policy> {
    let live = Confidence {
        sustain_seconds: 0.1,
        recovery_sustain_seconds: 0.1,
        hold_down_seconds: 0.1,
        dry_run: false,
        ..confidence()
    };
    let scoring = prop::sample::select(vec![None, Some(confidence()), Some(live)]);
    (any::<bool>(), scoring).prop_map(|(cake_aware, confidence)| {
        let mut policy = policy();
        policy.cake_aware = cake_aware;
        policy.confidence = confidence;
        policy.thresholds.bad_samples = 2;
        policy.thresholds.good_samples = 2;
        policy
    })
}

proptest! {
    #[test]
    fn route_changes_only_by_a_request_that_succeeded(policy in policies(), steps in steps()) {
        let mut controller = Controller::new(policy);
        let mut requested: Option<Route> = None;
        for (observation, answer) in steps {
            let before = controller.route();
            let decision = controller.step(&observation);
            prop_assert_eq!(controller.route(), before);
            if let Some(request) = decision.request {
                prop_assert_eq!(requested, None, "a second request before the first was answered");
                prop_assert_ne!(request.to, before);
                requested = Some(request.to);
            }
            let Some(success) = answer else { continue };
            let transition = controller.route_changed(success);
            let expected = requested.take().filter(|_| success);
            prop_assert_eq!(transition.map(|it| it.to), expected);
            prop_assert_eq!(controller.route(), expected.unwrap_or(before));
        }
    }

    #[test]
    fn decisions_hold_finite_numbers_only(policy in policies(), steps in steps()) {
        let mut controller = Controller::new(policy);
        for (observation, answer) in steps {
            let decision = controller.step(&observation);
            let numbers = [decision.rtt_ms, decision.baseline_ms, decision.delta_ms, decision.confidence];
            prop_assert!(numbers.into_iter().flatten().all(f64::is_finite));
            answer.map(|success| controller.route_changed(success));
        }
    }

    #[test]
    fn same_observations_give_the_same_decisions(policy in policies(), steps in steps()) {
        let run = || {
            let mut controller = Controller::new(policy.clone());
            let decide = |(observation, answer): &Step| {
                let decision = controller.step(observation);
                (decision, answer.and_then(|success| controller.route_changed(success)))
            };
            steps.iter().map(decide).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}
