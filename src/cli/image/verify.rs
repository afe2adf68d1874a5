//! `onramp image verify`

use std::path::PathBuf;

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use super::super::signatures;
use crate::files;
use crate::images::policy::Scope;
use crate::images::signature::{self, Evidence, Found, Identity, PublicKey, Signed, key};
use crate::project::{Lock, Project};
use crate::reference::ImageRef;
use crate::registry::Registry;
use crate::task::blocking;

/// Prove that an image is signed: by one of these keys, about this very digest, in this repository's name.
///
/// A tag is resolved first, and the digest is what counts from then on. Without `--key` the keys are those that your catalog
/// names for the image and you accepted. A signature of an index covers its platforms when they are reached through it.
/// Nothing but the registry is asked; signatures that counted are kept, so that `--offline` knows them.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image verify php-apache:8.2
  onramp image verify registry.acme.test/apps/shop@sha256:… --key cosign.pub
  onramp image verify php-apache:8.2 --json | jq -r '.signed[].key'
")]
pub struct Arguments {
    /// A whole reference, or a base image of the company: `php-apache:8.2`
    image: String,
    /// A public key (PEM); may be given more than once [default: the catalog's]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// A repository that a signature may name beside the image's own: where it was mirrored from
    #[arg(long, value_name = "SCOPE", requires = "keys")]
    signed_as: Vec<Scope>,
}

#[derive(Serialize)]
struct Verification {
    image: ImageRef,
    signed: Vec<Signed>,
    /// Those that do not count; none where only what is kept was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<Other>,
}

#[derive(Serialize)]
struct Other {
    unknown: usize,
    damaged: usize,
    of_other_image: usize,
    left_out: usize,
}

impl Arguments {
    /// Resolves, looks at every signature, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let image = super::reference(cx, &self.image)?;
        let image = self.by_digest(cx, image).await?;
        let mut policy = cx.policy().await?;
        if self.keys.is_empty() {
            signatures::settle(cx, &mut policy)?;
        }
        let demand = policy.demand(&image);
        let given: Vec<PublicKey> = self.keys.iter().map(|file| read(cx, file)).collect::<Result<_, _>>()?;
        let keys: Vec<&PublicKey> = match &demand {
            Some(demand) if given.is_empty() => demand.keys.clone(),
            _ => given.iter().collect(),
        };
        if keys.is_empty() {
            let message = format!("no key is known for {}: --key names one", image.repository());
            return Err(Failure::usage(message).hint("the catalog's [[signature]] names the keys of a scope"));
        }
        let own = Identity::of(&image);
        let named = |identity: &Identity| {
            let by_flag = || self.signed_as.iter().any(|scope| scope.covers(identity.as_str()));
            let by_catalog = || given.is_empty() && demand.as_ref().is_some_and(|demand| demand.names(identity));
            *identity == own || by_flag() || by_catalog()
        };
        let verification =
            if cx.offline { kept(cx, image, &keys, &named).await? } else { asked(cx, image, &keys, &named).await? };
        cx.report(&verification);
        Ok(Verdict::Ok)
    }

    /// The image by digest: as it was named, as the registry says now, or offline as the project's lock says.
    async fn by_digest(&self, cx: &Context, image: ImageRef) -> Result<ImageRef, Failure> {
        if let Some(digest) = image.digest() {
            return Ok(image.at(digest.clone()));
        }
        if !cx.offline {
            let registry = Registry::of_user(image.registry(), &cx.registries).await?;
            return Ok(image.at(registry.manifest(&image).await?.digest));
        }
        let locked = match Project::find(&cx.dir) {
            Ok(project) => Lock::load(&project.root)?.images.get(&image).map(|locked| locked.digest.clone()),
            Err(crate::project::Error::NoProject { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let unknown = || Failure::usage("--offline: what a tag means now only the registry knows; name a digest");
        Ok(image.at(locked.ok_or_else(unknown)?))
    }
}

fn read(cx: &Context, file: &std::path::Path) -> Result<PublicKey, Failure> {
    let text = files::read_text(&cx.dir.join(file), key::CAP)?;
    Ok(PublicKey::read(&text, &file.display().to_string())?)
}

/// Asks the registry, and keeps what counts.
async fn asked(
    cx: &Context,
    image: ImageRef,
    keys: &[&PublicKey],
    named: &(dyn Fn(&Identity) -> bool + Sync),
) -> Result<Verification, Failure> {
    let registry = Registry::of_user(image.registry(), &cx.registries).await?;
    let found = signature::find(&registry, &image, keys, named).await?;
    if found.signed.is_empty() {
        return Err(signature::Error::NotSigned { image, found: Box::new(found) }.into());
    }
    let Found { signed, unknown, damaged, of_other_image, left_out, evidence, .. } = found;
    let cache = cx.paths.cache.clone();
    blocking(move || evidence.save(&cache)).await?;
    Ok(Verification { image, signed, other: Some(Other { unknown, damaged, of_other_image, left_out }) })
}

/// Looks at what was kept.
async fn kept(
    cx: &Context,
    image: ImageRef,
    keys: &[&PublicKey],
    named: &(dyn Fn(&Identity) -> bool + Sync),
) -> Result<Verification, Failure> {
    let (cache, digest) = (cx.paths.cache.clone(), image.digest().cloned());
    let evidence = blocking(move || Evidence::load(&cache, &digest?)).await;
    match evidence.and_then(|evidence| evidence.proves(keys, named)) {
        Some(signed) => Ok(Verification { image, signed: vec![signed], other: None }),
        None => Err(signature::Error::NotHere { image }.into()),
    }
}

impl Report for Verification {
    fn text(&self) -> String {
        let mut out = format!("{} is signed\n", self.image);
        for signed in &self.signed {
            out.push_str(&format!("  by {} ({}), as {}\n", signed.key, signed.place, signed.identity));
        }
        if let Some(other) = &self.other {
            let others = [
                (other.unknown, "by other keys"),
                (other.damaged, "that cannot be read"),
                (other.of_other_image, "about another image"),
                (other.left_out, "not looked at"),
            ];
            for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
                out.push_str(&format!("  {count} {what}\n"));
            }
        }
        out
    }
}
