//! Several files as one process: what they share, what must agree, and what one knows of the others.

use std::fs;

use wanctl::config::{Config, load};
use wanctl::sink::{Issue, Registry};

/// An autorate controller, in a file of the new shape.
const AUTORATE: &str = "
wan_name: home
continuous_monitoring:
  reflectors: [1.1.1.1]
  download: { ceiling_mbps: 100, floor_mbps: 20 }
  upload: { ceiling_mbps: 20, floor_mbps: 4 }
";
const DRY: &str = "shaper: { type: dry_run }\n";
const CAKE: &str =
    "shaper: { type: linux_cake, download_interface: ifb0, upload_interface: eth0 }\n";

/// A steering controller of the same WAN.
const STEERING: &str = "
topology: { primary_wan: home, alternate_wan: lte }
measurement: { reflectors: [1.1.1.1] }
";

/// Loads files that are named `a.yaml`, `b.yaml`.
fn together(texts: &[&str]) -> Result<Config, Vec<Issue>> {
    let folder = tempfile::tempdir().unwrap();
    let write = |(text, name): (&&str, char)| {
        let path = folder.path().join(format!("{name}.yaml"));
        fs::write(&path, text).unwrap();
        path
    };
    let paths: Vec<_> = texts.iter().zip('a'..).map(write).collect();
    load(&paths, &Registry::linked().unwrap())
}

fn config(texts: &[&str]) -> Config {
    together(texts).unwrap_or_else(|issues| panic!("{issues:?}"))
}

/// The only issue, without the folder of the files.
fn issue(texts: &[&str]) -> String {
    let issues = together(texts).unwrap_err();
    assert_eq!(issues.len(), 1, "{issues:?}");
    let text = issues[0].to_string();
    let folder = issues[0].file.as_ref().unwrap().parent().unwrap();
    text.replace(&format!("{}/", folder.display()), "")
}

fn autorate(shaper: &str, rest: &str) -> String {
    format!("{AUTORATE}{shaper}{rest}\n")
}

fn steering(rest: &str) -> String {
    format!("{STEERING}{rest}\n")
}

fn sink_names(config: &Config) -> Vec<&str> {
    config.sinks.iter().map(|sink| sink.name.as_str()).collect()
}

#[test]
fn sinks_that_agree_are_shared() {
    let written_out = "storage: { db_path: /var/lib/wanctl/metrics.db, retention_days: 7 }";
    let other_name =
        "sinks: { db: { type: sqlite, settings: { path: /var/lib/wanctl/metrics.db } } }";
    for second in ["", written_out, other_name] {
        let config = config(&[&autorate(DRY, ""), &steering(second)]);
        assert_eq!(sink_names(&config), ["history"], "{second}");
    }
}

#[test]
fn sinks_of_one_destination_that_differ_are_refused() {
    let first = "sinks: { h: { type: sqlite, settings: { path: /x.db } } }";
    for second in [
        "sinks: { i: { type: sqlite, settings: { path: /x.db, retention_days: 30 } } }",
        "sinks: { i: { type: sqlite, queue: { seconds: 5 }, settings: { path: /x.db } } }",
        "sinks: { i: { type: sqlite, startup: retry, settings: { path: /x.db } } }",
        "sinks: { i: { type: sqlite, batch: { rows: 9 }, settings: { path: /x.db } } }",
        "sinks: { i: { type: sqlite, retry: { max: 9s }, settings: { path: /x.db } } }",
        "sinks: { i: { type: sqlite, timeout: 9s, settings: { path: /x.db } } }",
        "sinks: { i: { type: sqlite, rename: { prefix: x }, settings: { path: /x.db } } }",
        "sinks: { i: { type: sqlite, select: { include: x }, settings: { path: /x.db } } }",
    ] {
        assert_eq!(
            issue(&[&autorate(DRY, first), &steering(second)]),
            "b.yaml: sinks.i: file /x.db is already taken with other settings or options (a.yaml: sinks.h); they must agree"
        );
    }
    assert_eq!(
        issue(&[
            &autorate(DRY, first),
            &steering("storage: { db_path: /x.db, retention_days: 30 }")
        ]),
        "b.yaml: storage: file /x.db is already taken with other settings or options (a.yaml: sinks.h); they must agree"
    );
}

#[test]
fn two_sinks_of_one_file_or_of_two_kinds_never_share_a_destination() {
    let twice = "sinks: { h: { type: sqlite, settings: { path: /x } }, i: { type: sqlite, settings: { path: /x } } }";
    assert_eq!(
        issue(&[&autorate(DRY, twice)]),
        "a.yaml: sinks.i: file /x is already taken (a.yaml: sinks.h)"
    );
    let sqlite = autorate(DRY, "sinks: { h: { type: sqlite, settings: { path: /x } } }");
    let file = steering("sinks: { t: { type: file, settings: { path: /x } } }");
    assert_eq!(
        issue(&[&sqlite, &file]),
        "b.yaml: sinks.t: file /x is already taken (a.yaml: sinks.h)"
    );
}

#[test]
fn a_disabled_sink_takes_no_destination_and_no_name() {
    let sinks = "sinks: { h: { type: sqlite, enabled: false, settings: { path: /x.db } }, h2: { type: sqlite, settings: { path: /x.db } } }";
    let config = config(&[&autorate(DRY, sinks)]);
    assert_eq!(sink_names(&config), ["h2"]);
    assert!(config.sinks[0].enabled);
    let notes: Vec<String> = config.notes.iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.ends_with("a.yaml: sinks.h: is disabled")), "{notes:?}");
}

