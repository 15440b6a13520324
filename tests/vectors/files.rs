//! Finds vector files, reads their numbers and counts what was compared.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Replays every file of a family; `replay` returns how many steps it compared.
pub(crate) fn for_each_file(family: &str, replay: impl Fn(&Value) -> usize) {
    let folder = folder();
    let files = files_of(&folder, family);
    if files.is_empty() {
        crate::visible::say(&format!("skipped: no {family}_*.json in {}", folder.display()));
        return;
    }
    let mut steps = 0;
    for path in &files {
        eprintln!("{}", path.display());
        let text = fs::read_to_string(path).unwrap();
        let vector = serde_json::from_str(&text).unwrap();
        let compared = replay(&vector);
        assert!(0 < compared, "nothing to compare in {}", path.display());
        steps += compared;
    }
    eprintln!("{family}: {} files, {steps} steps replayed", files.len());
}

/// The steps of a vector: number, input, output.
pub(crate) fn steps(vector: &Value) -> impl Iterator<Item = (u64, &Value, &Value)> {
    let steps = vector["steps"].as_array().unwrap();
    steps
        .iter()
        .zip(0..)
        .map(|(step, n)| (step["i"].as_u64().unwrap_or(n), &step["in"], &step["out"]))
}

/// A number; those that JSON does not know are spelled out.
pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) if text == "NaN" => f64::NAN,
        Value::String(text) if text == "Infinity" => f64::INFINITY,
        Value::String(text) if text == "-Infinity" => f64::NEG_INFINITY,
        number => number.as_f64().unwrap_or_else(|| panic!("{number} is not a number")),
    }
}

/// A number, or `None` for null and for a key that is missing.
pub(crate) fn optional_number(value: &Value) -> Option<f64> {
    (!value.is_null()).then(|| number(value))
}

/// Asserts that two numbers are the same, bit for bit but for the sign of zero.
#[track_caller]
pub(crate) fn assert_same(what: &str, step: u64, ours: f64, recorded: &Value) {
    let recorded = number(recorded);
    assert!(
        ours == recorded || (ours.is_nan() && recorded.is_nan()),
        "step {step}: {what} is {ours:?}, recorded {recorded:?}"
    );
}

/// Like [`assert_same`], for numbers that may be missing.
#[track_caller]
pub(crate) fn assert_same_option(what: &str, step: u64, ours: Option<f64>, recorded: &Value) {
    match ours {
        Some(ours) => assert_same(what, step, ours, recorded),
        None => assert!(recorded.is_null(), "step {step}: no {what}, recorded {recorded}"),
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("WANCTL_VECTORS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors"),
    }
}

/// The files called `{family}_{digits}.json`, in order.
fn files_of(folder: &Path, family: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_prefix(family)?.strip_prefix('_'))
                .and_then(|rest| rest.strip_suffix(".json"))
                .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .collect();
    files.sort();
    files
}
