//! Whole autorate cycles: what was measured, and every decision that followed.
//!
//! Router writes and their limit, files and logs are not compared: a decision does not depend on them.

use serde_json::Value;
use wanctl::autorate::{
    Controller, Decision, Direction, DirectionDecision, NOMINAL_CYCLE_SECONDS, Observation,
    Outcome, Probe, State,
};
use wanctl::signal::median;

use super::autorate_units::direction_state;
use super::files::{assert_same, assert_same_option, for_each_file, optional_number, steps};
use super::policies;

#[test]
fn autorate_cycle() {
    for_each_file("autorate_cycle", replay);
}

fn replay(vector: &Value) -> usize {
    let yaml = &vector["config"]["yaml"];
    let mut controller = Controller::new(policies::autorate(yaml));
    restore(&mut controller, &vector["config"]["initial_state_file"]);
    compare_initial(&controller, &vector["initial"]);
    let mut compared = 0;
    for (i, input, out) in steps(vector) {
        let before = controller.state();
        let probe = exact(i, measure(&yaml["continuous_monitoring"], input), out);
        let decision =
            controller.step(&Observation { probe, elapsed_seconds: NOMINAL_CYCLE_SECONDS });
        if out.get("exception").is_some_and(|it| !it.is_null()) {
            assert_eq!(decision.outcome, Outcome::Refused, "step {i}");
            assert_eq!(controller.state(), before, "step {i}");
        } else {
            compare(i, &controller, &decision, out);
        }
        compared += 1;
    }
    compared
}

/// The state file that the recorded daemon found; a key that it lacks keeps the configured value.
fn restore(controller: &mut Controller, file: &Value) {
    let fresh = controller.state();
    controller.restore(&State {
        download: direction_state(&file["download"], fresh.download),
        upload: direction_state(&file["upload"], fresh.upload),
        baseline_ms: optional_number(&file["ewma"]["baseline_rtt"]),
        load_ms: optional_number(&file["ewma"]["load_rtt"]),
    });
}

fn compare_initial(controller: &Controller, initial: &Value) {
    let state = controller.state();
    assert_same_option("baseline", 0, state.baseline_ms, &initial["baseline_rtt"]);
    assert_same_option("load", 0, state.load_ms, &initial["load_rtt"]);
    assert_same("download", 0, state.download.rate_bps, &initial["dl_rate"]);
    assert_same("upload", 0, state.upload.rate_bps, &initial["ul_rate"]);
}

/// What the recorded daemon's probing made of the replies.
fn measure(monitoring: &Value, input: &Value) -> Probe {
    let hosts = monitoring["ping_hosts"].as_array().unwrap().len();
    let by_median = monitoring["use_median_of_three"].as_bool() == Some(true) && 3 <= hosts;
    let replies = input["pings"].as_array().unwrap();
    let mut answers: Vec<f64> =
        replies.iter().take(if by_median { 3 } else { 1 }).filter_map(optional_number).collect();
    if let Some(rtt_ms) = median(&mut answers) {
        return Probe::Icmp(rtt_ms);
    }
    let checks = &monitoring["fallback_checks"];
    let checked = |key: &str| checks[key].as_bool().unwrap_or(true);
    if checked("check_tcp")
        && let Some(rtt_ms) = median(&mut tcp_answers(checks, &input["tcp_ms"]))
    {
        return Probe::Tcp(rtt_ms);
    }
    if checked("check_gateway") && !input["gateway_ping"].is_null() {
        return Probe::GatewayOnly;
    }
    Probe::Lost
}

/// The recorded replies go round the configured targets, two by default.
fn tcp_answers(checks: &Value, replies: &Value) -> Vec<f64> {
    let targets = checks["tcp_targets"].as_array().map_or(2, Vec::len);
    let replies = replies.as_array().unwrap();
    replies
        .iter()
        .cycle()
        .take(if replies.is_empty() { 0 } else { targets })
        .filter_map(optional_number)
        .collect()
}

