//! The trailers of a deployment's commit: which source, images and test results a declaration came from, where git keeps
//! them for good.
//!
//! A commit that deploys several apps has a group of them for each, which `Onramp-App` begins. An onramp that knows one group
//! only takes such a commit for one by hand: it reads nothing wrong.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::deployment::Change;
use crate::git::Commit;
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;

/// The most apps that one commit tells of.
pub const MOST: usize = 500;
/// The longest reason, in characters: it stands on one line.
const REASON_MAX: usize = 300;

/// What a deployment's commit says about itself and one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailers {
    /// The app (`Onramp-App`).
    pub app: Name,
    /// The environment (`Onramp-Environment`).
    pub environment: Name,
    /// The project's commit (`Onramp-Source`); none where nobody ever said.
    pub source: Option<Commit>,
    /// When that was made (`Onramp-Source-Time`).
    pub made: Option<Timestamp>,
    /// The images built from it, by service (`Onramp-Image: web=repository@digest`).
    pub images: BTreeMap<Name, ImageRef>,
    /// The tests that ran on it, and whether they passed (`Onramp-Tests: unit=passed smoke=failed`).
    pub tests: BTreeMap<Name, bool>,
    /// What else the commit says of how it came about.
    pub origin: Origin,
}

/// How a deployment came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// From a project.
    #[default]
    Project,
    /// From what another environment declared at a commit (`Onramp-Promoted: staging@1a2b…`).
    Promoted {
        /// That environment.
        from: Name,
        /// The commit of the state repository.
        at: Commit,
    },
    /// Back to what the environment itself declared since a commit (`Onramp-Rollback: 1a2b…`).
    Rollback(Commit),
    /// From a project, past the environment before, for a reason (`Onramp-Override: after: reason`).
    Hotfix(String),
}

