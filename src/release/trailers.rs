//! The trailers of a deployment's commit: which source, images and test results a declaration came from, where git keeps
//! them for good.

use std::collections::BTreeMap;
use std::fmt;

use crate::git::Commit;
use crate::name::Name;
use crate::reference::ImageRef;

/// What a deployment's commit says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailers {
    /// The app (`Onramp-App`).
    pub app: Name,
    /// The environment (`Onramp-Environment`).
    pub environment: Name,
    /// The project's commit (`Onramp-Source`).
    pub source: Commit,
    /// The images built from it, by service (`Onramp-Image: web=repository@digest`).
    pub images: BTreeMap<Name, ImageRef>,
    /// The tests that ran on it, and whether they passed (`Onramp-Tests: unit=passed smoke=failed`).
    pub tests: BTreeMap<Name, bool>,
}

impl fmt::Display for Trailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Onramp-App: {}", self.app)?;
        writeln!(f, "Onramp-Environment: {}", self.environment)?;
        writeln!(f, "Onramp-Source: {}", self.source)?;
        for (service, image) in &self.images {
            writeln!(f, "Onramp-Image: {service}={image}")?;
        }
        if !self.tests.is_empty() {
            write!(f, "Onramp-Tests:")?;
            for (test, passed) in &self.tests {
                write!(f, " {test}={}", if *passed { "passed" } else { "failed" })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Trailers {
    /// Reads the trailers of a commit's message: its last paragraph. None where they are not whole, or say a thing twice.
    pub fn parse(message: &str) -> Option<Self> {
        let message = message.trim_end();
        let last = message.rsplit("\n\n").next()?;
        let (mut app, mut environment, mut source) = (None, None, None);
        let (mut images, mut tests) = (BTreeMap::new(), BTreeMap::new());
        for line in last.lines() {
            let (key, value) = line.split_once(": ")?;
            let twice = match key {
                "Onramp-App" => app.replace(value.parse().ok()?).is_some(),
                "Onramp-Environment" => environment.replace(value.parse().ok()?).is_some(),
                "Onramp-Source" => source.replace(value.parse().ok()?).is_some(),
                "Onramp-Image" => {
                    let (service, image) = value.split_once('=')?;
                    let image = image.parse::<ImageRef>().ok().filter(|image| image.digest().is_some())?;
                    images.insert(service.parse().ok()?, image).is_some()
                }
                "Onramp-Tests" => {
                    let mut twice = false;
                    for result in value.split_whitespace() {
                        let (test, result) = result.split_once('=')?;
                        let passed = match result {
                            "passed" => true,
                            "failed" => false,
                            _ => return None,
                        };
                        twice |= tests.insert(test.parse().ok()?, passed).is_some();
                    }
                    twice
                }
                // Trailers of others, `Signed-off-by`, stand beside ours.
                _ => false,
            };
            if twice {
                return None;
            }
        }
        Some(Self { app: app?, environment: environment?, source: source?, images, tests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Digest;

    fn sample() -> Trailers {
        Trailers {
            app: "shop".parse().unwrap(),
            environment: "test".parse().unwrap(),
            source: "1".repeat(40).parse().unwrap(),
            images: [("web".parse().unwrap(), format!("r.test/a@{}", Digest::of(b"x")).parse().unwrap())].into(),
            tests: [("unit".parse().unwrap(), true), ("smoke".parse().unwrap(), false)].into(),
        }
    }

    #[test]
    fn trailers_read_back_what_they_wrote() {
        let message = format!("Deploy shop to test\n\nWhy: because.\n\n{}Signed-off-by: Ada <a@b>\n", sample());
        assert_eq!(Trailers::parse(&message), Some(sample()));
    }

    #[test]
    fn only_the_last_paragraph_counts_and_nothing_twice() {
        let forged = format!("Deploy\n\n{}\nand more words\n", sample());
        assert_eq!(Trailers::parse(&forged), None);
        let twice = format!("Deploy\n\n{}Onramp-Tests: smoke=passed\n", sample());
        assert_eq!(Trailers::parse(&twice), None);
        assert_eq!(Trailers::parse("Merge branch\n"), None);
        assert_eq!(Trailers::parse(""), None);
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "(Onramp-[A-Z][a-z]+: [a-z=: ]{0,20}\n){0,6}") {
            let _ = Trailers::parse(&text);
        }
    }
}
