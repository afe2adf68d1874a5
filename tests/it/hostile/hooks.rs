//! Scripts of a template, which do nothing before somebody allowed them.

use onramp::error::Class;

use super::Scene;

#[test]
fn a_python_hook_is_refused_by_its_name_before_a_file_is_written() {
    for hook in ["pre_prompt", "pre_gen_project", "post_gen_project"] {
        let path = format!("hooks/{hook}.py");
        let scene = Scene::with(&[
            ("cookiecutter.json", r#"{"slug": "shop"}"#),
            ("{{cookiecutter.slug}}/a.txt", "a\n"),
            (&path, "open('made.txt', 'w').close()\n"),
        ]);
        scene.refused(Class::Security, &[&format!("run Python: the hook {hook} ({path}:1)"), "--trust allows this"]);
    }
}
