//! The maps of small templates.

use super::*;

/// A renderer with these variables.
#[expect(clippy::needless_pass_by_value, reason = "tests write them in place")]
pub fn renderer(syntax: &Syntax, variables: serde_json::Value) -> impl Fn(&str) -> Result<String, String> + use<> {
    let mut environment = minijinja::Environment::new();
    environment.set_syntax(config(syntax).unwrap());
    let variables = minijinja::Value::from(minijinja::value::Serde(&variables));
    move |text: &str| environment.render_str(text, variables.clone()).map_err(|error| error.to_string())
}

fn shown(source: &str, syntax: &Syntax, variables: serde_json::Value) -> Vec<(String, String)> {
    let parts = Parts::of(source, syntax, Loops::Traced).unwrap();
    let trace = parts.trace(&renderer(syntax, variables)).unwrap();
    let of = |span: &Span| (parts.text(span.part).to_owned(), trace.text[span.output.clone()].to_owned());
    trace.spans.iter().map(of).filter(|(source, output)| !source.is_empty() || !output.is_empty()).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn every_byte_of_the_output_has_its_source() {
    let variables = serde_json::json!({"name": "shop", "on": true, "off": false, "list": [1, 2]});
    let plain = Syntax::default();
    assert_eq!(
        shown("a {{ name }} b\n{%- if on %}\n  c{% else %}d{% endif -%}  \n e{# note #}f\n", &plain, variables.clone()),
        pairs(&[("a ", "a "), ("{{ name }}", "shop"), (" b", " b"), ("\n  c", "\n  c"), ("e", "e"), ("f\n", "f\n")])
    );
    let loops = "{% for x in list %}{{ x }},{% endfor %}|{% raw %}{{ x }}{% endraw %}";
    assert_eq!(
        shown(loops, &plain, variables.clone()),
        pairs(&[("{{ x }}", "1"), (",", ","), ("{{ x }}", "2"), (",", ","), ("|", "|"), ("{{ x }}", "{{ x }}")])
    );
    let trim = Syntax { trim_blocks: true, lstrip_blocks: true, ..Syntax::default() };
    assert_eq!(
        shown("a\n  {% if on %}\n  b\n  {% endif %}\n\n{% set y = 1 %}{{ y }}\n", &trim, variables.clone()),
        pairs(&[("a\n", "a\n"), ("  b\n", "  b\n"), ("\n", "\n"), ("{{ y }}", "1"), ("\n", "\n")])
    );
    let macros = "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(name) }}{% set s %} q {% endset %}{{ s|trim }}!";
    let found = shown(macros, &plain, variables.clone());
    assert_eq!(found[1..], pairs(&[("{{ m(name) }}", "<shop>"), found_set(), ("{{ s|trim }}", "q"), ("!", "!")])[..]);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let square = Syntax { variable: pair("[[", "]]"), block: pair("[%", "%]"), ..Syntax::default() };
    assert_eq!(
        shown("{{ name }} [[ name ]][% if off %]x[% endif %]", &square, variables),
        pairs(&[("{{ name }} ", "{{ name }} "), ("[[ name ]]", "shop")])
    );
}

fn found_set() -> (&'static str, &'static str) {
    ("{% set s %} q {% endset %}", "")
}

#[test]
fn what_cannot_be_traced_has_no_map() {
    let syntax = Syntax::default();
    let lines = Syntax { line_statement: Some("#".to_owned()), ..Syntax::default() };
    assert!(matches!(Parts::of("x", &lines, Loops::Traced), Err(NoMap::Composed(_))));
    assert!(matches!(Parts::of("{% extends 'x' %}", &syntax, Loops::Traced), Err(NoMap::Composed(_))));
    assert!(matches!(Parts::of("{{ 'open", &syntax, Loops::Traced), Err(NoMap::Unreadable(_))));
    let parts = Parts::of("{{ nothing.at.all }}", &syntax, Loops::Traced).unwrap();
    assert!(matches!(parts.trace(&renderer(&syntax, serde_json::json!({}))), Err(NoMap::Fails(_))));
    // A value that holds marks of its own.
    let parts = Parts::of("{{ x }}", &syntax, Loops::Traced).unwrap();
    let evil = serde_json::json!({"x": format!("{OPEN}0{NUMBER}{CLOSE}")});
    assert_eq!(parts.trace(&renderer(&syntax, evil)), Err(NoMap::Unfaithful));
}

proptest::proptest! {
    #[test]
    fn no_template_makes_it_panic(text in "([a-z \\n]|\\{\\{|\\}\\}|\\{%|%\\}|-|\\{#|#\\}|if|endif|raw|endraw|set|for){0,24}") {
        if let Ok(parts) = Parts::of(&text, &Syntax::default(), Loops::Traced) {
            proptest::prop_assert!(!parts.count().is_multiple_of(2));
            let _ = parts.trace(&renderer(&Syntax::default(), serde_json::json!({})));
        }
    }
}
