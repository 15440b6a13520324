//! `topology`, `measurement`, `thresholds`, `mode`, `confidence`: what one steering controller runs with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::accept::{Filled, Num};
use super::accept::{Flag, Host, Hosts, IDENTIFIER, RULE_COMMENT, Text, Weight, number, whole};
use super::household::{self, PATH, int};
use super::router::{self, RouterConfig};
use super::section::Section;
use super::snapshot::Snapshot;
use super::{Shape, seconds};
use crate::steering::{Confidence, Policy, Thresholds};
use crate::units::Number;

/// One steering controller, as configured.
#[derive(Clone, Debug)]
pub struct SteeringConfig {
    /// The file it comes from.
    pub file: PathBuf,
    /// What the controller itself is configured with.
    pub policy: Policy,
    /// How often a step is made. Default 500 ms.
    pub interval: Duration,
    /// The hosts to measure, in order of preference; at least one. `ping_host` comes first.
    pub reflectors: Vec<String>,
    /// What the file says of answers per measurement; a measurement is one answer of each reflector.
    pub pings_per_sample: u32,
    /// How long an answer may take. Default 2 s.
    pub ping_timeout: Duration,
    /// When no public reflector answers, measure the default gateway, then this machine. Default false.
    pub fallback_to_local: bool,
    /// Where the baseline comes from.
    pub baseline: BaselineSource,
    /// What is switched.
    pub router: RouterConfig,
    /// The comment of the firewall rule that moves traffic; there is one whenever there is a router.
    pub mangle_rule: Option<String>,
    /// The router's queues of the primary WAN, read when `policy.cake_aware`.
    pub cake_queues: CakeQueues,
    /// Where the state is kept over a restart; `None` keeps it nowhere.
    pub state_file: Option<PathBuf>,
    /// The parameters that are recorded, of the whole file.
    pub snapshot: Snapshot,
}

/// Where steering takes the primary WAN's baseline from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaselineSource {
    /// The autorate controller of this WAN, in the same process.
    InProcess(String),
    /// The state file of an autorate controller in another process.
    StateFile(PathBuf),
    /// Steering's own measurements.
    Own,
}

/// Names of the primary WAN's queues on the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CakeQueues {
    /// Default `WAN-Download-` and the WAN's name, capitalised.
    pub download: String,
    /// Default `WAN-Upload-` and the WAN's name, capitalised. Not read, as in the original.
    pub upload: String,
}

/// A steering controller and what the other files may still change about it.
#[derive(Clone, Debug)]
pub(super) struct SteeringFile {
    pub(super) config: SteeringConfig,
    /// The baseline's source is a default, so an autorate controller of the same process is preferred.
    pub(super) baseline_is_default: bool,
    /// Whether `cake_aware` depends on the autorate controllers.
    pub(super) cake: CakeUse,
}

/// What the files' autorate controllers have to do with `cake_aware`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CakeUse {
    /// Nothing: it stays as it is.
    Settled,
    /// It is on if one of them drives a CAKE of this machine for the primary WAN.
    IfThere,
    /// It is on, so one of them must.
    Needed,
}

