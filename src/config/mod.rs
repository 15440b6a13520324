//! Configuration files: YAML in, what the daemon runs with out, every mistake at once.
//!
//! [`parse`] is pure: text becomes a [`FileConfig`]. [`load`] reads files and puts them together. No
//! router is asked, no host name looked up, no directory created and no secret read here. The content of
//! `sinks` belongs to the sinks.
//!
//! A file with `continuous_monitoring` has an autorate controller; a file with `topology`, `mangle_rule`,
//! `measurement`, `state`, `thresholds`, `cake_state_sources`, `cake_queues`, `mode` or `confidence` has a
//! steering controller. One file may have both.
//!
//! # Two shapes of file
//!
//! Files of the original's shape work as they did: the same keys are needed, with the same ranges and
//! defaults. A file with any new key (`continuous_monitoring.law`, `shaper`, `router.type`,
//! `continuous_monitoring.reflectors`, `measurement.reflectors`, `sinks`) is of the new shape, and needs none
//! of `router.host`, `router.user`, `router.ssh_key`, `queues`, `lock_file`, `lock_timeout`, `logging`, `state`,
//! `mangle_rule` (but for a router that is switched), `topology.primary_wan_config` and
//! `continuous_monitoring.enabled`.
//!
//! | key | original shape | new shape |
//! |---|---|---|
//! | `shaper.type` | – (`queues` of the router) | `dry_run` or `linux_cake`; needed, unless there are `queues` |
//! | `router.type` | – (RouterOS) | `none` or `routeros_rest`; `none` without `router` |
//! | `router.verify_ssl` | false | true |
//! | `continuous_monitoring.law` | – | `classic`, the default |
//! | `continuous_monitoring.reflectors` | – | needed; `ping_hosts` is the same |
//! | `measurement.reflectors` | – | measured after `ping_host`; one of the two is needed |
//! | `….baseline_rtt_initial` | needed, 1 to 500 ms | the first sample, or 0.01 to 10000 ms |
//! | `….ceiling_mbps` | download 1 to 10000, upload 1 to 1000 | 0.1 to 100000 |
//! | `….step_up_mbps` | needed, 0.1 to 100 | a hundredth of the ceiling; 0.001 to 10000 |
//! | `….factor_down` | needed | download 0.85, upload 0.9 |
//! | `….target_bloat_ms`, `warn_bloat_ms` | needed | 15, 45 |
//! | `….baseline_time_constant_sec`, `load_time_constant_sec` | these or an alpha | 50, 0.5 |
//! | both `baseline_rtt_bounds` | 10 to 60 ms; autorate takes min 1 to 100, max 10 to 500 | 0.01 to 1000 ms, any of 0 to 10000 |
//! | `….use_median_of_three` | false | true |
//! | `….fallback_checks.gateway_ip` | 10.10.110.1 | the machine's default gateway |
//! | `state_file` | beside `lock_file` | nowhere, unless named |
//! | `measurement.interval_seconds`, `ping_count` | needed | 0.5 s, 1 |
//! | `mode.cake_aware` | true | true where there is a CAKE to read |
//! | steering's baseline | `/var/lib/wanctl/{primary_wan}_state.json` | its own |
//!
//! Whatever the shape, steering takes its baseline from the autorate controller of `topology.primary_wan` if
//! that runs in the same process and `cake_state_sources` names no file. Two more keys belong to both shapes:
//! `continuous_monitoring.fallback_checks.local` and `measurement.fallback_to_local` (default false) measure the default gateway, then this
//! machine, when no public reflector answers.
//!
//! # Several files
//!
//! The files of one command line run in one process. A sink that several of them name with the same settings and
//! options is shared; two that want one destination and differ are refused. `cake_aware` reads the CAKE that an
//! autorate controller of any of the files drives for `topology.primary_wan`.
//!
//! # Answers over HTTP
//!
//! A file with a `health_check` section that does not say `enabled: false` has the program listen at its `host`
//! (default 127.0.0.1) and `port` (default 9101): `/health` is what `wanctl status --json` prints, `/metrics/history`
//! the history. Files that name the same address share it. A change takes effect at the next start.
//!
//! # Steering without a CAKE
//!
//! With `cake_aware: false` steering goes by RTT alone, against `bad_threshold_ms` and `recovery_threshold_ms`.
//! There is nothing to tell congestion by then: steering's `wanctl_state` stays GREEN, and only
//! `wanctl_steering_enabled` shows where traffic goes. Confidence scoring gets at most 25 points out of RTT, less
//! than the default `steer_threshold`; a note says so.
//!
//! # Where we refuse more than the original
//!
//! Such an issue has [`stricter`](wanctl_sink::Issue::stricter) set.
//!
//! * A key that nobody reads, and a value of the wrong type under a key that the original did not check.
//! * `true` or `false` for a number, and a number that is not finite.
//! * An empty value (`key:`), but for `storage` and `storage.db_path`, where it means no history.
//! * A list of hosts that is empty or has an entry that is no address or host name. A name whose last label is digits, one that
//!   ends in a dot and an address with a zone are none.
//! * A word for `router.transport` or `fallback_mode` that is none of the known ones.
//! * Two controllers of one kind for one WAN; `sinks` beside `storage`; two sinks that want one destination and
//!   differ.
//! * `cake_aware: true` in a file of the new shape, when no file has a CAKE to read.
//! * A floor that is not positive; a minimum above its maximum.
//! * A negative time, queue or limit; a count of samples, drops or changes below 1; a time-out of 0; a port outside 1 to 65535.
//! * `retention_days` outside 1 to 365.
//! * Steering limits that are not `green < yellow <= red`, unless `cake_aware` is false; the original stopped when
//!   it started.
//! * Confidence scores out of range also while scoring is off.
//! * An empty name of the primary WAN, and an empty path or listening address.

