//! `onramp contribute` from files that a block makes in loops, with includes, and of one template among several.

use onramp::error::Class;

use crate::run::Machine;

/// A repository with a template at 1.0.0, and a project `shop` of it.
fn machine(files: &[(&str, &str)], how: &str) -> Machine {
    let mut machine = Machine::new();
    machine.set("ONRAMP_FORGE", "local");
    let template = machine.elsewhere("template");
    for (path, text) in files {
        machine.write(template.join(path), text);
    }
    machine.git(&template, &["init", "--quiet", "--initial-branch=main"]);
    machine.git(&template, &["add", "--all"]);
    machine.git(&template, &["commit", "--quiet", "-m", "first"]);
    machine.git(&template, &["tag", "v1.0.0"]);
    machine.onramp(&format!("new --defaults {how}")).arg(template.display().to_string()).arg("shop").ok();
    machine
}

fn proposed(machine: &Machine, path: &str) -> String {
    machine.git(machine.elsewhere("template"), &["show", &format!("contribute/template/shop:{path}")])
}

const HOSTS: &str = "{% for host in hosts %}
[{{ host }}]
port = 80
{% endfor %}
# by {{ name }}
{% include 'part.inc' %}
";

#[test]
fn what_a_loop_repeats_goes_back_as_one_line() {
    let machine = machine(
        &[
            (
                "copier.yml",
                "_exclude: [copier.yml, .git, '*.inc']\n_envops: {trim_blocks: true}\nname: Shop\nhosts:\n  type: yaml\n  default: [a, b]\n",
            ),
            ("hosts.ini.jinja", HOSTS),
            ("part.inc", "included\n"),
            ("{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}"),
        ],
        "",
    );
    let given = machine.read("shop/hosts.ini");
    assert_eq!(given, "[a]\nport = 80\n[b]\nport = 80\n# by Shop\nincluded\n");
    machine.write("shop/hosts.ini", given.replace("port = 80", "port = 8080").replace("# by", "# made by"));
    machine.onramp("contribute").dir("shop").ok();
    let expected = HOSTS.replace("port = 80", "port = 8080").replace("# by", "# made by");
    assert_eq!(proposed(&machine, "hosts.ini.jinja"), expected);
    // One pass alone is nobody's line, and an included text is another file's.
    let mine = given.replacen("port = 80", "port = 81", 1).replace("included", "mine");
    machine.write("shop/hosts.ini", mine);
    let told = machine.onramp("contribute --dry-run").dir("shop").fails(Class::Failed);
    for why in [
        "leave hosts.ini:2: it changes what the template's line 1 repeats, and not alike every time",
        "leave hosts.ini:6: it changes what the template's line 6 includes, which is the text of another file of the block",
    ] {
        assert!(told.stdout.contains(why) || told.stderr.contains(why), "{why}: {told}");
    }
}

#[test]
fn one_template_among_several_gets_its_own_change() {
    let one = r#"{"slug": "shop", "port": "80"}"#;
    let text = "run {{ cookiecutter.slug }}\n\nat {{ cookiecutter.port }}\n";
    let machine = machine(
        &[
            ("cookiecutter.json", r#"{"templates": {"web": {"path": "./web"}, "job": {"path": "jobs/small"}}}"#),
            ("web/cookiecutter.json", one),
            ("web/{{cookiecutter.slug}}/run.txt", text),
            ("jobs/small/cookiecutter.json", one),
            ("jobs/small/{{cookiecutter.slug}}/run.txt", text),
        ],
        "--data template=job",
    );
    machine.write(
        "shop/run.txt",
        machine.read("shop/run.txt").replace("run shop", "start shop").replace("at 80", "at port 80"),
    );
    // What the repository has beyond the version that the project knows is merged and proved there, too.
    let template = machine.elsewhere("template");
    machine.write(template.join("jobs/small/{{cookiecutter.slug}}/more.txt"), "{{ cookiecutter.port }}\n");
    machine.git(&template, &["add", "--all"]);
    machine.git(&template, &["commit", "--quiet", "-m", "more"]);
    let told = machine.onramp("contribute --dry-run").dir("shop").ok();
    assert!(told.stdout.contains("jobs/small/{{cookiecutter.slug}}/run.txt"), "{told}");
    machine.onramp("contribute").dir("shop").ok();
    let expected = text.replace("run {{", "start {{").replace("at {{", "at port {{");
    assert_eq!(proposed(&machine, "jobs/small/{{cookiecutter.slug}}/run.txt"), expected);
    assert_eq!(proposed(&machine, "web/{{cookiecutter.slug}}/run.txt"), text, "the other template stays");
}

#[test]
fn who_answers_for_a_template_without_a_manifest_is_what_backstage_is_told() {
    let machine = machine(
        &[
            ("copier.yml", "_exclude: [copier.yml, catalog-info.yaml, .git]\nname: Shop\n"),
            ("readme.md.jinja", "# {{ name }}\nmade\n"),
            (
                "catalog-info.yaml",
                "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: service\n  annotations:\n    \
                 onramp.dev/trusted-committers: '@ana'\nspec:\n  owner: group:default/platform\n",
            ),
            ("{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}"),
        ],
        "",
    );
    machine.write("shop/readme.md", "# Shop\nmade with care\n");
    machine.onramp("contribute").dir("shop").ok();
    let pull = machine.git(machine.elsewhere("template"), &["show", "refs/pull/1/data:pull.toml"]);
    assert!(pull.contains("reviewers = [\"ana\", \"platform\"]"), "{pull}");
}
