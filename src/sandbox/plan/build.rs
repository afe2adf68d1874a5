//! The images that services are built as.

use std::path::PathBuf;

use crate::reference::{Digest, ImageRef};
use crate::sandbox::Error;
use crate::sandbox::copied::Copied;
use crate::sandbox::source::Context;

/// The image that a service under development is built as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildTag {
    /// `onramp-sandbox/shop-web:1a2b…`, named by the content it was built from.
    pub tag: String,
    /// The build context, absolute.
    pub context: PathBuf,
    /// The base image, by digest; none where the Dockerfile names its own.
    pub base: Option<ImageRef>,
    /// Directories that are laid over what was built.
    pub over: Vec<Copied>,
}

impl BuildTag {
    /// Lays directories over it: another image where their files change. Blocking: reads them.
    pub fn lay_over(&mut self, over: Vec<Copied>) -> Result<(), Error> {
        if let Some((name, key)) = self.tag.split_once(':').filter(|_| !over.is_empty()) {
            let mut key = key.to_owned();
            for copied in &over {
                key.push_str(&format!(" {} {}", copied.target, Context::read(&copied.from)?.digest(&[])?));
            }
            self.tag = format!("{name}:{}", &Digest::of(key.as_bytes()).hex()[..16]);
        }
        self.over = over;
        Ok(())
    }
}
