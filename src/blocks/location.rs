//! Where a template is: a directory, or a git repository by URL or abbreviation.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::git::{self, RepoUrl};
use crate::name::Name;
use crate::text::neutral_line;

/// The forges that have an abbreviation, as Copier and Cookiecutter have them.
const FORGES: [(&str, &str); 3] =
    [("gh:", "https://github.com"), ("gl:", "https://gitlab.com"), ("bb:", "https://bitbucket.org")];
/// What a template's top holds.
const MARKS: [&str; 4] = ["copier.yml", "copier.yaml", "cookiecutter.json", "block.toml"];

/// Where a template is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine, absolute. It may be a repository.
    Directory(PathBuf),
    /// A repository elsewhere.
    Repository(RepoUrl),
}

/// Why a text is no place of a template.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is a path, and nothing is there.
    #[error("no such directory: {}", neutral_line(path, 200))]
    NoDirectory {
        /// The path, as it was written.
        path: String,
    },
    /// It is no repository that onramp talks to.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NoDirectory { .. } => Class::Usage,
            Self::Git(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDirectory { .. } => {
                Some("a template is a block of the catalog, a directory, a git URL or gh:owner/repository".to_owned())
            }
            Self::Git(error) => error.hint(),
            Self::File(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NoDirectory { .. } => vec!["onramp catalog list".to_owned()],
            Self::Git(error) => error.next(),
            Self::File(error) => error.next(),
        }
    }
}

impl Location {
    /// What a person means by a template that is not a catalog's block: a path from `here`, a URL, `gh:owner/repo`.
    /// `~/` is the shell's.
    pub fn from_argument(text: &str, here: &Path) -> Result<Self, Error> {
        let text = text.strip_prefix("git+").unwrap_or(text);
        for (short, forge) in FORGES {
            if let Some(place) = text.strip_prefix(short) {
                return Ok(Self::Repository(on_forge(text, forge, place.trim_start_matches('/'))?));
            }
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if !text.is_empty() && !text.starts_with('-') && !path.contains("://") {
            let path = here.join(path);
            if path.is_dir() {
                let path = path.canonicalize().map_err(FileError::io("read", &path))?;
                return Ok(Self::Directory(path));
            }
            // What `git bundle` makes of a repository.
            if path.is_file() && path.extension().is_some_and(|end| end == "bundle") {
                let path = path.canonicalize().map_err(FileError::io("read", &path))?;
                return Ok(Self::Repository(path.to_string_lossy().parse()?));
            }
            // No URL is without a colon.
            if is_path(text) {
                return Err(Error::NoDirectory { path: text.to_owned() });
            }
        }
        Ok(Self::Repository(lower_scheme(text).parse()?))
    }

    /// What a lock or an answers file says a template came from; relative paths are from the project's `root`.
    /// Credentials that another tool wrote there are left out.
    pub fn recorded(text: &str, root: &Path) -> Result<Self, Error> {
        match Self::from_argument(&git::without_credentials(text), root) {
            // What is gone may still be in the cache.
            Err(Error::NoDirectory { path }) if path.starts_with('/') => Ok(Self::Repository(path.parse()?)),
            located => located,
        }
    }

    /// One text for all the ways to write the same place: what trust is recorded under. Never with credentials.
    pub fn canonical(&self) -> String {
        match self {
            Self::Directory(path) => path.to_string_lossy().into_owned(),
            Self::Repository(url) => url.canonical(),
        }
    }
}

/// What fetches it again: what `onramp.lock` says. Never with credentials.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Repository(url) => url.fmt(f),
        }
    }
}

/// The name of a catalog's block, if that is what a person typed: a bare word.
pub fn block_name(text: &str) -> Option<Name> {
    text.parse().ok()
}

/// Whether a bare word is also a directory here that holds a template: what users of Copier and Cookiecutter type, and
/// mean where the catalog has no such block.
pub fn is_template_directory(text: &str, here: &Path) -> bool {
    let directory = here.join(text);
    MARKS.iter().any(|mark| directory.join(mark).is_file())
}

fn is_path(text: &str) -> bool {
    text.starts_with("file://") || ["/", "./", "../"].iter().any(|start| text.starts_with(start)) || !text.contains(':')
}

