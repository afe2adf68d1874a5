//! Two files that would be one: by path, by case or spelling on some file system, or as file and directory.

use std::collections::HashMap;

use crate::text::folded;
use crate::tree::TreePath;

/// The paths that are taken.
#[derive(Default)]
pub struct Clashes(HashMap<Box<str>, Taken>);

struct Taken {
    /// Where it is spelled otherwise than it is looked for.
    spelling: Option<Box<str>>,
    source: TreePath,
    file: bool,
}

impl Clashes {
    /// Takes a path for a source; what is in its way.
    pub fn add(&mut self, path: &TreePath, source: &TreePath) -> Result<(), String> {
        let ends = path.as_str().match_indices('/').map(|(end, _)| end);
        for end in ends {
            self.one(&path.as_str()[..end], source, false)?;
        }
        self.one(path.as_str(), source, true)
    }

    fn one(&mut self, path: &str, source: &TreePath, file: bool) -> Result<(), String> {
        let folded = folded(path);
        let Some(taken) = self.0.get(&*folded) else {
            let spelling = (folded != path).then(|| path.into());
            self.0.insert(folded.into(), Taken { spelling, source: source.clone(), file });
            return Ok(());
        };
        let spelling = taken.spelling.as_deref().unwrap_or(&folded);
        let other = crate::text::neutral_line(taken.source.as_str(), 120);
        let spelled = crate::text::neutral_line(path, 120);
        if spelling != path {
            let before = crate::text::neutral_line(spelling, 120);
            return Err(format!("{spelled} and {before} (from {other}) are one path on some file systems"));
        }
        match (taken.file, file) {
            (false, false) => Ok(()),
            (true, true) => Err(format!("{spelled} is rendered from {other}, too")),
            _ => Err(format!("{spelled} is rendered to a file and to a directory (see {other})")),
        }
    }
}
