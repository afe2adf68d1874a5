//! `onramp image diff`

use std::fmt::Write;

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::diff::{self, Changed, Depth, Diff, Direction, List, Members, markdown};
use crate::text::{self, table};

/// How many files of a list are shown to a person; `--json` names more.
const FILES: usize = 40;

/// Compare two images, straight from their registries: nothing is pulled.
///
/// Packages (dpkg, apk, RPM, Composer, npm, pip), settings, layers, size. Layers are read as streams, those that both share
/// once; their facts are kept by digest, so the second time nothing is read.
#[derive(clap::Args)]
#[command(
    before_help = "Examples:
  onramp image diff php-apache:8.1 php-apache:8.2
  onramp image diff php-apache:8.2 registry.acme.test/apps/shop@sha256:… --files
  onramp image diff php-apache:8.1 php-apache:8.2 --markdown
",
    after_help = "It ends with 0, whatever differs; with --exit-code it ends with 1 where something does, as git diff has it."
)]
pub struct Arguments {
    /// A whole reference, or a base image of the company: `php-apache:8.1`
    from: String,
    /// What it is compared with
    to: String,
    /// Compare the files, too: contents, modes, owners
    #[arg(long)]
    files: bool,
    /// Print Markdown for a pull request: bounded, without values of variables
    #[arg(long)]
    markdown: bool,
    /// End with 1 where something differs
    #[arg(long)]
    exit_code: bool,
    /// The platform to compare; this machine's where it is there
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

#[derive(Serialize)]
struct Compared {
    differs: bool,
    #[serde(flatten)]
    diff: Diff,
    #[serde(skip)]
    markdown: bool,
}

impl Arguments {
    /// Resolves both, reads what was not read before, compares.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (from, to) = (super::reference(cx, &self.from)?, super::reference(cx, &self.to)?);
        let reader = super::reader(cx);
        let platform = self.platform.as_deref();
        let (from, to) = tokio::try_join!(reader.image(&from, platform), reader.image(&to, platform))?;
        let depth = if self.files { Depth::Files } else { Depth::Summary };
        let diff = diff::of(&reader, &from, &to, depth).await?;
        let differs = !diff.is_empty();
        cx.report(&Compared { differs, diff, markdown: self.markdown });
        Ok(if differs && self.exit_code { Verdict::Failed } else { Verdict::Ok })
    }
}

impl Report for Compared {
    fn text(&self) -> String {
        if self.markdown {
            return markdown::render(&self.diff);
        }
        let diff = &self.diff;
        let mut out = format!("{}\n", markdown::summary(diff));
        out.push_str(&packages(diff));
        out.push_str(&settings(diff));
        for (sign, layers) in [("+", &diff.layers.added), ("-", &diff.layers.removed)] {
            for layer in layers {
                let _ = writeln!(out, "{sign} layer {} {}", layer.digest.short(), text::bytes(layer.size));
            }
        }
        if let Some(files) = &diff.files {
            out.push_str(&list("+", "added", &files.added));
            out.push_str(&list("-", "removed", &files.removed));
            out.push_str(&list("~", "changed", &files.changed));
        }
        for side in [&diff.from, &diff.to] {
            for unread in &side.unread {
                let _ = writeln!(out, "! not read in {}: {}: {}", side.image, unread.path, unread.why);
            }
        }
        out
    }
}

fn packages(diff: &Diff) -> String {
    let rows = diff.packages.iter().map(|package| {
        let (sign, what) = match package.change {
            Direction::Added => ("+", ""),
            Direction::Removed => ("-", ""),
            Direction::Newer => ("~", "newer"),
            Direction::Older => ("~", "older"),
            Direction::Changed => ("~", "changed"),
        };
        let versions = [&package.from, &package.to].into_iter().filter(|versions| !versions.is_empty());
        let versions: Vec<String> = versions.map(|versions| versions.join(", ")).collect();
        let kind = package.ecosystem.name();
        vec![format!("{sign} {kind}"), package.name.clone(), versions.join(" -> "), what.to_owned()]
    });
    table(&rows.collect::<Vec<_>>())
}

fn settings(diff: &Diff) -> String {
    let settings = &diff.settings;
    let mut rows = Vec::new();
    let mut row = |name: &str, from: Option<String>, to: Option<String>| {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        rows.push(vec![format!("~ {name}"), format!("{} -> {}", shown(from), shown(to))]);
    };
    let joined = |words: &Option<Vec<String>>| words.as_ref().map(|words| words.join(" "));
    for (name, change) in [("entrypoint", &settings.entrypoint), ("command", &settings.command)] {
        if let Some(Changed { from, to }) = change {
            row(name, joined(from), joined(to));
        }
    }
    for (name, change) in [("user", &settings.user), ("workdir", &settings.workdir)] {
        if let Some(Changed { from, to }) = change {
            row(name, from.clone(), to.clone());
        }
    }
    for (kind, changes) in [("env", &settings.env), ("label", &settings.labels)] {
        for (name, Changed { from, to }) in changes {
            row(&format!("{kind} {name}"), from.clone(), to.clone());
        }
    }
    for (kind, Members { added, removed }) in [("port", &settings.ports), ("volume", &settings.volumes)] {
        rows.extend(added.iter().map(|member| vec![format!("+ {kind} {member}")]));
        rows.extend(removed.iter().map(|member| vec![format!("- {kind} {member}")]));
    }
    table(&rows)
}

fn list(sign: &str, what: &str, list: &List) -> String {
    let mut out = format!("files {what}: {}, {}\n", list.count, text::bytes(list.bytes));
    for file in list.named.iter().take(FILES) {
        let what = if file.what.is_empty() { String::new() } else { format!(" ({})", file.what.join(", ")) };
        let _ = writeln!(out, "{sign} {}{what}", file.path);
    }
    if let Some(more) = list.count.checked_sub(FILES as u64).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more");
    }
    out
}
