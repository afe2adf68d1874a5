//! `onramp man`

use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::error::Class;
use crate::files;

/// Print the manual page, or write the pages of all commands to a directory.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp man | man -l -
  onramp man --to /usr/local/share/man/man1
")]
pub struct Arguments {
    /// Write one page a command to this directory
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

#[derive(Serialize)]
struct Page {
    page: String,
}

impl Report for Page {
    fn text(&self) -> String {
        self.page.clone()
    }
}

#[derive(Serialize)]
struct Written {
    written: Vec<PathBuf>,
}

impl Report for Written {
    fn text(&self) -> String {
        let lines: Vec<String> = self.written.iter().map(|path| path.display().to_string()).collect();
        lines.join("\n") + "\n"
    }
}

impl Arguments {
    /// Renders the pages from the same table that parses the command line.
    pub fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let mut command = super::command();
        command.build();
        let Some(directory) = self.to else {
            cx.report(&Page { page: render(command)? });
            return Ok(Verdict::Ok);
        };
        let directory = cx.dir.join(directory);
        let mut pages = Vec::new();
        collect(&command, "onramp".to_owned(), &mut pages)?;
        let paths: Vec<PathBuf> = pages.iter().map(|(name, _)| directory.join(format!("{name}.1"))).collect();
        let plan = Written { written: paths };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        for (path, (_, page)) in plan.written.iter().zip(&pages) {
            files::write(path, page.as_bytes())?;
        }
        cx.report(&plan);
        Ok(Verdict::Ok)
    }
}

fn collect(command: &clap::Command, name: String, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        collect(sub, format!("{name}-{}", sub.get_name()), pages)?;
    }
    pages.push((name, render(command.clone())?));
    Ok(())
}

fn render(command: clap::Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Class::Bug, format!("cannot render the manual: {error}")))?;
    Ok(String::from_utf8(page).expect("manual pages are text"))
}
