//! Where a registry lives, and to which other places it may send us.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use super::Error;
use crate::reference::is_registry;
use crate::text::neutral_line;

/// A registry's base URL. Plain http stands on loopback only, https everywhere else.
#[derive(Clone, Debug)]
pub struct Origin {
    host: String,
    base: Url,
}

impl Origin {
    /// The origin of `host[:port]` as references write it.
    pub fn of(host: &str) -> Result<Self, Error> {
        let bad = || Error::bad_host(host);
        if !is_registry(host) {
            return Err(bad());
        }
        // The one registry whose API has another name than its references.
        let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let scheme = if is_loopback_name(host) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{server}/")).map_err(|_| bad())?;
        Ok(Self { host: host.to_owned(), base })
    }

    /// `host[:port]` as references write it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the registry is on this machine, hence spoken to in plain http.
    pub fn is_loopback(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// The URL of an API path, which callers build from checked parts only.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Whether a URL is the registry's own: same scheme, host and port.
    pub fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Whether a token service lies on the registry's own host, whatever its port.
    pub fn same_host(&self, url: &Url) -> bool {
        url.host_str() == self.base.host_str()
    }

    /// Checks a token service that the registry names: what holds for every place, and no address of another host's. Whoever
    /// gets credentials has a name, and a certificate for it.
    pub fn allows_realm(&self, url: &Url) -> Result<(), Error> {
        self.allows(url)?;
        let loopback = is_loopback(url) && self.is_loopback();
        if address(url).is_some() && !loopback && !self.same_host(url) {
            return Err(self.refuse(url, "it is the address of another host, not a name"));
        }
        Ok(())
    }

    fn refuse(&self, url: &Url, why: &'static str) -> Error {
        Error::Refused { host: self.host.clone(), what: "a token or blob".to_owned(), target: shown(url), why }
    }

    /// Checks a place that the registry sends us to: a token service, or the storage that holds its blobs.
    ///
    /// The registry chooses it, so it must not make onramp talk to what only this machine reaches: https only, or plain
    /// http to loopback when the registry is there itself; and no private, link-local or loopback address written out,
    /// unless it is the registry's own host (or both are on loopback).
    ///
    /// A *name* that resolves to such an address is allowed: company networks are private. That opens no way in by a name
    /// that resolves to something else each time, since whoever answers must show a certificate for that very name
    /// before the first byte of a request is sent: a metadata service or a printer cannot.
    pub fn allows(&self, url: &Url) -> Result<(), Error> {
        let refuse = |why| Err(self.refuse(url, why));
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the URL carries credentials");
        }
        let loopback = is_loopback(url);
        match url.scheme() {
            "https" => {}
            "http" if loopback && self.is_loopback() => {}
            _ => return refuse("it is not https"),
        }
        let inner = is_inner(url) && !self.same_host(url);
        if inner || (loopback && !is_loopback(&self.base)) {
            return refuse("it is an address inside this network");
        }
        Ok(())
    }
}

/// A URL for an error: no query, which may hold a signature.
pub fn shown(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // A URL with credentials in it is refused, and not repeated either.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    neutral_line(bare.as_str(), 120)
}

fn is_loopback_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The host's address, where it is written out. `Url` has made `0x7f.1` and the like plain already.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn is_loopback(url: &Url) -> bool {
    match address(url) {
        Some(address) => address.is_loopback(),
        None => url.host_str().is_some_and(|name| {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }),
    }
}

