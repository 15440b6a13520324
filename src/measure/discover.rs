//! The start-up choice of what to probe, for a host of which nothing is known.
//!
//! It asks the configured reflectors by ICMP and by TCP, then, where that is allowed, the default gateway
//! and this host itself. It takes three seconds at most and sends a handful of packets.
#![expect(clippy::disallowed_methods, reason = "each step has a deadline")]

use super::MeasureError;
use super::counters::Counters;
use super::engine::Engine;
use super::resolve::DEFAULT_TCP_PORT;
use super::sample::{Method, Target};
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Probes to each target in one step. A TCP connect is repeated only when the one before has ended.
const ROUNDS: u32 = 3;

/// What is asked in the place of reflectors that do not answer, and for how long.
const REFLECTORS_TIME: Duration = Duration::from_millis(1_000);
const GATEWAY_TIME: Duration = Duration::from_millis(400);
const LOCAL_TIME: Duration = Duration::from_millis(100);

/// Ports at which a gateway is likely to accept a connection or refuse it.
const GATEWAY_PORTS: [u16; 2] = [80, 443];

/// The discard port: hardly any host listens there, and a refusal is a round trip too.
const LOCAL_PORT: u16 = 9;

/// What may be chosen from.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// The configured reflectors.
    pub reflectors: Vec<IpAddr>,
    /// The configured TCP targets; when there are none, port 443 of the reflectors.
    pub tcp_targets: Vec<SocketAddr>,
    /// The default gateways, see [`default_gateways`](super::default_gateways).
    pub gateways: Vec<IpAddr>,
    /// Whether the gateways and this host itself may stand in for reflectors. Their round trips say
    /// nothing about the internet link, so it is for trying the program out.
    pub fallback_to_local: bool,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Reflectors: those that answered, then those that did not; empty with [`Method::TcpConnect`].
    pub reflectors: Vec<IpAddr>,
    /// TCP targets: those that answered, or with [`Method::Icmp`] the candidates, as a fallback.
    pub tcp_targets: Vec<SocketAddr>,
    /// How to probe.
    pub method: Method,
    /// Whether a gateway or this host stands in for the reflectors, which says nothing about the link.
    pub stands_in: bool,
    /// What is probed and why, in a sentence for the operator.
    pub describe: String,
}

/// Finds something that answers, and the method by which it does.
///
/// Blocks for up to three seconds; for start-up only.
///
/// # Errors
///
/// [`MeasureError::NoAnswer`] when nothing that was allowed answered.
pub fn discover(candidates: &Candidates) -> Result<Choice, MeasureError> {
    let reflectors = &candidates.reflectors;
    let tcp_targets = candidates.tcp_targets_or_default();
    let answered = ask_by_icmp(reflectors, REFLECTORS_TIME);
    if !answered.is_empty() {
        let mut silent = permitted_by_icmp(reflectors);
        silent.retain(|reflector| !answered.contains(reflector));
        let mut describe = format!("probing reflectors {} by ICMP", list(&answered));
        if !silent.is_empty() {
            describe += &format!(", and {}, which did not answer yet", list(&silent));
        }
        // Its packets may have been lost for once, so it is no reason to leave a reflector out for good.
        let reflectors = [answered, silent].concat();
        let method = Method::Icmp;
        return Ok(Choice { reflectors, tcp_targets, method, stands_in: false, describe });
    }
    let answered = ask_by_tcp(&tcp_targets, REFLECTORS_TIME);
    if !answered.is_empty() {
        let why = format!("reflectors {} do not answer ICMP", list(reflectors));
        return Ok(Choice { stands_in: false, ..by_tcp(why, "", answered) });
    }
    let why = format!("reflectors {} do not answer", list(reflectors));
    if !candidates.fallback_to_local {
        return Err(MeasureError::NoAnswer { tried: why });
    }
    let gateways = &candidates.gateways;
    let answered = first(ask_by_icmp(gateways, GATEWAY_TIME));
    if !answered.is_empty() {
        return Ok(by_icmp(why, "default gateway ", answered));
    }
    let ports = gateways.iter().flat_map(|ip| GATEWAY_PORTS.map(|port| SocketAddr::new(*ip, port)));
    let answered = first(ask_by_tcp(&ports.collect::<Vec<_>>(), GATEWAY_TIME));
    if !answered.is_empty() {
        return Ok(by_tcp(why, "default gateway ", answered));
    }
    let why = format!("{why}, nor does a default gateway");
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let answered = ask_by_icmp(&[local], LOCAL_TIME);
    if !answered.is_empty() {
        return Ok(by_icmp(why, "this host itself, ", answered));
    }
    let answered = ask_by_tcp(&[SocketAddr::new(local, LOCAL_PORT)], LOCAL_TIME);
    if !answered.is_empty() {
        return Ok(by_tcp(why, "this host itself, ", answered));
    }
    Err(MeasureError::NoAnswer { tried: format!("{why}, nor this host itself") })
}

