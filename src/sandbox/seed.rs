//! What fills empty data: files of the project, which are unpacked and looked through before anything is touched, or a
//! program that runs in the service once it answers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};
use tempfile::SpooledTempFile;

use super::mask::{Masking, Masks};
use super::{Error, ServiceId};
use crate::engine::{Engine, ExecSpec, Interactive};
use crate::files::{self, FileError};
use crate::project::seed::{Column, Mask};
use crate::project::service::{SEEDS, Seed, seed_place};
use crate::reference::Digest;
use crate::text;

/// The largest seed file, unpacked, in bytes.
const CAP: u64 = 16 * 1024 * 1024 * 1024;
/// The most files of one directory.
const MOST: usize = 1000;
/// More of a seed than this goes to the disk, in bytes.
const IN_MEMORY: usize = 1024 * 1024;
/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// The largest window of a zstd frame, as a power of two: 128 MiB, which is what `zstd --long` makes.
const WINDOW: u32 = 27;
/// Which masks there are: data that others made is not cloned.
const MASKS: u32 = 1;
/// How much of what a seed command said is kept for an error, in bytes and in lines.
const SAID: (usize, usize) = (16 * 1024, 20);

/// How files are packed: the end of their names, and the program that looks into them.
const PACKED: [(&str, &str); 2] = [(".gz", "gzip"), (".zst", "zstd")];

/// The seeds of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// What they hold. Data made from other seeds is other data.
    pub digest: Digest,
    /// Files, absolute, in order.
    pub files: Vec<PathBuf>,
    /// The program to run.
    pub command: Option<Vec<String>>,
    /// What is masked of the files.
    pub mask: BTreeMap<Column, Mask>,
}

impl Seeds {
    /// Reads them. Blocking.
    pub fn read(root: &Path, seed: &Seed) -> Result<Self, Error> {
        if let Some(command) = seed.command() {
            let digest = Digest::of(format!("command {}", serde_json::json!(command)).as_bytes());
            return Ok(Self { digest, files: Vec::new(), command: Some(command.to_vec()), mask: BTreeMap::new() });
        }
        let (mut all, mut files) = (String::new(), Vec::new());
        for (local, path) in self::files(root, seed.files())? {
            all.push_str(&format!("{local} {}\n", digest(&path)?));
            files.push(path);
        }
        let mask = seed.mask().cloned().unwrap_or_default();
        if !mask.is_empty() {
            // Data made with other masks is other data, also where the masks themselves become others.
            all.push_str(&format!("mask {MASKS} {}\n", serde_json::json!(mask)));
        }
        Ok(Self { digest: Digest::of(all.as_bytes()), files, command: None, mask })
    }
}

/// The files that these files and directories are: as the project calls them, and where they are. Those of a directory
/// come in the order of their names. Blocking.
pub fn files(root: &Path, listed: &[String]) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for local in listed {
        let place = files::confined(root, Path::new(local))?;
        if !place.is_dir() {
            found.push((local.clone(), place));
            continue;
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&place).map_err(FileError::io("read", &place))? {
            let name = entry.map_err(FileError::io("read", &place))?.file_name();
            // What editors and systems leave is hidden.
            match name.to_str() {
                Some(name) if !name.starts_with('.') => names.push(name.to_owned()),
                _ => {}
            }
        }
        names.sort_unstable();
        let before = found.len();
        for name in names {
            let local = format!("{}/{name}", local.trim_end_matches('/'));
            let place = files::confined(root, Path::new(&local))?;
            if place.is_file() {
                found.push((local, place));
            }
        }
        let count = found.len() - before;
        if !(1..=MOST).contains(&count) {
            return Err(Error::SeedDirectory { path: place, count, most: MOST });
        }
    }
    Ok(found)
}