/// Reads the controller of a file that has any of its sections; `None` after reporting why not.
///
/// The snapshot concerns the whole file, so the caller fills it in.
pub(super) fn read(root: &Section<'_>, shape: Shape, file: &Path) -> Option<SteeringFile> {
    shape.needed(root, "wan_name", &IDENTIFIER);
    household::read(root, shape);
    let topology = root.section("topology");
    let primary_wan = match shape {
        // In the original only the names of states and queues depend on it.
        Shape::Original => topology.need("primary_wan", &Filled("the name of a WAN")),
        Shape::New => topology.need("primary_wan", &IDENTIFIER),
    };
    shape.no_effect(&topology, "primary_wan_config", &Text);
    let alternate_wan = topology.need("alternate_wan", &Text);
    let router = router::read(root, shape, 30.0);
    let rule = root.section("mangle_rule");
    let mangle_rule = match router {
        Some(RouterConfig::RouterOs(_)) => rule.need("comment", &RULE_COMMENT),
        _ => shape.needed(&rule, "comment", &RULE_COMMENT),
    };
    let measurement = root.section("measurement");
    let interval = shape.needed_or(
        &measurement,
        "interval_seconds",
        &number(0.01, 60.0, "s"),
        Number::Float(0.5),
    );
    let reflectors = reflectors(&measurement);
    let pings = shape.needed_or(&measurement, "ping_count", &whole(1, 20, "pings"), 1);
    if measurement.has("ping_count") {
        let message = "has no effect: a measurement is the median of one answer of each reflector";
        measurement.note("ping_count", message);
    }
    let fallback_to_local = measurement.ours().get_or("fallback_to_local", &Flag, false);
    let state = root.section("state");
    let state_file = shape.needed(&state, "file", &PATH);
    state.note_no_effect("file");
    shape.no_effect(&state, "history_size", &whole(1, 3_000, "samples"));
    let mode = root.section("mode").ours();
    let asked = mode.get("cake_aware", &Flag);
    let reads_router = shape.is_original() || matches!(router, Some(RouterConfig::RouterOs(_)));
    let cake = match asked {
        Some(true) if !reads_router => CakeUse::Needed,
        None if !reads_router => CakeUse::IfThere,
        _ => CakeUse::Settled,
    };
    mode.no_effect("enable_yellow_state", &Flag);
    mode.no_effect("reset_counters", &Flag);
    let scoring = mode.get_or("use_confidence_scoring", &Flag, false);
    let thresholds_section = if shape.is_original() {
        root.need_section("thresholds")
    } else {
        root.section("thresholds")
    };
    // Whether there is a CAKE is known later; the order of the limits must not depend on it.
    let thresholds = thresholds(&thresholds_section, shape, asked != Some(false));
    let confidence = confidence(root, scoring);
    let cake_queues = cake_queues(&root.section("cake_queues"), primary_wan.as_deref(), shape);
    let sources = root.section("cake_state_sources").ours();
    let named = household::alias(&sources, "primary", "spectrum", &PATH);
    let timeouts = root.section("timeouts").ours();
    let ping_timeout = timeouts.get_or("ping", &number(0.01, 60.0, "s"), int(2)).value();
    timeouts.no_effect("ping_total", &number(0.01, 3_600.0, "s"));

    let primary_wan = primary_wan?;
    let baseline = match (&named, shape) {
        (Some(path), _) => BaselineSource::StateFile(path.into()),
        (None, Shape::Original) => BaselineSource::StateFile(
            Path::new("/var/lib/wanctl").join(format!("{primary_wan}_state.json")),
        ),
        (None, Shape::New) => BaselineSource::Own,
    };
    let config = SteeringConfig {
        file: file.to_owned(),
        policy: Policy {
            alternate_wan: alternate_wan?,
            cake_aware: asked.unwrap_or(reads_router),
            thresholds,
            confidence: scoring.then_some(confidence),
            primary_wan,
        },
        interval: seconds(interval?.value()),
        reflectors: reflectors?,
        pings_per_sample: u32::try_from(pings?).unwrap_or(1),
        ping_timeout: seconds(ping_timeout),
        fallback_to_local,
        baseline,
        router: router?,
        mangle_rule,
        cake_queues: cake_queues?,
        state_file: state_file.map(PathBuf::from),
        snapshot: Snapshot::default(),
    };
    Some(SteeringFile { config, baseline_is_default: named.is_none(), cake })
}

/// `ping_host` first, then `reflectors`; one of them is needed.
fn reflectors(measurement: &Section<'_>) -> Option<Vec<String>> {
    if !measurement.has("reflectors") {
        return measurement.need("ping_host", &Host).map(|host| vec![host]);
    }
    let listed = measurement.need("reflectors", &Hosts);
    let mut hosts: Vec<String> = measurement.get("ping_host", &Host).into_iter().collect();
    for host in listed? {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Some(hosts)
}

fn cake_queues(
    section: &Section<'_>,
    primary_wan: Option<&str>,
    shape: Shape,
) -> Option<CakeQueues> {
    let capitalised = primary_wan.map(capitalise).unwrap_or_default();
    let queue = |key, old_key, start: &str| {
        if let Some(name) = household::alias(section, key, old_key, &IDENTIFIER) {
            return Some(name);
        }
        let default = format!("{start}{capitalised}");
        // The name made of the WAN's is held to the same rule, as the original did.
        let valid = serde_yaml::Value::from(default.as_str());
        if shape.is_original()
            && primary_wan.is_some()
            && super::accept::Accept::read(&IDENTIFIER, &valid).is_err()
        {
            let message =
                format!("missing, and {default:?}, made of topology.primary_wan, is no queue name");
            section.refuse(key, message, false);
        }
        Some(default)
    };
    let download = queue("primary_download", "spectrum_download", "WAN-Download-");
    let upload = queue("primary_upload", "spectrum_upload", "WAN-Upload-");
    Some(CakeQueues { download: download?, upload: upload? })
}

/// The first letter large, the others small.
fn capitalise(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters.flat_map(char::to_lowercase)).collect()
}

