//! Pulling images by digest, all at once: what is missing is fetched into our store and verified, the engine takes it
//! from us, and proves by the image's true name that it holds what was asked for.

mod away;
mod board;
mod failed;
mod feed;
mod loopback;
mod offer;
mod platform;
mod prepare;
mod room;
mod source;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::{TryFutureExt, try_join};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::Error;
use super::known;
use crate::engine::{self, Credentials, Engine, ImageFacts, LayerProgress};
use crate::event::Observer;
use crate::files::FileError;
use crate::reference::ImageRef;
use crate::registry::{self, Access};
use crate::text;
use away::Away;
use board::{Board, Downloads};
use feed::Feed;
use loopback::Loopback;
use prepare::Wanted;
use source::Source;

pub use prepare::{Details, Prepared};

/// How many images are pulled at once: the engine unpacks layers one after the other, more only wait.
const AT_ONCE: usize = 4;

/// What happens to one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImagePlan {
    /// The image, by digest.
    pub image: ImageRef,
    /// Whether the engine has it.
    pub present: bool,
    /// What its pull takes; where it is missing, and the registry was asked.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
}

/// Which of these images, all by digest, must be pulled. `platform` is another one than the engine's own.
pub async fn plan(engine: &Engine, images: &[ImageRef], platform: Option<&str>) -> Result<Vec<ImagePlan>, Error> {
    let looks = stream::iter(images).map(|image| async move {
        let facts = engine.image(&image.to_string()).await?;
        let present = facts.is_some_and(|facts| {
            holds(&facts, image) && platform.is_none_or(|asked| platform::same_machine(asked, &facts.platform))
        });
        Ok(ImagePlan { image: image.clone(), present, details: None })
    });
    looks.buffered(AT_ONCE).try_collect().await
}

/// One pull.
pub struct Pull<'a> {
    /// The engine that is to have the images.
    pub engine: &'a Engine,
    /// onramp's cache directory, where the store lies.
    pub cache: &'a Path,
    /// onramp's state directory.
    pub state: &'a Path,
    /// Another platform than the engine's own.
    pub platform: Option<&'a str>,
    /// How registries are spoken to.
    pub registries: Access,
    /// Who listens.
    pub observer: &'a Arc<dyn Observer>,
}

