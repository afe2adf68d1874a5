//! A Python distribution's core metadata: `Name: value` like a mail's header, then its description.

use std::io::BufRead;

use super::lines;
use super::{Ecosystem, Found, Unread};

pub fn read(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    let (mut name, mut version, mut header) = (String::new(), String::new(), true);
    lines::each(stream, |line| {
        header &= !line.is_empty();
        match line.split_once(':') {
            Some((field, value)) if header && field.eq_ignore_ascii_case("name") => value.trim().clone_into(&mut name),
            Some((field, value)) if header && field.eq_ignore_ascii_case("version") => {
                value.trim().clone_into(&mut version);
            }
            _ => {}
        }
        Ok(())
    })?;
    if name.is_empty() {
        return Err(Unread::content("the metadata of a Python package has no name"));
    }
    found.add(Ecosystem::Pypi, &name, &version, None)
}
