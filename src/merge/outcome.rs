//! What a merge makes of the project: entries that change, conflicts, and a free place beside a file for the side that
//! cannot stand in it.

use std::collections::BTreeMap;

use super::{Change, Conflict, ConflictKind, Merged, Options, Style, file};
use crate::tree::{Contents, Entry, Spool, Tree, TreePath};

/// A merge in the making.
pub(super) struct Outcome<'a> {
    theirs: &'a Tree,
    mine: &'a Tree,
    options: &'a Options,
    /// What stands at a path afterwards; none: nothing. Paths that are not here are as they were.
    edits: BTreeMap<TreePath, Option<Entry>>,
    /// Where merged contents go.
    spool: Spool,
    conflicts: Vec<Conflict>,
    moved: Vec<(TreePath, TreePath)>,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(theirs: &'a Tree, mine: &'a Tree, options: &'a Options) -> Self {
        Self {
            theirs,
            mine,
            options,
            edits: BTreeMap::new(),
            spool: Spool::default(),
            conflicts: Vec::new(),
            moved: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, path: &TreePath, entry: Entry) {
        self.edits.insert(path.clone(), Some(entry));
    }

    pub(super) fn remove(&mut self, path: &TreePath) {
        self.edits.insert(path.clone(), None);
    }

    /// The project's file follows the template's.
    pub(super) fn move_to(&mut self, from: &TreePath, to: &TreePath) {
        if let Some(entry) = self.mine.get(from.as_str()) {
            self.put(to, entry.clone());
            self.remove(from);
            self.moved.push((from.clone(), to.clone()));
        }
    }

    pub(super) fn moved_apart(&mut self, from: &TreePath, there: &TreePath, here: &TreePath) {
        let detail = format!("{from}: the template moved it to {there}, the project to {here}, where it stays");
        self.conflict(here, ConflictKind::Moved, None, None, detail);
    }

    pub(super) fn deleted_there(&mut self, here: &TreePath, was: &TreePath) {
        let detail = if here == was {
            "the template deleted it, the project changed it; it stays".to_owned()
        } else {
            format!("the template deleted {was}, the project moved it here; it stays")
        };
        self.conflict(here, ConflictKind::DeletedThere, None, None, detail);
    }

    pub(super) fn deleted_here(&mut self, path: &TreePath, new: &Entry) {
        let beside = self.put_beside(path, new.clone());
        let detail = format!("the project deleted it, the template changed it; the template's is in {beside}");
        self.conflict(path, ConflictKind::DeletedHere, None, Some(beside), detail);
    }

    /// Merges three versions of what will stand at a path.
    pub(super) fn merge(&mut self, path: &TreePath, base: &Entry, theirs: &Entry, mine: &Entry) {
        if theirs == base || theirs == mine {
            return;
        }
        if mine == base {
            return self.put(path, theirs.clone());
        }
        let (
            Entry::File { contents: old, executable: was },
            Entry::File { contents: new, executable: there },
            Entry::File { contents: own, executable: here },
        ) = (base, theirs, mine)
        else {
            return self.other_kind(path, theirs, mine);
        };
        // What has two states cannot be changed to two different ones.
        let executable = if here == was { *there } else { *here };
        let contents = if new == old || new == own {
            own.clone()
        } else if own == old {
            new.clone()
        } else {
            let [old, new, mine] = [old, new, own].map(Contents::bytes);
            if let Some(merged) = file::merge(path, [&old, &new, &mine], self.options) {
                self.take(path, merged)
            } else {
                let detail = "both changed it, and it is not text; the project's stays";
                self.both(path, ConflictKind::Binary, theirs, detail);
                own.clone()
            }
        };
        self.put(path, Entry::File { contents, executable });
    }

    /// Both added something at one path.
    pub(super) fn added(&mut self, path: &TreePath, theirs: &Entry, mine: &Entry) {
        let (Entry::File { contents: new, .. }, Entry::File { contents: own, executable }) = (theirs, mine) else {
            return self.other_kind(path, theirs, mine);
        };
        if new == own {
            let [theirs, mine] = [theirs, mine].map(|e| if e.executable() { "can be run" } else { "cannot be run" });
            let detail = format!("both added it: the template's {theirs}, the project's {mine}; the project's stays");
            return self.conflict(path, ConflictKind::Mode, None, None, detail);
        }
        match file::merge_added(path, [&new.bytes(), &own.bytes()], self.options) {
            Some(merged) => {
                let contents = self.take(path, merged);
                self.put(path, Entry::File { contents, executable: *executable });
            }
            None => self.both(path, ConflictKind::Added, theirs, "both added it, differently; the project's stays"),
        }
    }

    fn other_kind(&mut self, path: &TreePath, theirs: &Entry, mine: &Entry) {
        let name = |entry: &Entry| match entry {
            Entry::File { .. } => "a file".to_owned(),
            Entry::Link { target } => format!("a link to {target}"),
        };
        let detail = format!("the template has {}, the project {}, which stays", name(theirs), name(mine));
        self.both(path, ConflictKind::Kind, theirs, &detail);
    }

    /// The project's stays at a path, the template's goes beside it.
    fn both(&mut self, path: &TreePath, kind: ConflictKind, theirs: &Entry, detail: &str) {
        let beside = self.put_beside(path, theirs.clone());
        let detail = format!("{detail}; the template's is in {beside}");
        self.conflict(path, kind, None, Some(beside), detail);
    }

    /// Takes a merged file's conflicts, and what it rejects, beside it.
    fn take(&mut self, path: &TreePath, merged: file::Merged) -> Contents {
        let beside = merged.rejected.map(|patch| self.put_beside(path, Entry::file(patch)));
        for clash in merged.clashes {
            let kept = match (&beside, self.options.style) {
                (Some(beside), _) => format!("; the project's stays, the template's is in {beside}"),
                (None, Style::Inline | Style::Rej) => "; both are kept there".to_owned(),
            };
            self.conflict(path, clash.kind, clash.line, beside.clone(), clash.detail + &kept);
        }
        self.spool.keep(merged.contents)
    }

    fn conflict(
        &mut self,
        path: &TreePath,
        kind: ConflictKind,
        line: Option<usize>,
        beside: Option<TreePath>,
        detail: String,
    ) {
        self.conflicts.push(Conflict { path: path.clone(), kind, line, beside, detail });
    }

    /// Puts something at a path beside another one where nothing is, or where it already stands; where that is.
    fn put_beside(&mut self, path: &TreePath, entry: Entry) -> TreePath {
        let mut count = 1_usize;
        loop {
            let suffix = if count == 1 { ".rej".to_owned() } else { format!(".rej.{count}") };
            let beside = beside(path, &suffix);
            let stands =
                |tree: &Tree| tree.get(beside.as_str()).is_some() || tree.inside(beside.as_str()).next().is_some();
            let again = self.mine.get(beside.as_str()) == Some(&entry) && !self.edits.contains_key(&beside);
            let taken = stands(self.mine) || stands(self.theirs) || self.edits.contains_key(&beside);
            if again && self.theirs.get(beside.as_str()).is_none() || !taken {
                self.put(&beside, entry);
                return beside;
            }
            count += 1;
        }
    }

    /// What comes of it all.
    pub(super) fn finish(mut self) -> Merged {
        self.clear_ways();
        let mine = self.mine;
        let changes = self.edits.into_iter().filter_map(|(path, after)| {
            let before = mine.get(path.as_str()).cloned();
            (before != after).then_some(Change { path, before, after })
        });
        let mut merged = Merged { changes: changes.collect(), conflicts: self.conflicts, moved: self.moved };
        merged.conflicts.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        merged.moved.sort();
        merged
    }

    /// Where a new entry would stand under a file or in place of a directory of the project, it goes beside that.
    fn clear_ways(&mut self) {
        let stands = |path: &str| match self.edits.get(path) {
            Some(edit) => edit.is_some(),
            None => self.mine.get(path).is_some(),
        };
        let mut blocked = Vec::new();
        for (path, edit) in &self.edits {
            if edit.is_none() || self.mine.get(path.as_str()).is_some() {
                continue;
            }
            let mut parents = path.as_str().match_indices('/').map(|(end, _)| &path.as_str()[..end]);
            let way: Option<TreePath> = parents.find(|parent| stands(parent)).and_then(|parent| parent.parse().ok());
            let directory = self.mine.inside(path.as_str()).any(|(inside, _)| stands(inside.as_str()));
            if directory || way.is_some() {
                blocked.push((path.clone(), way));
            }
        }
        // What already lies beside something is told of; the conflicts of one file follow each other.
        let mut told: BTreeMap<TreePath, std::ops::Range<usize>> = BTreeMap::new();
        for (at, conflict) in self.conflicts.iter().enumerate().filter(|_| !blocked.is_empty()) {
            if let Some(beside) = &conflict.beside {
                told.entry(beside.clone()).or_insert(at..at).end = at + 1;
            }
        }
        for (path, way) in blocked {
            let Some(Some(entry)) = self.edits.remove(&path) else { continue };
            let near = match &way {
                Some(way) => {
                    let inside = &path.as_str()[way.as_str().len()..];
                    format!("{way}{}", inside.replace('/', ".")).parse().unwrap_or_else(|_| way.clone())
                }
                None => path.clone(),
            };
            let beside = self.put_beside(&near, entry);
            if let Some(known) = told.get(&path) {
                for conflict in &mut self.conflicts[known.clone()] {
                    conflict.detail = conflict.detail.replace(path.as_str(), beside.as_str());
                    conflict.beside = Some(beside.clone());
                }
                continue;
            }
            let in_the_way = match way {
                Some(way) => format!("{way} is no directory in the project"),
                None => "the project has a directory there".to_owned(),
            };
            let detail = format!("{in_the_way}, which stays; the template's is in {beside}");
            self.conflict(&path, ConflictKind::Kind, None, Some(beside), detail);
        }
    }
}

/// A path with something at its end, and shortened before it where no path may be that long.
fn beside(path: &TreePath, suffix: &str) -> TreePath {
    let text = path.as_str();
    let name = path.file_name();
    let directory = &text[..text.len() - name.len()];
    let short = &name[..name.floor_char_boundary(200.min(name.len()))];
    let candidates = [format!("{text}{suffix}"), format!("{directory}{short}{suffix}"), format!("{short}{suffix}")];
    let fits = candidates.into_iter().find_map(|candidate| candidate.parse().ok());
    fits.unwrap_or_else(|| path.clone())
}
