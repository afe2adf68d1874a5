//! `onramp catalog` for those who keep a catalog: search, lint, test, release, portals.

use insta::assert_snapshot;
use onramp::error::Class;

use crate::catalog_repository::{CatalogRepository, WEB};
use crate::run::{Machine, Told};

/// A run in the catalog's work tree.
fn keep(machine: &Machine, line: &str) -> Told {
    machine.onramp(line).dir(machine.elsewhere("catalog")).ok()
}

#[test]
fn lint_is_content_with_a_good_block() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine);
    assert_snapshot!(keep(&machine, "catalog lint web"), @r#"
    --- stdout
    blocks/web/block.toml: note: it names no trusted committers [manifest]
      cure: trusted_committers = ["@name"]: `onramp contribute` asks them to review
    1 block: 0 errors, 0 warnings, 1 note
    "#);
}

#[test]
fn lint_names_every_mistake_with_its_line_and_cure() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let manifest =
        WEB.replace("[questions.php]", "[questions.unused]\ntype = \"bool\"\ndefault = false\n\n[questions.php]");
    let manifest = manifest.replace("when = \"{{ database }}\"", "when = \"{{ database and late }}\"");
    let manifest = format!("{manifest}\n[questions.late]\ntype = \"bool\"\ndefault = true\n");
    catalog
        .file("blocks/web/block.toml", &manifest)
        .file("blocks/web/files/a.txt.jinja", "ok\n{{ nmae }}\n{{ maybe | default('') }}\n")
        .file("blocks/web/files/b.txt.jinja", "{% if php %}\n{{ php }\n")
        .file("blocks/web/files/c.txt.j2", "version {{ php }}\n")
        .file("blocks/web/files/d.txt.jinja", "{% include 'files/e.txt' %}\n")
        .file("blocks/web/files/A.txt", "clash\n");
    assert_snapshot!(machine.onramp("catalog lint web").dir(machine.elsewhere("catalog")).fails(Class::Failed), @r#"
    --- stdout
    blocks/web/block.toml:28: error: `db_port` uses `late`, which is asked after it [undefined-variable]
      cure: move the question up
    blocks/web/files/a.txt: error: `a.txt` and `A.txt` are one path on macOS and Windows [case-clash]
      cure: rename one of them
    blocks/web/files/a.txt.jinja: error: a.txt and A.txt (from files/A.txt) are one path on some file systems [render]
      cure: with defaults and 6 more: `onramp catalog test web` shows them
    blocks/web/files/a.txt.jinja:2: error: nothing sets `nmae` [undefined-variable]
      cure: did you mean `name`?
    blocks/web/files/b.txt.jinja:2: error: syntax error: unexpected `}`, expected end of variable block [syntax]
      cure: correct it; what is not meant for Jinja goes between {% raw %} and {% endraw %}
    blocks/web/files/d.txt.jinja:1: error: `files/e.txt` is not in the block [missing-include]
      cure: did you mean `files/A.txt`? Paths begin at the block's directory
    blocks/web/block.toml:14: warning: nothing uses `unused` [unused-question]
      cure: use it, or drop it: a person answers it for nothing
    blocks/web/files/c.txt.j2:1: warning: it uses `php`, and is copied as it is [suffix]
      cure: call it c.txt.jinja to have it rendered
    blocks/web/block.toml: note: it names no trusted committers [manifest]
      cure: trusted_committers = ["@name"]: `onramp contribute` asks them to review
    1 block: 6 errors, 2 warnings, 1 note
    "#);
}

#[test]
fn lint_finds_what_no_answers_reach_and_what_is_no_template_by_its_name() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    catalog
        .file("blocks/web/files/c.txt.j2", "version\n{{ php }}\n")
        .file("blocks/web/files/{% if php == '7.4' %}old.txt{% endif %}", "never\n")
        .file("blocks/web/files/{% if name == 'shop' %}shop.txt{% endif %}", "sometimes\n")
        .file("blocks/web/files/ci.yml", "run: ${{ matrix.php }}\n")
        .file("blocks/web/tests/shop/answers.toml", "name = \"shop\"\n");
    assert_snapshot!(keep(machine, "catalog lint web"), @r#"
    --- stdout
    blocks/web/files/c.txt.j2:2: warning: it uses `php`, and is copied as it is [suffix]
      cure: call it c.txt.jinja to have it rendered
    blocks/web/files/{% if php == '7.4' %}old.txt{% endif %}: warning: no answers bring it into a project [unreachable-file]
      cure: drop it, or correct its name; where it takes an answer that was not tried, write that into tests/<case>/answers.toml
    blocks/web/block.toml: note: it names no trusted committers [manifest]
      cure: trusted_committers = ["@name"]: `onramp contribute` asks them to review
    1 block: 0 errors, 2 warnings, 1 note
    "#);
}

