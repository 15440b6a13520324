//! `continuous_monitoring` and its neighbours: what one autorate controller runs with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::accept::{Flag, Host, Hosts, IDENTIFIER, Num, OneOf, Or, Targets, number, whole};
use super::household::{self, PATH, int, state_file_beside};
use super::section::Section;
use super::shaper::{self, ShaperConfig};
use super::snapshot::Snapshot;
use super::{Shape, seconds};
use crate::autorate::{
    DirectionPolicy, Fallback, FallbackMode, Filter, Floors, Law, NOMINAL_CYCLE_SECONDS, Policy,
    ZoneLimits,
};
use crate::units::{Number, Rate};

/// One WAN's autorate controller, as configured.
#[derive(Clone, Debug)]
pub struct AutorateConfig {
    /// The file it comes from.
    pub file: PathBuf,
    /// The WAN's name in rows and messages.
    pub wan_name: String,
    /// What the controller itself is configured with.
    pub policy: Policy,
    /// How often a step is made: 50 ms. No key changes it.
    pub cycle: Duration,
    /// The hosts to measure, in order of preference; at least one.
    pub reflectors: Vec<String>,
    /// Take the median of the first three reflectors, of two answers the lower one; otherwise measure the
    /// first reflector alone.
    pub use_median: bool,
    /// How long an answer may take. Default 1 s.
    pub ping_timeout: Duration,
    /// When no reflector answers, whether the gateway is asked. Default true.
    pub check_gateway: bool,
    /// The gateway; `None` is the machine's default gateway. Files of the original's shape have its default.
    pub gateway: Option<String>,
    /// When no reflector answers, whether TCP connections are timed. Default true.
    pub check_tcp: bool,
    /// What to connect to. Default 1.1.1.1 and 8.8.8.8, port 443.
    pub tcp_targets: Vec<(String, u16)>,
    /// When no public reflector answers, measure the default gateway, then this machine. Default false.
    pub fallback_to_local: bool,
    /// What is driven.
    pub shaper: ShaperConfig,
    /// Where baseline, rates and streaks are kept over a restart; `None` keeps them nowhere.
    pub state_file: Option<PathBuf>,
    /// The parameters that are recorded, of the whole file.
    pub snapshot: Snapshot,
}

/// What a shape of file accepts, and its defaults.
struct Limits {
    ceiling_down: Num,
    ceiling_up: Num,
    step: Num,
    initial: Num,
}

fn limits(shape: Shape) -> Limits {
    match shape {
        Shape::Original => Limits {
            ceiling_down: number(1.0, 10_000.0, "Mbit/s"),
            ceiling_up: number(1.0, 1_000.0, "Mbit/s"),
            step: number(0.1, 100.0, "Mbit/s"),
            initial: number(1.0, 500.0, "ms"),
        },
        Shape::New => Limits {
            ceiling_down: number(0.1, 100_000.0, "Mbit/s"),
            ceiling_up: number(0.1, 100_000.0, "Mbit/s"),
            step: number(0.001, 10_000.0, "Mbit/s"),
            initial: number(0.01, 10_000.0, "ms"),
        },
    }
}

