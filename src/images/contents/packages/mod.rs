//! What is installed in an image, as the package managers' own files tell it.
//!
//! Each parser reads a stream, holds only what it reports, and stops at its caps. A file that cannot be read is named
//! with the reason: silence would look like "nothing is installed".

mod apk;
mod composer;
mod dpkg;
mod json;
mod lines;
mod locked;
mod npm;
mod python;
mod rpm;
mod sqlite;
pub mod version;

use std::io::BufRead;

use serde::{Deserialize, Serialize};

/// The most packages that one file may name.
const MOST: usize = 50_000;
/// The longest name or version, in bytes.
const LONGEST: usize = 256;

/// Whose packages: the types of package URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// Debian and what derives from it.
    Deb,
    /// Alpine.
    Apk,
    /// Fedora, RHEL, SUSE and what derives from them.
    Rpm,
    /// PHP.
    Composer,
    /// Node.js.
    Npm,
    /// Python.
    Pypi,
}

impl Ecosystem {
    /// Its name, as `--json` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Composer => "composer",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }
}

/// A package that is there. The texts are the image's own: neutralise them for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version, as its package manager writes it.
    pub version: String,
    /// What it runs on, where its package manager says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

/// A file that tells what is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `var/lib/dpkg/status`, and distroless images' `status.d/*`.
    Dpkg,
    /// `lib/apk/db/installed`.
    Apk,
    /// `rpmdb.sqlite`.
    RpmSqlite,
    /// `composer.lock` or `vendor/composer/installed.json`.
    Composer,
    /// `package-lock.json` or `node_modules/.package-lock.json`.
    Npm,
    /// `*.dist-info/METADATA` and its predecessors.
    Python,
    /// `requirements.txt`.
    Requirements,
    /// `Pipfile.lock`.
    Pipfile,
    /// `poetry.lock`.
    Poetry,
    /// One whose form onramp does not read; why not.
    Unreadable(Ecosystem, &'static str),
}

/// What a file tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// The packages that it names, sorted, each once.
    Packages(Vec<Package>),
    /// It was not read; why.
    Unread(String),
}

/// Where package managers install to.
const INSTALLED: [&str; 4] = ["node_modules", "vendor", "site-packages", "dist-packages"];

/// Which source a path is, in an image whose paths have no leading slash.
pub fn source(path: &[u8]) -> Option<Source> {
    let path = std::str::from_utf8(path).ok()?;
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match directory {
        "var/lib/dpkg" if name == "status" => return Some(Source::Dpkg),
        "var/lib/dpkg/status.d" if !name.ends_with(".md5sums") => return Some(Source::Dpkg),
        "lib/apk/db" | "usr/lib/apk/db" if name == "installed" => return Some(Source::Apk),
        "var/lib/rpm" | "usr/lib/sysimage/rpm" | "usr/share/rpm" => return rpm_file(name),
        _ => {}
    }
    match name {
        "installed.json" if ends(directory, "vendor/composer") => Some(Source::Composer),
        ".package-lock.json" if ends(directory, "node_modules") => Some(Source::Npm),
        "METADATA" if directory.ends_with(".dist-info") => Some(Source::Python),
        "PKG-INFO" if directory.ends_with(".egg-info") => Some(Source::Python),
        _ if name.ends_with(".egg-info") => Some(Source::Python),
        // What lies inside an installed package locks its author's machine, not this image.
        _ if path.split('/').any(|part| INSTALLED.contains(&part)) => None,
        "composer.lock" => Some(Source::Composer),
        "package-lock.json" | "npm-shrinkwrap.json" => Some(Source::Npm),
        "requirements.txt" => Some(Source::Requirements),
        "Pipfile.lock" => Some(Source::Pipfile),
        "poetry.lock" => Some(Source::Poetry),
        "yarn.lock" => Some(Source::Unreadable(Ecosystem::Npm, "Yarn's lock files are not read")),
        "pnpm-lock.yaml" => Some(Source::Unreadable(Ecosystem::Npm, "pnpm's lock files are not read")),
        _ => None,
    }
}

