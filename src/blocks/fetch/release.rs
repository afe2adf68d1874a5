//! A template's released versions: which is the latest, which match, and whether one moved since it was locked.

use std::str::FromStr;

use pep440_rs::{VersionSpecifier, VersionSpecifiers};
use serde::Serialize;

use super::Error;
use crate::git::Commit;
use crate::project::lock::LockedBlock;
use crate::version::Version;

/// A tag that is a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// The tag.
    pub tag: String,
    /// The commit that it leads to.
    pub commit: Commit,
}

/// A released version that is not what it was when it was locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The tag.
    pub tag: String,
    /// The commit that the project was rendered from, and stays based on.
    pub locked: String,
    /// The commit that the tag leads to now; none: the tag is gone.
    pub now: Option<Commit>,
}

/// Whether the tag that a project's block was rendered from leads elsewhere now, or is gone.
pub fn moved(locked: &LockedBlock, releases: &[Release]) -> Option<Moved> {
    let tag = locked.version.to_string();
    // What describes a commit between tags was never a tag.
    if locked.commit.is_empty() || matches!(locked.version, Version::Bare(_)) || Version::of_tag(&tag).is_none() {
        return None;
    }
    if Version::of_description(&tag).is_some() || tag.starts_with("0.0.0.post") {
        return None;
    }
    // A catalog's tags are more than the version: `php-web/v1.2.0`.
    let release = releases.iter().find(|release| release.tag == tag || release.version == locked.version);
    if release.is_some_and(|release| release.commit.as_str() == locked.commit) {
        return None;
    }
    let (tag, now) = release.map_or((tag, None), |r| (r.tag.clone(), Some(r.commit.clone())));
    Some(Moved { tag, locked: locked.commit.clone(), now })
}

/// The tags that PEP 440 takes for versions, newest first. Of two that are the same version the first by name.
pub(super) fn sorted(tags: Vec<(String, Commit)>) -> Vec<Release> {
    let mut found: Vec<(pep440_rs::Version, Release)> = tags
        .into_iter()
        .filter_map(|(tag, commit)| {
            let order = pep440_rs::Version::from_str(&tag).ok()?;
            Some((order, Release { version: tag.clone().into(), tag, commit }))
        })
        .collect();
    found.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.tag.cmp(&b.tag)));
    found.into_iter().map(|(_, release)| release).collect()
}

/// The highest; a release before the release only where they are asked for.
pub(super) fn latest(releases: &[Release], prereleases: bool) -> Option<&Release> {
    releases.iter().find(|release| prereleases || !release.version.is_prerelease())
}

/// The highest that is what is asked for; releases before the release only where nothing else is.
pub(super) fn matching<'a>(releases: &'a [Release], requirement: &str) -> Result<Option<&'a Release>, Error> {
    let asked = requirement.trim();
    let bad = || Error::BadRequirement { requirement: requirement.to_owned() };
    if let Some(tag) =
        [asked.to_owned(), format!("v{asked}")].iter().find_map(|tag| releases.iter().find(|r| r.tag == *tag))
    {
        return Ok(Some(tag));
    }
    let of = |release: &Release| pep440_rs::Version::from_str(&release.tag).ok();
    let highest = |fits: &dyn Fn(&Release) -> bool| {
        let fitting = || releases.iter().filter(|release| fits(release));
        fitting().find(|release| !release.version.is_prerelease()).or_else(|| fitting().next())
    };
    if let Ok(version) = pep440_rs::Version::from_str(asked) {
        let begins = VersionSpecifier::equals_star_version(version.only_release());
        let exact = releases.iter().find(|release| of(release).as_ref() == Some(&version));
        // `1.2` is the highest 1.2.x; `1.2a1` and the like are only themselves.
        if version != version.only_release() {
            return Ok(exact);
        }
        return Ok(highest(&|release| of(release).is_some_and(|version| begins.contains(&version))).or(exact));
    }
    if let Ok(specifiers) = VersionSpecifiers::from_str(asked)
        && !asked.is_empty()
    {
        return Ok(highest(&|release| of(release).is_some_and(|version| specifiers.contains(&version))));
    }
    let semver = semver::VersionReq::parse(asked).map_err(|_| bad())?;
    let plain = |release: &Release| semver::Version::parse(release.tag.trim_start_matches('v')).ok();
    Ok(highest(&|release| plain(release).is_some_and(|version| semver.matches(&version))))
}

