//! The names that services have in a browser: `web.shop-main-1a2b3c4d.localhost`. RFC 6761 (6.3) gives `localhost` and all below it
//! to the machine itself.

use std::fmt;

use serde::Serialize;

use crate::sandbox::{SandboxId, ServiceId};

/// What every name ends with.
const ZONE: &str = ".localhost";
/// The longest name and the longest of its labels, in bytes (RFC 1035, 2.3.4).
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;
/// What the name of a sandbox ends with: a dash and eight digits that tell it from all others.
const TAIL: usize = 9;

/// A name below `localhost`, in small letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hostname(String);

impl Hostname {
    /// The name of a service. Those of the sandbox's own app go without the app's name.
    pub fn of(sandbox: &SandboxId, id: &ServiceId) -> Self {
        let label = label(sandbox.as_str());
        let ServiceId { app, service } = id;
        Self(if *app == sandbox.project {
            format!("{service}.{label}{ZONE}")
        } else {
            format!("{service}.{app}.{label}{ZONE}")
        })
    }

    /// The name that a client asks for, by `Host` or in TLS: perhaps with a port or a last dot, in letters of any size. None where it
    /// is not below `localhost`.
    pub fn asked(text: &str) -> Option<Self> {
        let name = match text.split_once(':') {
            Some((name, port)) => port.bytes().all(|digit| digit.is_ascii_digit()).then_some(name)?,
            None => text,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let above = name.strip_suffix(ZONE)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(plain);
        (name.len() <= LONGEST && above.split('.').all(is_label)).then_some(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a sandbox as one label: where it is longer than a label may be, its middle is left out.
fn label(sandbox: &str) -> String {
    if sandbox.len() <= LONGEST_LABEL {
        return sandbox.to_owned();
    }
    let (head, tail) = sandbox.split_at(sandbox.len() - TAIL);
    format!("{}{tail}", head[..LONGEST_LABEL - TAIL].trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sandbox(project: &str, branch: &str) -> SandboxId {
        SandboxId::new(&project.parse().unwrap(), Some(branch), Path::new("/w"))
    }

    fn service(app: &str, service: &str) -> ServiceId {
        ServiceId { app: app.parse().unwrap(), service: service.parse().unwrap() }
    }

    #[test]
    fn a_service_has_the_name_of_its_sandbox_and_others_that_of_their_app_too() {
        let shop = sandbox("shop", "main");
        assert_eq!(Hostname::of(&shop, &service("shop", "web")).as_str(), format!("web.{shop}.localhost"));
        assert_eq!(Hostname::of(&shop, &service("auth", "api")).as_str(), format!("api.auth.{shop}.localhost"));
    }

    #[test]
    fn the_longest_names_fit_and_still_differ() {
        let (project, branch) = ("p".repeat(40), "b".repeat(20));
        let (one, other) = (sandbox(&project, &branch), sandbox(&project, &format!("{branch}b")));
        assert!(one.as_str().len() > LONGEST_LABEL);
        let name = |id: &SandboxId| Hostname::of(id, &service(&"a".repeat(40), &"s".repeat(40)));
        assert_ne!(name(&one), name(&other));
        for name in [name(&one), name(&other)] {
            assert_eq!(Hostname::asked(name.as_str()), Some(name.clone()), "{name}");
        }
        assert_eq!(label(&format!("{}-{}-12345678", "p".repeat(40), "b".repeat(20))).len(), LONGEST_LABEL);
    }

    #[test]
    fn what_is_asked_for_is_below_localhost() {
        let asked = |text: &str| Hostname::asked(text).map(|name| name.0);
        for text in ["web.shop.localhost", "WEB.Shop.LOCALHOST:8443", "web.shop.localhost.", "web.shop.localhost.:1"] {
            assert_eq!(asked(text).as_deref(), Some("web.shop.localhost"), "{text}");
        }
        let long = format!("{}.localhost", "a".repeat(64));
        let longer = format!("{}localhost", "a.".repeat(130));
        for text in [
            "",
            "localhost",
            ".localhost",
            "a..localhost",
            "127.0.0.1:8443",
            "[::1]:8443",
            "evil.test",
            "web.localhost.evil.test",
            "evillocalhost",
            "a.localhost:80:80",
            "a.localhost:http",
            "a b.localhost",
            "ä.localhost",
            "a\0.localhost",
            &long,
            &longer,
        ] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Hostname::asked(&text);
        }
    }
}
