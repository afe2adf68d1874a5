//! Building and publishing: each image as soon as its parent is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::definition::{Definition, Rootfs};
use super::labels::{self, Origin};
use super::lent::{self, Lent};
use super::remote::Remote;
use super::{Error, TURN, load, publish, rootfs, sbom};
use crate::engine::{self, BuildSpec, Credentials, Engine, LayerProgress, label};
use crate::event::{Event, Observer};
use crate::images::contents::Reader;
use crate::images::known;
use crate::images::policy::Policy;
use crate::name::Name;
use crate::reference::{Digest, ImageRef};
use crate::registry::Registry;
use crate::task::blocking;
use crate::turn::Turn;

/// How long a public registry may take to begin a pull before the packages are used.
const PATIENCE: Duration = Duration::from_secs(20);

/// What builds.
pub struct Workshop<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// What images are called in the engine before they are published: `<prefix>/<name>:<key>`.
    pub prefix: &'a str,
    /// Where file systems are made.
    pub home: &'a Path,
    /// Whether what is there already is made anew.
    pub anew: bool,
    /// Where is written what was built here, by id: nothing else is taken for ours. None where names are enough, since
    /// engine and registry hold what a playground put there.
    pub records: Option<&'a Path>,
    /// Who watches.
    pub observer: &'a Arc<dyn Observer>,
}

/// Where images are published.
pub struct Target<'a> {
    /// The registry.
    pub registry: &'a Registry,
    /// The engine's way in.
    pub credentials: Option<Credentials>,
    /// Where the definitions come from.
    pub origin: Origin,
    /// Whose signatures prove an image that another machine pushed.
    pub policy: Option<&'a Policy>,
    /// Definitions whose tags may be moved whatever they mean.
    pub replace: &'a BTreeSet<Name>,
    /// What reads the packages of what was pushed, for its bill of materials; none where that is not wanted.
    pub reader: Option<&'a Reader>,
}

/// A published image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its definition.
    pub name: Name,
    /// Its tag in the registry.
    pub image: ImageRef,
    /// Its digest there.
    pub digest: Digest,
    /// Whether it was pushed now; else it was there.
    pub pushed: bool,
}

/// How a definition stands before anything is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The definition.
    pub name: Name,
    /// `base/php-apache:8.2`
    pub place: String,
    /// What decides that it is the same.
    pub key: Digest,
    /// Whether the engine has it.
    pub built: bool,
    /// What the registry has of exactly this definition, on the parent that it has; none where it has not, or is not asked.
    pub published: Option<Digest>,
    /// What the registry's tag means where this machine did not make it, and no accepted key signed it.
    pub foreign: Option<Digest>,
}

/// Where a definition's image goes in a registry.
pub fn place(host: &str, definition: &Definition) -> ImageRef {
    format!("{host}/{}", definition.place()).parse().expect("definitions have names and tags of the right form")
}

/// What a registry has of exactly these definitions, parents first, by name.
pub async fn published(registry: &Registry, definitions: &[Definition]) -> Result<BTreeMap<Name, Digest>, Error> {
    let mut found: BTreeMap<Name, Digest> = BTreeMap::new();
    for definition in definitions {
        let parent = match &definition.parent {
            Some(parent) => match found.get(parent) {
                Some(digest) => Some(digest),
                None => continue,
            },
            None => None,
        };
        let facts = registry.find(&place(registry.host(), definition)).await?;
        if let Some(facts) = facts.filter(|facts| labels::is_of(&facts.labels, definition, parent)) {
            found.insert(definition.name.clone(), facts.digest);
        }
    }
    Ok(found)
}

/// What a child waits for.
type Gate<T> = watch::Sender<Option<T>>;