/// Why something is done past a rule: one line of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl std::str::FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.chars().any(crate::text::is_unsafe) {
            return Err("a reason is one line of words".to_owned());
        }
        if text.chars().count() > REASON_MAX {
            return Err(format!("a reason has at most {REASON_MAX} characters; --message takes more words"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Trailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Onramp-App: {}", self.app)?;
        writeln!(f, "Onramp-Environment: {}", self.environment)?;
        if let Some(source) = &self.source {
            writeln!(f, "Onramp-Source: {source}")?;
        }
        if let Some(made) = &self.made {
            writeln!(f, "Onramp-Source-Time: {made}")?;
        }
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
        match &self.origin {
            Origin::Project => Ok(()),
            Origin::Promoted { from, at } => writeln!(f, "Onramp-Promoted: {from}@{at}"),
            Origin::Rollback(commit) => writeln!(f, "Onramp-Rollback: {commit}"),
            Origin::Hotfix(reason) => writeln!(f, "Onramp-Override: after: {reason}"),
        }
    }
}

impl Trailers {
    /// Reads the trailers of a commit's message: its last paragraph, a group for each app. None at all where one is not whole,
    /// says a thing twice, or tells of an app in an environment that another one told of.
    pub fn parse(message: &str) -> Vec<Self> {
        groups(message).unwrap_or_default()
    }

    /// What a commit's message says of an app in an environment.
    pub fn about(message: &str, environment: &Name, app: &Name) -> Option<Self> {
        Self::parse(message).into_iter().find(|trailers| trailers.is_about(environment, app))
    }

    /// Whether a commit did what it says: each image that is named here is declared, and each that it changed is named.
    pub fn fit(&self, declared: &BTreeMap<Name, Service>, changes: &[Change]) -> bool {
        let is_declared =
            |(service, image): (&Name, &ImageRef)| declared.get(service).and_then(|s| s.image.as_ref()) == Some(image);
        // A service that is added and not built from the source, a database, has no image in the trailers.
        let is_named = |change: &Change| change.from.is_none() || self.images.contains_key(&change.service);
        self.images.iter().all(is_declared) && changes.iter().all(is_named)
    }

    /// Whether it tells of an app in an environment.
    pub fn is_about(&self, environment: &Name, app: &Name) -> bool {
        self.app == *app && self.environment == *environment
    }
}

fn groups(message: &str) -> Option<Vec<Trailers>> {
    let last = message.trim_end().rsplit("\n\n").next()?;
    let mut groups: Vec<Group> = Vec::new();
    for line in last.lines() {
        let (key, value) = line.split_once(": ")?;
        if key == "Onramp-App" {
            groups.push(Group { app: Some(value.parse().ok()?), ..Group::default() });
        } else if key.starts_with("Onramp-") {
            groups.last_mut()?.take(key, value)?;
        }
        // Trailers of others, `Signed-off-by`, stand beside ours.
    }
    if groups.len() > MOST {
        return None;
    }
    let mut seen = std::collections::BTreeSet::new();
    groups
        .into_iter()
        .map(|group| {
            let trailers = group.whole()?;
            seen.insert((trailers.environment.clone(), trailers.app.clone())).then_some(trailers)
        })
        .collect()
}

/// A group that is being read.
#[derive(Default)]
struct Group {
    app: Option<Name>,
    environment: Option<Name>,
    source: Option<Commit>,
    made: Option<Timestamp>,
    images: BTreeMap<Name, ImageRef>,
    tests: Option<BTreeMap<Name, bool>>,
    origin: Option<Origin>,
}

impl Group {
    /// Takes a line; none where it is not as it must be, or there already.
    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        let twice = match key {
            "Onramp-Environment" => self.environment.replace(value.parse().ok()?).is_some(),
            "Onramp-Source" => self.source.replace(value.parse().ok()?).is_some(),
            "Onramp-Source-Time" => self.made.replace(value.parse().ok()?).is_some(),
            "Onramp-Image" => {
                let (service, image) = value.split_once('=')?;
                let image = image.parse::<ImageRef>().ok().filter(|image| image.digest().is_some())?;
                self.images.insert(service.parse().ok()?, image).is_some()
            }
            "Onramp-Tests" => self.tests.replace(results(value)?).is_some(),
            "Onramp-Promoted" => {
                let (from, at) = value.split_once('@')?;
                let origin = Origin::Promoted { from: from.parse().ok()?, at: at.parse().ok()? };
                self.origin.replace(origin).is_some()
            }
            "Onramp-Rollback" => self.origin.replace(Origin::Rollback(value.parse().ok()?)).is_some(),
            "Onramp-Override" => {
                let reason = value.strip_prefix("after: ")?;
                self.origin.replace(Origin::Hotfix(reason.to_owned())).is_some()
            }
            // What a later onramp says.
            _ => false,
        };
        (!twice).then_some(())
    }

    fn whole(self) -> Option<Trailers> {
        Some(Trailers {
            app: self.app?,
            environment: self.environment?,
            source: self.source,
            made: self.made,
            images: self.images,
            tests: self.tests.unwrap_or_default(),
            origin: self.origin.unwrap_or_default(),
        })
    }
}

