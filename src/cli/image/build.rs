//! `onramp image build`

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::git::{self, Worktree, without_credentials};
use crate::images::build::definition::{self, Definition, IMAGES};
use crate::images::build::{Origin, PREFIX, Standing, Workshop};
use crate::task::blocking;
use crate::text;

/// Build the catalog's base images in the engine, each as soon as its parent is there, and only what is new.
///
/// Looks at `images/<name>/image.toml` and its Dockerfile in the work tree of the catalog that the command stands in. An
/// image is found again by its content: its own files and its parent's. Nothing is pushed; `onramp image push` does that.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image build
  onramp image build php-apache          this one, and what it builds on
  onramp image build --anew debian       make it anew, whatever is there: newer packages, say
")]
pub struct Arguments {
    /// Images, by name [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Make them anew although their definitions are as they were
    #[arg(long)]
    anew: bool,
}

#[derive(Serialize)]
struct Plan {
    images: Vec<Standing>,
    anew: bool,
}

impl Arguments {
    /// Plans, builds, tells what the images are called.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (definitions, _) = definitions(cx, self.images).await?;
        let engine = cx.engine().await?;
        let home = cx.paths.cache.join(IMAGES);
        let workshop = workshop(cx, &engine, &home, self.anew);
        let plan = Plan { images: workshop.look(None, &definitions).await?, anew: self.anew };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        workshop.build(&definitions).await?;
        let built = definitions.iter().map(|made| Built { image: made.place(), local: workshop.local_name(made) });
        cx.report(&Done { images: built.collect() });
        Ok(Verdict::Ok)
    }
}

/// The definitions of the catalog that the command stands in, and where they come from.
pub(super) async fn definitions(cx: &Context, names: Vec<String>) -> Result<(Vec<Definition>, Origin), Failure> {
    let directory = cx.dir.clone();
    blocking(move || {
        let worktree = match Worktree::find(&directory) {
            Ok(worktree) if worktree.root.join(IMAGES).is_dir() => worktree,
            Err(error) if !matches!(error, git::Error::NoRepository { .. }) => return Err(error.into()),
            _ => {
                let here = directory.display();
                let failure = Failure::usage(format!(
                    "{here} lies in no work tree with {IMAGES}/: images are built in the catalog's"
                ));
                return Err(failure.next("onramp -C <catalog> image build"));
            }
        };
        let chosen = definition::choose(definition::of_catalog(&worktree)?, &names)?;
        let source = worktree.remote("origin")?.map(|url| without_credentials(&url));
        let mut origin = Origin { source, ..Origin::default() };
        for made in &chosen {
            let place = format!("{IMAGES}/{}", made.name);
            let clean = worktree.changed(&worktree.root.join(&place))?.is_empty();
            if clean && let Some(last) = worktree.log(&place, None, 1)?.into_iter().next() {
                origin.revisions.insert(made.name.to_string(), last.commit.to_string());
            }
        }
        Ok((chosen, origin))
    })
    .await
}

/// A workshop that shares its images with `onramp image build`.
pub(super) fn workshop<'a>(
    cx: &'a Context,
    engine: &'a crate::engine::Engine,
    home: &'a std::path::Path,
    anew: bool,
) -> Workshop<'a> {
    let records = Some(cx.paths.state.as_path());
    Workshop { engine, prefix: PREFIX, home, anew, records, observer: &cx.observer }
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for image in &self.images {
            let verb = if image.built && !self.anew { "present" } else { "build  " };
            out.push_str(&format!("  {verb} {} {}\n", image.place, image.key.short()));
        }
        out
    }
}

#[derive(Serialize)]
struct Done {
    images: Vec<Built>,
}

#[derive(Serialize)]
struct Built {
    image: String,
    local: String,
}

impl Report for Done {
    fn text(&self) -> String {
        let head = vec!["IMAGE".to_owned(), "IN THE ENGINE".to_owned()];
        let rows = self.images.iter().map(|built| vec![built.image.clone(), built.local.clone()]);
        text::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }
}
