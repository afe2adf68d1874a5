//! A catalog told to portals: an entry a block, from what its work tree and history say.

use jiff::Timestamp;

use super::backstage::Entity;
use super::overview::{About, Activity};
use super::portal::{self, Metadata, Owner, Repository};
use super::{Checkout, Error};
use crate::blocks::Block;
use crate::files;
use crate::name::Name;

/// What a project says of itself to the portal.
const INNERSOURCE: &str = "innersource.json";
const GUIDELINES: &str = "CONTRIBUTING.md";
/// The most commits of one block that count.
const MOST_COMMITS: usize = 5000;

/// The entries of SAP's project portal, the liveliest first. `known` is what a crawler found: stars, forks and issues.
pub fn repositories(
    checkout: &Checkout,
    names: &[Name],
    known: &[Repository],
    now: Timestamp,
) -> Result<Vec<Repository>, Error> {
    let mut entries = Vec::new();
    for name in names {
        entries.push(repository(checkout, name, known, now)?);
    }
    let score = |entry: &Repository| entry.metadata.score.unwrap_or_default();
    entries.sort_by(|a, b| score(b).cmp(&score(a)).then_with(|| a.name.cmp(&b.name)));
    Ok(entries)
}

fn repository(checkout: &Checkout, name: &Name, known: &[Repository], now: Timestamp) -> Result<Repository, Error> {
    let block = checkout.working(name)?;
    let about = About::of(&block);
    let address = checkout.address();
    let forge = portal::find(known, &address, name.as_str());
    let log = checkout.worktree.log(&checkout.place(name), None, MOST_COMMITS)?;
    let times: Vec<Timestamp> = log.iter().map(|entry| entry.time).collect();
    let own = checkout.shown(name, GUIDELINES);
    let guidelines = [own, GUIDELINES.to_owned()].into_iter().find(|file| checkout.root().join(file).is_file());
    let activity = Activity::of(&times, &about, guidelines.is_some(), forge, now);
    let said = said(checkout, name)?;
    let metadata = Metadata {
        guidelines,
        topics: if said.topics.is_empty() { vec!["inner-source".to_owned()] } else { said.topics.clone() },
        participation: activity.as_ref().map(|activity| activity.weekly.clone()),
        score: activity.as_ref().map(|activity| activity.score),
        ..said
    };
    let (owner, repository) = owner_and_name(&address);
    let owner = forge
        .map(|forge| forge.owner.clone())
        .filter(|owner| !owner.login.is_empty())
        .unwrap_or(Owner { login: owner, ..Owner::default() });
    let language = metadata.other.get("language").and_then(|language| language.as_str()).map(str::to_owned);
    Ok(Repository {
        // One repository holds all blocks; the portal tells entries apart by this, and takes texts.
        id: format!("{repository}/{name}").into(),
        name: name.to_string(),
        full_name: format!("{}/{repository}", owner.login),
        html_url: browsable(&address),
        description: told(&about.description),
        created_at: activity.as_ref().map(|activity| activity.created),
        updated_at: activity.as_ref().map(|activity| activity.updated),
        pushed_at: activity.as_ref().map(|activity| activity.updated),
        stargazers_count: forge.map_or(0, |forge| forge.stargazers_count),
        watchers_count: forge.map_or(0, |forge| forge.watchers_count),
        subscribers_count: forge.and_then(|forge| forge.subscribers_count),
        language: language.or_else(|| forge.and_then(|forge| forge.language.clone())),
        forks_count: forge.map_or(0, |forge| forge.forks_count),
        open_issues_count: forge.map_or(0, |forge| forge.open_issues_count),
        license: forge.map(|forge| forge.license.clone()).unwrap_or_default(),
        default_branch: checkout.worktree.branch.clone().unwrap_or_else(|| "main".to_owned()),
        owner,
        metadata,
        other: serde_json::Map::new(),
    })
}

/// What the block's or the catalog's `innersource.json` says.
fn said(checkout: &Checkout, name: &Name) -> Result<Metadata, Error> {
    for path in [checkout.path(name, INNERSOURCE), checkout.root().join(INNERSOURCE)] {
        match files::read_text(&path, crate::document::CAP) {
            Ok(text) => {
                return serde_json::from_str(&text).map_err(|error| {
                    let message = crate::text::neutral_line(&error.to_string(), 200);
                    let (line, column) = (error.line(), error.column());
                    Error::Document(crate::document::DocumentError::Wrong { path, line, column, message, hint: None })
                });
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Metadata::default())
}

/// The entities of Backstage's software catalog.
pub fn entities(checkout: &Checkout, names: &[Name]) -> Result<Vec<Entity>, Error> {
    names.iter().map(|name| Ok(entity(&checkout.working(name)?))).collect()
}

fn entity(block: &Block) -> Entity {
    let about = About::of(block);
    let version = block.manifest.as_ref().map(|manifest| manifest.version.to_string());
    let kind = match about.kind {
        crate::blocks::manifest::Kind::App => "app",
        crate::blocks::manifest::Kind::Part => "part",
    };
    let mut entity = Entity {
        name: block.id.name.to_string(),
        description: told(&about.description),
        owner: told(&about.owner).unwrap_or_default(),
        version,
        committers: about.trusted_committers.iter().filter_map(|name| told(name)).collect(),
        tags: vec!["onramp".to_owned(), kind.to_owned()],
        ..Entity::default()
    };
    entity.set_support(about.support);
    entity
}

/// A block's words, on one line and without what could steer whoever reads the file; none of none.
fn told(text: &str) -> Option<String> {
    Some(crate::text::neutral_line(text.trim(), 1000)).filter(|text| !text.is_empty())
}

/// The last two parts of an address: whose, and which.
fn owner_and_name(address: &str) -> (String, String) {
    let mut parts = address.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']);
    let name = parts.next().unwrap_or_default().to_owned();
    (parts.next().unwrap_or_default().to_owned(), name)
}

/// Where a browser finds a repository: `https://…` of ssh addresses, too; empty of a directory.
fn browsable(address: &str) -> String {
    let plain = address.trim_end_matches('/').trim_end_matches(".git");
    if plain.starts_with("https://") || plain.starts_with("http://") {
        return plain.to_owned();
    }
    let rest = match plain.strip_prefix("ssh://") {
        Some(rest) => rest.to_owned(),
        // `git@host:owner/name`
        None => match plain.split_once(':') {
            Some((host, path)) if host.contains('@') && !host.contains('/') => format!("{host}/{path}"),
            _ => return String::new(),
        },
    };
    let rest = rest.rsplit_once('@').map_or(rest.as_str(), |(_, rest)| rest).to_owned();
    let (host, path) = rest.split_once('/').unwrap_or((&rest, ""));
    format!("https://{}/{path}", host.split(':').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_a_browser_to_the_repository() {
        for (address, expected) in [
            ("https://git.acme.test/platform/catalog.git", "https://git.acme.test/platform/catalog"),
            ("git@git.acme.test:platform/catalog.git", "https://git.acme.test/platform/catalog"),
            ("ssh://git@git.acme.test:2222/platform/catalog", "https://git.acme.test/platform/catalog"),
            ("/srv/catalog", ""),
        ] {
            assert_eq!(browsable(address), expected);
        }
        assert_eq!(owner_and_name("git@h:platform/catalog.git"), ("platform".to_owned(), "catalog".to_owned()));
        assert_eq!(owner_and_name("https://h/g/platform/catalog"), ("platform".to_owned(), "catalog".to_owned()));
    }
}
