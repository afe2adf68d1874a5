//! What a template wants to do, read from what it says, with the scripts of its own that it names or may call.

mod script;

use sha2::{Digest as _, Sha256};

use super::{Capability, Kind};
use crate::reference::Digest;
use crate::template::{Command, Named, Suffix, Task, Template};
use crate::text::neutral_line;
use crate::tree::Entry;

/// Everything that a template wants to do beside giving files, each once, in the order in which it says so.
pub fn wanted(template: &Template) -> Vec<Capability> {
    let actions = &template.actions;
    let migrations = actions.migrations.iter().map(|migration| &migration.task);
    let mut all: Vec<Capability> = actions.tasks.iter().chain(migrations).map(|task| command(template, task)).collect();
    all.extend(actions.hooks.iter().map(|hook| {
        let python = is_python(&hook.path);
        // One hook may use what lies beside it.
        let scripts: Vec<_> = template.source.inside("hooks").map(|(path, entry)| (path.as_str(), entry)).collect();
        let kind = if python { Kind::Python } else { Kind::Run };
        // All of the file runs.
        let place = format!("{}:1", hook.path);
        capability(kind, &format!("the hook {}", hook.name), &place, &[&hook.name, &hook.path], &scripts)
    }));
    all.extend(extensions(template));
    all.extend(declared(template));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|capability| seen.insert(capability.digest.clone()));
    all
}

/// What a template wants to do while it renders: its Jinja extensions.
pub fn extensions(template: &Template) -> Vec<Capability> {
    template.rules.extensions.iter().map(|named| extension(template, named)).collect()
}

/// What a template says that it reads outside itself and the project, and where it sends something.
pub fn declared(template: &Template) -> Vec<Capability> {
    let said = |kind, named: &Named| capability(kind, &named.name, &named.place, &[&named.name], &[]);
    let reads = template.actions.reads.iter().map(|named| said(Kind::Read, named));
    reads.chain(template.actions.sends.iter().map(|named| said(Kind::Send, named))).collect()
}

fn command(template: &Template, task: &Task) -> Capability {
    let (text, mut parts) = match &task.command {
        Command::Shell(line) => (line.clone(), vec!["shell".to_owned(), line.clone()]),
        Command::Words(words) => {
            (words.join(" "), std::iter::once("words".to_owned()).chain(words.iter().cloned()).collect())
        }
    };
    parts.extend(task.directory.iter().map(|directory| format!("in {}", directory.display())));
    parts.extend(task.variables.iter().map(|(name, value)| format!("{name}={value}")));
    let syntax = &template.rules.syntax;
    let rendered = |text: &String| text.contains(&syntax.variable.0) || text.contains(&syntax.block.0);
    if parts.iter().any(rendered) {
        // What is put into a command is as good as the command.
        parts.extend(template.questions.iter().map(|question| {
            format!("{}: {:?} {:?} {:?}", question.id, question.default, question.choices, question.when)
        }));
        if parts.iter().any(|text| text.contains("include") || text.contains("import")) {
            parts.push(template.source.digest().to_string());
        }
    }
    let mut scripts = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || "\"'`;|&<>()=".contains(c)) {
        // `{{ _copier_conf.src_path }}/tasks/x.py`
        let word = word.rsplit("}}").next().unwrap_or(word).trim_start_matches("./").trim_start_matches('/');
        scripts.extend(named(template, word));
    }
    scripts.extend(script::called(template, &text));
    scripts.sort_by_key(|(path, _)| *path);
    scripts.dedup_by_key(|(path, _)| *path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    capability(Kind::Run, &format!("`{}`", neutral_line(&text, 300)), &task.place, &parts, &scripts)
}

/// The files of the template that a word of a command names, before or after they are rendered.
fn named<'t>(template: &'t Template, word: &str) -> Vec<(&'t str, &'t Entry)> {
    if word.is_empty() {
        return Vec::new();
    }
    let is = |path: &str| path.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('/'));
    let all = template.source.iter().map(|(path, entry)| (path.as_str(), entry));
    all.filter(|(path, _)| is(path) || is(unsuffixed(template, path))).collect()
}

fn is_python(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("py"))
}

/// A Jinja extension. Its module may lie in the template itself, and may import any other that does.
fn extension(template: &Template, named: &Named) -> Capability {
    let all = template.source.iter().map(|(path, entry)| (path.as_str(), entry));
    let scripts: Vec<_> = all.filter(|(path, _)| is_python(path)).collect();
    let what = format!("the Jinja extension {}", named.name);
    capability(Kind::Python, &what, &named.place, &[&named.name], &scripts)
}

fn capability(kind: Kind, what: &str, place: &str, parts: &[&str], scripts: &[(&str, &Entry)]) -> Capability {
    let mut hash = Sha256::new();
    hash.update(serde_json::json!([kind, parts]).to_string());
    for (path, entry) in scripts {
        hash.update(format!("\0{path}\0{}", entry.digest()));
    }
    let digest = Digest::from_hash(&hash.finalize());
    Capability { kind, what: neutral_line(what, 320), place: neutral_line(place, 120), digest }
}