/// Reads the controller of a file that has `continuous_monitoring`; `None` after reporting why not.
///
/// The snapshot concerns the whole file, so the caller fills it in.
pub(super) fn read(root: &Section<'_>, shape: Shape, file: &Path) -> Option<AutorateConfig> {
    let limits = limits(shape);
    let monitoring = root.section("continuous_monitoring");
    let wan_name = root.need("wan_name", &IDENTIFIER);
    let lock_file = household::read(root, shape);
    let state_file = state_file(root, shape, lock_file);
    shape.no_effect(&monitoring, "enabled", &Flag);
    let law = monitoring.get_or("law", &OneOf(LAWS), Law::Classic);
    let initial = shape.needed(&monitoring, "baseline_rtt_initial", &limits.initial);
    let thresholds = thresholds(&monitoring.section("thresholds"), shape);
    let zones = thresholds.as_ref().map(|thresholds| thresholds.zones);
    let download = monitoring.section("download");
    let download = direction(&download, Side::Download, &limits, shape, zones);
    let upload = direction(&monitoring.section("upload"), Side::Upload, &limits, shape, zones);
    let reflectors = reflectors(&monitoring);
    let use_median = monitoring.ours().get_or("use_median_of_three", &Flag, !shape.is_original());
    let fallback = fallback(&monitoring.section("fallback_checks").ours(), shape);
    let timeouts = root.section("timeouts");
    let ping_timeout = timeouts.ours().get_or("ping", &number(0.01, 60.0, "s"), int(1)).value();
    let shaper = shaper::read(root, shape);

    let mut filter = thresholds.as_ref().map(|thresholds| thresholds.filter.clone());
    if let (Some(filter), Some(initial)) = (&mut filter, initial) {
        filter.baseline_initial_ms = Some(initial.value());
        if initial.value() < filter.baseline_min_ms || filter.baseline_max_ms < initial.value() {
            monitoring.note(
                "baseline_rtt_initial",
                "is outside thresholds.baseline_rtt_bounds, so the baseline cannot follow the link",
            );
        }
    }
    if shape.is_original() {
        initial?;
    }
    Some(AutorateConfig {
        file: file.to_owned(),
        wan_name: wan_name?,
        policy: Policy {
            law,
            download: download?,
            upload: upload?,
            filter: filter?,
            accel_threshold_ms: thresholds?.accel,
            fallback: fallback.policy,
        },
        cycle: Duration::from_secs_f64(NOMINAL_CYCLE_SECONDS),
        reflectors: reflectors?,
        use_median,
        ping_timeout: seconds(ping_timeout),
        check_gateway: fallback.check_gateway,
        gateway: fallback.gateway,
        check_tcp: fallback.check_tcp,
        tcp_targets: fallback.tcp_targets,
        fallback_to_local: fallback.local,
        shaper: shaper?,
        state_file,
        snapshot: Snapshot::default(),
    })
}

/// The known control laws.
const LAWS: &[(&str, Law)] = &[("classic", Law::Classic)];

/// The original derives the path from the lock file's; new files name it.
fn state_file(root: &Section<'_>, shape: Shape, lock_file: Option<String>) -> Option<PathBuf> {
    let named = root.ours().get("state_file", &PATH);
    let derived = lock_file.map(|lock_file| state_file_beside(&lock_file));
    if shape.is_original() {
        if named.is_some() {
            root.note("state_file", "has no effect: the path is derived from lock_file");
        }
        return derived;
    }
    named.map(PathBuf::from).or(derived)
}

/// `reflectors`, or `ping_hosts`, its name in the original.
fn reflectors(monitoring: &Section<'_>) -> Option<Vec<String>> {
    if !monitoring.has("reflectors") {
        return monitoring.need("ping_hosts", &Hosts);
    }
    if monitoring.has("ping_hosts") {
        let message = "`reflectors` and `ping_hosts` are the same list; remove one of them";
        monitoring.refuse("ping_hosts", message.to_owned(), true);
    }
    monitoring.need("reflectors", &Hosts)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Download,
    Upload,
}

