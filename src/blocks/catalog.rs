//! A catalog: the blocks that a company has released, and its defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use super::block::{Block, BlockId, check_identity};
use super::fetch::Release;
use super::manifest::{self, Kind, Manifest, Support};
use super::{Error, builtin, fetch};
use crate::catalog::overview::About;
use crate::document;
use crate::error::chain;
use crate::git::{Commit, Mirror, RepoUrl, Wanted};
use crate::images::policy::{self, Rule};
use crate::images::signature::key;
use crate::name::Name;
use crate::settings::{Company, Forge};
use crate::text::{did_you_mean, neutral_line};
use crate::tree::{Cap, Entry, Tree};
use crate::{template, version};

/// The file with the company's defaults.
pub const FILE: &str = "catalog.toml";
/// The most that one block may hold.
const BLOCK_CAP: Cap = Cap { files: Cap::TEMPLATE.files, bytes: 64 * 1024 * 1024 };

/// Where blocks come from.
pub enum Catalog {
    /// A git repository.
    Git(Mirror),
    /// The one in this binary.
    Builtin,
}

/// `catalog.toml`: the company's defaults, which `onramp join` writes to the user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// 1.
    pub schema: u32,
    /// The company.
    pub company: Option<Company>,
    /// Its forge.
    pub forge: Option<Forge>,
    /// Mirrors, by the registry that they stand before.
    #[serde(default, deserialize_with = "crate::settings::mirrors")]
    pub mirrors: BTreeMap<String, crate::settings::Mirror>,
    /// Which images must be signed, and by whom.
    #[serde(default)]
    pub signature: Vec<policy::Written>,
}

/// A block, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: Kind,
    /// Its latest release.
    pub version: Version,
    /// One line on what it gives.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// Who reviews and merges contributions to it.
    pub trusted_committers: Vec<String>,
    /// What its owner promises.
    pub support: Support,
}

/// A block that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Its name.
    pub name: Name,
    /// What is wrong with it.
    pub why: String,
}

impl Catalog {
    /// The catalog at a URL, brought up to date; with `offline`, as it was fetched before.
    pub fn open(cache: &Path, url: RepoUrl, offline: bool) -> Result<Self, Error> {
        let mirror = Mirror::new(cache, url, Wanted::Branches);
        mirror.refresh(offline)?;
        Ok(Self::Git(mirror))
    }

    /// What names it in `onramp.toml` and `onramp.lock`: its URL, or [`builtin::SOURCE`].
    pub fn source(&self) -> &str {
        match self {
            Self::Git(mirror) => mirror.url().as_str(),
            Self::Builtin => builtin::SOURCE,
        }
    }

    /// The company's defaults, where the catalog has some.
    pub fn defaults(&self) -> Result<Option<Defaults>, Error> {
        let Self::Git(mirror) = self else { return Ok(None) };
        Ok(company_file(mirror, &mirror.head()?)?.map(|(_, _, defaults)| defaults))
    }

    /// The company's rules on signatures, with their keys, which lie in the catalog.
    pub fn rules(&self) -> Result<Vec<Rule>, Error> {
        let Self::Git(mirror) = self else { return Ok(Vec::new()) };
        let head = mirror.head()?;
        let Some((place, text, defaults)) = company_file(mirror, &head)? else { return Ok(Vec::new()) };
        Rule::resolve(&place, &text, &defaults.signature, |file| Ok(mirror.read(&head, file, key::CAP)?))
    }

    /// The latest release of every block, by name; and the blocks whose latest release is wrong.
    pub fn list(&self) -> Result<(Vec<Listed>, Vec<Broken>), Error> {
        let (mut listed, mut broken) = (Vec::new(), Vec::new());
        for (name, releases) in self.releases()? {
            let Some((version, commit)) = latest(&releases) else { continue };
            match self.about(&name, version, commit) {
                Ok(about) => listed.push(Listed {
                    name,
                    kind: about.kind,
                    version: version.clone(),
                    description: about.description,
                    owner: about.owner,
                    trusted_committers: about.trusted_committers,
                    support: about.support,
                }),
                Err(error) => broken.push(Broken { name, why: neutral_line(&chain(&error), 300) }),
            }
        }
        Ok((listed, broken))
    }

