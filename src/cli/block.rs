//! What commands about building blocks share: which template is meant, and where its answers come from.

use std::path::PathBuf;

use super::catalog;
use super::context::Context;
use super::failure::Failure;
use super::permission::{Permission, Trusting};
use super::prompt::Terminal;
use crate::blocks::facts::Operation;
use crate::blocks::fetch::At;
use crate::blocks::location::{self, Location};
use crate::blocks::nested::{self, Choosing};
use crate::blocks::{Block, Catalog, Facts, Layer, fetch, require};
use crate::error::Class;
use crate::project::lock::LockedBlock;
use crate::project::{Lock, Manifest};
use crate::task::blocking;
use crate::template::engine::room;
use crate::template::question::Values;
use crate::template::resolve::{Ask, Sources};
use crate::template::{Answers, Template, resolve};
use crate::text;

/// Which version of a template.
#[derive(clap::Args, Clone, Default)]
pub struct Chosen {
    /// The version, or what it must be compatible with [default: the latest]
    #[arg(long, value_name = "REQ")]
    version: Option<String>,
    /// The branch, tag or commit of a template that is no block of the catalog
    #[arg(long = "ref", value_name = "REF", conflicts_with = "version", value_parser = reference)]
    reference: Option<String>,
}

/// The versions of a template, newest first.
pub struct Candidates {
    /// They.
    pub blocks: Vec<Block>,
    /// How many older ones there are beside them.
    pub not_tried: usize,
    /// The company's catalog; none where the template is no block of one.
    pub catalog: Option<Catalog>,
}

/// How its questions are answered.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Answers")]
pub struct Answering {
    /// Answer a question
    #[arg(long, value_name = "QUESTION=ANSWER", value_parser = catalog::key_value)]
    data: Vec<(String, String)>,
    /// Answer questions from a YAML, JSON or TOML file
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// Take the default of every question that is not answered
    #[arg(long)]
    defaults: bool,
}

/// Runs what renders blocks and compares them, all of it on one thread that may block.
pub async fn rendering<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    let done = blocking(move || room::in_room(work)).await;
    let done =
        done.map_err(|error| Failure::new(Class::Io, format!("there is no thread for its templates: {error}")))?;
    done.map_err(Into::into)
}

/// What git would take for an option, or what no reference looks like.
pub fn reference(text: &str) -> Result<String, String> {
    let bad = text.is_empty() || text.starts_with('-') || text.contains("..") || text.contains(':');
    if bad || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("no branch, tag or commit is called so".to_owned());
    }
    Ok(text.to_owned())
}

/// This version and no other.
pub fn exactly(version: &semver::Version) -> semver::VersionReq {
    format!("={version}").parse().expect("a version with = is a requirement")
}

/// A template that was found, and the catalog that its blocks are looked up in.
pub struct Found {
    /// It.
    pub block: Block,
    /// The company's catalog; none where the template is no block of one.
    pub catalog: Option<Catalog>,
    /// The blocks that it requires and the project does not have, those that others need first.
    pub required: Vec<Block>,
}

impl Found {
    /// Asks which template is meant, where the source holds several. Its answers are none of the template's own questions.
    pub async fn choose(mut self, cx: &Context, answering: &mut Answering) -> Result<Self, Failure> {
        let sources = answering.menu(cx)?;
        let ask = answering.ask(cx);
        let (found, answered) = blocking(move || -> Result<_, crate::blocks::Error> {
            let mut terminal = Terminal;
            let person = ask.then_some(&mut terminal as &mut dyn Ask);
            let (block, answered) = Choosing { sources: &sources, person }.choose(self.block)?;
            self.block = block;
            Ok((self, answered))
        })
        .await?;
        let asks = |id: &str| found.block.template.questions.iter().any(|question| question.id.as_str() == id);
        answering.data.retain(|(id, _)| asks(id) || !answered.iter().any(|answered| answered.as_str() == id));
        Ok(found)
    }

    /// Finds the blocks that it requires, and asks whether any of them may run what it wants to.
    pub fn prepare(&mut self, cx: &Context, trusting: Trusting, lock: &Lock) -> Result<Permission, Failure> {
        if let Some(catalog) = &self.catalog {
            let has = lock.blocks.iter().map(|(name, block)| (name.clone(), block.version.clone())).collect();
            let required = require::missing(&self.block, catalog, &has)?;
            self.required = required.into_iter().map(|block| block.kept_in(&cx.paths.cache)).collect();
        }
        let mut permission = Permission::Everything;
        for block in self.required.iter_mut().chain([&mut self.block]) {
            if trusting.decide(cx, block)? == Permission::Files {
                permission = Permission::Files;
            }
        }
        Ok(permission)
    }
}

impl Chosen {
    /// This version; none: the latest.
    pub fn exactly(version: Option<String>) -> Self {
        Self { version, reference: None }
    }

