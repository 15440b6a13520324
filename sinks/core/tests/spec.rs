//! The `sinks:` section: what is read, and what is said when it is wrong.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use wanctl_sink::*;

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TestConfig {
    path: String,
    #[serde(default)]
    rotate: Rotate,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default)]
    keep: u32,
}

impl SinkConfig for TestConfig {
    fn check(&self) -> Vec<Issue> {
        match (self.path.as_str(), self.rotate.keep) {
            ("", _) => vec![Issue::value("path", "nothing", "a file path")],
            (_, keep) if keep > 9 => vec![Issue::value("rotate.keep", keep, "0 to 9")],
            _ => Vec::new(),
        }
    }

    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Err(SinkError::new(FaultClass::Config, "never opened"))
    }
}

register_sink! { "test" => TestConfig, summary: "For tests", sample: "a: {type: test, settings: {path: x}}" }

fn parse(yaml: &str) -> Result<Vec<SinkSpec>, Vec<String>> {
    let registry = Registry::linked().unwrap();
    SinkSpec::parse_yaml(yaml, &registry)
        .map_err(|issues| issues.iter().map(ToString::to_string).collect())
}

#[test]
fn every_option_is_read() {
    let yaml = "
trace:
  type: test
  enabled: false
  startup: retry
  queue: { seconds: 5, full: drop_newest }
  select: { include: 'wanctl_rtt_*', exclude: ['*_debug'], labels: { wan: spectrum, direction: [down*, up*] }, every: 1s, as: mean }
  rename: { prefix: edge_ }
  batch: { rows: 10, bytes: 64KiB, linger: 250ms, jitter: 0s }
  retry: { initial: 100ms, max: 2s, max_age: 7d }
  timeout: 1.5s
  settings: { path: x }";
    let spec = &parse(yaml).unwrap()[0];
    assert_eq!((spec.name.as_str(), spec.kind.as_str(), spec.enabled), ("trace", "test", false));
    assert_eq!(spec.startup, Startup::Retry);
    assert_eq!(spec.queue, QueueOptions { seconds: 5.0, full: Overflow::DropNewest });
    let millis = Duration::from_millis;
    let globs = |patterns: &[&str]| patterns.iter().map(|p| Glob::new(p)).collect::<Vec<_>>();
    let labels = [("wan", globs(&["spectrum"])), ("direction", globs(&["down*", "up*"]))];
    assert_eq!(
        spec.select,
        Select {
            include: globs(&["wanctl_rtt_*"]),
            exclude: globs(&["*_debug"]),
            labels: labels.map(|(label, globs)| (label.to_owned(), globs)).into(),
            every: Some(millis(1000)),
            reduce: Reduce::Mean,
        }
    );
    assert_eq!(spec.prefix, "edge_");
    assert_eq!(
        spec.batch,
        BatchOptions { rows: 10, bytes: 65_536, linger: millis(250), jitter: Duration::ZERO }
    );
    assert_eq!(
        spec.retry,
        RetryOptions { initial: millis(100), max: millis(2000), max_age: millis(604_800_000) }
    );
    assert_eq!(spec.timeout, millis(1500));
}

#[test]
fn what_is_not_set_is_as_a_new_sink_has_it() {
    let spec = &parse("a: { type: test, settings: { path: x } }").unwrap()[0];
    let new = SinkSpec::new("a", "test", spec.config.clone());
    assert_eq!((&spec.select, &spec.prefix), (&new.select, &new.prefix));
    assert_eq!((spec.queue, spec.batch, spec.retry), (new.queue, new.batch, new.retry));
    assert_eq!(spec.timeout, new.timeout);
    let spec =
        &parse("a: { type: test, batch: { linger: 5s }, settings: { path: x } }").unwrap()[0];
    assert_eq!(spec.batch.jitter, Duration::from_millis(500));
}

#[test]
fn options_out_of_range_are_reported_at_once_with_key_paths() {
    let yaml = "
a:
  type: test
  select: { inclde: x, include: [7, '', [HUNTER2]], exclude: { a: b }, labels: { wan: [], x: 5 }, as: median }
  rename: { prefix: 9lives }
  batch: { bytes: 1mb, linger: 1s, jitter: 2s }
  retry: { initial: 10s, max_age: 8d }
  timeout: 1ms
  settings: { path: x }
b: { type: test, select: { labels: [x], every: 1ms, as: last }, retry: { initial: soon, max: 1d }, settings: { path: x } }";
    let globs = "text in which `*` and `?` stand for others, or a list of such";
    let expected = [
        "a.select.inclde: unknown key; did you mean `include`? (accepted: as, every, exclude, include, labels)".to_owned(),
        format!("a.select.include[0]: found 7; accepted: {globs}"),
        format!("a.select.include[1]: found empty text; accepted: {globs}"),
        format!("a.select.include[2]: found a list; accepted: {globs}"),
        format!("a.select.exclude: found a map; accepted: {globs}"),
        "a.select.labels.wan: found an empty list; accepted: at least one glob".to_owned(),
        format!("a.select.labels.x: found 5; accepted: {globs}"),
        "a.select.as: found median; accepted: last, min, max, mean".to_owned(),
        "a.select.as: means nothing without `every`".to_owned(),
        "a.rename.prefix: found 9lives; accepted: the beginning of a metric's name: letters, digits, `_` and `:`, no digit first".to_owned(),
        "a.batch.bytes: found 1mb; accepted: a size from 1KiB to 1GiB, such as 256KiB, 1MiB".to_owned(),
        "a.batch.jitter: found 2s; accepted: a duration from 0s to 1s, such as 250ms, 1s".to_owned(),
        "a.retry.initial: found 10s; accepted: at most `max`, which is 5s".to_owned(),
        "a.retry.max_age: found 8d; accepted: a duration from 1s to 7d, such as 250ms, 1s".to_owned(),
        "a.timeout: found 1ms; accepted: a duration from 100ms to 5m, such as 250ms, 1s".to_owned(),
        "b.select.labels: found a list; accepted: a map from label to globs".to_owned(),
        "b.select.every: found 1ms; accepted: a duration from 10ms to 1h, such as 250ms, 1s".to_owned(),
        "b.retry.initial: found soon; accepted: a duration from 10ms to 1h, such as 250ms, 1s".to_owned(),
        "b.retry.max: found 1d; accepted: a duration from 10ms to 1h, such as 250ms, 1s".to_owned(),
    ];
    let expected: Vec<String> = expected.iter().map(|issue| format!("sinks.{issue}")).collect();
    assert_eq!(parse(yaml).unwrap_err(), expected);
}

