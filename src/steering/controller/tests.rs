//! The controller's behaviour, one at a time.

use super::*;
use crate::steering::Confidence;
use crate::steering::fixtures::{confidence, policy};

fn observe(rtt_ms: f64, drops: i64, queued_packets: i64) -> Observation {
    Observation {
        rtt_ms: Some(rtt_ms),
        baseline_ms: Some(24.0),
        cake: Some(CakeSample { drops, queued_packets }),
        elapsed_seconds: 0.05,
        mono_seconds: 0.0,
    }
}

fn red() -> Observation {
    observe(124.0, 5, 80)
}

fn green() -> Observation {
    observe(24.0, 0, 0)
}

/// A policy whose smoothing forgets at once.
fn prompt() -> Policy {
    let mut policy = policy();
    policy.thresholds.rtt_ewma_alpha = 1.0;
    policy
}

#[test]
fn route_changes_when_the_request_succeeds() {
    let mut controller = Controller::new(prompt());
    assert_eq!(controller.step(&red()).request, None);
    let request = controller.step(&red()).request.unwrap();
    assert_eq!(request.to, Route::Alternate);
    assert_eq!(request.reason, Reason::SamplesDegraded);
    assert_eq!(controller.route(), Route::Primary);
    let transition = controller.route_changed(true).unwrap();
    assert_eq!((transition.from, transition.to), (Route::Primary, Route::Alternate));
    assert_eq!(controller.route(), Route::Alternate);
    assert_eq!(controller.state().red_count, 0);

    let requests = [(); 3].map(|()| controller.step(&green()).request);
    assert_eq!(requests[..2], [None, None]);
    assert_eq!(requests[2].unwrap().reason, Reason::SamplesRecovered);
    assert_eq!(controller.route_changed(true).unwrap().good_count, 2);
    assert_eq!(controller.route(), Route::Primary);
}

#[test]
fn failed_request_is_made_again_by_the_next_sample_that_qualifies() {
    let mut controller = Controller::new(prompt());
    controller.step(&red());
    assert!(controller.step(&red()).request.is_some());
    assert_eq!(controller.route_changed(false), None);
    assert_eq!(controller.route(), Route::Primary);
    assert_eq!(controller.state().red_count, 2);
    assert!(controller.step(&red()).request.is_some());
}

#[test]
fn unanswered_request_is_not_made_twice() {
    let mut controller = Controller::new(prompt());
    controller.step(&red());
    assert!(controller.step(&red()).request.is_some());
    for _ in 0..5 {
        assert_eq!(controller.step(&red()).request, None);
    }
    assert!(controller.route_changed(true).is_some());
    assert_eq!(controller.route_changed(true), None);
}

#[test]
fn yellow_starts_both_counts_anew() {
    let yellow = observe(24.0, 0, 10);
    let mut controller = Controller::new(prompt());
    for observation in [red(), yellow, red()] {
        assert_eq!(controller.step(&observation).request, None);
    }
    controller.step(&red());
    controller.route_changed(true);
    for observation in [green(), green(), yellow, green(), green()] {
        assert_eq!(controller.step(&observation).request, None);
    }
}

#[test]
fn without_a_baseline_nothing_is_counted() {
    let mut controller = Controller::new(policy());
    for baseline_ms in [None, Some(9.9), Some(60.1), Some(f64::NAN)] {
        let decision = controller.step(&Observation { baseline_ms, cake: None, ..red() });
        assert_eq!(decision.outcome, Outcome::NoBaseline);
        assert_eq!(controller.state(), State::default());
    }
}

#[test]
fn last_baseline_holds_while_nobody_knows_a_new_one() {
    let mut controller = Controller::new(policy());
    controller.step(&green());
    let decision = controller.step(&Observation { baseline_ms: Some(500.0), ..green() });
    assert_eq!(decision.baseline_ms, Some(24.0));
    assert_eq!(decision.outcome, Outcome::Stepped);
}

#[test]
fn missing_sample_holds_but_a_failed_read_of_cake_is_counted() {
    let mut controller = Controller::new(prompt());
    controller.step(&red());
    let before = controller.state();
    let decision = controller.step(&Observation { rtt_ms: None, cake: None, ..red() });
    assert_eq!(decision.outcome, Outcome::Held);
    assert_eq!(decision.congestion, Congestion::Red);
    assert_eq!(controller.state(), State { cake_read_failures: 1, ..before });
}

#[test]
fn samples_beyond_belief_are_refused_and_change_nothing() {
    let mut controller = Controller::new(policy());
    controller.step(&red());
    let before = controller.state();
    let beyond = [
        observe(1_024.1, 0, 0),
        observe(f64::NAN, 0, 0),
        observe(f64::INFINITY, 0, 0),
        observe(-1.0, 0, 0),
        observe(30.0, 0, 10_001),
    ];
    for observation in beyond {
        assert_eq!(controller.step(&observation).outcome, Outcome::Refused);
        assert_eq!(controller.state(), before);
    }
    let at_the_limit = observe(1_024.0, 0, 10_000);
    assert_eq!(controller.step(&at_the_limit).outcome, Outcome::Stepped);
}

#[test]
fn rtt_alone_neither_smooths_nor_reads_cake() {
    let mut policy = policy();
    policy.cake_aware = false;
    policy.thresholds.bad_samples = 2;
    let mut controller = Controller::new(policy);
    controller.step(&observe(49.0, 0, 0));
    assert_eq!(controller.state().bad_count, 0);
    controller.step(&observe(49.1, 0, 0));
    let decision = controller.step(&Observation { cake: None, ..observe(9_000.0, 0, 0) });
    assert!(decision.request.is_some());
    assert_eq!(decision.congestion, Congestion::Green);
    let state = controller.state();
    assert_eq!((state.rtt_delta_ewma_ms, state.cake_read_failures), (0.0, 0));
}

#[test]
fn live_score_asks_before_the_counters_do() {
    let mut policy = policy();
    policy.thresholds.red_samples_required = 99;
    policy.confidence = Some(Confidence { sustain_seconds: 0.1, dry_run: false, ..confidence() });
    let mut controller = Controller::new(policy);
    let decisions: Vec<Decision> = (0..4).map(|_| controller.step(&red())).collect();
    let requests: Vec<bool> = decisions.iter().map(|it| it.request.is_some()).collect();
    // One step to become RED, one to start the timer, two to run it down.
    assert_eq!(requests, [false, false, false, true]);
    assert_eq!(decisions[3].confidence, Some(75.0));
    assert_eq!(controller.route_changed(true).unwrap().reason, Reason::ConfidenceHigh);
}

#[test]
fn restore_takes_what_state_gave_and_drops_what_can_not_be() {
    let mut controller = Controller::new(prompt());
    controller.step(&red());
    let state = controller.state();
    let text = serde_json::to_string(&state).unwrap();
    let mut restarted = Controller::new(prompt());
    restarted.restore(&serde_json::from_str(&text).unwrap());
    assert_eq!(restarted.state(), state);
    restarted.restore(&State {
        baseline_ms: Some(500.0),
        rtt_delta_ewma_ms: f64::NAN,
        queue_ewma: f64::INFINITY,
        ..state
    });
    let restored = restarted.state();
    assert_eq!(restored.baseline_ms, None);
    assert_eq!((restored.rtt_delta_ewma_ms, restored.queue_ewma), (0.0, 0.0));
}
