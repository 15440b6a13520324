//! The kinds of value that a configuration file has: what each accepts, and how it says so.
//!
//! A kind looks at one value and knows nothing of keys, files or other values.

use std::net::{IpAddr, Ipv6Addr};

use serde_yaml::Value;

use crate::units::Number;

/// The longest value that a message quotes.
const SHOWN_CHARS: usize = 60;

/// A kind of value.
pub(super) trait Accept {
    /// What it is read as.
    type Value;

    /// What is accepted, for a message: `a number, 1 to 500 ms`.
    fn accepted(&self) -> String;

    /// Reads a value, or refuses it.
    fn read(&self, found: &Value) -> Result<Self::Value, Refused>;

    /// The entries that make a list refused; none when it is the value as a whole.
    fn refused_entries<'v>(&self, _found: &'v Value) -> Vec<RefusedEntry<'v>> {
        Vec::new()
    }
}

/// One entry of a list that is not accepted.
pub(super) struct RefusedEntry<'v> {
    /// Its place, from 0.
    pub(super) index: usize,
    pub(super) found: &'v Value,
    pub(super) accepted: String,
}

/// The entries of a list that a kind does not take.
fn refused_by<'v>(kind: &impl Accept, list: &'v Value) -> Vec<RefusedEntry<'v>> {
    let entries = list.as_sequence().into_iter().flatten().enumerate();
    let refused = entries.filter(|(_, entry)| kind.read(entry).is_err());
    refused.map(|(index, found)| RefusedEntry { index, found, accepted: kind.accepted() }).collect()
}

/// Whose rule a refused value breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The original refused it as well, if it looked.
    AsOriginal,
    /// The original took it.
    ByUs,
}

/// A finite number in a range, both ends included.
pub(super) struct Num {
    min: f64,
    max: f64,
    unit: &'static str,
}

/// A number from `min` to `max`; `unit` may be empty.
pub(super) const fn number(min: f64, max: f64, unit: &'static str) -> Num {
    Num { min, max, unit }
}

impl Accept for Num {
    type Value = Number;

    fn accepted(&self) -> String {
        format!("a number, {} to {}{}", self.min, self.max, unit(self.unit))
    }

    fn read(&self, found: &Value) -> Result<Number, Refused> {
        let number = as_number(found)?;
        let value = number.value();
        if value.is_nan() {
            // No comparison of the original was true of it, so it passed.
            Err(Refused::ByUs)
        } else if value < self.min || self.max < value {
            Err(Refused::AsOriginal)
        } else {
            Ok(number)
        }
    }
}

/// A weight from 0 to 1, which may also be written as text.
pub(super) struct Weight;

impl Accept for Weight {
    type Value = Number;

    fn accepted(&self) -> String {
        number(0.0, 1.0, "").accepted()
    }

    fn read(&self, found: &Value) -> Result<Number, Refused> {
        match found.as_str().and_then(|text| text.trim().parse::<f64>().ok()) {
            Some(weight) => number(0.0, 1.0, "").read(&Value::from(weight)),
            None => number(0.0, 1.0, "").read(found),
        }
    }
}

/// A whole number in a range, both ends included.
pub(super) struct Whole {
    min: i64,
    max: i64,
    unit: &'static str,
}

/// A whole number from `min` to `max`; `unit` may be empty.
pub(super) const fn whole(min: i64, max: i64, unit: &'static str) -> Whole {
    Whole { min, max, unit }
}

impl Accept for Whole {
    type Value = i64;

    fn accepted(&self) -> String {
        format!("a whole number, {} to {}{}", self.min, self.max, unit(self.unit))
    }

    fn read(&self, found: &Value) -> Result<i64, Refused> {
        match as_number(found)? {
            Number::Int(value) if self.min <= value && value <= self.max => Ok(value),
            _ => Err(Refused::AsOriginal),
        }
    }
}

/// A TCP port.
pub(super) struct Port;

impl Accept for Port {
    type Value = u16;

    fn accepted(&self) -> String {
        "a TCP port, 1 to 65535".to_owned()
    }

