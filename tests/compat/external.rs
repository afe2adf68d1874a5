//! Data of the project that a template reads: Copier's `_external_data`.

use std::fs;

use crate::compare;
use crate::oracle;
use crate::run::Machine;
use crate::template::{publish, text};

const QUESTIONS: &str = r#"
_answers_file: .copier-answers.child.yml
_external_data:
  parent: .copier-answers.parent.yml
  chosen: "{{ where }}/{{ file }}"
  named: "{{ _external_data.parent.index }}"
  gone: nowhere/at-all.yml
  directory: sub
  nothing: sub/empty.yml
where: sub
file:
  type: str
  default: extra.yml
name:
  type: str
  default: "{{ _external_data.parent.name }}-child"
port:
  type: int
  default: "{{ _external_data.parent.port + 1 }}"
kind:
  type: str
  choices: "{{ _external_data.chosen.kinds }}"
  default: b
web:
  type: bool
  when: "{{ _external_data.parent.web }}"
  default: yes
job:
  type: bool
  when: "{{ _external_data.gone.job }}"
  default: yes
"#;

const TEXT: &str = "\
{{ name }} of {{ _external_data.parent.name }} at {{ port }}, {{ kind }}
{% for key, value in _external_data.parent.items() %}
{{ key }}={{ value }}
{% endfor %}
{{ _external_data.chosen.kinds|join(', ') }} {{ _external_data.chosen['deep'].er[0] }}
{{ _external_data.named.lines|length }} {{ _external_data.gone.x|default('none') }} {{ _external_data.directory|length }}
{{ web|default('no') }} {{ job|default('no') }} {{ _external_data.unknown|default('unknown') }} {{ _external_data.nothing }}
{{ 'parent' in _external_data }} {{ _external_data|length }}
";

#[test]
fn a_template_reads_what_another_one_left_in_the_project() {
    let machine = Machine::new();
    machine.write("template/copier.yml", QUESTIONS);
    machine.write(
        "template/{% if _external_data.parent.web %}{{ _external_data.parent.name }}.txt{% endif %}.jinja",
        TEXT,
    );
    machine.write("template/{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}");
    publish(&machine, &machine.path("template"), "v1.0.0");
    let projects = ["oracle/project", "onramp/project"];
    for project in projects {
        machine.write(format!("{project}/onramp.toml"), "schema = 1\nname = \"project\"\n");
        let parent =
            "_commit: v1\n_src_path: https://forge.test/parent\nname: shop\nport: 010\nweb: on\nindex: ./in dex.yaml\n";
        machine.write(format!("{project}/.copier-answers.parent.yml"), parent);
        machine.write(format!("{project}/sub/extra.yml"), "kinds: [a, b]\ndeep:\n  er: [2001-02-03]\n");
        machine.write(format!("{project}/sub/empty.yml"), "");
        machine.write(format!("{project}/sub/real.yaml"), "lines: [1, 2, 3]\n");
        // A link that stays inside is followed.
        std::os::unix::fs::symlink("sub/real.yaml", machine.path(project).join("in dex.yaml")).unwrap();
    }
    let (template, theirs, ours) = (machine.path("template"), machine.path(projects[0]), machine.path(projects[1]));
    let line = ["copier", "copy", "--defaults", text(&template), text(&theirs)];
    let said = oracle::must(&machine, &machine.path(""), &line);
    assert!(said.contains("File not found; returning empty dict: nowhere/at-all.yml"), "{said}");
    let told = machine.onramp("add --defaults").arg(text(&template)).dir(&ours).ok();
    assert!(told.stderr.contains("nowhere/at-all.yml of the project, which is not there"), "{told}");
    let said = compare::differences(&compare::tree(&theirs), &compare::tree(&ours));
    assert!(said.is_empty(), "{said}");
    assert!(fs::read_to_string(ours.join("shop.txt")).unwrap().starts_with("shop-child of shop at 9, b\n"));
}
