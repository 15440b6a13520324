//! The two shapes of file: which one a file has, and what each needs.

use serde_yaml::Mapping;

use super::accept::Accept;
use super::section::Section;

/// The keys that the original did not have. One of them makes the file one of the new shape.
const NEW_KEYS: [(&str, Option<&str>); 6] = [
    ("continuous_monitoring", Some("law")),
    ("continuous_monitoring", Some("reflectors")),
    ("measurement", Some("reflectors")),
    ("router", Some("type")),
    ("shaper", None),
    ("sinks", None),
];

/// Which rules a file is read by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Original,
    New,
}

impl Shape {
    pub(super) fn of(map: &Mapping) -> Self {
        let has = |(section, key): &(&str, Option<&str>)| match (map.get(*section), key) {
            (Some(section), Some(key)) => section.get(*key).is_some(),
            (found, _) => key.is_none() && found.is_some(),
        };
        if NEW_KEYS.iter().any(has) { Shape::New } else { Shape::Original }
    }

    pub(super) fn is_original(self) -> bool {
        self == Shape::Original
    }

    /// A value that only the original needs.
    pub(super) fn needed<A: Accept>(
        self,
        section: &Section<'_>,
        key: &'static str,
        kind: &A,
    ) -> Option<A::Value> {
        if self.is_original() { section.need(key, kind) } else { section.get(key, kind) }
    }

    /// A value that only the original needs and that has no effect here.
    pub(super) fn no_effect<A: Accept>(self, section: &Section<'_>, key: &'static str, kind: &A) {
        self.needed(section, key, kind);
        section.note_no_effect(key);
    }

    /// A value that the original needs and that has a default since.
    pub(super) fn needed_or<A: Accept>(
        self,
        section: &Section<'_>,
        key: &'static str,
        kind: &A,
        default: A::Value,
    ) -> Option<A::Value> {
        if self.is_original() {
            section.need(key, kind)
        } else {
            Some(section.get_or(key, kind, default))
        }
    }

    /// A default that the original did not have.
    pub(super) fn default_to<T>(self, default: T) -> Option<T> {
        (!self.is_original()).then_some(default)
    }
}
