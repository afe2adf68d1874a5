//! Merging by structure: what a file says, key by key, not how its lines lie. The project's text stays as it is; what
//! the template put, changed or took away is spliced into it, and what comes out is read again before it is believed.

mod dotenv;
mod ignore;
mod json;
#[cfg(test)]
mod tests;
mod toml;
mod value;
mod yaml;

use value::{Patch, Value};

/// The largest text that is merged by structure, in bytes; larger ones are lines.
const CAP: usize = 1024 * 1024;

/// How a file is read, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
    Yaml,
    Ignore,
    Dotenv,
}

impl Format {
    /// The format of a file of that name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (stem, extension) = name.rsplit_once('.')?;
        match extension {
            _ if extension == "env" || stem == ".env" || stem.starts_with(".env.") => Some(Self::Dotenv),
            _ if stem.is_empty() && extension.ends_with("ignore") => Some(Self::Ignore),
            "json" | "webmanifest" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "yml" | "yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// What three texts merge to.
#[derive(Debug)]
pub(super) enum Merged {
    /// What the lines merge to; the keys are what clashes there.
    Lines { keys: Vec<String> },
    /// Everything of both sides.
    Clean(String),
    /// Three texts that are equal but for the keys that both sides changed.
    Clash { base: String, theirs: String, mine: String, keys: Vec<String> },
}

/// What a merge by lines comes to, with the project's lines and with the template's where they clash.
#[derive(Clone, Copy)]
pub(super) struct ByLines<'a> {
    pub(super) mine: &'a str,
    pub(super) theirs: &'a str,
}

/// Merges base, theirs and mine. The merge by lines is taken if it says the same, since it has the template's comments
/// and order, too. None: only lines can be merged.
pub(super) fn merge(format: Format, texts: [&str; 3], by_lines: Option<ByLines<'_>>) -> Option<Merged> {
    if texts.iter().any(|text| text.len() > CAP) {
        return None;
    }
    match format {
        Format::Json => documents::<json::Json>(texts, by_lines),
        Format::Toml => documents::<toml::Toml>(texts, by_lines),
        Format::Yaml => documents::<yaml::Yaml>(texts, by_lines),
        Format::Dotenv => documents::<dotenv::Dotenv>(texts, by_lines),
        Format::Ignore => ignore::merge(texts, by_lines),
    }
}

/// What there was of a format when there was no file.
pub(super) fn nothing(format: Format) -> &'static str {
    if format == Format::Json { "{}\n" } else { "" }
}

/// Whether a text can be read as its format; only asked of formats that can be broken.
pub(super) fn reads(format: Format, text: &str) -> bool {
    match format {
        Format::Json => json::Json::read(text).is_some(),
        Format::Toml => toml::Toml::read(text).is_some(),
        Format::Yaml => yaml::Yaml::read(text).is_some(),
        Format::Ignore | Format::Dotenv => true,
    }
}

/// A text of a format that has keys and values.
trait Document: Sized {
    /// Reads it; none where it is broken, or has something that a merge by structure would not do justice to.
    fn read(text: &str) -> Option<Self>;

    /// What it says.
    fn value(&self) -> Value;

    /// Its text with a patch whose parts come from another document. With a base, nothing goes that differs from it, be
    /// it a comment; then there is none.
    fn patched(&self, patch: &Patch, from: &Self, base: Option<&Self>) -> Option<String>;
}

fn documents<D: Document>(texts: [&str; 3], by_lines: Option<ByLines<'_>>) -> Option<Merged> {
    let [base, theirs, mine] = texts.map(D::read);
    let (base, theirs, mine) = (base?, theirs?, mine?);
    let plan = value::plan(&base.value(), &theirs.value(), &mine.value())?;
    let wanted = mine.value().patched(&plan.patch, &theirs.value());
    let as_theirs = wanted.patched(&plan.clashes, &theirs.value());
    let says = |text: &str, wanted: &Value| D::read(text).is_some_and(|read| read.value() == *wanted);
    if by_lines.is_some_and(|by_lines| says(by_lines.mine, &wanted) && says(by_lines.theirs, &as_theirs)) {
        return Some(Merged::Lines { keys: plan.keys });
    }
    // A text is only believed when it says what it should.
    let checked =
        |text: String, wanted: &Value| D::read(&text).filter(|read| read.value() == *wanted).map(|read| (text, read));
    let (mine, settled) = checked(mine.patched(&plan.patch, &theirs, Some(&base))?, &wanted)?;
    if plan.keys.is_empty() {
        return Some(Merged::Clean(mine));
    }
    let with = |side: &D| {
        let wanted = settled.value().patched(&plan.clashes, &side.value());
        checked(settled.patched(&plan.clashes, side, None)?, &wanted).map(|(text, _)| text)
    };
    Some(Merged::Clash { base: with(&base)?, theirs: with(&theirs)?, mine, keys: plan.keys })
}
