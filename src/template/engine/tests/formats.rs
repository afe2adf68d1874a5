//! `%` and `format`, as Python has them.

use super::*;

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
