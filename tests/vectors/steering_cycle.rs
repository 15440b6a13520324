//! Whole steering cycles: what was measured, every decision that followed, and what became of it.
//!
//! Lengths of histories, router commands, files and logs are not compared.

use serde_json::Value;
use wanctl::steering::{
    CakeCounters, CakeSample, Congestion, Controller, Decision, Observation, Outcome, Policy,
    Route, State, Transition, baseline_from_state,
};

use super::files::{
    assert_same, assert_same_option, for_each_file, number, optional_number, steps,
};
use super::policies;

/// What the recorded scoring takes from its timers in each cycle, in seconds.
const RECORDED_CYCLE_SECONDS: f64 = 0.05;

/// How often the recorded daemon pings before it gives up.
const PING_ATTEMPTS: usize = 3;

/// Names of the good state that are understood whatever the primary WAN is called.
const GOOD_STATES: [&str; 3] = ["SPECTRUM_GOOD", "WAN1_GOOD", "WAN2_GOOD"];

#[test]
fn steering_assessment() {
    for_each_file("steering_assessment", replay);
}

#[test]
fn steering_daemon_confidence() {
    for_each_file("steering_daemon_confidence", replay);
}

fn replay(vector: &Value) -> usize {
    let policy = policies::steering(&vector["config"]["yaml"]);
    compare_config(&policy, &vector["config"]);
    let mut controller = Controller::new(policy);
    controller.restore(&restored(controller.policy(), &vector["initial_state"]));
    let mut wiring = Wiring::new(vector);
    let mut compared = 0;
    for (i, input, out) in steps(vector) {
        let before = controller.state();
        let observation = wiring.observe(&controller, input);
        let decision = controller.step(&observation);
        let asked = decision.request.is_some();
        let attempted = !out["router_cmds"].as_array().unwrap().is_empty();
        assert_eq!(asked, attempted, "step {i}: a change of route was asked");
        let transition = decision.request.and_then(|request| {
            let steered = out["rule_enabled"] == (request.to == Route::Alternate);
            controller.route_changed(input["router_rc_ok"] == true && steered)
        });
        compare(i, &controller, &decision, out);
        compare_transition(i, controller.policy(), transition, out);
        compare_outcome(i, &decision, out);
        if decision.outcome == Outcome::Refused {
            let after = State {
                cake_read_failures: before.cake_read_failures,
                baseline_ms: before.baseline_ms,
                ..controller.state()
            };
            assert_eq!(after, before, "step {i}: refused");
        }
        wiring.note(&decision);
        compared += 1;
    }
    compared
}

/// The recorded daemon's measuring, from replies to an observation.
struct Wiring {
    counters: CakeCounters,
    last_rtt_ms: Option<f64>,
    remembers_rtt: bool,
    started: f64,
}

impl Wiring {
    fn new(vector: &Value) -> Wiring {
        let history = vector["initial_state"]["history_rtt"].as_array();
        let first = vector["steps"][0]["in"]["wall"].as_f64();
        Wiring {
            counters: CakeCounters::default(),
            last_rtt_ms: history.and_then(|it| it.last()).map(number),
            // Without a state file the history stays empty, so nothing can stand in for a lost ping.
            remembers_rtt: vector["config"]["state_file_loaded"] == true,
            started: first.unwrap_or_default(),
        }
    }

    fn observe(&mut self, controller: &Controller, input: &Value) -> Observation {
        let baseline_ms = baseline(&input["baseline_file"]);
        Observation {
            rtt_ms: ping(&input["pings"]).or(self.last_rtt_ms),
            baseline_ms,
            cake: self.cake(controller, baseline_ms, &input["cake_counters"]),
            elapsed_seconds: RECORDED_CYCLE_SECONDS,
            mono_seconds: input["wall"].as_f64().unwrap_or_default() - self.started,
        }
    }

    /// CAKE is read only where it counts, and not before a baseline is known.
    fn cake(
        &mut self,
        controller: &Controller,
        baseline_ms: Option<f64>,
        counters: &Value,
    ) -> Option<CakeSample> {
        let thresholds = &controller.policy().thresholds;
        let believed = baseline_ms.is_some_and(|ms| {
            (thresholds.baseline_min_ms..=thresholds.baseline_max_ms).contains(&ms)
        });
        let known = believed || controller.state().baseline_ms.is_some();
        if !known || !controller.policy().cake_aware || !counters.is_object() {
            return None;
        }
        let counter = |key: &str| counters[key].as_i64().unwrap_or(0);
        let sample = self.counters.sample(counter("dropped"), counter("queued"));
        Some(sample)
    }

    /// Old samples stand in for lost pings in the recorded daemon; ours does not do that.
    fn note(&mut self, decision: &Decision) {
        if self.remembers_rtt {
            self.last_rtt_ms = decision.rtt_ms.or(self.last_rtt_ms);
        }
    }
}

/// A state file is recorded as its content, or as a word for what was wrong with it.
fn baseline(file: &Value) -> Option<f64> {
    match file {
        Value::Null => None,
        Value::String(text) => baseline_from_state(text),
        content => baseline_from_state(&content.to_string()),
    }
}

