//! `onramp completions`

use clap_complete::Shell;
use serde::Serialize;

use super::context::Context;
use super::output::{Report, Verdict};

/// Print the completion script of a shell.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp completions bash > /etc/bash_completion.d/onramp
  onramp completions zsh > ~/.zfunc/_onramp
")]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

impl Report for Script {
    fn text(&self) -> String {
        self.script.clone()
    }
}

impl Arguments {
    /// Generates the script from the same table that parses the command line.
    pub fn run(self, cx: &Context) -> Verdict {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "onramp", &mut script);
        let script = String::from_utf8(script).expect("completion scripts are text");
        cx.report(&Script { shell: self.shell.to_string(), script });
        Verdict::Ok
    }
}
