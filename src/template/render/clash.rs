//! Two files that would be one: by path, by case or spelling on some file system, or as file and directory.

use std::collections::HashMap;

use crate::text::folded;
use crate::tree::TreePath;

/// The paths that are taken.
#[derive(Default)]
pub struct Clashes(HashMap<String, Taken>);

struct Taken {
    spelling: String,
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
        let Some(taken) = self.0.get(&*folded(path)) else {
            let taken = Taken { spelling: path.to_owned(), source: source.clone(), file };
            self.0.insert(folded(path).into_owned(), taken);
            return Ok(());
        };
        let other = crate::text::neutral_line(taken.source.as_str(), 120);
        let spelled = crate::text::neutral_line(path, 120);
        if taken.spelling != path {
            let before = crate::text::neutral_line(&taken.spelling, 120);
            return Err(format!("{spelled} and {before} (from {other}) are one path on some file systems"));
        }
        match (taken.file, file) {
            (false, false) => Ok(()),
            (true, true) => Err(format!("{spelled} is rendered from {other}, too")),
            _ => Err(format!("{spelled} is rendered to a file and to a directory (see {other})")),
        }
    }
}
