//! Paths in layers: bytes, relative to the image's root, `/` between their parts, none of them `.` or `..`.

use std::cmp::Ordering;

use super::Fault;

/// The longest path, in bytes: Linux's own limit.
pub const LONGEST: usize = 4096;

/// A path as archives write it (`./a`, `/a`, `a//b`, `a/x/../b`) in its one form; the root is empty.
pub fn normal(path: &[u8]) -> Result<Vec<u8>, Fault> {
    if path.len() > LONGEST {
        return Err(Fault::TooMuch("a longer path"));
    }
    let mut normal: Vec<u8> = Vec::with_capacity(path.len());
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if normal.is_empty() => return Err(Fault::Escapes(shown(path))),
            b".." => normal.truncate(normal.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            _ if part.contains(&0) => return Err(Fault::Malformed("a path with a NUL in it")),
            _ => {
                if !normal.is_empty() {
                    normal.push(b'/');
                }
                normal.extend_from_slice(part);
            }
        }
    }
    Ok(normal)
}

/// The order of directories and what is in them: a directory, all that is below it, then its next neighbour.
pub fn order(a: &[u8], b: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(key).cmp(b.iter().map(key))
}

/// Whether a path lies below a directory.
pub fn below(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// A path as text that is safe for a terminal.
pub fn shown(path: &[u8]) -> String {
    crate::text::neutral_line(&String::from_utf8_lossy(path), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_path() {
        for (written, expected) in [
            ("./etc/passwd", "etc/passwd"),
            ("/etc//passwd", "etc/passwd"),
            ("etc/x/../passwd", "etc/passwd"),
            ("a/../b", "b"),
            ("./", ""),
            ("etc/", "etc"),
        ] {
            assert_eq!(normal(written.as_bytes()).unwrap(), expected.as_bytes(), "{written}");
        }
        for escape in ["..", "../etc/passwd", "/../x", "a/../../x"] {
            assert!(matches!(normal(escape.as_bytes()), Err(Fault::Escapes(_))), "{escape}");
        }
        assert!(matches!(normal(&[b'a'; 5000]), Err(Fault::TooMuch(_))));
    }

    proptest::proptest! {
        #[test]
        fn a_normal_path_is_its_own(path in "[a./\\x00é-]{0,30}") {
            if let Ok(once) = normal(path.as_bytes()) {
                proptest::prop_assert_eq!(normal(&once).unwrap(), once.clone());
                proptest::prop_assert!(!once.split(|b| *b == b'/').any(|part| part == b".."));
            }
        }

        #[test]
        fn what_is_below_follows_at_once(mut paths in proptest::collection::vec("[a-c.-]{1,2}(/[a-c.-]{1,2}){0,3}", 0..30)) {
            paths.sort_by(|a, b| order(a.as_bytes(), b.as_bytes()));
            for (at, directory) in paths.iter().enumerate() {
                let rest = paths[at..].iter().skip_while(|path| *path == directory);
                let mut inside = rest.skip_while(|path| below(path.as_bytes(), directory.as_bytes()));
                proptest::prop_assert!(!inside.any(|path| below(path.as_bytes(), directory.as_bytes())));
            }
        }
    }
}
