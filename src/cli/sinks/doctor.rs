//! `wanctl sinks doctor`: what may keep sinks from working, each with what to do about it.
//!
//! Nothing is opened or created; a TCP port is bound for a moment to see whether it is free.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::load::{Loaded, load};
use super::{destinations, write_json};
use crate::config::Note;
use crate::measure::icmp_is_permitted;
use crate::sink::{ABI, Issue, Registry, catalogue, conflicts};

/// Arguments of `wanctl sinks doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without files it looks at this program and this machine; with files also at the sinks in them.
Run it as the user who runs wanctl. Exit code 0 when there is no error, 1 when there is.

Kinds are linked when the program is built, not loaded when it runs: a crate that is a dependency but \
that no code names (`use my_sink as _;`) is not there. With a file that asks for its kind, this says \
what to write.

Examples:
  wanctl sinks doctor
  wanctl sinks doctor --json /etc/wanctl/cable.yaml | jq '.[] | select(.level != \"ok\")'")]
pub(super) struct Arguments {
    /// Files that are meant to run in one process
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As a JSON array of {"level", "subject", "message", "remedy"}
    #[arg(long)]
    json: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, but perhaps not as meant.
    Warning,
    /// A sink, or the program, can't work like this.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One thing that was looked at.
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at.
    pub(super) subject: String,
    /// How it is.
    pub(super) message: String,
    /// What to do, in one line or several; empty when there is nothing to do.
    pub(super) remedy: String,
}

