//! `onramp exec`

use futures_util::StreamExt;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::terminal;
use crate::engine::{Engine, ExecSpec};
use crate::sandbox::{status, view};

/// Run a program in a service of the sandbox; its exit code becomes onramp's.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp exec web -- php -v
  onramp exec db -- mariadb shop -e 'SELECT COUNT(*) FROM products'
  onramp exec db -- mariadb shop < more.sql
")]
pub struct Arguments {
    /// The service: `web`, or another app's `auth/api`
    service: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[derive(Serialize)]
struct Ran {
    exit_code: u8,
    stdout: String,
    stderr: String,
}

impl Report for Ran {
    fn text(&self) -> String {
        String::new()
    }
}

impl Arguments {
    /// Runs it with this terminal or these pipes; with `--json` its output goes into the document.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.dry_run {
            return Err(Failure::usage("what a program would do cannot be planned: leave out --dry-run"));
        }
        let project = cx.project()?;
        let id = view::id(&project);
        let engine = cx.engine().await?;
        let service = status::container(&engine, &id, &self.service).await?;
        let code = if cx.json {
            let ran = capture(&engine, &service.container, self.command).await?;
            cx.report(&ran);
            ran.exit_code
        } else {
            terminal::run(&engine, &service.container, self.command).await?
        };
        cx.give_back(&engine, &project, &id).await;
        Ok(Verdict::Code(code))
    }
}

async fn capture(engine: &Engine, container: &str, command: Vec<String>) -> Result<Ran, Failure> {
    let spec = ExecSpec { container: container.to_owned(), command, ..ExecSpec::default() };
    let mut program = engine.exec(&spec).await?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(chunk) = program.output.next().await {
        let (is_stderr, bytes) = chunk?;
        if is_stderr { &mut stderr } else { &mut stdout }.extend(bytes);
    }
    let exit_code = u8::try_from(engine.exec_exit_code(&program.id).await?).unwrap_or(1);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { exit_code, stdout: text(stdout), stderr: text(stderr) })
}
