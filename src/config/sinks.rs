//! All files' destinations as the sinks of one process.
//!
//! Sinks of one kind on one destination are one shared sink. Two kinds on one destination are left for
//! the pipeline to refuse.

use std::path::Path;

use serde_json::{Value, json};
use wanctl_sink::{Issue, Registry, SinkSpec};

use super::Note;
use super::destinations::{DEFAULT_DATABASE, DEFAULT_RETENTION_DAYS, Listen, SinkSource, Storage};

/// Turns every file's destinations into sinks, with what is worth knowing about them.
pub(super) fn resolve(
    sources: &[SinkSource],
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Vec<SinkSpec>, Vec<Issue>> {
    let mut sinks: Vec<SinkSpec> = Vec::new();
    let mut issues = Vec::new();
    for source in sources {
        let mut note = |path: &str, message: &str| {
            let (file, path, message) = (source.file.clone(), path.to_owned(), message.to_owned());
            notes.push(Note { file, path, message });
        };
        match of_file(source, registry, &mut note) {
            Ok(found) => {
                for spec in found {
                    share(&mut sinks, spec, &source.file);
                }
            }
            Err(found) => {
                issues.extend(found.into_iter().map(|issue| issue.in_file(&source.file)));
            }
        }
    }
    if issues.is_empty() { Ok(sinks) } else { Err(issues) }
}

/// One file's sinks.
fn of_file(
    source: &SinkSource,
    registry: &Registry,
    note: &mut impl FnMut(&str, &str),
) -> Result<Vec<SinkSpec>, Vec<Issue>> {
    let mut sinks = match (&source.sinks, &source.storage) {
        (Some(section), _) => {
            let section: serde_yaml::Value = section.read().map_err(|issue| vec![issue])?;
            SinkSpec::parse_section(&section, registry)?
        }
        (None, Storage::Off) => {
            note("storage", "is empty, so nothing is recorded to SQLite");
            Vec::new()
        }
        (None, Storage::Default) => {
            history(&json!(DEFAULT_DATABASE), DEFAULT_RETENTION_DAYS, registry)?
        }
        (None, Storage::Path { path, retention_days }) => {
            history(&json!(path), *retention_days, registry)?
        }
    };
    if let Some(Listen { host, port }) = &source.metrics {
        if registry.get("prometheus").is_ok() {
            let settings = json!({ "host": host, "port": port });
            let section = json!({ "prometheus": { "type": "prometheus", "settings": settings } });
            sinks.extend(SinkSpec::parse_section(&section, registry)?);
        } else {
            note(
                "metrics",
                "asks for a prometheus sink, which this program does not have; nothing listens",
            );
        }
    }
    Ok(sinks)
}

/// The original's `storage`, or its default.
fn history(path: &Value, days: u32, registry: &Registry) -> Result<Vec<SinkSpec>, Vec<Issue>> {
    let settings = json!({ "path": path, "retention_days": days });
    let section = json!({ "history": { "type": "sqlite", "settings": settings } });
    SinkSpec::parse_section(&section, registry)
}

/// Adds a sink, unless there is one of its kind on its destination. A name that is taken gets the
/// file's name behind it.
fn share(sinks: &mut Vec<SinkSpec>, mut spec: SinkSpec, file: &Path) {
    let claims = spec.config.claims();
    let same = |other: &SinkSpec| {
        !claims.is_empty() && other.kind == spec.kind && other.config.claims() == claims
    };
    if sinks.iter().any(same) {
        return;
    }
    let taken = |name: &str| sinks.iter().any(|other| other.name == name);
    if taken(&spec.name) {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let base = format!("{}-{stem}", spec.name);
        let mut name = base.clone();
        let mut count = 2;
        while taken(&name) {
            name = format!("{base}-{count}");
            count += 1;
        }
        spec.name = name;
    }
    sinks.push(spec);
}
