//! Configuration files as an operator meets them: what is said about mistakes, and what the samples mean.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use wanctl::config::{
    BaselineSource, Config, FileConfig, RouterConfig, Secret, ShaperConfig, Storage, Trigger, parse,
};
use wanctl::sink::{Issue, Registry, label_text};
use wanctl::units::Rate;

fn load(files: &[PathBuf]) -> Result<Config, Vec<Issue>> {
    wanctl::config::load(files, &Registry::linked().unwrap())
}

const PLANTED: &str = "hunter2-planted";

/// A file of the original's shape with both controllers.
const ORIGINAL: &str = r#"
wan_name: cable
router: { host: 192.0.2.1, user: admin, ssh_key: /etc/key, password: hunter2-planted, transport: rest }
queues: { download: WAN-Download-1, upload: WAN-Upload-1 }
continuous_monitoring:
  enabled: true
  baseline_rtt_initial: 24
  download: { floor_mbps: 100, ceiling_mbps: 940, step_up_mbps: 10, factor_down: 0.85 }
  upload: { floor_mbps: 8, ceiling_mbps: 38, step_up_mbps: 1, factor_down: 0.9 }
  thresholds: { target_bloat_ms: 12, warn_bloat_ms: 45, baseline_time_constant_sec: 50, load_time_constant_sec: 0.5 }
  ping_hosts: [1.1.1.1, 8.8.8.8, 9.9.9.9]
topology: { primary_wan: cable, primary_wan_config: /etc/wanctl/cable.yaml, alternate_wan: lte }
mangle_rule: { comment: "ADAPTIVE: Steer" }
measurement: { interval_seconds: 0.5, ping_host: 1.1.1.1, ping_count: 1 }
state: { file: /run/wanctl/steering.json, history_size: 60 }
thresholds: {}
logging: { main_log: /var/log/m.log, debug_log: /var/log/d.log }
lock_file: /run/wanctl/cable.lock
lock_timeout: 300
"#;

/// The shortest file of the new shape with an autorate controller.
const SHORT: &str = "
wan_name: home
continuous_monitoring:
  reflectors: [1.1.1.1]
  download: { ceiling_mbps: 100, floor_mbps: 20 }
  upload: { ceiling_mbps: 20.5, floor_mbps: 4 }
shaper: { type: dry_run }
";

fn read(text: &str) -> Result<FileConfig, Vec<Issue>> {
    parse(text, Path::new("wan.yaml"))
}

fn lines<T: ToString>(items: &[T]) -> String {
    items.iter().map(|item| item.to_string() + "\n").collect()
}

fn issues(text: &str) -> String {
    match read(text) {
        Ok(_) => "no issue\n".to_owned(),
        Err(issues) => lines(&issues),
    }
}

fn check_issues(text: &str, expected: Expect) {
    expected.assert_eq(&issues(text));
}

