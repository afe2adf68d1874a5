//! Texts, with what Jinja 3.1 with Copier's and Cookiecutter's extensions makes of them.

mod extensions;
mod formats;
mod included;

use super::*;
use crate::template::{Actions, Rules};

fn template(syntax: Syntax, undefined: Undefined) -> Template {
    Template {
        dialect: Dialect::Copier,
        label: "x 1.2.3".to_owned(),
        source: Tree::default(),
        questions: Vec::new(),
        rules: Rules { syntax, undefined, ..Rules::default() },
        actions: Actions::default(),
    }
}

/// What a text renders to, or what is wrong with it.
fn rendered(template: &Template, variables: &Value, text: &str) -> String {
    engine(template, variables).text("t", text).unwrap_or_else(|error| error.to_string())
}

fn engine(template: &Template, variables: &Value) -> Engine {
    let mut engine = Engine::new(template, &Map::new()).unwrap();
    for (name, value) in variables.as_object().unwrap() {
        engine.set(name, value);
    }
    engine
}

#[test]
fn texts_render_as_jinja_renders_them() {
    let cases: Value = serde_json::from_str(include_str!("tests/jinja.json")).unwrap();
    let template = template(Syntax::default(), Undefined::Lenient);
    let mut wrong = String::new();
    for case in cases["cases"].as_array().unwrap() {
        let (text, expected) = (case[0].as_str().unwrap(), case[1].as_str().unwrap());
        let got = rendered(&template, &cases["context"], text);
        if got != expected {
            wrong.push_str(&format!("{text}\n  jinja: {expected:?}\n  here:  {got:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn pair(start: &str, end: &str) -> (String, String) {
    (start.to_owned(), end.to_owned())
}

/// The expectations are Jinja's.
#[test]
fn delimiters_and_blanks_are_the_templates_own() {
    let brackets =
        Syntax { block: pair("[%", "%]"), variable: pair("[[", "]]"), comment: pair("[#", "#]"), ..Syntax::default() };
    let latex = Syntax {
        block: pair("\\BLOCK{", "}"),
        variable: pair("\\VAR{", "}"),
        comment: pair("\\#{", "}"),
        line_statement: Some("%%".to_owned()),
        line_comment: Some("%#".to_owned()),
        ..Syntax::default()
    };
    let trimmed = Syntax { trim_blocks: true, lstrip_blocks: true, ..Syntax::default() };
    let short = Syntax { keep_trailing_newline: false, ..Syntax::default() };
    let variables = serde_json::json!({"x": 5, "l": [1, 2]});
    for (syntax, text, expected) in [
        (&brackets, "[[ x ]] {{ x }} [% if x %]y[% endif %][# c #] ${{ a }}", "5 {{ x }} y ${{ a }}"),
        (&brackets, "[[ '%02d' % x ]] [[ l[0] ]]", "05 1"),
        (&latex, "\\VAR{x} \\BLOCK{if x}y\\BLOCK{endif}\n%% for i in l\n\\VAR{i}\n%% endfor\n", "5 y\n1\n2\n"),
        (&trimmed, "a\n  {% if x %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc\n"),
        (&Syntax::default(), "a\n  {% if x %}\n  b\n  {% endif %}\nc\n", "a\n  \n  b\n  \nc\n"),
        (&Syntax::default(), "{{ x }}\r\na\rb\r\n", "5\na\nb\n"),
        (&short, "{{ x }}\n\n", "5\n"),
        (&short, "plain\n", "plain"),
    ] {
        assert_eq!(rendered(&template(syntax.clone(), Undefined::Strict), &variables, text), expected, "{text}");
    }
    let same = Syntax { block: pair("{{", "}}"), ..Syntax::default() };
    assert!(Engine::new(&template(same, Undefined::Strict), &Map::new()).is_err());
}

#[test]
fn undefined_is_a_mistake_or_nothing() {
    let variables = serde_json::json!({"d": {}});
    let strict = template(Syntax::default(), Undefined::Strict);
    let lenient = template(Syntax::default(), Undefined::Lenient);
    for (text, expected) in [
        ("{{ x }}|{{ d.x }}|{% for i in x %}{% endfor %}{{ x ~ 'a' }}", "||a"),
        ("{{ x | default('y') }}{{ x is defined }}{% if x %}{% endif %}", "yFalse"),
        ("{{ x | upper }}{{ x | join }}{{ x | length }}", "0"),
    ] {
        assert_eq!(rendered(&lenient, &variables, text), expected, "{text}");
    }
    assert!(rendered(&lenient, &variables, "{{ x.y }}").contains("undefined"));
    for text in [
        "{{ x }}",
        "{{ d.x }}",
        "{% for i in x %}{% endfor %}",
        "{% if x %}{% endif %}",
        "{{ x | to_json }}",
        "{{ x | upper }}",
        "{{ x ~ 'a' }}",
    ] {
        let message = rendered(&strict, &variables, text);
        assert!(message.contains("undefined"), "{text}: {message}");
    }
    assert_eq!(rendered(&strict, &variables, "{{ x | default('y') }}{{ x is defined }}"), "yFalse");
}

#[test]
fn lines_are_right_after_a_default_that_is_made_late() {
    let template = template(Syntax::default(), Undefined::Strict);
    let variables = serde_json::json!({});
    for (text, line) in [
        (
            "{% macro m(\n  a,\n  b=[\n    a,\n    a\n  ],\n  c=1\n) -%}\n{{ b }}{% endmacro %}\n{{ m(1) }}{{ nope }}",
            10,
        ),
        ("{% macro m(a,\n b=a % \n 2) %}{{ nope }}{% endmacro %}\n{{ m(3) }}", 3),
    ] {
        let message = engine(&template, &variables).file("t", text, &Map::new()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("x 1.2.3 is wrong: t:{line}: undefined value")), "{text}: {message}");
    }
}

#[test]
fn what_cannot_be_rendered_again_or_reads_outside_is_refused() {
    let template = template(Syntax::default(), Undefined::Strict);
    for text in [
        "{{ [1] | random }}",
        "{{ [1] | shuffle(seed=1) }}",
        "{{ random_ascii_string(5) }}",
        "{{ uuid4() }}",
        "{{ '/etc/*' | fileglob }}",
        "{{ '~' | expanduser }}",
        "{{ '$HOME' | expandvars }}",
        "{{ 'x' | realpath }}",
    ] {
        let message = rendered(&template, &serde_json::json!({}), text);
        assert!(message.contains("is refused"), "{text}: {message}");
    }
}

#[test]
fn now_is_now() {
    let template = template(Syntax::default(), Undefined::Strict);
    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    let is = |text: &str| rendered(&template, &serde_json::json!({}), text);
    for text in ["{% now 'utc', '%Y' %}", "{{ now().year }}", "{{ now().strftime('%Y') }}", "{{ '%Y' | strftime }}"] {
        // A test that runs through midnight of New Year's Eve sees one of two years.
        let shown: i16 = is(text).parse().unwrap();
        assert!(shown == year || shown == year + 1, "{text}: {shown}");
    }
    assert_eq!(is("{% now 'utc' %}").len(), "2026-01-01".len());
    assert!(is("{%- now 'Europe/Paris' + 'days=400,hours=2', '%Y' -%}").parse::<i16>().unwrap() > year);
    assert!(is("{% now 'Nowhere/None' %}").contains("there is no time zone"));
}

#[test]
fn hostile_texts_come_to_an_end() {
    let template = template(Syntax::default(), Undefined::Lenient);
    for text in [
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 999999999) }}",
        "{{ 'a'.ljust(99999999) }}",
        "{{ 'a'.zfill(99999999) }}",
        "{{ 'a' | center(99999999) }}",
        "{{ 'a' | indent(99999999, true) }}",
        "{{ ('a' * 30 ~ 'b') | regex_search('(a|aa)+$|(?=c)(a+)+\\\\1d') ~ missing.x }}",
        "{{ 'a' | regex_search('(a{1000}){1000}{1000}') }}",
        "{% set l = [] %}{% for i in range(99999) %}{% set _ = l.append(l) %}{% endfor %}{{ l }}",
        "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
        "{% set n = namespace(x={}) %}{% for i in range(99999) %}{% set n.x = {'a': n.x} %}{% endfor %}{{ n.x | to_json }}",
        "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% set _ = n.x.append(1) %}{% endfor %}{{ n.x }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{% for k in range(100000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ range(100000) | map('string') | list | join('a' * 100000) }}",
        "{{ (range(100000) | list | to_nice_json(indent=100)) * 1000 }}",
        "{{ ('a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]') | from_yaml }}",
        "{% set x = '[' * 99999 %}{{ x | from_json }}",
        &format!("{{{{ {} }}}}", "(".repeat(100_000)),
        &format!("{{{{ {} }}}}", "[".repeat(100_000)),
        &format!("{{{{ 1 % 2 {} }}}}", "** 1".repeat(100_000)),
        &format!("{{{{ x{} }}}}", " % x".repeat(20_000)),
        &format!("{}{{{{ missing.x }}}}", "{% if 1 %}".repeat(20_000)),
        &format!("{{{{ {}1 }}}}", "- ".repeat(100_000)),
    ] {
        let message = rendered(&template, &serde_json::json!({}), text);
        assert!(message.starts_with("x 1.2.3 is wrong"), "{text}: {}", crate::text::neutral_line(&message, 300));
    }
}

proptest::proptest! {
    #[test]
    fn plain_text_renders_to_itself(text in "[^{}\r]{0,40}") {
        let template = template(Syntax::default(), Undefined::Strict);
        proptest::prop_assert_eq!(rendered(&template, &serde_json::json!({}), &text), text);
    }

    #[test]
    fn formatting_never_panics(text in "(%|[a-z]|[0-9]|\\(a\\)|\\.|\\*|#|-|\\{|\\}|:|!|\\[|\\]){0,8}", number in proptest::num::i64::ANY, float in proptest::num::f64::ANY) {
        let template = template(Syntax::default(), Undefined::Lenient);
        let variables = serde_json::json!({"t": text, "n": number, "f": float, "s": "é"});
        for source in ["{{ t % n }}", "{{ t % (n, f, s) }}", "{{ t % {'a': f} }}", "{{ t.format(n, f, a=s) }}", "{{ n % f }}", "{{ t.format(s) }}"] {
            rendered(&template, &variables, source);
        }
    }
}
