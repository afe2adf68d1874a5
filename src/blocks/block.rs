//! A block at one version, read whole: its template, what it says of itself, and the digest of all of it.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::Error;
use super::cache::Store;
use super::fetch::Fetched;
use super::manifest::{self, Kind, Manifest};
use crate::name::Name;
use crate::reference::Digest;
use crate::template::engine::{PROGRAM_OF_USER, Python};
use crate::template::{Template, dialect};
use crate::text::slug;
use crate::tree::{Entry, Text, Tree};
use crate::version::Version;

/// Which block this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockId {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// URL of its catalog or repository, a directory, or [`super::builtin::SOURCE`].
    pub source: String,
    /// The repository's commit; of the built-in catalog, the onramp that holds it.
    pub commit: String,
    /// How somebody asked for it: `gh:acme/web`. Templates are told, so that their own tools find it again.
    #[serde(skip)]
    pub asked: String,
    /// What `git describe` calls the commit, which Copier's templates are told; empty of a catalog's block.
    #[serde(skip)]
    pub described: String,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version.to_string() {
            none if none.is_empty() => write!(f, "{}", self.name),
            version => write!(f, "{} {version}", self.name),
        }
    }
}

/// A block, read whole.
#[derive(Clone, Debug)]
pub struct Block {
    /// Which one.
    pub id: BlockId,
    /// What it asks and renders.
    pub template: Template,
    /// What its `block.toml` says; none of a Copier or Cookiecutter template.
    pub manifest: Option<Manifest>,
    /// Its README, if it has one.
    pub readme: Option<String>,
    /// Digest of all its files.
    pub content: Digest,
    /// Where in its source the template lies; empty: at its top. A source of Cookiecutter's may hold several.
    pub directory: String,
    /// All of its source.
    pub whole: Tree,
    /// Where its renders are kept, each made once; none: nowhere.
    pub store: Option<Store>,
}

impl Block {
    /// Makes a block from all files of its directory. `place` is what errors call its manifest.
    pub fn read(id: BlockId, place: &Path, source: Tree) -> Result<Self, Error> {
        Self::read_within(id, place, source, None)
    }

    /// The same, of a source in which the template lies in this directory.
    pub fn read_within(id: BlockId, place: &Path, source: Tree, directory: Option<&str>) -> Result<Self, Error> {
        let content = source.digest();
        Self::of(id, place, source, content, directory)
    }

    fn of(id: BlockId, place: &Path, source: Tree, content: Digest, directory: Option<&str>) -> Result<Self, Error> {
        let manifest = match source.get(manifest::FILE).map(Entry::text) {
            None => None,
            Some(Some(text)) => {
                let manifest = manifest::parse(place, &text)?;
                check_identity(&id, &manifest)?;
                Some(manifest)
            }
            Some(None) => return Err(Error::wrong(&id, manifest::FILE, "not UTF-8 text")),
        };
        let readme = source.get("README.md").and_then(Entry::text).map(String::from);
        let what = if manifest.is_some() { "block" } else { "template" };
        let label = format!("{what} {id}");
        let directory = match directory {
            Some(directory) => directory.to_owned(),
            None => dialect::directory(&label, &source)?,
        };
        let template = dialect::read(&label, source.under(&directory))?;
        Ok(Self { id, template, manifest, readme, content, directory, whole: source, store: None })
    }

    /// A template that is no block of a catalog, as it was fetched. `asked` is how somebody named it, `directory` where in
    /// the repository it lies, if somebody said so.
    pub fn fetched(asked: &str, fetched: Fetched, directory: Option<&str>) -> Result<Self, Error> {
        let last = fetched.source.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let name = slug(last.strip_suffix(".git").unwrap_or(last), 40);
        // What begins with a digit, or has no letter at all, is no name.
        let name = name.parse().or_else(|_| format!("template-{name}").trim_end_matches('-').parse::<Name>());
        let Ok(name) = name else { return Err(Error::NoName { location: fetched.source }) };
        let id = BlockId {
            name,
            version: fetched.version,
            source: fetched.source,
            commit: fetched.commit,
            asked: asked.to_owned(),
            described: fetched.description,
        };
        Self::of(id, Path::new(manifest::FILE), fetched.tree, fetched.content, directory)
    }

    /// The same block, whose renders are kept in onramp's cache.
    #[must_use]
    pub fn kept_in(mut self, cache: &Path) -> Self {
        self.store = Some(Store::new(cache));
        self
    }

