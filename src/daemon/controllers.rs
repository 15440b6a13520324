//! Finds what to measure and to drive, and starts the controllers with it.
//!
//! The order matters: first everything that takes time or can fail, then the shapers' first rates, then
//! control. So a program that can't work has touched nothing, and one that starts again shapes with the
//! rates it ended with.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use tracing::warn;
use wanctl_sink::{Issue, MetricsSink, Pipeline, Timestamp};

use super::clock::Clock;
use super::cycle::{Beat, Journal};
use super::prepare::{self, Loop, Shaping};
use super::reflectors::{self, Discovery, Wanted};
use super::running::{Controller, Running};
use super::schedule::Schedule;
use super::wait::{self, Event};
use super::{RunError, RunOptions, actuator};
use crate::config::{AutorateConfig, Config, ShaperConfig, SteeringConfig, Trigger};
use crate::measure::{self, Choice, MeasureError, ProbeConfig};
use crate::shaper::{self, Shaper, ShaperError};
use crate::telemetry;

/// What all controllers of a process share.
pub(super) struct Program<'a> {
    pub(super) config: &'a Config,
    pub(super) options: &'a RunOptions,
    pub(super) pipeline: &'a Pipeline,
    pub(super) clock: Clock,
    pub(super) journal: &'a Arc<Journal>,
    pub(super) events: &'a Sender<Event>,
}

/// What an autorate controller measures and drives.
type Autorate<'a> = (&'a AutorateConfig, ProbeConfig, Box<dyn Shaper>);
/// What a steering controller measures.
type Steering<'a> = (&'a SteeringConfig, ProbeConfig);

/// Starts all controllers; `None` when a signal asked to stop meanwhile.
///
/// # Errors
///
/// Something that can't work. Nothing runs then.
pub(super) fn start(
    program: &Program<'_>,
    inbox: &Receiver<Event>,
) -> Result<Option<Running>, RunError> {
    let Program { config, options, .. } = *program;
    if config.autorate.len() > 1 {
        warn!("Probes are not bound to a WAN: all WANs are measured by the default route.");
    }
    // Interfaces first: they are known at once, and looking for reflectors takes seconds.
    let shapers: Vec<Box<dyn Shaper>> =
        config.autorate.iter().map(|one| shaper(one, options)).collect::<Result<_, _>>()?;
    let mut discovery = Discovery::default();
    let mut autorate = Vec::new();
    for (one, shaper) in config.autorate.iter().zip(shapers) {
        autorate.push((one, autorate_probes(one, &mut discovery)?, shaper));
        if wait::is_asked_to_stop(inbox, program.events) {
            return Ok(None);
        }
    }
    let mut steering = Vec::new();
    for one in &config.steering {
        steering.push((one, steering_probes(one, &mut discovery)?));
        if wait::is_asked_to_stop(inbox, program.events) {
            return Ok(None);
        }
    }
    let mut running = Running::default();
    match start_all(&mut running, program, autorate, steering) {
        Ok(()) => Ok(Some(running)),
        Err(error) => {
            let _ = running.stop_control();
            running.wait_for_helpers();
            Err(error)
        }
    }
}

fn start_all(
    running: &mut Running,
    program: &Program<'_>,
    autorate: Vec<Autorate<'_>>,
    steering: Vec<Steering<'_>>,
) -> Result<(), RunError> {
    let origin = program.clock.now() + prepare::HEADSTART;
    let (mut loops, mut shapings) = (Vec::new(), Vec::new());
    for (one, probes, shaper) in autorate {
        let (ready, shaping) = prepare::autorate(running, program, origin, one, probes, shaper)?;
        loops.push(ready);
        shapings.push((shaping, one.file.as_path()));
    }
    for (one, probes) in steering {
        loops.push(prepare::steering(running, program, origin, one, probes, &loops)?);
    }
    for (shaping, file) in &mut shapings {
        // A missing permission shows here, before anything runs.
        shaping.shaper.apply(shaping.first).map_err(|error| refused(&error, file))?;
    }
    for (shaping, _) in shapings {
        let Shaping { wan, shaper, target, .. } = shaping;
        running.keep(actuator::start(&wan, shaper, &target)?);
    }
    for one in loops {
        let Loop { kind, wan, interval, status, prober, body } = one;
        let beat = Beat {
            wan: wan.as_str().into(),
            schedule: Schedule::new(origin, interval, program.options.duration),
            interval,
            clock: program.clock,
            stop: running.stop_flag(),
            status: Arc::clone(&status),
            journal: Arc::clone(program.journal),
        };
        let events = program.events.clone();
        let controller = Controller { kind, wan, interval, status };
        running.control(controller, prober, events, move || body(beat))?;
    }
    Ok(())
}

