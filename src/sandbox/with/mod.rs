//! What `--with` mixes into a sandbox: changes of other apps that their environment does not declare yet.
//!
//! [`With`] is what was asked for, [`Sources`] finds out what it means, [`Mix`] is that: what the closure, the plan and
//! parity are told.

mod checkout;
mod error;
mod find;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use checkout::SOURCES;
pub use error::Error;
pub use find::Sources;

use super::closure::ServiceId;
use crate::engine::{Container, label};
use crate::git::{self, Commit};
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::{Digest, ImageRef};
use crate::text::neutral_line;

/// The most bytes of one `--with`.
const MOST: usize = 1000;

/// One `--with`: an app, maybe one service of it, and what is to run of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct With {
    /// The app.
    pub app: Name,
    /// The one service that is meant; none where what is asked for says it.
    pub service: Option<Name>,
    /// What is to run.
    pub what: What,
}

/// What is to run of an app. How it begins tells what it is: no two forms can be taken for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `sha256:…`: this digest of the repository that is declared.
    Digest(Digest),
    /// `registry/name:tag` or `registry/name@sha256:…`.
    Image(ImageRef),
    /// `#12` or `pr:12`: what this pull request of the state repository declares.
    Pull(u64),
    /// `branch:name`: this branch of the app's source, built.
    Branch(String),
    /// `../auth`, `./auth`, `/src/auth`: this directory, built.
    Directory(PathBuf),
}

impl FromStr for With {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unclear = |why: &str| Error::Unclear { text: neutral_line(text, 80), why: why.to_owned() };
        if text.len() > MOST || text.chars().any(char::is_control) {
            return Err(unclear("it is too long or holds control characters"));
        }
        let (whose, what) = text.split_once('=').ok_or_else(|| unclear("there is no `=` in it"))?;
        let (app, service) = match whose.split_once('/') {
            Some((app, service)) => (app, Some(service)),
            None => (whose, None),
        };
        let name = |text: &str| text.parse::<Name>().map_err(|error| unclear(&error.to_string()));
        let (app, service) = (name(app)?, service.map(name).transpose()?);
        let what = What::of(what).map_err(|why| unclear(&why))?;
        Ok(Self { app, service, what })
    }
}

impl What {
    fn of(text: &str) -> Result<Self, String> {
        let wrong = |error: crate::reference::ParseError| neutral_line(&error.to_string(), 200);
        if let Some(number) = text.strip_prefix('#').or_else(|| text.strip_prefix("pr:")) {
            let plain = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|number| plain && *number > 0);
            return number.map(Self::Pull).ok_or_else(|| "a pull request has a number, as in pr:12".to_owned());
        }
        if let Some(branch) = text.strip_prefix("branch:") {
            return if git::is_branch_name(branch) {
                Ok(Self::Branch(branch.to_owned()))
            } else {
                Err("that is no branch's name".to_owned())
            };
        }
        if text.starts_with(['/', '.']) {
            return Ok(Self::Directory(text.into()));
        }
        if text.starts_with("sha256:") {
            return text.parse().map(Self::Digest).map_err(wrong);
        }
        // No branch's name has a colon, and every reference of an image here has one.
        if text.contains('/') && text.contains(':') {
            return text.parse().map(Self::Image).map_err(wrong);
        }
        Err("what it begins with does not tell what it is".to_owned())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Image(image) => write!(f, "{image}"),
            Self::Pull(number) => write!(f, "pr:{number}"),
            Self::Branch(branch) => write!(f, "branch:{branch}"),
            Self::Directory(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{}/{service}={}", self.app, self.what),
            None => write!(f, "{}={}", self.app, self.what),
        }
    }
}

/// What is mixed in where this container is; none where nothing is.
pub fn of_container(container: &Container) -> Option<&str> {
    container.labels.get(label::WITH).map(String::as_str).filter(|told| !told.is_empty())
}

/// Everything that is mixed into a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// The state repository's commit that it is laid over; none where nothing is mixed.
    pub commit: Option<Commit>,
    /// The services of each app of which something is mixed in, as they would be declared.
    pub apps: BTreeMap<Name, BTreeMap<Name, Service>>,
    /// Those that are not as the environment declares them.
    pub parts: BTreeMap<ServiceId, Part>,
}

/// One service that is not as its environment declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What was asked for, and the commit that it was then: `auth=pr:12 (1a2b3c4)`.
    pub told: String,
    /// What it is built from; none where it is an image.
    pub build: Option<PartBuild>,
}