impl Pull<'_> {
    /// Pulls what was prepared, and proves that the engine has each image under its digest.
    pub async fn apply(&self, prepared: Prepared) -> Result<(), Error> {
        let Some(store) = &prepared.store else { return Ok(()) };
        for text in prepared.warnings(self.engine.place().root.as_deref()) {
            self.observer.note(&text);
        }
        for wanted in &prepared.images {
            known::note_pulled(self.state, &wanted.image)?;
        }
        let board = Arc::new(Board::new(self.observer.clone()));
        let numbers: Vec<usize> =
            prepared.images.iter().map(|wanted| board.add(wanted.task(), wanted.parts(store))).collect();
        let work: Vec<(usize, &Wanted)> = numbers.into_iter().zip(&prepared.images).collect();
        if self.engine.place().is_fed() {
            let source = Source::new(store.clone(), board.clone(), work.iter().map(|(_, wanted)| *wanted));
            let source = if self.takes_unpacked(prepared.unpacked) { source.unpacked() } else { source };
            self.fed(Arc::new(source), &board, &work).await?;
        } else {
            let away = &self.away();
            let pulls = stream::iter(&work).map(|(number, wanted)| {
                board.started(*number);
                let pull = away.outlast(|| self.plain(wanted, *number, &board, Downloads::Engine));
                pull.map_err(|error| failed::of(&wanted.image, self.engine.place().root.as_deref(), error))
            });
            pulls.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        }
        Ok(())
    }

    /// Whether the engine has a use, and room, for layers of so many bytes that come unpacked.
    fn takes_unpacked(&self, bytes: u64) -> bool {
        let place = self.engine.place();
        place.graph_driver && place.root.as_deref().is_none_or(|root| room::fits_twice(root, bytes))
    }

    /// Through our store: the engine takes the layers from us while the next ones are being fetched.
    async fn fed(&self, source: Arc<Source>, board: &Board, work: &[(usize, &Wanted)]) -> Result<(), Error> {
        loopback::clear_left(self.engine, self.state).await?;
        let loopback = Loopback::make(self.engine, self.state)?;
        let feed = Feed::open(loopback.path(), source.clone()).await;
        let feed = feed.map_err(FileError::io("listen on", Path::new("127.0.0.1")))?;
        let (feed, name, source, away) = (&feed, &loopback, &source, &self.away());
        let pulls = stream::iter(work).map(|(number, wanted)| {
            let pull = away.outlast(|| self.feed(wanted, *number, board, feed, name, source));
            pull.map_err(|error| failed::of(&wanted.image, self.engine.place().root.as_deref(), error))
        });
        let pulls = pulls.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>();
        let order = prepare::order(work.iter().map(|(_, wanted)| *wanted));
        try_join(pulls, source.fetch(&order)).await?;
        loopback.clear().await
    }

    fn away(&self) -> Away<'_> {
        Away::new(self.engine, self.registries.limit(), self.observer)
    }

    async fn feed(
        &self,
        wanted: &Wanted,
        number: usize,
        board: &Board,
        feed: &Feed,
        name: &Loopback,
        source: &Source,
    ) -> Result<(), Error> {
        board.started(number);
        let mut forms = source.forms(wanted);
        loop {
            let offer = forms.offer(wanted);
            let digest = offer.digest.clone();
            let local = name.name(feed.address(), source.offer(offer), &digest)?;
            let mut lowest = None;
            let mut listen = |progress: LayerProgress| {
                if progress.status == "Pulling fs layer" {
                    lowest.get_or_insert_with(|| progress.layer.clone());
                }
                board.engine(number, &progress, Downloads::Store);
            };
            match self.engine.pull(&local, wanted.platform.as_deref(), None, &mut listen).await {
                Ok(()) => match source.left_over(wanted) {
                    Some(error) => return Err(error),
                    None => return self.plain(wanted, number, board, Downloads::Store).await,
                },
                // It runs in a network of its own after all.
                Err(_) if !feed.was_asked() => return self.plain(wanted, number, board, Downloads::Engine).await,
                Err(error) => {
                    if let Some(failure) = source.failure() {
                        return Err(failure);
                    }
                    let engine::Error::Stream { detail, .. } = &error else { return Err(error.into()) };
                    source.leave_to_engine(wanted);
                    if !forms.next(lowest.as_deref()) {
                        // Our own name for it says nothing to anybody.
                        let detail = detail.replace(&local.repository(), &wanted.image.repository());
                        return Err(Error::Refused { image: Box::new(wanted.image.clone()), detail });
                    }
                }
            }
        }
    }

    /// By its true name: the engine finds every layer that it took from us, and asks the registry for the rest.
    async fn plain(&self, wanted: &Wanted, number: usize, board: &Board, downloads: Downloads) -> Result<(), Error> {
        let image = &wanted.image;
        let credentials = registry::credentials_of_user(image.registry()).await.map(engine_credentials);
        let mut listen = |progress: LayerProgress| board.engine(number, &progress, downloads);
        self.engine.pull(image, wanted.platform.as_deref(), credentials.as_ref(), &mut listen).await?;
        let facts = self.engine.image(&image.to_string()).await?;
        let held = facts.as_ref().map(|facts| facts.repo_digests.clone()).unwrap_or_default();
        let facts = facts.filter(|facts| holds(facts, image) && wanted.is(&facts.id));
        let facts = facts.ok_or_else(|| Error::NotProven { image: image.clone(), held })?;
        board.finished(number, &format!("{} unpacked", text::bytes(facts.size)));
        Ok(())
    }
}

/// Whether the engine holds exactly this digest. The repository may have another name there: engines shorten some.
fn holds(facts: &ImageFacts, image: &ImageRef) -> bool {
    let Some(digest) = image.digest() else { return false };
    facts.repo_digests.iter().any(|full| full.split_once('@').is_some_and(|(_, held)| held == digest.as_str()))
}

/// The registry's credentials as the engine takes them.
pub fn engine_credentials(credentials: registry::Credentials) -> Credentials {
    match credentials {
        registry::Credentials::Password { username, password } => Credentials { username, password },
        registry::Credentials::IdentityToken(token) => Credentials { username: String::new(), password: token },
    }
}
