//! Ports of a service, in Compose's short and long form.

use crate::template::yaml::{Node, go};

/// A port that a service listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// In its container.
    pub container: u16,
    /// On the machine; none where the engine chooses.
    pub published: Option<u16>,
    /// The address that it is published on, where one is said.
    pub address: Option<String>,
}

/// Reads one port; why it is none that a sandbox has.
pub(super) fn read(node: &Node) -> Result<Port, String> {
    if node.get("target").is_none() {
        return short(&go::text_of(node).ok_or("a port is a text, a number or a table with `target`")?);
    }
    let field = |key: &str| node.get(key).and_then(go::text_of).filter(|value| !value.is_empty());
    let protocol = field("protocol").unwrap_or_else(|| "tcp".to_owned());
    let published = field("published").unwrap_or_default();
    let mut port = of(&field("target").unwrap_or_default(), &published, &protocol)?;
    port.address = field("host_ip");
    Ok(port)
}

/// Reads `[[address:]published:]target[/protocol]`.
fn short(text: &str) -> Result<Port, String> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, target) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (address, published) = rest.rsplit_once(':').unwrap_or(("", rest));
    let mut port = of(target, published, protocol)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    port.address = Some(address.to_owned()).filter(|address| !address.is_empty());
    Ok(port)
}

fn of(target: &str, published: &str, protocol: &str) -> Result<Port, String> {
    if protocol != "tcp" {
        return Err(format!("a sandbox publishes TCP, not {protocol}"));
    }
    if target.contains('-') || published.contains('-') {
        return Err("a service has one port, not a range".to_owned());
    }
    let number =
        |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{text}` is no port"));
    let published = if published.is_empty() { None } else { Some(number(published)?) };
    Ok(Port { container: number(target)?, published, address: None })
}

/// Reads a port that is said, but not published.
pub(super) fn exposed(node: &Node) -> Option<u16> {
    short(&go::text_of(node)?).ok().filter(|port| port.published.is_none()).map(|port| port.container)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(u16, Option<u16>, String), String> {
        short(text).map(|port| (port.container, port.published, port.address.unwrap_or_default()))
    }

    #[test]
    fn short_forms_are_read() {
        let cases = [
            ("80", (80, None, "")),
            ("8080:80", (80, Some(8080), "")),
            ("127.0.0.1:8080:80/tcp", (80, Some(8080), "127.0.0.1")),
            ("127.0.0.1::80", (80, None, "127.0.0.1")),
            ("[::1]:8080:80", (80, Some(8080), "::1")),
        ];
        for (text, (container, published, address)) in cases {
            assert_eq!(told(text), Ok((container, published, address.to_owned())), "{text}");
        }
        for bad in ["", "0", "80:0", "70000", "a:80", "8080-8081:80-81", "53:53/udp", "1:2:3:x"] {
            assert!(told(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9:/\\[\\]a-]{0,20}|.{0,20}") {
            let _ = short(&text);
        }
    }
}