fn autorate_probes(
    config: &AutorateConfig,
    discovery: &mut Discovery,
) -> Result<ProbeConfig, MeasureError> {
    let wan = config.wan_name.as_str();
    let may_use_tcp = may_use_tcp(config);
    let choice = discovery.choose(&Wanted {
        wan,
        reflectors: &config.reflectors,
        tcp_targets: &config.tcp_targets,
        may_use_tcp,
        fallback_to_local: config.fallback_to_local,
    })?;
    let mut probes = probes(choice, config.cycle, config.ping_timeout, config.use_median);
    if config.policy.fallback.enabled && config.check_gateway {
        probes.gateway = reflectors::gateway(wan, config.gateway.as_deref());
    }
    if !may_use_tcp {
        probes.tcp_targets.clear();
    }
    Ok(probes)
}

fn steering_probes(
    config: &SteeringConfig,
    discovery: &mut Discovery,
) -> Result<ProbeConfig, MeasureError> {
    let choice = discovery.choose(&Wanted {
        wan: &config.policy.primary_wan,
        reflectors: &config.reflectors,
        tcp_targets: &[],
        may_use_tcp: true,
        fallback_to_local: config.fallback_to_local,
    })?;
    Ok(probes(choice, config.interval, config.ping_timeout, true))
}

fn may_use_tcp(config: &AutorateConfig) -> bool {
    config.policy.fallback.enabled && config.check_tcp
}

/// What a prober probes: the first three reflectors for their median, or the first one alone.
fn probes(choice: Choice, interval: Duration, timeout: Duration, use_median: bool) -> ProbeConfig {
    let most = if use_median { 3 } else { 1 };
    let Choice { mut reflectors, mut tcp_targets, method, .. } = choice;
    reflectors.truncate(most);
    tcp_targets.truncate(most);
    ProbeConfig { reflectors, tcp_targets, gateway: None, interval, timeout, method }
}

/// Records the configuration in force: one row for each WAN of each controller.
pub(super) fn record_snapshots(
    config: &Config,
    sink: &dyn MetricsSink,
    at: Timestamp,
    trigger: Trigger,
) {
    for one in &config.autorate {
        let labels = one.snapshot.labels(trigger);
        let _ =
            telemetry::record_config_snapshot(sink, at, &one.wan_name, telemetry::AUTORATE, labels);
    }
    for one in &config.steering {
        let labels = one.snapshot.labels(trigger);
        let wan = &one.policy.primary_wan;
        let _ = telemetry::record_config_snapshot(sink, at, wan, telemetry::STEERING, labels);
    }
}

fn shaper(config: &AutorateConfig, options: &RunOptions) -> Result<Box<dyn Shaper>, RunError> {
    match &config.shaper {
        ShaperConfig::LinuxCake { download_interface, upload_interface } if !options.dry_run => {
            let cake = shaper::LinuxCake::new(download_interface, upload_interface)
                .map_err(|error| refused(&error, &config.file))?;
            Ok(Box::new(cake))
        }
        _ => Ok(Box::new(shaper::DryRun::new())),
    }
}

fn refused(error: &ShaperError, file: &Path) -> RunError {
    RunError::Config(vec![Issue::new("shaper", error.to_string()).in_file(file)])
}

