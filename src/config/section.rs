//! A cursor over a YAML document that collects everything wrong with it.
//!
//! Each key is asked for once, by name, with the kind of value that is accepted there. What is missing
//! or not accepted becomes an [`Issue`] and reading goes on, so that a file's mistakes are all reported
//! together. The names asked for are the known keys; every other key is an issue too. Values under
//! keys that hold secrets are never part of an issue.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_yaml::{Mapping, Value};
use wanctl_sink::{Issue, nearest};

use super::Note;
use super::accept::{Accept, Refused, kind, show};

/// Words that mark a key whose value is not shown.
const SECRET_WORDS: [&str; 6] =
    ["password", "passwd", "passphrase", "token", "secret", "credential"];

/// What was found while one document was read.
#[derive(Default)]
pub(super) struct Reader {
    issues: RefCell<Vec<Issue>>,
    notes: RefCell<Vec<Note>>,
    /// The keys asked for, by the path of their section. A section that two controllers read has the
    /// keys of both.
    asked: RefCell<BTreeMap<String, BTreeSet<&'static str>>>,
    /// The paths of keys that were reported as missing.
    missing: RefCell<BTreeSet<String>>,
}

impl Reader {
    /// The whole document.
    pub(super) fn root<'r>(&'r self, map: &'r Mapping) -> Section<'r> {
        Section { reader: self, path: String::new(), found: Found::Map(map), ours: false }
    }

    /// Ends reading: keys nobody asked for become issues, and everything gets its file.
    pub(super) fn finish(self, map: &Mapping, file: &Path) -> (Vec<Issue>, Vec<Note>) {
        self.unknown_keys(map, "");
        let issues =
            self.issues.into_inner().into_iter().map(|issue| issue.in_file(file)).collect();
        let notes = self.notes.into_inner();
        (issues, notes.into_iter().map(|note| Note { file: file.to_owned(), ..note }).collect())
    }

    fn unknown_keys(&self, map: &Mapping, path: &str) {
        let asked = self.asked.borrow();
        let Some(known) = asked.get(path) else { return };
        let known: Vec<&str> = known.iter().copied().collect();
        for (key, value) in map {
            let Some(key) = key.as_str() else {
                let message = format!("unknown key {}", show(key));
                self.push(Issue { stricter: true, ..Issue::new(path, message) });
                continue;
            };
            let below = join(path, key);
            if !known.contains(&key) {
                if let Some(meant) = nearest(key, &known) {
                    self.found_misspelt(&join(path, meant));
                }
                let issue = Issue::unknown_key(below, key, &known);
                self.push(Issue { stricter: true, ..issue });
            } else if let Value::Mapping(map) = value {
                self.unknown_keys(map, &below);
            }
        }
    }

    /// Takes back that a key, or what is below it, is missing: it is there by another name.
    fn found_misspelt(&self, path: &str) {
        let below = format!("{path}.");
        let missing = self.missing.borrow();
        self.issues.borrow_mut().retain(|issue| {
            let is_meant = issue.path == path || issue.path.starts_with(&below);
            !(is_meant && missing.contains(&issue.path))
        });
    }

    fn push_missing(&self, path: &str, accepted: &str) {
        self.missing.borrow_mut().insert(path.to_owned());
        self.push(Issue::new(path, format!("missing; accepted: {accepted}")));
    }

    fn push(&self, issue: Issue) {
        let mut issues = self.issues.borrow_mut();
        // Both controllers of one file may find the same fault in a key they share.
        if !issues.contains(&issue) {
            issues.push(issue);
        }
    }
}

/// One section of the document: a mapping, or the place where one could be.
#[derive(Clone)]
pub(super) struct Section<'r> {
    reader: &'r Reader,
    path: String,
    found: Found<'r>,
    ours: bool,
}

#[derive(Clone, Copy)]
enum Found<'r> {
    Map(&'r Mapping),
    Missing,
    /// Something else, reported already; its keys are not reported as missing as well.
    Refused,
}

impl<'r> Section<'r> {
    /// The same section, where what is refused was not checked by the original.
    pub(super) fn ours(&self) -> Self {
        Section { ours: true, ..self.clone() }
    }

    /// Whether the section is in the file.
    pub(super) fn is_present(&self) -> bool {
        matches!(self.found, Found::Map(_))
    }

