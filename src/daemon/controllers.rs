//! Builds each controller with everything around it, and takes it down again.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{info, warn};
use wanctl_sink::{Issue, MetricsSink, Pipeline, Timestamp};

use super::background::Background;
use super::baseline::Baseline;
use super::cake::CakeReadings;
use super::clock::Clock;
use super::cycle::{self, Beat, Journal, SteeringView};
use super::reflectors::Discovery;
use super::schedule::Schedule;
use super::status::Status;
use super::wait::Event;
use super::{RunError, RunOptions, actuator, cake, reflectors, route, state_file};
use crate::autorate::{Probe, Zone};
use crate::config::{
    AutorateConfig, BaselineSource, Config, ShaperConfig, SteeringConfig, Trigger,
};
use crate::measure::{Choice, Method, News, ProbeConfig, Prober, Readings};
use crate::router::{self, Router};
use crate::runner::{AutorateRunner, SteeringRunner};
use crate::shaper::{self, Rates, Shaper};
use crate::steering::Congestion;
use crate::telemetry;

/// Time between the last preparation and the first tick's origin, for threads to get going.
const HEADSTART: Duration = Duration::from_millis(50);

/// The running controllers and their helpers.
pub(super) struct Controllers {
    stop: Arc<AtomicBool>,
    control: Vec<Control>,
    probers: Vec<Prober>,
    helpers: Vec<Background>,
}

/// One control thread.
struct Control {
    name: String,
    status: Arc<Status>,
    is_steering: bool,
    thread: JoinHandle<bool>,
}

/// What all controllers of a process share.
struct Common<'a> {
    options: &'a RunOptions,
    pipeline: &'a Pipeline,
    clock: Clock,
    origin: Instant,
    stop: Arc<AtomicBool>,
    journal: &'a Arc<Journal>,
    events: &'a Sender<Event>,
}

impl Controllers {
    /// Finds reflectors, opens shapers and routers, and starts everything.
    pub(super) fn start(
        config: &Config,
        options: &RunOptions,
        pipeline: &Pipeline,
        clock: Clock,
        journal: &Arc<Journal>,
        events: &Sender<Event>,
    ) -> Result<Self, RunError> {
        // Everything that takes time comes before the clock starts to tick.
        let mut discovery = Discovery::default();
        let mut autorate = Vec::new();
        for one in &config.autorate {
            let choice = discovery.choose(
                &one.wan_name,
                &one.reflectors,
                &one.tcp_targets,
                one.fallback_to_local,
            )?;
            let mut probes = probes(choice, one.cycle, one.ping_timeout, one.use_median);
            let fallback = one.policy.fallback.enabled;
            if fallback && one.check_gateway {
                probes.gateway = reflectors::gateway(&one.wan_name, one.gateway.as_deref());
            }
            if probes.method == Method::Icmp && !(fallback && one.check_tcp) {
                probes.tcp_targets.clear();
            }
            autorate.push((one, probes, shaper(one, options)?));
        }
        let mut steering = Vec::new();
        for one in &config.steering {
            let wan = &one.policy.primary_wan;
            let choice = discovery.choose(wan, &one.reflectors, &[], one.fallback_to_local)?;
            steering.push((one, probes(choice, one.interval, one.ping_timeout, true)));
        }
        let common = Common {
            options,
            pipeline,
            clock,
            origin: clock.now() + HEADSTART,
            stop: Arc::new(AtomicBool::new(false)),
            journal,
            events,
        };
        let mut running = Controllers {
            stop: Arc::clone(&common.stop),
            control: Vec::new(),
            probers: Vec::new(),
            helpers: Vec::new(),
        };
        match running.start_all(&common, config, autorate, steering) {
            Ok(()) => Ok(running),
            Err(error) => {
                let _ = running.stop();
                Err(error)
            }
        }
    }

    fn start_all(
        &mut self,
        common: &Common<'_>,
        config: &Config,
        autorate: Vec<(&AutorateConfig, ProbeConfig, Box<dyn Shaper>)>,
        steering: Vec<(&SteeringConfig, ProbeConfig)>,
    ) -> Result<(), RunError> {
        let mut baselines = BTreeMap::new();
        for (one, probes, shaper) in autorate {
            let status = self.start_autorate(common, one, probes, shaper)?;
            baselines.insert(one.wan_name.clone(), status);
        }
        for (one, probes) in steering {
            let cake =
                local_cake(config, &one.policy.primary_wan).filter(|_| one.policy.cake_aware);
            self.start_steering(common, one, probes, &baselines, cake)?;
        }
        Ok(())
    }

    /// How many control loops were started.
    pub(super) fn len(&self) -> usize {
        self.control.len()
    }

