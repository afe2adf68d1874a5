//! Formats of declarations: how a state repository says what its environments run.
//!
//! onramp's own is TOML. The others are what companies have already: their files are read, and edited in place. An edit replaces the
//! bytes of an image and is read again: what would change anything else is refused, with its line.

mod compose;
mod helm;
mod hiera;
mod images;
mod kubernetes;
mod kustomize;
mod onramp;
mod path;
mod slot;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use self::images::Images;
use self::path::Template;
use self::yaml::{At, Doc};
use super::edit::Edit;
use crate::document::{self, DocumentError};
use crate::git::RepoUrl;
use crate::name::{Name, NotAName};
use crate::project::service::Service;
use crate::reference::ImageRef;

/// What happens to the services of an app.
pub type Edits = BTreeMap<Name, Edit>;

/// What a declaration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The app's services, each with an image: by digest in onramp's own format, by digest or tag in the others.
    pub services: BTreeMap<Name, Service>,
    /// The repository of its source, where that is written down.
    pub source: Option<RepoUrl>,
}

/// One way to write declarations.
trait Adapter {
    /// What a text declares.
    fn read(&self, of: &Of<'_>, text: &str) -> Result<Declared, DocumentError>;

    /// The text with these edits, all other bytes as they were; `text` is none where the app is not declared yet. An edit that cannot
    /// be made with certainty is an error that says where and why.
    fn edit(&self, of: &Of<'_>, text: Option<&str>, edits: &Edits) -> Result<String, DocumentError>;
}

/// What a declaration is of.
struct Of<'a> {
    /// What errors call the file.
    path: &'a Path,
    environment: &'a Name,
    app: &'a Name,
    format: &'a Format,
}

/// The kinds of formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// onramp's own TOML.
    #[default]
    Onramp,
    /// A Compose file: `services.<name>.image`.
    Compose,
    /// A kustomization: its `images`.
    Kustomize,
    /// A values file of a Helm chart.
    Helm,
    /// Manifests of Kubernetes: the images of containers.
    Kubernetes,
    /// Data of Puppet's Hiera: a key a service.
    Hiera,
}

/// How a state repository says what its environments run: `[format]` in `state.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    kind: Kind,
    template: Template,
    images: Images,
}

/// `[format]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    kind: Spanned<Kind>,
    path: Option<Spanned<String>>,
    image: Option<Spanned<Images>>,
}

impl Default for Format {
    fn default() -> Self {
        let template = Template::parse("environments/{environment}/{app}.toml").expect("a path of ours");
        Self { kind: Kind::Onramp, template, images: Images::plain() }
    }
}

impl Format {
    /// Checks what is written; a mistake is where it is, in bytes, and what.
    pub(super) fn new(raw: Raw) -> Result<Self, (usize, String)> {
        let (at, kind) = (raw.kind.span().start, raw.kind.into_inner());
        let template = match raw.path {
            Some(path) => Template::parse(path.as_ref()).map_err(|why| (path.span().start, why))?,
            None if kind == Kind::Onramp => Self::default().template,
            None => {
                return Err((
                    at,
                    "`path` is missing: where are the files, with {environment} and {app} in it?".to_owned(),
                ));
            }
        };
        let images = match raw.image {
            Some(image) if kind == Kind::Onramp => {
                return Err((
                    image.span().start,
                    "`image` is of other formats: here services have their own names".to_owned(),
                ));
            }
            Some(image) => {
                image.as_ref().check().map_err(|why| (image.span().start, why))?;
                image.into_inner()
            }
            None if matches!(kind, Kind::Helm | Kind::Hiera) => {
                return Err((at, "`image` is missing: which key has the image of which service?".to_owned()));
            }
            None => Images::plain(),
        };
        Ok(Self { kind, template, images })
    }

    /// Where an environment declares an app.
    pub fn path(&self, environment: &Name, app: &Name) -> String {
        self.template.path(environment, app)
    }

    /// What a file declares: the environment and the app. None where it is no declaration, an error where no name fits.
    pub fn place(&self, path: &str) -> Option<Result<(Name, Name), NotAName>> {
        self.template.place(path)
    }

    /// The directory that holds all declarations; empty where that is the repository.
    pub fn root(&self) -> &str {
        self.template.root()
    }

    /// The directory that holds all declarations of an environment; empty where that is the repository.
    pub fn directory(&self, environment: &Name) -> String {
        self.template.directory(environment)
    }

    /// Whether services and files can be added by an edit.
    pub fn adds(&self) -> bool {
        self.kind == Kind::Onramp
    }