/// The first answer of three attempts; the last reply that is recorded repeats.
fn ping(replies: &Value) -> Option<f64> {
    let replies = replies.as_array()?;
    let last = replies.last()?;
    replies.iter().chain(std::iter::repeat(last)).take(PING_ATTEMPTS).find_map(optional_number)
}

fn restored(policy: &Policy, initial: &Value) -> State {
    let count = |key: &str| initial[key].as_i64().unwrap();
    State {
        route: route(policy, &initial["current_state"]),
        baseline_ms: optional_number(&initial["baseline_rtt"]),
        congestion: congestion(&initial["congestion_state"]),
        red_count: count("red_count"),
        bad_count: count("bad_count"),
        good_count: count("good_count"),
        rtt_delta_ewma_ms: number(&initial["rtt_delta_ewma"]),
        queue_ewma: number(&initial["queue_ewma"]),
        cake_read_failures: count("cake_read_failures"),
    }
}

/// Whatever is not known as good is degraded.
fn route(policy: &Policy, state: &Value) -> Route {
    let state = state.as_str().unwrap();
    if state == policy.state_good() || GOOD_STATES.contains(&state) {
        Route::Primary
    } else {
        Route::Alternate
    }
}

fn congestion(name: &Value) -> Congestion {
    serde_json::from_value(name.clone()).unwrap()
}

fn compare_config(policy: &Policy, config: &Value) {
    assert_eq!(policy.state_good(), config["state_good"]);
    assert_eq!(policy.state_degraded(), config["state_degraded"]);
    assert_eq!(policy.cake_aware, config["cake_aware"]);
    let thresholds = &policy.thresholds;
    let effective = &config["effective"];
    for (ours, key) in [
        (thresholds.bad_threshold_ms, "bad_threshold_ms"),
        (thresholds.recovery_threshold_ms, "recovery_threshold_ms"),
        (thresholds.yellow_rtt_ms, "yellow_rtt_ms"),
        (thresholds.red_rtt_ms, "red_rtt_ms"),
        (thresholds.rtt_ewma_alpha, "rtt_ewma_alpha"),
        (thresholds.queue_ewma_alpha, "queue_ewma_alpha"),
        (thresholds.baseline_min_ms, "baseline_rtt_min"),
        (thresholds.baseline_max_ms, "baseline_rtt_max"),
    ] {
        assert_same(key, 0, ours, &effective[key]);
    }
}

fn compare(i: u64, controller: &Controller, decision: &Decision, out: &Value) {
    let state = controller.state();
    assert_same_option("baseline", i, state.baseline_ms, &out["baseline_rtt"]);
    for (ours, key) in
        [(state.rtt_delta_ewma_ms, "rtt_delta_ewma"), (state.queue_ewma, "queue_ewma")]
    {
        assert_same(key, i, ours, &out[key]);
    }
    for (ours, key) in [
        (state.red_count, "red_count"),
        (state.bad_count, "bad_count"),
        (state.good_count, "good_count"),
        (state.cake_read_failures, "cake_read_failures"),
    ] {
        assert_eq!(ours, out[key], "step {i}: {key}");
    }
    assert_eq!(state.congestion, congestion(&out["congestion_state"]), "step {i}");
    assert_eq!(decision.congestion, state.congestion, "step {i}");
    let recorded = route(controller.policy(), &out["current_state"]);
    assert_eq!(controller.route(), recorded, "step {i}");
    assert_same_option("delta", i, decision.delta_ms, &out["rtt_delta"]);
    if decision.outcome == Outcome::Stepped {
        compare_rows(i, controller, decision, out);
    }
}

fn compare_rows(i: u64, controller: &Controller, decision: &Decision, out: &Value) {
    let steered = controller.route() == Route::Alternate;
    for (metric, ours) in [
        ("wanctl_rtt_ms", decision.rtt_ms),
        ("wanctl_rtt_baseline_ms", decision.baseline_ms),
        ("wanctl_rtt_delta_ms", decision.delta_ms),
        ("wanctl_steering_enabled", Some(steered.into())),
        ("wanctl_state", Some(decision.congestion.code().into())),
    ] {
        let rows = out["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row[2] == metric).unwrap();
        assert_same_option(metric, i, ours, &row[3]);
    }
}

fn compare_transition(i: u64, policy: &Policy, ours: Option<Transition>, out: &Value) {
    let recorded = &out["transition"];
    let Some(ours) = ours else {
        assert!(recorded.is_null(), "step {i}: missed {recorded}");
        return;
    };
    let name = |route| match route {
        Route::Primary => policy.state_good(),
        Route::Alternate => policy.state_degraded(),
    };
    assert_eq!(name(ours.from), recorded["from"], "step {i}");
    assert_eq!(name(ours.to), recorded["to"], "step {i}");
    assert_eq!(ours.bad_count, recorded["bad_count"], "step {i}");
    assert_eq!(ours.good_count, recorded["good_count"], "step {i}");
}

fn compare_outcome(i: u64, decision: &Decision, out: &Value) {
    let has_rows = !out["rows"].as_array().unwrap().is_empty();
    let expected = if !out["exception"].is_null() {
        Outcome::Refused
    } else if has_rows {
        Outcome::Stepped
    } else if out["baseline_rtt"].is_null() {
        Outcome::NoBaseline
    } else {
        Outcome::Held
    };
    assert_eq!(decision.outcome, expected, "step {i}");
}
