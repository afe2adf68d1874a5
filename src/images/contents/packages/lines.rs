//! Lines of text files, with a cap: a line without an end takes no memory.

use std::io::BufRead;

use super::Unread;

/// The longest line that is looked at, in bytes; of a longer one only the beginning is seen.
const LONGEST: usize = 64 * 1024;

/// Calls `line` with each line, without its end. Bytes that are no UTF-8 are replaced.
pub fn each(stream: &mut dyn BufRead, mut line: impl FnMut(&str) -> Result<(), Unread>) -> Result<(), Unread> {
    let mut kept = Vec::new();
    loop {
        let chunk = stream.fill_buf().map_err(Unread::Stream)?;
        if chunk.is_empty() {
            return if kept.is_empty() { Ok(()) } else { line(&String::from_utf8_lossy(&kept)) };
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        kept.extend_from_slice(&part[..part.len().min(LONGEST - kept.len())]);
        let used = part.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            let text = String::from_utf8_lossy(&kept);
            line(text.strip_suffix('\r').unwrap_or(&text))?;
            kept.clear();
        }
    }
}
