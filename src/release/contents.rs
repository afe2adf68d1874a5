//! What a deployment changes inside its images, for its pull request. A reviewer should know; a deployment must not wait for
//! it, nor fail because of it.

use std::time::Duration;

use super::Draft;
use crate::error::chain;
use crate::images::contents::{self, Reader};
use crate::images::diff::{self, Depth, markdown};
use crate::reference::ImageRef;
use crate::text::{neutral_line, without_mentions};

/// How long all images of a deployment may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The most apps of a release train whose images are compared.
const APPS: usize = 20;

/// Tells of each section what differs between the images that are declared now and those that are proposed, in Markdown. Where it
/// cannot be told, a line says why. A train of many apps has no room for it.
pub async fn compare(reader: &Reader, draft: &mut Draft) {
    if draft.sections.len() > APPS {
        return;
    }
    let end = tokio::time::Instant::now() + LIMIT;
    for section in &mut draft.sections {
        for change in &section.changes {
            let Some(from) = &change.from else { continue };
            let text = match tokio::time::timeout_at(end, difference(reader, from, &change.to)).await {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => missing(&chain(&error)),
                Err(_) => missing(&format!("the registry took longer than {} s", LIMIT.as_secs())),
            };
            section.evidence.images.insert(change.service.clone(), text);
        }
    }
}

async fn difference(reader: &Reader, from: &ImageRef, to: &ImageRef) -> Result<String, contents::Error> {
    let (from, to) = tokio::try_join!(reader.image(from, None), reader.image(to, None))?;
    Ok(markdown::render(&diff::of(reader, &from, &to, Depth::Summary).await?))
}

fn missing(why: &str) -> String {
    let why = neutral_line(why, 300).replace('`', "'");
    format!("The images were not compared: `{}`\n", without_mentions(&why))
}