/// What to probe when nothing answers yet: the reflectors, by ICMP where the process may send it to any of
/// them, else the TCP targets.
pub fn as_configured(candidates: &Candidates) -> Choice {
    let tcp_targets = candidates.tcp_targets_or_default();
    let reflectors = permitted_by_icmp(&candidates.reflectors);
    let (method, describe) = if reflectors.is_empty() {
        let describe = format!("connecting to {} until one answers", list(&tcp_targets));
        (Method::TcpConnect, describe)
    } else {
        let describe = format!("probing {} by ICMP until one answers", list(&reflectors));
        (Method::Icmp, describe)
    };
    Choice { reflectors, tcp_targets, method, stands_in: false, describe }
}

/// Whether this process may send ICMP echoes to such an address.
pub fn icmp_is_permitted(to: IpAddr) -> bool {
    Engine::new(Duration::ZERO, Arc::default()).open_for(to).is_ok()
}

/// Those of `targets` to which this process may send ICMP echoes.
pub fn permitted_by_icmp(targets: &[IpAddr]) -> Vec<IpAddr> {
    targets.iter().copied().filter(|to| icmp_is_permitted(*to)).collect()
}

impl Candidates {
    fn tcp_targets_or_default(&self) -> Vec<SocketAddr> {
        if self.tcp_targets.is_empty() {
            self.reflectors.iter().map(|ip| SocketAddr::new(*ip, DEFAULT_TCP_PORT)).collect()
        } else {
            self.tcp_targets.clone()
        }
    }
}

fn by_icmp(why: String, role: &str, reflectors: Vec<IpAddr>) -> Choice {
    let describe = format!("{why}; using {role}{} by ICMP", list(&reflectors));
    let (tcp_targets, method) = (Vec::new(), Method::Icmp);
    Choice { reflectors, tcp_targets, method, stands_in: true, describe }
}

fn by_tcp(why: String, role: &str, tcp_targets: Vec<SocketAddr>) -> Choice {
    let describe = format!("{why}; using {role}{} by TCP connect", list(&tcp_targets));
    let (reflectors, method) = (Vec::new(), Method::TcpConnect);
    Choice { reflectors, tcp_targets, method, stands_in: true, describe }
}

/// Those of `targets` that answer an ICMP echo; none when the process may not send any.
fn ask_by_icmp(targets: &[IpAddr], time: Duration) -> Vec<IpAddr> {
    let mut engine = Engine::new(time, Arc::new(Counters::default()));
    let usable: Vec<IpAddr> =
        targets.iter().copied().filter(|ip| engine.open_for(*ip).is_ok()).collect();
    ask(&mut engine, &usable, time, |engine, index, ip| {
        engine.echo(Target::Reflector(index), ip);
    })
}

/// Those of `targets` that accept or refuse a connection.
fn ask_by_tcp(targets: &[SocketAddr], time: Duration) -> Vec<SocketAddr> {
    let mut engine = Engine::new(time, Arc::new(Counters::default()));
    ask(&mut engine, targets, time, |engine, index, address| {
        engine.connect(Target::Tcp(index), address);
    })
}

/// Probes the targets at once, a few times, until all have answered or the time is up.
fn ask<T: Copy>(
    engine: &mut Engine,
    targets: &[T],
    time: Duration,
    probe: impl Fn(&mut Engine, usize, T),
) -> Vec<T> {
    let start = Instant::now();
    let mut answered = vec![false; targets.len()];
    for round in 1..=ROUNDS {
        for (index, target) in targets.iter().enumerate() {
            if !answered.get(index).copied().unwrap_or(false) {
                probe(engine, index, *target);
            }
        }
        let until = start + time * round / ROUNDS;
        while answered.contains(&false) && Instant::now() < until {
            engine.wait(until, None);
            for index in engine.samples().filter_map(|sample| sample.target.index()) {
                if let Some(answered) = answered.get_mut(index) {
                    *answered = true;
                }
            }
        }
    }
    targets
        .iter()
        .zip(answered)
        .filter_map(|(target, answered)| answered.then_some(*target))
        .collect()
}

fn first<T>(mut all: Vec<T>) -> Vec<T> {
    all.truncate(1);
    all
}

fn list(items: &[impl Display]) -> String {
    if items.is_empty() {
        return "(none)".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
