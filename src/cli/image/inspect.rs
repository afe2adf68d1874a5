//! `onramp image inspect`

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::about::About;
use crate::images::contents::packages::{Ecosystem, Package};
use crate::images::contents::{Contents, Image, Unread};
use crate::images::diff::Layer;
use crate::reference::Digest;
use crate::text::{self, neutral_line};

/// Show what an image is and what is installed in it, straight from its registry: nothing is pulled.
///
/// Its layers are read as streams and their facts kept by digest: the second time nothing is read, and `--offline` works.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image inspect php-apache:8.2
  onramp image inspect php-apache:8.2 --packages
  onramp image inspect php-apache:8.2 --platform linux/arm64
  onramp image inspect registry.acme.test/apps/shop@sha256:… --json
")]
pub struct Arguments {
    /// A whole reference, or a base image of the company: `php-apache:8.2`
    image: String,
    /// Of an image for several platforms, the one to show; this machine's where it is there
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// List the packages, not only how many there are
    #[arg(long)]
    packages: bool,
}

#[derive(Serialize)]
struct Inspection {
    image: String,
    digest: Digest,
    platforms: BTreeMap<String, Digest>,
    platform: String,
    /// When the tag meant this, where the registry was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<Timestamp>,
    created: Option<Timestamp>,
    size: u64,
    layers: Vec<Layer>,
    env: Vec<String>,
    ports: Vec<String>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    user: String,
    labels: BTreeMap<String, String>,
    about: About,
    installed: BTreeMap<Ecosystem, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<Vec<Package>>,
    unread: Vec<Unread>,
    files: u64,
    bytes: u64,
}

impl Arguments {
    /// Asks the registry for what the cache does not know; every digest is verified.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let image = super::reference(cx, &self.image)?;
        let reader = super::reader(cx);
        let image = reader.image(&image, self.platform.as_deref()).await?;
        let contents = reader.contents(&image).await?;
        cx.report(&inspection(image, contents, self.packages));
        Ok(Verdict::Ok)
    }
}

fn inspection(image: Image, contents: Contents, list: bool) -> Inspection {
    let runtime = image.runtime();
    let neutral = |texts: Vec<String>| texts.iter().map(|text| neutral_line(text, 300)).collect();
    let installed = contents.counts();
    Inspection {
        image: image.reference.to_string(),
        digest: image.top.clone(),
        platform: image.platform.clone(),
        remembered: image.remembered,
        created: image.config.created,
        size: image.packed(),
        layers: image.layers.iter().map(|l| Layer { digest: l.digest.clone(), size: l.size }).collect(),
        platforms: image.platforms,
        env: neutral(runtime.env),
        ports: neutral(runtime.exposed_ports.into_keys().collect()),
        entrypoint: neutral(runtime.entrypoint),
        command: neutral(runtime.cmd),
        user: if runtime.user.is_empty() { "root".to_owned() } else { neutral_line(&runtime.user, 100) },
        labels: runtime.labels.iter().map(|(key, value)| (neutral_line(key, 100), neutral_line(value, 300))).collect(),
        about: About::of(&runtime.labels),
        installed,
        packages: list.then_some(contents.packages),
        unread: contents.unread,
        files: contents.files,
        bytes: contents.bytes,
    }
}

impl Report for Inspection {
    fn text(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        row("image", self.image.clone());
        row("digest", self.digest.to_string());
        if let Some(seen) = self.remembered {
            row("", format!("what the tag meant on {seen}; --offline forbids to ask what it means now"));
        }
        row("platforms", self.platforms.keys().cloned().collect::<Vec<_>>().join(", "));
        row("shown", self.platform.clone());
        row("created", self.created.map_or_else(|| "unknown".to_owned(), |created| created.to_string()));
        row("size", format!("{} in {} layers", text::bytes(self.size), self.layers.len()));
        row("unpacked", format!("{} in {} files", text::bytes(self.bytes), self.files));
        if let Some(base) = &self.about.base {
            let digest =
                self.about.base_digest.as_ref().map_or_else(String::new, |digest| format!(" ({})", digest.short()));
            row("base", format!("{base}{digest}"));
        }
        row("runs", [self.entrypoint.as_slice(), &self.command].concat().join(" "));
        row("user", self.user.clone());
        row("ports", self.ports.join(", "));
        for env in &self.env {
            row("env", env.clone());
        }
        for (key, value) in &self.labels {
            row("label", format!("{key}={value}"));
        }
        for layer in &self.layers {
            row("layer", format!("{} {}", layer.digest.short(), text::bytes(layer.size)));
        }
        let counts = self.installed.iter().map(|(kind, count)| format!("{count} {}", kind.name()));
        row(
            "packages",
            if self.installed.is_empty() { "none".to_owned() } else { counts.collect::<Vec<_>>().join(", ") },
        );
        for unread in &self.unread {
            row("not read", format!("{}: {}", unread.path, unread.why));
        }
        let mut out = text::table(&rows);
        if let Some(packages) = &self.packages {
            let row = |package: &Package| {
                let texts = [&package.name, &package.version, package.architecture.as_ref().unwrap_or(&String::new())]
                    .map(|text| neutral_line(text, 120));
                [vec![format!("  {}", package.ecosystem.name())], texts.to_vec()].concat()
            };
            out.push_str(&text::table(&packages.iter().map(row).collect::<Vec<_>>()));
        }
        out
    }
}