    fn start_autorate(
        &mut self,
        common: &Common<'_>,
        config: &AutorateConfig,
        probes: ProbeConfig,
        shaper: Box<dyn Shaper>,
    ) -> Result<Arc<Status>, RunError> {
        let wan = config.wan_name.as_str();
        info!(wan, shaper = shaper.describe(), "Autorate starts.");
        let mut runner = AutorateRunner::new(wan, config.policy.clone(), common.pipeline.sink())
            .map_err(|error| schema_error(&error))?;
        let mut slot = None;
        if let Some(path) = &config.state_file {
            if let Some(state) = state_file::load(path) {
                runner.controller_mut().restore(&state);
            }
            // A dry run may go beside a program that really controls, and keeps its state there.
            if !common.options.dry_run {
                let (keeper, newest) = state_file::keep(path.clone())?;
                self.helpers.push(keeper);
                slot = Some(newest);
            }
        }
        let (actuator, target) = actuator::start(wan, shaper)?;
        self.helpers.push(actuator);
        let mut readings = self.start_prober(probes, common)?;
        let clock = common.clock;
        self.start_control(common, wan, config.cycle, false, move |beat| {
            cycle::autorate(
                beat,
                &mut runner,
                slot.as_ref(),
                || probe(readings.take(clock.now())),
                |decision| {
                    let rates =
                        Rates { download: decision.download.rate, upload: decision.upload.rate };
                    target.set(rates);
                },
            );
        })
    }

    fn start_steering(
        &mut self,
        common: &Common<'_>,
        config: &SteeringConfig,
        probes: ProbeConfig,
        baselines: &BTreeMap<String, Arc<Status>>,
        cake: Option<&str>,
    ) -> Result<(), RunError> {
        let wan = config.policy.primary_wan.as_str();
        let router: Box<dyn Router> = Box::new(router::DryRun::new());
        info!(wan, router = router.describe(), "Steering starts.");
        let mut runner = SteeringRunner::new(config.policy.clone(), common.pipeline.sink())
            .map_err(|error| schema_error(&error))?;
        let (actuator, requests) = route::start(router)?;
        self.helpers.push(actuator);
        let mut readings = self.start_prober(probes, common)?;
        let mut cake = match cake {
            Some(interface) => {
                let (reader, readings) = cake::start(interface, config.interval)?;
                self.helpers.push(reader);
                Some(readings)
            }
            None => {
                if config.policy.cake_aware {
                    warn!(
                        wan,
                        "There is no CAKE to read: steering sees no drops and no queue, and stays on the primary WAN."
                    );
                }
                None
            }
        };
        let mut baseline = match &config.baseline {
            BaselineSource::InProcess(wan) => match baselines.get(wan) {
                Some(status) => Baseline::Published(Arc::clone(status)),
                None => Baseline::learnt(config),
            },
            BaselineSource::StateFile(path) => {
                let status = Arc::new(Status::default());
                self.helpers.push(state_file::follow(path.clone(), Arc::clone(&status))?);
                Baseline::Published(status)
            }
            BaselineSource::Own => Baseline::learnt(config),
        };
        let clock = common.clock;
        self.start_control(common, wan, config.interval, true, move |beat| {
            cycle::steering(
                beat,
                &mut runner,
                || {
                    let rtt_ms = match readings.take(clock.now()) {
                        News::Fresh(reading) => Some(reading.rtt_ms),
                        News::Pending | News::GatewayOnly | News::Silent => None,
                    };
                    SteeringView {
                        rtt_ms,
                        baseline_ms: baseline.now(rtt_ms),
                        cake: cake.as_mut().and_then(CakeReadings::take),
                        route: requests.outcome(),
                    }
                },
                |change| requests.ask(change.to),
            );
        })?;
        Ok(())
    }

    fn start_prober(
        &mut self,
        config: ProbeConfig,
        common: &Common<'_>,
    ) -> Result<Readings, RunError> {
        let (prober, readings) = Prober::start(config, common.origin)?;
        self.probers.push(prober);
        Ok(readings)
    }