mod accept;
mod autorate;
mod combine;
mod destinations;
mod household;
mod router;
mod section;
mod shape;
mod shaper;
mod sinks;
mod snapshot;
mod steering;
mod written;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Map;
use serde_yaml::{Mapping, Value};
use wanctl_sink::{Issue, Registry, Resource, SinkSpec, nearest};

pub use autorate::AutorateConfig;
pub use combine::combine;
pub use destinations::{
    DEFAULT_DATABASE, DEFAULT_RETENTION_DAYS, Listen, SinkSource, SinksSection, Storage,
};
pub use router::{RouterConfig, RouterOs, Transport};
pub use shaper::ShaperConfig;
pub use snapshot::{Snapshot, SnapshotError, Trigger, snapshot_labels};
pub use steering::{BaselineSource, CakeQueues, SteeringConfig};
pub use wanctl_sink::{Secret, SecretError};
pub use written::Written;

use accept::show;
use combine::Outline;
use section::{Reader, Section};
use shape::Shape;
use steering::SteeringFile;

/// Everything the daemon runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The autorate controllers, in the order of the files. No two have one WAN.
    pub autorate: Vec<AutorateConfig>,
    /// The steering controllers, in the order of the files. No two watch one WAN.
    pub steering: Vec<SteeringConfig>,
    /// Where rows go. A sink that several files name alike is there once; disabled ones are not there.
    pub sinks: Vec<SinkSpec>,
    /// Where status and history are answered over HTTP. An address that several files name is there once.
    pub health_check: Vec<Listen>,
    /// What is no mistake, but worth knowing.
    pub notes: Vec<Note>,
    /// Which keys the files have.
    pub written: Written,
}

impl Config {
    /// Looks up every secret and reports those that cannot be had, without keeping any.
    ///
    /// Reads the environment and files; a program calls it once before it starts anything.
    pub fn check_secrets(&self) -> Vec<Issue> {
        let of_shapers = self.autorate.iter().filter_map(|autorate| match &autorate.shaper {
            ShaperConfig::RouterOsQueues { router, .. } => Some((&autorate.file, router)),
            _ => None,
        });
        let of_steering = self.steering.iter().filter_map(|steering| match &steering.router {
            RouterConfig::RouterOs(router) => Some((&steering.file, router)),
            RouterConfig::None => None,
        });
        of_shapers
            .chain(of_steering)
            .filter_map(|(file, router)| {
                let error = router.password.reveal().err()?;
                Some(Issue::new("router.password", error.to_string()).in_file(file))
            })
            .collect()
    }

    /// What this version reads but can't drive: RouterOS queues and rules. Such a configuration can be
    /// checked, and run while nothing is to be driven.
    pub fn undriveable(&self) -> Vec<Issue> {
        let queues = self.autorate.iter().filter_map(|one| {
            let ShaperConfig::RouterOsQueues { .. } = one.shaper else { return None };
            let message = "RouterOS queues can't be driven by this version; accepted: shaper.type dry_run or linux_cake, or run with --dry-run";
            Some(Issue::new("queues", message).in_file(&one.file))
        });
        let rules = self.steering.iter().filter_map(|one| {
            let RouterConfig::RouterOs(_) = one.router else { return None };
            let message = "a RouterOS router can't be driven by this version; accepted: router.type none, or run with --dry-run";
            Some(Issue::new("router", message).in_file(&one.file))
        });
        queues.chain(rules).collect()
    }
}