fn results(value: &str) -> Option<BTreeMap<Name, bool>> {
    let mut tests = BTreeMap::new();
    for result in value.split_whitespace() {
        let (test, result) = result.split_once('=')?;
        let passed = match result {
            "passed" => true,
            "failed" => false,
            _ => return None,
        };
        if tests.insert(test.parse().ok()?, passed).is_some() {
            return None;
        }
    }
    Some(tests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Digest;

    fn sample() -> Trailers {
        Trailers {
            app: "shop".parse().unwrap(),
            environment: "test".parse().unwrap(),
            source: Some("1".repeat(40).parse().unwrap()),
            made: Some("2026-11-30T08:00:00Z".parse().unwrap()),
            images: [("web".parse().unwrap(), format!("r.test/a@{}", Digest::of(b"x")).parse().unwrap())].into(),
            tests: [("unit".parse().unwrap(), true), ("smoke".parse().unwrap(), false)].into(),
            origin: Origin::Project,
        }
    }

    #[test]
    fn trailers_read_back_what_they_wrote() {
        let message = format!("Deploy shop to test\n\nWhy: because.\n\n{}Signed-off-by: Ada <a@b>\n", sample());
        assert_eq!(Trailers::parse(&message), [sample()]);
    }

    #[test]
    fn what_a_commit_did_bears_out_what_it_says() {
        let (said, web): (_, Name) = (sample(), "web".parse().unwrap());
        let image = |seed: &[u8]| -> ImageRef { format!("r.test/a@{}", Digest::of(seed)).parse().unwrap() };
        let declares = |image: ImageRef| [(web.clone(), Service { image: Some(image), ..Service::default() })].into();
        let change =
            |service: &str| Change { service: service.parse().unwrap(), from: Some(image(b"w")), to: image(b"x") };
        assert!(said.fit(&declares(image(b"x")), &[change("web")]));
        assert!(!said.fit(&declares(image(b"y")), &[change("web")]), "another image than it names");
        assert!(!said.fit(&BTreeMap::new(), &[]), "it is not declared");
        assert!(!said.fit(&declares(image(b"x")), &[change("web"), change("cron")]), "one that it does not name");
        let new = Change { from: None, ..change("db") };
        assert!(said.fit(&declares(image(b"x")), &[change("web"), new]), "what is added is not built from the source");
    }

    #[test]
    fn a_train_tells_of_each_of_its_apps() {
        let at: Commit = "2".repeat(40).parse().unwrap();
        let origin = Origin::Promoted { from: "staging".parse().unwrap(), at };
        let auth = Trailers { app: "auth".parse().unwrap(), source: None, made: None, origin, ..sample() };
        let message = format!("Promote 2 apps\n\n{auth}{}", sample());
        assert_eq!(Trailers::parse(&message), [auth.clone(), sample()]);
        assert_eq!(Trailers::about(&message, &auth.environment, &auth.app), Some(auth.clone()));
        assert_eq!(Trailers::about(&message, &"live".parse().unwrap(), &auth.app), None);
        assert_eq!(Trailers::parse(&format!("Promote\n\n{auth}{auth}")), [], "one app twice");
    }

    #[test]
    fn only_the_last_paragraph_counts_and_nothing_twice() {
        let forged = format!("Deploy\n\n{}\nand more words\n", sample());
        assert_eq!(Trailers::parse(&forged), []);
        let twice = format!("Deploy\n\n{}Onramp-Tests: smoke=passed\n", sample());
        assert_eq!(Trailers::parse(&twice), []);
        let both = format!("Deploy\n\n{}Onramp-Override: after: x\nOnramp-Rollback: {}\n", sample(), "3".repeat(40));
        assert_eq!(Trailers::parse(&both), []);
        assert_eq!(Trailers::parse("Merge branch\n"), []);
        assert_eq!(Trailers::parse(""), []);
        assert_eq!(Trailers::parse("x\n\nOnramp-Environment: test\nOnramp-App: shop\n"), [], "no group is begun");
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "(Onramp-[A-Z][a-z]+: [a-z=@: ]{0,20}\n){0,6}") {
            let _ = Trailers::parse(&text);
        }

        #[test]
        fn every_group_reads_back(
            apps in proptest::collection::btree_set("[a-z][a-z0-9]{0,8}", 1..6), reason in "[ -~]{0,40}", kind in 0..4, source in proptest::bool::ANY,
        ) {
            let commit: Commit = "4".repeat(40).parse().unwrap();
            let origin = match kind {
                0 => Origin::Project,
                1 => Origin::Promoted { from: "staging".parse().unwrap(), at: commit.clone() },
                2 => Origin::Rollback(commit.clone()),
                _ => Origin::Hotfix(reason.trim().to_owned()),
            };
            proptest::prop_assume!(!matches!(&origin, Origin::Hotfix(reason) if reason.is_empty()));
            let group = |app: &String| Trailers {
                app: app.parse().unwrap(),
                source: source.then(|| commit.clone()),
                origin: origin.clone(),
                ..sample()
            };
            let groups: Vec<Trailers> = apps.iter().map(group).collect();
            let text: String = groups.iter().map(ToString::to_string).collect();
            proptest::prop_assert_eq!(Trailers::parse(&format!("Promote\n\n{text}")), groups);
        }
    }
}
