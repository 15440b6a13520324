//! All files' destinations as the sinks of one process.
//!
//! A sink that several files name alike is one shared sink; two that want one destination and differ are
//! refused, because one of them would be ignored.

use std::path::Path;

use serde_json::{Value, json};
use wanctl_sink::{Issue, Registry, SinkSpec};

use super::Note;
use super::destinations::{DEFAULT_DATABASE, DEFAULT_RETENTION_DAYS, Listen, SinkSource, Storage};

/// A sink and the key that asks for it.
struct Asked<'a> {
    spec: SinkSpec,
    file: &'a Path,
    key: String,
}

impl<'a> Asked<'a> {
    /// Sinks of a `sinks` section.
    fn of_section(specs: Vec<SinkSpec>, file: &'a Path) -> Vec<Self> {
        let asked = |spec: SinkSpec| {
            let key = format!("sinks.{}", spec.name);
            Asked { spec, file, key }
        };
        specs.into_iter().map(asked).collect()
    }

    /// Sinks that a section of the original means.
    fn of_original(specs: Vec<SinkSpec>, file: &'a Path, key: &str) -> Vec<Self> {
        specs.into_iter().map(|spec| Asked { spec, file, key: key.to_owned() }).collect()
    }
}

/// Turns every file's destinations into sinks, with what is worth knowing about them.
pub(super) fn resolve(
    sources: &[SinkSource],
    registry: &Registry,
    notes: &mut Vec<Note>,
) -> Result<Vec<SinkSpec>, Vec<Issue>> {
    let mut sinks: Vec<Asked<'_>> = Vec::new();
    let mut issues = Vec::new();
    for source in sources {
        let mut note = |path: &str, message: &str| {
            let (file, path, message) = (source.file.clone(), path.to_owned(), message.to_owned());
            notes.push(Note { file, path, message });
        };
        match of_file(source, registry, &mut note) {
            Ok(found) => {
                for asked in found {
                    if asked.spec.enabled {
                        issues.extend(add(&mut sinks, asked));
                    } else {
                        note(&asked.key, "is disabled");
                    }
                }
            }
            Err(found) => {
                issues.extend(found.into_iter().map(|issue| issue.in_file(&source.file)));
            }
        }
    }
    if issues.is_empty() {
        Ok(sinks.into_iter().map(|asked| asked.spec).collect())
    } else {
        Err(issues)
    }
}

/// One file's sinks.
fn of_file<'a>(
    source: &'a SinkSource,
    registry: &Registry,
    note: &mut impl FnMut(&str, &str),
) -> Result<Vec<Asked<'a>>, Vec<Issue>> {
    let file = &source.file;
    let mut sinks = match (&source.sinks, &source.storage) {
        (Some(section), _) => {
            let section: serde_yaml::Value = section.read().map_err(|issue| vec![issue])?;
            Asked::of_section(SinkSpec::parse_section(&section, registry)?, file)
        }
        (None, Storage::Off) => {
            note("storage", "is empty, so nothing is recorded to SQLite");
            Vec::new()
        }
        (None, Storage::Default) => {
            let specs = history(&json!(DEFAULT_DATABASE), DEFAULT_RETENTION_DAYS, registry)?;
            Asked::of_original(specs, file, "storage")
        }
        (None, Storage::Path { path, retention_days }) => {
            let specs = history(&json!(path), *retention_days, registry)?;
            Asked::of_original(specs, file, "storage")
        }
    };
    for asked in &sinks {
        for (key, glob) in asked.spec.select.unmatched() {
            let path = format!("{}.select.{key}", asked.key);
            note(&path, &format!("`{glob}` matches no metric of this program"));
        }
    }
    if let Some(Listen { host, port }) = &source.metrics {
        if registry.get("prometheus").is_ok() {
            let settings = json!({ "host": host, "port": port });
            let section = json!({ "prometheus": { "type": "prometheus", "settings": settings } });
            let specs = SinkSpec::parse_section(&section, registry)?;
            sinks.extend(Asked::of_original(specs, file, "metrics"));
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

/// Adds a sink, unless another file has it already. A name that is taken gets the file's name behind it.
fn add<'a>(sinks: &mut Vec<Asked<'a>>, mut asked: Asked<'a>) -> Option<Issue> {
    let claims = asked.spec.config.claims();
    let first = sinks.iter().find_map(|other| {
        let shared = other.spec.config.claims().into_iter().find(|claim| claims.contains(claim))?;
        Some((other, shared))
    });
    if let Some((first, claim)) = first {
        let by = format!("{}: {}", first.file.display(), first.key);
        let message = if first.file == asked.file || first.spec.kind != asked.spec.kind {
            format!("{claim} is already taken ({by})")
        } else if is_same(&first.spec, &asked.spec) {
            return None;
        } else {
            format!(
                "{claim} is already taken with other settings or options ({by}); they must agree"
            )
        };
        let issue = Issue { stricter: true, ..Issue::new(&asked.key, message) };
        return Some(issue.in_file(asked.file));
    }
    let taken = |name: &str| sinks.iter().any(|other| other.spec.name == name);
    if taken(&asked.spec.name) {
        let stem = asked.file.file_stem().unwrap_or_default().to_string_lossy();
        let base = format!("{}-{stem}", asked.spec.name);
        let mut name = base.clone();
        let mut count = 2;
        while taken(&name) {
            name = format!("{base}-{count}");
            count += 1;
        }
        asked.spec.name = name;
    }
    sinks.push(asked);
    None
}

/// Whether two sinks of one kind differ in nothing but their names, a default that is written out
/// included.
///
/// A sink's settings have no equality, so they are compared as `Debug` shows them; secrets, which it hides,
/// are not compared.
fn is_same(one: &SinkSpec, other: &SinkSpec) -> bool {
    let settings = |spec: &SinkSpec| format!("{:?}", spec.config);
    one.has_same_options(other) && settings(one) == settings(other)
}
