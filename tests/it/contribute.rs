//! `onramp contribute`

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::run::Machine;

const SITE: &str = r#"schema = 1
name = "site"
kind = "part"
version = "1.0.0"
description = "A site"
owner = "@acme/web"
trusted_committers = ["ana@acme.test", "The Site Crew"]

[questions.title]
type = "str"
default = "Shop"

[questions.port]
type = "int"
default = 8080

[questions.tls]
type = "bool"
default = false
"#;

const CONFIG: &str = "# {{ title }}
listen = {{ port }}
{% if tls -%}
cert = \"/etc/cert.pem\"
{% endif -%}
workers = 4

[paths]
root = \"/srv/{{ title }}/html\"
";

/// A machine with a project that has the block `site`.
fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.set("ONRAMP_FORGE", "local");
    CatalogRepository::small(&mut machine)
        .file("blocks/site/block.toml", SITE)
        .file("blocks/site/files/site.conf.jinja", CONFIG)
        .file("blocks/site/files/start.sh", "#!/bin/sh\nexec site '{{ not a template }}'\n")
        .file("blocks/site/files/{% if tls %}tls{% endif %}/notes.md.jinja", "{{ title }}\n")
        .file("blocks/site/files/hosts.txt.jinja", "{% for i in range(2) %}host{{ i }}\n{% endfor %}end\n")
        .release("site", "1.0.0");
    machine.onramp("new web shop").ok();
    machine.onramp("add site --defaults").dir("shop").ok();
    machine.git("shop", &["add", "--all"]);
    machine.git("shop", &["commit", "--quiet", "-m", "site"]);
    machine
}

/// The text of a file on a branch of the catalog.
fn on_branch(machine: &Machine, branch: &str, path: &str) -> String {
    machine.git(machine.elsewhere("catalog"), &["show", &format!("{branch}:{path}")])
}

