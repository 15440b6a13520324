//! `wanctl sinks probe`: opens the sinks that files ask for and asks whether their destinations answer.
//!
//! Each sink is opened on a thread of its own, so that one that hangs or panics hides no other.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::load;
use super::{invalid, write_json};
use crate::sink::{
    Deadline, FaultClass, OpenContext, Registry, Resource, SinkConfig, SinkError, SinkSpec,
};
use crate::units;

/// How long after its deadline a call that kept it may take to return.
const GRACE: Duration = Duration::from_millis(500);

/// Arguments of `wanctl sinks probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
No data is written. Opening does what it does at a start: it creates folders and files that are
not there (an empty database, for one), which is said, and a damaged database may be moved aside.
Disabled sinks are left alone. Exit code 0 when all answer, 1 when one does not.

Examples:
  wanctl sinks probe /etc/wanctl/cable.yaml
  wanctl sinks probe --timeout 1s --json cable.yaml steering.yaml")]
pub(super) struct Arguments {
    /// Files that are meant to run in one process
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How long each sink may take (500ms, 5s)
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = units::parse_duration)]
    timeout: Duration,
    /// As a JSON array of {"sink", "kind", "ok", "class", "message", "created"}
    #[arg(long)]
    json: bool,
}

/// How a probe went.
struct Probed {
    result: Result<(), SinkError>,
    /// Claimed files that opening created.
    created: Vec<PathBuf>,
}

pub(super) fn run(
    arguments: &Arguments,
    registry: &Registry,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let loaded = load(&arguments.files, registry).map_err(|issues| invalid(&issues))?;
    let deadline = Deadline::after(arguments.timeout);
    let enabled = loaded.sinks.iter().filter(|spec| spec.enabled);
    let started: Vec<(&SinkSpec, Receiver<Probed>)> =
        enabled.map(|spec| Ok((spec, start(spec, deadline)?))).collect::<anyhow::Result<_>>()?;
    let probed: Vec<(&SinkSpec, Probed)> = started
        .into_iter()
        .map(|(spec, answer)| (spec, wait(&answer, deadline, arguments.timeout)))
        .collect();
    let fails = probed.iter().any(|(_, probed)| probed.result.is_err());
    if arguments.json {
        let probed: Vec<Value> = probed.iter().map(|(spec, probed)| json(spec, probed)).collect();
        write_json(out, &json!(probed))?;
    } else {
        for (spec, probed) in &probed {
            let created: Vec<String> =
                probed.created.iter().map(|path| format!(", created {}", path.display())).collect();
            let answer = match &probed.result {
                Ok(()) => "ok".to_owned(),
                Err(error) => format!("{}: {error}", class(error.class)),
            };
            writeln!(out, "sink {} ({}): {answer}{}", spec.name, spec.kind, created.concat())?;
        }
        if probed.is_empty() {
            writeln!(out, "no sink is enabled")?;
        }
    }
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Starts a probe on a thread of its own.
fn start(spec: &SinkSpec, deadline: Deadline) -> std::io::Result<Receiver<Probed>> {
    let (answer, receiver) = mpsc::sync_channel(1);
    let config = spec.config.clone();
    let context = OpenContext::new(spec.name.as_str(), deadline);
    thread::Builder::new().name(format!("probe/{}", spec.name)).spawn(move || {
        // Nobody listens any more when the deadline is over.
        let _ = answer.send(probe(&*config, &context, deadline));
    })?;
    Ok(receiver)
}

fn probe(config: &dyn SinkConfig, context: &OpenContext, deadline: Deadline) -> Probed {
    let claims = config.claims().into_iter();
    let files = claims.filter_map(|claim| match claim {
        Resource::File(path) => Some(path),
        _ => None,
    });
    let missing: Vec<PathBuf> = files.filter(|path| !path.exists()).collect();
    let result = config.open(context).and_then(|mut writer| {
        let probed = writer.probe(deadline);
        // The first failure says more than what follows from it.
        let closed = writer.close(deadline);
        probed.and(closed)
    });
    Probed { result, created: missing.into_iter().filter(|path| path.exists()).collect() }
}

/// The answer of a probe, or what its absence means.
fn wait(answer: &Receiver<Probed>, deadline: Deadline, timeout: Duration) -> Probed {
    let (class, message) = match answer.recv_timeout(deadline.remaining() + GRACE) {
        Ok(probed) => return probed,
        Err(RecvTimeoutError::Timeout) => {
            (FaultClass::Cancelled, format!("no answer within {timeout:?}"))
        }
        Err(RecvTimeoutError::Disconnected) => (FaultClass::Bug, "the sink panicked".to_owned()),
    };
    Probed { result: Err(SinkError::new(class, message)), created: Vec::new() }
}

fn json(spec: &SinkSpec, probed: &Probed) -> Value {
    let error = probed.result.as_ref().err();
    json!({
        "sink": spec.name,
        "kind": spec.kind,
        "ok": error.is_none(),
        "class": error.map(|error| class(error.class)),
        "message": error.map(ToString::to_string),
        "created": probed.created,
    })
}

fn class(class: FaultClass) -> String {
    format!("{class:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;
    use crate::sink::SinkWriter;

    /// Opens never, or with a panic.
    #[derive(Clone, Debug)]
    enum Broken {
        Hangs(Arc<Barrier>),
        Panics,
    }

    impl SinkConfig for Broken {
        fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
            match self {
                Broken::Hangs(until) => until.wait(),
                Broken::Panics => panic!("broken"),
            };
            Err(SinkError::new(FaultClass::Transient, "hangs no longer"))
        }
    }

    fn answer(config: Broken, timeout: Duration) -> SinkError {
        let spec = SinkSpec::new("broken", "test", Box::new(config));
        let deadline = Deadline::after(timeout);
        let answer = start(&spec, deadline).unwrap();
        wait(&answer, deadline, timeout).result.unwrap_err()
    }

    #[test]
    fn a_sink_that_hangs_is_given_up_at_the_deadline() {
        let end = Arc::new(Barrier::new(2));
        let error = answer(Broken::Hangs(Arc::clone(&end)), Duration::ZERO);
        end.wait();
        assert_eq!(
            (class(error.class), error.message),
            ("cancelled".into(), "no answer within 0ns".into())
        );
    }

    #[test]
    fn a_sink_that_panics_is_reported_as_a_bug_of_its_own() {
        let error = answer(Broken::Panics, Duration::from_secs(60));
        assert_eq!((class(error.class), error.message), ("bug".into(), "the sink panicked".into()));
    }
}
