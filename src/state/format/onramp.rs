//! onramp's own format: TOML, the service schema of `onramp.toml`, images by digest only.

use super::{Adapter, Declared, Edits, Of};
use crate::document::DocumentError;
use crate::state::{edit, environment};

pub(super) struct Onramp;

impl Adapter for Onramp {
    fn read(&self, of: &Of<'_>, text: &str) -> Result<Declared, DocumentError> {
        environment::read(of.path, text)
    }

    fn edit(&self, of: &Of<'_>, text: Option<&str>, edits: &Edits) -> Result<String, DocumentError> {
        edit::apply(of.path, text, of.environment, of.app, edits)
    }
}
