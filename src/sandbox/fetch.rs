//! What is in a container, brought here as the tar that the engine makes of it.

use std::io::{Seek, Write};

use futures_util::StreamExt;
use tempfile::SpooledTempFile;

use crate::engine::{Engine, Error};
use crate::text;

/// More of it than this goes to the disk, in bytes.
const IN_MEMORY: usize = 1024 * 1024;

/// What is at a path of a container, as a tar of at most so many bytes; or why it cannot be had.
pub async fn fetch(
    engine: &Engine,
    container: &str,
    path: &str,
    cap: u64,
) -> Result<Result<SpooledTempFile, String>, Error> {
    let mut stream = std::pin::pin!(engine.files(container, path));
    let mut tar = SpooledTempFile::new(IN_MEMORY);
    let mut size = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = match chunk {
            Err(Error::Refused { status: 404, .. }) => return Ok(Err("is not there".to_owned())),
            chunk => chunk?,
        };
        size += chunk.len() as u64;
        if size > cap {
            return Ok(Err(format!("is larger than {}", text::bytes(cap))));
        }
        if let Err(error) = tar.write_all(&chunk) {
            return Ok(Err(format!("cannot be kept: {error}")));
        }
    }
    Ok(tar.rewind().map(|()| tar).map_err(|error| format!("cannot be kept: {error}")))
}
