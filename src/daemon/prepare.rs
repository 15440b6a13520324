//! Prepares control loops: everything around a controller is opened and started, but not the loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};
use wanctl_sink::Issue;

use super::actuator::Target;
use super::baseline::Baseline;
use super::controllers::Program;
use super::cycle::{self, Beat, SteeringView};
use super::running::{Kind, Running};
use super::status::Status;
use super::{RunError, cake, route, state_file};
use crate::autorate::{Controller, Probe};
use crate::config::{AutorateConfig, BaselineSource, Config, ShaperConfig, SteeringConfig};
use crate::measure::{Method, News, ProbeConfig, Prober};
use crate::router::{self, Router};
use crate::runner::{AutorateRunner, SteeringRunner};
use crate::shaper::{Rates, Shaper};
use crate::units::Rate;

/// Time between the last preparation and the first tick's origin, for threads to get going.
pub(super) const HEADSTART: Duration = Duration::from_millis(50);

/// A control loop that waits for its thread.
pub(super) struct Loop {
    pub(super) kind: Kind,
    pub(super) wan: String,
    pub(super) interval: Duration,
    pub(super) status: Arc<Status>,
    pub(super) prober: Prober,
    pub(super) body: Box<dyn FnOnce(Beat) + Send>,
}

/// A shaper that waits for its first rates and its thread.
pub(super) struct Shaping {
    pub(super) wan: String,
    pub(super) shaper: Box<dyn Shaper>,
    /// Those of the kept state, or else the ceilings.
    pub(super) first: Rates,
    pub(super) target: Target,
}

/// Prepares an autorate controller; it goes on from its kept state.
///
/// # Errors
///
/// A bad WAN name, or something that the system refuses.
pub(super) fn autorate(
    running: &mut Running,
    program: &Program<'_>,
    origin: Instant,
    config: &AutorateConfig,
    probes: ProbeConfig,
    shaper: Box<dyn Shaper>,
) -> Result<(Loop, Shaping), RunError> {
    let wan = config.wan_name.clone();
    info!(wan, shaper = shaper.describe(), "Autorate starts.");
    let mut runner = AutorateRunner::new(&wan, config.policy.clone(), program.pipeline.sink())
        .map_err(|error| schema_error(&error))?;
    let mut slot = None;
    if let Some(path) = &config.state_file {
        if let Some(state) = state_file::load(path) {
            runner.controller_mut().restore(&state);
        }
        // A dry run may go beside a program that really controls, and keeps its state there.
        if !program.options.dry_run {
            let (keeper, newest) = state_file::keep(path.clone())?;
            running.keep(keeper);
            slot = Some(newest);
        }
    }
    let (prober, mut readings) = Prober::start(probes, origin)?;
    let first = rates_of(runner.controller_mut());
    let target = Target::new();
    let wanted = target.clone();
    let clock = program.clock;
    let body = move |beat: Beat| {
        cycle::autorate(
            beat,
            &mut runner,
            slot.as_ref(),
            || probe(readings.take(clock.now())),
            |decision| {
                let (download, upload) = (decision.download.rate, decision.upload.rate);
                wanted.set(Rates { download, upload });
            },
        );
    };
    let ready = Loop {
        kind: Kind::Autorate,
        wan: wan.clone(),
        interval: config.cycle,
        status: Arc::default(),
        prober,
        body: Box::new(body),
    };
    Ok((ready, Shaping { wan, shaper, first, target }))
}

/// Prepares a steering controller. `loops` are those whose baseline it may follow.
///
/// # Errors
///
/// A bad WAN name, or something that the system refuses.
pub(super) fn steering(
    running: &mut Running,
    program: &Program<'_>,
    origin: Instant,
    config: &SteeringConfig,
    probes: ProbeConfig,
    loops: &[Loop],
) -> Result<Loop, RunError> {
    let wan = config.policy.primary_wan.clone();
    let router: Box<dyn Router> = Box::new(router::DryRun::new());
    info!(wan, router = router.describe(), "Steering starts.");
    let mut runner = SteeringRunner::new(config.policy.clone(), program.pipeline.sink())
        .map_err(|error| schema_error(&error))?;
    let (actuator, requests) = route::start(router)?;
    running.keep(actuator);
    let (prober, mut readings) = Prober::start(probes, origin)?;
    let interface = local_cake(program.config, &wan).filter(|_| config.policy.cake_aware);
    let mut cake = match interface {
        Some(interface) => {
            let (reader, readings) = cake::start(interface, config.interval)?;
            running.keep(reader);
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
    let mut baseline = baseline(running, config, loops)?;
    let clock = program.clock;
    let body = move |beat: Beat| {
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
                    cake: cake.as_mut().and_then(|cake| cake.take(rtt_ms)),
                    route: requests.outcome(),
                }
            },
            |change| requests.ask(change.to),
        );
    };
    Ok(Loop {
        kind: Kind::Steering,
        wan,
        interval: config.interval,
        status: Arc::default(),
        prober,
        body: Box::new(body),
    })
}

fn baseline(
    running: &mut Running,
    config: &SteeringConfig,
    loops: &[Loop],
) -> Result<Baseline, RunError> {
    Ok(match &config.baseline {
        BaselineSource::InProcess(wan) => {
            let same = |one: &&Loop| one.kind == Kind::Autorate && one.wan == *wan;
            match loops.iter().find(same) {
                Some(one) => Baseline::Published(Arc::clone(&one.status)),
                None => Baseline::learnt(config),
            }
        }
        BaselineSource::StateFile(path) => {
            let status = Arc::new(Status::default());
            running.keep(state_file::follow(path.clone(), Arc::clone(&status))?);
            Baseline::Published(status)
        }
        BaselineSource::Own => Baseline::learnt(config),
    })
}

/// The rates at which a controller stands.
fn rates_of(controller: &Controller) -> Rates {
    let state = controller.state();
    Rates {
        download: Rate::from_bps(state.download.rate_bps),
        upload: Rate::from_bps(state.upload.rate_bps),
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

/// Where the download CAKE of a WAN is, if an autorate controller of this process drives it.
fn local_cake<'a>(config: &'a Config, wan: &str) -> Option<&'a str> {
    let autorate = config.autorate.iter().find(|one| one.wan_name == wan)?;
    match &autorate.shaper {
        ShaperConfig::LinuxCake { download_interface, .. } => Some(download_interface),
        _ => None,
    }
}

fn schema_error(error: &wanctl_sink::SchemaError) -> RunError {
    RunError::Config(vec![Issue::new("wan_name", error.to_string())])
}