#[test]
fn lint_says_where_a_manifest_is_wrong_and_looks_at_the_other_blocks() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    catalog.file("blocks/cache/block.toml", "schema = 1\nname = \"cache\"\nkind = \"part\"\nownr = \"x\"\n");
    let told = machine.onramp("catalog lint --json").dir(machine.elsewhere("catalog")).fails(Class::Failed);
    let document = told.json();
    let first = &document["findings"][0];
    assert_eq!(first["place"], "blocks/cache/block.toml:4");
    assert_eq!(first["rule"], "manifest");
    assert_eq!(document["blocks"].as_array().unwrap().len(), 2);
    assert_eq!(document["errors"], 1);
}

#[test]
fn what_projects_had_is_not_taken_away_without_a_migration() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let without = WEB.replace("[questions.db_port]\ntype = \"int\"\nwhen = \"{{ database }}\"\ndefault = 3306\n", "");
    catalog
        .file("blocks/web/block.toml", &without)
        .file("blocks/web/files/{% if database %}db{% endif %}/schema.sql.jinja", "-- {{ name }}\n");
    machine.git(machine.elsewhere("catalog"), &["mv", "blocks/web/files/run.sh", "blocks/web/files/start.sh"]);
    let told = machine.onramp("catalog lint web").dir(machine.elsewhere("catalog")).fails(Class::Failed);
    assert_snapshot!(told, @r#"
    --- stdout
    blocks/web/block.toml: error: 1.0.0 asks `db_port`, and this version does not: projects' answers to it are dropped [no-migration]
      cure: write a migration ([[migrations]] with a later version), or keep it
    blocks/web/files/start.sh: warning: run.sh of 1.0.0 is start.sh now: updates move it, and what names it in projects stays [no-migration]
      cure: write a migration, or say it in the changelog
    blocks/web/block.toml: note: it names no trusted committers [manifest]
      cure: trusted_committers = ["@name"]: `onramp contribute` asks them to review
    1 block: 1 error, 1 warning, 1 note
    "#);
    let migrated = format!("{without}\n[[migrations]]\nversion = \"1.1.0\"\nrun = \"true\"\n");
    catalog.file("blocks/web/block.toml", &migrated);
    let told = keep(machine, "catalog lint web");
    assert!(!told.stdout.contains("no-migration"), "{told}");
}

