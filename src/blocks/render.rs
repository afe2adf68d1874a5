//! Templates of a block, rendered with limits: Copier's manners (Jinja2, `.jinja` dropped, names are templates, an empty
//! name drops the file), and nothing but text comes out.

mod filters;
mod path;

use std::collections::BTreeMap;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use super::answer::Answer;
use super::block::{Block, Mode};
use super::manifest::QuestionId;
use super::{BlockId, Error};
use crate::text;

/// The suffix of files that are templates.
const SUFFIX: &str = ".jinja";
/// The most that one rendered file may weigh, in bytes.
pub const FILE_CAP: usize = 8 * 1024 * 1024;
/// The most that all of them may weigh, in bytes.
pub const TOTAL_CAP: usize = 64 * 1024 * 1024;
/// How much one template may compute: instructions, and 64 bytes of memory each. The largest honest ones take thousands.
const FUEL: u64 = 2_000_000;

/// What templates know besides the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `_project.name`.
    pub project: String,
    /// `_company.name`.
    pub company: String,
    /// `_company.registry`.
    pub registry: String,
}

/// A file that a project gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Where, from the project's directory.
    pub path: String,
    /// What.
    pub contents: Vec<u8>,
    /// Whether it can be run.
    pub executable: bool,
}

/// Renders the templates of one block.
pub struct Renderer {
    environment: Environment<'static>,
    variables: BTreeMap<String, Value>,
    block: String,
}