    /// Lets go of its source: it renders nothing any more.
    pub fn release(&mut self) {
        self.whole = Tree::default();
        self.template.source = Tree::default();
    }

    /// Lets its Jinja extensions run, by the user's own Python: for those who trust it.
    pub fn allow_python(&mut self) {
        if !self.template.rules.extensions.is_empty() {
            self.template.rules.python = Python::Allowed { program: PROGRAM_OF_USER.into() };
        }
    }

    /// The same block with what its own hooks made of its source. That is what a project is rendered from, so the lock tells
    /// its digest, and it is kept for the next update.
    pub fn with_source(self, source: &Tree) -> Result<Self, Error> {
        let template = dialect::read(&self.template.label, source.clone())?;
        let mut whole = Tree::default();
        for (path, entry) in self.whole.iter().filter(|(path, _)| !is_inside(path.as_str(), &self.directory)) {
            whole.insert(path.clone(), entry.clone());
        }
        for (path, entry) in source.iter() {
            let path = dialect::cookiecutter::inside(&self.directory, path.as_str());
            let place = Path::new(&path).to_owned();
            let path = path.parse().map_err(|_| Error::wrong(&self.id, &place.to_string_lossy(), "no path"))?;
            whole.insert(path, entry.clone());
        }
        let content = whole.digest();
        if let Some(store) = &self.store {
            store.keep_tree(&content, &whole)?;
        }
        Ok(Self { template, content, whole, ..self })
    }

    /// The same block, of whose source the template in this directory is meant.
    pub fn within(self, directory: &str) -> Result<Self, Error> {
        if directory == self.directory {
            return Ok(self);
        }
        let source = self.whole.under(directory);
        if dialect::detect(&source).is_none() {
            return Err(Error::wrong(&self.id, directory, "there is no template in this directory"));
        }
        let template = dialect::read(&self.template.label, source)?;
        Ok(Self { template, directory: directory.to_owned(), ..self })
    }

    /// What stands for all that it renders from.
    pub fn rendered_from(&self) -> Digest {
        if self.directory.is_empty() {
            return self.content.clone();
        }
        Digest::of(format!("{} {}", self.content, self.directory).as_bytes())
    }

    /// The text of its `block.toml`, for what it adds to `onramp.toml`: comments and order are the author's.
    pub fn manifest_text(&self) -> Text {
        self.template.source.get(manifest::FILE).and_then(Entry::text).unwrap_or_default()
    }

    /// Whether it can do this: start a project, or be added to one. A foreign template can do both.
    pub fn check_kind(&self, wanted: Kind) -> Result<(), Error> {
        match &self.manifest {
            Some(manifest) if manifest.kind != wanted => {
                Err(Error::OtherKind { name: self.id.name.clone(), kind: manifest.kind })
            }
            _ => Ok(()),
        }
    }
}

fn is_inside(path: &str, directory: &str) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// A block is what its directory and its tag say.
pub fn check_identity(id: &BlockId, manifest: &Manifest) -> Result<(), Error> {
    if manifest.name != id.name {
        let message = format!("it says name = \"{}\", and its directory is blocks/{}", manifest.name, id.name);
        return Err(Error::wrong(id, manifest::FILE, &message));
    }
    if Version::from(manifest.version.clone()) != id.version {
        let message = format!("it says version = \"{}\", and was released as {}", manifest.version, id.version);
        return Err(Error::wrong(id, manifest::FILE, &message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    #[test]
    fn a_block_is_what_its_tag_says() {
        let manifest =
            "schema = 1\nname = \"x\"\nkind = \"app\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o\"\n";
        let read = |name: &str, version: &str| {
            let id = BlockId {
                name: name.parse().unwrap(),
                version: version.to_owned().into(),
                source: "/c".into(),
                commit: "c".into(),
                asked: name.into(),
                described: String::new(),
            };
            let source = [("block.toml".parse().unwrap(), Entry::file(manifest))].into_iter().collect();
            Block::read(id, Path::new("b"), source)
        };
        assert!(read("x", "1.0.0").is_ok());
        assert_eq!(
            read("x", "1.1.0").unwrap_err().to_string(),
            "block x 1.1.0 is wrong: block.toml: it says version = \"1.0.0\", and was released as 1.1.0"
        );
        assert!(read("y", "1.0.0").is_err());
    }
}