    /// Refuses a text that says nothing of a service that it had before, in formats where another file speaks then: the base's or
    /// the chart's image would run, and nobody has judged it.
    pub fn keeps(
        &self,
        path: &Path,
        text: &str,
        old: &BTreeMap<Name, Service>,
        new: &BTreeMap<Name, Service>,
    ) -> Result<(), DocumentError> {
        let silent = matches!(self.kind, Kind::Kustomize | Kind::Helm | Kind::Hiera);
        match old.keys().find(|name| silent && !new.contains_key(*name)) {
            Some(name) => {
                let message = format!("services.{name} is gone from here: what runs in its place is said elsewhere");
                Err(document::wrong(path, text, 0, message))
            }
            None => Ok(()),
        }
    }

    /// What a text declares. `path` is what errors call it.
    pub fn read(&self, path: &Path, environment: &Name, app: &Name, text: &str) -> Result<Declared, DocumentError> {
        self.adapter().read(&Of { path, environment, app, format: self }, text)
    }

    /// The text with these edits. `text` is none where the environment does not declare the app yet.
    pub fn edit(
        &self,
        environment: &Name,
        app: &Name,
        text: Option<&str>,
        edits: &Edits,
    ) -> Result<String, DocumentError> {
        let path = self.path(environment, app);
        self.adapter().edit(&Of { path: Path::new(&path), environment, app, format: self }, text, edits)
    }

    /// The error that says what to write by hand before a service can be deployed with this image.
    pub fn by_hand(&self, environment: &Name, app: &Name, service: &Name, image: &ImageRef) -> DocumentError {
        let path = self.path(environment, app);
        Of { path: Path::new(&path), environment, app, format: self }.by_hand("", service, image)
    }

    fn adapter(&self) -> &'static dyn Adapter {
        match self.kind {
            Kind::Onramp => &onramp::Onramp,
            Kind::Compose => &compose::Compose,
            Kind::Kustomize => &slot::Places(kustomize::find),
            Kind::Helm => &slot::Places(helm::find),
            Kind::Kubernetes => &kubernetes::Kubernetes,
            Kind::Hiera => &slot::Places(hiera::find),
        }
    }
}

impl Of<'_> {
    /// What services are called in the file.
    fn names(&self) -> images::Filled {
        self.format.images.fill(self.environment, self.app)
    }

    /// The image of a service that is there already; nothing is added.
    fn existing<'e>(&self, service: &Name, edit: &'e Edit) -> Result<&'e ImageRef, DocumentError> {
        match edit {
            Edit::Image(image) => Ok(image),
            Edit::Add(added) => match &added.image {
                Some(image) => Err(self.by_hand("", service, image)),
                None => Err(document::wrong(self.path, "", 0, format!("services.{service}: it has no image"))),
            },
        }
    }

    /// The error that says what to write by hand.
    fn by_hand(&self, text: &str, service: &Name, image: &ImageRef) -> DocumentError {
        let message =
            format!("services.{service} is not declared here, and onramp adds nothing to a file of this format");
        let hint = format!("write it by hand, with its first image; {}", self.words(image));
        document::wrong(self.path, text, 0, message).hinted(Some(hint))
    }

    /// How an image is written in this format.
    fn words(&self, image: &ImageRef) -> String {
        let digest = image.digest().map_or("sha256:…", |digest| digest.as_str());
        match self.format.kind {
            Kind::Onramp | Kind::Compose | Kind::Kubernetes => format!("the line is `image: {image}`"),
            Kind::Kustomize => format!("`images` takes `newName: {}` and `digest: {digest}`", image.repository()),
            Kind::Helm => format!(
                "the values are `repository: {}` and `digest: {digest}`, or both in one text",
                image.repository()
            ),
            Kind::Hiera => format!("the value is `{image}`"),
        }
    }
}

/// The error for an image that `image` of `[format]` does not name: nobody would judge it.
fn unnamed(doc: &Doc<'_>, at: &At, called: &str) -> DocumentError {
    let shown = crate::text::neutral_line(called, 80);
    let hint = format!("name it in state.toml: image = {{ service = \"{shown}\" }}");
    let message = format!("`{shown}` is of no service by `image` of [format], and runs all the same");
    doc.wrong(at, &message).hinted(Some(hint))
}

/// What is declared where only images are told.
fn of_images(images: BTreeMap<Name, ImageRef>) -> Declared {
    let service = |(name, image)| (name, Service { image: Some(image), ..Service::default() });
    Declared { services: images.into_iter().map(service).collect(), source: None }
}

/// The text of a file that must be there.
fn present<'t>(of: &Of<'_>, text: Option<&'t str>, edits: &Edits) -> Result<&'t str, DocumentError> {
    match (text, edits.iter().next()) {
        (Some(text), _) => Ok(text),
        (None, Some((service, Edit::Image(image)))) => Err(of.by_hand("", service, image)),
        (None, Some((service, edit))) => of.existing(service, edit).map(|_| ""),
        (None, None) => Ok(""),
    }
}
