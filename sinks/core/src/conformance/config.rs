//! Registration and configuration: what an operator meets before anything runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::bench::{self, Bench, list};
use super::{Harness, Outcome};
use crate::{Issue, Registry, SinkSpec};

/// No plugin can know this key.
const UNKNOWN: &str = "no_such_setting";

/// The kind is there, by a name that can stand in a file, and belongs to the crate under test.
///
/// # Errors
///
/// What is wrong with the registration.
pub fn kind_is_registered<H: Harness>(crate_name: &str) -> Outcome {
    let registry = Registry::linked().map_err(|issues| list(&issues))?;
    let descriptor = registry
        .get(H::KIND)
        .map_err(|issue| format!("{issue}; is `use the_crate as _;` missing in the test?"))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if H::KIND.is_empty() || !H::KIND.chars().all(plain) {
        return Err(format!("the kind {:?} is not of a-z, 0-9 and _", H::KIND));
    }
    if descriptor.crate_name != crate_name {
        return Err(format!("the kind belongs to {}, not {crate_name}", descriptor.crate_name));
    }
    if descriptor.summary.is_empty() || descriptor.summary.ends_with('.') {
        return Err(format!(
            "the summary {:?} is not a sentence without a stop",
            descriptor.summary
        ));
    }
    Ok(())
}

/// The sample is read as a `sinks:` section without an issue, and shows this kind.
///
/// # Errors
///
/// The issues.
pub fn sample_is_accepted<H: Harness>() -> Outcome {
    let registry = Registry::linked().map_err(|issues| list(&issues))?;
    let sample = registry.get(H::KIND).map_err(|issue| issue.to_string())?.sample;
    let specs = SinkSpec::parse_yaml(sample, &registry)
        .map_err(|issues| format!("the sample is refused: {}", list(&issues)))?;
    if specs.iter().any(|spec| spec.kind == H::KIND) {
        Ok(())
    } else {
        Err("the sample shows another kind".to_owned())
    }
}

/// A key that nobody knows is refused, with its path.
///
/// # Errors
///
/// It is accepted, or the issue does not name it.
pub fn unknown_key_is_named<H: Harness>() -> Outcome {
    let mut settings = mapping(&H::new())?;
    settings.insert(UNKNOWN.into(), 1.into());
    match bench::parse_value::<H>(Value::Mapping(settings)) {
        Ok(_) => Err(format!("a key that does not exist, `{UNKNOWN}`, is accepted")),
        Err(issues) => named(&issues, UNKNOWN),
    }
}

/// A value of another type is refused, with the path of its key. Tried for each key of
/// [`Harness::settings`].
///
/// # Errors
///
/// The key with which it is accepted, or that the issue does not name.
pub fn wrong_type_is_named<H: Harness>() -> Outcome {
    let settings = mapping(&H::new())?;
    for key in settings.keys().filter_map(Value::as_str) {
        let mut settings = settings.clone();
        let nonsense: Mapping =
            [(UNKNOWN.into(), Value::Sequence(vec![1.into()]))].into_iter().collect();
        settings.insert(key.into(), Value::Mapping(nonsense));
        match bench::parse_value::<H>(Value::Mapping(settings)) {
            Ok(_) => return Err(format!("a map is accepted as `{key}`")),
            Err(issues) => named(&issues, key)?,
        }
    }
    Ok(())
}

/// A secret in the settings is in no text that can be logged: neither `Debug` of the configuration nor an
/// issue, and not if it stands there by mistake as a list or a map. Needs [`Harness::secret`].
///
/// # Errors
///
/// Where it is shown.
pub fn secret_is_not_shown<H: Harness>() -> Outcome {
    let Some((settings, secret)) = H::new().secret() else { return Ok(()) };
    let settings = bench::value_of(&settings).map_err(|issues| list(&issues))?;
    let spec = bench::parse_value::<H>(settings.clone())
        .map_err(|issues| format!("settings with a secret are refused: {}", list(&issues)))?;
    hides(&spec, &secret)?;
    let in_a_list = |text: Value| Value::Sequence(vec![text]);
    let in_a_map = |text: Value| Value::Mapping([(UNKNOWN.into(), text)].into_iter().collect());
    let wrong = [
        ("in a list", moved(&settings, &secret, &in_a_list)),
        ("in a map", moved(&settings, &secret, &in_a_map)),
    ];
    for (place, settings) in wrong {
        match bench::parse_value::<H>(settings) {
            Ok(spec) => hides(&spec, &secret)?,
            Err(issues) if list(&issues).contains(&secret) => {
                return Err(format!("an issue shows the secret where it stands {place}"));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// The settings with each text that holds the secret replaced.
fn moved(settings: &Value, secret: &str, place: &impl Fn(Value) -> Value) -> Value {
    match settings {
        Value::String(text) if text.contains(secret) => place(settings.clone()),
        Value::Sequence(list) => {
            Value::Sequence(list.iter().map(|value| moved(value, secret, place)).collect())
        }
        Value::Mapping(map) => {
            let pair = |(key, value): (&Value, &Value)| (key.clone(), moved(value, secret, place));
            Value::Mapping(map.iter().map(pair).collect())
        }
        other => other.clone(),
    }
}

/// Whether nothing that a configuration says of itself shows the secret.
fn hides(spec: &SinkSpec, secret: &str) -> Outcome {
    let shown = [
        ("`Debug` of the configuration", format!("{:?} {:#?}", spec.config, spec.config)),
        ("an issue", list(&spec.config.check())),
        ("a claim", format!("{:?}", spec.config.claims())),
    ];
    match shown.iter().find(|(_, text)| text.contains(secret)) {
        Some((place, _)) => Err(format!("{place} shows the secret")),
        None => Ok(()),
    }
}

/// Reading, checking and claiming create nothing and always say the same. Needs [`Harness::folder`] to
/// see the first.
///
/// # Errors
///
/// What was created, or differs.
pub fn checking_touches_nothing<H: Harness>() -> Outcome {
    let bench = Bench::<H>::new();
    let listing = || bench.harness.folder().map(|folder| entries(&folder)).unwrap_or_default();
    let before = listing();
    let config = bench.config()?;
    let (issues, claims) = (config.check(), config.claims());
    let after = listing();
    if let Some(path) = after.difference(&before).next() {
        return Err(format!("{} was created though nothing was opened", path.display()));
    }
    if !issues.is_empty() {
        return Err(format!("`check` refuses the settings: {}", list(&issues)));
    }
    if config.clone().claims() != claims || config.clone().check() != issues {
        return Err("a clone checks or claims something else".to_owned());
    }
    Ok(())
}

fn mapping<H: Harness>(harness: &H) -> Result<Mapping, String> {
    match bench::value_of(&harness.settings()).map_err(|issues| list(&issues))? {
        Value::Mapping(settings) => Ok(settings),
        Value::Null => Ok(Mapping::new()),
        _ => Err("`settings` are not a map".to_owned()),
    }
}

/// Whether an issue names the settings' key, by its path or its text.
fn named(issues: &[Issue], key: &str) -> Outcome {
    let below = format!("sinks.{}.settings", bench::NAME);
    // With sections out of code the path may begin at the sink.
    let settings = format!("{}.settings", bench::NAME);
    let names = |issue: &&Issue| {
        (issue.path.starts_with(&below) || issue.path.starts_with(&settings))
            && issue.to_string().contains(key)
    };
    match issues.iter().find(names) {
        Some(_) => Ok(()),
        None => Err(format!("no issue names `{key}` below `settings`: {}", list(issues))),
    }
}

/// Every file and folder below this one.
fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}
