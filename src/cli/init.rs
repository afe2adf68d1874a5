//! `onramp init`

use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::compose::init::{self, Init, Planned};
use crate::compose::{Left, Standing};
use crate::name::Name;
use crate::project::manifest::FILE;
use crate::task::blocking;
use crate::text;

/// Make a project of what a Compose file says.
///
/// Writes onramp.toml beside the code; the Compose file stays as it is. What a project cannot have, and what would open
/// a sandbox to the machine, is named with its line and not taken.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp init --from compose.yaml --dry-run    what is taken and what is not
  onramp init --from compose.yaml && onramp up
  onramp init --from docker/compose.yaml --name shop
")]
pub struct Arguments {
    /// The Compose file, in this directory or below it
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// What the project is called [default: what the file says, else the directory's name]
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
}

/// What was made of it.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    init: Init,
    next: Vec<String>,
}

impl Arguments {
    /// Reads, shows what becomes of it, writes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (directory, from, name) = (cx.dir.clone(), self.from, self.name);
        if !cx.dry_run {
            init::vacant(&directory, &from)?;
        }
        let init = blocking(move || init::plan(&directory, &from, name)).await?;
        if !cx.proceed(&init) {
            return Ok(Verdict::Ok);
        }
        init::apply(&init)?;
        cx.report(&Made { init, next: vec!["onramp up".to_owned()] });
        Ok(Verdict::Ok)
    }
}

/// What a service is made from and needs, on one line.
fn line(planned: &Planned) -> Vec<String> {
    let service = &planned.service;
    let made = match (&service.build, &service.fallback) {
        (Some(build), _) => format!("{} on {}", build.context, build.base),
        (None, Some(image)) => image.to_string(),
        (None, None) => String::new(),
    };
    let mut facts = Vec::new();
    facts.extend(service.port.map(|port| match service.publish {
        Some(publish) => format!("port {port} at {publish}"),
        None => format!("port {port}"),
    }));
    facts.extend(service.data.as_ref().map(|data| format!("data {data}")));
    if !service.needs.is_empty() {
        let needs: Vec<String> = service.needs.iter().map(ToString::to_string).collect();
        facts.push(format!("needs {}", needs.join(", ")));
    }
    vec![format!("  {}", planned.name), text::neutral_line(&made, 120), text::neutral_line(&facts.join(", "), 120)]
}

fn left_line(left: &Left) -> Vec<String> {
    let standing = console::style(left.standing.word());
    let standing = match left.standing {
        Standing::Changed => standing.yellow(),
        Standing::Left => standing.dim(),
        Standing::Unsafe => standing.red(),
    };
    let what = left.service.iter().map(String::as_str).chain([left.key.as_str()]).collect::<Vec<_>>().join(".");
    let place = format!("  {}:{}", text::neutral_line(&left.file, 80), left.line);
    vec![place, what, standing.to_string(), left.why.clone()]
}

impl Report for Init {
    fn text(&self) -> String {
        let mut out = format!("project {} from {}\n", self.project, text::neutral_line(&self.from, 200));
        out.push_str(&text::table(&self.services.iter().map(line).collect::<Vec<_>>()));
        if !self.left.is_empty() {
            out.push_str("not as it stands there:\n");
            out.push_str(&text::table(&self.left.iter().map(left_line).collect::<Vec<_>>()));
        }
        out
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let (count, left) = (self.init.services.len(), self.init.left.len());
        let mut out = format!("{FILE} is there: {count} services of {}", text::neutral_line(&self.init.from, 200));
        if left > 0 {
            out.push_str(&format!(", {left} things not as they stand there"));
        }
        out.push('\n');
        out.extend(self.next.iter().map(|next| format!("  next: {next}\n")));
        out
    }
}