/// One direction. Both share the limits of zones; upload has no SOFT_RED, so it has one limit less.
fn direction(
    section: &Section<'_>,
    side: Side,
    limits: &Limits,
    shape: Shape,
    zones: Option<ZoneLimits>,
) -> Option<DirectionPolicy> {
    let ceiling_limits = match side {
        Side::Download => &limits.ceiling_down,
        Side::Upload => &limits.ceiling_up,
    };
    let (factor, yellow, yellow_min) = match side {
        Side::Download => (0.85, 0.96, 0.8),
        Side::Upload => (0.9, 0.94, 0.9),
    };
    let ceiling = section.need("ceiling_mbps", ceiling_limits);
    let step = shape.needed(section, "step_up_mbps", &limits.step);
    let factor_down = shape.needed(section, "factor_down", &number(0.1, 1.0, ""));
    let factor_down_yellow =
        section.get_or("factor_down_yellow", &number(yellow_min, 1.0, ""), yellow.into());
    let green_required = section.get_or("green_required", &whole(1, 10, "steps"), 5);
    let floors = floors(section, side);
    if let (Some(floors), Some(ceiling)) = (&floors, ceiling) {
        let mut rising = floors.clone();
        rising.push(("ceiling_mbps", ceiling));
        check_order(section, &rising);
    }
    let (ceiling, floors) = (ceiling?, floors?);
    let (step, factor_down) = if shape.is_original() {
        (step?, factor_down?)
    } else {
        // A hundredth of the ceiling a step refills the link within seconds of a sustained GREEN.
        (step.unwrap_or((ceiling.value() / 100.0).into()), factor_down.unwrap_or(factor.into()))
    };
    let rate = |key: &str| {
        let found = floors.iter().find(|(name, _)| *name == key);
        found.map(|(_, floor)| Rate::from_mbps(floor.value()))
    };
    let legacy = rate("floor_mbps");
    let yellow = rate("floor_yellow_mbps").or(legacy)?;
    Some(DirectionPolicy {
        floors: Floors {
            green: rate("floor_green_mbps").or(legacy)?,
            yellow,
            soft_red: rate("floor_soft_red_mbps").or(legacy).unwrap_or(yellow),
            red: rate("floor_red_mbps").or(legacy)?,
        },
        ceiling: Rate::from_mbps(ceiling.value()),
        step_up: Rate::from_mbps(step.value()),
        factor_down: factor_down.value(),
        factor_down_yellow: factor_down_yellow.value(),
        green_required: u32::try_from(green_required).unwrap_or(1),
        zones: match side {
            Side::Download => zones?,
            Side::Upload => ZoneLimits { hard_red: None, ..zones? },
        },
    })
}

/// The floors in the file, lowest first: one for all zones, or one for each.
fn floors(section: &Section<'_>, side: Side) -> Option<Vec<(&'static str, Number)>> {
    // The original took any number here, of either sign.
    let floor = number(0.001, 100_000.0, "Mbit/s");
    let unchecked = section.ours();
    let by_zone = section.has("floor_green_mbps");
    let mut floors = Vec::new();
    let mut complete = true;
    let mut keys = vec!["floor_red_mbps"];
    if side == Side::Download {
        keys.push("floor_soft_red_mbps");
    }
    keys.extend(["floor_yellow_mbps", "floor_green_mbps"]);
    for key in keys {
        let optional = !by_zone || key == "floor_soft_red_mbps";
        let found = if optional { unchecked.get(key, &floor) } else { unchecked.need(key, &floor) };
        match found {
            Some(_) if !by_zone => section.note(key, "has no effect without floor_green_mbps"),
            Some(rate) => floors.push((key, rate)),
            None => complete &= optional,
        }
    }
    if by_zone {
        if unchecked.get("floor_mbps", &floor).is_some() {
            section.note("floor_mbps", "has no effect beside floor_green_mbps");
        }
    } else {
        match unchecked.need(
            "floor_mbps",
            &Or(floor, "a floor for each zone, from floor_green_mbps to floor_red_mbps"),
        ) {
            Some(rate) => floors.push(("floor_mbps", rate)),
            None => complete = false,
        }
    }
    complete.then_some(floors)
}

/// Reports each value that is above the next one.
fn check_order(section: &Section<'_>, rising: &[(&'static str, Number)]) {
    for pair in rising.windows(2) {
        if let [(low_key, low), (high_key, high)] = pair
            && high.value() < low.value()
        {
            let message = format!("found {low}; accepted: at most {high_key} ({high})");
            section.refuse(low_key, message, false);
        }
    }
}

struct Thresholds {
    zones: ZoneLimits,
    accel: f64,
    filter: Filter,
}

