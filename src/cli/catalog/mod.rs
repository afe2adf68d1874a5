//! `onramp catalog`: what there is to build on.

mod adopters;
mod export;
mod lint;
mod list;
mod release;
mod search;
mod show;
mod test;

use std::collections::BTreeMap;

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::Verdict;
use crate::blocks::{Catalog, Facts, builtin};
use crate::git::RepoUrl;
use crate::playground::Playground;
use crate::project::Manifest;
use crate::task::blocking;

/// Look at the company's building blocks, and keep them.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog list
  onramp catalog search php cache
  onramp catalog show php-web
  onramp -C ~/catalog catalog lint && onramp -C ~/catalog catalog test
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Arguments),
    Search(search::Arguments),
    Show(show::Arguments),
    Lint(lint::Arguments),
    Test(test::Arguments),
    Release(release::Arguments),
    Export(export::Arguments),
    Adopters(adopters::Arguments),
}

impl Arguments {
    /// Runs the sub-command.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        match self.command {
            Command::List(arguments) => arguments.run(cx).await,
            Command::Search(arguments) => arguments.run(cx).await,
            Command::Show(arguments) => arguments.run(cx).await,
            Command::Lint(arguments) => arguments.run(cx).await,
            Command::Test(arguments) => arguments.run(cx).await,
            Command::Release(arguments) => arguments.run(cx).await,
            Command::Export(arguments) => arguments.run(cx).await,
            Command::Adopters(arguments) => arguments.run(cx).await,
        }
    }
}

/// The catalog to use: `ONRAMP_CATALOG`, the project's, the user's, else the one in this binary.
pub async fn open(cx: &Context, project: Option<&Manifest>) -> Result<Catalog, Failure> {
    let setting = cx.settings.catalog.as_ref();
    let variable = setting.filter(|setting| setting.origin == "ONRAMP_CATALOG").map(|setting| &setting.value);
    let url =
        variable.or(project.and_then(|project| project.catalog.as_ref())).or(setting.map(|setting| &setting.value));
    let Some(url) = url else {
        cx.observer
            .note("no catalog is set, so this is the one that onramp brings (`onramp join` sets your company's)");
        return Ok(Catalog::Builtin);
    };
    if url == builtin::SOURCE {
        return Ok(Catalog::Builtin);
    }
    let url = RepoUrl::from_argument(url, &cx.dir)?;
    let (cache, offline) = (cx.paths.cache.clone(), cx.offline);
    Ok(cx.waiting("fetch the catalog", blocking(move || Catalog::open(&cache, url, offline))).await?)
}

/// Reads a portal's `repos.json`.
fn portal(path: &std::path::Path) -> Result<Vec<crate::catalog::portal::Repository>, Failure> {
    let text = crate::files::read_text(path, crate::catalog::portal::CAP)?;
    Ok(crate::catalog::portal::read(&path.display().to_string(), &text)?)
}

/// What the catalog's templates may know, of a project with this name.
pub fn facts(cx: &Context, catalog: &Catalog, project: &str) -> Result<Facts, Failure> {
    let company = catalog.defaults()?.and_then(|defaults| defaults.company);
    let registry = match (&cx.settings.registry, &company) {
        (None, Some(company)) => company.registry.clone(),
        // The images of the catalog that onramp brings are the playground's.
        (None, None) if matches!(catalog, Catalog::Builtin) => match Playground::find(&cx.paths)? {
            Some(playground) => playground.registry(),
            None => cx.settings.registry()?.to_owned(),
        },
        _ => cx.settings.registry()?.to_owned(),
    };
    let set = cx.settings.company.as_ref().map(|setting| setting.value.clone());
    let name = set.or(company.map(|company| company.name)).unwrap_or_else(|| "your company".to_owned());
    Ok(Facts { project: project.to_owned(), company: name, registry, ..Facts::default() })
}

/// `--data key=value`, once each.
pub fn given(data: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut given = BTreeMap::new();
    for (key, value) in data {
        if given.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("--data {key}=… is given twice")));
        }
    }
    Ok(given)
}

/// Splits `key=value`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as question=answer".to_owned()),
    }
}
