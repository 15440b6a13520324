//! What the program says about files and about itself, without running anything.

use std::fs;
use std::path::Path;

use super::support::{BOTH, Place};

/// A router that can't be driven.
const ROUTER: &str = "\
router: { type: routeros_rest, host: 127.0.0.1, user: admin, password: x }
mangle_rule: { comment: Steer }
";

/// Three mistakes.
fn broken() -> String {
    let text = BOTH.replace("floor_mbps: 20", "flor_mbps: 20").replace("dry_run", "wet_run");
    format!("{text}sinks: {{ a: {{ type: nope }} }}\n")
}

#[test]
fn every_shipped_configuration_is_valid() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            // The samples name passwords by the environment variable that holds them.
            let mut command = place.command("check {}", &path);
            command.env("WANCTL_ROUTER_PASSWORD", "x");
            let check = place.start(command).finish().success();
            assert!(check.out.ends_with("valid\n"), "{}", check.out);
            assert_eq!(check.err, "");
            count += 1;
        }
    }
    assert!(count >= 5);
    assert!(place.files().is_empty(), "a check creates nothing");
}

#[test]
fn a_check_reports_all_mistakes_at_once() {
    let place = Place::new();
    let config = place.write("wan.yaml", &broken());
    let check = place.run("check {}", &config).failure();
    for part in ["download.flor_mbps: unknown key; did you mean `floor_mbps`?", "shaper.type"] {
        assert!(check.out.contains(part), "{}", check.out);
    }
    let counted = check.out.lines().last().unwrap();
    let mistakes = check.out.lines().count() - 1;
    assert!(mistakes >= 3, "{}", check.out);
    assert_eq!(counted, format!("{mistakes} errors"));
}

#[test]
fn a_check_in_json_has_the_same_mistakes() {
    let place = Place::new();
    let config = place.write("wan.yaml", &broken());
    let check = place.run("check --json {}", &config).failure().json();
    assert_eq!(check["valid"], false);
    let issues = check["issues"].as_array().unwrap();
    assert!(issues.len() >= 3);
    for issue in issues {
        assert_eq!(issue["file"], config.to_str().unwrap());
        assert!(issue["path"].is_string() && issue["message"].is_string(), "{issue}");
    }

    let config = place.write("wan.yaml", &format!("{BOTH}storage: null\n"));
    let check = place.run("check --json {}", &config).success().json();
    assert_eq!((&check["valid"], check["issues"].as_array().unwrap().len()), (&true.into(), 0));
    assert_eq!(check["notes"][0]["path"], "storage");
}

#[test]
fn a_check_notes_what_runs_as_a_dry_run_only() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}{ROUTER}"));
    let check = place.run("check {}", &config).success();
    let note = format!("note: {}: router: runs with --dry-run only: ", config.display());
    assert!(check.out.contains(&note), "{}", check.out);
    let check = place.run("check --json {}", &config).success().json();
    let notes = check["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["path"] == "router").unwrap();
    assert_eq!(note["file"], config.to_str().unwrap());
    let message = note["message"].as_str().unwrap();
    assert!(message.starts_with("runs with --dry-run only: a RouterOS router"), "{message}");
}

#[test]
fn a_secret_that_is_not_here_is_noted_by_a_check() {
    let place = Place::new();
    let router = ROUTER.replace("password: x", "password: env:WANCTL_TEST_UNSET");
    let config = place.write("wan.yaml", &format!("{BOTH}{router}"));
    let check = place.run("check {}", &config).success();
    let note = format!(
        "note: {}: router.password: environment variable WANCTL_TEST_UNSET is not set here\n",
        config.display()
    );
    assert_eq!(check.out.matches(&note).count(), 1, "{}", check.out);
}

#[test]
fn a_run_that_is_refused_creates_no_file() {
    let place = Place::new();
    let history = format!("{BOTH}{ROUTER}storage: {{ db_path: history.db }}\n");
    let config = place.write("wan.yaml", &history);
    let run = place.run("run --config {} --duration 1s", &config).failure();
    let refusal =
        format!("wanctl: can't start:\n  {}: router: a RouterOS router", config.display());
    assert!(run.err.contains(&refusal), "{}", run.err);
    assert!(place.files().is_empty(), "{:?}", place.files());

    let unset = history.replace("password: x", "password: env:WANCTL_TEST_UNSET");
    let config = place.write("wan.yaml", &unset);
    let run = place.run("run --config {} --duration 1s", &config).failure();
    assert!(run.err.contains("router.password"), "{}", run.err);
    assert!(place.files().is_empty(), "{:?}", place.files());

    place.run("run --config {} --duration 100ms --dry-run", &config).success();
    assert_eq!(place.files(), ["history.db"]);
}

#[test]
fn an_unknown_kind_of_sink_is_a_mistake_that_names_the_known_kinds() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}sinks: {{ a: {{ type: sqlit }} }}\n"));
    let check = place.run("check {}", &config).failure();
    for part in
        ["sinks.a.type", "did you mean `sqlite`?", "file, log, memory, null, prometheus, sqlite"]
    {
        assert!(check.out.contains(part), "{}", check.out);
    }
}

#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    let place = Place::new();
    let check = place.run("check {}", &place.path("missing.yaml")).failure();
    assert!(check.out.contains("missing.yaml"), "{}", check.out);
    assert!(check.out.ends_with("\n1 error\n"), "{}", check.out);
}

#[test]
fn the_kinds_of_sinks_are_listed_in_order() {
    let place = Place::new();
    let nothing = place.path("");
    let text = place.run("sinks list", &nothing).success().out;
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let kinds: Vec<String> = text.lines().map(first).collect();
    assert!(kinds.is_sorted(), "{text}");
    for kind in ["file", "memory", "null", "sqlite"] {
        assert!(kinds.iter().any(|listed| listed == kind), "{text}");
    }
    let json = place.run("sinks list --json", &nothing).success().json();
    let listed: Vec<&str> =
        json.as_array().unwrap().iter().map(|sink| sink["kind"].as_str().unwrap()).collect();
    assert_eq!(listed, kinds);
    for sink in json.as_array().unwrap() {
        for key in ["summary", "crate", "version"] {
            assert!(!sink[key].as_str().unwrap().is_empty(), "{sink}");
        }
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let place = Place::new();
    for command in ["", "run ", "status ", "check ", "sinks ", "history "] {
        let help = place.run(&format!("{command}--help"), &place.path("")).success();
        assert!(help.out.contains("Example"), "{command}: {}", help.out);
        let example = format!("  wanctl {command}");
        assert!(help.out.contains(example.trim_end()), "{command}: {}", help.out);
    }
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let place = Place::new();
    for wrong in ["runn", "run", "run --config a.yaml --duration never", "history --limit many"] {
        let finished = place.run(wrong, &place.path(""));
        assert_eq!(finished.code, Some(2), "{wrong}: {}", finished.err);
        assert!(!finished.err.is_empty());
    }
}