    /// What a release says of itself. A template without a `block.toml` is read whole.
    fn about(&self, name: &Name, version: &Version, commit: Option<&Commit>) -> Result<About, Error> {
        let foreign = match (self, commit) {
            (Self::Git(mirror), Some(commit)) => {
                !mirror.list(commit, &format!("blocks/{name}"))?.iter().any(|file| file == manifest::FILE)
            }
            _ => false,
        };
        if foreign {
            let exact = semver::Comparator {
                op: semver::Op::Exact,
                major: version.major,
                minor: Some(version.minor),
                patch: Some(version.patch),
                pre: version.pre.clone(),
            };
            let block = self.block(name.as_str(), &VersionReq { comparators: vec![exact] })?;
            return Ok(About::of(&block));
        }
        let manifest = self.manifest(name, version, commit)?;
        Ok(About {
            kind: manifest.kind,
            description: manifest.description,
            owner: manifest.owner,
            trusted_committers: manifest.trusted_committers,
            support: manifest.support,
        })
    }

    /// The released versions of a block, newest first.
    pub fn versions(&self, name: &str) -> Result<Vec<Version>, Error> {
        Ok(self.releases_of(name)?.1.into_keys().rev().collect())
    }

    /// The released versions of a block with their tags and commits, newest first. Those of the built-in catalog have none.
    pub fn released(&self, name: &str) -> Result<Vec<Release>, Error> {
        let (name, releases) = self.releases_of(name)?;
        let release = |(version, commit): (Version, Option<Commit>)| {
            let tag = format!("{name}/v{version}");
            Some(Release { version: version.into(), tag, commit: commit? })
        };
        Ok(releases.into_iter().rev().filter_map(release).collect())
    }

    /// The highest release of a block that is what is asked for.
    pub fn block(&self, name: &str, requirement: &VersionReq) -> Result<Block, Error> {
        let (name, releases) = self.releases_of(name)?;
        let highest = if *requirement == VersionReq::STAR {
            latest(&releases)
        } else {
            releases.iter().rev().find(|(version, _)| requirement.matches(version)).map(by_reference)
        };
        let Some((version, commit)) = highest else {
            let versions = releases.into_keys().rev().map(version::Version::from).collect();
            return Err(Error::NoVersion { name, requirement: requirement.clone(), released: versions });
        };
        let (Self::Git(mirror), Some(commit)) = (self, commit) else { return builtin::block(&name, version) };
        let id = self.id(name.clone(), version, commit);
        let source = fetch::take(mirror, commit, &format!("blocks/{}", id.name), BLOCK_CAP)?;
        let place = place(&name, version);
        Block::read(id, Path::new(&place), source)
    }

    fn id(&self, name: Name, version: &Version, commit: &Commit) -> BlockId {
        let asked = name.to_string();
        let version = version.clone().into();
        let (source, commit) = (self.source().to_owned(), commit.to_string());
        BlockId { name, version, source, commit, asked, described: String::new() }
    }

    fn manifest(&self, name: &Name, version: &Version, commit: Option<&Commit>) -> Result<Manifest, Error> {
        let (Self::Git(mirror), Some(commit)) = (self, commit) else { return builtin::read(name) };
        let id = self.id(name.clone(), version, commit);
        let missing = || Error::Wrong {
            block: id.to_string(),
            place: manifest::FILE.to_owned(),
            message: "missing, or not UTF-8 text".to_owned(),
        };
        let bytes = mirror.read(commit, &format!("blocks/{name}/{}", manifest::FILE), document::CAP)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(missing)?;
        let manifest = manifest::parse(Path::new(&place(name, version)), &text)?;
        check_identity(&id, &manifest)?;
        Ok(manifest)
    }

    fn releases_of(&self, wanted: &str) -> Result<(Name, Releases), Error> {
        let mut all = self.releases()?;
        if let Some(found) = all.remove_entry(wanted) {
            return Ok(found);
        }
        let meant = did_you_mean(wanted, all.keys().map(Name::as_str)).map(str::to_owned);
        let catalog = match self {
            Self::Git(mirror) => mirror.url().to_string(),
            Self::Builtin => "the built-in catalog".to_owned(),
        };
        Err(Error::NoBlock { name: wanted.to_owned(), catalog, meant })
    }

