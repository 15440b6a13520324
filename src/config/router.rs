//! `router`: the router whose rules and queues are read and switched.

use std::time::Duration;

use super::accept::{Filled, Flag, Host, Num, OneOf, Port, Text, number};
use super::section::Section;
use super::{Secret, Shape, seconds};
use crate::units::Number;

/// What steering switches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RouterConfig {
    /// Decide and record, change nothing.
    None,
    /// A RouterOS router over its REST interface.
    RouterOs(RouterOs),
}

/// How to reach a RouterOS router.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterOs {
    /// Address or name.
    pub host: String,
    /// 443 means https, every other port http. Default 443.
    pub port: u16,
    /// The user's name.
    pub user: String,
    /// The user's password. Default empty.
    pub password: Secret,
    /// Whether the router's certificate must be valid. Default true; false in files of the original's shape.
    pub verify_ssl: bool,
    /// What the file asks for; REST is used.
    pub transport: Transport,
    /// How long a request may take (`timeouts.ssh_command`). Default 15 s for autorate, 30 s for steering.
    pub timeout: Duration,
}

/// How the original was told to talk to a router. It used REST whatever it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `ssh`, the default.
    Ssh,
    /// `rest`.
    Rest,
}

const TRANSPORTS: &[(&str, Transport)] = &[("ssh", Transport::Ssh), ("rest", Transport::Rest)];

/// How long a request may take.
const REQUEST_SECONDS: Num = number(0.1, 3_600.0, "s");

#[derive(Clone, Copy)]
enum RouterType {
    None,
    RouterOsRest,
}

const ROUTER_TYPES: &[(&str, RouterType)] =
    &[("none", RouterType::None), ("routeros_rest", RouterType::RouterOsRest)];

/// The router that a file names; `None` after reporting why none can be said.
///
/// A new file without `router` has none.
pub(super) fn read(root: &Section<'_>, shape: Shape, default_timeout: f64) -> Option<RouterConfig> {
    let section = root.section("router");
    let kind = if shape.is_original() {
        RouterType::RouterOsRest
    } else if section.is_present() {
        section.need("type", &OneOf(ROUTER_TYPES))?
    } else {
        RouterType::None
    };
    match kind {
        RouterType::RouterOsRest => {
            router_os(root, shape, default_timeout).map(RouterConfig::RouterOs)
        }
        RouterType::None => {
            for key in ["host", "user", "password", "ssh_key"] {
                section.no_effect(key, &Text);
            }
            section.no_effect("port", &Port);
            section.no_effect("verify_ssl", &Flag);
            section.no_effect("transport", &OneOf(TRANSPORTS));
            root.section("timeouts").no_effect("ssh_command", &REQUEST_SECONDS);
            Some(RouterConfig::None)
        }
    }
}

/// Reads `router` in a file of the new shape whose only controller is autorate.
pub(super) fn read_unused(root: &Section<'_>, shape: Shape) {
    let router = read(root, shape, 15.0);
    if matches!(router, Some(RouterConfig::RouterOs(_))) && !root.has("queues") {
        root.note("router", "has no effect: no controller of this file uses a router");
    }
}

/// A RouterOS router; `None` after reporting what is missing.
pub(super) fn router_os(
    root: &Section<'_>,
    shape: Shape,
    default_timeout: f64,
) -> Option<RouterOs> {
    let section = root.section("router");
    let unchecked = section.ours();
    let (host, user) = if shape.is_original() {
        (section.need("host", &Text), section.need("user", &Text))
    } else {
        (section.need("host", &Host), section.need("user", &Filled("the name of a user")))
    };
    shape.no_effect(&section, "ssh_key", &Text);
    let transport = unchecked.get("transport", &OneOf(TRANSPORTS));
    if transport == Some(Transport::Ssh) {
        section.note("transport", "accepted for compatibility; REST is used");
    }
    let password = unchecked.get_or("password", &Text, String::new());
    let port = unchecked.get_or("port", &Port, 443);
    let verify_ssl = unchecked.get_or("verify_ssl", &Flag, !shape.is_original());
    let timeout = root.section("timeouts").ours().get_or(
        "ssh_command",
        &REQUEST_SECONDS,
        Number::Float(default_timeout),
    );
    Some(RouterOs {
        host: host?,
        port,
        user: user?,
        password: Secret::new(&password),
        verify_ssl,
        transport: transport.unwrap_or(Transport::Ssh),
        timeout: seconds(timeout.value()),
    })
}
