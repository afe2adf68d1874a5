//! Changes of a small site, turned back.

use super::*;
use crate::blocks::contribute::hunk::hunks;
use crate::blocks::contribute::trace::{Loops, tests::renderer};
use crate::template::Syntax;

/// The template's source after a change of its output; or why there is none.
fn turned(source: &str, trim: bool, change: impl Fn(&str) -> String) -> Result<String, Uncertain> {
    let syntax = Syntax { trim_blocks: trim, lstrip_blocks: trim, ..Syntax::default() };
    let variables = serde_json::json!({
        "name": "shop", "port": 80, "php": "8.2", "on": true, "off": false, "list": ["a", "b"], "empty": "",
    });
    let render = renderer(&syntax, variables);
    let parts = Parts::of(source, &syntax, Loops::Traced).unwrap();
    let trace = parts.trace(&render).unwrap();
    let fabric = Fabric::of(&parts, &trace);
    let mine = change(&trace.text);
    let mut edits = Vec::new();
    for hunk in hunks(&trace.text, &mine) {
        edits.extend(fabric.turn_back(&hunk, &mine)?);
    }
    let edited = parts.edited(&edits);
    assert_eq!(render(&edited).unwrap(), mine, "{edited}");
    Ok(edited)
}

fn replacing(source: &str, from: &str, to: &str) -> Result<String, Uncertain> {
    // The dash is for those who trim by hand.
    turned(source, !source.contains("{%-"), |text| {
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1)
    })
}

const SITE: &str = "# {{ name }}\nport = {{ port }}\n{% if on %}\nimage = \"php:{{ php }}\"\ncache = 1\n{% endif %}\nend = 1\nend = 2\n";

#[test]
fn values_become_their_expressions_again() {
    assert_eq!(
        replacing(SITE, "image = \"php:8.2\"", "image = 'ghcr.io/php:8.2'  # pinned").unwrap(),
        SITE.replace("image = \"php:{{ php }}\"", "image = 'ghcr.io/php:{{ php }}'  # pinned")
    );
    assert_eq!(
        replacing(SITE, "# shop\n", "# The shop: shop\nnew line\n").map_err(|error| error.to_string()),
        Err("which text of it is the value of `name` is not certain".to_owned())
    );
    assert_eq!(replacing(SITE, "# shop\n", "## shop!\n").unwrap(), SITE.replace("# {{ name }}\n", "## {{ name }}!\n"));
    assert_eq!(replacing(SITE, "# shop\n", "").unwrap(), SITE.replace("# {{ name }}\n", ""));
    assert_eq!(replacing(SITE, "cache = 1\n", "cache = 2\n").unwrap(), SITE.replace("cache = 1", "cache = 2"));
    assert_eq!(
        replacing(SITE, "end = 1\n", "end = 1\n{{ x }}\n").unwrap(),
        SITE.replace("end = 1\n", "end = 1\n{{ '{{' }} x }}\n")
    );
}

#[test]
fn what_is_not_certain_is_not_turned_back() {
    let why = |from: &str, to: &str| replacing(SITE, from, to).unwrap_err();
    let value = |expression: &str| Uncertain::Value { expression: expression.to_owned() };
    assert_eq!(why("port = 80", "port = 90"), value("port"));
    assert_eq!(why("port = 80", "port = 180"), Uncertain::Joined { expression: "port".to_owned() });
    assert_eq!(why("php:8.2\"", "php:8.2.1\""), Uncertain::Joined { expression: "php".to_owned() });
    assert_eq!(why("# shop", "# my-shop"), Uncertain::Joined { expression: "name".to_owned() });
    // Before, or first inside?
    assert_eq!(why("port = 80\n", "port = 80\nnew = 1\n"), Uncertain::Border { line: 3 });
    assert_eq!(why("cache = 1\n", "cache = 1\nnew = 1\n"), Uncertain::Border { line: 6 });
    assert_eq!(why("cache = 1\n", "cache = 9\nnew = 1\n"), Uncertain::Border { line: 6 });
    let source = "{% for x in list %}\n- {{ x }}\n{% endfor %}\nend\n";
    assert_eq!(replacing(source, "- a", "- x").unwrap_err(), value("x"));
    let shouted = "{% filter upper %}\na\n{% endfilter %}\nend\n";
    assert_eq!(replacing(shouted, "A", "B").unwrap_err(), Uncertain::Opaque { line: 1 });
    assert_eq!(replacing(source, "end", "END").unwrap(), source.replace("\nend", "\nEND"));
}

#[test]
fn a_value_without_text_is_a_place_to_keep_clear_of() {
    let source = "a{{ empty }}b\nc\n";
    assert_eq!(replacing(source, "ab", "ab!").unwrap(), "a{{ empty }}b!\nc\n");
    assert!(replacing(source, "ab", "axb").is_err());
}

#[test]
fn what_stands_in_an_if_stays_in_it() {
    let source = "a\n{%- if on %}\n  b\n{%- endif %}\nc\n";
    assert_eq!(replacing(source, "  b", "  b2").unwrap(), source.replace("  b", "  b2"));
    assert_eq!(replacing(source, "  b\n", "").unwrap(), "a\n{%- if on %}\n{%- endif %}\nc\n");
    assert!(replacing(source, "  b\n", "  b\n  new\n").is_err());
    assert!(replacing(source, "a\n", "a\nnew\n").is_err());
    let inline = "x = {% if on %}1{% else %}2{% endif %};\n";
    assert_eq!(replacing(inline, "x = 1;", "y = 1;").unwrap(), inline.replace("x =", "y ="));
    assert!(replacing(inline, "x = 1;", "x = 12;").is_err());
}
