//! Which keys of the files differ between two readings of them, so that a reload can say what waits for
//! the next start. Values are not kept, for some of them are secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

/// What the sinks are made of, which needs no new start.
const OF_SINKS: [&str; 3] = ["sinks", "storage", "metrics"];

/// The keys of files but for those of the sinks, with a fingerprint of each one's value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<(PathBuf, String), u64>);

impl Written {
    pub(super) fn of(map: &Mapping, file: &Path) -> Self {
        let mut written = Written::default();
        for (key, value) in map {
            if !key.as_str().is_some_and(|key| OF_SINKS.contains(&key)) {
                written.add(file, name(key), value);
            }
        }
        written
    }

    fn add(&mut self, file: &Path, path: String, value: &Value) {
        match value {
            Value::Mapping(section) if !section.is_empty() => {
                for (key, value) in section {
                    self.add(file, format!("{path}.{}", name(key)), value);
                }
            }
            value => {
                self.0.insert((file.to_owned(), path), fingerprint(value));
            }
        }
    }

    /// Adds what another file says.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The keys that are new, gone or of another value in `other`, as `FILE: key.path`, sorted.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let of = |one: &Self, key| one.0.get(key).copied();
        let mut keys: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| of(self, key) != of(other, key));
        keys.into_iter().map(|(file, path)| format!("{}: {path}", file.display())).collect()
    }
}

/// Shows the keys, because a fingerprint may be of a secret.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn fingerprint(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn name(key: &Value) -> String {
    key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        Written::of(&serde_yaml::from_str(text).unwrap(), "a.yaml".as_ref())
    }

    #[test]
    fn keys_that_are_new_gone_or_of_another_value_are_named() {
        let before = written("a: 1\nb: { c: [1, 2], d: x, gone: 0 }\nsinks: { s: 1 }\nstorage: 1");
        assert_eq!(before.changed(&before.clone()), [""; 0]);
        let after = written("b: { d: x, c: [1, 3], e: {} }\na: 1\nsinks: { s: 2 }\nmetrics: 2");
        assert_eq!(before.changed(&after), ["a.yaml: b.c", "a.yaml: b.e", "a.yaml: b.gone"]);
    }

    #[test]
    fn values_are_not_shown() {
        let written = written("password: hunter2");
        assert_eq!(format!("{written:?}"), r#"{("a.yaml", "password")}"#);
    }
}
