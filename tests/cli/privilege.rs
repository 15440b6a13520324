//! A process that may not send ICMP.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;

use super::support::{Finished, Place, autorate};

/// Runs the program without the privilege; `None` after a word on why the test ends here.
fn run_without_icmp(place: &Place, config: &Path) -> Option<Finished> {
    let groups = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    if groups.split_whitespace().collect::<Vec<_>>() != ["1", "0"] {
        crate::visible::say("skipped: net.ipv4.ping_group_range lets any process send ICMP");
        return None;
    }
    let program = place.command("run --config {} --duration 200ms --log-format json", config);
    if !geteuid().is_root() {
        return Some(place.start(program).finish());
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"]);
    if !command.arg("true").status().is_ok_and(|status| status.success()) {
        crate::visible::say("skipped: setpriv can't take a capability away");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(place.work());
    Some(place.start(command).finish())
}

#[test]
fn a_link_that_is_down_at_the_start_is_no_error_without_icmp() {
    let place = Place::new();
    // No connection can be made to a broadcast address, wherever the test runs.
    let text = autorate()
        .replace("local: true", "local: false")
        .replace("[127.0.0.1, 9]", "[255.255.255.255, 9]");
    let config = place.write("wan.yaml", &format!("{text}\nsinks: {{}}\n"));
    let Some(run) = run_without_icmp(&place, &config) else { return };
    let run = run.success();
    assert!(run.err.contains("connecting to 255.255.255.255:9 until one answers"), "{}", run.err);
    assert_eq!(run.cycles("autorate loop"), 4);
}

#[test]
fn a_file_that_leaves_icmp_alone_is_refused_without_icmp() {
    for (key, text) in [
        ("enabled", autorate().replace("local: true", "enabled: false")),
        ("check_tcp", autorate().replace("local: true", "check_tcp: false")),
    ] {
        let place = Place::new();
        let config = place.write("wan.yaml", &text);
        let Some(run) = run_without_icmp(&place, &config) else { return };
        let err = run.failure().err;
        let path = format!("wan.yaml: continuous_monitoring.fallback_checks.{key}");
        assert!(err.contains(&path) && err.contains("CAP_NET_RAW"), "{err}");
    }
}
