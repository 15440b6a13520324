//! Options out of a map: each is taken by its key, and what is wrong is noted with its key path.
//!
//! It knows kinds of values, not which options there are.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use crate::{Glob, Issue, format_bytes, format_duration, parse_bytes, parse_duration};

const GLOBS: &str = "text in which `*` and `?` stand for others, or a list of such";

/// A map and what is wrong with it so far, paths relative to it.
///
/// Every question gives `None` for a key that is not there, and for one whose value is noted as wrong.
pub(super) struct Reader<'a> {
    pub(super) map: &'a Mapping,
    pub(super) issues: Vec<Issue>,
}

impl<'a> Reader<'a> {
    /// Notes the keys that are not known.
    pub(super) fn new(map: &'a Mapping, known: &[&str]) -> Self {
        let unknown = map.keys().map(show).filter(|key| !known.contains(&key.as_str()));
        let issues = unknown.map(|key| Issue::unknown_key(key.clone(), &key, known)).collect();
        Reader { map, issues }
    }

    /// A map below `key`.
    pub(super) fn section<T>(
        &mut self,
        key: &str,
        known: &[&str],
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> Option<T> {
        match self.map.get(key)? {
            Value::Mapping(section) => {
                let mut section = Reader::new(section, known);
                let value = read(&mut section);
                self.issues.extend(section.issues.into_iter().map(|issue| issue.below(key)));
                Some(value)
            }
            other => self.wrong(key, kind_of(other), format!("a map with {}", known.join(", "))),
        }
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.map.get(key)?;
        value.as_bool().or_else(|| self.wrong(key, show(value), "true, false"))
    }

    /// A number of at least 1, which all of ours are.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        const MOST: f64 = 1e6;
        let value = self.map.get(key)?;
        let number = value.as_f64().filter(|n| (1.0..=MOST).contains(n));
        number.or_else(|| self.wrong(key, show(value), "a number from 1 to 1000000"))
    }

    /// One word of a closed list.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.map.get(key)?;
        let chosen = value.as_str().and_then(|name| choices.iter().find(|(n, _)| *n == name));
        chosen.map(|(_, value)| *value).or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(key, show(value), names.join(", "))
        })
    }

    /// `250ms`, `1s`, `5m`, or a number of seconds.
    pub(super) fn duration(
        &mut self,
        key: &str,
        shortest: Duration,
        longest: Duration,
    ) -> Option<Duration> {
        let value = self.map.get(key)?;
        let duration = match value {
            Value::String(text) => parse_duration(text),
            other => other.as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok()),
        };
        duration.filter(|d| (shortest..=longest).contains(d)).or_else(|| {
            let (from, to) = (format_duration(shortest), format_duration(longest));
            let accepted = format!("a duration from {from} to {to}, such as 250ms, 1s");
            self.wrong(key, show(value), accepted)
        })
    }

    /// `1MiB`, or a number of bytes.
    pub(super) fn bytes(&mut self, key: &str, least: usize, most: usize) -> Option<usize> {
        let value = self.map.get(key)?;
        let bytes = match value {
            Value::String(text) => parse_bytes(text),
            other => other.as_u64(),
        };
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        bytes.filter(|bytes| (least..=most).contains(bytes)).or_else(|| {
            let (from, to) = (format_bytes(least as u64), format_bytes(most as u64));
            let accepted = format!("a size from {from} to {to}, such as 256KiB, 1MiB");
            self.wrong(key, show(value), accepted)
        })
    }

    /// Text of a certain form.
    pub(super) fn text(
        &mut self,
        key: &str,
        accepted: &str,
        is_good: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let value = self.map.get(key)?;
        let text = value.as_str().filter(|text| is_good(text)).map(str::to_owned);
        text.or_else(|| self.wrong(key, show(value), accepted))
    }

    /// One glob or a list of them.
    pub(super) fn globs(&mut self, key: &str) -> Option<Vec<Glob>> {
        let glob = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(Glob::new);
        match self.map.get(key)? {
            Value::Sequence(list) => {
                for (index, value) in list.iter().enumerate() {
                    if glob(value).is_none() {
                        self.wrong::<()>(&format!("{key}[{index}]"), show(value), GLOBS);
                    }
                }
                Some(list.iter().filter_map(glob).collect())
            }
            one => match glob(one) {
                Some(glob) => Some(vec![glob]),
                None => self.wrong(key, show(one), GLOBS),
            },
        }
    }

    /// Notes a value that is not accepted.
    pub(super) fn wrong<T>(
        &mut self,
        key: &str,
        found: impl std::fmt::Display,
        accepted: impl std::fmt::Display,
    ) -> Option<T> {
        self.issues.push(Issue::value(key, found, accepted));
        None
    }
}

/// A key or an option for a message. What is below it may be a secret in the wrong place, so of a list
/// or a map only the kind is shown.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty text".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        other => kind_of(other).to_owned(),
    }
}

/// What stands where a map is expected. It may hold a secret (a URL with a password), so nothing of it
/// is shown.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a map",
        Value::Tagged(_) => "a tagged value",
    }
}