    /// Whether a key is in the file, whatever its value.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.raw(key).is_some()
    }

    /// A key's value as it stands; `None` when the key is not in the file.
    pub(super) fn raw(&self, key: &'static str) -> Option<&'r Value> {
        self.reader.asked.borrow_mut().entry(self.path.clone()).or_default().insert(key);
        match self.found {
            Found::Map(map) => map.get(key),
            Found::Missing | Found::Refused => None,
        }
    }

    /// A section that may be missing; then its keys are.
    pub(super) fn section(&self, key: &'static str) -> Section<'r> {
        let path = join(&self.path, key);
        self.reader.asked.borrow_mut().entry(path.clone()).or_default();
        let found = match (self.raw(key), self.found) {
            (Some(Value::Mapping(map)), _) => Found::Map(map),
            (Some(other), _) => {
                self.reader.push(Issue {
                    stricter: self.ours || other.is_null(),
                    ..Issue::value(&path, kind(other), "a section of keys")
                });
                Found::Refused
            }
            (None, Found::Refused) => Found::Refused,
            (None, _) => Found::Missing,
        };
        Section { reader: self.reader, path, found, ours: self.ours }
    }

    /// A section that must be there, even if it is empty.
    pub(super) fn need_section(&self, key: &'static str) -> Section<'r> {
        let section = self.section(key);
        if matches!(section.found, Found::Missing) {
            self.reader.push_missing(&section.path, "a section of keys, {} for none");
        }
        section
    }

    /// An optional value; `None` when it is missing or refused.
    ///
    /// An empty value is refused: it is more often a forgotten one than a wish for the default.
    pub(super) fn get<A: Accept>(&self, key: &'static str, kind: &A) -> Option<A::Value> {
        let value = self.raw(key)?;
        match kind.read(value) {
            Ok(value) => Some(value),
            Err(refused) => {
                let ours = refused == Refused::ByUs || value.is_null();
                let show = |value| if is_secret(key) { "(hidden)".to_owned() } else { show(value) };
                let entries = kind.refused_entries(value);
                if entries.is_empty() {
                    let message = format!("found {}; accepted: {}", show(value), kind.accepted());
                    self.refuse(key, message, ours);
                }
                for entry in entries {
                    let message =
                        format!("found {}; accepted: {}", show(entry.found), entry.accepted);
                    self.refuse(&format!("{key}[{}]", entry.index), message, ours);
                }
                None
            }
        }
    }

    /// An optional value with a default.
    pub(super) fn get_or<A: Accept>(
        &self,
        key: &'static str,
        kind: &A,
        default: A::Value,
    ) -> A::Value {
        self.get(key, kind).unwrap_or(default)
    }

    /// A value that must be there; `None` after reporting that it is not.
    pub(super) fn need<A: Accept>(&self, key: &'static str, kind: &A) -> Option<A::Value> {
        if self.raw(key).is_none_or(Value::is_null) {
            if !matches!(self.found, Found::Refused) {
                self.reader.push_missing(&join(&self.path, key), &kind.accepted());
            }
            return None;
        }
        self.get(key, kind)
    }

    /// An optional value that has no effect here: checked all the same, and noted.
    pub(super) fn no_effect<A: Accept>(&self, key: &'static str, kind: &A) {
        self.get(key, kind);
        self.note_no_effect(key);
    }

    /// Notes that a key has no effect here, if it is in the file.
    pub(super) fn note_no_effect(&self, key: &'static str) {
        if self.has(key) {
            self.note(key, "accepted for compatibility, has no effect");
        }
    }

    /// Reports a rule that a key breaks. `ours` marks a rule that the original did not have.
    pub(super) fn refuse(&self, key: &str, message: String, ours: bool) {
        let stricter = ours || self.ours;
        self.reader.push(Issue { stricter, ..Issue::new(join(&self.path, key), message) });
    }

    /// Says something about a key that is no mistake.
    pub(super) fn note(&self, key: &str, message: impl Into<String>) {
        let path = join(&self.path, key);
        let note = Note { file: Default::default(), path, message: message.into() };
        let mut notes = self.reader.notes.borrow_mut();
        // Both controllers of one file may say the same of a key they share.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (false, true) => path.to_owned(),
        (false, false) => format!("{path}.{key}"),
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}