fn folder(name: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap();
    let write = |(name, text): &(&str, &str)| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let paths = files.iter().map(write).collect();
    (folder, paths)
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

#[test]
fn all_mistakes_of_a_file_are_reported_together() {
    check_issues(
        r#"
wan_name: my wan
continuous_monitoring:
  law: adaptive
  baseline_rtt_initial: fast
  download: { ceiling_mbps: 0, floor_green_mbps: 300, floor_yellow_mbps: 400, step_up_mbps: true }
  upload: { floor_mbps: 30, ceiling_mbps: 20, factor_down: 1.5, green_required: 2.5 }
  thresholds: { target_bloat_ms: 50, warn_bloat_ms: 40, baseline_rtt_bounds: { min: 60, max: 10 } }
  reflectors: []
  fallback_checks: { fallback_mode: panic, gateway_ip: "-c 5" }
shaper: { type: linux_cake, download_interface: eth0, upload_interface: eth0 }
topology:
measurement: { interval_seconds: 0.001, reflectors: [1.1.1.1, 1.1.1.256] }
thresholds: { green_rtt_ms: 20, bad_samples: 0 }
router: { type: routeros_rest, host: 192.0.2.1, user: admin, port: 99999 }
mode: { cake_aware: yes please }
sinks: {}
storage: { retention_days: 0 }
reflector: [1.1.1.1]
"#,
        expect![[r#"
            wan.yaml: storage.retention_days: found 0; accepted: a whole number, 1 to 365 days
            wan.yaml: storage: beside `sinks`; remove `storage`, or remove `sinks` to keep the database alone
            wan.yaml: wan_name: found "my wan"; accepted: 1 to 64 letters, digits, `_`, `.` or `-`
            wan.yaml: continuous_monitoring.law: found "adaptive"; accepted: classic
            wan.yaml: continuous_monitoring.baseline_rtt_initial: found "fast"; accepted: a number, 0.01 to 10000 ms
            wan.yaml: continuous_monitoring.thresholds.target_bloat_ms: found 50; accepted: less than warn_bloat_ms (40)
            wan.yaml: continuous_monitoring.thresholds.baseline_rtt_bounds.min: found 60; accepted: at most max (10)
            wan.yaml: continuous_monitoring.download.ceiling_mbps: found 0; accepted: a number, 0.1 to 100000 Mbit/s
            wan.yaml: continuous_monitoring.download.step_up_mbps: found true; accepted: a number, 0.001 to 10000 Mbit/s
            wan.yaml: continuous_monitoring.download.floor_red_mbps: missing; accepted: a number, 0.001 to 100000 Mbit/s
            wan.yaml: continuous_monitoring.upload.factor_down: found 1.5; accepted: a number, 0.1 to 1
            wan.yaml: continuous_monitoring.upload.green_required: found 2.5; accepted: a whole number, 1 to 10 steps
            wan.yaml: continuous_monitoring.upload.floor_mbps: found 30; accepted: at most ceiling_mbps (20)
            wan.yaml: continuous_monitoring.reflectors: found []; accepted: a list of at least one IP address or host name
            wan.yaml: continuous_monitoring.fallback_checks.gateway_ip: found "-c 5"; accepted: an IP address or a host name
            wan.yaml: continuous_monitoring.fallback_checks.fallback_mode: found "panic"; accepted: graceful_degradation, freeze, use_last_rtt
            wan.yaml: shaper.upload_interface: found "eth0"; accepted: another interface than download_interface
            wan.yaml: topology: found nothing; accepted: a section of keys
            wan.yaml: router.port: found 99999; accepted: a TCP port, 1 to 65535
            wan.yaml: mangle_rule.comment: missing; accepted: 1 to 128 letters, digits, spaces, `_`, `.`, `-` or `:`
            wan.yaml: measurement.interval_seconds: found 0.001; accepted: a number, 0.01 to 60 s
            wan.yaml: measurement.reflectors[1]: found "1.1.1.256"; accepted: an IP address or a host name
            wan.yaml: mode.cake_aware: found "yes please"; accepted: true or false
            wan.yaml: thresholds.green_rtt_ms: found 20; accepted: less than yellow_rtt_ms (15.0)
            wan.yaml: thresholds.bad_samples: found 0; accepted: a whole number, 1 to 1000000 samples
            wan.yaml: reflector: unknown key (accepted: cake_queues, cake_state_sources, confidence, continuous_monitoring, health_check, lock_file, lock_timeout, logging, mangle_rule, measurement, metrics, mode, queues, router, schema_version, shaper, sinks, state, state_file, storage, thresholds, timeouts, topology, wan_name)
        "#]],
    );
}

/// Replaces each value of a document in turn, sections and lists included.
fn each_replaced(
    value: &serde_json::Value,
    path: &str,
    odd: &serde_json::Value,
) -> Vec<(String, serde_json::Value)> {
    let mut all = Vec::new();
    let serde_json::Value::Object(section) = value else { return all };
    for (key, inner) in section {
        let below = format!("{path}.{key}");
        let below = below.trim_start_matches('.');
        let mut replacements = each_replaced(inner, below, odd);
        replacements.push((below.to_owned(), odd.clone()));
        for (changed, inner) in replacements {
            let mut section = section.clone();
            section.insert(key.clone(), inner);
            all.push((changed, section.into()));
        }
    }
    all
}

#[test]
fn an_odd_value_anywhere_is_refused_under_its_own_key() {
    let base = fs::read_dir("tests/data/vectors").unwrap().map(|entry| entry.unwrap().path());
    let base = base.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("config_autorate") || name.starts_with("config_steering")
    });
    let odd =
        serde_json::json!([null, true, -1, 1e300, "\u{1f600} x", [], [[null]], {}, { "x": 1 }]);
    for path in base {
        let vectors: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for odd in odd.as_array().unwrap() {
            for (changed, config) in each_replaced(&vectors["config"]["base_yaml"], "", odd) {
                let Err(issues) = read(&config.to_string()) else { continue };
                assert!(
                    issues.iter().any(|issue| issue.path.starts_with(&changed)),
                    "{changed}: {odd}\n{}",
                    lines(&issues)
                );
            }
        }
    }
}

#[test]
fn a_missing_section_is_reported_key_by_key() {
    check_issues(
        "continuous_monitoring: { reflectors: [1.1.1.1] }",
        expect![[r#"
            wan.yaml: wan_name: missing; accepted: 1 to 64 letters, digits, `_`, `.` or `-`
            wan.yaml: continuous_monitoring.download.ceiling_mbps: missing; accepted: a number, 0.1 to 100000 Mbit/s
            wan.yaml: continuous_monitoring.download.floor_mbps: missing; accepted: a number, 0.001 to 100000 Mbit/s, or a floor for each zone, from floor_green_mbps to floor_red_mbps
            wan.yaml: continuous_monitoring.upload.ceiling_mbps: missing; accepted: a number, 0.1 to 100000 Mbit/s
            wan.yaml: continuous_monitoring.upload.floor_mbps: missing; accepted: a number, 0.001 to 100000 Mbit/s, or a floor for each zone, from floor_green_mbps to floor_red_mbps
            wan.yaml: shaper.type: missing; accepted: dry_run, linux_cake
        "#]],
    );
}

#[test]
fn a_misspelt_key_is_reported_with_the_nearest_known_one() {
    let text = SHORT.replace("floor_mbps: 20", "flor_mbps: 20");
    check_issues(
        &text,
        expect![[r#"
            wan.yaml: continuous_monitoring.download.flor_mbps: unknown key; did you mean `floor_mbps`? (accepted: ceiling_mbps, factor_down, factor_down_yellow, floor_green_mbps, floor_mbps, floor_red_mbps, floor_soft_red_mbps, floor_yellow_mbps, green_required, step_up_mbps)
        "#]],
    );
}

#[test]
fn a_syntax_error_has_line_and_column() {
    check_issues(
        "wan_name: [a\nshaper: {}\n",
        expect![[r#"
        wan.yaml: not valid YAML: did not find expected ',' or ']' at line 2 column 7, while parsing a flow sequence at line 1 column 11
    "#]],
    );
}

#[test]
fn a_key_given_twice_is_an_error() {
    check_issues(
        "router:\n  host: a\n  host: b\n",
        expect![[r#"
        wan.yaml: not valid YAML: router: duplicate entry with key "host" at line 2 column 3
    "#]],
    );
    check_issues(
        "wan_name: a\nwan_name: b\n",
        expect![[r#"
        wan.yaml: not valid YAML: duplicate entry with key "wan_name"
    "#]],
    );
}

#[test]
fn a_file_without_a_controller_says_what_makes_one() {
    check_issues(
        "wan_name: a\n",
        expect![[r#"
            wan.yaml: no controller: neither continuous_monitoring (autorate) nor any of topology, mangle_rule, measurement, state, thresholds, cake_state_sources, cake_queues, mode, confidence (steering)
        "#]],
    );
    check_issues(
        "continous_monitoring: {}",
        expect![[r#"
        wan.yaml: no controller: neither continuous_monitoring (autorate) nor any of topology, mangle_rule, measurement, state, thresholds, cake_state_sources, cake_queues, mode, confidence (steering); did you mean `continuous_monitoring`?
    "#]],
    );
    check_issues(
        "",
        expect![[r#"
        wan.yaml: the file is empty
    "#]],
    );
    check_issues(
        "# wan_name: cable\n",
        expect![[r#"
        wan.yaml: the file is empty
    "#]],
    );
    check_issues(
        "- wan_name\n",
        expect![[r#"
        wan.yaml: not a section of keys, as `wan_name: cable` would be
    "#]],
    );
}

#[test]
fn a_file_that_is_no_text_is_called_so() {
    let (_folder, paths) = folder("binary", &[("a.yaml", "")]);
    fs::write(&paths[0], [0xff, 0xfe, 0x00]).unwrap();
    let said = lines(&load(&paths).unwrap_err());
    assert_eq!(said, format!("{}: not a text file (UTF-8)\n", paths[0].display()));
}

#[test]
fn a_misspelt_section_does_not_have_its_keys_reported_as_missing() {
    check_issues(
        &SHORT.replace("  download:", "  dowload:"),
        expect![[r#"
            wan.yaml: continuous_monitoring.dowload: unknown key; did you mean `download`? (accepted: baseline_rtt_initial, download, enabled, fallback_checks, law, ping_hosts, reflectors, thresholds, upload, use_median_of_three)
        "#]],
    );
}

#[test]
fn the_entries_of_a_list_that_are_not_accepted_are_named() {
    let text = SHORT.replace("[1.1.1.1]", "[1.1.1, 9.9.9.9, -x]");
    let targets = "  fallback_checks: { tcp_targets: [[1.1.1.1, 443], 1.1.1.1] }\nshaper:";
    check_issues(
        &text.replace("shaper:", targets),
        expect![[r#"
            wan.yaml: continuous_monitoring.reflectors[0]: found "1.1.1"; accepted: an IP address or a host name
            wan.yaml: continuous_monitoring.reflectors[2]: found "-x"; accepted: an IP address or a host name
            wan.yaml: continuous_monitoring.fallback_checks.tcp_targets[1]: found "1.1.1.1"; accepted: [host, port]
        "#]],
    );
}

#[test]
fn storage_beside_sinks_says_which_to_remove() {
    let text = format!("{SHORT}sinks: {{}}\nstorage: {{ db_path: /x.db }}\n");
    check_issues(
        &text,
        expect![[r#"
        wan.yaml: storage: beside `sinks`; remove `storage`, or remove `sinks` to keep the database alone
    "#]],
    );
}

#[test]
fn keys_without_effect_are_noted() {
    let notes = lines(&read(ORIGINAL).unwrap().notes);
    expect![[r#"
        wan.yaml: lock_file: accepted for compatibility; no lock is taken
        wan.yaml: lock_timeout: accepted for compatibility, has no effect
        wan.yaml: logging.main_log: accepted for compatibility, has no effect
        wan.yaml: logging.debug_log: accepted for compatibility, has no effect
        wan.yaml: continuous_monitoring.enabled: accepted for compatibility, has no effect
        wan.yaml: router.ssh_key: accepted for compatibility, has no effect
        wan.yaml: topology.primary_wan_config: accepted for compatibility, has no effect
        wan.yaml: measurement.ping_count: has no effect: a measurement is the median of one answer of each reflector
        wan.yaml: state.file: accepted for compatibility, has no effect
        wan.yaml: state.history_size: accepted for compatibility, has no effect
    "#]]
    .assert_eq(&notes);
}

#[test]
fn another_schema_version_is_noted() {
    let config = read(&format!("{SHORT}schema_version: 2\n")).unwrap();
    assert_eq!(lines(&config.notes), "wan.yaml: schema_version: is 2; read as \"1.0\"\n");
}

#[test]
fn a_planted_secret_in_the_settings_of_a_sink_reaches_no_message() {
    let sinks = |settings: &str| {
        format!("{SHORT}\nsinks: {{ s: {{ type: file, settings: {settings} }} }}\n")
    };
    for settings in [
        "{ token: hunter2-planted }",
        "{ path: x, password: [hunter2-planted] }",
        "hunter2-planted",
    ] {
        let (_folder, paths) = folder("secret", &[("a.yaml", &sinks(settings))]);
        let issues = load(&paths).unwrap_err();
        assert!(!lines(&issues).contains(PLANTED), "{}", lines(&issues));
    }
}

#[test]
fn a_planted_password_reaches_no_debug_text_and_no_snapshot() {
    let (_folder, paths) = folder(
        "planted",
        &[
            ("a.yaml", ORIGINAL),
            (
                "b.yaml",
                "{ wan_name: b, continuous_monitoring: { reflectors: [1.1.1.1], download: { ceiling_mbps: 9, floor_mbps: 1 }, \
                 upload: { ceiling_mbps: 9, floor_mbps: 1 } }, shaper: { type: dry_run }, \
                 router: { type: none, password: hunter2-planted }, \
                 sinks: { s: { type: file, settings: { path: /tmp/x.jsonl } } } }",
            ),
        ],
    );
    let config = load(&paths).unwrap();
    assert!(!format!("{config:?}").contains(PLANTED));
    assert!(!format!("{config:#?}").contains(PLANTED));
    assert!(!lines(&config.notes).contains(PLANTED));
    for autorate in &config.autorate {
        let text = label_text(&autorate.snapshot.labels(Trigger::Startup)).unwrap();
        assert!(!text.contains(PLANTED));
    }
    let RouterConfig::RouterOs(router) = &config.steering[0].router else {
        panic!("the original's shape has a router");
    };
    assert_eq!(router.password.reveal().unwrap(), PLANTED);
}

#[test]
fn a_planted_password_reaches_no_issue() {
    for mistake in [
        "router: hunter2-planted",
        "router: [hunter2-planted]",
        "router: { password: [hunter2-planted] }",
        "router: { password: { x: hunter2-planted } }",
        "router: { pasword: hunter2-planted }",
        "router: { password: !hunter2-planted x }",
        "router: { password: *hunter2-planted }",
        "router: { password: \"hunter2-planted }",
        "router: { password: hunter2-planted, password: hunter2-planted }",
        "sinks: hunter2-planted",
        "sinks: [ { token: hunter2-planted } ]",
    ] {
        let text = format!("mode: {{}}\n{mistake}\n");
        let said = issues(&text);
        assert_ne!(said, "no issue\n", "{mistake}");
        assert!(!said.contains(PLANTED), "{mistake}\n{said}");
    }
}

#[test]
fn a_secret_may_be_elsewhere() {
    let (_folder, paths) = folder("secret", &[("password", "from a file\n")]);
    let reveal = |text: &str| Secret::new(text).reveal().map_err(|error| error.to_string());
    assert_eq!(reveal("as it is"), Ok("as it is".to_owned()));
    assert_eq!(reveal(&format!("file:{}", paths[0].display())), Ok("from a file".to_owned()));
    assert_eq!(reveal("env:CARGO_PKG_NAME"), Ok("wanctl".to_owned()));
    assert_eq!(reveal("${CARGO_PKG_NAME}"), Ok("wanctl".to_owned()));
    assert_eq!(reveal("${WANCTL_TEST_UNSET}"), Ok(String::new()));
    assert_eq!(
        reveal("env:WANCTL_TEST_UNSET"),
        Err("environment variable WANCTL_TEST_UNSET is not set here".to_owned())
    );
    assert!(reveal("file:/nonexistent/password").is_err());
    assert_eq!(format!("{0:?} {0}", Secret::new(PLANTED)), "(hidden) (hidden)");
}

#[test]
fn a_secret_that_cannot_be_had_is_found_before_anything_runs() {
    let text = ORIGINAL.replace(PLANTED, "env:WANCTL_TEST_UNSET");
    let (_folder, paths) = folder("unset", &[("wan.yaml", &text)]);
    let issues = load(&paths).unwrap().check_secrets();
    assert_eq!(issues.len(), 2, "autorate's router and steering's: {issues:?}");
    assert_eq!(issues[0].path, "router.password");
}

#[test]
fn every_sample_loads_without_issues_or_notes() {
    let mut samples: Vec<PathBuf> =
        fs::read_dir(sample("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(samples.len() >= 5);
    for path in samples {
        let config =
            load(std::slice::from_ref(&path)).unwrap_or_else(|issues| panic!("{}", lines(&issues)));
        assert_eq!(lines(&config.notes), "", "{}", path.display());
    }
}

#[test]
fn the_quickstart_measures_decides_and_changes_nothing() {
    let config = load(&[sample("quickstart.yaml")]).unwrap();
    let (autorate, steering) = (&config.autorate[0], &config.steering[0]);
    assert_eq!(autorate.cycle.as_millis(), 50);
    assert_eq!(autorate.shaper, ShaperConfig::DryRun);
    assert!(autorate.fallback_to_local && steering.fallback_to_local);
    assert_eq!(autorate.reflectors, ["1.1.1.1", "9.9.9.9", "8.8.8.8"]);
    assert_eq!(steering.reflectors, autorate.reflectors);
    assert_eq!(steering.interval.as_millis(), 500);
    assert_eq!(steering.router, RouterConfig::None);
    assert!(!steering.policy.cake_aware);
    assert_eq!(steering.baseline, BaselineSource::InProcess("internet".to_owned()));
    assert_eq!(config.sinks.len(), 1);
    assert_eq!(
        (config.sinks[0].name.as_str(), config.sinks[0].kind.as_str()),
        ("history", "sqlite")
    );
}

#[test]
fn dual_wan_steering_reads_the_cake_that_autorate_drives() {
    let config = load(&[sample("dual-wan-steering.yaml")]).unwrap();
    let steering = &config.steering[0];
    assert!(steering.policy.cake_aware);
    assert_eq!(steering.baseline, BaselineSource::InProcess("cable".to_owned()));
    assert_eq!(steering.router, RouterConfig::None);
    assert_eq!(config.undriveable(), []);
}

#[test]
fn a_short_file_has_the_documented_defaults() {
    let config = read(SHORT).unwrap();
    let autorate = config.autorate.unwrap();
    let policy = &autorate.policy;
    assert_eq!(policy.download.step_up, Rate::from_mbps(1.0));
    assert_eq!((policy.download.factor_down, policy.upload.factor_down), (0.85, 0.9));
    assert_eq!(policy.filter.baseline_initial_ms, None);
    assert_eq!((policy.filter.alpha_baseline, policy.filter.alpha_load), (0.001, 0.1));
    assert_eq!((policy.filter.baseline_min_ms, policy.filter.baseline_max_ms), (0.01, 1_000.0));
    assert_eq!((autorate.gateway, autorate.state_file), (None, None));
    assert!(autorate.use_median && !autorate.fallback_to_local);
    assert_eq!(config.sinks.storage, Storage::Default);
    assert_eq!(
        label_text(&autorate.snapshot.labels(Trigger::Startup)).unwrap(),
        r#"{"trigger": "startup", "autorate": {"baseline_rtt_initial": null, "download_ceiling_mbps": 100, "upload_ceiling_mbps": 20.5, "target_bloat_ms": 15, "warn_bloat_ms": 45}, "steering": null}"#
    );
}

#[test]
fn the_original_storage_section_switches_history_off_or_places_it() {
    let storage = |section: &str| {
        read(&format!("{SHORT}storage: {section}\n")).map(|config| config.sinks.storage)
    };
    assert_eq!(storage(""), Ok(Storage::Off));
    assert_eq!(storage("{ db_path: '' }"), Ok(Storage::Off));
    assert_eq!(storage("{ db_path: null }"), Ok(Storage::Off));
    let place = |path: &str, retention_days| Storage::Path { path: path.into(), retention_days };
    assert_eq!(storage("{ retention_days: 30 }"), Ok(place("/var/lib/wanctl/metrics.db", 30)));
    assert_eq!(storage("{ db_path: /x.db }"), Ok(place("/x.db", 7)));
}

#[test]
fn the_sinks_section_is_handed_on_as_it_stands() {
    let config = read(&format!("{SHORT}sinks: {{ history: {{ type: sqlite }} }}\n")).unwrap();
    let sinks: serde_json::Value = config.sinks.sinks.unwrap().read().unwrap();
    assert_eq!(sinks, serde_json::json!({ "history": { "type": "sqlite" } }));
}

#[test]
fn a_file_of_the_original_shape_is_recorded_as_written() {
    let config = read(ORIGINAL).unwrap();
    let snapshot = config.autorate.unwrap().snapshot.labels(Trigger::Reload);
    assert_eq!(
        label_text(&snapshot).unwrap(),
        r#"{"trigger": "reload", "autorate": {"baseline_rtt_initial": 24, "download_ceiling_mbps": 940, "upload_ceiling_mbps": 38, "target_bloat_ms": 12, "warn_bloat_ms": 45}, "steering": {"bad_threshold_ms": null, "recovery_threshold_ms": null, "green_rtt_ms": null, "red_rtt_ms": null, "primary_wan": "cable", "alternate_wan": "lte"}}"#
    );
}

#[test]
fn two_controllers_for_one_wan_are_refused_with_both_files() {
    let (folder, paths) = folder("twice", &[("a.yaml", ORIGINAL), ("b.yaml", ORIGINAL)]);
    let said = lines(&load(&paths).unwrap_err());
    let said = said.replace(&folder.path().display().to_string(), "DIR");
    expect![[r#"
        DIR/b.yaml: wan_name: "cable" is also the WAN of DIR/a.yaml; give one of them another name
        DIR/b.yaml: topology.primary_wan: "cable" is also the primary WAN of DIR/a.yaml; only one file can steer it
    "#]].assert_eq(&said);
}

#[test]
fn mistakes_of_all_files_are_reported_together() {
    let (_folder, mut paths) = folder("all", &[("a.yaml", "mode: {}"), ("b.yaml", "x: [")]);
    paths.push(PathBuf::from("/nonexistent/c.yaml"));
    let issues = load(&paths).unwrap_err();
    for path in &paths {
        assert!(issues.iter().any(|issue| issue.file.as_ref() == Some(path)), "{issues:?}");
    }
}

#[test]
fn steering_reads_a_state_file_when_it_is_named() {
    let text = format!("{ORIGINAL}cake_state_sources: {{ primary: /run/x.json }}\n");
    let (_folder, paths) = folder("named", &[("wan.yaml", &text)]);
    let config = load(&paths).unwrap();
    assert_eq!(config.steering[0].baseline, BaselineSource::StateFile("/run/x.json".into()));
}
