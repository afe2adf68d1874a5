//! Layers unpacked as a stream: gzip of any number of members, zstd, or none. What a layer is, its first bytes tell, as they
//! tell an engine; a media type may say something else.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::Fault;

/// The largest window of a zstd frame, as a power of two: 16 MiB. What it takes is memory; the usual levels take 8 MiB at most.
const WINDOW: u32 = 24;
/// How much is unpacked at once.
const BUFFER: usize = 64 * 1024;
/// A layer may always unpack to so many bytes, …
const ALWAYS: u64 = 1024 * 1024 * 1024;
/// … beyond them to so many times its packed size, which no file system of programs does.
const RATIO: u64 = 200;
/// … and to no more than this.
const NEVER: u64 = 64 * 1024 * 1024 * 1024;

/// Bytes as they were before they were packed, and no more of them than the cap.
pub type Unpacked<'a> = BufReader<Capped<Box<dyn Read + 'a>>>;

/// Unpacks a layer of this packed size, which begins with these bytes.
pub fn open<'a>(first: [u8; 4], input: impl BufRead + 'a, packed: u64) -> Result<Unpacked<'a>, Fault> {
    let reader: Box<dyn Read + 'a> = match first {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(input)),
        // A frame, or one that is skipped: what is made to be read in parts begins with an index in such a frame.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(Fault::unpack)?;
            decoder.window_log_max(WINDOW).map_err(Fault::unpack)?;
            Box::new(decoder)
        }
        [b'B', b'Z', b'h', _] => return Err(Fault::Form("a bzip2 archive")),
        [0xfd, b'7', b'z', b'X'] => return Err(Fault::Form("an xz archive")),
        _ => Box::new(input),
    };
    let cap = ALWAYS.max(packed.saturating_mul(RATIO)).min(NEVER);
    Ok(BufReader::with_capacity(BUFFER, Capped { reader, cap, left: cap }))
}

/// A reader that fails beyond its cap.
pub struct Capped<R> {
    reader: R,
    cap: u64,
    left: u64,
}

/// What a [`Capped`] reader fails with.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to more than {}", crate::text::bytes(self.cap))]
pub struct Bomb {
    cap: u64,
}

impl<R> Capped<R> {
    /// How many bytes came.
    pub fn count(&self) -> u64 {
        self.cap - self.left
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| std::io::Error::other(Bomb { cap: self.cap }))?;
        Ok(count)
    }
}
