//! What a catalog's readers want to know of a block beside what it gives: who answers for it, how lively it is, who uses it,
//! what is nearly the same.

use jiff::Timestamp;
use serde::Serialize;

use super::activity::{self, Figures, Level};
use super::adopters::{self, Adopters};
use super::portal::{self, Repository};
use super::search::Document;
use super::similarity::{self, Near, Sketch};
use super::{Error, backstage};
use crate::blocks::manifest::{Kind, Support};
use crate::blocks::{Block, Catalog};
use crate::document;
use crate::git::{Commit, Mirror};

/// The most commits of one block that count.
const MOST_COMMITS: usize = 5000;
/// Two blocks that are this much alike, in percent, are worth a look.
pub const NEAR: u8 = 60;

/// Who answers for a block, and what they promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// What it is for.
    pub kind: Kind,
    /// One line on what it gives.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// Who reviews and merges contributions.
    pub trusted_committers: Vec<String>,
    /// What its owner promises.
    pub support: Support,
}

impl About {
    /// What a block says of itself: in its `block.toml`, and where that is silent in the `catalog-info.yaml` beside it.
    pub fn of(block: &Block) -> Self {
        let beside = backstage::beside(&block.template.source).unwrap_or_default();
        let Some(manifest) = &block.manifest else {
            return Self {
                kind: Kind::App,
                description: beside.description.clone().unwrap_or_default(),
                owner: beside.owner.clone(),
                trusted_committers: beside.committers.clone(),
                support: beside.support().unwrap_or_default(),
            };
        };
        let or = |own: &str, other: &str| if own.trim().is_empty() { other.to_owned() } else { own.to_owned() };
        let committers = &manifest.trusted_committers;
        Self {
            kind: manifest.kind,
            description: or(&manifest.description, beside.description.as_deref().unwrap_or_default()),
            owner: or(&manifest.owner, &beside.owner),
            trusted_committers: if committers.is_empty() { beside.committers } else { committers.clone() },
            support: manifest.support,
        }
    }
}

/// How lively a block is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// The `InnerSource` Commons score.
    pub score: i64,
    /// What it means.
    pub level: Level,
    /// When the block began.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Commits that changed it in each of the last 52 weeks, oldest first.
    pub weekly: Vec<u64>,
    /// Whether stars, forks and issues were known; else they count as none.
    pub forge: bool,
}

impl Activity {
    /// Of a block that changed at these times, newest first; none where it never did. `guidelines`: whether it says how to
    /// contribute; `forge`: what a portal knows of it.
    pub fn of(
        times: &[Timestamp],
        about: &About,
        guidelines: bool,
        forge: Option<&Repository>,
        now: Timestamp,
    ) -> Option<Self> {
        let (updated, created) = (*times.iter().max()?, *times.iter().min()?);
        let weekly = activity::weekly(times.iter().copied(), now);
        let motivation = forge.and_then(|forge| forge.metadata.motivation.as_ref());
        let figures = Figures {
            forks: forge.map_or(0, |forge| forge.forks_count),
            subscribers: forge.and_then(|forge| forge.subscribers_count).unwrap_or(0),
            stars: forge.map_or(0, |forge| forge.stargazers_count),
            open_issues: forge.map_or(0, |forge| forge.open_issues_count),
            updated,
            created,
            weekly: Some(weekly.clone()),
            described: about.description.chars().count() > 30 || motivation.is_some_and(|m| m.chars().count() > 30),
            guidelines,
        };
        let score = activity::score(&figures, now);
        Some(Self { score, level: activity::level(score), created, updated, weekly, forge: forge.is_some() })
    }
}

/// A catalog as a developer has it, with what it knows of its blocks.
pub struct Overview<'a> {
    catalog: &'a Catalog,
    /// The repository, and the commit that is looked at; none of the built-in catalog.
    at: Option<(&'a Mirror, Commit)>,
    portal: Vec<Repository>,
    now: Timestamp,
}

