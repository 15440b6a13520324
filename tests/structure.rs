//! The shape of the repository: what belongs where, and what may not know of what.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wanctl::sink::{Registry, SinkSpec, catalogue, conflicts};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of the sinks, without those of what sinks are made with.
fn sink_folders() -> Vec<String> {
    let entries = fs::read_dir(root().join("sinks")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| !["core", "http"].contains(&&**name)).collect();
    names.sort();
    names
}

/// Every Rust file below these files and folders.
fn sources(places: &[&str]) -> Vec<PathBuf> {
    let mut waiting: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            if !path.ends_with("target") {
                waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "{places:?}");
    found
}

/// Places in the code, not in comments, that name something they must not know.
fn mentions(places: &[&str], forbidden: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(places) {
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in forbidden.iter().filter(|name| code.contains(**name)) {
                let path = path.strip_prefix(root()).unwrap().display().to_string();
                found.push(format!("{path}:{}: {name}", number + 1));
            }
        }
    }
    found
}

#[test]
fn every_sink_folder_is_linked_and_registered() {
    let registry = Registry::linked().unwrap();
    let linked: BTreeSet<&str> = registry.iter().map(|kind| kind.crate_name).collect();
    for folder in sink_folders() {
        let name = format!("wanctl-sink-{folder}");
        let module = name.replace('-', "_");
        assert!(
            linked.contains(name.as_str()),
            "sinks/{folder} registers no kind in this program. Paste\n\n\
             below [dependencies] of Cargo.toml:\n{name} = {{ path = \"sinks/{folder}\" }}\n\n\
             into src/sinks.rs:\nuse {module} as _;\n"
        );
    }
}

#[test]
fn every_sink_has_a_readme_and_a_sample_that_parses() {
    let registry = Registry::linked().unwrap();
    for folder in sink_folders() {
        let readme = read(format!("sinks/{folder}/README.md"));
        assert!(readme.starts_with("# "), "sinks/{folder}/README.md has no heading");
        let sample = read(format!("sinks/{folder}/sample.yaml"));
        let specs = SinkSpec::parse_yaml(&sample, &registry)
            .unwrap_or_else(|issues| panic!("sinks/{folder}/sample.yaml: {issues:?}"));
        let name = format!("wanctl-sink-{folder}");
        let own = |spec: &SinkSpec| registry.get(&spec.kind).unwrap().crate_name == name;
        assert!(specs.iter().any(own), "sinks/{folder}/sample.yaml shows another sink");
    }
}

#[test]
fn kinds_of_sinks_are_sorted_and_their_samples_parse() {
    let registry = Registry::linked().unwrap();
    let kinds: Vec<&str> = registry.iter().map(|kind| kind.kind).collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    for kind in registry.iter() {
        let specs = SinkSpec::parse_yaml(kind.sample, &registry).unwrap();
        assert!(specs.iter().any(|spec| spec.kind == kind.kind), "{kind:?}");
        assert!(!kind.summary.is_empty() && !kind.summary.ends_with('.'), "{kind:?}");
    }
}

#[test]
fn every_metric_is_declared_once_and_described() {
    assert_eq!(conflicts(), []);
    let catalogue = catalogue();
    assert!(catalogue.contains_key("wanctl_rtt_ms"));
    for (name, metric) in catalogue {
        let is_snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(is_snake), "{name} is not snake_case");
        assert!(name.starts_with("wanctl_"), "{name} does not begin with wanctl_");
        assert!(!name.contains("__") && !name.ends_with('_'), "{name} has an empty part");
        let help = metric.help;
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}: {help:?}");
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for path in sources(&["src", "sinks", "examples", "tests"]) {
        assert!(read(&path).starts_with("//! "), "{} does not begin with //!", path.display());
    }
}

#[test]
fn the_controllers_know_no_clock_no_network_and_no_daemon() {
    let pure = [
        "src/autorate",
        "src/steering",
        "src/signal",
        "src/units.rs",
        "src/telemetry.rs",
        "src/runner",
    ];
    let forbidden = [
        "std::net",
        "std::fs",
        "std::thread",
        "tracing",
        "Instant::now",
        "SystemTime",
        "crate::daemon",
        "crate::measure",
        "crate::shaper",
        "crate::router",
    ];
    let found = mentions(&pure, &forbidden);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_sink_framework_does_no_io_of_its_own() {
    let io = ["std::fs", "std::net", "std::process", "fs::read", "env::var"];
    let mut found = mentions(&["sinks/core/src"], &io);
    // A secret is looked up where it is used, and the kit for tests of sinks looks at folders and runs
    // tests in processes of their own.
    let exempt = ["sinks/core/src/secret.rs:", "sinks/core/src/conformance/"];
    found.retain(|place| !exempt.iter().any(|one| place.starts_with(one)));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_repository_has_no_other_top_level_entries() {
    const KNOWN: [&str; 12] = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "config",
        "examples",
        "sinks",
        "src",
        "tests",
    ];
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        return eprintln!("skipped: this is no git repository");
    };
    let listed = String::from_utf8(listed.stdout).unwrap();
    let top = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let entries: BTreeSet<String> = listed.split_terminator('\0').map(top).collect();
    assert!(entries.contains("Cargo.toml"), "{entries:?}");
    let unknown =
        entries.iter().filter(|name| !name.starts_with('.') && !KNOWN.contains(&name.as_str()));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new());
}
