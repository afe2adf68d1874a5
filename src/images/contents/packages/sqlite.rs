//! Just enough of `SQLite`'s file format to read one table's rows (sqlite.org/fileformat2.html), from a file that anybody
//! may have made: every offset is checked, every walk is bounded.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The deepest tree: `SQLite`'s own largest database has less.
const DEPTH: usize = 20;
/// What is wrong with the file.
pub type Fault = &'static str;

const DAMAGED: Fault = "the SQLite database is damaged";

/// A database file.
pub struct Database {
    file: File,
    page: usize,
    usable: usize,
    pages: u32,
    /// How many bytes of rows may still be read: all rows of an honest file fit into it.
    left: Cell<u64>,
}

/// One value of a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// A number; NULL and fractions are 0.
    Number(i64),
    /// Text or bytes.
    Bytes(Vec<u8>),
}

impl Database {
    /// Opens a file of this many bytes.
    pub fn open(file: File, size: u64) -> Result<Self, Fault> {
        let mut head = [0; 100];
        file.read_exact_at(&mut head, 0).map_err(|_| DAMAGED)?;
        if &head[..16] != b"SQLite format 3\0" {
            return Err("it is no SQLite database");
        }
        let page = match u16::from_be_bytes([head[16], head[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = page.checked_sub(usize::from(head[20])).filter(|usable| *usable >= 480).ok_or(DAMAGED)?;
        if !page.is_power_of_two() || page < 512 {
            return Err(DAMAGED);
        }
        let pages = u32::try_from(size / page as u64).map_err(|_| DAMAGED)?;
        Ok(Self { file, page, usable, pages, left: Cell::new(size) })
    }

    /// Calls `row` with the columns of every row of a table. Rows larger than `cap` bytes are faults.
    pub fn rows(
        &self,
        table: &str,
        cap: usize,
        mut row: impl FnMut(Vec<Value>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut root = None;
        self.walk(1, 64 * 1024, &mut |schema| {
            // type, name, tbl_name, rootpage, sql
            if let [Value::Bytes(kind), Value::Bytes(name), _, Value::Number(page), ..] = schema.as_slice()
                && kind == b"table"
                && name == table.as_bytes()
            {
                root = u32::try_from(*page).ok();
            }
            Ok(())
        })?;
        self.walk(root.ok_or("the SQLite database has no table of packages")?, cap, &mut row)
    }

    /// Walks a table's tree. No page is visited more often than the file has pages in all, so loops end.
    fn walk(&self, root: u32, cap: usize, row: &mut dyn FnMut(Vec<Value>) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut visits = self.pages;
        let mut waiting = vec![(root, 0)];
        while let Some((number, depth)) = waiting.pop() {
            visits = visits.checked_sub(1).ok_or(DAMAGED)?;
            let page = self.page(number)?;
            let at = if number == 1 { 100 } else { 0 };
            let cells = usize::from(be16(&page, at + 3)?);
            let (kind, header) = match page.get(at) {
                Some(13) => (Kind::Leaf, 8),
                Some(5) if depth < DEPTH => (Kind::Interior, 12),
                _ => return Err(DAMAGED),
            };
            if matches!(kind, Kind::Interior) {
                waiting.push((be32(&page, at + 8)?, depth + 1));
            }
            for cell in 0..cells {
                // Interior pages wait on a stack: their cells are pushed last first.
                let index = if matches!(kind, Kind::Interior) { cells - 1 - cell } else { cell };
                let cell = usize::from(be16(&page, at + header + 2 * index)?);
                match kind {
                    Kind::Interior => waiting.push((be32(&page, cell)?, depth + 1)),
                    Kind::Leaf => row(record(&self.payload(&page, cell, cap)?)?)?,
                }
            }
            if waiting.len() > self.pages as usize {
                return Err(DAMAGED);
            }
        }
        Ok(())
    }

    /// A cell's bytes, those on overflow pages among them.
    fn payload(&self, page: &[u8], cell: usize, cap: usize) -> Result<Vec<u8>, Fault> {
        let (length, at) = varint(page, cell)?;
        let (_, at) = varint(page, at)?;
        let length = usize::try_from(length).map_err(|_| DAMAGED)?;
        if length > cap {
            return Err("a row of the SQLite database is larger than any honest one");
        }
        let left = self.left.get().checked_sub(length as u64).ok_or(DAMAGED)?;
        self.left.set(left);
        let (max, min) = (self.usable - 35, (self.usable - 12) * 32 / 255 - 23);
        if length <= max {
            return Ok(page.get(at..at + length).ok_or(DAMAGED)?.to_vec());
        }
        let local = min + (length - min) % (self.usable - 4);
        let local = if local <= max { local } else { min };
        let mut payload = page.get(at..at + local).ok_or(DAMAGED)?.to_vec();
        let mut next = be32(page, at + local)?;
        while payload.len() < length {
            let overflow = self.page(next)?;
            let part = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(&overflow[4..4 + part]);
            next = be32(&overflow, 0)?;
        }
        Ok(payload)
    }

    fn page(&self, number: u32) -> Result<Vec<u8>, Fault> {
        if number == 0 || number > self.pages {
            return Err(DAMAGED);
        }
        let mut page = vec![0; self.page];
        self.file.read_exact_at(&mut page, u64::from(number - 1) * self.page as u64).map_err(|_| DAMAGED)?;
        Ok(page)
    }
}

enum Kind {
    Interior,
    Leaf,
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Fault> {
    bytes.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]])).ok_or(DAMAGED)
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    bytes.get(at..at + 4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]])).ok_or(DAMAGED)
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), Fault> {
    let mut value = 0_u64;
    for index in 0..9 {
        let byte = *bytes.get(at + index).ok_or(DAMAGED)?;
        if index == 8 {
            return Ok(((value << 8) | u64::from(byte), at + 9));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok((value, at + index + 1));
        }
    }
    Err(DAMAGED)
}

