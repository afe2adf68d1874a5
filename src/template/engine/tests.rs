//! Texts, with what Jinja 3.1 with Copier's and Cookiecutter's extensions makes of them.

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
fn only_the_templates_own_files_are_included() {
    let mut template = template(Syntax::default(), Undefined::Strict);
    for (path, text) in [
        ("macros/m.jinja", "{% macro hi(n) %}hi {{ n }}{% endmacro %}{% set v = '%02d' % 3 %}"),
        ("inc.txt", "[{{ x }}]\r\n"),
        ("bad.txt", "one\n{{ nope }}"),
        ("base", "<{% block b %}{% endblock %}>"),
        ("again", "{% include 'again' %}"),
    ] {
        template.source.insert(path.parse().unwrap(), crate::tree::Entry::file(text));
    }
    template.source.insert("link".parse().unwrap(), crate::tree::Entry::Link { target: "/etc/passwd".to_owned() });
    let variables = serde_json::json!({"x": 1});
    for (text, expected) in [
        ("{% from 'macros/m.jinja' import hi %}{{ hi('you') }}", "hi you"),
        ("{% import 'macros/m.jinja' as m with context %}{{ m.hi(x) }}{{ m.v }}", "hi 103"),
        ("{% include 'inc.txt' %}", "[1]\n"),
        ("{% include ['none', 'inc.txt'] %}{% include 'none' ignore missing %}", "[1]\n"),
        ("{% extends 'base' %}{% block b %}in{% endblock %}", "<in>"),
        ("{% include 'bad.txt' %}", "x 1.2.3 is wrong: bad.txt:2: undefined value: `nope` is undefined"),
    ] {
        assert_eq!(rendered(&template, &variables, text), expected, "{text}");
    }
    for name in ["/etc/passwd", "../x", "link", "inc.txt/../inc.txt", "C:/x", "a\0b"] {
        let message = rendered(&template, &variables, &format!("{{% include '{name}' %}}"));
        assert!(message.contains("template not found"), "{name}: {message}");
    }
    assert!(rendered(&template, &variables, "{% include 'again' %}").contains("recursion"));
}