fn on_forge(text: &str, forge: &str, place: &str) -> Result<RepoUrl, git::Error> {
    let bare = place.trim_end_matches('/');
    let bare = bare.strip_suffix(".git").unwrap_or(bare);
    let plain = |name: &str| {
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !name.starts_with('-') && !matches!(name, "" | "." | "..") && name.bytes().all(letters)
    };
    if bare.split('/').count() < 2 || !bare.split('/').all(plain) {
        let url = neutral_line(text, 200);
        return Err(git::Error::BadUrl { url, why: "it is not like gh:owner/repository" });
    }
    format!("{forge}/{bare}.git").parse()
}

/// Schemes are the same in either case; git takes them in lower case.
fn lower_scheme(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(text: &str) -> String {
        let nowhere = Path::new("/nonexistent");
        Location::from_argument(text, nowhere).map_or_else(|e| format!("error: {e}"), |place| place.to_string())
    }

    #[test]
    fn people_write_places_in_many_ways() {
        for (text, expected) in [
            ("gh:acme/tpl", "https://github.com/acme/tpl.git"),
            ("gh:/acme/tpl.git/", "https://github.com/acme/tpl.git"),
            ("gl:acme/group/tpl", "https://gitlab.com/acme/group/tpl.git"),
            ("git+https://git.acme.test/tpl", "https://git.acme.test/tpl"),
            ("HTTPS://git.acme.test/tpl", "https://git.acme.test/tpl"),
            ("git@github.com:acme/tpl.git", "git@github.com:acme/tpl.git"),
            ("ssh://git@h/tpl", "ssh://git@h/tpl"),
        ] {
            assert_eq!(located(text), expected, "{text}");
        }
        for bad in [
            "gh:acme",
            "gh:../x",
            "gh:acme/-x",
            "gh:acme/../x",
            "gh:a/b?x=y",
            "gh:tok@x/y",
            "--upload-pack=touch x",
            "ext::sh -c x",
            "git+ext::sh",
            "git://h/x",
            "https://user:token@h/x",
            "https://ghp_secret@h/x",
            "./nothing-here",
            "nothing-here",
            "",
        ] {
            let said = located(bad);
            assert!(said.starts_with("error: "), "{bad}: {said}");
            assert!(!said.contains("token") && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_path_where_nothing_is_is_named() {
        for missing in ["./nothing", "../nothing", "/nothing", "a/b", "file:///nothing", "nothing", "./a:b"] {
            let error = Location::from_argument(missing, Path::new("/nonexistent")).unwrap_err();
            assert!(matches!(error, Error::NoDirectory { .. }), "{missing}: {error}");
            assert_eq!((error.class(), error.next().len()), (Class::Usage, 1), "{missing}");
        }
    }

    #[test]
    fn a_directory_is_the_same_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("tpl/sub")).unwrap();
        let expected = Location::Directory(root.join("tpl"));
        for text in ["tpl", "./tpl", "tpl/", "tpl/sub/..", root.join("tpl").to_str().unwrap()] {
            assert_eq!(Location::from_argument(text, &root).unwrap(), expected, "{text}");
        }
        let file = format!("file://{}", root.join("tpl").display());
        assert_eq!(Location::from_argument(&file, &root).unwrap(), expected);
        assert!(block_name("tpl").is_some() && block_name("./tpl").is_none() && block_name("gh:a/b").is_none());
        assert!(!is_template_directory("tpl", &root));
        std::fs::write(root.join("tpl/copier.yml"), "").unwrap();
        assert!(is_template_directory("tpl", &root));
    }

    #[test]
    fn a_token_that_another_tool_wrote_is_left_out() {
        let place = Location::recorded("https://oauth2:glpat-1@gitlab.com/acme/tpl.git", Path::new("/")).unwrap();
        assert_eq!(place.to_string(), "https://gitlab.com/acme/tpl.git");
        assert_eq!(place.canonical(), "https://gitlab.com/acme/tpl");
    }

    proptest::proptest! {
        #[test]
        fn nothing_unsafe_is_given_to_git(
            text in "(--|-|git\\+|gh:|gl:)?(ext::|https?://|ssh://|git@|/)?[-a-zA-Z0-9:@/.?#=~ ]{0,24}|.{0,20}"
        ) {
            if let Ok(Location::Repository(url)) = Location::from_argument(&text, Path::new("/nonexistent")) {
                let url = url.as_str();
                proptest::prop_assert!(!url.starts_with('-') && !url.starts_with("ext:"));
                let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
                proptest::prop_assert!(!url.starts_with("http") || !authority.contains('@'));
            }
        }
    }
}
