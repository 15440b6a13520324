//! The configuration snapshot: the few parameters recorded so that history can be read with them.
//!
//! It names each key that it takes, so nothing else of a file can reach it, a secret least of all.

use serde_json::{Map, Value};

use crate::units::Number;

/// Why a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The program starts.
    Startup,
    /// The configuration was read again.
    Reload,
    /// Somebody asked.
    Manual,
}

impl Trigger {
    /// The word in the row's labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Startup => "startup",
            Trigger::Reload => "reload",
            Trigger::Manual => "manual",
        }
    }
}

/// A section of a configuration that is not a mapping, so that no snapshot can be made of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a section of keys")]
pub struct SnapshotError(pub String);

/// The operational parameters of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    autorate: Value,
    steering: Value,
}

impl Snapshot {
    /// Takes the parameters from a configuration.
    ///
    /// The autorate part is null without `continuous_monitoring`. The steering part has its limits if there
    /// is a `thresholds` and its WANs if there is a `topology`, and is null without both. A missing key
    /// is null; numbers keep their type (`24` and `24.0` differ).
    ///
    /// # Errors
    ///
    /// A section that is there but is no mapping.
    pub fn of(config: &Map<String, Value>) -> Result<Self, SnapshotError> {
        Ok(Snapshot { autorate: autorate(config)?, steering: steering(config)? })
    }

    /// The labels of the snapshot's row: `trigger`, `autorate`, `steering`, in this order.
    pub fn labels(&self, trigger: Trigger) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert("trigger".to_owned(), trigger.as_str().into());
        labels.insert("autorate".to_owned(), self.autorate.clone());
        labels.insert("steering".to_owned(), self.steering.clone());
        labels
    }
}

/// The labels of a configuration's snapshot row; see [`Snapshot::of`].
///
/// # Errors
///
/// A section that is there but is no mapping.
pub fn snapshot_labels(
    trigger: Trigger,
    config: &Map<String, Value>,
) -> Result<Map<String, Value>, SnapshotError> {
    Ok(Snapshot::of(config)?.labels(trigger))
}

/// Puts a value at a path where there is none yet.
pub(super) fn fill(config: &mut Map<String, Value>, path: &[&str], value: Number) {
    match path {
        [] => {}
        [key] => {
            config.entry(*key).or_insert(match value {
                Number::Int(value) => value.into(),
                Number::Float(value) => value.into(),
            });
        }
        [key, rest @ ..] => {
            let section = config.entry(*key).or_insert_with(|| Map::new().into());
            if let Value::Object(section) = section {
                fill(section, rest, value);
            }
        }
    }
}

fn autorate(config: &Map<String, Value>) -> Result<Value, SnapshotError> {
    let Some(monitoring) = section(config, "continuous_monitoring")? else {
        return Ok(Value::Null);
    };
    let download = section(monitoring, "download")?;
    let upload = section(monitoring, "upload")?;
    let thresholds = section(monitoring, "thresholds")?;
    let mut part = Map::new();
    put(&mut part, "baseline_rtt_initial", Some(monitoring), "baseline_rtt_initial");
    put(&mut part, "download_ceiling_mbps", download, "ceiling_mbps");
    put(&mut part, "upload_ceiling_mbps", upload, "ceiling_mbps");
    put(&mut part, "target_bloat_ms", thresholds, "target_bloat_ms");
    put(&mut part, "warn_bloat_ms", thresholds, "warn_bloat_ms");
    Ok(Value::Object(part))
}

fn steering(config: &Map<String, Value>) -> Result<Value, SnapshotError> {
    let thresholds = section(config, "thresholds")?;
    let topology = section(config, "topology")?;
    if thresholds.is_none() && topology.is_none() {
        return Ok(Value::Null);
    }
    let mut part = Map::new();
    if thresholds.is_some() {
        for key in ["bad_threshold_ms", "recovery_threshold_ms", "green_rtt_ms", "red_rtt_ms"] {
            put(&mut part, key, thresholds, key);
        }
    }
    if topology.is_some() {
        for key in ["primary_wan", "alternate_wan"] {
            put(&mut part, key, topology, key);
        }
    }
    Ok(Value::Object(part))
}

fn put(part: &mut Map<String, Value>, name: &str, from: Option<&Map<String, Value>>, key: &str) {
    let value = from.and_then(|from| from.get(key)).cloned().unwrap_or(Value::Null);
    part.insert(name.to_owned(), value);
}

fn section<'a>(
    config: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, SnapshotError> {
    match config.get(key) {
        None => Ok(None),
        Some(Value::Object(section)) => Ok(Some(section)),
        Some(_) => Err(SnapshotError(key.to_owned())),
    }
}
