//! `egress`: where a service may go outside of its sandbox, one host and port an entry.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::neutral_line;

/// The longest host name, and the longest of its parts, as DNS has it (RFC 1035, 2.3.4).
const LONGEST: (usize, usize) = (253, 63);

/// One host and port: `api.stripe.com:443`, `10.1.2.3:5432`, `[2001:db8::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// A host, by its name or by its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, in lower case and without a dot at its end.
    Name(String),
    /// An address; one of IPv4 is never written as one of IPv6.
    Address(IpAddr),
}

/// Why a text is no host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no host and port: {why}")]
pub struct NotAnEndpoint {
    text: String,
    why: &'static str,
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why| NotAnEndpoint { text: neutral_line(text, 80), why };
        if text.contains("://") {
            return Err(wrong("write it without `https://`, as host:port"));
        }
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| wrong("the port is missing, as in api.example.com:443"))?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or_else(|| wrong("a port is 1 to 65535"))?;
        Ok(Self { host: host.parse().map_err(wrong)?, port })
    }
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| "what is in brackets is an IPv6 address")?;
            return Ok(Self::Address(address.to_canonical()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return match address {
                IpAddr::V4(_) => Ok(Self::Address(address)),
                IpAddr::V6(_) => Err("an IPv6 address is written in brackets, as in [2001:db8::1]:443"),
            };
        }
        if text.contains('*') {
            return Err("each host is named, `*` stands for none");
        }
        let name = text.to_ascii_lowercase();
        let part = |part: &str| {
            !part.is_empty()
                && part.len() <= LONGEST.1
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if name.is_empty() || name.len() > LONGEST.0 || !name.split('.').all(part) {
            return Err("a host name has letters, digits, dashes and dots (others as xn--…)");
        }
        // What systems read as an address (0x7f.1, 127.1, 2130706433) is none that anybody means.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("the last part of a host name begins with a letter; an IPv4 address has four parts");
        }
        Ok(Self::Name(name))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = NotAnEndpoint;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_port_is_read_and_written() {
        for (text, same) in [
            ("api.stripe.com:443", "api.stripe.com:443"),
            ("PyPI.org:443", "pypi.org:443"),
            ("intranet:1", "intranet:1"),
            ("a_b.xn--mnchen-3ya.de:65535", "a_b.xn--mnchen-3ya.de:65535"),
            ("10.1.2.3:5432", "10.1.2.3:5432"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), same);
        }
    }

    #[test]
    fn what_is_none_is_told() {
        let port = "a port is 1 to 65535";
        let name = "a host name has letters, digits, dashes and dots (others as xn--…)";
        let last = "the last part of a host name begins with a letter; an IPv4 address has four parts";
        for (text, why) in [
            ("https://a.test:443", "write it without `https://`, as host:port"),
            ("a.test", "the port is missing, as in api.example.com:443"),
            ("a.test:", port),
            ("a.test:0", port),
            ("a.test:+1", port),
            ("a.test:65536", port),
            ("a.test:443/x", port),
            ("*.test:443", "each host is named, `*` stands for none"),
            ("::1:443", "an IPv6 address is written in brackets, as in [2001:db8::1]:443"),
            ("2001:db8::1:443", "an IPv6 address is written in brackets, as in [2001:db8::1]:443"),
            ("[::1%eth0]:443", "what is in brackets is an IPv6 address"),
            ("münchen.de:443", name),
            ("a..b:1", name),
            ("a.:1", name),
            ("-a:1", name),
            (":443", name),
            ("u@a.test:443", name),
            ("127.1:80", last),
            ("2130706433:80", last),
            ("a.0x7f:80", last),
        ] {
            let told = text.parse::<Endpoint>().unwrap_err().to_string();
            assert_eq!(told, format!("`{text}` is no host and port: {why}"));
        }
        let told = "a\u{1b}[31m:x".parse::<Endpoint>().unwrap_err().to_string();
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_what_is_written(text in "[a-zA-Z0-9.:\\[\\]*-]{0,30}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                proptest::prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
            }
        }
    }
}
