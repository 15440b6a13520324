//! Summaries against recorded results.

use std::path::PathBuf;

use serde_json::Value;
use wanctl_sink_sqlite::{Summary, summary};

fn vectors() -> Value {
    let folder = std::env::var_os("WANCTL_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/vectors")),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join("reader_helpers_01.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn pairs(s: Summary) -> [(&'static str, f64); 6] {
    [("min", s.min), ("max", s.max), ("avg", s.avg), ("p50", s.p50), ("p95", s.p95), ("p99", s.p99)]
}

#[test]
fn summaries_are_those_recorded() {
    let vectors = vectors();
    let mut checked = 0;
    for step in vectors["steps"].as_array().unwrap() {
        if step["in"]["fn"] != "compute_summary" {
            continue;
        }
        let values: Vec<f64> = serde_json::from_value(step["in"]["values"].clone()).unwrap();
        let expected = step["out"].as_object().unwrap();
        match summary(&values) {
            None => assert!(expected.is_empty(), "step {}", step["i"]),
            Some(found) => {
                for (name, found) in pairs(found) {
                    let expected = expected[name].as_f64().unwrap();
                    let close = (found - expected).abs() <= 1e-12 * expected.abs().max(1.0);
                    assert!(close, "step {} {name}: {found}, recorded {expected}", step["i"]);
                }
            }
        }
        checked += 1;
    }
    assert!(checked > 3, "{checked} summaries checked");
}
