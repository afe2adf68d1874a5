//! RPM's database in `SQLite`'s form: the table `Packages` holds each package's header (rpm's `docs/manual/hregions.md`
//! and `tags.md`): how many entries, how many bytes of data, the entries (tag, type, offset, count), the data.

use std::io::{BufRead, Read};

use super::sqlite::{Database, Fault, Value};
use super::{Ecosystem, Found, Unread};

/// The largest database, in bytes. It lies in a temporary file while it is read, for its pages are not in order.
const CAP: u64 = 512 * 1024 * 1024;
/// The largest header, in bytes: a kernel's lists some ten thousand files.
const HEADER_CAP: usize = 32 * 1024 * 1024;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCHITECTURE: u32 = 1022;
const INT32: u32 = 4;
const STRING: u32 = 6;

pub fn read(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    let mut file = tempfile::tempfile().map_err(Unread::Stream)?;
    let size = std::io::copy(&mut stream.take(CAP + 1), &mut file).map_err(Unread::Stream)?;
    if size > CAP {
        return Err(Unread::content(format!("it is larger than {}", crate::text::bytes(CAP))));
    }
    let mut trouble = None;
    let outcome = Database::open(file, size).and_then(|database| {
        database.rows("Packages", HEADER_CAP, |row| {
            let Some(Value::Bytes(header)) = row.get(1) else { return Err("a package without a header") };
            // The keys that signed packages are in the database, too, as packages that no repository has.
            match package(header)? {
                Package { name, .. } if name == "gpg-pubkey" => Ok(()),
                package => found
                    .add(Ecosystem::Rpm, &package.name, &package.version(), package.architecture.as_deref())
                    .map_err(|error| {
                        trouble = Some(error);
                        "a package's name or version"
                    }),
            }
        })
    });
    match (outcome, trouble) {
        (_, Some(trouble)) => Err(trouble),
        (outcome, None) => outcome.map_err(Unread::content),
    }
}

#[derive(Default)]
struct Package {
    name: String,
    epoch: Option<u32>,
    version: String,
    release: String,
    architecture: Option<String>,
}

impl Package {
    /// As `rpm -q` writes it, with the epoch where there is one: it decides which of two is newer.
    fn version(&self) -> String {
        let epoch = self.epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
        format!("{epoch}{}-{}", self.version, self.release)
    }
}

fn package(header: &[u8]) -> Result<Package, Fault> {
    let number = |at: usize| {
        let bytes = header.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let damaged = "an RPM header is damaged";
    let entries = number(0).ok_or(damaged)? as usize;
    if entries > header.len() / 16 {
        return Err(damaged);
    }
    let data = 8 + entries * 16;
    let text = |offset: usize| {
        let rest = header.get(data.checked_add(offset)?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    let mut package = Package::default();
    for entry in 0..entries {
        let at = 8 + entry * 16;
        let (tag, kind, offset) = (number(at), number(at + 4), number(at + 8).ok_or(damaged)? as usize);
        match (tag, kind) {
            (Some(NAME), Some(STRING)) => package.name = text(offset).ok_or(damaged)?,
            (Some(VERSION), Some(STRING)) => package.version = text(offset).ok_or(damaged)?,
            (Some(RELEASE), Some(STRING)) => package.release = text(offset).ok_or(damaged)?,
            (Some(ARCHITECTURE), Some(STRING)) => package.architecture = Some(text(offset).ok_or(damaged)?),
            (Some(EPOCH), Some(INT32)) => package.epoch = Some(number(data + offset).ok_or(damaged)?),
            _ => {}
        }
    }
    if package.name.is_empty() { Err("a package without a name") } else { Ok(package) }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(bytes: Vec<u8>, entries in 0_u32..4) {
            let _ = package(&bytes);
            let mut header = entries.to_be_bytes().to_vec();
            header.extend(&bytes);
            let _ = package(&header);
        }
    }
}