/// The columns of a record.
fn record(payload: &[u8]) -> Result<Vec<Value>, Fault> {
    let (header, mut at) = varint(payload, 0)?;
    let header = usize::try_from(header).ok().filter(|header| *header <= payload.len()).ok_or(DAMAGED)?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let (kind, next) = varint(payload, at)?;
        at = next;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).map_err(|_| DAMAGED)?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(DAMAGED),
            _ => usize::try_from((kind - 12) / 2).map_err(|_| DAMAGED)?,
        };
        let end = body.checked_add(length).ok_or(DAMAGED)?;
        let bytes = payload.get(body..end).ok_or(DAMAGED)?;
        body = end;
        values.push(match kind {
            9 => Value::Number(1),
            0 | 7 | 8 => Value::Number(0),
            1..=6 => {
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
                Value::Number(bytes.iter().fold(sign, |value, byte| (value << 8) | i64::from(*byte)))
            }
            _ => Value::Bytes(bytes.to_vec()),
        });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open(bytes: &[u8]) -> Result<Database, Fault> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Database::open(file, bytes.len() as u64)
    }

    /// A database as `SQLite` itself writes it: many pages, rows with overflow pages.
    fn real(rows: usize) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sqlite");
        let script = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('create table other (x)')
db.execute('create table Packages (hnum integer primary key, blob blob not null)')
for i in range(int(sys.argv[2])):
    db.execute('insert into Packages values (?, ?)', (i * 7 + 1, bytes([i % 251]) * (i * 37 % 9001)))
db.commit()
";
        let done = std::process::Command::new("python3")
            .arg("-c")
            .arg(script)
            .arg(&path)
            .arg(rows.to_string())
            .status()
            .unwrap();
        assert!(done.success());
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn what_sqlite_writes_is_read() {
        let bytes = real(600);
        let mut index = 0_usize;
        let database = open(&bytes).unwrap();
        database
            .rows("Packages", 1 << 20, |row| {
                let byte = u8::try_from(index % 251).unwrap();
                assert_eq!(row[1], Value::Bytes(vec![byte; index * 37 % 9001]), "row {index}");
                index += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(index, 600);
        assert!(database.rows("Nothing", 1 << 20, |_| Ok(())).is_err());
        assert!(database.rows("Packages", 1000, |_| Ok(())).is_err(), "rows are capped");
    }

    #[test]
    fn damage_ends_the_reading() {
        let bytes = real(20);
        // Each byte that steers the walk, set to what misleads it most; a run that does not end fails by the clock.
        for at in (0..100).chain((0..bytes.len()).step_by(31)) {
            for value in [0, 5, 13, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(database) = open(&damaged) {
                    let _ = database.rows("Packages", 1 << 20, |_| Ok(()));
                }
            }
        }
        for end in [0, 50, 100, 511, 4096, bytes.len() - 1] {
            let truncated = &bytes[..end];
            let rows = open(truncated).and_then(|database| database.rows("Packages", 1 << 20, |_| Ok(())));
            assert!(rows.is_err(), "cut at {end}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_record_makes_the_reader_panic(bytes: Vec<u8>) {
            let _ = record(&bytes);
            let _ = open(&bytes);
        }
    }
}
