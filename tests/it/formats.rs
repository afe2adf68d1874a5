//! State repositories in formats of other tools: their own readers see what an edit changes, and a company works with one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use onramp::error::Class;
use onramp::name::Name;
use onramp::project::service::Service;
use onramp::reference::{Digest, ImageRef};
use onramp::state::edit::Edit;
use onramp::state::policy;

use crate::company::Developer;
use crate::compose::composed;
use crate::run::Machine;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn image(seed: &str) -> ImageRef {
    format!("r.test/apps/shop@{}", Digest::of(seed.as_bytes())).parse().unwrap()
}

/// Both images' digests, by which a text of before is one of after.
fn after(text: &str) -> String {
    text.replace(image("old").digest().unwrap().as_str(), image("new").digest().unwrap().as_str())
}

/// Writes a declaration with the old image, and one with the new one, into two directories. `DIGEST` stands for the digest.
fn both(machine: &Machine, format: &str, file: &str, text: &str) {
    let rules = format!("schema = 1\n[format]\n{format}\n");
    let format = policy::parse(Path::new("state.toml"), &rules).unwrap().format;
    let text = text.replace("DIGEST", image("old").digest().unwrap().as_str());
    let edits = [(name("web"), Edit::Image(image("new")))].into();
    let new = format.edit(&name("test"), &name("shop"), Some(&text), &edits).unwrap();
    machine.write(Path::new("before").join(file), text);
    machine.write(Path::new("after").join(file), new);
}

