//! A state repository with apps that were deployed, and a developer at it with the local forge. No engine is asked.

use std::fmt::Write;
use std::ops::{Deref, DerefMut};

use onramp::reference::Digest;

use crate::run::Machine;

/// Test, then production; both want the tests to have passed.
pub const RULES: &str = r#"schema = 1
[[environment]]
name = "test"
policy = { evidence = ["unit"] }
[[environment]]
name = "production"
after = "test"
policy = { evidence = ["unit"], soak = "24h", hotfix = true }
"#;

/// An image of an app, by the digest of a word.
pub fn image(app: &str, word: &str) -> String {
    format!("r.test/apps/{app}@{}", Digest::of(word.as_bytes()))
}

/// A declaration of one service, and what else it says.
pub fn declaration(app: &str, word: &str, more: &str) -> String {
    format!(
        "# ours\nschema = 1\n\n[services.web] # the page\nimage = \"{}\" # pinned\nport = 80\n{more}",
        image(app, word)
    )
}

/// A machine with a state repository, `state.git`, and a clone of it for what is done by hand, `state`.
pub struct Released(Machine);

impl Released {
    /// With these rules and nothing declared.
    pub fn with(rules: &str) -> Self {
        let mut machine = Machine::new();
        machine.git("", &["init", "-q", "--bare", "-b", "main", "state.git"]);
        machine.git("", &["clone", "-q", "state.git", "state"]);
        machine.git("state", &["checkout", "-q", "-b", "main"]);
        let url = machine.path("state.git").display().to_string();
        machine.set("ONRAMP_STATE", url).set("ONRAMP_FORGE", "local");
        let released = Self(machine);
        released.by_hand(&[("state.toml", rules)], "The rules");
        released
    }

    /// Somebody commits these files to the default branch, on the fixed day of a machine.
    pub fn by_hand(&self, files: &[(&str, &str)], message: &str) {
        let begun = !self.git("state.git", &["branch"]).is_empty();
        if begun {
            self.git("state", &["pull", "-q", "--rebase", "origin", "main"]);
        }
        for (path, text) in files {
            self.write(format!("state/{path}"), text);
        }
        self.git("state", &["add", "-A"]);
        self.git("state", &["commit", "-q", "-m", message]);
        self.git("state", &["push", "-q", "origin", "HEAD:main"]);
    }

    /// What is done by hand from now on, is done at this time.
    pub fn at(&mut self, time: &str) -> &mut Self {
        self.0.set("GIT_COMMITTER_DATE", time).set("GIT_AUTHOR_DATE", time);
        self
    }

    /// An app is deployed: its declaration, with the trailers that `onramp deploy` writes.
    pub fn deployed(&self, environment: &str, app: &str, word: &str, more: &str) {
        self.changed(environment, app, word, more, "");
    }

    /// The same with one more trailer. Its source is named by the word, too.
    pub fn changed(&self, environment: &str, app: &str, word: &str, more: &str, trailer: &str) {
        let source = &Digest::of(word.as_bytes()).hex()[..40].to_owned();
        let mut message = format!("Deploy {app} {} to {environment}\n\n", &source[..7]);
        let _ = write!(
            message,
            "Onramp-App: {app}\nOnramp-Environment: {environment}\nOnramp-Source: {source}\nOnramp-Source-Time: 2026-01-01T03:04:05Z\nOnramp-Image: web={}\nOnramp-Tests: unit=passed\n{trailer}",
            image(app, word)
        );
        self.by_hand(&[(&format!("environments/{environment}/{app}.toml"), &declaration(app, word, more))], &message);
    }

    /// The text of a file on a branch.
    pub fn on(&self, branch: &str, path: &str) -> String {
        self.git("state.git", &["show", &format!("{branch}:{path}")])
    }

    /// The open pull requests: number and branch.
    pub fn open(&self) -> Vec<(u64, String)> {
        let list = self.onramp("pr list --json").ok().json();
        let pulls = list["pulls"].as_array().unwrap().iter();
        pulls.map(|pull| (pull["number"].as_u64().unwrap(), pull["head_branch"].as_str().unwrap().to_owned())).collect()
    }
}

impl Deref for Released {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

impl DerefMut for Released {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.0
    }
}
