//! apk's database: blocks of `X:value`, an empty line between them (apk-package(5): `P` name, `V` version, `A` architecture).

use std::io::BufRead;

use super::lines;
use super::{Ecosystem, Found, Unread};

pub fn read(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    let mut block: [String; 3] = Default::default();
    let mut end = |block: &mut [String; 3]| {
        let [name, version, architecture] = std::mem::take(block);
        if name.is_empty() { Ok(()) } else { found.add(Ecosystem::Apk, &name, &version, Some(&architecture)) }
    };
    lines::each(stream, |line| {
        match line.split_once(':') {
            None if line.trim().is_empty() => return end(&mut block),
            Some(("P", value)) => value.clone_into(&mut block[0]),
            Some(("V", value)) => value.clone_into(&mut block[1]),
            Some(("A", value)) => value.clone_into(&mut block[2]),
            _ => {}
        }
        Ok(())
    })?;
    end(&mut block)
}