impl Renderer {
    /// A renderer that knows the facts, and no answers yet.
    pub fn new(block: &BlockId, facts: &Facts) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Escaping by the name's suffix would put `&quot;` into html templates; Copier does not escape.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        // Jinja's own delimiters are never refused, and there is nothing else to set.
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        filters::add(&mut environment);
        let table = |pairs: &[(&'static str, String)]| Value::from_pairs(pairs.iter().cloned());
        let variables = BTreeMap::from([
            ("_project".to_owned(), table(&[("name", facts.project.clone())])),
            ("_company".to_owned(), table(&[("name", facts.company.clone()), ("registry", facts.registry.clone())])),
            ("_catalog".to_owned(), Value::from(block.source.clone())),
            ("_block".to_owned(), table(&[("name", block.name.to_string()), ("version", block.version.to_string())])),
        ]);
        Self { environment, variables, block: block.to_string() }
    }

    /// Makes an answer known to the templates that follow.
    pub fn answer(&mut self, question: &QuestionId, answer: &Answer) {
        self.variables.insert(question.as_str().to_owned(), answer.into());
    }

    /// Renders a template that is a value of `block.toml`; `key` is where it stands there.
    pub fn value(&self, key: &str, template: &str) -> Result<String, Error> {
        self.render(template).map_err(|error| self.wrong(&format!("block.toml: {key}"), &error))
    }

    /// Renders the files of the block, by path.
    pub fn files(&self, block: &Block) -> Result<Vec<NewFile>, Error> {
        let mut rendered: BTreeMap<String, NewFile> = BTreeMap::new();
        let mut total = 0;
        for file in &block.files {
            let place = format!("files/{}", file.path);
            if file.mode == Mode::Link {
                return Err(self.refused(&place, "symbolic links are not taken from blocks"));
            }
            let template = file.path.strip_suffix(SUFFIX);
            let Some(path) = self.path(&place, template.unwrap_or(&file.path))? else { continue };
            let contents = if template.is_some() {
                let source = std::str::from_utf8(&file.contents)
                    .map_err(|_| self.wrong_because(&place, "a template must be UTF-8 text".to_owned()))?;
                self.render(source).map_err(|error| self.wrong(&place, &error))?.into_bytes()
            } else {
                file.contents.clone()
            };
            total += contents.len();
            if contents.len() > FILE_CAP || total > TOTAL_CAP {
                return Err(self.refused(&place, "the block is larger than a project's beginning may be"));
            }
            let executable = file.mode == Mode::Executable;
            let twice = rendered.insert(path.clone(), NewFile { path: path.clone(), contents, executable });
            if twice.is_some() {
                return Err(self.wrong_because(&place, format!("another file is rendered to {path} too")));
            }
        }
        let files: Vec<NewFile> = rendered.into_values().collect();
        // In order, everything under `a/` directly follows `a` or what sorts between: look at each parent.
        for file in &files {
            let mut parents = file.path.match_indices('/').map(|(i, _)| &file.path[..i]);
            if let Some(parent) =
                parents.find(|parent| files.binary_search_by(|other| other.path.as_str().cmp(parent)).is_ok())
            {
                let message = format!("{parent} is rendered to a file and to a directory");
                return Err(self.wrong_because(&format!("files/{}", file.path), message));
            }
        }
        Ok(files)
    }

    /// Renders a path, component by component; none where one of them is empty.
    fn path(&self, place: &str, template: &str) -> Result<Option<String>, Error> {
        let mut components = Vec::new();
        for component in path::components(template) {
            let name = self.render(component).map_err(|error| self.wrong(&format!("name of {place}"), &error))?;
            if name.is_empty() {
                return Ok(None);
            }
            components.push(name);
        }
        let path = components.join("/");
        match path::check(&path) {
            Ok(()) => Ok(Some(path)),
            Err(why) => {
                Err(self.refused(place, &format!("it is rendered to `{}`, and {why}", text::neutral_line(&path, 80))))
            }
        }
    }

    fn render(&self, template: &str) -> Result<String, minijinja::Error> {
        let mut out = Capped(Vec::new());
        let variables = Value::from(self.variables.clone());
        self.environment.template_from_str(template)?.render_captured_to(variables, &mut out)?;
        Ok(String::from_utf8(out.0).expect("templates write text"))
    }

    fn wrong(&self, place: &str, error: &minijinja::Error) -> Error {
        // Where the template is a file, its line leads there; inside a value of block.toml it would mislead.
        let place = match error.line() {
            Some(line) if place.starts_with("files/") => format!("{place}:{line}"),
            _ => place.to_owned(),
        };
        let message = match (error.kind(), error.detail()) {
            (ErrorKind::OutOfFuel, _) => "the template takes too long or too much memory".to_owned(),
            (ErrorKind::WriteFailure, _) => format!("the output is larger than {}", text::bytes(FILE_CAP as u64)),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        self.wrong_because(&place, message)
    }

    fn wrong_because(&self, place: &str, message: String) -> Error {
        Error::Wrong { block: self.block.clone(), place: text::neutral_line(place, 200), message }
    }

    fn refused(&self, place: &str, why: &str) -> Error {
        Error::Refused { block: self.block.clone(), place: text::neutral_line(place, 200), why: why.to_owned() }
    }
}

/// Takes what one file may weigh, and no more.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > FILE_CAP {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::block::SourceFile;
    use crate::blocks::manifest;
    use crate::error::{Class, Fault};
    use crate::reference::Digest;

    const MANIFEST: &str =
        "schema = 1\nname = \"x\"\nkind = \"app\"\nversion = \"1.2.3\"\ndescription = \"d\"\nowner = \"o\"\n";

    fn block(files: &[(&str, Mode, &str)]) -> Block {
        let id = BlockId {
            name: "x".parse().unwrap(),
            version: "1.2.3".parse().unwrap(),
            source: "/catalog.git".into(),
            commit: "c".into(),
        };
        let file = |(path, mode, text): &(&str, Mode, &str)| SourceFile {
            path: (*path).into(),
            mode: *mode,
            contents: text.as_bytes().into(),
        };
        Block {
            id,
            manifest: manifest::parse("b".as_ref(), MANIFEST).unwrap(),
            manifest_text: MANIFEST.into(),
            files: files.iter().map(file).collect(),
            readme: None,
            content: Digest::of(b""),
        }
    }

    fn renderer() -> Renderer {
        let facts = Facts { project: "shop".into(), company: "Acme".into(), registry: "r.test".into() };
        let mut renderer = Renderer::new(&block(&[]).id, &facts);
        let mut answer = |id: &str, answer: Answer| renderer.answer(&id.to_owned().try_into().unwrap(), &answer);
        answer("database", Answer::Bool(false));
        answer("up", Answer::Str("../..".into()));
        answer("dir", Answer::Str("app/lib".into()));
        renderer
    }

    fn files(files: &[(&str, Mode, &str)]) -> Result<Vec<(String, String, bool)>, Error> {
        let rendered = renderer().files(&block(files))?;
        Ok(rendered
            .into_iter()
            .map(|f| (f.path, String::from_utf8_lossy(&f.contents).into_owned(), f.executable))
            .collect())
    }

    fn message(template: &str) -> String {
        files(&[("a.jinja", Mode::Plain, template)]).unwrap_err().to_string()
    }

    #[test]
    fn names_and_suffixed_files_are_templates_and_others_are_not() {
        let rendered = files(&[
            ("{% if database %}db{% endif %}/schema.sql", Mode::Plain, "x"),
            ("{{ dir }}/{{ _project.name }}.html.jinja", Mode::Executable, "<{{ 'a&b' }}> {{ _block.version }}\n"),
            ("plain.txt", Mode::Plain, "{{ untouched }}"),
        ]);
        let file = |path: &str, text: &str, executable| (path.to_owned(), text.to_owned(), executable);
        assert_eq!(
            rendered.unwrap(),
            [file("app/lib/shop.html", "<a&b> 1.2.3\n", true), file("plain.txt", "{{ untouched }}", false)]
        );
    }

    #[test]
    fn a_wrong_template_is_named_with_its_line() {
        insta::assert_snapshot!(message("one\n{{ nothing }}\n"), @"block x 1.2.3 is wrong: files/a.jinja:2: undefined value: `nothing` is undefined");
        insta::assert_snapshot!(message("one\n\n{% if %}"), @"block x 1.2.3 is wrong: files/a.jinja:3: syntax error: unexpected end of block");
        insta::assert_snapshot!(message("{{ 1 | nosuch }}"), @"block x 1.2.3 is wrong: files/a.jinja:1: unknown filter: filter nosuch is unknown");
    }

    #[test]
    fn hostile_templates_come_to_an_end() {
        let long = "the template takes too long or too much memory";
        assert!(
            message("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}").ends_with(long)
        );
        let doubling =
            "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
        assert!(message(doubling).ends_with(long));
        assert!(message("{% set x = 'a' * 90000000 %}{{ x }}{{ x }}").contains("the "), "no abort");
        assert!(message("{{ 'a' * 9000000 }}").ends_with("the output is larger than 8.3 MB"));
        assert!(message("{{ 'aaaaaaaa' | regex_replace('', 'b' * 9000000) }}").contains("regex_replace"));
        assert!(message("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").contains("recursion"));
        assert!(message("{% include '/etc/passwd' %}").contains("template not found"));
    }

    #[test]
    fn paths_stay_in_the_project() {
        for name in [
            "{{ up }}/x",
            "{{ '/etc/x' }}",
            ".git/hooks/pre-commit",
            "a/{{ '.GIT' }}/config",
            "{{ 'a\n' }}",
            "{{ '..' }}",
        ] {
            let error = files(&[(name, Mode::Plain, "")]).unwrap_err();
            assert_eq!(error.class(), Class::Security, "{name}: {error}");
        }
        assert_eq!(files(&[("link", Mode::Link, "/etc")]).unwrap_err().class(), Class::Security);
    }

    #[test]
    fn two_files_cannot_be_one() {
        assert!(files(&[("a", Mode::Plain, ""), ("{{ 'a' }}", Mode::Plain, "")]).is_err());
        let both = files(&[("a", Mode::Plain, ""), ("a-b", Mode::Plain, ""), ("{{ 'a/b' }}", Mode::Plain, "")]);
        assert!(both.unwrap_err().to_string().ends_with("a is rendered to a file and to a directory"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_rendered_lies_inside(name in "[a./{}' %_-]{1,24}|.{1,24}") {
            if let Ok(rendered) = files(&[(&name, Mode::Plain, "")]) {
                for (path, ..) in rendered {
                    let path = std::path::Path::new(&path);
                    proptest::prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
                }
            }
        }
    }
}
