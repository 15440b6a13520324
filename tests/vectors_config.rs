//! Replays the original's recorded configurations: what is accepted, what it means, what is recorded of it.
//!
//! Where the original accepts and we refuse, every issue has to be a documented rule of ours.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use wanctl::config::{
    AutorateConfig, BaselineSource, FileConfig, RouterConfig, RouterOs, ShaperConfig,
    SteeringConfig, Storage, Transport, Trigger, parse, snapshot_labels,
};
use wanctl::units::Rate;

/// The files of a family, in `WANCTL_VECTORS` or in the tree.
fn family(name: &str) -> Vec<(PathBuf, Value)> {
    let folder = std::env::var_os("WANCTL_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors"),
        PathBuf::from,
    );
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&format!("{name}_")) && file.ends_with(".json")
        })
        .collect();
    files.sort();
    if files.is_empty() {
        crate::visible::say(&format!("skipped: no {name}_*.json in {}", folder.display()));
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (path, value)
    };
    files.into_iter().map(read).collect()
}

/// Sets the value at a dotted path, or removes it for `<deleted>`.
fn change(config: &mut Value, path: &str, new: &Value) {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = config;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        place = place.as_object_mut().unwrap().entry(parent).or_insert_with(|| json!({}));
    }
    let section = place.as_object_mut().unwrap();
    if new == "<deleted>" {
        section.remove(key);
    } else {
        section.insert(key.to_owned(), new.clone());
    }
}

/// Replays a family: `attributes` is what we made of an accepted file, in the original's words.
fn replay(family_name: &str, attributes: fn(&FileConfig) -> Map<String, Value>) {
    let (mut replayed, mut stricter) = (0, 0);
    let mut differences = Vec::new();
    for (path, file) in family(family_name) {
        for step in file["steps"].as_array().unwrap() {
            let mut config = file["config"]["base_yaml"].clone();
            for pair in step["in"]["changes"].as_array().unwrap() {
                change(&mut config, pair[0].as_str().unwrap(), &pair[1]);
            }
            let at = format!("{} step {}: {}", path.display(), step["i"], step["in"]["changes"]);
            // JSON is YAML with everything quoted, so types stay what they are.
            let ours = parse(&config.to_string(), Path::new("vector.yaml"));
            replayed += 1;
            match (step["out"]["valid"].as_bool().unwrap(), ours) {
                (true, Ok(config)) => {
                    let expected = &step["out"]["attrs"];
                    for (name, value) in attributes(&config) {
                        if !same(&value, &expected[&name]) {
                            differences
                                .push(format!("{at}: {name} is {value}, not {}", expected[&name]));
                        }
                    }
                }
                (true, Err(issues)) => {
                    stricter += 1;
                    for issue in issues.iter().filter(|issue| !issue.stricter) {
                        differences.push(format!("{at}: refused: {issue}"));
                    }
                }
                (false, Ok(_)) => differences.push(format!("{at}: accepted")),
                (false, Err(_)) => {}
            }
        }
    }
    eprintln!("{family_name}: {replayed} replayed, {stricter} refused by rules of ours");
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Equal, numbers by value.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_f64(), theirs.as_f64()) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => match (ours, theirs) {
            (Value::Array(ours), Value::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
            }
            (Value::Object(ours), Value::Object(theirs)) => {
                ours.len() == theirs.len()
                    && ours.iter().all(|(key, a)| theirs.get(key).is_some_and(|b| same(a, b)))
            }
            _ => ours == theirs,
        },
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn bps(rate: Rate) -> f64 {
    rate.bps()
}

fn router_attributes(router: &RouterOs) -> Map<String, Value> {
    object(json!({
        "router_host": router.host,
        "router_user": router.user,
        "router_port": router.port,
        "router_verify_ssl": router.verify_ssl,
        "router_transport": match router.transport { Transport::Ssh => "ssh", Transport::Rest => "rest" },
        "timeout_ssh_command": router.timeout.as_secs_f64(),
    }))
}

