//! The sinks that files ask for, whether or not there is a controller in them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use crate::config::{self, Note};
use crate::sink::{Issue, Pipeline, Registry, SinkSpec};

/// What files say about sinks.
#[derive(Default)]
pub(super) struct Loaded {
    /// The sinks. Disabled ones are there only if their file has nothing but `sinks`.
    pub(super) sinks: Vec<SinkSpec>,
    /// What is no mistake, but worth knowing about destinations.
    pub(super) notes: Vec<Note>,
}

/// Reads the sinks of files that are meant to run in one process.
///
/// A file that has a `sinks` section and nothing else is taken as it is; every other one has to be a
/// complete configuration.
///
/// # Errors
///
/// Everything that is wrong with any of the files.
pub(super) fn load(files: &[PathBuf], registry: &Registry) -> Result<Loaded, Vec<Issue>> {
    let mut loaded = Loaded::default();
    let mut issues = Vec::new();
    let mut configurations = Vec::new();
    for file in files {
        match lone_section(file) {
            Some(section) => match SinkSpec::parse_section(&section, registry) {
                Ok(sinks) => loaded.sinks.extend(sinks),
                Err(found) => issues.extend(found.into_iter().map(|issue| issue.in_file(file))),
            },
            None => configurations.push(file.clone()),
        }
    }
    if !configurations.is_empty() {
        match config::load(&configurations, registry) {
            Ok(config) => {
                loaded.sinks.extend(config.sinks);
                loaded.notes.extend(config.notes.into_iter().filter(is_about_sinks));
            }
            Err(found) => issues.extend(found),
        }
    }
    if issues.is_empty() {
        issues = Pipeline::check(&loaded.sinks);
        if let [file] = files {
            issues = issues.into_iter().map(|issue| issue.in_file(file)).collect();
        }
    }
    if issues.is_empty() { Ok(loaded) } else { Err(issues) }
}

/// The `sinks` section of a file that has nothing else. What can't be read is for the configuration's
/// reader to explain.
fn lone_section(file: &Path) -> Option<Value> {
    let mut document: Value = serde_yaml::from_str(&fs::read_to_string(file).ok()?).ok()?;
    document.apply_merge().ok()?;
    let Value::Mapping(mut map) = document else { return None };
    let section = map.remove("sinks")?;
    map.is_empty().then_some(section)
}

fn is_about_sinks(note: &Note) -> bool {
    let section = note.path.split('.').next().unwrap_or_default();
    ["sinks", "storage", "metrics"].contains(&section)
}
