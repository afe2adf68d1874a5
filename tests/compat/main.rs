//! The real Copier, Cookiecutter and cruft as oracles: the same template and answers give the same tree, byte for byte
//! and mode for mode.
//!
//! `scripts/setup test` installs them. Every directory of `tests/templates/<dialect>/` is a template that shows one
//! feature, with one or more sets of answers beside it.

mod compare;
mod external;
mod large;
mod nested;
mod oracle;
#[allow(dead_code, reason = "the other test binary uses the rest of it")]
#[path = "../it/run.rs"]
mod run;
mod template;
mod update;

use template::{Dialect, cases, check};

#[test]
fn copier_templates_render_as_copier_renders_them() {
    let cases = cases(Dialect::Copier);
    check(&cases);
    assert!(cases.len() >= 100, "only {} cases were looked at", cases.len());
}

#[test]
fn cookiecutter_templates_render_as_cookiecutter_renders_them() {
    let cases = cases(Dialect::Cookiecutter);
    check(&cases);
    assert!(cases.len() >= 30, "only {} cases were looked at", cases.len());
}
