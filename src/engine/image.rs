//! Images in the engine: facts, pull, push, build, import.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::auth::DockerCredentials;
use bollard::errors::Error as Raw;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    BuildImageOptions, BuilderVersion, CreateImageOptions, ImportImageOptions, ListContainersOptions,
    ListImagesOptions, PushImageOptions, RemoveImageOptions, TagImageOptions,
};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};

use super::container::variables;
use super::{Engine, Error, is_status, label, label_filter};
use crate::reference::{Digest, ImageRef};
use crate::text::neutral_line;

/// What the engine knows of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// The engine's id, `sha256:…` of its configuration.
    pub id: String,
    /// `repository@digest`, as pulled or pushed.
    pub repo_digests: Vec<String>,
    /// `repository:tag`.
    pub repo_tags: Vec<String>,
    /// `linux/amd64`.
    pub platform: String,
    /// Bytes, unpacked.
    pub size: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its containers are where nothing else is said; nothing in a list of images.
    pub defaults: ImageDefaults,
}

/// What an image says of its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDefaults {
    /// The program.
    pub command: Vec<String>,
    /// Who runs it; empty is the superuser.
    pub user: String,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
}

impl ImageFacts {
    /// The digest under which a repository holds this image.
    pub fn digest_in(&self, repository: &str) -> Option<Digest> {
        let named =
            |full: &String| full.split_once('@').filter(|(name, _)| *name == repository).map(|(_, d)| d.to_owned());
        self.repo_digests.iter().find_map(named).and_then(|digest| digest.parse().ok())
    }
}

/// How to sign in to a registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name; empty with an identity token.
    pub username: String,
    /// Password, or the identity token where there is no user name.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ***)", self.username)
    }
}

/// How far one layer of a pull or push is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProgress {
    /// The layer's short id.
    pub layer: String,
    /// `Downloading`, `Extracting`, `Pull complete`, …
    pub status: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, 0 while unknown.
    pub total: u64,
}

/// A build of one Dockerfile.
#[derive(Clone, Debug)]
pub struct BuildSpec {
    /// What to call the result, `name:tag`, in the engine only.
    pub tag: String,
    /// The context, an uncompressed tar with a `Dockerfile` at its top.
    pub context: Bytes,
    /// `ARG` values.
    pub arguments: BTreeMap<String, String>,
    /// Labels on the result. Labels set here end the build cache's usefulness only for the last step.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// What the engine knows of an image, by reference or id; none when it has no such image.
    pub async fn image(&self, name: &str) -> Result<Option<ImageFacts>, Error> {
        match self.docker.inspect_image(name).await {
            Ok(inspect) => Ok(Some(facts(inspect))),
            Err(error) if is_status(&error, 404) => Ok(None),
            Err(error) => Err(Self::failed(format!("inspect image {name}"), error)),
        }
    }

    /// The id of an image for a container that never runs: the oldest one, which is the likeliest to stay.
    pub async fn any_image(&self) -> Result<Option<String>, Error> {
        let options = ListImagesOptions::default();
        let found = self.docker.list_images(Some(options)).await.map_err(|e| Self::failed("list images", e))?;
        Ok(found.into_iter().min_by_key(|image| image.created).map(|image| image.id))
    }

    /// Pulls an image, by digest where the reference has one; for another platform than the engine's own where one is
    /// named.
    pub async fn pull(
        &self,
        image: &ImageRef,
        platform: Option<&str>,
        credentials: Option<&Credentials>,
        progress: &mut (dyn FnMut(LayerProgress) + Send),
    ) -> Result<(), Error> {
        let name = match image.digest() {
            Some(digest) => format!("{}@{digest}", image.repository()),
            None => image.to_string(),
        };
        let platform = platform.unwrap_or_default().to_owned();
        let options = CreateImageOptions { from_image: Some(name.clone()), platform, ..Default::default() };
        let stream = self.docker.create_image(Some(options), None, credentials.map(raw_credentials));
        self.follow("pull", &name, stream, |info| {
            if let (Some(layer), Some(status)) = (info.id, info.status) {
                let detail = info.progress_detail.unwrap_or_default();
                progress(layer_progress(layer, &status, detail.current, detail.total));
            }
            None
        })
        .await
    }

    /// Pushes a tagged image; its digest in that repository.
    pub async fn push(
        &self,
        image: &ImageRef,
        credentials: Option<&Credentials>,
        progress: &mut (dyn FnMut(LayerProgress) + Send),
    ) -> Result<Digest, Error> {
        match self.push_once(image, credentials, progress).await {
            // Its answer was cut off. What the registry has of the image by now is not sent again.
            Err(Error::Broken { .. }) => self.push_once(image, credentials, progress).await,
            done => done,
        }
    }

