//! The image of relays: this program and what it has loaded, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::engine::{BuildSpec, Engine, label};
use crate::reference::Digest;
use crate::sandbox::Error;
use crate::task::blocking;

/// What the image is called, before what tells one onramp from another.
const NAME: &str = "onramp-relay";
/// This program, as the kernel runs it: also after it was replaced by a newer one.
const PROGRAM: &str = "/proc/self/exe";
/// Where it is in the image.
const PLACE: &str = "onramp";
/// How much of it is read at once, in bytes.
const CHUNK: usize = 1024 * 1024;
/// More than this is no program, in bytes.
const CAP: u64 = 2 * 1024 * 1024 * 1024;

/// Sees to it that the engine has the image; its name.
pub async fn image(engine: &Engine) -> Result<String, Error> {
    let platform = &engine.place().platform;
    if *platform != own_platform() {
        let why = format!("the engine runs {platform}, and this onramp is for {}", own_platform());
        return Err(Error::NoRelay { why });
    }
    let tag = blocking(tag).await.map_err(|error| unreadable(&error))?;
    if engine.image(&tag).await?.is_none() {
        let context = blocking(context).await.map_err(|error| unreadable(&error))?;
        let labels = [(label::DEFINITION.to_owned(), tag.clone())].into();
        let spec = BuildSpec { tag: tag.clone(), context: context.into(), arguments: BTreeMap::new(), labels };
        engine.build(spec, &mut |_| ()).await?;
    }
    Ok(tag)
}

fn own_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{architecture}", std::env::consts::OS)
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::NoRelay { why: format!("this program cannot be read: {error}") }
}

/// Named by the program's bytes. Blocking.
fn tag() -> std::io::Result<String> {
    let mut program = std::fs::File::open(PROGRAM)?.take(CAP);
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match program.read(&mut chunk)? {
            0 => return Ok(format!("{NAME}:{}", &Digest::from_hash(&hash.finalize()).hex()[..16])),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// What it is built from. Blocking.
fn context() -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &Path, from: &Path| -> std::io::Result<()> {
        let mut bytes = Vec::new();
        std::fs::File::open(from)?.take(CAP).read_to_end(&mut bytes)?;
        put(&mut tar, name, 0o755, &bytes)
    };
    add(&Path::new("root").join(PLACE), Path::new(PROGRAM))?;
    let mut libraries = Vec::new();
    for library in loaded(&std::fs::read_to_string("/proc/self/maps")?) {
        let inside = library.strip_prefix("/").unwrap_or(&library);
        add(&Path::new("root").join(inside), &library)?;
        libraries.push(Path::new("root").join(inside));
    }
    // The kernel finds the loader by the name that the program has for it.
    if let Some(loader) = loader(&std::fs::read(PROGRAM)?)
        && let Some(inside) = loader.strip_prefix('/')
    {
        add(&Path::new("root").join(inside), Path::new(&loader))?;
    }
    for library in libraries {
        for name in shorter(&library) {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, library.with_file_name(name), library.file_name().unwrap_or_default())?;
        }
    }
    let dockerfile = format!("FROM scratch\nCOPY root /\nENTRYPOINT [\"/{PLACE}\"]\n");
    put(&mut tar, Path::new("Dockerfile"), 0o644, dockerfile.as_bytes())?;
    tar.into_inner()
}

fn put(tar: &mut tar::Builder<Vec<u8>>, name: &Path, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, name, bytes)
}

/// The libraries that a process has mapped; none of a program that needs none.
fn loaded(maps: &str) -> BTreeSet<PathBuf> {
    let path = |line: &str| line.split_whitespace().nth(5).filter(|path| path.starts_with('/')).map(PathBuf::from);
    let library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".so") || name.contains(".so.")
    };
    maps.lines().filter_map(path).filter(library).collect()
}

/// The names by which programs ask for a library, one of which it has in itself: `libz.so.1` for `libz.so.1.2.13`.
fn shorter(library: &Path) -> Vec<String> {
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    let Some((stem, version)) = name.split_once(".so.") else { return Vec::new() };
    let numbers: Vec<&str> = version.split('.').collect();
    (1..numbers.len()).map(|count| format!("{stem}.so.{}", numbers[..count].join("."))).collect()
}

/// The loader that an ELF program of 64 bits names (`PT_INTERP`).
fn loader(program: &[u8]) -> Option<String> {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = program.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count).map(|n| table + n * size).find(|at| number(*at, 4) == Some(INTERPRETER as usize))?;
    let (start, length) = (number(header + 8, 8)?, number(header + 32, 8)?);
    let name = program.get(start..start.checked_add(length)?)?;
    std::str::from_utf8(name).ok().map(|name| name.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_are_libraries_and_nothing_else() {
        let maps = "7f00-7f10 r-xp 00000000 08:01 42   /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f20-7f30 r--p 00000000 08:01 43   /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\n\
                    7f40-7f50 r-xp 00000000 08:01 44   /usr/bin/onramp\n7f60-7f70 rw-p 00000000 00:00 0   [heap]\n";
        let names: Vec<_> = loaded(maps).iter().map(|path| path.display().to_string()).collect();
        let place = "/usr/lib/x86_64-linux-gnu";
        assert_eq!(names, [format!("{place}/ld-linux-x86-64.so.2"), format!("{place}/libc.so.6")]);
    }

    #[test]
    fn a_library_has_the_names_that_programs_ask_for() {
        assert_eq!(shorter(Path::new("/usr/lib/libz.so.1.2.13")), ["libz.so.1", "libz.so.1.2"]);
        assert_eq!(shorter(Path::new("/usr/lib/libc.so.6")), Vec::<String>::new());
    }

    #[test]
    fn the_loader_of_this_program_is_found_or_it_needs_none() {
        let program = std::fs::read(PROGRAM).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert_eq!(loader(&program).is_some(), !loaded(&maps).is_empty());
        assert_eq!(loader(b"#!/bin/sh"), None);
    }
}