#[test]
fn an_improvement_becomes_a_pull_request_with_the_values_as_questions() {
    let machine = machine();
    let conf = machine.read("shop/site.conf");
    assert_eq!(conf, "# Shop\nlisten = 8080\nworkers = 4\n\n[paths]\nroot = \"/srv/Shop/html\"\n");
    let better = conf
        .replace("workers = 4", "workers = 8")
        .replace("root = \"/srv/Shop/html\"", "root = '/srv/Shop/html'\nlogs = '/srv/Shop/log'");
    machine.write("shop/site.conf", better);
    let before = machine.tree("shop");
    assert_snapshot!(machine.onramp("contribute --dry-run").dir("shop").ok(), @r#"
    --- stdout
    site 1.0.0: 2 taken, 0 left out
      take  site.conf:3 → files/site.conf.jinja
      take  site.conf:6-7 → files/site.conf.jinja
      proved with this project's answers and 5 other sets
    diff --git a/blocks/site/files/site.conf.jinja b/blocks/site/files/site.conf.jinja
    index [COMMIT]..[COMMIT] 100644
    --- a/blocks/site/files/site.conf.jinja
    +++ b/blocks/site/files/site.conf.jinja
    @@ -3,7 +3,8 @@ listen = {{ port }}
     {% if tls -%}
     cert = "/etc/cert.pem"
     {% endif -%}
    -workers = 4
    +workers = 8
     
     [paths]
    -root = "/srv/{{ title }}/html"
    +root = '/srv/{{ title }}/html'
    +logs = '/srv/{{ title }}/log'
    "#);
    let told = machine.onramp("contribute").arg("-m").arg("More workers\n\nMeasured.").dir("shop").ok();
    assert_snapshot!(told.stdout, @r"
    opened: #1 site: More workers
      on branch contribute/site/shop of [MACHINE]/catalog
      next: onramp pr show 1 --catalog
      asked to review: web, ana@acme.test
      could not be asked: The Site Crew
    ");
    assert_eq!(machine.tree("shop"), before, "the project stays as it is");
    let branch = "contribute/site/shop";
    assert_snapshot!(on_branch(&machine, branch, "blocks/site/files/site.conf.jinja"), @r#"
    # {{ title }}
    listen = {{ port }}
    {% if tls -%}
    cert = "/etc/cert.pem"
    {% endif -%}
    workers = 8

    [paths]
    root = '/srv/{{ title }}/html'
    logs = '/srv/{{ title }}/log'
    "#);
    assert_snapshot!(machine.filter(&machine.git(machine.elsewhere("catalog"), &["show", "--format=%B", "--stat", branch])), @r"
    site: More workers

    Measured.

    Contributed-from: shop
    Block: site 1.0.0


     blocks/site/files/site.conf.jinja | 5 +++--
     1 file changed, 3 insertions(+), 2 deletions(-)
    ");
    let pull = machine.git(machine.elsewhere("catalog"), &["show", "refs/pull/1/data:pull.toml"]);
    let created = pull.lines().find(|line| line.starts_with("created = ")).unwrap().to_owned() + "\n";
    let pull = pull.replace(&created, "");
    assert_snapshot!(machine.filter(&pull), @r#"
    schema = 1
    title = "site: More workers"
    body = """
    More workers

    Measured.

    Improvements that shop made to what it got from `site 1.0.0`, as changes of the block.

    - `site.conf:3` → `files/site.conf.jinja`
    - `site.conf:6-7` → `files/site.conf.jinja`

    ### Why it is safe

    - Rendered with shop's answers, the changed templates give its files, byte for byte.
    - Rendered with 5 other answer sets (every pair of two questions' answers), they differ from `1.0.0` by exactly this change.
    """
    head = "contribute/site/shop"
    base = "main"
    state = "open"
    reviewers = ["web", "ana@acme.test"]

    [author]
    id = "dev@acme.test"
    name = "Dev"
    "#);
    // The same again changes nothing; more of it updates the same pull request.
    let tip = machine.git(machine.elsewhere("catalog"), &["rev-parse", branch]);
    let again = machine.onramp("contribute").arg("-m").arg("More workers\n\nMeasured.").dir("shop").ok();
    assert!(again.stdout.starts_with("up to date: #1 "), "{again}");
    assert_eq!(machine.git(machine.elsewhere("catalog"), &["rev-parse", branch]), tip);
    machine.write("shop/start.sh", "#!/bin/sh\nexec site --fast\n");
    machine.onramp("contribute").dir("shop").ok();
    assert_eq!(on_branch(&machine, branch, "blocks/site/files/start.sh"), "#!/bin/sh\nexec site --fast\n");
}

#[test]
fn a_contribution_is_reviewed_and_merged_like_any_other_pull_request() {
    let machine = machine();
    machine.write("shop/start.sh", "#!/bin/sh\nexec site --fast\n");
    machine.onramp("contribute").dir("shop").ok();
    let listed = machine.onramp("pr list --catalog").ok();
    assert!(listed.stdout.starts_with("#1  site: improve start.sh"), "{listed}");
    let shown = machine.onramp("pr show 1 --catalog").ok();
    assert!(
        shown.stdout.contains("asked: web, ana@acme.test") && shown.stdout.contains("+exec site --fast"),
        "{shown}"
    );
    let refused = machine.onramp("pr merge 1 --catalog").fails(Class::Security);
    assert!(refused.stderr.contains("nobody else approved"), "{refused}");
    machine.onramp("pr approve 1 --catalog").fails(Class::Security);
    machine.onramp("pr approve 1 --catalog").env("GIT_AUTHOR_EMAIL", "ana@acme.test").ok();
    // The catalog in this test has a work tree, whose branch git keeps others from moving.
    machine.git(machine.elsewhere("catalog"), &["config", "receive.denyCurrentBranch", "ignore"]);
    machine.onramp("pr merge 1 --catalog").ok();
    assert_eq!(on_branch(&machine, "main", "blocks/site/files/start.sh"), "#!/bin/sh\nexec site --fast\n");
    let again = machine.onramp("contribute").dir("shop").ok();
    assert!(again.stdout.contains("the block's repository has all of it already"), "{again}");
}

#[test]
fn what_is_not_certain_is_named_and_fails_where_nothing_else_is_asked() {
    let machine = machine();
    let conf = machine.read("shop/site.conf");
    machine.write("shop/site.conf", conf.replace("8080", "9090").replace("workers", "new = 1\nworkers"));
    machine.write("shop/hosts.txt", "host0\nhost7\nend\n");
    std::fs::remove_file(machine.path("shop/start.sh")).unwrap();
    let told = machine.onramp("contribute").dir("shop").fails(Class::Failed);
    assert_snapshot!(told, @r"
    --- stdout
    site 1.0.0: nothing could be turned back with certainty
      3 changes are left out; --dry-run says why
    --- stderr
    site 1.0.0: 0 taken, 3 left out
      leave hosts.txt:2: it changes the value of `i`, which is an answer and not the template's text
      leave site.conf:2-3: it stands where the template's line 3 decides what is rendered, and may belong to either side
      leave start.sh: it is deleted here; the block's other projects have it
    ");
    let refs = machine.git(machine.elsewhere("catalog"), &["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(refs, "refs/heads/main\n", "nothing was pushed");
    let json = machine.onramp("contribute --dry-run --json site.conf").dir("shop").fails(Class::Failed).json();
    assert_eq!(json["contributions"][0]["left_out"].as_array().unwrap().len(), 1, "{json}");
}

#[test]
fn a_patch_applies_to_the_catalog_and_a_named_new_file_goes_with_it() {
    let machine = machine();
    machine.write("shop/site.conf", machine.read("shop/site.conf").replace("workers = 4", "workers = 8"));
    machine.write("shop/run/stop.sh", "#!/bin/sh\necho '{{ title }}'\n");
    machine.onramp("contribute --block site --patch ../site.patch site.conf run/stop.sh").dir("shop").ok();
    let catalog = machine.elsewhere("catalog");
    let patch = machine.path("site.patch").display().to_string();
    machine.git(&catalog, &["apply", "--index", &patch]);
    assert_eq!(
        machine.git(&catalog, &["diff", "--cached", "--name-only"]),
        "blocks/site/files/run/stop.sh\nblocks/site/files/site.conf.jinja\n"
    );
    assert_eq!(machine.read(catalog.join("blocks/site/files/run/stop.sh")), "#!/bin/sh\necho '{{ title }}'\n");
}

#[test]
fn what_the_catalog_changed_since_is_merged_or_left_out() {
    let machine = machine();
    let file = machine.elsewhere("catalog").join("blocks/site/files/site.conf.jinja");
    machine.write(&file, CONFIG.replace("# {{ title }}", "# {{ title }}, by the block").replace("[paths]", "[dirs]"));
    machine.write(machine.elsewhere("catalog").join("blocks/site/block.toml"), SITE.replace("1.0.0", "1.1.0"));
    machine.git(machine.elsewhere("catalog"), &["commit", "--quiet", "-am", "Newer"]);
    let conf = machine.read("shop/site.conf");
    machine.write("shop/site.conf", conf.replace("workers = 4", "workers = 8"));
    machine.onramp("contribute").dir("shop").ok();
    let merged = on_branch(&machine, "contribute/site/shop", "blocks/site/files/site.conf.jinja");
    assert!(merged.contains("by the block") && merged.contains("[dirs]") && merged.contains("workers = 8"), "{merged}");
    machine.write("shop/site.conf", conf.replace("[paths]", "[places]"));
    let told = machine.onramp("contribute").dir("shop").fails(Class::Failed);
    assert!(told.stderr.contains("changed the same place since 1.0.0"), "{told}");
}

#[test]
fn what_merges_as_text_and_not_as_what_it_renders_to_is_left_out() {
    let machine = machine();
    let file = machine.elsewhere("catalog").join("blocks/site/files/site.conf.jinja");
    // No line that the contribution touches, but there is nothing to touch any more.
    machine.write(&file, format!("{{% if tls -%}}\n{CONFIG}{{% endif -%}}\n"));
    machine.git(machine.elsewhere("catalog"), &["commit", "--quiet", "-am", "Newer"]);
    let conf = machine.read("shop/site.conf");
    machine.write("shop/site.conf", conf.replace("workers = 4", "workers = 8"));
    machine.write("shop/start.sh", machine.read("shop/start.sh").replace("exec site", "exec site --now"));
    let told = machine.onramp("contribute").dir("shop").ok();
    let why =
        "with the project's answers, it and what the block's repository changed since 1.0.0 do not render to both";
    assert!(told.stderr.contains(why), "{told}");
    let at = |path: &str| on_branch(&machine, "contribute/site/shop", path);
    assert!(!at("blocks/site/files/site.conf.jinja").contains("workers = 8"), "{told}");
    assert!(at("blocks/site/files/start.sh").contains("exec site --now"), "what is certain goes");
}

#[test]
fn a_copier_template_gets_a_pull_request_on_its_own_repository() {
    let mut machine = Machine::new();
    machine.set("ONRAMP_FORGE", "local");
    let template = machine.elsewhere("template");
    let file = |path: &str, text: &str| machine.write(template.join(path), text);
    file("copier.yml", "_subdirectory: tpl\nname: Shop\nport: 80\n");
    file("tpl/{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers|to_nice_yaml }}");
    file("tpl/{{ name }}.cfg.jinja", "port = {{ port }}\nname = {{ name }}\n");
    file("tpl/logo.bin", "\0one");
    machine.git(&template, &["init", "--quiet", "--initial-branch=main"]);
    machine.git(&template, &["add", "--all"]);
    machine.git(&template, &["commit", "--quiet", "-m", "first"]);
    machine.git(&template, &["tag", "v1.0.0"]);
    machine.onramp("new").arg(template.display().to_string()).arg("shop").arg("--defaults").ok();
    machine.write("shop/Shop.cfg", "port = 80\nname = 'Shop'\n");
    machine.write("shop/logo.bin", "\0two");
    // As a project of Copier's own is: without a lock.
    std::fs::remove_file(machine.path("shop/onramp.lock")).unwrap();
    let told = machine.onramp("contribute").dir("shop").ok();
    assert!(told.stdout.starts_with("opened: #1 template: improve logo.bin and {{ name }}.cfg.jinja"), "{told}");
    let show = |path: &str| machine.git(&template, &["show", &format!("contribute/template/shop:tpl/{path}")]);
    assert_eq!(show("{{ name }}.cfg.jinja"), "port = {{ port }}\nname = '{{ name }}'\n");
    assert_eq!(show("logo.bin"), "\0two");
    assert!(!machine.path("shop/onramp.lock").exists(), "the project stays as it is");
}

#[test]
fn somebody_elses_branch_is_not_overwritten() {
    let machine = machine();
    machine.git(machine.elsewhere("catalog"), &["branch", "contribute/site/shop"]);
    machine.write("shop/start.sh", "#!/bin/sh\n");
    let told = machine.onramp("contribute").dir("shop").fails(Class::Conflict);
    assert!(told.stderr.contains("holds somebody's own commits"), "{told}");
    machine.onramp("contribute ../outside").dir("shop").fails(Class::Usage);
    machine.onramp("contribute --block sites").dir("shop").fails(Class::Usage);
}
