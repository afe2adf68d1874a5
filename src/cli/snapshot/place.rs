//! Where snapshots lie in a registry, and whose turn it is.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::name::Name;
use crate::project::Project;
use crate::reference::ImageRef;
use crate::sandbox::{SandboxId, turn_on};
use crate::task::blocking;
use crate::turn::Turn;

/// What a person means by a snapshot in a registry: a name in the project's own place, or a whole reference.
pub fn reference(cx: &Context, project: &Project, text: &str) -> Result<ImageRef, Failure> {
    if text.contains('/') {
        return Ok(text.parse()?);
    }
    let name: Name = text.parse()?;
    let place = format!("{}/snapshots/{}:{name}", cx.settings.registry()?, project.manifest.name);
    Ok(place.parse()?)
}

/// The same of one that is pushed: a digest is not ours to choose.
pub fn pushed(cx: &Context, project: &Project, text: &str) -> Result<ImageRef, Failure> {
    let reference = reference(cx, project, text)?;
    match (reference.tag(), reference.digest()) {
        (Some(_), None) => Ok(reference),
        _ => Err(Failure::usage(format!("{reference}: a snapshot is pushed under a tag"))),
    }
}

/// What a snapshot that is pulled is called here.
pub fn name(reference: &ImageRef, given: Option<Name>) -> Result<Name, Failure> {
    let tag = || reference.tag().and_then(|tag| tag.parse().ok());
    given.or_else(tag).ok_or_else(|| {
        Failure::usage(format!("{reference} does not tell what to call it here"))
            .next(format!("onramp snapshot pull {reference} NAME"))
    })
}

/// The turns on a sandbox and on its project's snapshots, once they are free: who reads or fills volumes is soon done.
pub async fn turns(cx: &Context, id: &SandboxId) -> Result<[Turn; 2], Failure> {
    let state = cx.paths.state.clone();
    let whats = [turn_on(id.as_str()), format!("snapshots {}", id.home())];
    let wait = blocking(move || {
        let [sandbox, names] = whats;
        Ok([Turn::wait(&state, &sandbox)?, Turn::wait(&state, &names)?])
    });
    cx.waiting("wait for another onramp", wait).await
}