fn autorate_attributes(file: &FileConfig) -> Map<String, Value> {
    let config: &AutorateConfig = file.autorate.as_ref().unwrap();
    let policy = &config.policy;
    let (download, upload, filter) = (&policy.download, &policy.upload, &policy.filter);
    let ShaperConfig::RouterOsQueues { download: queue_down, upload: queue_up, router } =
        &config.shaper
    else {
        panic!("a file of the original's shape has queues");
    };
    let mut attributes = object(json!({
        "wan_name": config.wan_name,
        "queue_down": queue_down,
        "queue_up": queue_up,
        "baseline_rtt_initial": filter.baseline_initial_ms,
        "baseline_rtt_min": filter.baseline_min_ms,
        "baseline_rtt_max": filter.baseline_max_ms,
        "baseline_update_threshold_ms": filter.baseline_update_threshold_ms,
        "alpha_baseline": filter.alpha_baseline,
        "alpha_load": filter.alpha_load,
        "accel_threshold_ms": policy.accel_threshold_ms,
        "target_bloat_ms": download.zones.target.value(),
        "warn_bloat_ms": download.zones.warn.value(),
        "hard_red_bloat_ms": download.zones.hard_red.unwrap().value(),
        "download_ceiling": bps(download.ceiling),
        "download_step_up": bps(download.step_up),
        "download_factor_down": download.factor_down,
        "download_factor_down_yellow": download.factor_down_yellow,
        "download_green_required": download.green_required,
        "download_floor_green": bps(download.floors.green),
        "download_floor_yellow": bps(download.floors.yellow),
        "download_floor_soft_red": bps(download.floors.soft_red),
        "download_floor_red": bps(download.floors.red),
        "upload_ceiling": bps(upload.ceiling),
        "upload_step_up": bps(upload.step_up),
        "upload_factor_down": upload.factor_down,
        "upload_factor_down_yellow": upload.factor_down_yellow,
        "upload_green_required": upload.green_required,
        "upload_floor_green": bps(upload.floors.green),
        "upload_floor_yellow": bps(upload.floors.yellow),
        "upload_floor_red": bps(upload.floors.red),
        "ping_hosts": config.reflectors,
        "use_median_of_three": config.use_median,
        "timeout_ping": config.ping_timeout.as_secs_f64(),
        "fallback_enabled": policy.fallback.enabled,
        "fallback_check_gateway": config.check_gateway,
        "fallback_check_tcp": config.check_tcp,
        "fallback_gateway_ip": config.gateway,
        "fallback_max_cycles": policy.fallback.max_cycles,
        "fallback_tcp_targets": config.tcp_targets,
        "metrics_enabled": file.sinks.metrics.is_some(),
        "state_file": config.state_file,
    }));
    let mode = match policy.fallback.mode {
        wanctl::autorate::FallbackMode::GracefulDegradation => "graceful_degradation",
        wanctl::autorate::FallbackMode::Freeze => "freeze",
        wanctl::autorate::FallbackMode::UseLastRtt => "use_last_rtt",
    };
    attributes.insert("fallback_mode".into(), mode.into());
    if let Some(metrics) = &file.sinks.metrics {
        attributes.insert("metrics_host".into(), metrics.host.clone().into());
        attributes.insert("metrics_port".into(), metrics.port.into());
    }
    assert_eq!(upload.zones.target, download.zones.target);
    assert_eq!(upload.zones.warn, download.zones.warn);
    assert_eq!(upload.zones.hard_red, None);
    attributes.extend(router_attributes(router));
    attributes
}

