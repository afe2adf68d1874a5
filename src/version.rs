//! The version of a block: semantic in a catalog, PEP 440 in the tags of other templates, or only a commit.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version. Those that are versions sort by their own rules; a bare commit sorts below all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Version {
    /// `1.2.3` of a catalog's block.
    Semantic(semver::Version),
    /// The tag of another template that PEP 440 takes for a version, as it is written: `v1.2`, `2.0.0a1`.
    Tag(String, pep440_rs::Version),
    /// No version: the text that stands for it, such as a branch, a short commit, or `0.0.0` of an untagged template.
    Bare(String),
}

impl Version {
    /// What `git describe` says of a commit after a tag, `v1.2.0-3-g1a2b3c4`: a post-release of that tag, as Copier has it.
    /// None of a text that is not of this form, or whose tag is no version.
    pub fn of_description(text: &str) -> Option<Self> {
        let (rest, hash) = text.rsplit_once("-g")?;
        let (tag, count) = rest.rsplit_once('-')?;
        let hex = hash.len() >= 4 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let base: pep440_rs::Version = tag.parse().ok()?;
        let post: pep440_rs::Version = format!("{}.post{}+g{hash}", base.only_release(), count.parse::<u32>().ok()?)
            .parse()
            .ok()
            .filter(|_| hex)?;
        Some(Self::Tag(text.to_owned(), post))
    }

    /// A tag of a template outside of catalogs, if PEP 440 takes it for a version.
    pub fn of_tag(tag: &str) -> Option<Self> {
        tag.parse::<pep440_rs::Version>().ok().map(|version| Self::Tag(tag.to_owned(), version))
    }

    /// What people call it, at this commit: what has no version is its commit, or not versioned.
    pub fn label(&self, commit: &str) -> String {
        match self.to_string() {
            none if none.is_empty() && commit.is_empty() => "not versioned".to_owned(),
            none if none.is_empty() => commit.chars().take(7).collect(),
            version => version,
        }
    }

    /// Its semantic version, if it is one.
    pub fn semantic(&self) -> Option<&semver::Version> {
        match self {
            Self::Semantic(version) => Some(version),
            _ => None,
        }
    }

    /// Whether it is a release before the release.
    pub fn is_prerelease(&self) -> bool {
        match self {
            Self::Semantic(version) => !version.pre.is_empty(),
            Self::Tag(_, version) => version.any_prerelease(),
            Self::Bare(_) => false,
        }
    }

    /// What PEP 440 makes of it, for what compares versions of either kind; none of what is no version.
    pub fn pep440(&self) -> Option<pep440_rs::Version> {
        match self {
            Self::Semantic(version) => {
                let plain = || pep440_rs::Version::new([version.major, version.minor, version.patch]);
                Some(version.to_string().parse().unwrap_or_else(|_| plain()))
            }
            Self::Tag(_, version) => Some(version.clone()),
            Self::Bare(_) => None,
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let ordering = match (self, other) {
            (Self::Semantic(one), Self::Semantic(other)) => one.cmp(other),
            _ => self.pep440().cmp(&other.pep440()),
        };
        // What is equal by its own rules (1.0 and v1.0) still has an order, so that equality and order agree.
        ordering.then_with(|| self.to_string().cmp(&other.to_string()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<String> for Version {
    fn from(text: String) -> Self {
        // A description of a commit may look like a semantic pre-release: it comes after its tag, not before.
        if let Some(described) = Self::of_description(&text) {
            return described;
        }
        match semver::Version::from_str(&text) {
            Ok(version) => Self::Semantic(version),
            Err(_) => Self::of_tag(&text).unwrap_or(Self::Bare(text)),
        }
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl From<semver::Version> for Version {
    fn from(version: semver::Version) -> Self {
        Self::Semantic(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Semantic(version) => version.fmt(f),
            Self::Tag(text, _) | Self::Bare(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.to_owned().into()
    }

    #[test]
    fn versions_sort_by_their_own_rules() {
        let sorted = ["main", "1.0.0-rc.1", "1.0.0", "v1.2", "1.10.0", "v2.0.0a1", "v2.0.0"];
        let mut shuffled: Vec<Version> = sorted.iter().rev().map(|text| version(text)).collect();
        shuffled.sort();
        assert_eq!(shuffled.iter().map(ToString::to_string).collect::<Vec<_>>(), sorted);
        assert!(version("v2.0.0a1").is_prerelease() && version("1.0.0-rc.1").is_prerelease());
        assert!(!version("v2.0").is_prerelease());
    }

    #[test]
    fn a_described_commit_comes_after_its_tag() {
        let sorted =
            ["0.0.0.post7+g1a2b3c4", "1.0.0", "1.0.0-3-g1a2b3c4", "1.0.0-12-g1a2b3c4", "v1.0.1-0-gabcd", "1.0.2"];
        let mut shuffled: Vec<Version> = sorted.iter().rev().map(|text| version(text)).collect();
        shuffled.sort();
        assert_eq!(shuffled.iter().map(ToString::to_string).collect::<Vec<_>>(), sorted);
        assert!(!version("v1.0.0-3-g1a2b3c4").is_prerelease());
        assert!(matches!(version("main-3-g1a2b3c4"), Version::Bare(_)));
        assert!(matches!(version("1.0.0-3-gamma"), Version::Semantic(_)));
    }
}
