//! `onramp image inspect`

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::about::About;
use crate::images::contents::packages::{Ecosystem, Package};
use crate::images::contents::{Contents, Image, Unread};
use crate::images::diff::markdown::{self, code};
use crate::images::diff::{self, FileChange, Layer, List};
use crate::reference::Digest;
use crate::text::{self, neutral_line};

/// Show what an image is and what is installed in it, straight from its registry: nothing is pulled.
///
/// Its layers are read as streams and their facts kept by digest: the second time nothing is read, and `--offline` works.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image inspect php-apache:8.2
  onramp image inspect php-apache:8.2 --packages
  onramp image inspect php-apache:8.2 --files
  onramp image inspect php-apache:8.2 --markdown
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
    /// List the files that a container sees, not only how many there are
    #[arg(long)]
    files: bool,
    /// Print Markdown for a pull request: bounded, without values of variables
    #[arg(long)]
    markdown: bool,
}

/// The most packages and files that Markdown names.
const NAMED: usize = 40;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<List>,
    #[serde(skip)]
    markdown: bool,
}

impl Arguments {
    /// Asks the registry for what the cache does not know; every digest is verified.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let image = super::reference(cx, &self.image)?;
        let reader = super::reader(cx);
        let image = reader.image(&image, self.platform.as_deref()).await?;
        let contents = reader.contents(&image).await?;
        let listed = if self.files { Some(diff::list(&reader, &image).await?) } else { None };
        let inspection = inspection(image, contents, self.packages);
        cx.report(&Inspection { listed, markdown: self.markdown, ..inspection });
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
        listed: None,
        markdown: false,
    }
}

impl Inspection {
    /// The same for a pull request: nothing in it can format, link or call anybody.
    fn markdown(&self) -> String {
        let codes = |texts: &[String]| texts.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ");
        let runs = [self.entrypoint.as_slice(), &self.command].concat().join(" ");
        let names: Vec<String> =
            self.env.iter().map(|env| env.split('=').next().unwrap_or_default().to_owned()).collect();
        let counts: Vec<String> =
            self.installed.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
        let mut out = String::from("| what | |\n|---|---|\n");
        let platforms: Vec<String> = self.platforms.keys().cloned().collect();
        for (name, value) in [
            ("image", code(&self.image)),
            ("digest", code(self.digest.as_str())),
            ("platforms", codes(&platforms)),
            ("shown", code(&self.platform)),
            ("created", self.created.map(|created| created.to_string()).unwrap_or_default()),
            ("size", format!("{} in {} layers", text::bytes(self.size), self.layers.len())),
            ("unpacked", format!("{} in {} files", text::bytes(self.bytes), self.files)),
            ("base", self.about.base.as_ref().map(|base| code(&base.to_string())).unwrap_or_default()),
            ("runs", if runs.is_empty() { runs } else { code(&runs) }),
            ("user", code(&self.user)),
            ("ports", codes(&self.ports)),
            ("variables", codes(&names)),
            ("packages", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }),
        ] {
            if !value.is_empty() {
                let _ = writeln!(out, "| {name} | {value} |");
            }
        }
        for (key, value) in self.labels.iter().take(NAMED) {
            let _ = writeln!(out, "| label {} | {} |", code(key), code(value));
        }
        if let Some(packages) = &self.packages {
            out.push_str("\n| package | version |\n|---|---|\n");
            for package in packages.iter().take(NAMED) {
                let name = code(&format!("{} {}", package.ecosystem.name(), neutral_line(&package.name, 120)));
                let _ = writeln!(out, "| {name} | {} |", code(&neutral_line(&package.version, 120)));
            }
            markdown::more(&mut out, packages.len(), NAMED, "packages");
        }
        if let Some(files) = &self.listed {
            out.push('\n');
            for file in files.named.iter().take(NAMED) {
                let _ = writeln!(out, "- {} ({})", code(&file.path), text::bytes(file.size));
            }
            markdown::more(&mut out, usize::try_from(files.count).unwrap_or(usize::MAX), NAMED, "files");
        }
        for unread in self.unread.iter().take(5) {
            let _ = writeln!(out, "\nNot read: {} ({})", code(&unread.path), code(&unread.why));
        }
        text::shorten(&out, markdown::MAX)
    }
}

impl Report for Inspection {
    fn text(&self) -> String {
        if self.markdown {
            return self.markdown();
        }
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
        if let Some(files) = &self.listed {
            let row = |file: &FileChange| vec![format!("  {}", text::bytes(file.size)), file.path.clone()];
            out.push_str(&text::table(&files.named.iter().map(row).collect::<Vec<_>>()));
            if let Some(more) = files.count.checked_sub(files.named.len() as u64).filter(|more| *more > 0) {
                let _ = writeln!(out, "  and {more} more");
            }
        }
        out
    }
}
