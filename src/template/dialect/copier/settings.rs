//! The settings of `copier.yml`: how the template is rendered.

use pep440_rs::Version;

use super::super::super::question::cast::truth;
use super::super::super::yaml::{Content, Node};
use super::super::super::{Error, External, Named, Python, Rules, Suffix, Syntax, Undefined, Value, external};
use super::{Config, VERSION};

/// What Copier does not render when a template says nothing about it.
const EXCLUDED: [&str; 8] = ["copier.yaml", "copier.yml", "~*", "*.py[co]", "__pycache__", ".git", ".DS_Store", ".svn"];

/// The most files of a project that a template reads.
const MOST_FILES: usize = 50;

/// The rules of rendering.
pub fn rules(config: &Config<'_>) -> Result<Rules, Error> {
    check_version(config)?;
    let one = |name: &str| match config.setting(name) {
        None => Ok(None),
        Some(item) => config.text(item, &item.node).map(Some),
    };
    let subdirectory = one("_subdirectory")?.unwrap_or_default();
    let exclude = match config.setting("_exclude") {
        Some(_) => config.texts("_exclude")?,
        None if matches!(subdirectory.trim_end_matches('/'), "" | ".") => EXCLUDED.map(str::to_owned).to_vec(),
        None => Vec::new(),
    };
    let suffix = match config.setting("_templates_suffix") {
        None => Suffix::default(),
        Some(item) if item.node.content == Content::Scalar(Value::Null) => Suffix::default(),
        Some(item) => match config.text(item, &item.node)? {
            every if every.is_empty() => Suffix::Every,
            suffix => Suffix::Only(suffix),
        },
    };
    let preserve_symlinks = match config.setting("_preserve_symlinks") {
        None => false,
        Some(item) => truth(&config.value(item, &item.node)?),
    };
    Ok(Rules {
        subdirectory,
        suffix,
        syntax: syntax(config)?,
        exclude,
        skip_if_exists: config.texts("_skip_if_exists")?,
        copy_only: Vec::new(),
        answers_file: one("_answers_file")?,
        external: external(config)?,
        preserve_symlinks,
        extensions: extensions(config)?,
        python: Python::Refused,
        undefined: undefined(config)?,
        facts: serde_json::Map::new(),
    })
}

fn check_version(config: &Config<'_>) -> Result<(), Error> {
    let Some(item) = config.setting("_min_copier_version") else { return Ok(()) };
    let text = config.text(item, &item.node)?;
    let wanted: Version = text
        .parse()
        .map_err(|_| config.wrong(item, &item.node, format!("_min_copier_version: `{text}` is no version")))?;
    if wanted > Version::new(VERSION) {
        let known = Version::new(VERSION);
        let message = format!("it is for Copier {wanted} and later; templates are read as Copier {known} reads them");
        return Err(config.wrong(item, &item.node, message));
    }
    Ok(())
}

/// The Jinja extensions that need Python: those that the engine does not have by itself.
fn extensions(config: &Config<'_>) -> Result<Vec<Named>, Error> {
    let Some(item) = config.setting("_jinja_extensions") else { return Ok(Vec::new()) };
    let mut extensions = Vec::new();
    for node in config.list(item, &item.node)? {
        let name = config.text(item, node)?;
        if !super::super::is_native_extension(&name) {
            extensions.push(Named { name, place: Config::place(item, node) });
        }
    }
    Ok(extensions)
}

/// Jinja's delimiters and whitespace rules.
pub(super) fn syntax(config: &Config<'_>) -> Result<Syntax, Error> {
    let mut syntax = Syntax::default();
    let Some(item) = config.setting("_envops") else { return Ok(syntax) };
    let pairs = match &item.node.content {
        Content::Mapping(pairs) => pairs.as_slice(),
        Content::Scalar(Value::Null) => &[],
        _ => return Err(config.wrong(item, &item.node, "_envops: expected a table")),
    };
    for (key, node) in pairs {
        let name = key.key();
        if name == "undefined" {
            continue;
        }
        let value = config.value(item, node)?;
        set(&mut syntax, &name, &value).map_err(|message| config.wrong(item, node, format!("_envops: {message}")))?;
    }
    Ok(syntax)
}

/// What an undefined variable means: one of the two classes of Jinja that Copier takes.
fn undefined(config: &Config<'_>) -> Result<Undefined, Error> {
    let Some(item) = config.setting("_envops") else { return Ok(Undefined::Lenient) };
    let Content::Mapping(pairs) = &item.node.content else { return Ok(Undefined::Lenient) };
    let Some((_, node)) = pairs.iter().find(|(key, _)| key.key() == "undefined") else {
        return Ok(Undefined::Lenient);
    };
    match config.text(item, node)?.as_str() {
        "jinja2.Undefined" => Ok(Undefined::Lenient),
        "jinja2.StrictUndefined" => Ok(Undefined::Strict),
        _ => {
            let message = "_envops: undefined: expected jinja2.Undefined or jinja2.StrictUndefined".to_owned();
            Err(config.wrong(item, node, message))
        }
    }
}

/// Sets one of the options of Jinja's environment.
pub(in super::super) fn set(syntax: &mut Syntax, name: &str, value: &Value) -> Result<(), String> {
    let text = || value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let needed = || text().ok_or_else(|| format!("{name}: expected text"));
    match name {
        "block_start_string" => syntax.block.0 = needed()?,
        "block_end_string" => syntax.block.1 = needed()?,
        "variable_start_string" => syntax.variable.0 = needed()?,
        "variable_end_string" => syntax.variable.1 = needed()?,
        "comment_start_string" => syntax.comment.0 = needed()?,
        "comment_end_string" => syntax.comment.1 = needed()?,
        "line_statement_prefix" => syntax.line_statement = text(),
        "line_comment_prefix" => syntax.line_comment = text(),
        "trim_blocks" => syntax.trim_blocks = truth(value),
        "lstrip_blocks" => syntax.lstrip_blocks = truth(value),
        "keep_trailing_newline" => syntax.keep_trailing_newline = truth(value),
        // These change nothing that is rendered.
        "cache_size" | "auto_reload" | "optimized" | "enable_async" => {}
        "autoescape" if !truth(value) => {}
        "newline_sequence" if value == "\n" => {}
        _ => return Err(format!("{name} is not supported")),
    }
    Ok(())
}

/// The files of the project that its templates read.
fn external(config: &Config<'_>) -> Result<Vec<External>, Error> {
    let Some(item) = config.setting(external::NAME) else { return Ok(Vec::new()) };
    let Content::Mapping(pairs) = &item.node.content else {
        return Err(config.wrong(item, &item.node, "_external_data: expected a table of paths by name"));
    };
    if pairs.len() > MOST_FILES {
        return Err(config.wrong(item, &item.node, format!("_external_data: more than {MOST_FILES} files")));
    }
    let one = |(key, node): &(Node, Node)| {
        let path = config.text(item, node)?;
        Ok(External { name: key.key(), path, place: Config::place(item, node) })
    };
    pairs.iter().map(one).collect()
}
