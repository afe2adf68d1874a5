use serde_json::json;

use super::*;
use crate::tree::Entry;

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file(text.to_string()))).collect()
}

fn of(text: &str) -> Result<Template, Error> {
    read("cc v1.0", &tree(&[(FILE, text), ("{{cookiecutter.slug}}/x.txt", "")]))
}

fn fails(text: &str) -> String {
    of(text).unwrap_err().to_string()
}

#[test]
fn variables_become_questions() {
    let template = of(r#"{
  "files": {"a-{{ cookiecutter.slug }}": {"n": 1}},
  "slug": "{{ cookiecutter.name|lower }}",
  "name": "Shop",
  "size": 3,
  "docs": true,
  "empty": null,
  "license": ["MIT", "{{ cookiecutter.name }}", 2],
  "_private": "{{ raw }}",
  "__computed": "{{ cookiecutter.slug }}-x",
  "__list": [1, "b"],
  "__prompts__": {"slug": "Short name?", "license": {"__prompt__": "Which one?", "MIT": "MIT license"}},
  "_copy_without_render": ["*.html"],
  "_extensions": ["jinja2_time.TimeExtension", "local.Ext"],
  "_jinja2_env_vars": {"lstrip_blocks": true}
}"#)
    .unwrap();
    let shown: Vec<Value> = template
        .questions
        .iter()
        .map(|q| json!([q.id.as_str(), q.kind.name(), q.default, q.help, q.when == When::Fixed(true)]))
        .collect();
    let expected = json!([
        ["slug", "str", "{{ cookiecutter.name|lower }}", "Short name?", true],
        ["name", "str", "Shop", "", true],
        ["size", "str", "3", "", true],
        ["docs", "bool", true, "", true],
        ["empty", "yaml", null, "", true],
        ["license", "str", "MIT", "Which one?", true],
        ["__computed", "str", "{{ cookiecutter.slug }}-x", "", false],
        ["__list", "json", ["1", "b"], "", false],
        ["files", "json", {"a-{{ cookiecutter.slug }}": {"n": "1"}}, "", true],
    ]);
    assert_eq!(json!(shown), expected);
    let Choices::Listed(listed) = &template.questions[5].choices else { panic!("choices") };
    let labels: Vec<&str> = listed.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!(labels, ["MIT license", "{{ cookiecutter.name }}", "2"]);
    assert_eq!(template.questions[0].place, "cookiecutter.json:3");
    let rules = &template.rules;
    assert_eq!(rules.subdirectory, "{{cookiecutter.slug}}");
    assert_eq!(rules.copy_only, ["*.html"]);
    assert_eq!(rules.facts["_private"], "{{ raw }}");
    assert_eq!(rules.facts["_cookiecutter"]["license"][0], "MIT");
    assert_eq!(rules.extensions[0].name, "local.Ext");
    assert!(rules.syntax.lstrip_blocks);
    assert_eq!((&rules.suffix, rules.undefined), (&Suffix::Every, Undefined::Strict));
}

#[test]
fn hooks_are_found_by_their_names() {
    let hooks = [
        "hooks/pre_prompt.sh",
        "hooks/post_gen_project.py",
        "hooks/pre_gen_project.py~",
        "hooks/other.py",
        "hooks/x/pre_prompt.py",
    ];
    let mut files = vec![(FILE, "{}"), ("{{cookiecutter.a}}/x", "")];
    files.extend(hooks.map(|path| (path, "")));
    let template = read("cc", &tree(&files)).unwrap();
    let found: Vec<_> = template.actions.hooks.iter().map(|hook| (hook.name.as_str(), hook.path.as_str())).collect();
    assert_eq!(found, [("pre_prompt", "hooks/pre_prompt.sh"), ("post_gen_project", "hooks/post_gen_project.py")]);
}

#[test]
fn a_repository_may_hold_several() {
    let files = [
        (
            FILE,
            r#"{"templates": {"web": {"path": "./web", "title": "A web app", "description": "With pages"}, "job": {"path": "job"}}}"#,
        ),
        ("web/cookiecutter.json", r#"{"slug": "web"}"#),
        ("web/{{cookiecutter.slug}}/x", ""),
        ("job/cookiecutter.json", r#"{"slug": "job"}"#),
        ("job/{{cookiecutter.slug}}/x", ""),
    ];
    let source = tree(&files);
    let menu = menu("cc", &source, 0).unwrap().unwrap();
    assert_eq!(menu.template.questions[0].default, Some(json!("web")));
    let found: Vec<_> = menu.nested.into_iter().map(|one| (one.name, one.title, one.path)).collect();
    let owned = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(found, [owned("web", "A web app (With pages)", "web"), owned("job", "job", "job")]);
    assert_eq!(read("cc", &source).unwrap().questions[0].default, Some(json!("web")));
    let old = r#"{"template": ["Job (job)", "Web (./web)"]}"#;
    let old = [&[(FILE, old)], &files[1..]].concat();
    assert_eq!(read("cc", &tree(&old)).unwrap().questions[0].default, Some(json!("job")));
}

#[test]
fn mistakes_are_named_where_they_are() {
    insta::assert_snapshot!(fails("{\"a\": 1,\n}"), @"cc v1.0 is wrong: cookiecutter.json:2:1: no JSON: trailing comma");
    insta::assert_snapshot!(fails("[]"), @"cc v1.0 is wrong: cookiecutter.json: expected a table of variables");
    insta::assert_snapshot!(fails("{\n\"a\": []}"), @"cc v1.0 is wrong: cookiecutter.json:2: a: the list of choices is empty");
    insta::assert_snapshot!(fails("{\n\n\"a\\u001b[31m\": \"x\"}"), @r#"cc v1.0 is wrong: cookiecutter.json:3: `a\u{1b}[31m` is no question: use at most 80 letters, digits and underscores"#);
    insta::assert_snapshot!(fails("{\"_jinja2_env_vars\": {\"autoescape\": true}}"), @"cc v1.0 is wrong: cookiecutter.json:1: _jinja2_env_vars: autoescape is not supported");
    insta::assert_snapshot!(fails("{\"templates\": {\"a\": {\"path\": \"../x\"}}}"), @"cc v1.0 was refused: cookiecutter.json:1: `../x` leads out of it");
    insta::assert_snapshot!(fails("{\"templates\": {\"a\": {\"path\": \"x\"}}}"), @"cc v1.0 is wrong: cookiecutter.json:1: `a` lies in `x`, which has no cookiecutter.json");
    insta::assert_snapshot!(read("cc", &tree(&[(FILE, "{}"), ("x/y", "")])).unwrap_err(), @"cc is wrong: cookiecutter.json: no directory beside it is called like `{{cookiecutter.name}}`");
    let many: Vec<String> = (0..10_000).map(|index| format!("\"q{index}\": 1")).collect();
    insta::assert_snapshot!(fails(&format!("{{{}}}", many.join(","))), @"cc v1.0 is wrong: cookiecutter.json:1: more than 500 variables");
    insta::assert_snapshot!(fails(&"[".repeat(100_000)), @"cc v1.0 is wrong: cookiecutter.json:1:128: no JSON: recursion limit exceeded");
}
