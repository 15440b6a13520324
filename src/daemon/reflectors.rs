//! Which reflectors a controller measures, found once at start-up.

use std::net::IpAddr;

use tracing::{info, warn};

use crate::measure::{self, Candidates, Choice, MeasureError, Method, resolve};

/// Finds what answers; remembers it, because controllers of one process often ask the same.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    known: Vec<(Candidates, Choice)>,
}

impl Discovery {
    /// What to measure, out of these hosts. `who` asks, for the log.
    ///
    /// A link that is down when the program starts is no error: then the reflectors are probed as
    /// configured, and answer when the link is back.
    ///
    /// # Errors
    ///
    /// No name that has an address, or a process that may neither send ICMP nor open TCP connections.
    pub(super) fn choose(
        &mut self,
        who: &str,
        hosts: &[String],
        tcp_targets: &[(String, u16)],
        fallback_to_local: bool,
    ) -> Result<Choice, MeasureError> {
        let targets: Vec<String> =
            tcp_targets.iter().map(|(host, port)| authority(host, *port)).collect();
        let candidates = Candidates {
            reflectors: known(hosts, |one| resolve::reflectors(&[one]))?,
            tcp_targets: known(&targets, |one| resolve::tcp_targets(&[one])).unwrap_or_default(),
            gateways: if fallback_to_local { measure::default_gateways() } else { Vec::new() },
            fallback_to_local,
        };
        let same = |asked: &Candidates| {
            asked.reflectors == candidates.reflectors
                && asked.fallback_to_local == candidates.fallback_to_local
        };
        if let Some((_, choice)) = self.known.iter().find(|(asked, _)| same(asked)) {
            info!(wan = who, "Measuring: {}", choice.describe);
            let mut choice = choice.clone();
            if choice.method == Method::Icmp {
                choice.tcp_targets = candidates.tcp_targets;
            }
            return Ok(choice);
        }
        info!(wan = who, "Looking for reflectors that answer.");
        let choice = match measure::discover(&candidates) {
            Ok(choice) => {
                info!(wan = who, "Measuring: {}", choice.describe);
                choice
            }
            Err(MeasureError::NoAnswer { .. }) => {
                warn!(wan = who, "No reflector answers yet; they are probed until one does.");
                Choice {
                    reflectors: candidates.reflectors.clone(),
                    tcp_targets: candidates.tcp_targets.clone(),
                    method: Method::Icmp,
                    describe: "reflectors as configured".to_owned(),
                }
            }
            Err(error) => return Err(error),
        };
        self.known.push((candidates, choice.clone()));
        Ok(choice)
    }
}

/// The gateway to ask when no reflector answers: the configured one, else the machine's.
pub(super) fn gateway(who: &str, configured: Option<&str>) -> Option<IpAddr> {
    let Some(name) = configured else {
        return measure::default_gateways().first().copied();
    };
    match resolve::reflectors(&[name]) {
        Ok(addresses) => addresses.first().copied(),
        Err(error) => {
            warn!(wan = who, %error, "Gateway is left out.");
            None
        }
    }
}

/// The addresses of the names that have one.
fn known<T>(
    names: &[String],
    resolve: impl Fn(&str) -> Result<Vec<T>, MeasureError>,
) -> Result<Vec<T>, MeasureError> {
    let mut addresses = Vec::new();
    let mut failure = None;
    for name in names {
        match resolve(name) {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                warn!(%error, "Reflector is left out.");
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) if addresses.is_empty() => Err(error),
        _ => Ok(addresses),
    }
}

fn authority(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}