/// Those that are what is asked for: the tag of this name, or all that fit.
pub fn fitting(mut releases: Vec<Release>, requirement: &str) -> Result<Vec<Release>, Error> {
    let asked = requirement.trim();
    let tags = [asked.to_owned(), format!("v{asked}")];
    let is_named = |release: &Release| tags.contains(&release.tag);
    if releases.iter().any(is_named) {
        releases.retain(is_named);
        return Ok(releases);
    }
    let mut fitting = Vec::new();
    for release in releases {
        if matching(std::slice::from_ref(&release), requirement)?.is_some() {
            fitting.push(release);
        }
    }
    Ok(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases(tags: &[&str]) -> Vec<Release> {
        let commit = |i: usize| format!("{i:040x}").parse().unwrap();
        sorted(tags.iter().enumerate().map(|(i, tag)| ((*tag).to_owned(), commit(i))).collect())
    }

    #[test]
    fn the_latest_is_copiers() {
        let all = releases(&["v1.0.0", "v1.10.0", "v1.9.0", "v2.0.0a1", "2.0.0.dev3", "latest", "1.10"]);
        let tags: Vec<&str> = all.iter().map(|release| release.tag.as_str()).collect();
        assert_eq!(tags, ["v2.0.0a1", "2.0.0.dev3", "1.10", "v1.10.0", "v1.9.0", "v1.0.0"]);
        assert_eq!(latest(&all, false).unwrap().tag, "1.10");
        assert_eq!(latest(&all, true).unwrap().tag, "v2.0.0a1");
        assert_eq!(latest(&releases(&["main", "x"]), true), None);
    }

    #[test]
    fn a_requirement_is_read_as_people_mean_it() {
        let all = releases(&["v1.2.0", "v1.2.5", "v1.3.0", "v2.0.0", "v2.1.0rc1", "v3.0.0b2"]);
        let found = |text: &str| matching(&all, text).unwrap().map(|release| release.tag.as_str());
        for (text, expected) in [
            (">=1,<2", Some("v1.3.0")),
            ("==1.2.*", Some("v1.2.5")),
            ("~=1.2.0", Some("v1.2.5")),
            ("1.2", Some("v1.2.5")),
            ("1", Some("v1.3.0")),
            ("1.2.0", Some("v1.2.0")),
            ("v1.2.0", Some("v1.2.0")),
            ("^1.2", Some("v1.3.0")),
            ("*", Some("v2.0.0")),
            (">=2", Some("v2.0.0")),
            (">=2.1", Some("v3.0.0b2")),
            ("2.1.0rc1", Some("v2.1.0rc1")),
            ("2.1.0-rc.1", Some("v2.1.0rc1")),
            ("4", None),
            ("1.2.0a1", None),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
        let fit = |text: &str| fitting(all.clone(), text).unwrap().into_iter().map(|release| release.tag);
        assert_eq!(fit(">=1,<2").collect::<Vec<_>>(), ["v1.3.0", "v1.2.5", "v1.2.0"]);
        assert_eq!(fit("1.2").collect::<Vec<_>>(), ["v1.2.5", "v1.2.0"]);
        assert_eq!(fit("1.2.0").collect::<Vec<_>>(), ["v1.2.0"]);
        for bad in ["", "latest", "--upload-pack=x", "1.2 3", ">=", "\u{1b}[31m"] {
            assert!(matching(&all, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tag_that_moved_or_went_is_told() {
        let all = releases(&["v1.0.0", "v1.1.0"]);
        let locked = |version: &str, commit: &str| LockedBlock {
            source: "/t".to_owned(),
            version: version.to_owned().into(),
            commit: commit.to_owned(),
            content: crate::reference::Digest::of(b""),
            facts: std::collections::BTreeMap::new(),
            answers: toml::Table::new(),
            json: std::collections::BTreeMap::new(),
            files: crate::project::lock::Files::default(),
        };
        let (first, second) = (all[1].commit.clone(), all[0].commit.clone());
        assert_eq!(moved(&locked("v1.0.0", first.as_str()), &all), None);
        let told = moved(&locked("v1.0.0", second.as_str()), &all).unwrap();
        assert_eq!((told.tag.as_str(), told.now), ("v1.0.0", Some(first.clone())));
        assert_eq!(moved(&locked("v0.9", first.as_str()), &all).unwrap().now, None);
        for never in ["v1.0.0-3-gabcdef0", "0.0.0.post3+gabcdef0", "main"] {
            assert_eq!(moved(&locked(never, first.as_str()), &all), None, "{never}");
        }
        assert_eq!(moved(&locked("v0.9", ""), &all), None, "a directory has no tags");
    }
}