impl Finding {
    fn new(level: Level, subject: &str, message: String, remedy: &str) -> Self {
        Finding { level, subject: subject.to_owned(), message, remedy: remedy.to_owned() }
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut findings = vec![panics(cfg!(panic = "unwind")), icmp()];
    if conflicts().is_empty() {
        let message = format!("{} are declared, none in two ways", catalogue().len());
        findings.push(Finding::new(Level::Ok, "metrics", message, ""));
    }
    match Registry::linked() {
        Ok(registry) => {
            kinds(&registry, &mut findings);
            if !arguments.files.is_empty() {
                match load(&arguments.files, &registry) {
                    Ok(loaded) => sinks(&loaded, &mut findings),
                    Err(issues) => findings.extend(issues.iter().map(mistake)),
                }
            }
        }
        Err(issues) => findings.extend(issues.into_iter().map(|issue| {
            let remedy = "leave one of the crates out of the program, or use versions that fit";
            Finding::new(Level::Error, "linked sinks", issue.message, remedy)
        })),
    }
    report(&findings, arguments.json, out)?;
    let fails = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn panics(unwind: bool) -> Finding {
    if unwind {
        let message = "a sink that panics is opened again; the program and other sinks go on";
        return Finding::new(Level::Ok, "panics", message.to_owned(), "");
    }
    let message = "this program was built with panic = \"abort\": a sink that panics ends it";
    let remedy = "build it with panic = \"unwind\", the default of Cargo's profiles";
    Finding::new(Level::Warning, "panics", message.to_owned(), remedy)
}

fn icmp() -> Finding {
    if icmp_is_permitted(IpAddr::V4(Ipv4Addr::LOCALHOST)) {
        let message = "ICMP is permitted: round-trip times are those of echoes";
        return Finding::new(Level::Ok, "measuring", message.to_owned(), "");
    }
    let message = "ICMP is not permitted: what is recorded are TCP connect times, which include the \
                   other host's time to accept; a file that switches those off does not start";
    let remedy = "setcap cap_net_raw+ep on the program, AmbientCapabilities=CAP_NET_RAW in its systemd \
                  unit, or sysctl net.ipv4.ping_group_range=\"0 2147483647\"";
    Finding::new(Level::Warning, "measuring", message.to_owned(), remedy)
}

/// What is linked.
fn kinds(registry: &Registry, findings: &mut Vec<Finding>) {
    let program = format!("wanctl {}, sink ABI {ABI}", env!("CARGO_PKG_VERSION"));
    findings.push(Finding::new(Level::Ok, "program", program, ""));
    for kind in registry.iter() {
        let from = format!("{} {}, sink ABI {}", kind.crate_name, kind.crate_version, kind.abi);
        findings.push(Finding::new(Level::Ok, &format!("kind {}", kind.kind), from, ""));
    }
    if registry.get("sqlite").is_err() {
        let message = "is not linked, and files without `sinks` and `storage` ask for it";
        let remedy = "build with the feature sqlite, or name `sinks` in each file";
        findings.push(Finding::new(Level::Warning, "kind sqlite", message.to_owned(), remedy));
    }
}

/// The sinks that files ask for.
fn sinks(loaded: &Loaded, findings: &mut Vec<Finding>) {
    findings.extend(loaded.notes.iter().map(|Note { file, path, message }| {
        let subject = format!("{}: {path}", file.display());
        Finding::new(Level::Warning, &subject, message.clone(), "change it if it is not meant")
    }));
    for spec in &loaded.sinks {
        let subject = format!("sink {}", spec.name);
        if !spec.enabled {
            let remedy = "change `enabled` if it is not meant";
            let message = "is disabled".to_owned();
            findings.push(Finding::new(Level::Warning, &subject, message, remedy));
            continue;
        }
        let message = format!("kind {}, its settings are valid", spec.kind);
        findings.push(Finding::new(Level::Ok, &subject, message, ""));
        let claims = spec.config.claims();
        findings.extend(claims.iter().map(|claim| destinations::examine(&spec.name, claim)));
    }
    if loaded.sinks.is_empty() {
        let message = "no sink is enabled, so nothing is recorded".to_owned();
        findings.push(Finding::new(Level::Warning, "files", message, "wanctl sinks sample"));
    }
}

/// What a mistake in a file calls for.
fn mistake(issue: &Issue) -> Finding {
    let file = issue.file.as_ref().map(|file| file.display().to_string());
    let subject = match (file, issue.path.is_empty()) {
        (Some(file), true) => file,
        (Some(file), false) => format!("{file}: {}", issue.path),
        (None, _) => issue.path.clone(),
    };
    let remedy = match unknown_kind(issue) {
        Some(kind) => linking(kind),
        None => {
            "change the file; the sinks' destinations are looked at when no mistake is left".into()
        }
    };
    Finding { level: Level::Error, subject, message: issue.message.clone(), remedy }
}

/// The kind that this program does not have, if that is the mistake.
fn unknown_kind(issue: &Issue) -> Option<&str> {
    let name = issue.path.strip_prefix("sinks.")?.strip_suffix(".type")?;
    if name.contains(".settings") {
        return None;
    }
    issue.message.strip_prefix("unknown kind `")?.split('`').next()
}

/// How a kind of another crate gets into the program. Crates are named after their kinds by convention.
fn linking(kind: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let kind = if kind.chars().all(plain) { kind } else { "mine" };
    let package = format!("wanctl-sink-{}", kind.replace('_', "-"));
    let module = package.replace('-', "_");
    format!(
        "misspelt? `wanctl sinks list` shows the kinds that are linked\n\
         in a crate of its own? The program needs two lines, here as if the crate were {package}:\n\
         \x20 in Cargo.toml, below [dependencies]: {package} = \"*\"\n\
         \x20 in its code, in main.rs: use {module} as _;\n\
         without the second the crate is not linked, although it is a dependency, and registers nothing"
    )
}

fn report(findings: &[Finding], as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if as_json {
        let findings = findings.iter().map(|finding| {
            json!({
                "level": finding.level.name(),
                "subject": finding.subject,
                "message": finding.message,
                "remedy": (!finding.remedy.is_empty()).then_some(&finding.remedy),
            })
        });
        let findings: Vec<Value> = findings.collect();
        return write_json(out, &json!(findings));
    }
    for Finding { level, subject, message, remedy } in findings {
        writeln!(out, "{:<8} {subject}: {message}", level.name())?;
        for line in remedy.lines() {
            writeln!(out, "{:<8} -> {line}", "")?;
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    writeln!(out, "errors: {}, warnings: {}", count(Level::Error), count(Level::Warning))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_aborts_on_panic_is_warned_of() {
        assert_eq!(panics(true).level, Level::Ok);
        assert_eq!(panics(false).level, Level::Warning);
    }

    #[test]
    fn an_unknown_kind_is_told_how_to_link_it_and_another_mistake_is_not() {
        let remedy = |path: &str, message: &str| mistake(&Issue::new(path, message)).remedy;
        let unknown = "unknown kind `my_kafka` (linked kinds: null)";
        let linking = remedy("sinks.a.type", unknown);
        for line in ["wanctl-sink-my-kafka = \"*\"", "use wanctl_sink_my_kafka as _;"] {
            assert!(linking.lines().any(|l| l.ends_with(line)), "{linking}");
        }
        let odd = remedy("sinks.a.type", "unknown kind `a b` (linked kinds: null)");
        assert!(odd.contains("use wanctl_sink_mine as _;"), "{odd}");
        for (path, message) in [
            ("sinks.a.settings.type", unknown),
            ("sinks.a.type", "missing; accepted: null"),
            ("wan_name", "unknown kind"),
        ] {
            assert!(!remedy(path, message).contains("as _;"), "{path}: {message}");
        }
    }
}