    async fn push_once(
        &self,
        image: &ImageRef,
        credentials: Option<&Credentials>,
        progress: &mut (dyn FnMut(LayerProgress) + Send),
    ) -> Result<Digest, Error> {
        let options = PushImageOptions { tag: image.tag().map(str::to_owned), platform: None };
        let stream = self.docker.push_image(&image.repository(), Some(options), credentials.map(raw_credentials));
        let name = image.to_string();
        self.follow("push", &name, stream, |info| {
            // A push names no layers.
            if let Some(status) = info.status {
                let detail = info.progress_detail.unwrap_or_default();
                progress(layer_progress(String::new(), &status, detail.current, detail.total));
            }
            None
        })
        .await?;
        let facts = self.image(&name).await?.ok_or_else(|| Error::NoImage { image: name.clone() })?;
        let no_digest =
            || Error::Broken { verb: format!("push {name}"), detail: "it names no digest afterwards".into() };
        facts.digest_in(&image.repository()).ok_or_else(no_digest)
    }

    /// Builds an image with the engine's classic builder; its id. Each step is told.
    pub async fn build(&self, spec: BuildSpec, step: &mut (dyn FnMut(&str) + Send)) -> Result<String, Error> {
        match self.build_once(spec.clone(), step).await {
            // Somebody removed an image from which it had taken a layer. The next time it is made anew.
            Err(Error::Stream { detail, .. }) if is_of_lost_layer(&detail) => self.build_once(spec, step).await,
            done => done,
        }
    }

    async fn build_once(&self, spec: BuildSpec, step: &mut (dyn FnMut(&str) + Send)) -> Result<String, Error> {
        let mut labels: HashMap<String, String> = spec.labels.into_iter().collect();
        labels.insert(label::OWNER.to_owned(), "onramp".to_owned());
        let options = BuildImageOptions {
            dockerfile: "Dockerfile".to_owned(),
            t: Some(spec.tag.clone()),
            rm: true,
            forcerm: true,
            buildargs: Some(spec.arguments.into_iter().collect()),
            labels: Some(labels),
            version: BuilderVersion::BuilderV1,
            ..Default::default()
        };
        let body = bollard::body_full(spec.context);
        let stream = self.docker.build_image(options, None, Some(body));
        self.follow("build", &spec.tag, stream, |info| {
            let line =
                info.stream.or(info.status).map(|text| neutral_line(text.trim(), 200)).filter(|t| !t.is_empty())?;
            step(&line);
            Some(line)
        })
        .await?;
        let facts = self.image(&spec.tag).await?.ok_or(Error::NoImage { image: spec.tag })?;
        Ok(facts.id)
    }

    /// Takes an archive of images as `docker save` writes it. `name` is for errors.
    pub async fn load<S>(&self, name: &str, archive: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    {
        let options = ImportImageOptions { quiet: true, ..Default::default() };
        let stream = self.docker.import_image(options, bollard::body_try_stream(archive), None);
        self.follow("load", name, stream, |info| info.stream).await
    }

    /// Gives an image one more name.
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
        self.docker.tag_image(image, Some(options)).await.map_err(|e| Self::failed(format!("tag {image}"), e))
    }

    /// Takes a name away from an image, and the image with its last name. One that is in use stays as it is; tells whether
    /// the name is away.
    pub async fn untag(&self, name: &str) -> Result<bool, Error> {
        match self.docker.remove_image(name, None::<RemoveImageOptions>, None).await {
            Ok(_) => Ok(true),
            Err(error) if is_status(&error, 404) => Ok(true),
            Err(error) if is_status(&error, 409) => Ok(false),
            Err(error) => Err(Self::failed(format!("remove image {name}"), error)),
        }
    }

    /// The digests of all that the engine pulled or pushed.
    pub async fn digests(&self) -> Result<BTreeSet<Digest>, Error> {
        let found = self.docker.list_images(None::<ListImagesOptions>).await;
        let images = found.map_err(|e| Self::failed("list images", e))?;
        let names = images.iter().flat_map(|image| &image.repo_digests);
        Ok(names.filter_map(|name| name.split_once('@')?.1.parse().ok()).collect())
    }