/// A path without the suffix that makes it a template.
fn unsuffixed<'p>(template: &Template, path: &'p str) -> &'p str {
    match &template.rules.suffix {
        Suffix::Only(suffix) => path.strip_suffix(suffix.as_str()).unwrap_or(path),
        Suffix::Every => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Actions, Dialect, Hook, Rules};
    use crate::tree::Tree;

    fn template(files: &[(&str, &str)], actions: Actions, rules: Rules) -> Template {
        let source: Tree =
            files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file((*text).to_owned()))).collect();
        Template { dialect: Dialect::Copier, label: "t".to_owned(), source, questions: Vec::new(), rules, actions }
    }

    fn task(line: &str, place: &str) -> Task {
        let command = Command::Shell(line.to_owned());
        Task { command, when: None, directory: None, variables: Vec::new(), place: place.to_owned() }
    }

    fn digests(template: &Template) -> Vec<Digest> {
        wanted(template).into_iter().map(|capability| capability.digest).collect()
    }

    #[test]
    fn a_command_is_the_same_wherever_it_stands() {
        let with = |line: &str, place: &str| {
            template(&[], Actions { tasks: vec![task(line, place)], ..Actions::default() }, Rules::default())
        };
        assert_eq!(digests(&with("make", "copier.yml:3")), digests(&with("make", "copier.yml:9")));
        assert_ne!(digests(&with("make", "copier.yml:3")), digests(&with("make all", "copier.yml:3")));
        let twice = Actions { tasks: vec![task("make", "a:1"), task("make", "a:2")], ..Actions::default() };
        assert_eq!(wanted(&template(&[], twice, Rules::default())).len(), 1);
        let hostile = wanted(&with("echo \u{1b}[2J\nrm", "copier.yml:3"));
        assert_eq!(hostile[0].to_string(), "run `echo \\u{1b}[2J rm` (copier.yml:3)");
        let mut words = with("make all", "copier.yml:3");
        words.actions.tasks[0].command = Command::Words(vec!["make".to_owned(), "all".to_owned()]);
        assert_ne!(digests(&words), digests(&with("make all", "copier.yml:3")), "no shell reads it");
    }

    #[test]
    fn a_script_that_a_command_names_is_part_of_it() {
        for line in [
            "sh scripts/setup.sh",
            "./scripts/setup.sh --now",
            "bash -c 'setup.sh'",
            "sh {{ _copier_conf.src_path }}/scripts/setup.sh",
        ] {
            let with = |script: &str, other: &str| {
                let actions = Actions { tasks: vec![task(line, "copier.yml:3")], ..Actions::default() };
                template(&[("tpl/scripts/setup.sh.jinja", script), ("other", other)], actions, Rules::default())
            };
            let one = digests(&with("echo 1", ""));
            assert_ne!(digests(&with("curl evil | sh", "")), one, "{line}");
            assert_eq!(digests(&with("echo 1", "changed")), one, "{line}");
        }
    }

    #[test]
    fn what_a_command_may_call_is_part_of_it() {
        let with = |line: &str, path: &str, text: &str| {
            let actions = Actions { tasks: vec![task(line, "copier.yml:3")], ..Actions::default() };
            digests(&template(&[(path, text)], actions, Rules::default()))
        };
        let calls = |line: &str, path: &str| with(line, path, "all:\n\ttrue\n") != with(line, path, "all:\n\tevil\n");
        for (line, path) in [
            ("make", "Makefile"),
            ("cd sub && /usr/bin/make -s all", "tpl/Makefile.jinja"),
            ("make", "{% if c %}Makefile{% endif %}"),
            ("just setup", "justfile"),
            ("npm install", "package.json"),
            ("npm install", "scripts/postinstall.js"),
            ("{{ manager }} install", "package.json"),
            ("composer install", "composer.json"),
            ("php artisan key:generate", "src/Key.php"),
            ("uv run pre-commit install", ".pre-commit-config.yaml"),
            ("true", "lib.sh"),
            ("python3 -m setup", "setup/__main__.py"),
        ] {
            assert!(calls(line, path), "{line}: {path}");
        }
        for (line, path) in [("git init", "Makefile"), ("make", "readme.md"), ("git init", "src/index.php")] {
            assert!(!calls(line, path), "{line}: {path}");
        }
        assert_ne!(with("true", "run", "#!/bin/awk -f\n1\n"), with("true", "run", "#!/bin/awk -f\n2\n"));
    }

    #[test]
    fn hooks_and_extensions_are_their_code() {
        let with = |hook: &str, extension: &str| {
            let hooks = vec![Hook { name: "post_gen_project".into(), path: "hooks/post_gen_project.py".into() }];
            let named = |name: &str| Named { name: name.to_owned(), place: "copier.yml:1".to_owned() };
            let actions =
                Actions { hooks, reads: vec![named("~/.netrc")], sends: vec![named("h.test")], ..Actions::default() };
            let rules = Rules { extensions: vec![named("extensions.context:Updater")], ..Rules::default() };
            template(&[("hooks/post_gen_project.py", hook), ("extensions/context.py", extension)], actions, rules)
        };
        let all: Vec<String> = wanted(&with("1", "1")).iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            [
                "run Python: the hook post_gen_project (hooks/post_gen_project.py:1)",
                "run Python: the Jinja extension extensions.context:Updater (copier.yml:1)",
                "read ~/.netrc (copier.yml:1)",
                "send to h.test (copier.yml:1)",
            ]
        );
        let (one, hook, extension) = (digests(&with("1", "1")), digests(&with("2", "1")), digests(&with("1", "2")));
        // An extension may import whatever Python lies in the template.
        assert_eq!([one[0] == hook[0], one[1] == hook[1]], [false, false]);
        assert_eq!([one[0] == extension[0], one[1] == extension[1]], [true, false]);
    }
}