    /// The version that was asked for, of a block of the catalog.
    fn requirement(&self, name: &str) -> Result<semver::VersionReq, Failure> {
        if let Some(reference) = &self.reference {
            return Err(Failure::usage(format!(
                "--ref {reference}: `{name}` is a block of the catalog; choose by --version"
            )));
        }
        let text = self.version.as_deref().unwrap_or("*");
        text.parse().map_err(|error| Failure::usage(format!("--version {text}: {error}")))
    }

    /// The version that was asked for, of another template.
    fn at(&self) -> At {
        match (&self.reference, &self.version) {
            // What a work tree holds and nobody committed yet is what its author tries.
            (Some(head), _) if head == "HEAD" => At::Worktree,
            (Some(reference), _) => At::Reference(reference.clone()),
            (None, Some(requirement)) => At::Requirement(requirement.clone()),
            (None, None) => At::Latest { prereleases: false },
        }
    }

    /// Finds a template: a block of the catalog, or what a path or URL names.
    pub async fn find(&self, cx: &Context, name: &str, project: Option<&Manifest>) -> Result<Found, Failure> {
        let mut found = self.locate(cx, name, project).await?;
        found.block = found.block.kept_in(&cx.paths.cache);
        Ok(found)
    }

    async fn locate(&self, cx: &Context, name: &str, project: Option<&Manifest>) -> Result<Found, Failure> {
        let block = location::block_name(name).filter(|_| !location::is_template_directory(name, &cx.dir));
        if block.is_some() {
            let catalog = catalog::open(cx, project).await?;
            let (name, requirement) = (name.to_owned(), self.requirement(name)?);
            return Ok(blocking(move || -> Result<Found, crate::blocks::Error> {
                Ok(Found { block: catalog.block(&name, &requirement)?, catalog: Some(catalog), required: Vec::new() })
            })
            .await?);
        }
        let place = Location::from_argument(name, &cx.dir)?;
        let asked = asked(name, &place);
        let (cache, at, offline) = (cx.paths.cache.clone(), self.at(), cx.offline);
        let observer = cx.observer.clone();
        let work = blocking(move || -> Result<Block, crate::blocks::Error> {
            let fetched = fetch::fetch(&cache, &place, &at, offline)?;
            for path in &fetched.submodules {
                let path = text::neutral_line(path, 200);
                observer.note(&format!("the template's submodule {path} is not followed: what is in it is not there"));
            }
            Block::fetched(&asked, fetched, None)
        });
        Ok(Found { block: cx.waiting("fetch the template", work).await?, catalog: None, required: Vec::new() })
    }

    /// Every version of a template that is what was asked for, newest first; not more than can be tried.
    pub async fn all(&self, cx: &Context, name: &str, project: Option<&Manifest>) -> Result<Candidates, Failure> {
        const MOST: usize = 50;
        let newest = self.find(cx, name, project).await?;
        let (this, cache, here) = (self.clone(), cx.paths.cache.clone(), cx.dir.clone());
        let name = name.to_owned();
        blocking(move || -> Result<Candidates, Failure> {
            let (mut blocks, mut not_tried) = (Vec::new(), 0);
            if let Some(catalog) = &newest.catalog {
                let requirement = this.requirement(&name)?;
                let mut versions = catalog.versions(&name)?;
                versions.retain(|version| requirement.matches(version));
                not_tried = versions.len().saturating_sub(MOST);
                for version in versions.into_iter().take(MOST) {
                    blocks.push(catalog.block(&name, &exactly(&version))?);
                }
            } else if let At::Latest { .. } | At::Requirement(_) = this.at() {
                let place = Location::from_argument(&name, &here)?;
                // It was fetched a moment ago.
                let mut releases = fetch::versions(&cache, &place, true)?;
                if let At::Requirement(requirement) = this.at() {
                    releases = fetch::fitting(releases, &requirement)?;
                }
                not_tried = releases.len().saturating_sub(MOST);
                for release in releases.into_iter().take(MOST) {
                    let fetched = fetch::fetch(&cache, &place, &At::Reference(release.tag), true)?;
                    blocks.push(Block::fetched(&asked(&name, &place), fetched, None)?);
                }
            }
            if blocks.is_empty() {
                blocks.push(newest.block);
            }
            // Which of several templates a project was made from is what its files tell.
            let each = blocks.into_iter().map(nested::each).collect::<Result<Vec<_>, _>>()?;
            let mut blocks: Vec<Block> = each.into_iter().flatten().collect();
            not_tried += blocks.len().saturating_sub(MOST);
            blocks.truncate(MOST);
            Ok(Candidates { blocks, not_tried, catalog: newest.catalog })
        })
        .await
    }
}

/// How a template's own files say where it is. A path that was typed means nothing elsewhere, so it is made absolute.
fn asked(name: &str, place: &Location) -> String {
    match place {
        Location::Directory(path) => path.display().to_string(),
        Location::Repository(_) => name.to_owned(),
    }
}

impl Answering {
    /// Whether a person is asked.
    pub fn ask(&self, cx: &Context) -> bool {
        cx.interactive && !self.defaults
    }

