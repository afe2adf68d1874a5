//! dpkg's status file: paragraphs of `Field: value`, an empty line between them (deb822, dpkg-query(1)).

use std::io::BufRead;

use super::lines;
use super::{Ecosystem, Found, Unread};

#[derive(Default)]
struct Paragraph {
    package: String,
    version: String,
    architecture: String,
    status: Option<String>,
}

pub fn read(stream: &mut dyn BufRead, found: &mut Found) -> Result<(), Unread> {
    let mut paragraph = Paragraph::default();
    lines::each(stream, |line| {
        if line.trim().is_empty() {
            return std::mem::take(&mut paragraph).end(found);
        }
        // A line that begins with a space goes on with the field above, which is none that is looked for.
        if let Some((field, value)) = line.split_once(':')
            && !line.starts_with([' ', '\t'])
        {
            let value = value.trim();
            // dpkg compares the names of fields without regard to case.
            match field.to_ascii_lowercase().as_str() {
                "package" => value.clone_into(&mut paragraph.package),
                "version" => value.clone_into(&mut paragraph.version),
                "architecture" => value.clone_into(&mut paragraph.architecture),
                "status" => paragraph.status = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(())
    })?;
    paragraph.end(found)
}

impl Paragraph {
    /// A package counts whose files are there: a removed one may leave its settings, and keeps its paragraph for them.
    fn end(self, found: &mut Found) -> Result<(), Unread> {
        let here = match &self.status {
            // Images without dpkg (distroless) have paragraphs without a status.
            None => true,
            Some(status) => !matches!(status.rsplit(' ').next(), Some("not-installed" | "config-files") | None),
        };
        if self.package.is_empty() || !here {
            return Ok(());
        }
        found.add(Ecosystem::Deb, &self.package, &self.version, Some(&self.architecture))
    }
}
