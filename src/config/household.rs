//! Keys that the original needs and this program does not: accepted, checked, and noted.
//!
//! Also `health_check`, and the few readings that both controllers share.

use std::path::{Path, PathBuf};

use super::accept::{Accept, Filled, Flag, Num, Port, Text, number, whole};
use super::section::Section;
use super::{Listen, Shape};
use crate::units::Number;

/// Reads `lock_file`, `lock_timeout` and `logging`; returns the lock file.
pub(super) fn read(root: &Section<'_>, shape: Shape) -> Option<String> {
    let lock_file = shape.needed(root, "lock_file", &Text);
    if lock_file.is_some() {
        root.note("lock_file", "accepted for compatibility; no lock is taken");
    }
    shape.no_effect(root, "lock_timeout", &whole(1, 3_600, "s"));
    let logging = root.section("logging");
    shape.no_effect(&logging, "main_log", &Text);
    shape.no_effect(&logging, "debug_log", &Text);
    logging.ours().no_effect("log_cake_stats", &Flag);
    lock_file
}

/// Where the program answers over HTTP: nowhere without the section.
pub(super) fn health_check(root: &Section<'_>) -> Option<Listen> {
    let section = root.ours().section("health_check");
    let enabled = section.get_or("enabled", &Flag, true);
    let host = section.get_or("host", &Filled("an address to listen on"), "127.0.0.1".to_owned());
    let port = section.get_or("port", &Port, 9101);
    (section.is_present() && enabled).then_some(Listen { host, port })
}

/// The original's state file: beside the lock file, named after it (`wan1.lock`, `wan1_state.json`).
pub(super) fn state_file_beside(lock_file: &str) -> PathBuf {
    let lock_file = Path::new(lock_file);
    let stem = lock_file.file_stem().unwrap_or_default().to_string_lossy();
    lock_file.with_file_name(format!("{stem}_state.json"))
}

/// The range in which a baseline is believed, in ms. Both controllers have one.
pub(super) fn baseline_bounds(section: &Section<'_>, shape: Shape) -> (f64, f64) {
    let (min_limits, max_limits, min_default, max_default) = match shape {
        Shape::Original => (number(1.0, 100.0, "ms"), number(10.0, 500.0, "ms"), 10.0, 60.0),
        Shape::New => (wide(), wide(), 0.01, 1_000.0),
    };
    bounds(section, (&min_limits, min_default), (&max_limits, max_default))
}

/// The same for steering, whose bounds the original did not check.
pub(super) fn unchecked_baseline_bounds(section: &Section<'_>, shape: Shape) -> (f64, f64) {
    let (min_default, max_default) = match shape {
        Shape::Original => (10.0, 60.0),
        Shape::New => (0.01, 1_000.0),
    };
    bounds(&section.ours(), (&wide(), min_default), (&wide(), max_default))
}

fn wide() -> Num {
    number(0.0, 10_000.0, "ms")
}

fn bounds(section: &Section<'_>, min: (&Num, f64), max: (&Num, f64)) -> (f64, f64) {
    let low = section.get_or("min", min.0, min.1.into());
    let high = section.get_or("max", max.0, max.1.into());
    if high.value() < low.value() {
        section.refuse("min", format!("found {low}; accepted: at most max ({high})"), true);
    }
    (low.value(), high.value())
}

/// A path in a file.
pub(super) const PATH: Filled = Filled("a file path");

/// A default as YAML would have it, without a point.
pub(super) fn int(value: i64) -> Number {
    Number::Int(value)
}

/// A key, or the name that it had on the author's own network, which counts only without the key.
pub(super) fn alias<A: Accept>(
    section: &Section<'_>,
    key: &'static str,
    old_key: &'static str,
    kind: &A,
) -> Option<A::Value> {
    if !section.has(key) {
        return section.get(old_key, kind);
    }
    if section.has(old_key) {
        section.note(old_key, format!("has no effect beside {key}"));
    }
    section.get(key, kind)
}
