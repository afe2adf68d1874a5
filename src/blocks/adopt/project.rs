//! The files of a project that a block could have made: what git would take, small enough to be source.

use std::path::Path;

use ignore::WalkBuilder;

use crate::files::{self, FileError};
use crate::tree::{Entry, Tree, TreePath};

/// The largest file that is compared, in bytes.
const FILE_CAP: u64 = 8 * 1024 * 1024;
/// The most that is read in all, in bytes.
const TOTAL_CAP: u64 = 512 * 1024 * 1024;

/// Reads them. Links stay links; what is ignored by git, or too large, is left out.
pub fn read(root: &Path) -> Result<Tree, FileError> {
    use std::os::unix::fs::PermissionsExt;
    let mut tree = Tree::default();
    let mut left = TOTAL_CAP;
    let walk = WalkBuilder::new(root).hidden(false).parents(false).git_global(false).require_git(false).build();
    for found in walk.filter_map(Result::ok) {
        let Some(kind) = found.file_type() else { continue };
        let path: Option<TreePath> =
            found.path().strip_prefix(root).ok().and_then(Path::to_str).and_then(|text| text.parse().ok());
        let Some(path) = path.filter(|path| path.names().all(|name| name != ".git")) else { continue };
        if kind.is_symlink() {
            let target = std::fs::read_link(found.path()).map_err(FileError::io("read", found.path()))?;
            tree.insert(path, Entry::Link { target: target.to_string_lossy().into_owned() });
        } else if kind.is_file() {
            let metadata = found.path().symlink_metadata().map_err(FileError::io("read", found.path()))?;
            if metadata.len() > FILE_CAP.min(left) {
                continue;
            }
            left -= metadata.len();
            let executable = metadata.permissions().mode() & 0o100 != 0;
            tree.insert(path, Entry::File { contents: files::read(found.path(), FILE_CAP)?.into(), executable });
        }
    }
    Ok(tree)
}