    fn read(&self, found: &Value) -> Result<u16, Refused> {
        let port = whole(1, 65_535, "").read(found)?;
        u16::try_from(port).map_err(|_| Refused::AsOriginal)
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Accept for Flag {
    type Value = bool;

    fn accepted(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, found: &Value) -> Result<bool, Refused> {
        found.as_bool().ok_or(Refused::AsOriginal)
    }
}

/// Text, which may be empty.
pub(super) struct Text;

impl Accept for Text {
    type Value = String;

    fn accepted(&self) -> String {
        "text".to_owned()
    }

    fn read(&self, found: &Value) -> Result<String, Refused> {
        found.as_str().map(str::to_owned).ok_or(Refused::AsOriginal)
    }
}

/// Text of certain characters and a length.
pub(super) struct Word {
    others: &'static str,
    max_chars: usize,
    accepted: &'static str,
}

/// A name of a WAN or a queue.
pub(super) const IDENTIFIER: Word =
    Word { others: "_.-", max_chars: 64, accepted: "1 to 64 letters, digits, `_`, `.` or `-`" };

/// The comment of a firewall rule.
pub(super) const RULE_COMMENT: Word = Word {
    others: "_.-: ",
    max_chars: 128,
    accepted: "1 to 128 letters, digits, spaces, `_`, `.`, `-` or `:`",
};

/// A network interface of Linux.
pub(super) const INTERFACE: Word = Word {
    others: "_.-:@",
    max_chars: 15,
    accepted: "the name of a network interface, at most 15 characters",
};

impl Accept for Word {
    type Value = String;

    fn accepted(&self) -> String {
        self.accepted.to_owned()
    }

    fn read(&self, found: &Value) -> Result<String, Refused> {
        let text = Text.read(found)?;
        let fits = (1..=self.max_chars).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || self.others.contains(c));
        if fits { Ok(text) } else { Err(Refused::AsOriginal) }
    }
}

/// Text that is not empty.
pub(super) struct Filled(pub(super) &'static str);

impl Accept for Filled {
    type Value = String;

    fn accepted(&self) -> String {
        self.0.to_owned()
    }

    fn read(&self, found: &Value) -> Result<String, Refused> {
        let text = Text.read(found)?;
        if text.is_empty() { Err(Refused::ByUs) } else { Ok(text) }
    }
}

/// An IP address or a host name.
pub(super) struct Host;

impl Accept for Host {
    type Value = String;

    fn accepted(&self) -> String {
        "an IP address or a host name".to_owned()
    }

    fn read(&self, found: &Value) -> Result<String, Refused> {
        let text = Text.read(found)?;
        if text.parse::<IpAddr>().is_ok() {
            return Ok(text);
        }
        if let Some((address, _zone)) = text.split_once('%')
            && address.parse::<Ipv6Addr>().is_ok()
        {
            return Err(Refused::ByUs);
        }
        // 253 characters and no dot at the end are what resolvers take; the original was less exact.
        let name = text.strip_suffix('.').unwrap_or(&text);
        if text.len() > 256 || !name.split('.').all(is_host_label) {
            return Err(Refused::AsOriginal);
        }
        // A last label of digits alone is a mistyped address: no such domain exists.
        let last = name.rsplit('.').next().unwrap_or_default();
        if name != text || text.len() > 253 || last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refused::ByUs);
        }
        Ok(text)
    }
}

fn is_host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// One or more hosts to measure.
pub(super) struct Hosts;

impl Accept for Hosts {
    type Value = Vec<String>;

    fn accepted(&self) -> String {
        "a list of at least one IP address or host name".to_owned()
    }

    fn read(&self, found: &Value) -> Result<Vec<String>, Refused> {
        let list = found.as_sequence().ok_or(Refused::AsOriginal)?;
        // The original looked at nothing inside the list.
        let hosts: Result<Vec<String>, Refused> = list.iter().map(|host| Host.read(host)).collect();
        hosts.ok().filter(|hosts| !hosts.is_empty()).ok_or(Refused::ByUs)
    }

    fn refused_entries<'v>(&self, found: &'v Value) -> Vec<RefusedEntry<'v>> {
        refused_by(&Host, found)
    }
}

/// Hosts and ports to connect to: `[[host, port], …]`.
pub(super) struct Targets;

impl Accept for Targets {
    type Value = Vec<(String, u16)>;

    fn accepted(&self) -> String {
        "a list of [host, port]".to_owned()
    }

    fn read(&self, found: &Value) -> Result<Vec<(String, u16)>, Refused> {
        let list = found.as_sequence().ok_or(Refused::AsOriginal)?;
        list.iter().map(|target| Target.read(target)).collect()
    }

    fn refused_entries<'v>(&self, found: &'v Value) -> Vec<RefusedEntry<'v>> {
        refused_by(&Target, found)
    }
}

/// A host and port to connect to.
struct Target;

impl Accept for Target {
    type Value = (String, u16);

    fn accepted(&self) -> String {
        "[host, port]".to_owned()
    }

    fn read(&self, found: &Value) -> Result<(String, u16), Refused> {
        match found.as_sequence().map(Vec::as_slice) {
            Some([host, port]) => Ok((Host.read(host)?, Port.read(port)?)),
            _ => Err(Refused::AsOriginal),
        }
    }
}

/// One of a few words.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy> Accept for OneOf<T> {
    type Value = T;

    fn accepted(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        words.join(", ")
    }

    fn read(&self, found: &Value) -> Result<T, Refused> {
        let text = found.as_str();
        let known = self.0.iter().find(|(word, _)| Some(*word) == text);
        known.map(|(_, meaning)| *meaning).ok_or(Refused::AsOriginal)
    }
}

/// A kind whose message names what may stand there under other keys.
pub(super) struct Or<A>(pub(super) A, pub(super) &'static str);

impl<A: Accept> Accept for Or<A> {
    type Value = A::Value;

    fn accepted(&self) -> String {
        format!("{}, or {}", self.0.accepted(), self.1)
    }

    fn read(&self, found: &Value) -> Result<A::Value, Refused> {
        self.0.read(found)
    }
}

/// A value as a message quotes it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) if text.chars().count() <= SHOWN_CHARS => format!("{text:?}"),
        Value::String(text) => {
            let start: String = text.chars().take(SHOWN_CHARS).collect();
            format!("{start:?}… ({} characters)", text.chars().count())
        }
        Value::Sequence(list) if list.iter().all(is_short) => {
            let items: Vec<String> = list.iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a section of keys".to_owned(),
        Value::Tagged(tagged) => format!("a value tagged {}", tagged.tag),
    }
}

/// What a value is, without saying it: what stands in place of a section may hold a secret of it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a section of keys",
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => "a single value",
    }
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().count() <= SHOWN_CHARS,
        Value::Sequence(list) => list.iter().all(|item| !item.is_sequence() && is_short(item)),
        Value::Mapping(_) | Value::Tagged(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn as_number(found: &Value) -> Result<Number, Refused> {
    match found {
        // To the original `true` was 1.
        Value::Bool(_) => Err(Refused::ByUs),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Ok(Number::Int(value)),
            (None, Some(value)) => Ok(Number::Float(value)),
            (None, None) => Err(Refused::AsOriginal),
        },
        _ => Err(Refused::AsOriginal),
    }
}

fn unit(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}
