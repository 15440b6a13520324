//! Which reflectors a controller measures, found once at start-up.

use std::net::IpAddr;

use tracing::{debug, info, warn};

use crate::measure::{self, Candidates, Choice, MeasureError, Method, resolve};

/// What one controller would like to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Who asks, for the log.
    pub(super) wan: &'a str,
    pub(super) reflectors: &'a [String],
    pub(super) tcp_targets: &'a [(String, u16)],
    /// Whether TCP connects may be timed at all.
    pub(super) may_use_tcp: bool,
    /// Whether the gateway or this host may stand in.
    pub(super) fallback_to_local: bool,
}

/// Finds what answers; remembers it, because controllers of one process often ask the same.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    known: Vec<(Candidates, Choice)>,
    /// It was said that what is measured is not the link.
    has_warned: bool,
}

impl Discovery {
    /// What to measure, out of what is wanted.
    ///
    /// A link that is down when the program starts is no error: then what is wanted is probed as
    /// configured, and answers when the link is back.
    ///
    /// # Errors
    ///
    /// No name that has an address, unless something local may stand in and does.
    pub(super) fn choose(&mut self, wanted: &Wanted<'_>) -> Result<Choice, MeasureError> {
        let wan = wanted.wan;
        let candidates = candidates(wanted)?;
        let mut choice = self.ask(wan, &candidates)?;
        if choice.method == Method::TcpConnect && !wanted.may_use_tcp {
            warn!(
                wan,
                "Reflectors do not answer ICMP, and TCP is switched off; they are asked by ICMP."
            );
            choice.reflectors = measure::permitted_by_icmp(&candidates.reflectors);
            choice.method = Method::Icmp;
        }
        if choice.stands_in && !std::mem::replace(&mut self.has_warned, true) {
            warn!(
                wan,
                "What is measured says nothing about the internet link. Restart the program when the reflectors can be reached."
            );
        }
        Ok(choice)
    }

    fn ask(&mut self, wan: &str, candidates: &Candidates) -> Result<Choice, MeasureError> {
        if let Some(known) = self.known(candidates) {
            debug!(wan, "Measuring as before: {}", known.describe);
            return Ok(known);
        }
        info!(wan, "Looking for reflectors that answer.");
        let choice = match measure::discover(candidates) {
            Ok(choice) => {
                info!(wan, "Measuring: {}", choice.describe);
                choice
            }
            Err(MeasureError::NoAnswer { .. }) if !candidates.reflectors.is_empty() => {
                let choice = measure::as_configured(candidates);
                warn!(wan, "No reflector answers yet: {}", choice.describe);
                choice
            }
            Err(error) => return Err(error),
        };
        self.known.push((candidates.clone(), choice.clone()));
        Ok(choice)
    }

    /// What was chosen for the same before. By ICMP it does not depend on the TCP targets.
    fn known(&self, candidates: &Candidates) -> Option<Choice> {
        let same = |(asked, choice): &&(Candidates, Choice)| {
            asked.reflectors == candidates.reflectors
                && asked.fallback_to_local == candidates.fallback_to_local
                && (choice.method == Method::Icmp || asked.tcp_targets == candidates.tcp_targets)
        };
        let (_, choice) = self.known.iter().find(same)?;
        let mut choice = choice.clone();
        if choice.method == Method::Icmp {
            choice.tcp_targets = candidates.tcp_targets.clone();
        }
        Some(choice)
    }
}

/// The addresses of what is wanted. Names that have none are no error where something local may stand in.
fn candidates(wanted: &Wanted<'_>) -> Result<Candidates, MeasureError> {
    let fallback_to_local = wanted.fallback_to_local;
    let reflectors = match known(wanted.reflectors, |one| resolve::reflectors(&[one])) {
        Err(_) if fallback_to_local => Vec::new(),
        found => found?,
    };
    let targets: Vec<String> =
        wanted.tcp_targets.iter().map(|(host, port)| authority(host, *port)).collect();
    Ok(Candidates {
        reflectors,
        tcp_targets: known(&targets, |one| resolve::tcp_targets(&[one])).unwrap_or_default(),
        gateways: if fallback_to_local { measure::default_gateways() } else { Vec::new() },
        fallback_to_local,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(tcp_port: u16) -> Candidates {
        Candidates {
            reflectors: vec![[192, 0, 2, 1].into()],
            tcp_targets: vec![([192, 0, 2, 2], tcp_port).into()],
            gateways: Vec::new(),
            fallback_to_local: false,
        }
    }

    fn remembered(method: Method) -> Discovery {
        let Candidates { reflectors, tcp_targets, .. } = candidates(1);
        let describe = String::new();
        let choice = Choice { reflectors, tcp_targets, method, stands_in: false, describe };
        Discovery { known: vec![(candidates(1), choice)], has_warned: false }
    }

    #[test]
    fn choice_by_tcp_is_remembered_for_the_same_targets_only() {
        let discovery = remembered(Method::TcpConnect);
        assert!(discovery.known(&candidates(1)).is_some());
        assert_eq!(discovery.known(&candidates(2)), None);
    }

    #[test]
    fn choice_by_icmp_is_remembered_with_the_targets_of_who_asks() {
        let known = remembered(Method::Icmp).known(&candidates(2)).unwrap();
        assert_eq!(known.tcp_targets, candidates(2).tcp_targets);
    }

    #[test]
    fn name_without_an_address_is_an_error_unless_something_local_may_stand_in() {
        let name = ["not a name".to_owned()];
        let wanted = |fallback_to_local| Wanted {
            wan: "wan1",
            reflectors: &name,
            tcp_targets: &[],
            may_use_tcp: true,
            fallback_to_local,
        };
        assert!(super::candidates(&wanted(false)).is_err());
        assert_eq!(super::candidates(&wanted(true)).unwrap().reflectors, [] as [IpAddr; 0]);
    }
}