    /// Every block with its releases.
    fn releases(&self) -> Result<BTreeMap<Name, Releases>, Error> {
        let mut all: BTreeMap<Name, Releases> = BTreeMap::new();
        match self {
            Self::Git(mirror) => {
                const TAGS: &str = "refs/tags/";
                for (tag, commit) in mirror.refs(TAGS)? {
                    if let Some((name, version)) = release(&tag[TAGS.len()..]) {
                        all.entry(name).or_default().insert(version, Some(commit));
                    }
                }
            }
            Self::Builtin => {
                for manifest in builtin::blocks()? {
                    all.entry(manifest.name).or_default().insert(manifest.version, None);
                }
            }
        }
        Ok(all)
    }
}

/// The file with the company's defaults: what errors call it, its text, and what it says.
fn company_file(mirror: &Mirror, head: &Commit) -> Result<Option<(PathBuf, String, Defaults)>, Error> {
    let Some(bytes) = mirror.read(head, FILE, document::CAP)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let place = PathBuf::from(format!("{FILE} of {} at {}", mirror.url(), head.short()));
    let defaults = document::parse(&place, &text)?;
    Ok(Some((place, text, defaults)))
}

/// The files of a repository as a tree: git's modes, and names that a tree can hold.
pub fn tree(id: &BlockId, files: Vec<(String, i32, Vec<u8>)>) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    for (path, mode, contents) in files {
        let refused = |why: String| {
            let place = neutral_line(&path, 200);
            Error::Template(template::Error::Refused { label: id.to_string(), place, why })
        };
        let at = path.parse().map_err(|error: crate::tree::BadPath| refused(error.to_string()))?;
        tree.insert(at, Entry::of_git(mode, contents).map_err(refused)?);
    }
    Ok(tree)
}

/// Versions with the commits that they are released at; none in the built-in catalog.
type Releases = BTreeMap<Version, Option<Commit>>;

/// The highest release; a pre-release only where there is nothing else.
fn latest(releases: &Releases) -> Option<(&Version, Option<&Commit>)> {
    let stable = releases.iter().rev().find(|(version, _)| version.pre.is_empty());
    stable.or_else(|| releases.last_key_value()).map(by_reference)
}

fn by_reference<'a>((version, commit): (&'a Version, &'a Option<Commit>)) -> (&'a Version, Option<&'a Commit>) {
    (version, commit.as_ref())
}

/// What a tag `<name>/vX.Y.Z` releases. Other tags are nobody's business here.
fn release(tag: &str) -> Option<(Name, Version)> {
    let (name, version) = tag.split_once("/v")?;
    Some((name.parse().ok()?, version.parse().ok()?))
}

fn place(name: &Name, version: &Version) -> String {
    format!("blocks/{name}/{} at {name}/v{version}", manifest::FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_releases() {
        assert_eq!(release("php-web/v1.2.3"), Some(("php-web".parse().unwrap(), Version::new(1, 2, 3))));
        for other in ["v1.2.3", "php-web/1.2.3", "php-web/v1.2", "a/b/v1.0.0", "../v1.0.0", "php-web/v01.0.0"] {
            assert_eq!(release(other), None, "{other}");
        }
    }

    #[test]
    fn pre_releases_are_not_the_latest() {
        let releases =
            |versions: &[&str]| -> Releases { versions.iter().map(|v| (v.parse().unwrap(), None)).collect() };
        let found = |versions: &[&str]| latest(&releases(versions)).unwrap().0.to_string();
        assert_eq!(found(&["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"]), "1.10.0");
        assert_eq!(found(&["0.1.0-alpha"]), "0.1.0-alpha");
    }

    #[test]
    fn the_built_in_catalog_answers_like_any_other() {
        let (listed, broken) = Catalog::Builtin.list().unwrap();
        assert!(broken.is_empty());
        assert!(listed.iter().any(|block| block.name.as_str() == "php-web" && block.kind == Kind::App));
        let block = Catalog::Builtin.block("php-web", &VersionReq::STAR).unwrap();
        assert_eq!(block.id.source, "builtin");
        let Err(Error::NoBlock { meant, .. }) = Catalog::Builtin.block("php-wep", &VersionReq::STAR) else { panic!() };
        assert_eq!(meant.as_deref(), Some("php-web"));
    }
}
