//! Which addresses are this machine's own, or lead into its own networks: a name that a service may reach must not lead there.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

/// Where clouds tell a machine its own secrets, beside the link-local address that most have: Oracle, Alibaba, Azure, and Amazon
/// over IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether what is at an address is this machine, or can be reached by nobody else: loopback, the link, its own addresses, what
/// is on its bridges (other sandboxes, other containers, virtual machines), and what tells it the secrets of its cloud.
pub fn is_of_this_machine(address: IpAddr) -> bool {
    let address = address.to_canonical();
    is_special(address) || is_own(address) || is_on_a_bridge(address)
}

fn is_special(address: IpAddr) -> bool {
    let by_kind = match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || first == 0
                || (first, second) == (10, 231)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local(),
    };
    by_kind || METADATA.contains(&address)
}

/// Only an address of this machine can be bound. Where that fails for another reason (files run out), nothing is known, and it
/// counts as one.
fn is_own(address: IpAddr) -> bool {
    !matches!(UdpSocket::bind((address, 0)), Err(error) if error.kind() == ErrorKind::AddrNotAvailable)
}

fn is_on_a_bridge(address: IpAddr) -> bool {
    let table = match address {
        IpAddr::V4(_) => "/proc/net/route",
        IpAddr::V6(_) => "/proc/net/ipv6_route",
    };
    let routes = match std::fs::read_to_string(table) {
        Ok(routes) => routes,
        // A machine without IPv6 has no such table, and nothing on its bridges by it. Of a table that cannot be read nothing is
        // known: what may be on a bridge counts as being there.
        Err(error) => return address.is_ipv4() || error.kind() != ErrorKind::NotFound,
    };
    let is_bridge = |interface: &str| Path::new("/sys/class/net").join(interface).join("bridge").is_dir();
    match address {
        IpAddr::V4(v4) => {
            routes.lines().filter_map(Link::of_v4).any(|link| link.has(v4.to_bits().into(), 32, is_bridge))
        }
        IpAddr::V6(v6) => routes.lines().filter_map(Link::of_v6).any(|link| link.has(v6.to_bits(), 128, is_bridge)),
    }
}

/// A network that an interface is on: what is in it answers there without a router between.
#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    interface: &'a str,
    network: u128,
    length: u32,
}

impl<'a> Link<'a> {
    /// A line of the kernel's table for IPv4. It writes an address as the number that its bytes are on this machine.
    fn of_v4(line: &'a str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bits = |at: usize| Some(u32::from_be_bytes(u32::from_str_radix(words.get(at)?, 16).ok()?.to_ne_bytes()));
        let (network, router, mask) = (bits(1)?, bits(2)?, bits(7)?);
        (router == 0).then(|| Self { interface: words[0], network: network.into(), length: mask.count_ones() })
    }

    /// A line of the table for IPv6, whose numbers are the addresses.
    fn of_v6(line: &'a str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bits = |at: usize| u128::from_str_radix(words.get(at)?, 16).ok();
        let (network, length, router) = (bits(0)?, bits(1)?, bits(4)?);
        let length = u32::try_from(length).ok()?;
        (router == 0).then_some(Self { interface: words.get(9)?, network, length })
    }

    /// Whether an address of so many bits is in it, and its interface such a one. A route to everything is no network.
    fn has(&self, address: u128, bits: u32, is_such: impl Fn(&str) -> bool) -> bool {
        let rest = bits.saturating_sub(self.length);
        self.length > 0 && address >> rest == self.network >> rest && is_such(self.interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_this_machines_own_is_known_however_it_is_written() {
        for own in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "169.254.169.254",
            "10.231.200.7",
            "255.255.255.255",
            "224.0.0.251",
            "100.100.100.200",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
        ] {
            assert!(is_of_this_machine(own.parse().unwrap()), "{own}");
        }
        for other in ["93.184.216.34", "203.0.113.9", "2606:2800:220:1:248:1893:25c8:1946"] {
            assert!(!is_of_this_machine(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_is_on_a_bridge_is_found_in_the_kernels_tables() {
        let word = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let route = |to: [u8; 4], router: [u8; 4], mask: [u8; 4]| {
            format!("br0\t{}\t{}\t1\t0\t0\t0\t{}\t0\t0\t0", word(to), word(router), word(mask))
        };
        let inside: Ipv4Addr = "172.18.0.5".parse().unwrap();
        let has = |line: &str, interface: &str| {
            Link::of_v4(line).is_some_and(|link| link.has(inside.to_bits().into(), 32, |name| name == interface))
        };
        let on_link = route([172, 18, 0, 0], [0; 4], [255, 255, 0, 0]);
        assert!(has(&on_link, "br0"));
        assert!(!has(&on_link, "eth0"), "it is on no such interface");
        assert!(!has(&route([172, 18, 0, 0], [10, 0, 0, 1], [255, 255, 0, 0]), "br0"), "behind a router");
        assert!(!has(&route([172, 19, 0, 0], [0; 4], [255, 255, 0, 0]), "br0"), "another network");
        assert!(!has(&route([0; 4], [0; 4], [0; 4]), "br0"), "a route to everything");
        assert!(!has("Iface\tDestination\tGateway", "br0"));

        let zero = "0".repeat(32);
        let line =
            format!("fd000000000000010000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 br0");
        let link = Link::of_v6(&line).unwrap();
        let has = |address: &str| link.has(address.parse::<Ipv6Addr>().unwrap().to_bits(), 128, |name| name == "br0");
        assert!(has("fd00:0:0:1::7") && !has("fd00:0:0:2::7"));
        assert_eq!(Link::of_v6("short"), None);
    }
}
