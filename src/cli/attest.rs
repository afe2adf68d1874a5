//! `--image` and `--key` of `onramp test`: what tests found of images as they lie in their registry, signed and put beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::key::signing_key;
use crate::files::{self, FileError};
use crate::git::Commit;
use crate::images::contents::Reader;
use crate::images::signature::{Fingerprint, SigningKey};
use crate::name::Name;
use crate::project::{Lock, lock};
use crate::reference::{Digest, ImageRef};
use crate::release::proof;
use crate::release::statement::{About, Statement, Subject};
use crate::sandbox::parity::Summary;
use crate::sandbox::{Given, View};
use crate::task::blocking;
use crate::text::neutral_line;

/// Which images are tested, and who says what was found.
#[derive(clap::Args)]
pub struct Attesting {
    /// Test this image, by digest, as it lies in its registry, instead of what the code here builds. With several services
    /// that are built here, SERVICE=IMAGE says whose it is. Can be given several times
    #[arg(long = "image", value_name = "IMAGE@DIGEST")]
    images: Vec<Tested>,
    /// Sign what the tests found of the images with this private key (PEM), and put it beside them in their registry, for
    /// environments whose policy asks for it (`evidence_by`)
    #[arg(long, value_name = "FILE", requires = "images", conflicts_with = "with")]
    key: Option<PathBuf>,
    /// A file with the key's passphrase [default: `COSIGN_PASSWORD`, else asked for]
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
}

/// One `--image`.
#[derive(Clone, Debug)]
struct Tested {
    service: Option<Name>,
    image: ImageRef,
}

impl FromStr for Tested {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, image) = match text.split_once('=') {
            Some((service, image)) => (Some(service.parse().map_err(|e| format!("{e}"))?), image),
            None => (None, text),
        };
        let image: ImageRef = image.parse().map_err(|error| format!("{error}"))?;
        if image.digest().is_none() {
            return Err(format!(
                "`{}` has no digest: what is tested must be what is deployed",
                neutral_line(text, 120)
            ));
        }
        Ok(Self { service, image })
    }
}

/// What was signed.
#[derive(Serialize)]
pub struct Attested {
    /// The image.
    pub image: ImageRef,
    /// The statement beside it, by its manifest.
    pub statement: Digest,
    /// By which key.
    pub key: Fingerprint,
}

impl Attesting {
    /// The images by their services, with what they have in them where the project's files would be shown.
    pub async fn given(&self, cx: &Context, view: &View) -> Result<Vec<Given>, Failure> {
        let reader = Reader::new(&cx.paths.cache, cx.offline, &cx.registries, cx.observer.clone());
        let mut given = Vec::new();
        for Tested { service, image } in &self.images {
            let member = view.whose(service.as_ref(), image)?;
            let targets: BTreeSet<String> = member.service.sync.values().map(|shown| shown.target().clone()).collect();
            let inside = |target: &String| target.trim_matches('/').to_owned();
            let wanted: BTreeSet<String> = targets.iter().map(inside).collect();
            let reading = async {
                let read = reader.image(image, None).await?;
                let layers = reader.layers(&[&read]).await?;
                let have = blocking(move || layers[0].have(&wanted)).await;
                Ok::<_, Failure>(have.map_err(FileError::io("read", &cx.paths.cache))?)
            };
            let have = cx.waiting(&format!("look into {}", image.path()), reading).await?;
            let own = targets.into_iter().filter(|target| have.contains(&inside(target))).collect();
            given.push(Given { service: member.id.service.clone(), image: image.clone(), own });
        }
        Ok(given)
    }

    /// The key, before anything is done that it is to speak of.
    pub fn key(&self, cx: &Context) -> Result<Option<SigningKey>, Failure> {
        let Some(file) = &self.key else { return Ok(None) };
        if cx.offline {
            return Err(Failure::usage("`--key` puts what was found into the registry; --offline forbids it"));
        }
        signing_key(cx, file, self.passphrase_file.as_deref()).map(Some)
    }
}

/// Puts beside the given images what tests found of them.
pub async fn attest(
    cx: &Context,
    view: &View,
    given: &[Given],
    (key, source): &(SigningKey, Commit),
    tests: BTreeMap<Name, bool>,
    parity: &Summary,
) -> Result<Vec<Attested>, Failure> {
    let root = &view.project.root;
    let text = files::read(&root.join(lock::FILE), lock::CAP);
    let about = About {
        app: Some(view.project.manifest.name.clone()),
        state: view.environment.commit.clone().map(|commit| (view.environment.environment.clone(), commit)),
        lock: text.ok().map(|text| Digest::of(&text)),
        source: Some(source.clone()),
        parity: Some(parity.to_string()),
    };
    let subjects: Vec<Subject> = view.own_images(&Lock::load(root)?)?.iter().filter_map(Subject::of).collect();
    let statement = Statement { subjects, tests, about };
    let mut done = Vec::new();
    for Given { image, .. } in given {
        let sending = proof::attest(&cx.registries, image, &statement, key);
        let statement = cx.waiting(&format!("attest {}", image.path()), sending).await?;
        done.push(Attested { image: image.clone(), statement, key: key.public().fingerprint().clone() });
    }
    Ok(done)
}
