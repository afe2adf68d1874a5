//! What a project does not take of a Compose file as it stands: where it is, what, and why.

use serde::Serialize;

use crate::text;

/// What becomes of something in a Compose file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is taken, and means something else here.
    Changed,
    /// It is not taken.
    Left,
    /// It is not taken, because it would open the sandbox or reach out of the project.
    Unsafe,
}

impl Standing {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Left => "left",
            Self::Unsafe => "unsafe",
        }
    }
}

/// Something that is not taken as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The file, as it is seen from the project's directory.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The service that it is said of.
    pub service: Option<String>,
    /// The key: `privileged`, `environment.DB_HOST`.
    pub key: String,
    /// What becomes of it.
    pub standing: Standing,
    /// Why, and what to do instead.
    pub why: String,
}

/// Collects what is left while a file is read.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The file that is being read.
    pub file: String,
    /// The service that is being read.
    pub service: Option<String>,
    /// What was found.
    pub left: Vec<Left>,
    /// How many bytes of text were taken so far.
    pub taken: usize,
}

impl Ledger {
    /// Notes something of the file and service that are being read.
    pub fn note(&mut self, standing: Standing, line: usize, key: &str, why: impl AsRef<str>) {
        let (service, key) = (self.service.clone(), text::neutral_line(key, 80));
        let (file, why) = (self.file.clone(), text::neutral_line(why.as_ref(), 300));
        self.left.push(Left { file, line, service, key, standing, why });
    }

    /// It is taken, and means something else here.
    pub fn changed(&mut self, line: usize, key: &str, why: impl AsRef<str>) {
        self.note(Standing::Changed, line, key, why);
    }

    /// It is not taken.
    pub fn left(&mut self, line: usize, key: &str, why: impl AsRef<str>) {
        self.note(Standing::Left, line, key, why);
    }

    /// It is not taken: it would be unsafe.
    pub fn refused(&mut self, line: usize, key: &str, why: impl AsRef<str>) {
        self.note(Standing::Unsafe, line, key, why);
    }
}