/// The history file among these sinks and the name of its sink: that of the first sqlite sink.
pub fn history_file(sinks: &[SinkSpec]) -> Option<(&str, PathBuf)> {
    let sqlite = sinks.iter().find(|sink| sink.enabled && sink.kind == "sqlite")?;
    let file = sqlite.config.claims().into_iter().find_map(|claim| match claim {
        Resource::File(path) => Some(path),
        _ => None,
    })?;
    Some((&sqlite.name, file))
}

/// Something about a file that is no mistake: a key without effect, another schema version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// The key path, dots between.
    pub path: String,
    /// What there is to know, without a full stop.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file.display(), self.path, self.message)
    }
}

/// One file, on its own.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// The autorate controller, if the file has one.
    pub autorate: Option<AutorateConfig>,
    steering: Option<SteeringFile>,
    /// Where rows go.
    pub sinks: SinkSource,
    /// Where the program answers over HTTP, if the file says so.
    pub health_check: Option<Listen>,
    /// What is no mistake, but worth knowing.
    pub notes: Vec<Note>,
    written: Written,
}

impl FileConfig {
    /// The steering controller, if the file has one. Its baseline and `cake_aware` do not know the
    /// autorate controllers yet, those of other files and that of this one.
    pub fn steering(&self) -> Option<&SteeringConfig> {
        self.steering.as_ref().map(|steering| &steering.config)
    }
}

/// Reads configuration files and puts them together. `registry` has the kinds that `sinks` may name.
///
/// # Errors
///
/// Everything that is wrong with any of the files, those that cannot be read included, and what does not fit
/// together, as [`combine()`] says.
pub fn load(files: &[PathBuf], registry: &Registry) -> Result<Config, Vec<Issue>> {
    let mut configs = Vec::new();
    let mut outlines = Vec::new();
    let mut issues = Vec::new();
    for file in files {
        match read_text(file).and_then(|text| document(&text)) {
            Ok(map) => match read_document(&map, file) {
                Ok(config) => {
                    outlines.push(Outline::of_config(&config));
                    configs.push(config);
                }
                Err(found) => {
                    outlines.push(Outline::of_document(&map, file));
                    issues.extend(found);
                }
            },
            Err(issue) => issues.push(issue.in_file(file)),
        }
    }
    if issues.is_empty() {
        return combine(configs, registry);
    }
    // What the files must not have twice. A CAKE may be in a file that has mistakes, so none is missed.
    let sources: Vec<SinkSource> = outlines.iter().map(|outline| outline.sinks.clone()).collect();
    let of_sinks = sinks::resolve(&sources, registry, &mut Vec::new()).err().unwrap_or_default();
    for issue in combine::clashes(&outlines).into_iter().chain(of_sinks) {
        // What is wrong with the shape of `sinks` was found by reading the file as well.
        if !issues.contains(&issue) {
            issues.push(issue);
        }
    }
    Err(issues)
}

fn read_text(file: &Path) -> Result<String, Issue> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = match error.kind() {
            ErrorKind::InvalidData => "not a text file (UTF-8)".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Issue::new("", message)
    })
}

/// Reads the text of one configuration file. `file` is named in issues and not opened.
///
/// # Errors
///
/// Everything that is wrong with the text: its YAML syntax with line and column, or else every key that is
/// missing, unknown or not accepted.
///
/// ```
/// let issues = wanctl::config::parse("wan_nam: cable", "wan.yaml".as_ref()).unwrap_err();
/// assert!(issues[0].to_string().starts_with("wan.yaml: no controller"));
/// ```
pub fn parse(text: &str, file: &Path) -> Result<FileConfig, Vec<Issue>> {
    let map = document(text).map_err(|issue| vec![issue.in_file(file)])?;
    read_document(&map, file)
}

fn read_document(map: &Mapping, file: &Path) -> Result<FileConfig, Vec<Issue>> {
    if let Some(issue) = no_controller(map) {
        // Which keys are known depends on the controllers, so there is no more to say.
        return Err(vec![issue.in_file(file)]);
    }
    let reader = Reader::default();
    let config = resolve(&reader.root(map), map, file);
    let (mut issues, notes) = reader.finish(map, file);
    match config {
        Some(config) if issues.is_empty() => Ok(FileConfig { notes, ..config }),
        _ => {
            if issues.is_empty() {
                issues.push(Issue::new("", "is not a complete configuration").in_file(file));
            }
            Err(issues)
        }
    }
}