/// How a service of another app is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartBuild {
    /// The directory with the Dockerfile in it.
    pub context: PathBuf,
    /// The base image that the other project's lock pins; none where the Dockerfile names its own.
    pub base: Option<ImageRef>,
}

impl Mix {
    /// What is mixed in, in words, each once.
    pub fn told(&self) -> Vec<String> {
        let told: BTreeSet<&String> = self.parts.values().map(|part| &part.told).collect();
        told.into_iter().cloned().collect()
    }

    /// Refuses what nothing of is in a sandbox with these services.
    pub fn all_in(&self, members: &[&ServiceId], own: &Name) -> Result<(), Error> {
        for told in self.told() {
            let mut parts = self.parts.iter().filter(|(_, part)| part.told == told).map(|(id, _)| id);
            if !parts.clone().any(|part| members.contains(&part)) {
                let known = members.iter().filter(|member| member.app != *own).map(ToString::to_string).collect();
                let missing = parts.next().map(ToString::to_string).unwrap_or_default();
                return Err(Error::NotInIt { asked: told, service: missing, known });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_begins_tells_what_it_is() {
        let digest = Digest::of(b"x");
        let asked = |text: &str| text.parse::<With>().map(|with| (with.to_string(), with.what)).unwrap();
        assert_eq!(asked("auth=#12"), ("auth=pr:12".into(), What::Pull(12)));
        assert_eq!(asked("auth=pr:12").1, What::Pull(12));
        assert_eq!(asked("auth=branch:fix/a").1, What::Branch("fix/a".into()));
        assert_eq!(asked("auth=../auth").1, What::Directory("../auth".into()));
        assert_eq!(asked("auth=/src/a=b").1, What::Directory("/src/a=b".into()));
        assert_eq!(asked(&format!("auth/api={digest}")).1, What::Digest(digest.clone()));
        let image = format!("r.test:5000/apps/auth@{digest}");
        assert_eq!(asked(&format!("auth={image}")), (format!("auth={image}"), What::Image(image.parse().unwrap())));
    }

    #[test]
    fn what_is_unclear_or_hostile_is_refused() {
        let refused = |text: &str| text.parse::<With>().unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                "auth", "auth=feature", "auth=feature/x", "=#1", "../x=#1", "a/b/c=#1", "auth=#0", "auth=#-1", "auth=pr:+1",
                "auth=branch:--upload-pack=x", "auth=branch:a..b", "auth=branch:HEAD^{/x}", "auth=branch:",
                "auth=sha256:12", "auth=r.test/a:b:c", "auth=./a\u{1b}[2J", "auth=--upload-pack",
            ]
            .map(refused)
            .join("\n"),
            @r"
            --with auth: there is no `=` in it
            --with auth=feature: what it begins with does not tell what it is
            --with auth=feature/x: what it begins with does not tell what it is
            --with =#1: `` is not a name: use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter
            --with ../x=#1: `..` is not a name: use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter
            --with a/b/c=#1: `b/c` is not a name: use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter
            --with auth=#0: a pull request has a number, as in pr:12
            --with auth=#-1: a pull request has a number, as in pr:12
            --with auth=pr:+1: a pull request has a number, as in pr:12
            --with auth=branch:--upload-pack=x: that is no branch's name
            --with auth=branch:a..b: that is no branch's name
            --with auth=branch:HEAD^{/x}: that is no branch's name
            --with auth=branch:: that is no branch's name
            --with auth=sha256:12: `sha256:12` is not a digest (sha256: and 64 hexadecimal digits)
            --with auth=r.test/a:b:c: `r.test/a:b:c` is not an image reference (registry/name:tag or registry/name@sha256:…)
            --with auth=./a\u{1b}[2J: it is too long or holds control characters
            --with auth=--upload-pack: what it begins with does not tell what it is
            "
        );
        let long = format!("auth=./{}", "a".repeat(2000));
        assert!(refused(&long).len() < 300);
    }

    proptest::proptest! {
        #[test]
        fn what_was_asked_for_reads_back(text in "[a-z/]{1,6}=(#|pr:|branch:|\\./|sha256:|r.test/)?[ -~]{0,12}") {
            if let Ok(with) = text.parse::<With>() {
                proptest::prop_assert_eq!(with.to_string().parse::<With>().unwrap(), with);
            }
        }
    }
}
