//! What is wrong with a block before anybody uses it. Each rule is a file behind one small trait; every finding says
//! where, what and how to cure it.

mod clash;
mod include;
mod manifest;
mod migration;
mod render;
mod suffix;
mod syntax;
mod undefined;
mod unreachable;
mod unused;

use std::collections::BTreeSet;

use serde::Serialize;

use super::cases::{self, Cases};
use super::change::Changes;
use super::checkout::Release;
use super::texts::{self, Role, Text};
use super::{Checkout, Error};
use crate::blocks::Block;
use crate::document::DocumentError;
use crate::error::Fault;
use crate::name::Name;
use crate::template::question::Values;
use crate::template::{self, Rendered};
use crate::text::neutral_line;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work, or projects would lose something. No release with one of these.
    Error,
    /// It works, and is probably not meant.
    Warning,
    /// It could be better.
    Note,
}

impl Severity {
    /// `error`
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file from the top of the repository, and the line where there is one.
    pub place: String,
    /// Which rule.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// How it is cured.
    pub cure: String,
}

/// A rule.
pub trait Rule: Sync {
    /// Its name.
    fn id(&self) -> &'static str;
    /// What it finds, in one line.
    fn about(&self) -> &'static str;
    /// Looks.
    fn check(&self, subject: &Subject<'_>, findings: &mut Findings);
}

/// All rules of blocks that can be read, in the order in which they look.
pub const RULES: [&dyn Rule; 10] = [
    &manifest::Manifest,
    &syntax::Syntax,
    &include::Include,
    &undefined::Undefined,
    &unused::Unused,
    &suffix::Suffix,
    &clash::Clash,
    &render::Render,
    &unreachable::Unreachable,
    &migration::Migration,
];

/// A block, and what rules may know of it.
pub struct Subject<'a> {
    /// The block as it is now.
    pub block: &'a Block,
    /// Every text of it that is rendered.
    pub texts: Vec<Text>,
    /// Answer sets.
    pub cases: &'a Cases,
    /// What each of them renders to.
    pub renders: Vec<Result<Rendered, template::Error>>,
    /// The latest release before it, and what changed since.
    pub previous: Option<(&'a Release, Changes)>,
    /// The other blocks of the catalog.
    pub others: &'a [Name],
}

impl Subject<'_> {
    /// The texts that are templates, with what they use.
    pub fn parsed(&self) -> impl Iterator<Item = (&Text, &super::jinja::Parsed)> {
        self.perhaps().filter(|(text, _)| text.role != Role::Perhaps)
    }

    /// The same, with the files that a template may include by a name that is computed.
    pub fn perhaps(&self) -> impl Iterator<Item = (&Text, &super::jinja::Parsed)> {
        self.texts.iter().filter_map(|text| Some((text, text.read.as_ref().ok()?)))
    }

    /// What the paths of files that are rendered begin with: `files/`; nothing where it is the block's own directory.
    pub fn root(&self) -> String {
        match self.block.template.rules.subdirectory.trim_end_matches('/') {
            "" | "." => String::new(),
            directory => format!("{directory}/"),
        }
    }

    /// The line of the block's manifest that asks a question.
    pub fn asked_at(&self, id: &str) -> String {
        let question = self.block.template.questions.iter().find(|question| question.id.as_str() == id);
        question.map(|question| question.place.clone()).unwrap_or_default()
    }

    /// What templates know beside the questions' answers: onramp's facts and the template's own.
    pub fn facts(&self) -> BTreeSet<String> {
        let template = &self.block.template;
        let none = template::Answers::default();
        let given =
            cases::facts().variables(template.dialect, &self.block.id, &none, crate::blocks::facts::Operation::Copy);
        let mut known: BTreeSet<String> = template.rules.facts.keys().cloned().collect();
        for (name, value) in given {
            // Cookiecutter's are in `cookiecutter`.
            if name == super::jinja::COOKIECUTTER
                && let Some(fields) = value.as_object()
            {
                known.extend(fields.keys().cloned());
            }
            known.insert(name);
        }
        known
    }
}

/// Takes findings.
pub struct Findings {
    prefix: String,
    rule: &'static str,
    found: Vec<Finding>,
}

impl Findings {
    /// Takes one. `place` is a path in the block.
    pub fn add(&mut self, severity: Severity, place: &str, message: impl AsRef<str>, cure: impl AsRef<str>) {
        self.found.push(Finding {
            severity,
            place: format!("{}{}", self.prefix, neutral_line(place, 240)),
            rule: self.rule,
            message: neutral_line(message.as_ref(), 400),
            cure: neutral_line(cure.as_ref(), 300),
        });
    }
}