impl<'a> Overview<'a> {
    /// Of a catalog; `portal` is what a portal knows of it, else the catalog's own `repos.json` is read.
    pub fn of(catalog: &'a Catalog, portal: Option<Vec<Repository>>, now: Timestamp) -> Result<Self, Error> {
        let at = match catalog {
            Catalog::Git(mirror) => Some((mirror, mirror.head()?)),
            Catalog::Builtin => None,
        };
        let mut overview = Self { catalog, at, portal: Vec::new(), now };
        overview.portal = match portal {
            Some(portal) => portal,
            // Somebody else's file: where it cannot be read, nothing is known from it.
            None => match overview.file("repos.json", portal::CAP)? {
                Some(text) => portal::read("repos.json", &text).unwrap_or_default(),
                None => Vec::new(),
            },
        };
        Ok(overview)
    }

    fn file(&self, path: &str, cap: u64) -> Result<Option<String>, Error> {
        let Some((mirror, head)) = &self.at else { return Ok(None) };
        Ok(mirror.read(head, path, cap)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// How lively a block is; none in the built-in catalog. Merges count once, by when they were merged.
    pub fn activity(&self, block: &Block, about: &About) -> Result<Option<Activity>, Error> {
        let Some((mirror, head)) = &self.at else { return Ok(None) };
        let name = &block.id.name;
        let mut times = Vec::new();
        for commit in mirror.history(head, &format!("blocks/{name}"), MOST_COMMITS)? {
            times.push(mirror.describe(&commit)?.1);
        }
        let guidelines = self.guidelines(block)?;
        let forge = portal::find(&self.portal, mirror.url().as_str(), name.as_str());
        Ok(Activity::of(&times, about, guidelines, forge, self.now))
    }

    fn guidelines(&self, block: &Block) -> Result<bool, Error> {
        let own = block.template.source.get("CONTRIBUTING.md").is_some();
        Ok(own || self.file("CONTRIBUTING.md", document::CAP)?.is_some())
    }

    /// Who uses a block, as the catalog's `adopters.toml` remembers; none where it has no such file.
    pub fn adopters(&self) -> Result<Option<Adopters>, Error> {
        let Some(text) = self.file(adopters::FILE, document::CAP)? else { return Ok(None) };
        Ok(Some(Adopters::parse(std::path::Path::new(adopters::FILE), &text)?))
    }

    /// The latest release of every block that can be read.
    pub fn blocks(&self) -> Result<Vec<Block>, Error> {
        let (listed, _) = self.catalog.list()?;
        let read = |name: &str| self.catalog.block(name, &semver::VersionReq::STAR);
        Ok(listed.iter().map(|block| read(block.name.as_str())).collect::<Result<_, _>>()?)
    }
}

/// The blocks among others that are nearly the same as one, the nearest first.
pub fn near(block: &Block, others: &[Block]) -> Vec<Near> {
    let sketches: Vec<(String, Sketch)> = others
        .iter()
        .filter(|other| other.id.name != block.id.name)
        .map(|other| (other.id.name.to_string(), sketch(other)))
        .collect();
    similarity::near(&sketch(block), sketches.iter().map(|(name, sketch)| (name.as_str(), sketch)), NEAR)
}

/// What a project gets of a block, sketched.
pub fn sketch(block: &Block) -> Sketch {
    Sketch::of(&super::change::rendered_part(block), |_| true)
}

/// What is searched of a block.
pub fn document(block: &Block) -> Document {
    let about = About::of(block);
    let asked = block.template.questions.iter().map(|question| format!("{} {}", question.id, question.help));
    Document {
        name: block.id.name.to_string(),
        description: about.description,
        people: format!("{} {}", about.owner, about.trusted_committers.join(" ")),
        questions: asked.collect::<Vec<_>>().join(" "),
        readme: block.readme.clone().unwrap_or_default(),
    }
}
