//! Names of reflectors and TCP targets into addresses, once, at start-up.
//!
//! Resolving may take seconds, so nothing here is called while control runs.

use super::MeasureError;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The port of a TCP target that names none.
pub const DEFAULT_TCP_PORT: u16 = 443;

/// The address of each reflector, in order: the first that the resolver gives for its name.
///
/// # Errors
///
/// The first name that has no address.
pub fn reflectors(names: &[impl AsRef<str>]) -> Result<Vec<IpAddr>, MeasureError> {
    let ip = |name: &_| resolve(AsRef::as_ref(name), 0).map(|address| address.ip());
    names.iter().map(ip).collect()
}

/// The address of each TCP target, in order: `host:port`, or `host` with port 443.
///
/// # Errors
///
/// The first name that has no address.
pub fn tcp_targets(names: &[impl AsRef<str>]) -> Result<Vec<SocketAddr>, MeasureError> {
    names.iter().map(|name| resolve(name.as_ref(), DEFAULT_TCP_PORT)).collect()
}

/// Reads `address`, `address:port`, `name` or `name:port`.
fn resolve(text: &str, default_port: u16) -> Result<SocketAddr, MeasureError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, default_port));
    }
    let with_port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let found = match with_port {
        // Text as it stands, so that the brackets around an IPv6 address are understood.
        Some((_, port)) if 0u16 < port => text.to_socket_addrs(),
        _ => (text, default_port).to_socket_addrs(),
    };
    let found = found.map(|mut addresses| addresses.next());
    let unresolved = |source| MeasureError::Resolve { name: text.to_owned(), source };
    found.map_err(unresolved)?.ok_or_else(|| unresolved(std::io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        let found = reflectors(&["192.0.2.1", "2001:db8::1"]).unwrap();
        let expected: [IpAddr; 2] = [[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()];
        assert_eq!(found, expected);
    }

    #[test]
    fn tcp_target_without_a_port_has_443() {
        let found = tcp_targets(&["192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"]);
        let expected: Vec<SocketAddr> =
            ["192.0.2.1:443", "192.0.2.1:80", "[2001:db8::1]:443", "[2001:db8::1]:80"]
                .map(|text| text.parse().unwrap())
                .into();
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn text_that_is_no_name_is_an_error_which_says_it() {
        let error = reflectors(&["192.0.2.1", "not a name"]).unwrap_err();
        assert!(error.to_string().contains("not a name"), "{error}");
    }
}
