//! A small catalog in a git repository, made by the test that needs it.

use std::path::PathBuf;

use crate::run::Machine;

/// An app block: a project with one service, a part of its files optional, a question of every kind.
pub const WEB: &str = r#"schema = 1
name = "web"
kind = "app"
version = "1.0.0"
description = "A small web application"
owner = "web@acme.test"

[questions.name]
type = "str"
help = "Name of the project"
default = "{{ _project.name }}"
validator = "{% if not (name | regex_search('^[a-z][a-z0-9-]*$')) %}Use lower-case letters, digits and dashes{% endif %}"

[questions.php]
type = "str"
choices = ["8.2", "8.3"]
default = "8.2"

[questions.database]
type = "bool"
help = "With a database"
default = false

[questions.db_port]
type = "int"
when = "{{ database }}"
default = 3306
"#;

const WEB_PROJECT: &str = r#"schema = 1
name = "{{ name }}"
catalog = "{{ _catalog }}"

[services.web]
build = { base = "{{ _company.registry }}/base/php-apache:{{ php }}" }
port = 80
"#;

/// A part: a service and a file.
pub const CACHE: &str = r#"schema = 1
name = "cache"
kind = "part"
version = "1.0.0"
description = "A cache"
owner = "platform@acme.test"

[questions.memory]
type = "int"
help = "Megabytes"
default = 64

# Replaced by the environment's own `cache` once there is one.
[services.cache]
fallback = "{{ _company.registry }}/base/redis:7.0" # a comment
port = 6379
env = { MEMORY = "{{ memory }}" }
"#;

/// A catalog repository on a machine, which uses it from then on.
pub struct CatalogRepository<'a> {
    machine: &'a Machine,
    root: PathBuf,
}

impl<'a> CatalogRepository<'a> {
    /// A catalog with the blocks `web` 1.0.0 and `cache` 1.0.0. Nothing listens where its company's registry should be.
    pub fn small(machine: &'a mut Machine) -> Self {
        let root = machine.elsewhere("catalog");
        machine.set("ONRAMP_CATALOG", root.display().to_string());
        let catalog = Self { machine, root };
        catalog
            .file(
                "catalog.toml",
                "schema = 1\n[company]\nname = \"Acme\"\nregistry = \"127.0.0.1:1\"\nstate = \"/state.git\"\n",
            )
            .file("blocks/web/block.toml", WEB)
            .file("blocks/web/README.md", "# web\n\nThe \u{1b}[31msmallest\u{1b}[0m one.\n")
            .file("blocks/web/files/onramp.toml.jinja", WEB_PROJECT)
            .file("blocks/web/files/src/index.php", "<?php echo '{{ not a template }}';\n")
            .file(
                "blocks/web/files/{% if database %}db{% endif %}/schema.sql.jinja",
                "-- {{ name }} on {{ db_port }}\n",
            )
            .file("blocks/web/files/run.sh", "#!/bin/sh\n")
            .executable("blocks/web/files/run.sh")
            .file("blocks/cache/block.toml", CACHE)
            .file("blocks/cache/files/src/{{ _project.name }}/Cache.php", "<?php\n");
        catalog.machine.git(&catalog.root, &["init", "--quiet", "--initial-branch=main"]);
        catalog.release("web", "1.0.0");
        catalog.release("cache", "1.0.0");
        catalog
    }

    /// The machine that it is on.
    pub fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// The catalog that was made on this machine before.
    pub fn again(machine: &'a Machine) -> Self {
        Self { machine, root: machine.elsewhere("catalog") }
    }

    /// Removes a file.
    pub fn without(&self, path: &str) -> &Self {
        std::fs::remove_file(self.root.join(path)).unwrap();
        self
    }

    /// Runs git in it; what it printed.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.machine.git(&self.root, arguments)
    }

    /// Writes a file.
    pub fn file(&self, path: &str, contents: &str) -> &Self {
        self.machine.write(self.root.join(path), contents);
        self
    }

    /// Makes a file one that can be run.
    pub fn executable(&self, path: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.root.join(path), PermissionsExt::from_mode(0o755)).unwrap();
        self
    }

    /// Makes a symbolic link.
    pub fn link(&self, target: &str, path: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.root.join(path)).unwrap();
        self
    }

    /// Commits everything and tags it as a release of a block, its manifest's version raised with it.
    pub fn release(&self, name: &str, version: &str) -> &Self {
        let manifest = self.root.join(format!("blocks/{name}/block.toml"));
        let text = self.machine.read(&manifest);
        let old = text.lines().find(|line| line.starts_with("version = ")).unwrap().to_owned();
        self.machine.write(&manifest, text.replace(&old, &format!("version = \"{version}\"")));
        self.machine.git(&self.root, &["add", "--all"]);
        let message = format!("Release {name} {version}");
        self.machine.git(&self.root, &["commit", "--quiet", "--allow-empty", "-m", &message]);
        self.machine.git(&self.root, &["tag", &format!("{name}/v{version}")]);
        self
    }
}