/// RTT limits and counts, which the original did not check when it read them.
fn thresholds(checked: &Section<'_>, shape: Shape, cake_aware: bool) -> Thresholds {
    let section = checked.ours();
    let ms = |key, default: f64| section.get_or(key, &number(0.0, 10_000.0, "ms"), default.into());
    let samples = |key, default| section.get_or(key, &whole(1, 1_000_000, "samples"), default);
    let packets =
        |key, min, default| section.get_or(key, &whole(min, 1_000_000_000, "packets"), default);
    let green = ms("green_rtt_ms", 5.0);
    let yellow = ms("yellow_rtt_ms", 15.0);
    let red = ms("red_rtt_ms", 15.0);
    if cake_aware && green.value() >= yellow.value() {
        let message = format!("found {green}; accepted: less than yellow_rtt_ms ({yellow})");
        section.refuse("green_rtt_ms", message, true);
    }
    if cake_aware && red.value() < yellow.value() {
        let message = format!("found {red}; accepted: at least yellow_rtt_ms ({yellow})");
        section.refuse("red_rtt_ms", message, true);
    }
    let bounds = section.section("baseline_rtt_bounds");
    let (baseline_min_ms, baseline_max_ms) = household::unchecked_baseline_bounds(&bounds, shape);
    Thresholds {
        bad_threshold_ms: ms("bad_threshold_ms", 25.0).value(),
        recovery_threshold_ms: ms("recovery_threshold_ms", 12.0).value(),
        bad_samples: samples("bad_samples", 8),
        good_samples: samples("good_samples", 15),
        green_rtt_ms: green.value(),
        yellow_rtt_ms: yellow.value(),
        red_rtt_ms: red.value(),
        min_drops_red: packets("min_drops_red", 1, 1),
        min_queue_yellow: packets("min_queue_yellow", 0, 10),
        min_queue_red: packets("min_queue_red", 0, 50),
        red_samples_required: samples("red_samples_required", 2),
        green_samples_required: samples("green_samples_required", 15),
        rtt_ewma_alpha: checked.get_or("rtt_ewma_alpha", &Weight, 0.3.into()).value(),
        queue_ewma_alpha: checked.get_or("queue_ewma_alpha", &Weight, 0.4.into()).value(),
        baseline_min_ms,
        baseline_max_ms,
    }
}

/// Scoring. The original checked the two scores, and those only when scoring was on.
fn confidence(root: &Section<'_>, scoring: bool) -> Confidence {
    let scores = &if scoring { root.clone() } else { root.ours() }.section("confidence");
    let unchecked = scores.ours();
    let points: Num = number(0.0, 100.0, "points");
    let steer = scores.get_or("steer_threshold", &points, int(55));
    let recovery = scores.get_or("recovery_threshold", &points, int(20));
    if steer.value() <= recovery.value() {
        let message = format!("found {recovery}; accepted: less than steer_threshold ({steer})");
        scores.refuse("recovery_threshold", message, false);
    }
    let long = |key, default: i64, unit| {
        unchecked.get_or(key, &number(0.0, 1_000_000.0, unit), int(default)).value()
    };
    Confidence {
        steer_threshold: steer.value(),
        recovery_threshold: recovery.value(),
        sustain_seconds: long("sustain_duration_sec", 2, "s"),
        recovery_sustain_seconds: long("recovery_sustain_sec", 3, "s"),
        hold_down_seconds: long("hold_down_duration_sec", 30, "s"),
        flap_detection: unchecked.get_or("flap_detection_enabled", &Flag, true),
        flap_window_minutes: long("flap_window_minutes", 5, "min"),
        max_toggles: unchecked.get_or("max_toggles", &whole(1, 1_000_000, "changes"), 4),
        penalty_seconds: long("penalty_duration_sec", 60, "s"),
        penalty_threshold_add: unchecked.get_or("penalty_threshold_add", &points, int(15)).value(),
        dry_run: unchecked.get_or("dry_run", &Flag, true),
    }
}