/// The sections that only steering has.
const STEERING_SECTIONS: [&str; 9] = [
    "topology",
    "mangle_rule",
    "measurement",
    "state",
    "thresholds",
    "cake_state_sources",
    "cake_queues",
    "mode",
    "confidence",
];

fn document(text: &str) -> Result<Mapping, Issue> {
    let syntax = |error: serde_yaml::Error| Issue::new("", format!("not valid YAML: {error}"));
    let mut value: Value = serde_yaml::from_str(text).map_err(syntax)?;
    value.apply_merge().map_err(syntax)?;
    match value {
        Value::Mapping(map) => Ok(map),
        Value::Null => Err(Issue::new("", "the file is empty")),
        _ => Err(Issue::new("", "not a section of keys, as `wan_name: cable` would be")),
    }
}

fn no_controller(map: &Mapping) -> Option<Issue> {
    let mut sections = vec!["continuous_monitoring"];
    sections.extend(STEERING_SECTIONS);
    if sections.iter().any(|section| map.contains_key(*section)) {
        return None;
    }
    let mut message = format!(
        "no controller: neither continuous_monitoring (autorate) nor any of {} (steering)",
        STEERING_SECTIONS.join(", ")
    );
    let meant = |key: &Value| nearest(key.as_str()?, &["continuous_monitoring", "topology"]);
    if let Some(near) = map.keys().find_map(meant) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    Some(Issue::new("", message))
}

fn resolve(root: &Section<'_>, map: &Mapping, file: &Path) -> Option<FileConfig> {
    let shape = Shape::of(map);
    let has_autorate = root.has("continuous_monitoring");
    // Every section is asked for, so that all are known to the check for unknown keys.
    let has_steering = STEERING_SECTIONS.iter().filter(|key| root.has(key)).count() > 0;
    if let Some(version) = root.raw("schema_version").filter(|version| **version != "1.0") {
        root.note("schema_version", format!("is {}; read as \"1.0\"", show(version)));
    }
    let sinks = destinations::read(root, file);
    let health_check = household::health_check(root);
    let autorate = has_autorate.then(|| autorate::read(root, shape, file));
    let steering = has_steering.then(|| steering::read(root, shape, file));
    if has_autorate && !has_steering && shape == Shape::New {
        router::read_unused(root, shape);
    }
    let autorate = match autorate {
        Some(autorate) => Some(autorate?),
        None => None,
    };
    let steering = match steering {
        Some(steering) => Some(steering?),
        None => None,
    };
    let written = Written::of(map, file);
    let notes = Vec::new();
    let mut config = FileConfig { autorate, steering, sinks, health_check, notes, written };
    let snapshot = snapshot(map, shape, &config).ok()?;
    if let Some(autorate) = &mut config.autorate {
        autorate.snapshot = snapshot.clone();
    }
    if let Some(steering) = &mut config.steering {
        steering.config.snapshot = snapshot;
    }
    Some(config)
}

/// The file's operational parameters: as written, and in a file of the new shape with its defaults.
fn snapshot(map: &Mapping, shape: Shape, config: &FileConfig) -> Result<Snapshot, SnapshotError> {
    let mut raw = Map::new();
    for section in ["continuous_monitoring", "thresholds", "topology"] {
        if let Some(value) = map.get(section) {
            let value = serde_json::to_value(value);
            raw.insert(section.to_owned(), value.map_err(|_| SnapshotError(section.to_owned()))?);
        }
    }
    if shape == Shape::New {
        if let Some(autorate) = &config.autorate {
            let zones = &autorate.policy.download.zones;
            for (key, limit) in [("target_bloat_ms", zones.target), ("warn_bloat_ms", zones.warn)] {
                snapshot::fill(&mut raw, &["continuous_monitoring", "thresholds", key], limit);
            }
        }
        if let Some(steering) = config.steering() {
            let limits = &steering.policy.thresholds;
            for (key, limit) in [
                ("bad_threshold_ms", limits.bad_threshold_ms),
                ("recovery_threshold_ms", limits.recovery_threshold_ms),
                ("green_rtt_ms", limits.green_rtt_ms),
                ("red_rtt_ms", limits.red_rtt_ms),
            ] {
                snapshot::fill(&mut raw, &["thresholds", key], limit.into());
            }
        }
    }
    Snapshot::of(&raw)
}

/// Seconds that were checked to be in a range, as a duration.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
