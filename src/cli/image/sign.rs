//! `onramp image sign`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::key::{Ask, passphrase, signing_key};
use super::super::output::{Report, Verdict};
use crate::images::signature::sign::{self, Outcome};
use crate::images::signature::{Fingerprint, SigningKey};
use crate::reference::ImageRef;
use crate::registry::Registry;

/// Sign images with a key, as cosign does: in their registry, by digest, for whoever has the public key.
///
/// A tag is resolved first; what is signed is the digest that the plan shows. The key is cosign's own (encrypted) or PKCS#8,
/// its passphrase that of `COSIGN_PASSWORD`, of a file, or asked for. `cosign verify --key` reads the signatures, with
/// `--insecure-ignore-tlog` where it would ask for a log: none is written.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image sign --generate-key keys/platform         makes keys/platform.key and keys/platform.pub
  onramp image sign php-apache:8.2 --key keys/platform.key
  onramp image sign php-apache:8.2 --key keys/platform.key --recursive   each platform of an index, too
  onramp image sign apps/shop@sha256:… --key keys/shop.key --passphrase-file /run/secrets/shop
")]
pub struct Arguments {
    /// Whole references, or images of the company
    #[arg(required_unless_present = "generate_key")]
    images: Vec<String>,
    /// The private key (PEM)
    #[arg(long, value_name = "FILE", required_unless_present = "generate_key")]
    key: Option<PathBuf>,
    /// A file with the key's passphrase [default: `COSIGN_PASSWORD`, else asked for]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Sign the manifest of every platform in an index, too
    #[arg(long)]
    recursive: bool,
    /// Make a new key instead: NAME.key, encrypted, and NAME.pub
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "cosign", conflicts_with_all = ["images", "key", "recursive"])]
    generate_key: Option<PathBuf>,
}

/// What will be signed.
#[derive(Serialize)]
struct Plan {
    key: Fingerprint,
    images: Vec<ImageRef>,
}

#[derive(Serialize)]
struct Done {
    key: Fingerprint,
    images: Vec<Signed>,
}

#[derive(Serialize)]
struct Signed {
    image: ImageRef,
    /// Whether it had a signature of this key before.
    present: bool,
}

#[derive(Serialize)]
struct Made {
    key: Fingerprint,
    private: PathBuf,
    public: PathBuf,
    dry_run: bool,
}

impl Arguments {
    /// Resolves, shows, signs.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if let Some(name) = &self.generate_key {
            return self.generate(cx, name);
        }
        if cx.offline {
            return Err(Failure::usage("`image sign` puts a signature into the registry; --offline forbids it"));
        }
        let key = signing_key(cx, &self.key.clone().unwrap_or_default(), self.passphrase_file.as_deref())?;
        let mut images: Vec<ImageRef> = Vec::new();
        for name in &self.images {
            let image = super::reference(cx, name)?;
            let registry = Registry::of_user(image.registry(), &cx.registries).await?;
            let digests = sign::digests(&registry, &image, self.recursive).await?;
            images.extend(digests.into_iter().map(|digest| image.at(digest)));
        }
        images.sort_unstable();
        images.dedup();
        let plan = Plan { key: key.public().fingerprint().clone(), images };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        let mut done = Done { key: plan.key, images: Vec::new() };
        for image in plan.images {
            let registry = Registry::of_user(image.registry(), &cx.registries).await?;
            let task = format!("sign {}", image.path());
            let outcome = cx.waiting(&task, sign::sign(&registry, &image, &key)).await?;
            done.images.push(Signed { image, present: outcome == Outcome::Present });
        }
        cx.report(&done);
        Ok(Verdict::Ok)
    }

    /// Makes a key. Neither of its files may be there.
    fn generate(&self, cx: &Context, name: &Path) -> Result<Verdict, Failure> {
        let file = |end: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(end);
            PathBuf::from(path)
        };
        let (private, public) = (file(".key"), file(".pub"));
        let key = SigningKey::generate(&public.display().to_string());
        let made = Made { key: key.public().fingerprint().clone(), private, public, dry_run: cx.dry_run };
        if !cx.dry_run {
            let passphrase = passphrase(cx, self.passphrase_file.as_deref(), Ask::Twice)?;
            key.save(&cx.dir.join(&made.private), &cx.dir.join(&made.public), &passphrase)?;
        }
        cx.report(&made);
        Ok(Verdict::Ok)
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let lines: Vec<String> = self.images.iter().map(|image| format!("  sign    {image}\n")).collect();
        format!("{}  with    {}\n", lines.concat(), self.key)
    }
}

impl Report for Done {
    fn text(&self) -> String {
        let line = |signed: &Signed| {
            let verb = if signed.present { "was signed before" } else { "signed" };
            format!("{verb}: {}\n", signed.image)
        };
        self.images.iter().map(line).collect()
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let (private, public) = (self.private.display(), self.public.display());
        if self.dry_run {
            return format!("would make {private} and {public}\n");
        }
        format!("{private}: keep it secret\n{public}: {}\n", self.key)
    }
}
