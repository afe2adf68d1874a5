//! What the readers of a pull request should know beside what it changes: what came before, who needs it, how it gets there.

use std::collections::BTreeMap;
use std::path::Path;

use super::draft::{Draft, Section};
use super::{Error, provenance};
use crate::git::history::Entry;
use crate::git::{Commit, RepoUrl};
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;
use crate::state::{Format, Rules, State};

/// How many apps are looked for one by one.
const FEW: usize = 20;
/// The most that the declarations of an environment may take before nobody looks who needs an app, in bytes.
const CAP: u64 = 256 * 1024 * 1024;
/// The most apps that are named because they need one.
const NEEDING: usize = 50;

/// What else the readers should know of one app.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// The source that the environment runs now, where that is known.
    pub previous: Option<Commit>,
    /// The project's commits since then, newest first, where they are here.
    pub commits: Vec<Entry>,
    /// Where the project's repository is looked at in a browser, where that is known.
    pub pages: Option<Pages>,
    /// Services of other apps in the environment, and what of this app each needs.
    pub needed_by: Vec<(String, Name)>,
    /// The environments on the way, in promotion order.
    pub path: Vec<Stage>,
}

/// An environment on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub environment: Name,
    /// Where in the path the one before it is.
    pub after: Option<usize>,
    /// The first image that changes, as this environment declares it.
    pub runs: Option<ImageRef>,
}

/// The pages of a repository on its forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    base: String,
    between: &'static str,
}

impl Pages {
    /// Those of a repository that is reached over https, or on a host that is one of the forges that everybody knows.
    pub fn of(url: &RepoUrl) -> Option<Self> {
        let (host, path) = url.forge_place()?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if !(url.as_str().starts_with("https://") || url.as_str().contains('@'))
            || !path.contains('/')
            || !path.chars().all(fits)
            || !host.chars().all(|c| fits(c) || c == ':')
        {
            return None;
        }
        let gitlab = host.split('.').any(|part| part == "gitlab");
        Some(Self { base: format!("https://{host}/{path}"), between: if gitlab { "/-" } else { "" } })
    }

    /// One commit.
    pub fn commit(&self, commit: &Commit) -> String {
        format!("{}{}/commit/{commit}", self.base, self.between)
    }

    /// What one commit has that another one has not.
    pub fn compare(&self, from: &Commit, to: &Commit) -> String {
        format!("{}{}/compare/{from}...{to}", self.base, self.between)
    }
}

/// Looks all of it up in the state repository. What the project's own repository knows, is added by whoever stands in it.
pub fn gather(state: &State, draft: &mut Draft) -> Result<(), Error> {
    let rules = state.rules(&draft.base)?;
    let (base, to) = (draft.base.clone(), draft.environment.clone());
    let apps: Vec<Name> = draft.sections.iter().map(|section| section.app.clone()).collect();
    let needs = needs(state, &rules.format, &base, &to, &apps)?;
    for section in &mut draft.sections {
        let declared = state.declared(&base, &to, &section.app)?;
        let said = match &declared {
            Some(declared) => provenance::said_of(state, &base, &to, &section.app, &declared.services)?,
            None => None,
        };
        let repository = declared.as_ref().and_then(|declared| declared.source.as_ref());
        let pages = repository.and_then(Pages::of);
        let path = path(state, &rules, &base, section);
        let background = &mut section.background;
        background.previous = said.and_then(|said| said.source);
        background.pages = background.pages.take().or(pages);
        background.needed_by = needs.get(&section.app).cloned().unwrap_or_default();
        background.path = path;
    }
    Ok(())
}

/// Which of these apps others of the environment need, with what needs them. Only files that may say so are parsed; one that
/// cannot be read needs nothing, and formats that tell images alone tell of no needs.
fn needs(
    state: &State,
    format: &Format,
    base: &Commit,
    to: &Name,
    apps: &[Name],
) -> Result<BTreeMap<Name, Vec<(String, Name)>>, Error> {
    let mut found: BTreeMap<Name, Vec<(String, Name)>> = BTreeMap::new();
    if !format.adds() {
        return Ok(found);
    }
    // Of a train nearly every file names one.
    let named: Vec<String> = apps.iter().map(|app| format!("{app}/")).take(FEW + 1).collect();
    let may = |text: &str| {
        text.contains("needs") && (named.len() > FEW || named.iter().any(|name| text.contains(name.as_str())))
    };
    let directory = format.directory(to);
    for (file, _, contents) in state.directory(base, &directory, CAP)? {
        let path = if directory.is_empty() { file } else { format!("{directory}/{file}") };
        let Some(Ok((environment, app))) = format.place(&path) else { continue };
        let Ok(text) = String::from_utf8(contents) else { continue };
        if environment != *to || !may(&text) {
            continue;
        }
        let Ok(declared) = format.read(Path::new(&path), to, &app, &text) else { continue };
        for (name, service) in &declared.services {
            for need in &service.needs {
                let Some(of) = need.app.as_ref().filter(|of| **of != app) else { continue };
                let all = found.entry(of.clone()).or_default();
                if all.len() < NEEDING {
                    all.push((format!("{app}/{name}"), need.service.clone()));
                }
            }
        }
    }
    Ok(found)
}

/// The environments that lead to this one, and those that follow it, with what each runs.
fn path(state: &State, rules: &Rules, base: &Commit, section: &Section) -> Vec<Stage> {
    let service: Option<&Name> = section.changes.first().map(|change| &change.service);
    let image =
        |services: &BTreeMap<Name, Service>| services.get(service?.as_str()).and_then(|service| service.image.clone());
    let to = &section.trailers.environment;
    let index = |name: &Name| rules.environments.iter().position(|environment| environment.name == *name);
    let mut on_the_way = vec![false; rules.environments.len()];
    let mut at = index(to);
    while let Some(position) = at {
        on_the_way[position] = true;
        // Environments come after ones above them only: the way up ends.
        at = rules.environments[position].after.as_ref().and_then(index);
    }
    for position in 0..rules.environments.len() {
        let after = rules.environments[position].after.as_ref().and_then(index);
        on_the_way[position] |= after.is_some_and(|after| on_the_way[after] && after >= index(to).unwrap_or(0));
    }
    let mut stages: Vec<Stage> = Vec::new();
    for (position, environment) in rules.environments.iter().enumerate().filter(|(at, _)| on_the_way[*at]) {
        let runs = if environment.name == *to {
            image(&section.services)
        } else {
            let declared = state.declared(base, &environment.name, &section.app).ok().flatten();
            declared.and_then(|declared| image(&declared.services))
        };
        let after = rules.environments[position].after.as_ref();
        let after = after.and_then(|after| stages.iter().position(|stage| stage.environment == *after));
        stages.push(Stage { environment: environment.name.clone(), after, runs });
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_pages_where_it_can_be_told() {
        let commit: Commit = "a".repeat(40).parse().unwrap();
        let page = |url: &str| {
            Pages::of(&url.parse().unwrap()).map(|pages| pages.commit(&commit).replace(commit.as_str(), "C"))
        };
        assert_eq!(page("https://github.com/acme/shop.git").unwrap(), "https://github.com/acme/shop/commit/C");
        assert_eq!(page("git@gitlab.acme.test:web/shop.git").unwrap(), "https://gitlab.acme.test/web/shop/-/commit/C");
        for nowhere in
            ["file:///srv/shop.git", "/srv/shop.git", "http://127.0.0.1:80/a/b", "https://git.acme.test/shop"]
        {
            assert_eq!(page(nowhere), None, "{nowhere}");
        }
    }
}
