//! What holds for any observations.

use proptest::prelude::*;

use super::fixtures::policy;
use super::{Controller, Decision, Observation, Probe};

fn probe() -> impl Strategy<Value = Probe> {
    prop_oneof![
        4 => (0.0..400.0).prop_map(Probe::Icmp),
        1 => any::<f64>().prop_map(Probe::Icmp),
        1 => any::<f64>().prop_map(Probe::Tcp),
        1 => Just(Probe::Pending),
        1 => Just(Probe::GatewayOnly),
        1 => Just(Probe::Lost),
    ]
}

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    let elapsed = prop_oneof![4 => Just(0.05), 1 => any::<f64>()];
    let observation = (probe(), elapsed)
        .prop_map(|(probe, elapsed_seconds)| Observation { probe, elapsed_seconds });
    prop::collection::vec(observation, 1..200)
}

fn run(baseline_initial_ms: Option<f64>, observations: &[Observation]) -> Vec<Decision> {
    let mut policy = policy();
    policy.filter.baseline_initial_ms = baseline_initial_ms;
    let mut controller = Controller::new(policy);
    observations.iter().map(|o| controller.step(o)).collect()
}

proptest! {
    #[test]
    fn rate_never_leaves_floor_and_ceiling(observations in observations()) {
        for decision in run(Some(24.0), &observations) {
            let (download, upload) = (decision.download.rate.mbps(), decision.upload.rate.mbps());
            prop_assert!((200.0..=940.0).contains(&download), "download {download}");
            prop_assert!((8.0..=38.0).contains(&upload), "upload {upload}");
        }
    }

    #[test]
    fn baseline_never_leaves_its_bounds(
        initial in prop::option::of(10.0..60.0),
        observations in observations(),
    ) {
        for decision in run(initial, &observations) {
            prop_assert!(decision.baseline_ms.is_none_or(|ms| (10.0..=60.0).contains(&ms)));
            prop_assert!(decision.load_ms.is_none_or(f64::is_finite));
        }
    }

    #[test]
    fn same_observations_give_the_same_decisions(observations in observations()) {
        prop_assert_eq!(run(None, &observations), run(None, &observations));
    }

    #[test]
    fn controller_that_was_kept_over_a_restart_decides_alike(
        before in observations(),
        after in prop::collection::vec(0.0..400.0, 2..50),
    ) {
        let mut controller = Controller::new(policy());
        for observation in &before {
            controller.step(observation);
        }
        // A restart forgets the time of pending steps, so end with a sample.
        controller.step(&Observation { probe: Probe::Icmp(30.0), elapsed_seconds: 0.05 });
        let mut restarted = Controller::new(policy());
        restarted.restore(&controller.state());
        // A restart forgets the last zone and the last load, which show in the first step only.
        for rtt_ms in after {
            let observation = Observation { probe: Probe::Icmp(rtt_ms), elapsed_seconds: 0.05 };
            let (a, b) = (controller.step(&observation), restarted.step(&observation));
            prop_assert_eq!(a.load_ms, b.load_ms);
            prop_assert_eq!(a.baseline_ms, b.baseline_ms);
            prop_assert_eq!(a.upload.rate, b.upload.rate);
            prop_assert_eq!(a.upload.zone, b.upload.zone);
        }
    }

    #[test]
    fn no_restored_state_breaks_the_limits(
        rate_bps in any::<f64>(),
        baseline_ms in any::<f64>(),
        load_ms in any::<f64>(),
        rtt_ms in any::<f64>(),
    ) {
        let mut controller = Controller::new(policy());
        let mut state = controller.state();
        state.download.rate_bps = rate_bps;
        state.upload.rate_bps = rate_bps;
        state.baseline_ms = Some(baseline_ms);
        state.load_ms = Some(load_ms);
        controller.restore(&state);
        let decision = controller.step(&Observation { probe: Probe::Icmp(rtt_ms), elapsed_seconds: 0.05 });
        prop_assert!((200.0..=940.0).contains(&decision.download.rate.mbps()));
        prop_assert!(decision.baseline_ms.is_some_and(|ms| (10.0..=60.0).contains(&ms)));
        prop_assert!(decision.load_ms.is_some_and(f64::is_finite));
    }
}
