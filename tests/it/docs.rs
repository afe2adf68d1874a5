//! The documentation is true: its commands run, its links lead somewhere, its TOML is read by onramp's own parsers.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use onramp::document::DocumentError;
use onramp::error::Fault;
use onramp::project::{Lock, manifest};
use onramp::settings::UserSettings;
use onramp::tree::Entry;
use onramp::{blocks, document, images, state, template};
use regex::Regex;

use crate::company::OwnPlayground;

/// A fenced block of a page.
struct Block {
    /// What the fence says: `sh`, `text`, `toml`.
    language: String,
    /// Where its fence stands, from 1.
    line: usize,
    text: String,
}

#[test]
fn the_quick_start_runs_as_it_is_written() {
    play("docs/quickstart.md");
}

#[test]
fn the_readme_runs_as_it_is_written() {
    play("README.md");
}

#[test]
fn every_link_leads_to_something() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut dead = Vec::new();
    for page in pages() {
        let text = prose(&read(&page));
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let place = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = place.exists() && (heading.is_empty() || headings(&read(&place)).iter().any(|h| h == heading));
            if !there {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn every_example_of_a_file_is_read_by_its_parser() {
    let mut seen = Vec::new();
    for page in pages() {
        for block in fenced(&read(&page)).into_iter().filter(|block| block.language == "toml") {
            let place = format!("{}:{}", page.display(), block.line);
            let first = block.text.lines().next().unwrap_or_default();
            let file = first
                .strip_prefix("# ")
                .unwrap_or_else(|| panic!("{place}: the first line names the file: # onramp.toml"));
            let file = file.split([' ', ':']).next().unwrap_or_default();
            parse(file, &block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
            seen.push(Path::new(file).file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    for file in
        ["onramp.toml", "onramp.lock", "block.toml", "catalog.toml", "image.toml", "state.toml", "settings.toml"]
    {
        assert!(seen.iter().any(|found| found == file), "no page shows {file}");
    }
}

/// What every `block.toml` says.
const BLOCK: &str = "name = \"a\"\nkind = \"app\"\nversion = \"1.0.0\"\ndescription = \"d\"\nowner = \"o\"\n";

#[test]
fn every_key_of_every_file_is_described() {
    let page = read(&root().join("docs/reference/files.md"));
    let service = "[services.web]\n";
    // Where a key that nobody knows stands; the parser answers with those that it knows.
    let places = [
        ("onramp.toml", String::new()),
        ("onramp.toml", "[blocks.web]\n".to_owned()),
        ("onramp.toml", service.to_owned()),
        ("onramp.toml", format!("{service}[services.web.build]\n")),
        ("onramp.toml", format!("{service}[services.web.limits]\n")),
        ("onramp.toml", format!("{service}[services.web.ready]\n")),
        ("onramp.toml", format!("{service}[services.web.puppet]\n")),
        ("onramp.toml", "[tests.unit]\n".to_owned()),
        ("onramp.toml", "[sandbox]\n".to_owned()),
        ("onramp.lock", "[blocks.web]\n".to_owned()),
        ("onramp.lock", "[images.\"r.test/a:1\"]\n".to_owned()),
        ("catalog.toml", "[company]\n".to_owned()),
        ("catalog.toml", "[forge]\n".to_owned()),
        ("catalog.toml", "[[signature]]\n".to_owned()),
        ("block.toml", String::new()),
        ("block.toml", format!("{BLOCK}[questions.a]\ntype = \"str\"\n")),
        ("block.toml", format!("{BLOCK}[render]\n")),
        ("block.toml", format!("{BLOCK}[checks.a]\n")),
        ("block.toml", format!("{BLOCK}[[tasks]]\nrun = \"true\"\n")),
        ("image.toml", String::new()),
        ("image.toml", "[rootfs]\n".to_owned()),
        ("state.toml", "[[environment]]\n".to_owned()),
        ("state.toml", "[[environment]]\n[environment.policy]\n".to_owned()),
        ("state.toml", "[format]\n".to_owned()),
        ("environments/test/shop.toml", service.to_owned()),
    ];
    for (file, table) in places {
        let error = parse(file, &format!("schema = 1\n{table}qqqqqqqqqqqq = 1\n")).unwrap_err();
        let hint = error.hint().unwrap_or_default();
        let known = hint.strip_prefix("known here: ").unwrap_or_else(|| panic!("{file} {table}: {error}, {hint}"));
        for key in known.split(", ") {
            let described = [format!("`{key}`"), format!(".{key}`"), format!("`{key}."), format!(".{key}.")];
            assert!(
                described.iter().any(|form| page.contains(form)),
                "{file} {table}: files.md does not describe `{key}`"
            );
        }
    }
}

/// Reads an example as the file that it is.
fn parse(file: &str, text: &str) -> Result<(), DocumentError> {
    let path = Path::new(file);
    match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
        "onramp.toml" => manifest::parse(path, text).map(drop),
        "onramp.lock" => document::parse::<Lock>(path, text).map(drop),
        "block.toml" => block(path, text),
        "catalog.toml" => document::parse::<blocks::catalog::Defaults>(path, text).map(drop),
        "settings.toml" => document::parse::<UserSettings>(path, text).map(drop),
        "state.toml" => state::policy::parse(path, text).map(drop),
        "image.toml" => images::build::definition::check(path, text),
        _ if file.starts_with("environments/") => state::environment::check(path, text).map(drop),
        _ => panic!("`{file}` is no file of onramp"),
    }
}

/// Both that read a `block.toml`: what the catalog says of a block, and what it asks and renders.
fn block(path: &Path, text: &str) -> Result<(), DocumentError> {
    blocks::manifest::parse(path, text)?;
    let source = [("block.toml".parse().unwrap(), Entry::file(text.to_owned()))].into_iter().collect();
    match template::dialect::read("a block", source) {
        Ok(_) => Ok(()),
        Err(template::Error::Document(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// Plays a page's `sh` blocks in one bash session on a machine of its own. Every line of a `text` block must be in the
/// output of the `sh` block before it; `…` stands for anything left out.
#[track_caller]
fn play(page: &str) {
    let blocks = fenced(&read(&root().join(page)));
    let is_ours = |block: &&Block| block.language == "sh" && !block.text.lines().all(|line| line.starts_with("make "));
    if !blocks.iter().any(|block| is_ours(&block)) {
        return;
    }
    let own = OwnPlayground::away();
    let machine = own.machine();
    let _sandboxes = Sandboxes(&own);
    let mut script = "set -euo pipefail\nexec 2>&1\n".to_owned();
    for block in blocks.iter().filter(is_ours) {
        writeln!(script, "printf '\\n@@ %s\\n' {}\n{}", block.line, block.text).unwrap();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_onramp")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), machine.environment()["PATH"]);
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(&script).current_dir(machine.path("")).env_clear().envs(machine.environment()).env("PATH", path);
    let output = bash.stdin(Stdio::null()).output().expect("bash runs");
    let told = steady(&machine.filter(&String::from_utf8_lossy(&output.stdout)));
    assert!(output.status.success(), "{page}: a block failed (`@@ line`):\n{told}");

    let said: Vec<(&str, &str)> =
        told.split("\n@@ ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, ""))).collect();
    let mut last = None;
    for block in &blocks {
        match block.language.as_str() {
            "sh" => last = said.iter().find(|(line, _)| *line == block.line.to_string()),
            "text" => {
                let Some((_, output)) = last else { continue };
                let expected = steady(&machine.filter(&block.text));
                for line in expected.lines().filter(|line| !line.is_empty() && *line != "…") {
                    assert!(
                        output.lines().any(|said| said == line),
                        "{page}:{}: `{line}` is not in what was said:\n{output}",
                        block.line
                    );
                }
            }
            _ => {}
        }
    }
}

/// The sandboxes of whatever projects a page made: they go with it.
struct Sandboxes<'a>(&'a OwnPlayground);

impl Drop for Sandboxes<'_> {
    fn drop(&mut self) {
        let machine = self.0.machine();
        for entry in std::fs::read_dir(machine.path("")).into_iter().flatten().flatten() {
            if entry.path().join("onramp.toml").is_file() {
                let _ = machine.onramp("down --data --yes --quiet").dir(entry.path()).code();
            }
        }
    }
}

/// Without what differs from run to run, and with single spaces.
fn steady(text: &str) -> String {
    static FILTERS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let filters = [
            (r"\b[0-9a-f]{12}\b", "[SHORT]"),
            (r"\b([a-z][a-z0-9-]*)-[0-9a-f]{8}\b", "$1-[ID]"),
            (r"\(\d+(\.\d+)? m?s\)", "([TIME])"),
            (r"\d+(\.\d+)? [GM]B free", "[FREE]"),
            (r"\b\d+ (s|min|h)\b|just now", "[AGE]"),
            (r"[ \t]+", " "),
        ];
        filters.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
    });
    let mut text = text.to_owned();
    for (pattern, name) in FILTERS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page of the repository, the templates' apart: those are a catalog's.
fn pages() -> Vec<PathBuf> {
    fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                into.push(path);
            }
        }
    }
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    collect(&root().join("docs"), &mut pages);
    pages.sort();
    pages
}

/// The fenced blocks of a page, in order.
fn fenced(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                found.push(Block { language: language.trim().to_owned(), line: number + 1, text: String::new() });
            }
            None if open => {
                let block = found.last_mut().expect("a fence opened it");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "a fence is not closed");
    found
}

/// A page without its fenced blocks and code, where brackets are no links.
fn prose(page: &str) -> String {
    let mut open = false;
    let lines = page.lines().filter(|line| {
        let fence = line.starts_with("```");
        open ^= fence;
        !open && !fence
    });
    let lines: Vec<&str> = lines.collect();
    Regex::new(r"\[`([^`]*)`\]").unwrap().replace_all(&lines.join("\n"), "[$1]").into_owned()
}

/// What a page's headings are called in links.
fn headings(page: &str) -> Vec<String> {
    let titles = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    titles.map(|title| title.to_lowercase().replace(' ', "-").chars().filter(|c| word(*c)).collect()).collect()
}