/// The recorded daemon timed TCP with a virtual clock, whose rounding is in its sample; take that sample.
fn exact(step: u64, probe: Probe, out: &Value) -> Probe {
    match (probe, row(out, "wanctl_rtt_ms")) {
        (Probe::Tcp(rtt_ms), Some(recorded)) => {
            let recorded = recorded.as_f64().unwrap();
            assert!(
                (rtt_ms - recorded).abs() <= 1e-9 * recorded.abs(),
                "step {step}: TCP took {rtt_ms} ms, recorded {recorded} ms"
            );
            Probe::Tcp(recorded)
        }
        (probe, _) => probe,
    }
}

fn compare(i: u64, controller: &Controller, decision: &Decision, out: &Value) {
    let state = controller.state();
    assert_same_option("baseline", i, state.baseline_ms, &out["baseline_rtt"]);
    assert_same_option("load", i, state.load_ms, &out["load_rtt"]);
    assert_eq!(controller.icmp_silent_steps(), out["icmp_unavailable_cycles"], "step {i}");
    for (ours, recorded) in [(state.download, &out["dl"]), (state.upload, &out["ul"])] {
        assert_eq!(ours.green_streak, recorded[0], "step {i}");
        assert_eq!(ours.soft_red_streak, recorded[1], "step {i}");
        assert_eq!(ours.red_streak, recorded[2], "step {i}");
        assert_same("rate", i, ours.rate_bps, &recorded[3]);
    }
    // A cycle that only failed to write to the router has rows, one that froze has none.
    let recorded_rows = !rows(out).is_empty();
    let expected = match (recorded_rows, out["ok"].as_bool()) {
        (true, _) => Outcome::Stepped,
        (false, Some(true)) => Outcome::Frozen,
        (false, _) => Outcome::Lost,
    };
    assert_eq!(decision.outcome, expected, "step {i}");
    if recorded_rows {
        compare_rows(i, decision, out);
    } else {
        assert_eq!(decision.rtt_ms, None, "step {i}");
    }
    for direction in decision.directions() {
        compare_transition(i, direction, out);
    }
}

fn compare_rows(i: u64, decision: &Decision, out: &Value) {
    let expect = |metric: &str, ours: Option<f64>| {
        assert_same_option(metric, i, ours, row(out, metric).unwrap());
    };
    expect("wanctl_rtt_ms", decision.rtt_ms);
    expect("wanctl_rtt_baseline_ms", decision.baseline_ms);
    expect("wanctl_rtt_delta_ms", decision.delta_ms());
    expect("wanctl_rate_download_mbps", Some(decision.download.rate.mbps()));
    expect("wanctl_rate_upload_mbps", Some(decision.upload.rate.mbps()));
    expect("wanctl_state", Some(decision.download.zone.code().into()));
}

fn compare_transition(i: u64, ours: &DirectionDecision, out: &Value) {
    let recorded = transition(out, ours.direction);
    let decided = ours.transition.map(|transition| {
        assert_eq!(transition.to, ours.zone, "step {i}");
        (f64::from(transition.to.code()), transition.reason.to_string())
    });
    assert_eq!(decided, recorded, "step {i}, {}", ours.direction.as_str());
}

fn rows(out: &Value) -> &[Value] {
    out["rows"].as_array().map_or(&[], Vec::as_slice)
}

/// The value of a metric's row that is no transition.
fn row<'a>(out: &'a Value, metric: &str) -> Option<&'a Value> {
    let row =
        rows(out).iter().find(|row| row[2] == metric && labels(row).get("reason").is_none())?;
    Some(&row[3])
}

/// Zone code and reason of a direction's transition row.
fn transition(out: &Value, direction: Direction) -> Option<(f64, String)> {
    rows(out).iter().find_map(|row| {
        let labels = labels(row);
        let reason = labels.get("reason")?.as_str()?;
        (labels["direction"] == direction.as_str())
            .then(|| (row[3].as_f64().unwrap(), reason.to_owned()))
    })
}

fn labels(row: &Value) -> Value {
    row[4].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}
