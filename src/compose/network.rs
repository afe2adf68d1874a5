//! The networks of an exported sandbox, closed as a sandbox's own one is: see [`crate::engine::NetworkSpec`] and
//! decision 2.

use serde_json::{Map, Value, json};

/// How many subnets onramp has to choose from.
const SUBNETS: u16 = 255;

/// Networks of these names. An `internal` one would publish no ports, so each has a gateway that nobody has instead;
/// where `egress` is allowed they are the engine's usual ones. `preferred` is the subnet of the sandbox that may be up
/// beside them: theirs begin half way round.
pub(super) fn networks(names: Vec<String>, egress: bool, preferred: u8) -> Value {
    let one = |(at, name): (usize, String)| {
        let at = u16::try_from(at).unwrap_or_default();
        let subnet = (u16::from(preferred) + SUBNETS / 2 + at) % SUBNETS;
        let address = |host: &str| format!("10.231.{subnet}.{host}");
        let closed = json!({
            "driver_opts": { "com.docker.network.bridge.enable_ip_masquerade": "false" },
            "ipam": { "config": [{
                "subnet": address("0/24"),
                "gateway": address("1"),
                "aux_addresses": { "DefaultGatewayIPv4": address("254") },
            }] },
        });
        (name, if egress { json!({}) } else { closed })
    };
    names.into_iter().enumerate().map(one).collect::<Map<_, _>>().into()
}
