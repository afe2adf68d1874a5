//! Jinja extensions, which need Python.

use super::*;

/// The Python with Jinja that `scripts/setup test` installs.
fn python() -> Python {
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(program.exists(), "{} is missing: `scripts/setup test` installs it", program.display());
    Python::Allowed { program }
}

fn with_extension(source: &str) -> Template {
    let mut template = template(Syntax::default(), Undefined::Strict);
    let named = crate::template::Named { name: "own.Own".to_owned(), place: "copier.yml:3".to_owned() };
    template.rules.extensions = vec![named];
    template.source.insert("own.py".parse().unwrap(), crate::tree::Entry::file(source.to_owned()));
    template.source.insert("inc".parse().unwrap(), crate::tree::Entry::file("[{{ x }}]"));
    template
}

const OWN: &str = "
from jinja2.ext import Extension
class Own(Extension):
    def __init__(self, environment):
        super().__init__(environment)
        print('no part of the conversation')
        environment.filters['own'] = lambda value: f'<{value}>'
        environment.filters['wait'] = lambda value: __import__('os')._exit(3)
";

#[test]
fn extensions_are_refused_without_trust() {
    let template = with_extension(OWN);
    let Err(error) = Engine::new(&template, &Map::new()) else { panic!("it is taken") };
    assert_eq!(error.to_string(), "x 1.2.3 needs Python: copier.yml:3: the Jinja extension own.Own");
}

#[test]
fn extensions_run_in_python_under_trust() {
    let mut template = with_extension(OWN);
    template.rules.python = python();
    let mut engine = Engine::new(&template, &Map::new()).unwrap();
    engine.set("x", &1.into());
    assert_eq!(engine.text("t", "{{ x | own }}{% include 'inc' %}").unwrap(), "<1>[1]");
    engine.set("x", &serde_json::json!(["é", null]));
    let more = serde_json::json!({"y": 2});
    let text = engine.text_with("t", "{{ x | own }}{{ y }}{{ x | to_json }}", more.as_object().unwrap()).unwrap();
    assert_eq!(text, "<['é', None]>2[\"\\u00e9\", null]");
    let wrong = |text: &str| engine.file("f", text, &Map::new()).unwrap_err().to_string();
    assert_eq!(wrong("a\n{{ z }}"), "x 1.2.3 is wrong: f:2: UndefinedError: 'z' is undefined");
    assert_eq!(
        wrong("a\n\n{% if %}"),
        "x 1.2.3 is wrong: f:3: TemplateSyntaxError: Expected an expression, got 'end of statement block'"
    );
    assert_eq!(wrong("{% include '../../etc/passwd' %}"), "x 1.2.3 is wrong: f:1: TemplateNotFound: ../../etc/passwd");
    assert!(wrong("{{ 1 | wait }}").ends_with("python ended, or said more than a file may hold"));
    assert!(wrong("{{ 1 }}").ends_with("python ended, or said more than a file may hold"));
}

#[test]
fn an_extension_that_does_not_load_is_named() {
    let mut template = with_extension("import nothing_of_this_name");
    template.rules.python = python();
    let Err(error) = Engine::new(&template, &Map::new()) else { panic!("it is taken") };
    let message = error.to_string();
    assert!(message.starts_with("x 1.2.3 is wrong: copier.yml:3: its Jinja extensions cannot be used: "), "{message}");
    assert!(message.contains("nothing_of_this_name"), "{message}");
    template.rules.python = Python::Allowed { program: "/nowhere/python3".into() };
    assert!(Engine::new(&template, &Map::new()).is_err());
}