fn rpm_file(name: &str) -> Option<Source> {
    match name {
        "rpmdb.sqlite" => Some(Source::RpmSqlite),
        "rpmdb.sqlite-wal" => {
            Some(Source::Unreadable(Ecosystem::Rpm, "the RPM database has changes that are not checkpointed"))
        }
        "Packages" => Some(Source::Unreadable(Ecosystem::Rpm, "RPM databases in Berkeley DB's form are not read")),
        "Packages.db" => Some(Source::Unreadable(Ecosystem::Rpm, "RPM databases in the ndb form are not read")),
        _ => None,
    }
}

fn ends(directory: &str, with: &str) -> bool {
    directory.strip_suffix(with).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// The source that makes another one idle: what is installed tells more than what was asked for.
pub fn stronger(path: &str) -> Option<String> {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(directory, name)| (directory, name));
    let beside = match name {
        "composer.lock" => "vendor/composer/installed.json",
        "package-lock.json" | "npm-shrinkwrap.json" | "yarn.lock" | "pnpm-lock.yaml" => {
            "node_modules/.package-lock.json"
        }
        _ => return None,
    };
    Some(if directory.is_empty() { beside.to_owned() } else { format!("{directory}/{beside}") })
}

/// Whether it locks what Python should install: idle where Python has installed anything, wherever that lies.
pub fn locks_python(path: &str) -> bool {
    matches!(source(path.as_bytes()), Some(Source::Requirements | Source::Pipfile | Source::Poetry))
}

/// Whether it tells what Python has installed.
pub fn is_python(path: &str) -> bool {
    source(path.as_bytes()) == Some(Source::Python)
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The stream under it broke: no fault of the file.
    #[error(transparent)]
    Stream(std::io::Error),
    /// The file says something wrong, or too much.
    #[error("{0}")]
    Content(String),
}

impl Unread {
    fn content(what: impl Into<String>) -> Self {
        Self::Content(what.into())
    }
}

/// What a source tells. An error is the stream's; whatever is wrong with the file itself is in the answer.
pub fn read(source: Source, stream: &mut dyn BufRead) -> std::io::Result<Told> {
    let mut found = Found::default();
    let outcome = match source {
        Source::Dpkg => dpkg::read(stream, &mut found),
        Source::Apk => apk::read(stream, &mut found),
        Source::RpmSqlite => rpm::read(stream, &mut found),
        Source::Composer => composer::read(stream, &mut found),
        Source::Npm => npm::read(stream, &mut found),
        Source::Python => python::read(stream, &mut found),
        Source::Requirements => locked::requirements(stream, &mut found),
        Source::Pipfile => locked::pipfile(stream, &mut found),
        Source::Poetry => locked::poetry(stream, &mut found),
        Source::Unreadable(_, why) => return Ok(unreadable(why, stream.fill_buf()?)),
    };
    match outcome {
        Ok(()) => {
            found.packages.sort_unstable();
            found.packages.dedup();
            Ok(Told::Packages(found.packages))
        }
        Err(Unread::Stream(error)) => Err(error),
        Err(Unread::Content(why)) => Ok(Told::Unread(crate::text::neutral_line(&why, 200))),
    }
}

/// An empty file (a database that was checkpointed, a journal that is done) hides nothing.
fn unreadable(why: &str, begins: &[u8]) -> Told {
    if begins.is_empty() { Told::Packages(Vec::new()) } else { Told::Unread(why.to_owned()) }
}

/// Packages as they are found, within the caps.
#[derive(Default)]
struct Found {
    packages: Vec<Package>,
}

impl Found {
    fn add(
        &mut self,
        ecosystem: Ecosystem,
        name: &str,
        version: &str,
        architecture: Option<&str>,
    ) -> Result<(), Unread> {
        if self.packages.len() == MOST {
            return Err(Unread::content(format!("it names more than {MOST} packages")));
        }
        if name.is_empty() || [name, version, architecture.unwrap_or_default()].iter().any(|text| text.len() > LONGEST)
        {
            return Err(Unread::content("a name or version in it is empty or longer than any honest one"));
        }
        let architecture = architecture.filter(|text| !text.is_empty()).map(str::to_owned);
        self.packages.push(Package { ecosystem, name: name.to_owned(), version: version.to_owned(), architecture });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
