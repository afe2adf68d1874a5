//! Blocks that need blocks: what must be there before a block, found in its catalog, in the order in which it is added.

use std::collections::BTreeMap;

use super::{Block, Catalog, Error};
use crate::name::Name;
use crate::version::Version;

/// The blocks that `block` requires and the project does not have, those that others need first. `has` are the blocks of
/// the project with their versions.
pub fn missing(block: &Block, catalog: &Catalog, has: &BTreeMap<Name, Version>) -> Result<Vec<Block>, Error> {
    let mut walk = Walk { catalog, has, found: Vec::new(), path: vec![block.id.name.to_string()] };
    walk.visit(block)?;
    Ok(walk.found)
}

struct Walk<'a> {
    catalog: &'a Catalog,
    has: &'a BTreeMap<Name, Version>,
    found: Vec<Block>,
    path: Vec<String>,
}

impl Walk<'_> {
    fn visit(&mut self, block: &Block) -> Result<(), Error> {
        let Some(manifest) = &block.manifest else { return Ok(()) };
        for (name, requirement) in &manifest.requires {
            if self.path.iter().any(|above| above == name.as_str()) {
                let mut chain: Vec<String> =
                    self.path.iter().skip_while(|above| *above != name.as_str()).cloned().collect();
                chain.push(name.to_string());
                return Err(Error::Circle { chain });
            }
            let planned = self.found.iter().find(|found| found.id.name == *name).map(|found| &found.id.version);
            if let Some(version) = self.has.get(name).or(planned) {
                if version.semantic().is_some_and(|version| requirement.matches(version)) {
                    continue;
                }
                return Err(Error::Unmet {
                    block: block.id.to_string(),
                    required: name.clone(),
                    requirement: requirement.clone(),
                    found: version.clone(),
                });
            }
            let required = self.catalog.block(name.as_str(), requirement)?;
            self.path.push(name.to_string());
            self.visit(&required)?;
            self.path.pop();
            self.found.push(required);
        }
        Ok(())
    }
}