fn thresholds(section: &Section<'_>, shape: Shape) -> Option<Thresholds> {
    let unchecked = section.ours();
    let target = shape.needed_or(section, "target_bloat_ms", &number(1.0, 100.0, "ms"), int(15));
    let warn = shape.needed_or(section, "warn_bloat_ms", &number(1.0, 200.0, "ms"), int(45));
    let hard_red = unchecked.get_or("hard_red_bloat_ms", &number(0.0, 10_000.0, "ms"), int(80));
    check_rising(section, ("target_bloat_ms", target), ("warn_bloat_ms", warn));
    check_rising(section, ("warn_bloat_ms", warn), ("hard_red_bloat_ms", Some(hard_red)));
    let alpha_baseline = alpha(
        section,
        ("baseline_time_constant_sec", number(1.0, 600.0, "s")),
        ("alpha_baseline", number(0.000_1, 1.0, "")),
        shape.default_to(50.0),
    );
    let alpha_load = alpha(
        section,
        ("load_time_constant_sec", number(0.05, 10.0, "s")),
        ("alpha_load", number(0.001, 1.0, "")),
        shape.default_to(0.5),
    );
    let update =
        unchecked.get_or("baseline_update_threshold_ms", &number(0.0, 10_000.0, "ms"), int(3));
    let accel = section.get_or("accel_threshold_ms", &number(5.0, 50.0, "ms"), int(15)).value();
    let (baseline_min_ms, baseline_max_ms) =
        household::baseline_bounds(&section.section("baseline_rtt_bounds"), shape);
    Some(Thresholds {
        zones: ZoneLimits { target: target?, warn: warn?, hard_red: Some(hard_red) },
        accel,
        filter: Filter {
            baseline_initial_ms: None,
            alpha_baseline: alpha_baseline?,
            alpha_load: alpha_load?,
            baseline_update_threshold_ms: update.value(),
            baseline_min_ms,
            baseline_max_ms,
        },
    })
}

fn check_rising(
    section: &Section<'_>,
    (low_key, low): (&str, Option<Number>),
    (high_key, high): (&str, Option<Number>),
) {
    if let (Some(low), Some(high)) = (low, high)
        && low.value() >= high.value()
    {
        let message = format!("found {low}; accepted: less than {high_key} ({high})");
        section.refuse(low_key, message, false);
    }
}

/// A filter's weight for one nominal step, from its time constant or as such.
fn alpha(
    section: &Section<'_>,
    (constant_key, constant_limits): (&'static str, Num),
    (alpha_key, alpha_limits): (&'static str, Num),
    default_constant: Option<f64>,
) -> Option<f64> {
    let alpha = section.get(alpha_key, &alpha_limits);
    if section.has(constant_key) {
        if section.has(alpha_key) {
            section.note(alpha_key, format!("has no effect beside {constant_key}"));
        }
        let constant = section.get(constant_key, &constant_limits)?;
        return Some(NOMINAL_CYCLE_SECONDS / constant.value());
    }
    if section.has(alpha_key) {
        return alpha.map(Number::value);
    }
    match default_constant {
        Some(constant) => Some(NOMINAL_CYCLE_SECONDS / constant),
        None => section.need(constant_key, &constant_limits).map(Number::value),
    }
}

struct Checks {
    policy: Fallback,
    check_gateway: bool,
    gateway: Option<String>,
    check_tcp: bool,
    tcp_targets: Vec<(String, u16)>,
    local: bool,
}

const FALLBACK_MODES: &[(&str, FallbackMode)] = &[
    ("graceful_degradation", FallbackMode::GracefulDegradation),
    ("freeze", FallbackMode::Freeze),
    ("use_last_rtt", FallbackMode::UseLastRtt),
];

fn fallback(section: &Section<'_>, shape: Shape) -> Checks {
    let max_cycles = section.get_or("max_fallback_cycles", &whole(0, 1_000_000, "steps"), 3);
    let gateway = section.get("gateway_ip", &Host);
    let targets = || vec![("1.1.1.1".to_owned(), 443), ("8.8.8.8".to_owned(), 443)];
    Checks {
        policy: Fallback {
            enabled: section.get_or("enabled", &Flag, true),
            mode: section.get_or(
                "fallback_mode",
                &OneOf(FALLBACK_MODES),
                FallbackMode::GracefulDegradation,
            ),
            max_cycles: u32::try_from(max_cycles).unwrap_or(0),
        },
        check_gateway: section.get_or("check_gateway", &Flag, true),
        gateway: gateway.or(shape.is_original().then(|| "10.10.110.1".to_owned())),
        check_tcp: section.get_or("check_tcp", &Flag, true),
        tcp_targets: section.get("tcp_targets", &Targets).unwrap_or_else(targets),
        local: section.get_or("local", &Flag, false),
    }
}
