//! What can be proved of images: that they are signed, when they were made, and what tests found of them. Statements lie beside
//! an image in its registry as what refers to it, in DSSE envelopes; only what a wanted key signed is read.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::Error;
use super::statement::{PAYLOAD_TYPE, Statement};
use crate::images::signature::{self, Envelope, Fingerprint, PublicKey, SigningKey, envelope};
use crate::name::Name;
use crate::reference::{Digest, ImageRef};
use crate::registry::{self, Access, Content, Document, Registry};
use crate::state::Registered;
use crate::state::policy::{KeyFile, Policy};
use crate::text::neutral_line;

/// How many statements beside one image are read, the newest first: anybody who may push can add some.
const MOST: usize = 100;

/// Whose word counts for the images of a change, and what is asked of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whose statements about tests count; none: they are not asked for.
    pub testers: Vec<PublicKey>,
    /// Whose signatures on an image count; none: they are not asked for.
    pub signers: Vec<PublicKey>,
    /// Whether it matters when an image was made.
    pub age: bool,
}

/// What is proved of the images of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    /// Of each.
    pub images: BTreeMap<ImageRef, Registered>,
    /// The tests that passed with all of them together, and who said so.
    pub tests: BTreeMap<Name, Fingerprint>,
}

impl Wanted {
    /// What a policy asks for. `key` reads a file of the state repository: at the base branch, so that no change names its own
    /// judges.
    pub fn of(policy: &Policy, key: &dyn Fn(&str) -> Result<Option<String>, Error>) -> Result<Self, Error> {
        let read = |file: &KeyFile| -> Result<PublicKey, Error> {
            let missing = || Error::NoKeyFile { path: file.path().to_owned() };
            let text = key(file.path())?.ok_or_else(missing)?;
            Ok(PublicKey::read(&text, &neutral_line(file.path(), 120))?)
        };
        Ok(Self {
            testers: policy
                .evidence_by
                .iter()
                .filter(|_| !policy.evidence.is_empty())
                .map(read)
                .collect::<Result<_, _>>()?,
            signers: policy.signed_by.iter().map(read).collect::<Result<_, _>>()?,
            age: policy.max_age.is_some(),
        })
    }

    /// Whether anything is asked that a registry answers.
    pub fn is_nothing(&self) -> bool {
        self.testers.is_empty() && self.signers.is_empty() && !self.age
    }
}

/// Signs a statement and puts it beside an image of its own.
pub async fn attest(
    access: &Access,
    image: &ImageRef,
    statement: &Statement,
    key: &SigningKey,
) -> Result<Digest, Error> {
    let registry = Registry::of_user(image.registry(), access).await?;
    let sealed = Envelope::seal(PAYLOAD_TYPE, statement.bytes(), key);
    let annotations = [("org.opencontainers.image.created".to_owned(), Timestamp::now().to_string())];
    let document =
        Document { media_type: envelope::MEDIA_TYPE, bytes: sealed.bytes(), annotations: annotations.into() };
    Ok(registry.attach_document(image, document).await?)
}

/// Looks at what the registries have of these images, which are named by digest.
pub async fn find(access: &Access, app: &Name, images: &BTreeSet<ImageRef>, wanted: &Wanted) -> Result<Proofs, Error> {
    if wanted.is_nothing() || images.is_empty() {
        return Ok(Proofs::default());
    }
    let found = try_join_all(images.iter().map(|image| of_image(access, image, wanted))).await?;
    let digests: BTreeSet<Digest> = images.iter().filter_map(|image| image.digest().cloned()).collect();
    let mut proofs = Proofs::default();
    for (image, (registered, statements)) in images.iter().zip(found) {
        proofs.images.insert(image.clone(), registered);
        for (statement, by) in statements {
            // What another app's tests found of the same image says nothing of this app.
            if statement.about.app.as_ref() != Some(app) {
                continue;
            }
            for test in statement.passed(&digests) {
                proofs.tests.entry(test.clone()).or_insert_with(|| by.clone());
            }
        }
    }
    Ok(proofs)
}

async fn of_image(
    access: &Access,
    image: &ImageRef,
    wanted: &Wanted,
) -> Result<(Registered, Vec<(Statement, Fingerprint)>), Error> {
    let registry = Registry::of_user(image.registry(), access).await?;
    let Some(facts) = registry.find(image).await? else { return Ok((Registered::default(), Vec::new())) };
    let signed = if wanted.signers.is_empty() {
        false
    } else {
        let keys: Vec<&PublicKey> = wanted.signers.iter().collect();
        let own = signature::Identity::of(image);
        !signature::find(&registry, image, &keys, &|identity| *identity == own).await?.signed.is_empty()
    };
    let statements =
        if wanted.testers.is_empty() { Vec::new() } else { statements(&registry, image, &wanted.testers).await? };
    Ok((Registered { there: true, signed, made: facts.config.created }, statements))
}

/// The statements beside an image that these keys signed. What cannot be read is passed over: anybody who may push can put it
/// there, and another may be the one that counts.
async fn statements(
    registry: &Registry,
    image: &ImageRef,
    keys: &[PublicKey],
) -> Result<Vec<(Statement, Fingerprint)>, Error> {
    let Some(digest) = image.digest() else { return Ok(Vec::new()) };
    let referrers = registry.referrers(image.path(), digest, Some(envelope::MEDIA_TYPE)).await?;
    let mut found = Vec::new();
    for referrer in referrers.iter().rev().take(MOST) {
        let read = read(registry, &image.at(referrer.descriptor.digest.clone())).await;
        let sealed = match read {
            Ok(Some(sealed)) => sealed,
            Ok(None) => continue,
            Err(error) if signature::is_answer(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(key) = sealed.signers(keys).first()
            && sealed.payload_type == PAYLOAD_TYPE
            && let Ok(statement) = Statement::parse(&sealed.payload)
        {
            found.push((statement, key.fingerprint().clone()));
        }
    }
    Ok(found)
}

async fn read(registry: &Registry, at: &ImageRef) -> Result<Option<Envelope>, registry::Error> {
    let manifest = registry.manifest(at).await?;
    let Content::Image { layers, .. } = &manifest.content else { return Ok(None) };
    let Some(layer) = layers.iter().find(|layer| layer.media_type == envelope::MEDIA_TYPE) else { return Ok(None) };
    let bytes = registry.small_blob(at.path(), &layer.digest, envelope::CAP).await?;
    Ok(Envelope::parse(&bytes).ok())
}
