//! A password in a configuration is nowhere but in the configuration.

use std::fs;

use super::support::{BOTH, Place};

const PLANTED: &str = "hunter2-planted";

/// A file of the original's shape with both controllers.
const ORIGINAL: &str = r#"
wan_name: loop
router: { host: 127.0.0.1, user: admin, ssh_key: /etc/key, password: hunter2-planted, transport: rest }
queues: { download: WAN-Download-1, upload: WAN-Upload-1 }
continuous_monitoring:
  enabled: true
  baseline_rtt_initial: 24
  download: { floor_mbps: 100, ceiling_mbps: 940, step_up_mbps: 10, factor_down: 0.85 }
  upload: { floor_mbps: 8, ceiling_mbps: 38, step_up_mbps: 1, factor_down: 0.9 }
  thresholds: { target_bloat_ms: 12, warn_bloat_ms: 45, baseline_time_constant_sec: 50, load_time_constant_sec: 0.5 }
  ping_hosts: [127.0.0.1]
  fallback_checks: { local: true, check_gateway: false, tcp_targets: [[127.0.0.1, 9]] }
topology: { primary_wan: loop, primary_wan_config: wan.yaml, alternate_wan: lte }
mangle_rule: { comment: "ADAPTIVE: Steer" }
measurement: { interval_seconds: 0.5, ping_host: 127.0.0.1, ping_count: 1, fallback_to_local: true }
state: { file: steering.json, history_size: 60 }
thresholds: {}
logging: { main_log: m.log, debug_log: d.log }
lock_file: loop.lock
lock_timeout: 300
storage: { db_path: history.db }
"#;

#[test]
fn a_planted_password_is_in_no_file_and_no_output_of_a_run() {
    let place = Place::new();
    let config = place.write("wan.yaml", ORIGINAL);
    let arguments = "run --config {} --duration 1s --dry-run --log-level trace";
    let run = place.run(arguments, &config).success();
    check(&place, &run.out, &run.err);
}

#[test]
fn a_password_from_the_environment_is_in_no_file_and_no_output_of_a_run() {
    let place = Place::new();
    let router = "router: { type: routeros_rest, host: 127.0.0.1, user: admin, password: env:WANCTL_TEST_PASSWORD }\n\
                  mangle_rule: { comment: Steer }\nstorage: { db_path: history.db }\n";
    let config = place.write("wan.yaml", &format!("{BOTH}{router}"));
    let arguments = "run --config {} --duration 1s --dry-run --log-level trace";
    let mut command = place.command(arguments, &config);
    command.env("WANCTL_TEST_PASSWORD", PLANTED);
    let run = place.start(command).finish().success();
    check(&place, &run.out, &run.err);
}

#[test]
fn a_secret_in_the_wrong_place_of_the_sinks_is_not_printed() {
    let place = Place::new();
    for sinks in [
        "[{ type: sqlite, settings: { token: hunter2-planted } }]",
        "{ influx: [{ type: sqlite, settings: { token: hunter2-planted } }] }",
        "{ influx: 'https://u:hunter2-planted@h/db' }",
        "{ influx: { type: sqlite, batch: 'https://u:hunter2-planted@h/db' } }",
    ] {
        let config = place.write("wan.yaml", &format!("{BOTH}sinks: {sinks}\n"));
        for arguments in ["check {}", "check --json {}", "run --config {} --duration 1s"] {
            let refused = place.run(arguments, &config).failure();
            let said = format!("{}{}", refused.out, refused.err);
            assert!(said.contains("found "), "{said}");
            assert!(!said.contains(PLANTED), "{said}");
        }
    }
}

fn check(place: &Place, out: &str, err: &str) {
    assert!(!out.contains(PLANTED), "{out}");
    assert!(!err.contains(PLANTED), "{err}");
    assert!(place.files().contains(&"history.db".to_owned()));
    for name in place.files() {
        let bytes = fs::read(place.work().join(&name)).unwrap();
        let found = bytes.windows(PLANTED.len()).any(|part| part == PLANTED.as_bytes());
        assert!(!found, "{name}");
    }
}
