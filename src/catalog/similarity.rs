//! Blocks that are nearly the same: found by the runs of words that their files share.
//!
//! Each block is the set of its shingles, five words in a row; how alike two blocks are is how much of both sets is in
//! both (Jaccard), read off sketches that keep the smallest hashes (bottom-k, Broder 1997). Small blocks are compared
//! exactly.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::tree::Tree;

/// Words in a shingle.
const RUN: usize = 5;
/// Hashes in a sketch: an error of about 2 % at one standard deviation.
const SKETCH: usize = 2048;
/// The most bytes of one file that are looked at.
const FILE_CAP: usize = 256 * 1024;

/// What is kept of a block's contents, to compare it with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch(BTreeSet<u64>);

/// A block that is much like another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Near {
    /// Its name.
    pub name: String,
    /// How much of both is in both, in percent.
    pub percent: u8,
}

impl Sketch {
    /// The sketch of the text files of a tree that a filter takes.
    pub fn of(tree: &Tree, wanted: impl Fn(&str) -> bool) -> Self {
        let mut hashes = BTreeSet::new();
        for (path, entry) in tree.iter().filter(|(path, _)| wanted(path.as_str())) {
            let Some(text) = entry.text().filter(|text| text.len() <= FILE_CAP) else { continue };
            let words: Vec<&str> =
                text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
            if words.len() < RUN {
                // A file of few words is told by its name, too, else every empty `__init__.py` is alike.
                hashes.insert(hash(std::iter::once(path.file_name()).chain(words)));
                continue;
            }
            for run in words.windows(RUN) {
                hashes.insert(hash(run.iter().copied()));
            }
            while hashes.len() > SKETCH {
                hashes.pop_last();
            }
        }
        while hashes.len() > SKETCH {
            hashes.pop_last();
        }
        Self(hashes)
    }

    /// How much of both is in both, in percent. Nothing is like nothing.
    pub fn likeness(&self, other: &Self) -> u8 {
        // The smallest hashes of the union are a fair sample of it, as far as both sketches reach.
        let smallest: BTreeSet<u64> = self.0.union(&other.0).take(SKETCH).copied().collect();
        if smallest.is_empty() {
            return 0;
        }
        let both = smallest.iter().filter(|hash| self.0.contains(hash) && other.0.contains(hash)).count();
        u8::try_from(both * 100 / smallest.len()).unwrap_or(100)
    }
}

/// Those of others that are at least `threshold` percent like this one, the nearest first.
pub fn near<'a>(this: &Sketch, others: impl IntoIterator<Item = (&'a str, &'a Sketch)>, threshold: u8) -> Vec<Near> {
    let mut found: Vec<Near> = others
        .into_iter()
        .map(|(name, sketch)| Near { name: name.to_owned(), percent: this.likeness(sketch) })
        .filter(|near| near.percent >= threshold.max(1))
        .collect();
    found.sort_by(|a, b| b.percent.cmp(&a.percent).then_with(|| a.name.cmp(&b.name)));
    found
}

/// FNV-1a, then mixed so that the smallest hashes are a fair sample.
fn hash<'a>(words: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for word in words {
        for byte in word.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn tree(files: &[(&str, String)]) -> Tree {
        files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file(text.clone()))).collect()
    }

    fn prose(from: usize, to: usize) -> String {
        (from..to).map(|i| format!("word{i} ")).collect()
    }

    #[test]
    fn a_copy_with_a_changed_corner_is_near() {
        let all = |_: &str| true;
        let one = Sketch::of(&tree(&[("a.txt", prose(0, 400)), ("b.txt", prose(1000, 1200))]), all);
        let copy = Sketch::of(&tree(&[("moved/a.txt", prose(0, 390)), ("b.txt", prose(1000, 1200))]), all);
        let other = Sketch::of(&tree(&[("a.txt", prose(5000, 5600))]), all);
        assert_eq!((one.likeness(&one), one.likeness(&copy), one.likeness(&other)), (100, 98, 0));
        let found = near(&one, [("copy", &copy), ("other", &other), ("same", &one)], 60);
        let named: Vec<(&str, u8)> = found.iter().map(|near| (near.name.as_str(), near.percent)).collect();
        assert_eq!(named, [("same", 100), ("copy", 98)]);
    }

    #[test]
    fn large_blocks_are_estimated_well() {
        let all = |_: &str| true;
        let one = Sketch::of(&tree(&[("a", prose(0, 20_000))]), all);
        let half = Sketch::of(&tree(&[("a", prose(10_000, 30_000))]), all);
        // A third of both is in both.
        assert!((29..=38).contains(&one.likeness(&half)), "{}", one.likeness(&half));
    }

    #[test]
    fn empty_files_make_nobody_alike() {
        let all = |_: &str| true;
        let one = Sketch::of(&tree(&[("x/__init__.py", String::new())]), all);
        assert_eq!(one.likeness(&Sketch::of(&tree(&[("main.c", String::new())]), all)), 0);
        assert_eq!(Sketch::default().likeness(&Sketch::default()), 0);
    }

    proptest::proptest! {
        #[test]
        fn likeness_is_mutual(a in "[a-c ]{0,80}", b in "[a-c ]{0,80}") {
            let (a, b) = (Sketch::of(&tree(&[("f", a)]), |_| true), Sketch::of(&tree(&[("f", b)]), |_| true));
            proptest::prop_assert_eq!(a.likeness(&b), b.likeness(&a));
            proptest::prop_assert_eq!(a.likeness(&a), 100);
        }
    }
}
