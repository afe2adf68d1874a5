//! Layers put over each other: the files that a container sees, in their order, without holding them (OCI image
//! specification, `layer.md`, "Applying changesets").
//!
//! Each layer's entries come in the order of [`path::order`], so all that lies in a directory follows it. What a layer takes
//! away is therefore one path at a time: nothing but that path is remembered of it.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::facts::{Entries, Entry, Facts, Kind};
use super::path;

/// The files of an image.
pub struct Tree {
    /// Lowest first.
    layers: Vec<Peekable<Entries>>,
    /// What each layer hides of those below it.
    hidden: Vec<Option<Hidden>>,
}

struct Hidden {
    path: Vec<u8>,
    /// Only what is in it, not itself.
    inside: bool,
}

impl Hidden {
    fn hides(&self, path: &[u8]) -> bool {
        (path == self.path && !self.inside) || path::below(path, &self.path)
    }
}

/// A file of an image, and the index of the layer that has it.
pub type File = (usize, Entry);

impl Tree {
    /// The files of these layers, lowest first.
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a Facts>) -> std::io::Result<Self> {
        let opened = layers.into_iter().map(|facts| facts.entries().map(Iterator::peekable));
        let layers: Vec<_> = opened.collect::<Result<_, _>>()?;
        let hidden = layers.iter().map(|_| None).collect();
        Ok(Self { layers, hidden })
    }

    /// The lowest path that any layer has next.
    fn lowest(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut lowest: Option<&[u8]> = None;
        for layer in &mut self.layers {
            match layer.peek() {
                Some(Ok(entry)) if lowest.is_none_or(|lowest| path::order(&entry.path, lowest) == Ordering::Less) => {
                    lowest = Some(&entry.path);
                }
                Some(Err(error)) => return Err(error.kind().into()),
                Some(Ok(_)) | None => {}
            }
        }
        Ok(lowest.map(<[u8]>::to_vec))
    }

    /// What all layers together have at a path, if anything.
    fn at(&mut self, path: &[u8]) -> std::io::Result<Option<File>> {
        let mut seen: Option<File> = None;
        for layer in (0..self.layers.len()).rev() {
            let here = |next: &std::io::Result<Entry>| next.as_ref().is_ok_and(|entry| entry.path == path);
            while let Some(entry) = self.layers[layer].next_if(here) {
                let entry = entry?;
                let covered = self.hidden[layer + 1..].iter().flatten().any(|hidden| hidden.hides(path));
                if covered {
                    continue;
                }
                match entry.kind {
                    Kind::Directory | Kind::Implied => {}
                    Kind::Opaque => self.hide(layer, path, true),
                    _ => self.hide(layer, path, false),
                }
                let better = match (&seen, entry.kind) {
                    (_, Kind::Whiteout | Kind::Opaque) => false,
                    (None, _) => true,
                    // A directory that is only implied is what a lower layer says it is.
                    (Some((_, above)), Kind::Directory | Kind::Implied) => above.kind == Kind::Implied,
                    (Some(_), _) => false,
                };
                if better {
                    seen = Some((layer, entry));
                }
            }
        }
        Ok(seen)
    }

    fn hide(&mut self, layer: usize, path: &[u8], inside: bool) {
        // What hides a directory hides all that is in it already.
        if !self.hidden[layer].as_ref().is_some_and(|hidden| hidden.hides(path)) {
            self.hidden[layer] = Some(Hidden { path: path.to_owned(), inside });
        }
    }
}

impl Iterator for Tree {
    type Item = std::io::Result<File>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lowest().and_then(|path| path.map(|path| self.at(&path)).transpose()) {
                Ok(Some(Some(file))) => return Some(Ok(file)),
                Ok(Some(None)) => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
