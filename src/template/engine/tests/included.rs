//! Files of the template that others import and include.

use super::*;

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