#[test]
fn everything_wrong_is_reported_at_once_with_key_paths() {
    let yaml = "
a: { type: nope }
b: { type: test, settings: { path: x, rotate: { kep: 1 } } }
c: { type: test, setings: {}, queue: { secs: 1, seconds: -1, full: block }, batch: { linger: soon } }
d: { settings: {} }
e: { type: test, settings: { path: '' }, enabled: maybe }
f: 7
'g/h': {}";
    let issues = parse(yaml).unwrap_err();
    let expected = [
        "sinks.a.type: unknown kind `nope` (linked kinds: test)",
        "sinks.b.settings.rotate.kep: unknown field `kep`, expected `keep`; did you mean `keep`?",
        "sinks.c.setings: unknown key; did you mean `settings`? (accepted: batch, enabled, queue, rename, retry, select, settings, startup, timeout, type)",
        "sinks.c.settings: missing field `path`",
        "sinks.c.queue.secs: unknown key; did you mean `seconds`? (accepted: full, seconds)",
        "sinks.c.queue.seconds: found -1; accepted: a number from 1 to 1000000",
        "sinks.c.queue.full: found block; accepted: drop_oldest, drop_newest, latest",
        "sinks.c.batch.linger: found soon; accepted: a duration from 10ms to 1h, such as 250ms, 1s",
        "sinks.d.type: missing; accepted: test",
        "sinks.e.settings.path: found nothing; accepted: a file path",
        "sinks.e.enabled: found maybe; accepted: true, false",
        "sinks.f: found a number; accepted: a map with `type` and `settings`",
        "sinks: found g/h; accepted: a name of letters, digits, `_`, `-` and `.`",
    ];
    assert_eq!(issues, expected);
}

#[test]
fn what_stands_in_the_wrong_place_is_not_shown() {
    for (yaml, said) in [
        ("[{ token: HUNTER2 }]", "sinks: found a list; accepted: a map"),
        ("https://u:HUNTER2@h/db", "sinks: found text; accepted: a map"),
        ("a: [{ type: test, settings: { token: HUNTER2 } }]", "sinks.a: found a list; "),
        ("a: 'https://u:HUNTER2@h/db'", "sinks.a: found text; accepted: a map"),
        ("a: { type: { test: HUNTER2 } }", "sinks.a.type: found a map; "),
        ("a: { type: test, queue: HUNTER2 }", "sinks.a.queue: found text; "),
        ("a: { type: test, enabled: [HUNTER2] }", "sinks.a.enabled: found a list; "),
        ("a: { type: test, startup: { token: HUNTER2 } }", "sinks.a.startup: found a map; "),
        ("a: { type: test, batch: { rows: [HUNTER2] } }", "sinks.a.batch.rows: found a list; "),
        ("a: { type: test, batch: { linger: !x HUNTER2 } }", "linger: found a tagged value; "),
        ("? [HUNTER2]\n: { type: test }", "sinks: found a list; accepted: a name"),
    ] {
        let said_of = parse(yaml).unwrap_err().join("\n");
        assert!(said_of.contains(said), "{yaml}: {said_of}");
        assert!(!said_of.contains("HUNTER2"), "{yaml}: {said_of}");
    }
}

#[test]
fn a_kind_of_no_value_means_the_null_kind() {
    let issues = parse("a: { type: null }").unwrap_err();
    assert_eq!(issues, ["sinks.a.type: unknown kind `null` (linked kinds: test)"]);
}

#[test]
fn two_crates_that_claim_one_kind_are_both_named() {
    let registry = Registry::linked().unwrap();
    let mut second = *registry.get("test").unwrap();
    second.crate_name = "another-crate";
    let issue = registry.with(second).unwrap_err();
    assert_eq!(
        issue.to_string(),
        "sink kind `test` is claimed by two crates: another-crate 0.1.0 and wanctl-sink 0.1.0"
    );
}

#[test]
fn a_sink_built_against_another_contract_is_refused() {
    let registry = Registry::linked().unwrap();
    let old = SinkDescriptor { kind: "old", abi: 0, ..*registry.get("test").unwrap() };
    let issue = registry.with(old).unwrap_err();
    assert_eq!(issue.to_string(), "old (wanctl-sink 0.1.0) was built for sink ABI 0; accepted: 1");
}