#[test]
fn a_glob_that_selects_no_metric_is_noted() {
    let sinks = "sinks: { n: { type: 'null', select: { include: [wanctl_rtt_*, wanctl_rt_ms], exclude: [wanctl_sink_*] } } }";
    let notes: Vec<String> =
        config(&[&autorate(DRY, sinks)]).notes.iter().map(ToString::to_string).collect();
    let about: Vec<&String> = notes.iter().filter(|note| note.contains("sinks.n")).collect();
    let expected =
        "a.yaml: sinks.n.select.include: `wanctl_rt_ms` matches no metric of this program";
    assert!(about.len() == 1 && about[0].ends_with(expected), "{about:?}");
}

#[test]
fn steering_reads_the_cake_of_another_file() {
    for (asked, shaper, aware) in [
        ("", CAKE, true),
        ("", DRY, false),
        ("mode: { cake_aware: true }", CAKE, true),
        ("mode: { cake_aware: false }", CAKE, false),
    ] {
        let (steering, autorate) = (steering(asked), autorate(shaper, ""));
        for files in [[&*steering, &*autorate], [&*autorate, &*steering]] {
            let config = config(&files);
            assert_eq!(config.steering[0].policy.cake_aware, aware, "{asked} {shaper}");
        }
        let config = config(&[&format!("{autorate}{steering}")]);
        assert_eq!(config.steering[0].policy.cake_aware, aware, "{asked} {shaper} in one file");
    }
}

#[test]
fn a_cake_that_no_file_has_is_missed() {
    let aware = steering("mode: { cake_aware: true }");
    let of_another_wan = autorate(CAKE, "").replace("wan_name: home", "wan_name: away");
    for files in [vec![&*aware], vec![&aware, &of_another_wan], vec![&aware, &autorate(DRY, "")]] {
        assert_eq!(
            issue(&files),
            "a.yaml: mode.cake_aware: found true; accepted: false, or true with router.type routeros_rest or shaper.type linux_cake of topology.primary_wan, which have a CAKE to read"
        );
    }
}

#[test]
fn a_cake_may_be_in_a_file_that_can_not_be_read() {
    let aware = steering("mode: { cake_aware: true }");
    let broken = autorate(CAKE, "").replace("floor_mbps: 20", "floor_mbps: 200");
    let issue = issue(&[&aware, &broken]);
    assert!(issue.starts_with("b.yaml: continuous_monitoring.download.floor_mbps: "), "{issue}");
}

#[test]
fn mistakes_of_a_file_and_between_files_are_reported_together() {
    let sink = |days| {
        format!(
            "sinks: {{ h: {{ type: sqlite, settings: {{ path: /x.db, retention_days: {days} }} }} }}"
        )
    };
    let first = autorate(DRY, &format!("{}{STEERING}", sink(7)));
    let second = autorate(DRY, &format!("{}{STEERING}", sink(30)))
        .replace("floor_mbps: 20", "floor_mbps: 200")
        .replace("alternate_wan", "alternate");
    for files in [[&*first, &*second], [&*second, &*first]] {
        let issues = together(&files).unwrap_err();
        let mut paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "continuous_monitoring.download.floor_mbps",
                "sinks.h",
                "topology.alternate",
                "topology.primary_wan",
                "wan_name",
            ],
            "{issues:?}"
        );
    }
}

#[test]
fn steering_of_a_wan_without_autorate_is_noted_beside_other_autorate_controllers() {
    let noted = |texts: &[&str]| {
        let config = config(texts);
        let notes = config.notes.iter().filter(|note| note.path == "topology.primary_wan");
        notes.map(|note| note.message.clone()).collect::<Vec<_>>()
    };
    let other = autorate(DRY, "").replace("wan_name: home", "wan_name: away");
    let named = steering("cake_state_sources: { primary: /run/home.json }");
    assert_eq!(
        noted(&[&other, &steering("")]),
        ["no autorate controller here has this WAN, so steering learns its own baseline"]
    );
    assert!(noted(&[&steering(""), &autorate(DRY, "")]).is_empty());
    assert!(noted(&[&steering("")]).is_empty(), "nothing hints at a mistake");
    assert!(noted(&[&other, &named]).is_empty(), "its baseline is another program's");
}

#[test]
fn the_order_of_limits_does_not_depend_on_other_files() {
    let limits = "thresholds: { green_rtt_ms: 20 }\n";
    for autorate in [autorate(CAKE, ""), autorate(DRY, "")] {
        let issue = issue(&[&steering(limits), &autorate]);
        assert!(issue.starts_with("a.yaml: thresholds.green_rtt_ms: "), "{issue}");
    }
    config(&[&steering(&format!("{limits}mode: {{ cake_aware: false }}"))]);
}

#[test]
fn scoring_that_can_never_steer_is_noted() {
    let noted = |mode: &str, rest: &str, shaper: &str| {
        let steering = steering(&format!("mode: {{ {mode} }}\n{rest}"));
        let config = config(&[&steering, &autorate(shaper, "")]);
        config.notes.iter().any(|note| note.path == "mode.use_confidence_scoring")
    };
    let scoring = "use_confidence_scoring: true";
    assert!(noted(scoring, "", DRY), "the default of cake_aware is off without a CAKE");
    assert!(noted(&format!("cake_aware: false, {scoring}"), "", CAKE));
    assert!(!noted(scoring, "", CAKE));
    assert!(!noted("use_confidence_scoring: false", "", DRY));
    assert!(!noted(scoring, "confidence: { steer_threshold: 25 }", DRY));
    assert!(noted(scoring, "confidence: { steer_threshold: 26 }", DRY));
}