/// The expectations are Jinja's.
#[test]
fn imports_and_includes_without_context_see_no_variables() {
    let mut strict = template(Syntax::default(), Undefined::Strict);
    for (path, text) in [
        ("see", "[{{ x | default('-') }}{{ y | default('-') }}{{ i | default('-') }}{{ range(2) | list }}]"),
        ("deep", "<{% include 'see' %}>"),
        ("over", "{% extends 'base' %}{% block b %}{{ x | default('-') }}{% endblock %}"),
        ("base", "({% block b %}{% endblock %})"),
        (
            "m",
            "{% set v = 3 %}{% macro see() %}{{ x | default('-') }}{{ y | default('-') }}{{ v }}{% endmacro %}\
               {% macro box(a) %}{{ a }}{{ caller() }}{{ varargs }}{% endmacro %}",
        ),
        (
            "parts",
            "{% set c = cycler('a', 'b') %}{% macro see() %}{% include 'see' %}{% endmacro %}\
             {% macro box() %}{{ caller() }}{% include 'see' %}{% endmacro %}\
             {% macro more() %}{% include 'see' %}{{ varargs }}{% endmacro %}\
             {% macro call(f) %}{{ f() }}{% include 'see' %}{% endmacro %}",
        ),
        ("next", "{% from 'parts' import c %}{{ c.next() }}"),
        ("below", "{% from 'parts' import see, c %}{% macro deep() %}{{ see() }}{{ c.next() }}{% endmacro %}"),
        ("far", "{% from 'm' import see as look %}{% macro see() %}{{ look() }}{% endmacro %}"),
        ("needs", "{% macro see() %}\n{{ x }}{% endmacro %}"),
        ("self", "{% include 'self' without context %}"),
    ] {
        strict.source.insert(path.parse().unwrap(), crate::tree::Entry::file(text));
    }
    let variables = serde_json::json!({"x": 1});
    let trimmed = Syntax { trim_blocks: true, lstrip_blocks: true, ..Syntax::default() };
    for (text, expected) in [
        ("{% set y = 2 %}{% include 'see' %}{% include 'see' with context %}", "[12-[0, 1]][12-[0, 1]]"),
        ("{% set y = 2 %}{% include 'see' without context %}{{ x }}{{ y }}", "[---[0, 1]]12"),
        ("{% for i in [1] %}{% include 'deep' without context %}{{ i }}{% endfor %}", "<[---[0, 1]]>1"),
        ("a {%- include ['none', 'see'] ignore missing without context -%} b", "a[---[0, 1]]b"),
        ("{% include 'none' ignore missing without context %}{% include 'over' without context %}", "(-)"),
        ("{% set y = 2 %}{% import 'm' as m %}{{ m.see() }}{{ m.v }}{{ x }}", "--331"),
        ("{% set y = 2 %}{% import 'm' as m without context %}{{ m.see() }}", "--3"),
        ("{% set y = 2 %}{% import 'm' as m with context %}{{ m.see() }}", "123"),
        (
            "{% from 'm' import see as s, v %}{{ s() }}{{ v }}{% from 'm' import see with context %}{{ see() }}",
            "--331-3",
        ),
        ("{% from 'far' import see %}{{ see() }}", "--3"),
        ("{% import 'm' as m %}{% call m.box(1, 2) %}{{ x }}{% endcall %}", "11(2,)"),
        ("{% for i in [1, 2] %}{% import 'm' as m %}{{ m.v }}{{ i }}{% endfor %}", "3132"),
        ("{% macro f() %}{% from 'm' import see %}{{ see() }}{{ x }}{% endmacro %}{{ f() }}", "--31"),
        // Its macros see no variables in what they include either; what they are given to call does.
        ("{% from 'parts' import see %}{{ see() }}{{ x }}{% include 'see' %}", "[---[0, 1]]1[1--[0, 1]]"),
        ("{% import 'parts' as p %}{{ p.more(1) }}{{ p.see is callable }}{{ p.see.name }}", "[---[0, 1]](1,)Truesee"),
        (
            "{% import 'parts' as p %}{% call p.box() %}{% include 'see' %}{{ x }}{% endcall %}",
            "[1--[0, 1]]1[---[0, 1]]",
        ),
        (
            "{% macro f() %}{% include 'see' %}{% endmacro %}{% import 'parts' as p %}{{ p.call(f) }}{{ p.call(f=f) }}",
            "[1--[0, 1]][---[0, 1]][1--[0, 1]][---[0, 1]]",
        ),
        ("{% import 'parts' as p with context %}{{ p.see() }}", "[1--[0, 1]]"),
        // A module is made once.
        (
            "{% from 'parts' import c %}{{ c.next() }}{% from 'parts' import c %}{{ c.next() }}{% include 'next' %}",
            "aba",
        ),
        (
            "{% from 'below' import deep %}{% from 'parts' import c %}{{ deep() }}{{ c.next() }}{{ deep() }}",
            "[---[0, 1]]ab[---[0, 1]]a",
        ),
    ] {
        assert_eq!(rendered(&strict, &variables, text), expected, "{text}");
    }
    for (text, expected) in [
        ("\n{% include 'none' without context %}", "t:2: template not found"),
        ("{% import 'needs' as n %}{{ n.see() }}", "needs:2: undefined value"),
        ("{% from 'm' import\n  see,\n  v -%}\n\n{{ nope }}", "t:5: undefined value: `nope` is undefined"),
        ("{% include 'self' without context %}", "recursion"),
    ] {
        let error = engine(&strict, &variables).file("t", text, &Map::new()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let trimmed = Template { source: strict.source.clone(), ..template(trimmed, Undefined::Strict) };
    let text =
        "a\n  {% import 'm' as m %}\n  {% from 'm' import v %}\n  {% include 'see' without context %}\n  {{ v }}\n";
    assert_eq!(rendered(&trimmed, &variables, text), "a\n[---[0, 1]]  3\n");
}

#[test]
fn what_line_statements_cannot_say_is_refused() {
    let syntax = Syntax { line_statement: Some("%%".to_owned()), ..Syntax::default() };
    let mut template = template(syntax, Undefined::Lenient);
    template.source.insert("m".parse().unwrap(), crate::tree::Entry::file("{% macro see() %}{{ x }}{% endmacro %}"));
    let variables = serde_json::json!({"x": 1});
    assert_eq!(rendered(&template, &variables, "%% import 'm' as m with context\n{{ m.see() }}\n"), "1\n");
    for (text, what) in [
        ("\n%% import 'm' as m\n", "`import` in a line statement"),
        ("\n%% from 'm' import see\n", "`import` in a line statement"),
        ("\n%% include 'm' without context\n", "`include … without context` in a line statement"),
        ("%% macro f()\n{{ varargs }}\n%% endmacro\n{{ f() }}", "`varargs` and `kwargs` of a macro in line statements"),
        ("%% macro f(a,\n b=a)\n{{ b }}\n%% endmacro\n{{ f(1) }}", "a default of another argument in a line statement"),
        ("{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}\n{{ varargs }}{% endcall %}", "in a call block"),
    ] {
        let message = engine(&template, &variables).file("t", text, &Map::new()).unwrap_err().to_string();
        assert!(message.starts_with("x 1.2.3 is wrong: t:2: "), "{text}: {message}");
        assert!(message.contains(what), "{text}: {message}");
    }
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

/// Where Python raises.
#[test]
fn formats_that_mean_nothing_are_refused() {
    let template = template(Syntax::default(), Undefined::Lenient);
    for (text, expected) in [
        ("{{ '{:>5}'.format(nope) }}", "unsupported format string passed to undefined"),
        ("{{ '{:s}'.format(nope) }}", "unsupported format string passed to undefined"),
        ("{{ '{} {0}'.format(1) }}", "cannot switch from automatic field numbering to manual field specification"),
        ("{{ '{:{0}}'.format(1, 4) }}", "cannot switch from automatic field numbering to manual field specification"),
        ("{{ '{0} {}'.format(1) }}", "cannot switch from manual field specification to automatic field numbering"),
        ("{{ '{:=5}'.format('a') }}", "'=' alignment not allowed"),
    ] {
        let message = rendered(&template, &serde_json::json!({}), text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn keys_of_formats_may_be_of_any_language() {
    let template = template(Syntax::default(), Undefined::Lenient);
    for (text, expected) in [
        ("{{ '%(größe)s %% %(n)03d %(größe)s' % {'größe': 'L', 'n': 7} }}", "L % 007 L"),
        ("{{ '%(größe)s' % 1 }}", "missing an argument"),
        ("{{ '%(größe' % {} }}", "incomplete format key"),
        ("{{ '%(größe)s' % {'n': 1} }}", "x 1.2.3 is wrong"),
        ("{{ '{0[größe]}'.format({'größe': 1}) }}", "1"),
    ] {
        let got = rendered(&template, &serde_json::json!({}), text);
        assert!(got.contains(expected), "{text}: {got}");
    }
}

proptest::proptest! {
    #[test]
    fn no_format_makes_it_panic(format in "[%(){}\\[\\]ü ads5*!.:n-]{0,16}") {
        let template = template(Syntax::default(), Undefined::Lenient);
        let variables = serde_json::json!({"f": format, "m": {"ü": 1, "a": "x", "n": [1]}});
        for text in ["{{ f % m }}", "{{ f % 1 }}", "{{ f % (1, 2) }}", "{{ f.format(m, 1, a=2, **m) }}"] {
            let _ = rendered(&template, &variables, text);
        }
    }
}