/// WANs that may be measured by ICMP only, in a process that may send none.
pub(super) fn unmeasurable(config: &Config) -> Vec<Issue> {
    if measure::icmp_is_permitted(IpAddr::V4(Ipv4Addr::LOCALHOST)) {
        return Vec::new();
    }
    let icmp_only = config.autorate.iter().filter(|one| !may_use_tcp(one));
    let issue = |one: &AutorateConfig| {
        let key = if one.policy.fallback.enabled { "check_tcp" } else { "enabled" };
        let key = format!("continuous_monitoring.fallback_checks.{key}");
        let message = "found false, which leaves ICMP alone, and this process may not send ICMP; accepted: true, or a process with the capability CAP_NET_RAW or a group in the sysctl net.ipv4.ping_group_range";
        Issue::new(key, message).in_file(&one.file)
    };
    icmp_only.map(issue).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::{Mutex, mpsc};

    use wanctl_sink::PipelineOptions;

    use super::*;
    use crate::shaper::{Applied, Rates};
    use crate::units::Rate;

    const CONFIG: &str = "
wan_name: wan1
continuous_monitoring:
  reflectors: [127.0.0.1]
  download: { ceiling_mbps: 100, floor_mbps: 20 }
  upload: { ceiling_mbps: 20, floor_mbps: 4 }
shaper: { type: dry_run }
";

    /// Keeps what it is given, and refuses it if so told.
    struct Recorder {
        refuses: bool,
        taken: Arc<Mutex<Vec<Rates>>>,
    }

    impl Shaper for Recorder {
        fn apply(&mut self, rates: Rates) -> Result<Applied, ShaperError> {
            self.taken.lock().unwrap().push(rates);
            if self.refuses {
                return Err(ShaperError::Forbidden { interface: "test0".to_owned() });
            }
            Ok(Applied { rates })
        }

        fn check(&mut self) -> Result<String, ShaperError> {
            Ok(String::new())
        }

        fn describe(&self) -> String {
            String::new()
        }
    }

    /// Starts one autorate controller, stops it, and answers what its shaper was given.
    ///
    /// It probes 240.0.0.1, which never answers, so every decision holds the first rates.
    fn run(state_file: Option<PathBuf>, refuses: bool) -> (Result<usize, RunError>, Vec<Rates>) {
        let mut autorate =
            crate::config::parse(CONFIG, "wan1.yaml".as_ref()).unwrap().autorate.unwrap();
        autorate.state_file = state_file;
        let config = Config {
            autorate: vec![autorate],
            steering: Vec::new(),
            sinks: Vec::new(),
            health_check: vec![],
            notes: Vec::new(),
            written: Default::default(),
        };
        let (events, _inbox) = mpsc::channel();
        let frames_per_second = 20.0;
        let program = Program {
            config: &config,
            options: &RunOptions::default(),
            pipeline: &Pipeline::start(
                Vec::new(),
                PipelineOptions { frames_per_second, ..Default::default() },
            )
            .unwrap(),
            clock: Clock::start(),
            journal: &Arc::new(Journal::new(1)),
            events: &events,
        };
        let probes = ProbeConfig {
            reflectors: Vec::new(),
            tcp_targets: vec![([240, 0, 0, 1], 9).into()],
            gateway: None,
            interval: Duration::from_secs(1),
            timeout: ProbeConfig::DEFAULT_TIMEOUT,
            method: measure::Method::TcpConnect,
        };
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shaper = Box::new(Recorder { refuses, taken: Arc::clone(&taken) });
        let mut running = Running::default();
        let outcome = start_all(
            &mut running,
            &program,
            vec![(&config.autorate[0], probes, shaper)],
            Vec::new(),
        );
        let outcome = outcome.map(|()| running.len());
        running.stop_control().unwrap();
        running.wait_for_helpers();
        let taken = taken.lock().unwrap().clone();
        (outcome, taken)
    }

    fn rates(download_mbps: f64, upload_mbps: f64) -> Rates {
        Rates { download: Rate::from_mbps(download_mbps), upload: Rate::from_mbps(upload_mbps) }
    }

    #[test]
    fn first_rates_are_those_of_the_kept_state_and_else_the_ceilings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let (outcome, taken) = run(Some(path.clone()), false);
        assert_eq!((outcome.unwrap(), taken[0]), (1, rates(100.0, 20.0)));

        let kept = r#"{"download": {"current_rate": 35e6}, "upload": {"current_rate": 1e6}}"#;
        std::fs::write(&path, kept).unwrap();
        let (_, taken) = run(Some(path), false);
        assert!(taken.iter().all(|taken| *taken == rates(35.0, 4.0)), "{taken:?}");
        assert!(!taken.is_empty());
    }

    #[test]
    fn shaper_that_refuses_its_first_rates_is_an_error_before_control_starts() {
        let (outcome, taken) = run(None, true);
        assert!(matches!(outcome, Err(RunError::Config(_))), "{outcome:?}");
        assert_eq!(taken, [rates(100.0, 20.0)]);
    }
}
