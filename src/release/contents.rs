//! What a deployment changes inside its images, for its pull request. A reviewer should know; a deployment must not wait for
//! it, nor fail because of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::chain;
use crate::images::contents::{self, Reader};
use crate::images::diff::{self, Depth, markdown};
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;
use crate::text::{neutral_line, without_mentions};

/// How long all images of a deployment may take.
const LIMIT: Duration = Duration::from_mins(1);

/// What differs between what is declared now and what is proposed, in Markdown, for each service whose image changes. Where
/// it cannot be told, a line says why.
pub async fn differences(
    reader: &Reader,
    declared: Option<&BTreeMap<Name, Service>>,
    images: &BTreeMap<Name, ImageRef>,
) -> BTreeMap<Name, String> {
    let mut found = BTreeMap::new();
    let end = tokio::time::Instant::now() + LIMIT;
    for (name, to) in images {
        let from = declared.and_then(|services| services.get(name)).and_then(|service| service.image.as_ref());
        let Some(from) = from.filter(|from| *from != to) else { continue };
        let text = match tokio::time::timeout_at(end, difference(reader, from, to)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => missing(&chain(&error)),
            Err(_) => missing(&format!("the registry took longer than {} s", LIMIT.as_secs())),
        };
        found.insert(name.clone(), text);
    }
    found
}

async fn difference(reader: &Reader, from: &ImageRef, to: &ImageRef) -> Result<String, contents::Error> {
    let (from, to) = tokio::try_join!(reader.image(from, None), reader.image(to, None))?;
    Ok(markdown::render(&diff::of(reader, &from, &to, Depth::Summary).await?))
}

fn missing(why: &str) -> String {
    let why = neutral_line(why, 300).replace('`', "'");
    format!("The images were not compared: `{}`\n", without_mentions(&why))
}