    /// Whether every `--data` answers a question of one of these templates.
    pub fn check<'a>(&self, templates: impl Iterator<Item = &'a Template>) -> Result<(), Failure> {
        let questions = templates.flat_map(|template| &template.questions).map(|question| question.id.as_str());
        let known: Vec<&str> = questions.collect();
        for (id, _) in &self.data {
            if !known.contains(&id.as_str()) {
                let failure = Failure::usage(format!("no block asks `{}`", text::neutral_line(id, 60)));
                return Err(match text::did_you_mean(id, known.iter().copied()) {
                    Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                    None => failure,
                });
            }
        }
        Ok(())
    }

    /// What was answered before it is known which questions there are.
    fn menu(&self, cx: &Context) -> Result<Sources, Failure> {
        let given = match &self.data_file {
            Some(path) => resolve::file::load(&cx.dir.join(path))?,
            None => Values::new(),
        };
        let mut typed = catalog::given(&self.data)?;
        if let Ok(value) = std::env::var("ONRAMP_DATA_TEMPLATE") {
            typed.entry("template".to_owned()).or_insert(value);
        }
        Ok(Sources { typed, given, ..Sources::default() })
    }

    /// What was answered: `--data`, then `ONRAMP_DATA_<QUESTION>`, then `--data-file`.
    pub fn sources(&self, cx: &Context, template: &Template) -> Result<Sources, Failure> {
        let mut typed = catalog::given(&self.data)?;
        for question in &template.questions {
            let id = question.id.as_str();
            let variable = format!("ONRAMP_DATA_{}", id.to_uppercase());
            if !typed.contains_key(id)
                && let Ok(value) = std::env::var(variable)
            {
                typed.insert(id.to_owned(), value);
            }
        }
        let given = match &self.data_file {
            Some(path) => resolve::file::load(&cx.dir.join(path))?,
            None => serde_json::Map::new(),
        };
        Ok(Sources { typed, given, ..Sources::default() })
    }
}

/// A block's layer, and those of the blocks that it requires and the project does not have.
pub fn layers(
    found: &Found,
    facts: &Facts,
    operation: Operation,
    sources: &Sources,
    mut person: Option<&mut Terminal>,
    lock: &Lock,
) -> Result<(Layer, Vec<(Block, Layer)>), crate::blocks::Error> {
    let mut shared: Values = lock.blocks.values().flat_map(LockedBlock::values).collect();
    let mut parts: Vec<(Block, Layer)> = Vec::new();
    let mut make = |block: &Block, also: &dyn Fn(&str) -> bool| -> Result<Layer, crate::blocks::Error> {
        let asks = |id: &str| block.template.questions.iter().any(|question| question.id.as_str() == id);
        let mut own = sources.clone();
        own.typed.retain(|id, _| asks(id) || also(id));
        own.given.retain(|id, _| asks(id) || also(id));
        for id in block.manifest.iter().flat_map(|manifest| &manifest.shares) {
            if let Some(value) = shared.get(id.as_str())
                && !own.given.contains_key(id.as_str())
            {
                own.given.insert(id.to_string(), value.clone());
            }
        }
        let person = person.as_mut().map(|person| &mut **person as &mut dyn Ask);
        let layer = Layer::make(block, facts, operation, &own, person)?;
        shared.extend(layer.answers.kept.clone());
        Ok(layer)
    };
    for block in &found.required {
        let layer = make(block, &|_| false)?;
        parts.push((block.clone(), layer));
    }
    // An answer that nobody asks for is the block's to refuse.
    let elsewhere: Vec<String> =
        parts.iter().flat_map(|(part, _)| &part.template.questions).map(|question| question.id.to_string()).collect();
    let layer = make(&found.block, &|id| !elsewhere.iter().any(|other| other == id))?;
    Ok((layer, parts))
}

/// What templates may know of a project with this name, in a directory of that name.
pub fn facts(cx: &Context, catalog: Option<&Catalog>, project: &str, folder: &str) -> Result<Facts, Failure> {
    let facts = match catalog {
        Some(catalog) => catalog::facts(cx, catalog, project)?,
        None => Facts { project: project.to_owned(), ..Facts::default() },
    };
    Ok(Facts { folder: folder.to_owned(), ..facts })
}

/// Names the answers that were given in vain, and what a template looked for in vain.
pub fn note_unused(cx: &Context, answers: &Answers) {
    for question in &answers.unused {
        cx.observer.note(&format!("--data {question}=… was not used: with the other answers, it is not asked"));
    }
    for path in &answers.missing {
        cx.observer
            .note(&format!("the template reads {path} of the project, which is not there: it is taken as empty"));
    }
}

/// The files of a plan, a line each, for people: neutral, and not more than they read.
pub fn file_lines<'a>(verb: &str, files: impl Iterator<Item = &'a str>) -> Vec<String> {
    const MOST: usize = 40;
    let files: Vec<&str> = files.collect();
    let line = |file: &&str| format!("  {verb:<7} {}", text::neutral_line(file, 200));
    let mut lines: Vec<String> = files.iter().take(MOST).map(line).collect();
    if files.len() > MOST {
        lines.push(format!("  … and {} more", files.len() - MOST));
    }
    lines
}