/// Whether the host is a private, link-local, shared or unspecified address, written out.
fn is_inner(url: &Url) -> bool {
    match address(url) {
        None => false,
        Some(IpAddr::V4(v4)) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            v4.is_private() || v4.is_link_local() || shared || a == 0 || a >= 224
        }
        Some(IpAddr::V6(v6)) => {
            // Addresses that a gateway translates to IPv4 ones, and site-local ones, are inner, too.
            let [first, second, ..] = v6.segments();
            let translated = (first == 0x64 && second == 0xff9b) || first == 0x2002;
            let site = first & 0xffc0 == 0xfec0;
            let local = v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast();
            local || translated || site
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(registry: &str, url: &str) -> bool {
        Origin::of(registry).unwrap().allows(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn plain_http_is_for_loopback() {
        for (host, scheme) in [
            ("127.0.0.1:5000", "http"),
            ("127.8.8.8:1", "http"),
            ("localhost:5000", "http"),
            ("registry.acme.test", "https"),
            ("127.0.0.1.acme.test", "https"),
            ("localhost.acme.test:80", "https"),
            ("10.0.0.1:5000", "https"),
            ("2130706433:5000", "https"),
        ] {
            assert_eq!(Origin::of(host).unwrap().base.scheme(), scheme, "{host}");
        }
        for bad in ["", "reg", "http://reg.test", "reg.test/x", "user@reg.test", "reg.test:0"] {
            assert!(matches!(Origin::of(bad), Err(Error::BadHost { .. })), "{bad}");
        }
    }

    #[test]
    fn a_registry_cannot_send_us_inside() {
        let public = "registry.acme.test";
        assert!(allows(public, "https://auth.acme.test/token"));
        assert!(allows(public, "https://93.184.216.34/token"));
        for bad in [
            "http://auth.acme.test/token",
            "http://127.0.0.1:5000/token",
            "https://127.0.0.1/token",
            "https://localhost/token",
            "https://169.254.169.254/latest/meta-data",
            "https://10.1.2.3/",
            "https://2852039166/",
            "https://0xa9fea9fe/",
            "https://[fe80::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[::1]/",
            "https://0.0.0.0/",
            "https://100.64.0.1/",
            "https://localhost./token",
            "https://127.0.0.1./token",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
            "https://[fec0::1]/",
            "https://ann:pw@auth.acme.test/token",
            "file:///etc/passwd",
            "ftp://auth.acme.test/",
        ] {
            assert!(!allows(public, bad), "{bad}");
        }
        assert!(allows("127.0.0.1:5000", "http://127.0.0.1:5001/token"));
        assert!(!allows("127.0.0.1:5000", "http://auth.acme.test/token"));
        // A registry on an inner address may have more ports, and not speak for its neighbours.
        assert!(allows("10.0.0.1:5000", "https://10.0.0.1/token"));
        for bad in ["https://10.0.0.2/token", "https://169.254.169.254/", "https://127.0.0.1/token"] {
            assert!(!allows("10.0.0.1:5000", bad), "{bad}");
        }
    }

    #[test]
    fn credentials_go_to_no_address_of_another_host() {
        let realm = |registry: &str, url: &str| {
            Origin::of(registry).unwrap().allows_realm(&Url::parse(url).unwrap()).map_err(|error| error.to_string())
        };
        for bad in ["https://93.184.216.34/token", "https://[2606:2800:220:1::1]/token", "https://0x5db8d822/token"] {
            let refused = realm("registry.acme.test", bad).unwrap_err();
            assert!(refused.ends_with("which is refused: it is the address of another host, not a name"), "{refused}");
        }
        for (registry, good) in [
            ("registry.acme.test", "https://auth.acme.test/token"),
            ("93.184.216.34:5000", "https://93.184.216.34/token"),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("localhost:5000", "http://127.0.0.1:5001/token"),
        ] {
            assert_eq!(realm(registry, good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_look_alike_is_another_origin() {
        let origin = Origin::of("registry.acme.test").unwrap();
        assert!(origin.owns(&Url::parse("https://REGISTRY.acme.test:443/v2/").unwrap()));
        for other in [
            "https://registry.acme.test.evil.test/",
            "https://xregistry.acme.test/",
            "https://registry.acme.test@evil.test/",
            "https://reg\u{131}stry.acme.test/",
            "https://xn--regstry-q9a.acme.test/",
            "https://registry.acme.test./",
        ] {
            let url = Url::parse(other).unwrap();
            assert!(!origin.owns(&url) && !origin.same_host(&url), "{other}");
        }
        // Names that are written in other letters are no registries at all.
        for bad in ["reg\u{131}stry.acme.test", "registry.acme.test.", "registry。acme.test", "registry.acme.test\0"] {
            assert!(matches!(Origin::of(bad), Err(Error::BadHost { .. })), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let url = Url::parse("https://ann:pw@s3.test/blob?signature=s3cret#x").unwrap();
        assert_eq!(shown(&url), "https://s3.test/blob");
    }
}
