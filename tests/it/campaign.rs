//! `onramp campaign`

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::CatalogRepository;
use crate::run::Machine;

const SITE: &str = "schema = 1
name = \"site\"
kind = \"part\"
version = \"1.0.0\"
description = \"A site\"
owner = \"@acme/web\"

[questions.title]
type = \"str\"
default = \"Shop\"
";

const CONFIG: &str = "# {{ title }}\nlisten = 80\nworkers = 4\ncache = 1\nlogs = 1\n";

const CHANGELOG: &str = "# Changelog\n\n## 1.1.0\n- More workers, asked for by @ana\n\n## 1.0.0\n- First\n";

/// A machine with `site` 1.0.0 and 1.1.0, and a project with the former that others are made from.
fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.set("ONRAMP_FORGE", "local");
    {
        let catalog = CatalogRepository::small(&mut machine);
        catalog
            .file("blocks/site/block.toml", SITE)
            .file("blocks/site/files/site.conf.jinja", CONFIG)
            .file("blocks/site/files/start.sh", "#!/bin/sh\nexec site\n")
            .executable("blocks/site/files/start.sh")
            .release("site", "1.0.0");
    }
    machine.onramp("new web shop").ok();
    machine.onramp("add site --defaults").dir("shop").ok();
    commit(&machine, "shop");
    let root = machine.elsewhere("catalog");
    let file = |path: &str, text: &str| machine.write(root.join("blocks/site").join(path), text);
    file("block.toml", &SITE.replace("1.0.0", "1.1.0"));
    file("files/site.conf.jinja", &CONFIG.replace("workers = 4", "workers = 8"));
    file("files/new.txt.jinja", "for {{ title }}\n");
    file("CHANGELOG.md", CHANGELOG);
    machine.git(&root, &["add", "--all"]);
    machine.git(&root, &["commit", "--quiet", "-m", "1.1.0"]);
    machine.git(&root, &["tag", "site/v1.1.0"]);
    machine
}

fn commit(machine: &Machine, repository: &str) {
    machine.git(repository, &["add", "--all"]);
    machine.git(repository, &["commit", "--quiet", "-m", "mine"]);
}

/// A repository like the first project, with an edit.
fn clone(machine: &Machine, name: &str, edit: Option<(&str, &str)>) {
    let to = format!("repos/{name}");
    machine.git("", &["clone", "--quiet", "shop", &to]);
    machine.git(&to, &["remote", "remove", "origin"]);
    if let Some((from, new)) = edit {
        let path = format!("{to}/site.conf");
        machine.write(&path, machine.read(&path).replace(from, new));
        commit(machine, &to);
    }
}

/// Six repositories: as given, with an edit, with one in the same place, without the block, bare, and with work going on.
fn repositories(machine: &Machine) {
    clone(machine, "a", None);
    clone(machine, "b", Some(("logs = 1", "logs = 2")));
    clone(machine, "c", Some(("workers = 4", "workers = 2")));
    machine.write("repos/d/README", "d\n");
    machine.git("repos/d", &["init", "--quiet", "--initial-branch=main"]);
    commit(machine, "repos/d");
    machine.git("", &["clone", "--quiet", "--bare", "shop", "repos/e.git"]);
    clone(machine, "f", None);
    machine.write("repos/f/site.conf", "not committed\n");
    machine.write("repos/f/staged", "staged\n");
    machine.git("repos/f", &["add", "staged"]);
}

const BRANCH: &str = "onramp/site-1.1.0";