/// What a program prints, run in a directory of the machine.
#[track_caller]
fn says(machine: &Machine, directory: &str, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(machine.path(directory)).env_clear().envs(machine.environment());
    let output = command.output().unwrap_or_else(|error| panic!("scripts/setup test installs {program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn compose_sees_the_image_alone() {
    let machine = Machine::new();
    let text = "x-env: &env {A: '1', DB_PASSWORD: '${P:?secret shop/db}'}\nservices:\n    web:\n        # pinned\n        image:  'r.test/apps/shop@DIGEST'   # here\n        environment: {<<: *env, B: \"2\"}\n        deploy: {replicas: 2}\n    db: {image: mariadb:11, volumes: ['data:/var/lib/mysql']}\nvolumes: {data: {}}\n";
    both(&machine, "kind = \"compose\"\npath = \"{environment}/{app}.yaml\"", "compose.yaml", text);
    let seen =
        |directory| composed(&machine, directory, "compose.yaml", &[("P", "x"), ("COMPOSE_PROJECT_NAME", "shop")]);
    let (old, new) = (seen("before").to_string(), seen("after").to_string());
    assert!(old.contains(&image("old").to_string()));
    assert_eq!(new, after(&old));
}

#[test]
fn kustomize_sees_the_image_alone() {
    let machine = Machine::new();
    let manifest = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n      - {name: web, image: 'web:1'}\n      - {name: side, image: side}\n";
    let overlay = |lines: &str| {
        for directory in ["before", "after"] {
            machine.write(Path::new(directory).join("web.yaml"), manifest);
        }
        let text = format!(
            "resources: [web.yaml]\nimages:\n- name: web # the base's\n  newName: r.test/apps/shop\n{lines}- {{name: side, newTag: \"3\"}}\n"
        );
        both(
            &machine,
            "kind = \"kustomize\"\npath = \"{environment}/{app}/kustomization.yaml\"",
            "kustomization.yaml",
            &text,
        );
    };
    let seen = |directory| says(&machine, directory, "kubectl", &["kustomize", "."]);
    overlay("  digest: DIGEST\n");
    assert_eq!(seen("after"), after(&seen("before")));
    let new = seen("after");
    assert!(new.contains(&format!("image: {}\n", image("new"))), "{new}");
    // A tag leaves nothing behind.
    overlay("  newTag: v1\n");
    assert_eq!(seen("after"), new);
}

#[test]
fn a_reader_of_manifests_sees_the_image_alone() {
    let machine = Machine::new();
    let text = "# the page\nkind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      initContainers:\n      - name: wait\n        image: busybox:1\n      containers:\n      - image: \"r.test/apps/shop@DIGEST\" # pinned\n        name: web\n---\nkind: Service\napiVersion: v1\nmetadata: {name: web}\n";
    both(&machine, "kind = \"kubernetes\"\npath = \"{environment}/{app}.yaml\"", "shop.yaml", text);
    for directory in ["before", "after"] {
        machine.write(Path::new(directory).join("kustomization.yaml"), "resources: [shop.yaml]\n");
    }
    let seen = |directory| says(&machine, directory, "kubectl", &["kustomize", "."]);
    assert!(seen("before").contains(&image("old").to_string()));
    assert_eq!(seen("after"), after(&seen("before")));
}

/// Helm itself is in no registry of packages here: its values are YAML, which another reader reads.
#[test]
fn another_reader_of_values_sees_the_image_alone() {
    let machine = Machine::new();
    let text = "# values\nglobal: &all {team: shop}\nweb:\n  image:\n    repository: r.test/apps/shop\n    tag: \"1.2\"\n    digest: 'DIGEST'   # what counts\n  labels: *all\n  note: |\n    digest: none\n";
    both(
        &machine,
        "kind = \"helm\"\npath = \"{app}/{environment}.yaml\"\nimage = \"{service}.image\"",
        "values.yaml",
        text,
    );
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let script = "import json, yaml; print(json.dumps(yaml.safe_load(open('values.yaml'))))";
    let seen = |directory| says(&machine, directory, python.to_str().unwrap(), &["-c", script]);
    assert!(seen("before").contains(image("old").digest().unwrap().as_str()));
    assert_eq!(seen("after"), after(&seen("before")));
}

#[test]
fn puppet_looks_the_image_up() {
    let machine = Machine::new();
    let text = "---\nprofile::shop::web::image: \"r.test/apps/shop@DIGEST\" # pinned\nprofile::shop::web::port: 80\n";
    let format =
        "kind = \"hiera\"\npath = \"data/{environment}/{app}.yaml\"\nimage = \"profile::{app}::{service}::image\"";
    both(&machine, format, "data/test/shop.yaml", text);
    machine.write("after/hiera.yaml", "version: 5\nhierarchy:\n- {name: apps, path: test/shop.yaml, data_hash: yaml_data}\ndefaults: {datadir: data}\n");
    machine.write("after/facts.yaml", "a: b\n");
    let arguments =
        ["lookup", "--confdir", "c", "--vardir", "v", "--hiera_config", "hiera.yaml", "--facts", "facts.yaml"];
    let arguments = [&arguments[..], &["--node", "n", "--render-as", "s", "profile::shop::web::image"]].concat();
    assert_eq!(says(&machine, "after", "puppet", &arguments).trim(), image("new").to_string());
}

#[test]
fn lint_tells_what_nobody_can_tell_apart_with_its_line() {
    let machine = Machine::new();
    let rules = "schema = 1\n[format]\nkind = \"compose\"\npath = \"{app}/{environment}.yaml\"\n[[environment]]\nname = \"test\"\n";
    machine.write("state/state.toml", rules);
    machine.write("state/shop/test.yaml", "services:\r\n  web: { image: 'r.test/apps/shop:1', depends_on: [db] }\r\n");
    machine.write("state/twice/test.yaml", "services:\n  web:\n    image: r.test/a:1\n    image: r.test/b:1\n");
    machine.write("state/braces/test.yaml", "services:\n  web:\n    image: {{ .Values.image }}\n");
    machine.write("state/filled/test.yaml", "services: { web: { image: \"r.test/a:${TAG:-1}\" } }\n");
    machine.write("state/shop/nowhere.yaml", "services: {}\n");
    machine.write("state/docs/page.md", "not a declaration\n");
    machine.write("state/linked/keep", "");
    std::os::unix::fs::symlink("../shop/test.yaml", machine.path("state/linked/test.yaml")).unwrap();
    let linted = machine.onramp("state lint state").fails(Class::Failed);
    assert_snapshot!(linted.stdout, @r"
    braces/test.yaml:3:1: it is a template (`{{`): what it says is known only once it is rendered
      hint: name the file of values that it is rendered with
    filled/test.yaml:1:27: `r.test/a:${TAG:-1}` is another image wherever its variables are others: write the image
    linked/test.yaml: it is a symbolic link: what it leads to is not read
    shop/nowhere.yaml: state.toml has no environment `nowhere`: nobody reads this
    twice/test.yaml:4:5: the key `image` is there twice
    5 declarations, 5 findings
    ");
}

/// Turns the company's state repository into one of Compose files.
fn in_compose(dev: &Developer) {
    let state = dev.elsewhere("state.git");
    dev.git("", &["clone", "--quiet", state.to_str().unwrap(), "declared"]);
    for environment in ["test", "staging", "production"] {
        for app in ["shop", "auth"] {
            let old = format!("declared/environments/{environment}/{app}.toml");
            let services = onramp::state::environment::check(Path::new(&old), &dev.read(&old)).unwrap();
            let text = stack(&services);
            // Others name images by tags.
            let text = if environment == "production" { mariadb_by_tag(dev, &services, text) } else { text };
            dev.write(format!("declared/stacks/{environment}/{app}/compose.yaml"), text);
        }
    }
    dev.remove("declared/environments");
    let rules = dev.read("declared/state.toml");
    let format = "[format]\nkind = \"compose\"\npath = \"stacks/{environment}/{app}/compose.yaml\"\n";
    dev.write("declared/state.toml", format!("{rules}\n{format}"));
    dev.git("declared", &["add", "--all"]);
    dev.git("declared", &["commit", "--quiet", "--message", "Stacks"]);
    dev.git("declared", &["push", "--quiet"]);
    dev.remove("declared");
}

fn mariadb_by_tag(dev: &Developer, services: &BTreeMap<Name, Service>, text: String) -> String {
    let Some(image) = services.get(&name("db")).and_then(|db| db.image.as_ref()) else { return text };
    text.replace(&image.to_string(), &format!("{}/base/mariadb:10.11", dev.registry()))
}

fn stack(services: &BTreeMap<Name, Service>) -> String {
    let mut text = "# What the swarm runs.\nservices:\n".to_owned();
    for (name, service) in services {
        let image = service.image.as_ref().unwrap();
        text.push_str(&format!("  {name}:\n    image: \"{image}\"   # by digest\n"));
        text.push_str(&service.port.map(|port| format!("    expose: ['{port}']\n")).unwrap_or_default());
        text.push_str(
            &service.replicas.map(|count| format!("    deploy: {{replicas: {count}}}\n")).unwrap_or_default(),
        );
    }
    text
}

#[test]
fn a_company_with_compose_files_tests_and_deploys() {
    let dev = Developer::new();
    dev.shop();
    in_compose(&dev);
    let path = "stacks/test/shop/compose.yaml";
    let shown = dev.onramp("state show test").ok().stdout;
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((&rows[3][..3], &rows[3][4..]), (&["shop", "web", "apps/shop"][..], &["80", "1", "-"][..]), "{shown}");
    dev.onramp("state lint").ok();
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "Better products"));
    dev.in_shop("test unit").ok();
    let parity = dev.in_shop("parity").ok().stdout;
    assert!(parity.contains("the environment names a tag, and runs what that was"), "{parity}");
    assert!(parity.contains("a sandbox runs one"), "three are declared: {parity}");
    dev.commit("Better products");
    let before = dev.declared(path);
    let opened = dev.in_shop("deploy test").ok();
    assert!(opened.stdout.starts_with("opened: #1 "), "{opened}");
    dev.onramp("pr merge 1").ok();
    let after = dev.declared(path);
    let changed: Vec<(&str, &str)> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!((changed.len(), before.lines().count()), (1, after.lines().count()), "a one-line diff: {changed:?}");
    assert!(changed[0].1.starts_with("    image: \"") && changed[0].1.ends_with("\"   # by digest"), "{changed:?}");
    let status = dev.onramp("release status").ok();
    assert!(status.stdout.lines().any(|line| line.starts_with("shop  test ") && line.contains("[COMMIT]")), "{status}");
}