impl Findings {
    /// Whether another rule found an error at a place.
    pub fn has_error(&self, place: &str) -> bool {
        let place = format!("{}{}", self.prefix, neutral_line(place, 240));
        self.found.iter().any(|finding| finding.severity == Severity::Error && finding.place == place)
    }
}

/// Looks at a block of a catalog with every rule: the findings, the worst first. `known` are answers that its golden trees
/// give.
pub fn block(checkout: &Checkout, name: &Name, known: &[Values]) -> Result<Vec<Finding>, Error> {
    let prefix = match checkout.place(name) {
        top if top.is_empty() => top,
        place => format!("{place}/"),
    };
    let mut findings = Findings { prefix, rule: "manifest", found: Vec::new() };
    match checkout.working(name) {
        Ok(block) => look(checkout, name, &block, known, &mut findings)?,
        Err(error) => unreadable(&error, checkout, name, &mut findings)?,
    }
    let mut found = findings.found;
    found.sort();
    found.dedup();
    Ok(found)
}

fn look(
    checkout: &Checkout,
    name: &Name,
    block: &Block,
    known: &[Values],
    findings: &mut Findings,
) -> Result<(), Error> {
    let syntax = match template::engine::syntax(&block.template.label, &block.template.rules.syntax) {
        Ok(syntax) => syntax,
        Err(error) => return unreadable(&error.into(), checkout, name, findings),
    };
    let cases = cases::make(block, known);
    let renders: Vec<_> = cases.cases.iter().map(|case| cases::rendered(block, &case.answers)).collect();
    let origins = renders.iter().flatten().flat_map(|rendered| rendered.origins.values());
    let copied = origins.filter(|origin| !origin.rendered).map(|origin| origin.source.clone()).collect();
    let texts = texts::texts(block, &syntax, &copied);
    let releases = checkout.releases(name)?;
    let latest = Checkout::latest(&releases);
    // A release that cannot be read is nothing that this version can be held against.
    let previous = latest.and_then(|release| Some((release, checkout.released(name, release).ok()?)));
    let previous = previous.map(|(release, old)| (release, Changes::between(&old, block)));
    let others = checkout.blocks()?;
    let subject = Subject { block, texts, cases: &cases, renders, previous, others: &others };
    for rule in RULES {
        findings.rule = rule.id();
        rule.check(&subject, findings);
    }
    Ok(())
}

/// A block that cannot be read is one finding, where the reader stumbled. What is no mistake of the block stays an error.
fn unreadable(error: &Error, checkout: &Checkout, name: &Name, findings: &mut Findings) -> Result<(), Error> {
    let top = checkout.shown(name, "");
    let below = |path: &str| path.strip_prefix(top.as_str()).unwrap_or(path).to_owned();
    let (place, message) = match error {
        Error::Document(DocumentError::Wrong { path, line, message, .. })
        | Error::Template(template::Error::Document(DocumentError::Wrong { path, line, message, .. }))
        | Error::Block(
            crate::blocks::Error::Document(DocumentError::Wrong { path, line, message, .. })
            | crate::blocks::Error::Template(template::Error::Document(DocumentError::Wrong {
                path, line, message, ..
            })),
        ) => {
            let path = path.display().to_string();
            // The template's reader calls it `block.toml of web 1.0.0`.
            let file = path.split(" of ").next().unwrap_or(&path);
            (format!("{}:{line}", below(file)), message.clone())
        }
        Error::Block(
            crate::blocks::Error::Wrong { place, message, .. }
            | crate::blocks::Error::Template(template::Error::Wrong { place, message, .. }),
        )
        | Error::Template(template::Error::Wrong { place, message, .. }) => (place.clone(), message.clone()),
        Error::Block(_) | Error::Template(_) | Error::Document(_) => (String::new(), error.to_string()),
        Error::Git(_)
        | Error::File(_)
        | Error::NoCatalog { .. }
        | Error::NoBlock { .. }
        | Error::BadName { .. }
        | Error::NoRelease { .. } => {
            return Err(Error::Block(crate::blocks::Error::Wrong {
                block: name.to_string(),
                place: checkout.place(name),
                message: error.to_string(),
            }));
        }
    };
    let cure = error.hint().unwrap_or_else(|| "correct the manifest; nothing else can be checked before".to_owned());
    let place = if place.is_empty() { crate::blocks::manifest::FILE.to_owned() } else { place };
    findings.add(Severity::Error, &place, message, cure);
    Ok(())
}

/// Whether a text belongs to the question with this index.
fn is_of(role: &Role, index: usize) -> bool {
    matches!(role, Role::Question(own) | Role::About(own) if *own == index)
}

/// Whether findings keep a block from being released.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