#[test]
fn every_repository_gets_a_branch_and_nothing_else_changes() {
    let machine = machine();
    repositories(&machine);
    let trees = || ["a", "b", "c", "d", "f"].map(|name| machine.tree(format!("repos/{name}")));
    let before = trees();
    let state = |name: &str| {
        let git = |arguments: &[&str]| machine.git(format!("repos/{name}"), arguments);
        (
            git(&["status", "--porcelain=v2", "--branch"]),
            git(&["stash", "list"]),
            machine.path(format!("repos/{name}/.git/index")),
        )
    };
    let index = std::fs::read(state("f").2).unwrap();
    let was = state("f");
    assert_snapshot!(machine.onramp("campaign site@1.1.0 --repos repos --dry-run").fails(Class::Failed), @r"
    --- stdout
    site 1.1.0: 4 updated, 1 with conflicts, 0 failed, 0 up to date, 1 without it
      [WORK]/repos/c: conflicts in site.conf
    ");
    assert_eq!(machine.git("repos/a", &["branch", "--list", BRANCH]), "", "a dry run makes no branch");

    let told = machine.onramp("campaign site@1.1.0 --repos repos --report out").fails(Class::Failed);
    assert_snapshot!(told, @r"
    --- stdout
    site 1.1.0: 4 updated, 1 with conflicts, 0 failed, 0 up to date, 1 without it
      [WORK]/repos/c: conflicts in site.conf
      report: out/report.json
      report: out/report.html
    --- stderr
    site 1.1.0 to 6 repositories in waves of 6
      stops at failures or conflicts in more than 20 % of the repositories
    ");
    assert!(trees() == before, "work trees stay as they are");
    assert_eq!(state("f"), was);
    assert_eq!(std::fs::read(&was.2).unwrap(), index);
    for (name, logs) in [("a", "logs = 1"), ("b", "logs = 2"), ("e.git", "logs = 1"), ("f", "logs = 1")] {
        let text = machine.git(format!("repos/{name}"), &["show", &format!("{BRANCH}:site.conf")]);
        assert_eq!(text, format!("# Shop\nlisten = 80\nworkers = 8\ncache = 1\n{logs}\n"), "{name}");
    }
    assert_eq!(machine.git("repos/c", &["branch", "--list", BRANCH]), "", "a conflict makes no branch");
    assert_snapshot!(machine.filter(&machine.git("repos/b", &["show", "--format=%an%n%B", "--stat", BRANCH])).replace('\u{200b}', "·"), @r"
    Dev
    Update site from 1.0.0 to 1.1.0

    ## 1.1.0
    - More workers, asked for by @·ana

    To undo it: git revert this commit, or onramp update site --to 1.0.0.

    Onramp-Campaign: site 1.1.0


     new.txt     | 1 +
     onramp.lock | 9 +++++----
     site.conf   | 2 +-
     3 files changed, 7 insertions(+), 5 deletions(-)
    ");
    let report: serde_json::Value = serde_json::from_str(&machine.read("out/report.json")).unwrap();
    let counts =
        serde_json::json!({"visited": 6, "without": 1, "current": 0, "branched": 4, "conflicts": 1, "failed": 0});
    assert_eq!(report["counts"], counts);
    let page = machine.read("out/report.html");
    assert!(page.contains("site.conf:3") && !page.contains("<script"), "{page}");

    // What is merged is what an update would have made; then the campaign has nothing to do there.
    machine.git("repos/b", &["merge", "--quiet", BRANCH]);
    let outdated = machine.onramp("outdated --check").dir("repos/b").ok();
    assert!(!outdated.stdout.contains("site 1.0.0"), "{outdated}");
    let tip = machine.git("repos/a", &["rev-parse", BRANCH]);
    let again = machine.onramp("campaign site --repos repos --with-conflicts --json").fails(Class::Failed).json();
    assert_eq!(again["counts"]["current"], 1, "{again}");
    assert_eq!(machine.git("repos/a", &["rev-parse", BRANCH]), tip, "the same again leaves the branch as it is");
    let text = machine.git("repos/c", &["show", &format!("{BRANCH}:site.conf")]);
    assert!(text.contains("<<<<<<<") && text.contains("workers = 2") && text.contains("workers = 8"), "{text}");
}

#[test]
fn somebodys_own_branch_and_a_checked_out_one_stay() {
    let machine = machine();
    clone(&machine, "a", None);
    clone(&machine, "b", None);
    clone(&machine, "c", None);
    machine.git("repos/a", &["branch", BRANCH]);
    machine.onramp("campaign site --repos repos").fails(Class::Failed);
    machine.git("repos/b", &["checkout", "--quiet", BRANCH]);
    machine.git("repos/c", &["worktree", "add", "--quiet", "../../tree", BRANCH]);
    let refs = |name: &str| machine.git(format!("repos/{name}"), &["show-ref"]);
    let before = [refs("a"), refs("b"), refs("c")];
    for name in ["b", "c"] {
        machine.git(
            format!("repos/{name}"),
            &["commit", "--quiet", "--amend", "--allow-empty", "--no-edit", "-m", "mine"],
        );
    }
    let told = machine.onramp("campaign site --repos repos --restart").fails(Class::Failed);
    assert!(told.stdout.contains("somebody's own commits"), "{told}");
    assert_eq!(refs("a"), before[0]);
}

#[test]
fn a_rule_stops_it_and_it_goes_on_after_a_kill() {
    let machine = machine();
    for name in ["a", "b"] {
        clone(&machine, name, Some(("workers = 4", "workers = 2")));
    }
    for name in ["c", "d", "e", "f", "g", "h"] {
        clone(&machine, name, None);
    }
    let run = "campaign site --repos repos --wave 1,25%";
    let told = machine.onramp(&format!("{run} --stop-after 1")).fails(Class::Failed);
    assert!(told.stdout.contains("stopped: the first failure or conflict"), "{told}");
    assert_eq!(machine.git("repos/h", &["branch", "--list", BRANCH]), "", "later waves did not begin");
    let refused = machine.onramp(run).fails(Class::Conflict);
    assert!(refused.stderr.contains("this campaign began before: 1 of 8"), "{refused}");
    // Ever later, until one ends before it is killed.
    let mut moment = Duration::ZERO;
    while machine.onramp(&format!("{run} --resume --stop-after 100%")).killed_at(moment).is_none() {
        moment += Duration::from_millis(6);
    }
    let done = machine.onramp(&format!("{run} --resume --stop-after 100% --json")).fails(Class::Failed).json();
    assert_eq!(done["counts"]["branched"], 6, "{done}");
    assert_eq!(done["counts"]["conflicts"], 2, "{done}");
    let waves: Vec<u64> =
        done["visits"].as_array().unwrap().iter().map(|visit| visit["wave"].as_u64().unwrap()).collect();
    assert_eq!(waves, [1, 2, 2, 3, 3, 4, 4, 5]);
    for name in ["c", "d", "e", "f", "g", "h"] {
        machine.git(format!("repos/{name}"), &["fsck", "--strict", "--no-dangling"]);
        assert_eq!(
            machine.git(format!("repos/{name}"), &["log", "--format=%s", "-1", BRANCH]),
            "Update site from 1.0.0 to 1.1.0\n"
        );
    }
    let paused = machine.onramp(&format!("{run} --restart --pause")).fails(Class::Failed);
    assert!(paused.stdout.contains("wave 1 of 5 is done"), "{paused}");
}

#[test]
fn pull_requests_are_opened_where_the_branches_are_pushed_to() {
    let machine = machine();
    machine.git("", &["clone", "--quiet", "--bare", "shop", "server/a.git"]);
    machine.git("", &["clone", "--quiet", "server/a.git", "repos/a"]);
    machine.git("", &["clone", "--quiet", "--bare", "shop", "repos/b.git"]);
    machine.git("repos/b.git", &["remote", "remove", "origin"]);
    let done = machine.onramp("campaign site --repos repos --pull-requests --json").ok().json();
    assert_eq!(done["counts"]["branched"], 2, "{done}");
    assert_eq!(done["visits"][0]["pull"], "#1", "{done}");
    assert_eq!(machine.git("repos/a", &["branch", "--list", BRANCH]), "", "a clone is not touched");
    for server in ["server/a.git", "repos/b.git"] {
        let pull = machine.git(server, &["show", "refs/pull/1/data:pull.toml"]);
        for said in ["Update site from 1.0.0 to 1.1.0", "More workers", "git revert", "onramp update site --to 1.0.0"] {
            assert!(pull.contains(said), "{said}: {pull}");
        }
        assert!(!pull.contains("@ana"), "nobody is called who is only mentioned: {pull}");
    }
    machine.onramp("campaign site --repos repos --pull-requests --restart").ok();
    let pulls = machine.git("server/a.git", &["for-each-ref", "--format=%(refname)", "refs/pull"]);
    assert_eq!(pulls, "refs/pull/1/data\nrefs/pull/1/head\n", "the open one is brought up to date");
}

#[test]
fn a_pull_request_names_the_conflicts_that_it_brings() {
    let machine = machine();
    clone(&machine, "edited", Some(("workers = 4", "workers = 2")));
    machine.git("", &["clone", "--quiet", "--bare", "repos/edited", "servers/a.git"]);
    machine.git("servers/a.git", &["remote", "remove", "origin"]);
    let run = "campaign site --repos servers --pull-requests";
    let without = machine.onramp(&format!("{run} --json")).fails(Class::Failed).json();
    assert_eq!(without["visits"][0]["outcome"], "conflicts", "{without}");
    assert_eq!(without["visits"][0].get("branch"), None, "{without}");
    let done = machine.onramp(&format!("{run} --with-conflicts --restart --json")).fails(Class::Failed).json();
    assert_eq!(done["visits"][0]["branch"]["pull"], "#1", "{done}");
    let pull = machine.git("servers/a.git", &["show", "refs/pull/1/data:pull.toml"]);
    assert!(pull.contains("### Conflicts") && pull.contains("- `site.conf:3`: both changed the same lines"), "{pull}");
    let message = machine.git("servers/a.git", &["show", "--no-patch", "--format=%B", BRANCH]);
    assert!(message.contains("Conflicts are left in 1 place.\n"), "{message}");
    let text = machine.git("servers/a.git", &["show", &format!("{BRANCH}:site.conf")]);
    assert!(text.contains("workers = 2") && text.contains("workers = 8"), "{text}");
}

/// A GitHub that knows one thing: the repositories of an organisation. Its port.
fn forge(repositories: String) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or(0);
            let asked = String::from_utf8_lossy(&head[..read]);
            let known = asked.starts_with("GET /orgs/acme/repos?") && asked.contains("Bearer ghp_campaign");
            let (status, body) = if known { ("200 OK", repositories.as_str()) } else { ("404 Not Found", "{}") };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

#[test]
fn an_organisation_is_its_repositories() {
    let machine = machine();
    let repository = |name: &str, archived: bool| {
        machine.git("", &["clone", "--quiet", "--bare", "shop", &format!("servers/{name}.git")]);
        let url = format!("file://{}", machine.path(format!("servers/{name}.git")).display());
        format!(r#"{{"clone_url":"{url}","archived":{archived}}}"#)
    };
    let listed = [("a", false), ("b", false), ("old", true)].map(|(name, archived)| repository(name, archived));
    let port = forge(format!("[{}]", listed.join(",")));
    let settings = format!("schema = 1\n[forge]\nkind = \"github\"\napi = \"http://127.0.0.1:{port}\"\n");
    machine.write(machine.elsewhere("home/.config/onramp/settings.toml"), settings);
    let campaign = |line: &str| {
        let run = machine.onramp(&format!("campaign site --repos {line}"));
        run.env("ONRAMP_FORGE", "github")
            .env("GH_ENTERPRISE_TOKEN", "ghp_campaign")
            .env("GH_HOST", format!("127.0.0.1:{port}"))
    };
    let done = campaign("github:acme --json").ok().json();
    assert_eq!((&done["counts"]["branched"], &done["repositories"]), (&2.into(), &2.into()), "{done}");
    for (name, expected) in [("a", BRANCH), ("b", BRANCH), ("old", "")] {
        let branch = machine.git(format!("servers/{name}.git"), &["branch", "--list", BRANCH]);
        assert_eq!(branch.trim(), expected, "{name}");
    }
    let nobody = campaign("github:nobody").fails(Class::Auth);
    assert!(nobody.stderr.contains("has no organisation nobody that this token may see"), "{nobody}");
    let offline = campaign("github:acme --offline").fails(Class::Net);
    assert!(!offline.to_string().contains("ghp_campaign"), "{offline}");
}

#[test]
fn what_is_no_campaign_is_said() {
    let machine = machine();
    machine.write("list.txt", "--upload-pack=evil\n");
    machine.onramp("campaign site --repos list.txt").fails(Class::Config);
    machine.onramp("campaign site --repos nowhere").fails(Class::Io);
    machine.onramp("campaign site@9.9.9 --repos shop").fails(Class::Usage);
    machine.onramp("campaign site --repos . --wave 0").fails(Class::Usage);
    machine.onramp("campaign site --repos github:acme --offline").fails(Class::Net);
    machine.write("list.txt", "shop\n");
    machine.write("shop/onramp.lock", "schema = 1\n[blocks.site]\nversion = 1\n");
    commit(&machine, "shop");
    let told = machine.onramp("campaign site --repos list.txt").fails(Class::Failed);
    assert!(told.stdout.contains("onramp.lock:"), "{told}");
}

#[test]
fn a_forge_whose_repositories_cannot_be_listed_is_said_so() {
    let machine = machine();
    let told = machine.onramp("campaign site --repos gitlab:acme --dry-run").fails(Class::Usage);
    assert!(told.stderr.contains("cannot list the repositories of a gitlab forge"), "{told}");
}