    /// The ids of the images that any container has, whoever made it, running or not.
    pub async fn images_of_containers(&self) -> Result<BTreeSet<String>, Error> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let found = self.docker.list_containers(Some(options)).await.map_err(|e| Self::failed("list containers", e))?;
        Ok(found.into_iter().filter_map(|container| container.image_id).collect())
    }

    /// The layers of every image, lowest first, by the digests of what they unpack to.
    pub async fn layers(&self) -> Result<Vec<Vec<Digest>>, Error> {
        const AT_ONCE: usize = 8;
        let found = self.docker.list_images(None::<ListImagesOptions>).await;
        let images = found.map_err(|e| Self::failed("list images", e))?;
        let looks = stream::iter(images).map(|image| async move {
            // One that is gone again since it was listed has no layers to share.
            let inspect = match self.docker.inspect_image(&image.id).await {
                Err(error) if is_status(&error, 404) => return Ok(Vec::new()),
                other => other.map_err(|e| Self::failed(format!("inspect image {}", image.id), e))?,
            };
            let layers = inspect.root_fs.and_then(|root| root.layers).unwrap_or_default();
            Ok(layers.iter().map_while(|layer| layer.parse().ok()).collect())
        });
        looks.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The images that onramp made and that carry these labels.
    pub async fn images_labelled(&self, labels: &[(&str, &str)]) -> Result<Vec<ImageFacts>, Error> {
        let options = ListImagesOptions { filters: Some(label_filter(labels)), ..Default::default() };
        let found = self.docker.list_images(Some(options)).await.map_err(|e| Self::failed("list images", e))?;
        let facts = |image: bollard::models::ImageSummary| ImageFacts {
            id: image.id,
            repo_digests: image.repo_digests,
            repo_tags: image.repo_tags,
            platform: String::new(),
            size: u64::try_from(image.size).unwrap_or_default(),
            labels: image.labels.into_iter().collect(),
            defaults: ImageDefaults::default(),
        };
        Ok(found.into_iter().map(facts).collect())
    }

    /// Reads a progress stream to its end. `line` may keep a line of output, of which an error shows the last ones.
    async fn follow<T>(
        &self,
        verb: &'static str,
        what: &str,
        stream: impl Stream<Item = Result<T, Raw>>,
        mut line: impl FnMut(T) -> Option<String>,
    ) -> Result<(), Error> {
        let mut stream = std::pin::pin!(stream);
        let mut tail: Vec<String> = Vec::new();
        while let Some(item) = stream.next().await {
            match item {
                Ok(item) => {
                    if let Some(text) = line(item) {
                        if tail.len() == 20 {
                            tail.remove(0);
                        }
                        tail.push(text);
                    }
                }
                Err(Raw::DockerStreamError { error }) => {
                    return Err(Error::Stream { verb, what: what.to_owned(), detail: neutral_line(&error, 400), tail });
                }
                Err(Raw::DockerResponseServerError { message, .. }) => {
                    return Err(Error::Stream {
                        verb,
                        what: what.to_owned(),
                        detail: neutral_line(&message, 400),
                        tail,
                    });
                }
                Err(error) => return Err(Self::failed(format!("{verb} {what}"), error)),
            }
        }
        Ok(())
    }
}

/// Whether a build ended because an image of its cache is gone: an id, which no Dockerfile of ours names.
fn is_of_lost_layer(detail: &str) -> bool {
    detail.contains("unknown parent image ID sha256:") || detail.contains("No such image: sha256:")
}

fn facts(inspect: ImageInspect) -> ImageFacts {
    let platform = match (inspect.os, inspect.architecture) {
        (Some(os), Some(architecture)) => format!("{os}/{architecture}"),
        _ => String::new(),
    };
    let config = inspect.config.unwrap_or_default();
    ImageFacts {
        id: inspect.id.unwrap_or_default(),
        repo_digests: inspect.repo_digests.unwrap_or_default(),
        repo_tags: inspect.repo_tags.unwrap_or_default(),
        platform,
        size: inspect.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        defaults: ImageDefaults {
            command: config.cmd.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            env: variables(config.env),
        },
    }
}

pub(super) fn raw_credentials(credentials: &Credentials) -> DockerCredentials {
    if credentials.username.is_empty() {
        return DockerCredentials { identitytoken: Some(credentials.password.clone()), ..Default::default() };
    }
    DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.clone()),
        ..Default::default()
    }
}

fn layer_progress(layer: String, status: &str, done: Option<i64>, total: Option<i64>) -> LayerProgress {
    let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
    LayerProgress { layer, status: neutral_line(status, 60), done: count(done), total: count(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_went_is_told_from_an_image_that_is_not_there() {
        // As Docker 20.10 says it.
        for lost in [
            "failed to export image: failed to set parent sha256:1a: unknown parent image ID sha256:1a",
            "No such image: sha256:1a",
        ] {
            assert!(is_of_lost_layer(lost), "{lost}");
        }
        for other in ["pull access denied for base", "No such image: shop:1", "unknown instruction: FORM"] {
            assert!(!is_of_lost_layer(other), "{other}");
        }
    }
}