fn steering_attributes(file: &FileConfig) -> Map<String, Value> {
    let config: &SteeringConfig = file.steering().unwrap();
    let policy = &config.policy;
    let thresholds = &policy.thresholds;
    let BaselineSource::StateFile(primary_state_file) = &config.baseline else {
        panic!("a file of the original's shape reads a state file");
    };
    let RouterConfig::RouterOs(router) = &config.router else {
        panic!("a file of the original's shape has a router");
    };
    let confidence = policy.confidence.as_ref().map(|confidence| {
        json!({
            "confidence": {
                "steer_threshold": confidence.steer_threshold,
                "recovery_threshold": confidence.recovery_threshold,
                "sustain_duration_sec": confidence.sustain_seconds,
                "recovery_sustain_sec": confidence.recovery_sustain_seconds,
            },
            "timers": { "hold_down_duration_sec": confidence.hold_down_seconds },
            "flap_detection": {
                "enabled": confidence.flap_detection,
                "window_minutes": confidence.flap_window_minutes,
                "max_toggles": confidence.max_toggles,
                "penalty_duration_sec": confidence.penalty_seconds,
                "penalty_threshold_add": confidence.penalty_threshold_add,
            },
            "dry_run": { "enabled": confidence.dry_run },
        })
    });
    let mut attributes = object(json!({
        "primary_wan": policy.primary_wan,
        "alternate_wan": policy.alternate_wan,
        "state_good": policy.state_good(),
        "state_degraded": policy.state_degraded(),
        "cake_aware": policy.cake_aware,
        "use_confidence_scoring": policy.confidence.is_some(),
        "confidence_config": confidence,
        "bad_threshold_ms": thresholds.bad_threshold_ms,
        "recovery_threshold_ms": thresholds.recovery_threshold_ms,
        "bad_samples": thresholds.bad_samples,
        "good_samples": thresholds.good_samples,
        "green_rtt_ms": thresholds.green_rtt_ms,
        "yellow_rtt_ms": thresholds.yellow_rtt_ms,
        "red_rtt_ms": thresholds.red_rtt_ms,
        "min_drops_red": thresholds.min_drops_red,
        "min_queue_yellow": thresholds.min_queue_yellow,
        "min_queue_red": thresholds.min_queue_red,
        "red_samples_required": thresholds.red_samples_required,
        "green_samples_required": thresholds.green_samples_required,
        "rtt_ewma_alpha": thresholds.rtt_ewma_alpha,
        "queue_ewma_alpha": thresholds.queue_ewma_alpha,
        "baseline_rtt_min": thresholds.baseline_min_ms,
        "baseline_rtt_max": thresholds.baseline_max_ms,
        "measurement_interval": config.interval.as_secs_f64(),
        "ping_host": config.reflectors.first(),
        "ping_count": config.pings_per_sample,
        "timeout_ping": config.ping_timeout.as_secs_f64(),
        "mangle_rule_comment": config.mangle_rule,
        "primary_state_file": primary_state_file,
        "primary_download_queue": config.cake_queues.download,
        "primary_upload_queue": config.cake_queues.upload,
        "state_file": config.state_file,
        "metrics_enabled": file.sinks.metrics.is_some(),
    }));
    attributes.extend(router_attributes(router));
    attributes
}

#[test]
fn vectors_config_autorate() {
    replay("config_autorate", autorate_attributes);
}

#[test]
fn vectors_config_steering() {
    replay("config_steering", steering_attributes);
}

#[test]
fn vectors_config_snapshot() {
    for (path, file) in family("config_snapshot") {
        for step in file["steps"].as_array().unwrap() {
            let at = format!("{} step {}", path.display(), step["i"]);
            let trigger = match step["in"]["trigger"].as_str().unwrap() {
                "startup" => Trigger::Startup,
                "reload" => Trigger::Reload,
                "manual" => Trigger::Manual,
                other => panic!("{at}: trigger {other}"),
            };
            let labels = snapshot_labels(trigger, step["in"]["config"].as_object().unwrap());
            match (&step["out"]["error"], labels) {
                (Value::Null, Ok(labels)) => {
                    let text = wanctl::sink::label_text(&labels);
                    assert_eq!(text.as_deref(), step["out"]["row"][4].as_str(), "{at}");
                }
                (Value::Null, Err(error)) => panic!("{at}: {error}"),
                (_, labels) => assert!(labels.is_err(), "{at}: {labels:?}"),
            }
        }
    }
}

#[test]
fn vectors_base_files_keep_history_at_the_default_path() {
    for (_, file) in family("config_autorate") {
        let config = parse(&file["config"]["base_yaml"].to_string(), Path::new("base.yaml"));
        assert_eq!(config.unwrap().sinks.storage, Storage::Default);
    }
}
