//! `onramp playground status`

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::playground::status::{self, Status};
use crate::playground::{Error, Playground};
use crate::text;

/// Show every part of the practice company, and whether it is whole.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp playground status
  onramp playground status --json
")]
pub struct Arguments {}

impl Arguments {
    /// Looks and reports; FAILED where a part is missing.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let playground = Playground::find(&cx.paths)?.ok_or(Error::NotUp)?;
        let status = status::look(&cx.engine().await?, &playground).await?;
        cx.report(&status);
        Ok(if status.whole { Verdict::Ok } else { Verdict::Failed })
    }
}

impl Report for Status {
    fn text(&self) -> String {
        let mark = |well: bool| if well { console::style("✓").green() } else { console::style("✗").red() };
        let mut rows = vec![vec![format!("{} registry", mark(self.registry.answers)), self.registry.address.clone()]];
        for image in &self.images {
            let digest = image.digest.as_deref().map_or("missing", |digest| &digest[7..19]);
            rows.push(vec![format!("{} image", mark(image.digest.is_some())), image.image.clone(), digest.to_owned()]);
        }
        rows.push(vec![format!("{} apps", mark(!self.apps.is_empty())), self.apps.join(" ")]);
        for (name, repository) in [("catalog", &self.catalog), ("state", &self.state)] {
            let commit = repository.commit.as_deref().map_or("missing", |commit| &commit[..7]);
            let path = repository.path.display().to_string();
            rows.push(vec![format!("{} {name}", mark(repository.commit.is_some())), path, commit.to_owned()]);
            rows.push(vec![String::new(), repository.holds.join(" ")]);
        }
        let mut out = text::table(&rows);
        if !self.whole {
            out.push_str("Not whole; `onramp playground up` heals it.\n");
        }
        out
    }
}
