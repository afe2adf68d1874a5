//! The files that a block owns, as a lock tells them. There are many, and copies of a lock share them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tree::{FileDigest, TreePath};

/// Files, with the digest of what was rendered ([`crate::tree::Entry::digest`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Arc<BTreeMap<TreePath, FileDigest>>);

impl Files {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Deref for Files {
    type Target = BTreeMap<TreePath, FileDigest>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<(TreePath, FileDigest)> for Files {
    fn from_iter<I: IntoIterator<Item = (TreePath, FileDigest)>>(files: I) -> Self {
        Self(Arc::new(files.into_iter().collect()))
    }
}

impl<'a> IntoIterator for &'a Files {
    type Item = (&'a TreePath, &'a FileDigest);
    type IntoIter = std::collections::btree_map::Iter<'a, TreePath, FileDigest>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A block owns nothing that a project may not be given, whoever wrote the lock: what it owns can be removed.
impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(lock: D) -> Result<Self, D::Error> {
        let files = BTreeMap::<TreePath, FileDigest>::deserialize(lock)?;
        for path in files.keys() {
            let wrong =
                |why| serde::de::Error::custom(format!("`{}`: {why}", crate::text::neutral_line(path.as_str(), 200)));
            path.check().map_err(wrong)?;
        }
        // Those in order take half of what those take that were put there one by one.
        Ok(files.into_iter().collect())
    }
}