impl Workshop<'_> {
    /// What a definition's image is called in the engine.
    pub fn local_name(&self, definition: &Definition) -> String {
        format!("{}/{}:{}", self.prefix, definition.name, &definition.key.hex()[..16])
    }

    /// How these definitions, parents first, stand.
    pub async fn look(&self, target: Option<&Target<'_>>, definitions: &[Definition]) -> Result<Vec<Standing>, Error> {
        let mut standings: Vec<Standing> = Vec::new();
        for definition in definitions {
            let parent = definition.parent.as_ref();
            let parent = parent.and_then(|parent| standings.iter().find(|standing| standing.name == *parent));
            let remote = match target {
                Some(target) => {
                    self.remote(target, definition, parent.and_then(|parent| parent.published.as_ref())).await?
                }
                None => Remote::Nothing,
            };
            let (published, foreign) = match remote {
                Remote::Same(digest) => (Some(digest), None),
                Remote::Foreign(digest) => (None, Some(digest)),
                Remote::Nothing | Remote::Earlier => (None, None),
            };
            let built = self.has(&self.local_name(definition)).await?;
            let (name, place, key) = (definition.name.clone(), definition.place(), definition.key.clone());
            standings.push(Standing { name, place, key, built, published, foreign });
        }
        Ok(standings)
    }

    /// Whether the engine has an image of this name that was built here, or taken to build on. A name alone anybody can give.
    async fn has(&self, name: &str) -> Result<bool, Error> {
        let Some(facts) = self.engine.image(name).await? else { return Ok(false) };
        let Some(records) = self.records else { return Ok(true) };
        Ok(known::is_built(records, &facts.id)? || known::is_taken(records, &facts.id)?)
    }

    /// Whether an image with one of these ids was built here.
    pub(super) fn built(&self, ids: &[&str]) -> Result<bool, Error> {
        let Some(records) = self.records else { return Ok(true) };
        for id in ids {
            if known::is_built(records, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where is written what an interrupted push left.
    fn state(&self) -> &Path {
        self.records.unwrap_or(self.home)
    }

    /// Writes down that an image was built here.
    pub(super) fn note(&self, id: &str, name: &str) -> Result<(), Error> {
        self.records.map_or(Ok(()), |records| Ok(known::note_built(records, id, name)?))
    }

    /// The same for one that the engine has under this name.
    async fn note_name(&self, name: &str) -> Result<(), Error> {
        let facts = self.engine.image(name).await?;
        facts.map_or(Ok(()), |facts| self.note(&facts.id, name))
    }

    /// Writes down that what the engine has under this name was pulled to build on it. That makes it nothing of ours.
    async fn note_taken(&self, name: &str) -> Result<(), Error> {
        let Some(records) = self.records else { return Ok(()) };
        let facts = self.engine.image(name).await?;
        facts.map_or(Ok(()), |facts| Ok(known::note_taken(records, &facts.id, name)?))
    }

    /// Builds those definitions that the engine has no image of.
    pub async fn build(&self, definitions: &[Definition]) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let base = |parent: Option<(&Definition, ())>| parent.map(|(parent, ())| self.local_name(parent));
        self.in_order(definitions, |definition, parent| self.contents(definition, base(parent))).await.map(drop)
    }

    /// Builds and publishes those definitions that the registry has no image of. Nothing is pushed where one of the tags
    /// is not ours to move.
    pub async fn publish(&self, target: &Target<'_>, definitions: &[Definition]) -> Result<Vec<Made>, Error> {
        let _turn = self.turn().await?;
        lent::clear_left(self.engine, self.state()).await?;
        for definition in definitions {
            if let Remote::Foreign(digest) = self.remote(target, definition, None).await? {
                Self::refuse(target, definition, digest)?;
            }
        }
        self.in_order(definitions, |definition, parent| self.publish_one(target, definition, parent)).await
    }

    /// What keeps `image prune` from what is built; the playground's images it leaves anyway.
    async fn turn(&self) -> Result<Option<Turn>, Error> {
        let Some(records) = self.records.map(Path::to_owned) else { return Ok(None) };
        Ok(Some(blocking(move || Turn::share(&records, TURN)).await?))
    }

    /// Does something with every definition, each as soon as its parent is done; what came of them, in order.
    async fn in_order<'d, T, W>(
        &self,
        definitions: &'d [Definition],
        work: impl Fn(&'d Definition, Option<(&'d Definition, T)>) -> W,
    ) -> Result<Vec<T>, Error>
    where
        T: Clone,
        W: Future<Output = Result<T, Error>>,
    {
        let gates: BTreeMap<&Name, Gate<T>> =
            definitions.iter().map(|definition| (&definition.name, watch::Sender::new(None))).collect();
        let works = definitions.iter().map(|definition| {
            let parent = definitions.iter().find(|other| Some(&other.name) == definition.parent.as_ref());
            let waiting = parent.map(|parent| (parent, gates[&parent.name].subscribe()));
            let (gate, work) = (&gates[&definition.name], &work);
            async move {
                let mut parent = None;
                if let Some((definition, mut gate)) = waiting {
                    // The gate is there for as long as anybody works.
                    let done = gate.wait_for(Option::is_some).await.ok().and_then(|done| done.clone());
                    parent = done.map(|done| (definition, done));
                }
                let made = work(definition, parent).await?;
                gate.send_replace(Some(made.clone()));
                Ok::<_, Error>(made)
            }
        });
        try_join_all(works).await
    }

    /// Makes the image in the engine: what is in it, without a word about where it came from.
    async fn contents(&self, definition: &Definition, parent: Option<String>) -> Result<(), Error> {
        let tag = self.local_name(definition);
        if !self.anew && self.has(&tag).await? {
            return Ok(());
        }
        let task = format!("build {}", definition.path);
        self.observer.started(&task);
        let base = match (&definition.rootfs, parent) {
            (Some(rootfs), _) => self.ground(definition, rootfs, &task).await?,
            (None, Some(parent)) => parent,
            (None, None) => return Err(Error::NoParent { image: definition.place() }),
        };
        if definition.has_dockerfile() {
            let spec = BuildSpec {
                tag,
                context: definition.context().into(),
                arguments: [("BASE".to_owned(), base)].into(),
                labels: [(label::DEFINITION.to_owned(), definition.key.to_string())].into(),
            };
            let name = spec.tag.clone();
            let id = self.engine.build(spec, &mut |step| self.observer.step(&task, step)).await?;
            self.note(&id, &name)?;
        } else {
            // Whether it was built or pulled is written down of the same id.
            let (repository, key) = tag.rsplit_once(':').expect("a name has a tag");
            self.engine.tag(&base, repository, key).await?;
        }
        self.observer.finished(&task, &definition.tag);
        Ok(())
    }

    /// The image that a definition without a parent stands on: pulled where a public registry answers and the definition
    /// allows it, else made from Debian packages.
    async fn ground(&self, definition: &Definition, rootfs: &Rootfs, task: &str) -> Result<String, Error> {
        if let Some(public) = &rootfs.pull
            && self.pulled(definition, public, task).await?
        {
            self.note_taken(public).await?;
            return Ok(public.clone());
        }
        let name = format!("{}/{}-rootfs:{}", self.prefix, definition.name, &definition.key.hex()[..16]);
        if !self.anew && self.has(&name).await? {
            return Ok(name);
        }
        let layer = rootfs::make(definition, rootfs, self.home, &**self.observer, task).await?;
        self.observer.step(task, "loading the file system into the engine");
        let own = [(label::OWNER, "onramp"), (label::DEFINITION, definition.key.as_str())];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = load::config(&layer.digest, layer.made, &own.into());
        let loaded = self.engine.load(&name, load::archive(&layer, config, &name)).await;
        let _ = std::fs::remove_file(&layer.path);
        loaded?;
        self.note_name(&name).await?;
        Ok(name)
    }

    /// Whether a public image could be pulled.
    async fn pulled(&self, definition: &Definition, public: &str, task: &str) -> Result<bool, Error> {
        let image = format!("docker.io/library/{public}").parse::<ImageRef>();
        let image = image.map_err(|_| Error::NoBase {
            image: definition.place(),
            why: format!("`{}` is no image of the public registry", crate::text::neutral_line(public, 80)),
        })?;
        self.observer.step(task, &format!("pulling {public}"));
        let begun = Notify::new();
        let mut progress = |layer: LayerProgress| {
            begun.notify_one();
            self.observer.step(task, &format!("{} {}", layer.layer, layer.status));
        };
        let mut pull = std::pin::pin!(self.engine.pull(&image, None, None, &mut progress));
        let pulled = tokio::select! {
            pulled = &mut pull => pulled.is_ok(),
            () = tokio::time::sleep(PATIENCE) => false,
            () = begun.notified() => pull.await.is_ok(),
        };
        if !pulled {
            self.observer.step(task, &format!("{public} cannot be pulled; making it from Debian packages"));
        }
        Ok(pulled)
    }

    async fn publish_one(
        &self,
        target: &Target<'_>,
        definition: &Definition,
        parent: Option<(&Definition, Made)>,
    ) -> Result<Made, Error> {
        let image = place(target.registry.host(), definition);
        let (name, on) = (definition.name.clone(), parent.as_ref().map(|(_, made)| &made.digest));
        match self.remote(target, definition, on).await? {
            Remote::Same(digest) if !self.anew => {
                // One whose push was cut off may have no bill yet.
                self.bill(target, &image.at(digest.clone())).await?;
                return Ok(Made { name, image, digest, pushed: false });
            }
            Remote::Foreign(digest) => Self::refuse(target, definition, digest)?,
            _ => {}
        }
        if let Some((parent, made)) = &parent {
            self.fetch(target, parent, made).await?;
        }
        let labels =
            labels::of(definition, &target.origin, parent.as_ref().map(|(_, made)| (&made.image, &made.digest)));
        let task = format!("push {}", definition.path);
        let digest = match &definition.rootfs {
            Some(rootfs) if !definition.has_dockerfile() && rootfs.pull.is_none() => {
                self.observer.started(&task);
                let digest = publish::file_system(self, target, definition, rootfs, &image, &labels, &task).await?;
                // From there, so that the engine knows under which digest the registry has its layer, and no child pushes
                // that again.
                let published = Made { name: name.clone(), image: image.clone(), digest, pushed: true };
                self.take(target, definition, &published).await?;
                // By the id that the engine gives it, which may be another one than the config's.
                self.note_name(&self.local_name(definition)).await?;
                published.digest
            }
            _ => {
                self.contents(definition, parent.as_ref().map(|(parent, _)| self.local_name(parent))).await?;
                self.observer.started(&task);
                self.push(target, definition, &image, labels, &task).await?
            }
        };
        self.observer.step(&task, "listing its packages");
        self.bill(target, &image.at(digest.clone())).await?;
        self.observer.finished(&task, digest.short());
        Ok(Made { name, image, digest, pushed: true })
    }

    /// Attaches an image's bill of materials, where that is wanted.
    async fn bill(&self, target: &Target<'_>, image: &ImageRef) -> Result<(), Error> {
        match target.reader {
            Some(reader) => sbom::attach(target.registry, reader, image).await.map(drop),
            None => Ok(()),
        }
    }

    /// Has a published parent in the engine, under the name that children build on.
    async fn fetch(&self, target: &Target<'_>, parent: &Definition, made: &Made) -> Result<(), Error> {
        if self.has(&self.local_name(parent)).await? {
            return Ok(());
        }
        let task = format!("pull {}", parent.path);
        self.observer.started(&task);
        self.take(target, parent, made).await?;
        self.observer.finished(&task, made.digest.short());
        Ok(())
    }

    /// Pulls a published image, and calls it what children build on.
    async fn take(&self, target: &Target<'_>, definition: &Definition, made: &Made) -> Result<(), Error> {
        let image = made.image.at(made.digest.clone());
        self.engine.pull(&image, None, target.credentials.as_ref(), &mut |_| ()).await?;
        let local = self.local_name(definition);
        let (repository, key) = local.rsplit_once(':').expect("a name has a tag");
        self.engine.tag(&image.to_string(), repository, key).await?;
        self.note_taken(&local).await
    }

    /// Pushes what the engine has, with its labels. A build of one line changes nothing but them; its outcome is kept, so
    /// that a registry that lost it gets the same digest again.
    async fn push(
        &self,
        target: &Target<'_>,
        definition: &Definition,
        image: &ImageRef,
        labels: BTreeMap<String, String>,
        task: &str,
    ) -> Result<Digest, Error> {
        let contents = self.local_name(definition);
        let said = Digest::of(format!("{labels:?}").as_bytes());
        let labelled = format!("{contents}-{}", said.short());
        if self.anew || !self.has(&labelled).await? {
            let context = one_file("Dockerfile", format!("FROM {contents}\n").as_bytes());
            let spec = BuildSpec { tag: labelled.clone(), context: context.into(), arguments: BTreeMap::new(), labels };
            let id = self.engine.build(spec, &mut |_| ()).await?;
            self.note(&id, &labelled)?;
        }
        let made = self.engine.image(&labelled).await?.ok_or(engine::Error::NoImage { image: labelled })?;
        let lent = Lent::to(self.engine, self.state(), image, made.id).await?;
        let mut progress = |layer: LayerProgress| {
            let (done, total) = (layer.done, layer.total);
            self.observer.event(Event::Progress { task: task.to_owned(), done, total });
        };
        let pushed = self.engine.push(image, target.credentials.as_ref(), &mut progress).await;
        // The engine has the registry's name only once somebody pulled it, and whoever had something of that name has it
        // again.
        lent.back().await?;
        Ok(pushed?)
    }
}

/// A tar of one file.
fn one_file(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, contents).expect("writing to memory");
    tar.into_inner().expect("writing to memory")
}