/// What a file holds, packed as it is.
pub fn digest(path: &Path) -> Result<Digest, FileError> {
    let mut file = File::open(path).map_err(FileError::io("read", path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer).map_err(FileError::io("read", path))? {
            0 => return Ok(Digest::from_hash(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// A tar with these files, unpacked and masked, under the names that their order gives them. Blocking.
pub fn pack(files: &[PathBuf], masks: Option<&Masks>) -> Result<SpooledTempFile, Error> {
    let mut masking = masks.map(Masking::new);
    let mut tar = tar::Builder::new(SpooledTempFile::new(IN_MEMORY));
    let failed = || FileError::io("write", Path::new("a temporary file of seeds"));
    for (at, path) in files.iter().enumerate() {
        let (mut contents, mut size, name) = unpacked(path, CAP)?;
        if let Some(masking) = &mut masking {
            let mut masked = SpooledTempFile::new(IN_MEMORY);
            masking.file(&name, contents, BufWriter::with_capacity(CHUNK, &mut masked))?;
            size = masked.stream_position().map_err(failed())?;
            masked.rewind().map_err(failed())?;
            contents = masked;
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        // A tar's paths begin where it is unpacked.
        let place = seed_place(at, &name);
        let place = place.trim_start_matches('/');
        tar.append_data(&mut header, place, &mut contents).map_err(failed())?;
    }
    if let Some(masking) = masking {
        masking.end()?;
    }
    let mut tar = tar.into_inner().map_err(FileError::io("write", Path::new(SEEDS)))?;
    tar.rewind().map_err(failed())?;
    Ok(tar)
}

/// What is in a seed file, how much, and what it is called then.
fn unpacked(path: &Path, cap: u64) -> Result<(SpooledTempFile, u64, PathBuf), Error> {
    let file = BufReader::with_capacity(CHUNK, File::open(path).map_err(FileError::io("read", path))?);
    let packed = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
        let (end, tool) = PACKED.into_iter().find(|(end, _)| name.ends_with(&format!(".sql{end}")))?;
        Some((name.trim_end_matches(end), tool))
    });
    let broken = |tool: &'static str, why: String| Error::SeedBroken { path: path.to_owned(), tool, why };
    let mut reader: Box<dyn Read> = match packed {
        Some((_, "gzip")) => Box::new(MultiGzDecoder::new(file)),
        Some((_, tool)) => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(file).map_err(|error| broken(tool, error.to_string()))?;
            decoder.window_log_max(WINDOW).map_err(|error| broken(tool, error.to_string()))?;
            Box::new(decoder)
        }
        None => Box::new(file),
    };
    let mut contents = SpooledTempFile::new(IN_MEMORY);
    let failed = || FileError::io("write", Path::new("a temporary file of seeds"));
    let (mut size, mut buffer) = (0, vec![0; CHUNK]);
    loop {
        let count = match (reader.read(&mut buffer), packed) {
            (Ok(count), _) => count,
            // What the system says is no fault of what is in the file.
            (Err(error), Some((_, tool))) if error.raw_os_error().is_none() => {
                let why = match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => "it ends in the middle".to_owned(),
                    _ => text::neutral_line(&error.to_string(), 100),
                };
                return Err(broken(tool, why));
            }
            (Err(error), _) => return Err(FileError::io("read", path)(error).into()),
        };
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > cap {
            return Err(match packed {
                Some((_, tool)) => broken(tool, format!("it holds more than {}", text::bytes(cap))),
                None => FileError::TooLarge { path: path.to_owned(), cap }.into(),
            });
        }
        contents.write_all(&buffer[..count]).map_err(failed())?;
    }
    if let (0, Some((_, tool))) = (std::fs::metadata(path).map_err(FileError::io("read", path))?.len(), packed) {
        return Err(broken(tool, "it is empty".to_owned()));
    }
    contents.rewind().map_err(failed())?;
    Ok((contents, size, packed.map_or_else(|| path.to_owned(), |(name, _)| name.into())))
}

/// Runs a seed command to its end.
pub async fn run(
    engine: &Engine,
    container: &str,
    service: &ServiceId,
    command: &[String],
    limit: Duration,
) -> Result<(), Error> {
    let spec = ExecSpec { container: container.to_owned(), command: command.to_vec(), ..ExecSpec::default() };
    let mut said: Vec<u8> = Vec::new();
    let running = async {
        let Interactive { id, mut output, input: _held } = engine.exec(&spec).await?;
        while let Some(chunk) = output.next().await {
            said.extend(chunk?.1);
            said.drain(..said.len().saturating_sub(SAID.0));
        }
        engine.exec_exit_code(&id).await
    };
    let how = match tokio::time::timeout(limit, running).await {
        Ok(Ok(0)) => return Ok(()),
        Ok(Ok(code)) => format!("exit code {code}"),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => format!("it did not end within {} s", limit.as_secs()),
    };
    let said = text::neutral(&String::from_utf8_lossy(&said));
    let lines: Vec<&str> = said.lines().collect();
    let log = lines[lines.len().saturating_sub(SAID.1)..].iter().map(|line| (*line).to_owned()).collect();
    Err(Error::SeedFailed { service: service.to_string(), how, log })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Fault};

    fn gzip(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    /// A project with these files.
    fn project(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let place = dir.path().join(path);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, contents).unwrap();
        }
        dir
    }

    fn read(dir: &tempfile::TempDir, listed: &[&str]) -> Result<Seeds, Error> {
        Seeds::read(dir.path(), &Seed::Files(listed.iter().map(|&path| path.to_owned()).collect()))
    }

    #[test]
    fn packed_seeds_and_those_of_directories_come_unpacked_and_in_order() {
        let two_members = [gzip("b1;"), gzip("b2;")].concat();
        let dir = project(&[
            ("first.sql", b"a;"),
            ("db/2.sql.zst", &zstd("c;")),
            ("db/1.sql.gz", &two_members),
            ("db/.1.sql.swp", b"no"),
            ("db/deeper/3.sql", b"no"),
            ("last.sh", b"d"),
        ]);
        let seeds = read(&dir, &["first.sql", "db/", "last.sh"]).unwrap();
        let mut tar = tar::Archive::new(pack(&seeds.files, None).unwrap());
        let mut told = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            told.push((entry.path().unwrap().display().to_string(), text));
        }
        let place = |name: &str| format!("docker-entrypoint-initdb.d/{name}");
        let expected = [("001-first.sql", "a;"), ("002-1.sql", "b1;b2;"), ("003-2.sql", "c;"), ("004-last.sh", "d")];
        assert_eq!(told, expected.map(|(name, text)| (place(name), text.to_owned())));
    }

    #[test]
    fn what_is_cut_or_garbage_is_named() {
        let (text, much) = ("INSERT INTO a VALUES (1);\n".repeat(3000), "INSERT INTO a VALUES (1);\n".repeat(9000));
        let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
        let cases: [(&str, Vec<u8>, &str); 8] = [
            ("a.sql.gz", cut(gzip(&text)), "it ends in the middle"),
            ("a.sql.zst", cut(zstd(&text)), "it ends in the middle"),
            ("a.sql.gz", b"INSERT INTO a VALUES (1);".to_vec(), "invalid gzip header"),
            ("a.sql.zst", b"INSERT INTO a VALUES (1);".to_vec(), "Unknown frame descriptor"),
            ("a.sql.gz", Vec::new(), "it is empty"),
            ("a.sql.zst", Vec::new(), "it is empty"),
            ("a.sql.gz", gzip(&much), "it holds more than 100 KB"),
            ("a.sql.zst", zstd(&much), "it holds more than 100 KB"),
        ];
        for (name, bytes, expected) in cases {
            let dir = project(&[(name, &bytes)]);
            let error = unpacked(&dir.path().join(name), 100_000).unwrap_err();
            assert_eq!(error.class(), Class::Config);
            let tool = if name.ends_with("gz") { "gzip" } else { "zstd" };
            assert_eq!(error.next(), [format!("{tool} -t {}", dir.path().join(name).display())]);
            let told = error.to_string();
            assert!(told.contains(expected) || (bytes.is_empty() && told.contains("it ends in the middle")), "{told}");
        }
    }

    #[test]
    fn seeds_are_known_by_what_they_hold_and_stay_in_the_project() {
        let dir = project(&[("db/a.sql", b"1"), ("none/.keep", b""), ("b.sql", b"1")]);
        let digest = |listed: &[&str]| read(&dir, listed).unwrap().digest;
        let before = digest(&["db"]);
        std::fs::write(dir.path().join("db/a.sql"), "2").unwrap();
        assert_ne!(digest(&["db"]), before);
        std::fs::write(dir.path().join("db/a.sql"), "1").unwrap();
        assert_eq!(digest(&["db"]), before);
        std::fs::write(dir.path().join("db/b.sql"), "").unwrap();
        assert_ne!(digest(&["db"]), before, "another file in it");
        let none = read(&dir, &["none"]).unwrap_err();
        assert!(none.to_string().ends_with("none holds no seed files"), "{none}");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("db/c.sql")).unwrap();
        assert!(matches!(read(&dir, &["db"]), Err(Error::File(FileError::Outside { .. }))));
    }
}