    fn start_control(
        &mut self,
        common: &Common<'_>,
        wan: &str,
        interval: Duration,
        is_steering: bool,
        body: impl FnOnce(Beat) + Send + 'static,
    ) -> Result<Arc<Status>, RunError> {
        let status = Arc::new(Status::default());
        let beat = Beat {
            wan: wan.into(),
            schedule: Schedule::new(common.origin, interval, common.options.duration),
            interval,
            clock: common.clock,
            stop: Arc::clone(&common.stop),
            status: Arc::clone(&status),
            journal: Arc::clone(common.journal),
        };
        let events = common.events.clone();
        let kind = if is_steering { "steering" } else { "autorate" };
        let name = format!("{kind} {wan}");
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            let clean = catch_unwind(AssertUnwindSafe(|| body(beat))).is_ok();
            // The main thread may be gone already, when it stopped on a signal.
            let _ = events.send(Event::Ended);
            clean
        })?;
        self.control.push(Control { name, status: Arc::clone(&status), is_steering, thread });
        Ok(status)
    }

    /// One line with the newest numbers of all controllers.
    pub(super) fn status_line(&self) -> String {
        let lines: Vec<String> = self.control.iter().map(Control::line).collect();
        lines.join("  |  ")
    }

    /// Stops everything: control first, then what serves it.
    pub(super) fn stop(self) -> Result<(), RunError> {
        self.stop.store(true, Ordering::Release);
        let mut outcome = Ok(());
        for control in self.control {
            control.thread.thread().unpark();
            let status = &control.status;
            let count = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
            let cycles = count(&status.cycles);
            if !control.thread.join().unwrap_or(false) {
                outcome = Err(RunError::Panicked(control.name.clone()));
            }
            info!(
                controller = control.name,
                cycles = count(&status.cycles).max(cycles),
                without_sample = count(&status.without_sample),
                skipped = count(&status.skipped),
                worst_lateness_us = count(&status.worst_lateness_us),
                "Controller stopped."
            );
        }
        drop(self.probers);
        self.helpers.into_iter().for_each(Background::stop);
        outcome
    }
}

impl Control {
    fn line(&self) -> String {
        let s = &self.status;
        let code = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed) as usize;
        let name = |names: &[&'static str], code: usize| *names.get(code).unwrap_or(&"?");
        let link =
            format!("{}: rtt {} ms (base {}, +{})", self.name, s.rtt_ms, s.baseline_ms, s.delta_ms);
        let decided = if self.is_steering {
            let route = if code(&s.second) == 1 { "alternate WAN" } else { "primary WAN" };
            format!("{} {route}", name(&Congestion::NAMES, code(&s.state)))
        } else {
            let (down, up) =
                (name(&Zone::NAMES, code(&s.state)), name(&Zone::NAMES, code(&s.second)));
            format!("down {} Mbit/s {down}, up {} Mbit/s {up}", s.download_mbps, s.upload_mbps)
        };
        format!("{link}  {decided}")
    }
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

fn probe(news: News) -> Probe {
    match news {
        News::Fresh(reading) if reading.method == Method::Icmp => Probe::Icmp(reading.rtt_ms),
        News::Fresh(reading) => Probe::Tcp(reading.rtt_ms),
        News::Pending => Probe::Pending,
        News::GatewayOnly => Probe::GatewayOnly,
        News::Silent => Probe::Lost,
    }
}

/// What a prober probes: the first three reflectors for their median, or the first one alone.
fn probes(choice: Choice, interval: Duration, timeout: Duration, use_median: bool) -> ProbeConfig {
    let most = if use_median { 3 } else { 1 };
    let Choice { mut reflectors, mut tcp_targets, method, .. } = choice;
    reflectors.truncate(most);
    tcp_targets.truncate(most);
    ProbeConfig { reflectors, tcp_targets, gateway: None, interval, timeout, method }
}

/// Where the download CAKE of a WAN is, if an autorate controller of this process drives it.
fn local_cake<'a>(config: &'a Config, wan: &str) -> Option<&'a str> {
    let autorate = config.autorate.iter().find(|one| one.wan_name == wan)?;
    match &autorate.shaper {
        ShaperConfig::LinuxCake { download_interface, .. } => Some(download_interface),
        _ => None,
    }
}

fn shaper(config: &AutorateConfig, options: &RunOptions) -> Result<Box<dyn Shaper>, RunError> {
    match &config.shaper {
        ShaperConfig::LinuxCake { download_interface, upload_interface } if !options.dry_run => {
            let refused = |error: shaper::ShaperError| {
                let issue = Issue::new("shaper", error.to_string()).in_file(&config.file);
                RunError::Config(vec![issue])
            };
            let mut cake =
                shaper::LinuxCake::new(download_interface, upload_interface).map_err(refused)?;
            // The first rates are set here, so that a missing permission is said before anything runs.
            let (download, upload) = (config.policy.download.ceiling, config.policy.upload.ceiling);
            cake.apply(Rates { download, upload }).map_err(refused)?;
            Ok(Box::new(cake))
        }
        _ => Ok(Box::new(shaper::DryRun::new())),
    }
}

fn schema_error(error: &wanctl_sink::SchemaError) -> RunError {
    RunError::Config(vec![Issue::new("wan_name", error.to_string())])
}