#[test]
fn tests_render_every_pair_and_update_from_every_release() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    catalog
        .file("blocks/web/files/src/index.php", "<?php echo 'two';\n")
        .release("web", "1.1.0")
        .file("blocks/web/files/new.txt.jinja", "{{ php }}\n")
        .file("blocks/web/tests/eight-three/answers.toml", "php = \"8.3\"\ndatabase = true\n");
    let told = machine.onramp("catalog test web").dir(machine.elsewhere("catalog")).fails(Class::Failed);
    assert_snapshot!(told, @r"
    --- stdout
    ok      web  answers  defaults
    ok      web  answers  database=true
    ok      web  answers  php=8.3
    ok      web  answers  php=8.3 database=true
    FAILED  web  golden   eight-three
    ok      web  update   from 1.0.0, 4 answer sets
    ok      web  update   from 1.1.0, 4 answer sets

    web golden eight-three:
      there is no expected/ yet; `onramp catalog test --update-golden` writes it

    6 passed, 1 failed, 0 skipped
    ");
    assert_snapshot!(keep(machine, "catalog test web --update-golden"), @r"
    --- stdout
    ok       web  answers  defaults
    ok       web  answers  database=true
    ok       web  answers  php=8.3
    ok       web  answers  php=8.3 database=true
    written  web  golden   eight-three
    ok       web  update   from 1.0.0, 4 answer sets
    ok       web  update   from 1.1.0, 4 answer sets

    7 passed, 0 failed, 0 skipped
    ");
    assert_eq!(
        machine.read(machine.elsewhere("catalog/blocks/web/tests/eight-three/expected/db/schema.sql")),
        "-- example on 3306\n"
    );
    keep(machine, "catalog test web");
    catalog.file("blocks/web/files/new.txt.jinja", "PHP {{ php }}\n");
    let told = machine.onramp("catalog test web --json").dir(machine.elsewhere("catalog")).fails(Class::Failed);
    let golden = told.json()["tests"].as_array().unwrap().iter().find(|t| t["kind"] == "golden").unwrap().clone();
    assert_snapshot!(golden["detail"].as_str().unwrap(), @r"
    --- expected/new.txt
    +++ new.txt
    @@ -1 +1 @@
    -8.3
    +PHP 8.3
    ");
}

#[test]
fn an_update_to_what_cannot_be_rendered_fails_the_test() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    // With one of its answers, the new version cannot be rendered.
    catalog.file("blocks/web/files/new.txt.jinja", "{% if database %}{{ missing }}{% endif %}\n");
    let told = machine.onramp("catalog test web").dir(machine.elsewhere("catalog")).fails(Class::Failed);
    assert_snapshot!(told, @r"
    --- stdout
    ok      web  answers  defaults
    FAILED  web  answers  database=true
    ok      web  answers  php=8.3
    FAILED  web  answers  php=8.3 database=true
    FAILED  web  update   from 1.0.0, 4 answer sets

    web answers database=true:
      block web 1.0.0 is wrong: files/new.txt.jinja:1: undefined value: `missing` is undefined

    web answers php=8.3 database=true:
      block web 1.0.0 is wrong: files/new.txt.jinja:1: undefined value: `missing` is undefined

    web update from 1.0.0, 4 answer sets:
      database=true: block web 1.0.0 is wrong: files/new.txt.jinja:1: undefined value: `missing` is undefined
      php=8.3 database=true: block web 1.0.0 is wrong: files/new.txt.jinja:1: undefined value: `missing` is undefined

    2 passed, 3 failed, 0 skipped
    ");
}

#[test]
fn a_release_is_a_version_a_changelog_a_commit_and_a_tag() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog");
    let commit = |message: &str| {
        machine.git(&root, &["add", "--all"]);
        machine.git(&root, &["commit", "--quiet", "-m", message]);
    };
    assert_snapshot!(machine.onramp("catalog release web").dir(&root).fails(Class::Conflict), @r"
    --- stderr
    error: web cannot be released: nothing of it changed since 1.0.0
    ");
    catalog.file("blocks/web/files/new.txt.jinja", "{{ php }}\n");
    assert_snapshot!(machine.onramp("catalog release web").dir(&root).fails(Class::Conflict), @r"
    --- stderr
    error: web cannot be released: it has changes that are not committed: blocks/web/files/new.txt.jinja
      next: git add blocks/web && git commit
    ");
    commit("Add a file that tells the version of PHP");
    catalog.file("blocks/web/files/src/index.php", "<?php echo 'two';\n");
    commit("Fix the front page");
    catalog.file("blocks/cache/README.md", "# cache\n");
    commit("Tell of the cache");
    assert_snapshot!(machine.onramp("catalog release web --bump patch").dir(&root).fails(Class::Conflict), @r"
    --- stderr
    error: web cannot be released: 1.0.1 is too small a step from 1.0.0: the changes ask for 1.1.0
      hint: newly has new.txt
      next: onramp catalog release web --version 1.1.0
    ");
    let before = machine.tree(&root);
    let planned = machine.onramp("catalog release web --dry-run").dir(&root).ok();
    assert_eq!(machine.tree(&root), before);
    assert_snapshot!(planned.stdout.lines().filter(|line| !line.starts_with("## ")).collect::<Vec<_>>().join("\n"), @r"
    release web 1.1.0, after 1.0.0
      newly has new.txt
      commit  blocks/web/CHANGELOG.md
      commit  blocks/web/block.toml
      tag     web/v1.1.0


    ### Added

    - Add a file that tells the version of PHP

    ### Fixed

    - Fix the front page
    ");
    // What is staged beside the block stays staged, and is in no release.
    catalog.file("catalog.toml", "schema = 1\n");
    machine.git(&root, &["add", "catalog.toml"]);
    let told = machine.onramp("catalog release web").dir(&root).ok();
    assert!(told.stdout.starts_with("released web 1.1.0 as web/v1.1.0 at "), "{told}");
    assert!(machine.read(root.join("blocks/web/block.toml")).contains("version = \"1.1.0\"\n"));
    assert_eq!(machine.git(&root, &["status", "--porcelain"]), "M  catalog.toml\n");
    assert_eq!(
        machine.git(&root, &["show", "--name-only", "--format=%s", "web/v1.1.0^{commit}"]),
        "Release web 1.1.0\n\nblocks/web/CHANGELOG.md\nblocks/web/block.toml\n"
    );
    assert_eq!(machine.git(&root, &["cat-file", "-t", "web/v1.1.0"]), "tag\n");
    machine.onramp("catalog show web --version 1.1").ok();
    // A question that is gone asks for a new major version, and for a migration.
    let gone = machine.read(root.join("blocks/web/block.toml"));
    let (start, end) = (gone.find("[questions.php]").unwrap(), gone.find("[questions.database]").unwrap());
    catalog.file("blocks/web/block.toml", &format!("{}{}", &gone[..start], &gone[end..]));
    let project = machine.read(root.join("blocks/web/files/onramp.toml.jinja")).replace("{{ php }}", "8.3");
    catalog.file("blocks/web/files/onramp.toml.jinja", &project).file("blocks/web/files/new.txt.jinja", "8.3\n");
    commit("One PHP for all");
    assert_snapshot!(machine.onramp("catalog release web --version 1.2.0").dir(&root).fails(Class::Conflict), @r"
    --- stderr
    error: web cannot be released: 1.2.0 is too small a step from 1.1.0: the changes ask for 2.0.0
      hint: no longer asks php
      next: onramp catalog release web --version 2.0.0
    ");
    assert_snapshot!(machine.onramp("catalog release web").dir(&root).fails(Class::Failed), @r"
    --- stderr
    error: web has lint errors; the first: blocks/web/block.toml: 1.1.0 asks `php`, and this version does not: projects' answers to it are dropped
      next: onramp catalog lint web
    ");
}

#[test]
fn a_release_is_pushed_when_that_is_asked_for() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog");
    let origin = machine.elsewhere("origin.git");
    machine.git(&root, &["init", "--quiet", "--bare", origin.to_str().unwrap()]);
    machine.git(&root, &["remote", "add", "origin", origin.to_str().unwrap()]);
    machine.write(root.join(".git/hooks/pre-push"), "#!/bin/sh\nexit 1\n");
    catalog.executable(".git/hooks/pre-push").file("blocks/cache/README.md", "# cache\n");
    machine.git(&root, &["add", "--all"]);
    machine.git(&root, &["commit", "--quiet", "-m", "Tell of the cache"]);
    machine.onramp("catalog release cache --push").dir(&root).ok();
    let tags = machine.git(&origin, &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(tags, "refs/heads/main\nrefs/tags/cache/v1.0.1\n");
}

/// What is told of a block but its activity, which depends on the day.
fn timeless(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("  activity"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn search_finds_blocks_by_what_they_ask_and_say() {
    let mut machine = Machine::new();
    CatalogRepository::small(&mut machine);
    assert_snapshot!(machine.onramp("catalog search megabyts").ok(), @r"
    --- stdout
    cache  1.0.0  A cache  (questions)
    ");
    assert_snapshot!(machine.onramp("catalog search small applicaton").ok(), @r"
    --- stdout
    web  1.0.0  A small web application  (description, readme)
    ");
    assert_snapshot!(machine.onramp("catalog search kubernetes").ok(), @r"
    --- stdout
    no block of [MACHINE]/catalog has these words
    ");
    let hit = machine.onramp("catalog search platform --json").ok().json()["hits"][0].clone();
    assert_eq!((hit["name"].as_str(), hit["found_in"][0].as_str()), (Some("cache"), Some("people")));
}

#[test]
fn show_tells_people_adopters_and_what_is_nearly_the_same() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let manifest =
        WEB.replace("owner =", "trusted_committers = [\"@ana\", \"@bo\"]\nsupport = \"experimental\"\nowner =");
    let text: String = (0..200).map(|i| format!("line {i} of the common part\n")).collect();
    catalog
        .file("blocks/web/block.toml", &manifest)
        .file("blocks/web/files/common.txt", &text)
        .release("web", "1.1.0")
        .file("blocks/twin/block.toml", &manifest.replace("name = \"web\"", "name = \"twin\""))
        .file("blocks/twin/files/common.txt", &format!("{text}and one line more\n"))
        .release("twin", "1.0.0");
    machine.onramp("new web shop --version =1.0.0 --defaults").ok();
    machine.onramp("new web store --defaults").ok();
    machine.git("", &["clone", "--quiet", "--bare", "store", "bare.git"]);
    machine.write("list.txt", "shop\nstore\nbare.git\n");
    let told = machine.onramp("catalog show web --repos list.txt").ok();
    assert!(told.stdout.contains("\n  activity "), "{told}");
    assert_snapshot!(timeless(&told.stdout).split("\nquestions").next().unwrap(), @r"
    web 1.1.0: A small web application

      kind       app
      owner      web@acme.test
      trusted    @ana, @bo
      support    experimental
      adopters   [WORK]/bare.git 1.1.0, [WORK]/shop 1.0.0, [WORK]/store 1.1.0
      much like  twin (97 %)
      catalog    [MACHINE]/catalog
      versions   1.1.0, 1.0.0
      use it     onramp new web <dir>
    ");
    assert_snapshot!(keep(machine, "catalog adopters --repos ../work --write"), @r"
    --- stdout
    web  1.0.0  [WORK]/shop
    web  1.1.0  [WORK]/bare.git
    web  1.1.0  [WORK]/store
    3 of 3 repositories use this catalog
    adopters.toml is written; commit it
    ");
    machine.git(machine.elsewhere("catalog"), &["add", "--all"]);
    machine.git(machine.elsewhere("catalog"), &["commit", "--quiet", "-m", "Who uses us"]);
    let document = machine.onramp("catalog show web --json").ok().json();
    let shop = machine.path("shop").canonicalize().unwrap().display().to_string();
    let adopters = document["adopters"].as_array().unwrap();
    assert!(adopters.iter().any(|one| one["repository"] == shop.as_str() && one["version"] == "1.0.0"), "{adopters:?}");
    assert_eq!(document["near_duplicates"][0]["name"], "twin");
    assert_eq!(document["activity"]["forge"], false);
    assert_snapshot!(machine.onramp("catalog list").ok(), @r"
    --- stdout
    cache  part  1.0.0  A cache                                platform@acme.test
    twin   app   1.0.0  experimental: A small web application  web@acme.test
    web    app   1.1.0  experimental: A small web application  web@acme.test
    ");
}

#[expect(clippy::too_many_lines, reason = "what is written and read is shown whole")]
#[test]
fn portals_are_told_and_their_figures_are_heard() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog");
    machine.git(&root, &["remote", "add", "origin", "https://git.acme.test/platform/catalog.git"]);
    catalog
        .file("blocks/web/innersource.json", "{\"title\": \"Web\", \"skills\": [\"PHP\"], \"language\": \"PHP\"}")
        .file(
            "repos.json",
            r#"[{"id": 7, "name": "catalog", "html_url": "https://git.acme.test/platform/catalog", "forks_count": 40000,
             "stargazers_count": 9, "owner": {"login": "platform", "avatar_url": "x.png"}}]"#,
        );
    assert_snapshot!(keep(machine, "catalog export --format backstage").stdout, @r"
    apiVersion: backstage.io/v1alpha1
    kind: Component
    metadata:
      name: cache
      description: A cache
      annotations:
        onramp.dev/owner: platform@acme.test
        onramp.dev/version: 1.0.0
      tags:
      - onramp
      - part
    spec:
      type: building-block
      lifecycle: production
      owner: platform
    ---
    apiVersion: backstage.io/v1alpha1
    kind: Component
    metadata:
      name: web
      description: A small web application
      annotations:
        onramp.dev/owner: web@acme.test
        onramp.dev/version: 1.0.0
      tags:
      - onramp
      - app
    spec:
      type: building-block
      lifecycle: production
      owner: web
    ");
    let text = keep(machine, "catalog export web --format repos.json").stdout;
    let entries: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut entry = entries[0].clone();
    let metadata = entry["_InnerSourceMetadata"].as_object_mut().unwrap();
    assert_eq!(metadata["participation"].as_array().unwrap().len(), 52);
    metadata.retain(|key, _| !matches!(key.as_str(), "participation" | "score"));
    assert_snapshot!(serde_json::to_string_pretty(&entry).unwrap(), @r#"
    {
      "id": "catalog/web",
      "name": "web",
      "full_name": "platform/catalog",
      "html_url": "https://git.acme.test/platform/catalog",
      "description": "A small web application",
      "created_at": "2026-01-02T03:04:05Z",
      "updated_at": "2026-01-02T03:04:05Z",
      "pushed_at": "2026-01-02T03:04:05Z",
      "stargazers_count": 9,
      "watchers_count": 0,
      "language": "PHP",
      "forks_count": 40000,
      "open_issues_count": 0,
      "license": null,
      "default_branch": "main",
      "owner": {
        "login": "platform",
        "avatar_url": "x.png"
      },
      "_InnerSourceMetadata": {
        "title": "Web",
        "skills": [
          "PHP"
        ],
        "topics": [
          "inner-source"
        ],
        "language": "PHP"
      }
    }
    "#);
    // Where the catalog is a directory, its address has no owner but the directory that it lies in.
    let parent = root.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let crawled = machine
        .read(root.join("repos.json"))
        .replace("\"name\"", &format!("\"full_name\": \"{parent}/catalog\", \"name\""));
    catalog.file("repos.json", &crawled);
    keep(machine, "catalog export --format repos.json --output portal/repos.json");
    assert!(root.join("portal/repos.json").is_file());
    machine.git(&root, &["add", "--all"]);
    machine.git(&root, &["commit", "--quiet", "-m", "What the crawler found"]);
    let told = machine.onramp("catalog show web --json").ok().json();
    let without = machine
        .onramp("catalog show web --json")
        .arg("--portal")
        .arg(machine.write("none.json", "[]").display().to_string())
        .ok()
        .json();
    assert_eq!(
        (told["activity"]["forge"].as_bool(), without["activity"]["forge"].as_bool()),
        (Some(true), Some(false))
    );
    assert!(told["activity"]["score"].as_i64() > without["activity"]["score"].as_i64());
}

#[test]
fn what_backstage_knows_stands_in_for_a_manifest_that_is_not_there() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let machine = catalog.machine();
    let root = machine.elsewhere("catalog");
    let about = "kind: Component\nmetadata: {name: py, description: A Python package}\nspec: {owner: group:py, lifecycle: deprecated}\n";
    catalog
        .file("blocks/py/copier.yml", "name:\n  type: str\n  default: x\n")
        .file("blocks/py/{{ name }}.py.jinja", "print('{{ name }}')\n")
        .file("blocks/py/catalog-info.yaml", about);
    machine.git(&root, &["add", "--all"]);
    machine.git(&root, &["commit", "--quiet", "-m", "A Copier template"]);
    machine.git(&root, &["tag", "py/v2.0.0"]);
    assert_snapshot!(machine.onramp("catalog list").ok(), @r"
    --- stdout
    cache  part  1.0.0  A cache                       platform@acme.test
    py     app   2.0.0  deprecated: A Python package  group:py
    web    app   1.0.0  A small web application       web@acme.test
    ");
    assert_snapshot!(timeless(&machine.onramp("catalog show py").ok().stdout), @r"
    py 2.0.0: A Python package

      kind      app
      owner     group:py
      support   deprecated
      catalog   [MACHINE]/catalog
      versions  2.0.0
      use it    onramp new py <dir>

    questions, each answered by --data question=answer
      name  str   (default x)
    ");
    assert_snapshot!(keep(machine, "catalog lint py"), @r"
    --- stdout
    1 block: 0 errors, 0 warnings, 0 notes
    ");
}
