//! `onramp update --undo`

use std::path::PathBuf;

use serde::Serialize;

use crate::blocks::undo::{Error, Plan, Undo};
use crate::cli::block::file_lines;
use crate::cli::context::{Context, Recovery};
use crate::cli::failure::Failure;
use crate::cli::output::{self, Verdict};
use crate::project::Scaffolded;
use crate::text;

/// What will be undone, and after that what was.
#[derive(Serialize)]
struct Report {
    undone: String,
    when: String,
    files: Vec<String>,
    /// Files that somebody edited since.
    edited: Vec<String>,
    /// Where those were saved.
    saved: Option<PathBuf>,
    done: bool,
}

/// Gives back the exact tree from before the last update.
pub fn run(cx: &Context, force: bool) -> Result<Verdict, Failure> {
    let place = Scaffolded::find(&cx.dir)?;
    if let Recovery::TakenBack(what) = cx.recovered(&place.root)? {
        // That was the last change; the one before it was not meant.
        let (when, done) = (jiff::Timestamp::now().to_string(), true);
        cx.report(&Report { undone: what, when, files: vec![], edited: vec![], saved: None, done });
        return Ok(Verdict::Ok);
    }
    let undo = Undo::of(&cx.paths.state, &place.root);
    let plan = undo.plan()?;
    let mut report = Report::plan(&plan);
    if !plan.edited.is_empty() && !force && !cx.dry_run {
        return Err(Error::Edited { paths: plan.edited }.into());
    }
    if !cx.proceed(&report) {
        return Ok(Verdict::Ok);
    }
    report.saved = undo.apply(&plan, force)?;
    report.done = true;
    cx.report(&report);
    Ok(Verdict::Ok)
}

impl Report {
    fn plan(plan: &Plan) -> Self {
        Self {
            undone: plan.what.clone(),
            when: plan.when.to_string(),
            files: plan.operations.iter().map(|operation| operation.path.to_string()).collect(),
            edited: plan.edited.iter().map(ToString::to_string).collect(),
            saved: None,
            done: false,
        }
    }
}

impl output::Report for Report {
    fn text(&self) -> String {
        let undone = text::neutral_line(&self.undone, 200);
        let mut lines = Vec::new();
        if self.done {
            lines.push(match self.files.len() {
                0 => format!("undone: {undone}"),
                count => format!("undone: {undone}; {count} files are as they were"),
            });
            if let Some(saved) = &self.saved {
                lines.push(format!(
                    "  what was edited since is in {}",
                    text::neutral_line(&saved.to_string_lossy(), 500)
                ));
            }
        } else {
            lines.push(format!("undo the {undone}"));
            lines.extend(file_lines("restore", self.files.iter().map(String::as_str)));
            lines.extend(file_lines("edited", self.edited.iter().map(String::as_str)));
        }
        lines.join("\n") + "\n"
    }
}
