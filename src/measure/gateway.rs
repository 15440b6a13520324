//! The default gateways of this host, from the kernel's routing tables in `/proc/net`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTF_UP: u32 = 0x1;
const RTF_GATEWAY: u32 = 0x2;

/// Default gateways, IPv4 first, each family by metric.
///
/// Link-local IPv6 gateways are left out, for such an address means nothing without its interface. A
/// table that can't be read has none.
pub fn default_gateways() -> Vec<IpAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let v4 = gateways(&read("/proc/net/route"), ipv4_route);
    let v6 = gateways(&read("/proc/net/ipv6_route"), ipv6_route);
    v4.into_iter().chain(v6).collect()
}

struct DefaultRoute {
    gateway: IpAddr,
    metric: u32,
}

fn gateways(table: &str, parse: fn(&str) -> Option<DefaultRoute>) -> Vec<IpAddr> {
    let mut routes: Vec<DefaultRoute> = table.lines().filter_map(parse).collect();
    routes.sort_by_key(|route| route.metric);
    routes.dedup_by_key(|route| route.gateway);
    routes.into_iter().map(|route| route.gateway).collect()
}

/// A line of `/proc/net/route`, if it is a default route with a gateway.
fn ipv4_route(line: &str) -> Option<DefaultRoute> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [_interface, destination, gateway, flags, _references, _use, metric, mask, ..] =
        columns.as_slice()
    else {
        return None;
    };
    // Addresses are printed as numbers in the host's byte order, so their bytes are the address.
    let address = |text: &str| Some(Ipv4Addr::from(hex(text)?.to_ne_bytes()));
    let is_default = address(destination)?.is_unspecified() && address(mask)?.is_unspecified();
    (is_default && leads_to_gateway(hex(flags)?)).then_some(DefaultRoute {
        gateway: IpAddr::V4(address(gateway)?),
        metric: metric.parse().ok()?,
    })
}

/// A line of `/proc/net/ipv6_route`, if it is a default route with a gateway that is not link-local.
fn ipv6_route(line: &str) -> Option<DefaultRoute> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [destination, prefix_len, _source, _source_len, gateway, metric, _, _, flags, ..] =
        columns.as_slice()
    else {
        return None;
    };
    let address = |text: &str| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from);
    let is_default = address(destination)?.is_unspecified() && hex(prefix_len)? == 0;
    let gateway = address(gateway)?;
    let usable = is_default && leads_to_gateway(hex(flags)?) && !gateway.is_unicast_link_local();
    usable.then_some(DefaultRoute { gateway: IpAddr::V6(gateway), metric: hex(metric)? })
}

fn leads_to_gateway(flags: u32) -> bool {
    let both = RTF_UP | RTF_GATEWAY;
    flags & both == both
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_order(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    #[test]
    fn ipv4_default_routes_are_found_by_metric() {
        let (near, far) = (host_order([192, 0, 2, 1]), host_order([198, 51, 100, 1]));
        let net = host_order([203, 0, 113, 0]);
        let table = format!(
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             wlan0 00000000 {far} 0003 0 0 600 00000000 0 0 0\n\
             eth0 00000000 {near} 0003 0 0 100 00000000 0 0 0\n\
             eth0 {net} {near} 0003 0 0 100 00FFFFFF 0 0 0\n\
             ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n"
        );
        let expected: [IpAddr; 2] = [[192, 0, 2, 1].into(), [198, 51, 100, 1].into()];
        assert_eq!(gateways(&table, ipv4_route), expected);
    }

    #[test]
    fn ipv6_default_route_is_found_unless_it_is_link_local() {
        let zero = "0".repeat(32);
        let line = |gateway: &str, len: &str| {
            format!("{zero} {len} {zero} 00 {gateway} 00000400 00000001 00000000 00000003 eth0\n")
        };
        let table = line("20010db8000000000000000000000001", "00")
            + &line("fe800000000000000000000000000001", "00")
            + &line("20010db8000000000000000000000002", "40");
        let expected: [IpAddr; 1] = ["2001:db8::1".parse().unwrap()];
        assert_eq!(gateways(&table, ipv6_route), expected);
    }

    #[test]
    fn nonsense_has_no_gateway() {
        let table = "\nx\n00 zz\nlo 00000000 q 0003 0 0 0 00000000\n";
        assert!(gateways(table, ipv4_route).is_empty());
        assert!(gateways(table, ipv6_route).is_empty());
    }
}
