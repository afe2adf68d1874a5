//! Real repositories, made by git.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::error::{Class, Fault};
use crate::tree::{Entry, TreePath};

/// A template's repository with a work tree, and a cache.
struct Template {
    dir: TempDir,
}

impl Template {
    fn new() -> Self {
        let template = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(template.root()).unwrap();
        template.git(&["init", "-q", "-b", "main"]);
        template.write("copier.yml", "name: str\n");
        template.commit("first");
        template
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("tpl")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.root(), arguments)
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn release(&self, tag: &str, text: &str) {
        self.write("README.md.jinja", text);
        self.commit(tag);
        self.git(&["tag", tag]);
    }

    /// As a directory, which is read where it is.
    fn here(&self) -> Location {
        Location::from_argument("./tpl", self.dir.path()).unwrap()
    }

    /// As a repository elsewhere, which has a mirror.
    fn elsewhere(&self) -> Location {
        Location::Repository(format!("file://{}", self.root().display()).parse().unwrap())
    }

    fn fetch(&self, location: &Location, at: &At) -> Result<Fetched, Error> {
        fetch(&self.cache(), location, at, false)
    }

    fn base(&self, locked: &LockedBlock, offline: bool) -> Result<Tree, Error> {
        base(&self.cache(), locked, "", self.dir.path(), offline)
    }

    fn forget(&self) {
        std::fs::remove_dir_all(self.cache().join("blocks")).unwrap();
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@acme.test", "-c", "commit.gpgSign=false"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn latest() -> At {
    At::Latest { prereleases: false }
}

fn locked(fetched: &Fetched) -> LockedBlock {
    LockedBlock {
        source: fetched.source.clone(),
        version: fetched.version.clone(),
        commit: fetched.commit.clone(),
        content: fetched.content.clone(),
        facts: std::collections::BTreeMap::new(),
        answers: toml::Table::new(),
        json: std::collections::BTreeMap::new(),
        files: crate::project::lock::Files::default(),
    }
}

#[test]
fn a_directory_and_a_mirror_give_the_same() {
    let template = Template::new();
    template.write("bin/run.sh", "#!/bin/sh\n");
    std::fs::set_permissions(template.root().join("bin/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("../bin", template.root().join("bin/link")).unwrap();
    template.release("v1.0.0", "one");
    template.release("v1.1.0", "two");
    template.release("v2.0.0b1", "three");
    template.write("uncommitted", "");
    for location in [template.here(), template.elsewhere()] {
        let fetched = template.fetch(&location, &latest()).unwrap();
        assert_eq!(fetched.version.to_string(), "v1.1.0");
        assert_eq!(fetched.description, "v1.1.0");
        assert_eq!(fetched.reference.as_deref(), Some("v1.1.0"));
        assert_eq!(fetched.commit, template.git(&["rev-parse", "v1.1.0"]));
        let paths: Vec<&str> = fetched.tree.paths().map(TreePath::as_str).collect();
        assert_eq!(paths, ["README.md.jinja", "bin/link", "bin/run.sh", "copier.yml"]);
        assert_eq!(fetched.tree.get("README.md.jinja"), Some(&Entry::file("two")));
        assert!(fetched.tree.get("bin/run.sh").unwrap().executable());
        assert_eq!(fetched.tree.get("bin/link"), Some(&Entry::Link { target: "../bin".to_owned() }));
        assert_eq!(fetched.content, fetched.tree.digest());

        let version = |at: At| template.fetch(&location, &at).map(|fetched| fetched.version.to_string());
        assert_eq!(version(At::Latest { prereleases: true }).unwrap(), "v2.0.0b1");
        assert_eq!(version(At::Requirement("<1.1".to_owned())).unwrap(), "v1.0.0");
        assert_eq!(version(At::Reference("v1.0.0".to_owned())).unwrap(), "v1.0.0");
        assert_eq!(version(At::Reference("main".to_owned())).unwrap(), "v2.0.0b1");
        let Err(Error::NoVersion { released, .. }) = version(At::Requirement(">5".to_owned())) else { panic!() };
        assert_eq!(released.len(), 3);
        let tags: Vec<String> =
            versions(&template.cache(), &location, false).unwrap().into_iter().map(|r| r.tag).collect();
        assert_eq!(tags, ["v2.0.0b1", "v1.1.0", "v1.0.0"]);
    }
}

#[test]
fn a_commit_is_described_as_git_does_it() {
    let template = Template::new();
    let described = || {
        let fetched = template.fetch(&template.here(), &At::Reference("HEAD".to_owned())).unwrap();
        assert_eq!(fetched.description, template.git(&["describe", "--tags", "--always"]));
        fetched.version
    };
    let untagged = template.fetch(&template.here(), &latest()).unwrap();
    assert_eq!(untagged.reference, None);
    let short = &untagged.commit[..7];
    assert_eq!(untagged.version.to_string(), format!("0.0.0.post1+g{short}"));
    template.write("a", "");
    template.commit("second");
    let second = described();
    assert!(second > untagged.version, "{second}");
    template.git(&["tag", "v1.0.0"]);
    assert_eq!(described().to_string(), "v1.0.0");
    for name in ["b", "c"] {
        template.write(name, "");
        template.commit(name);
    }
    let later = described();
    assert!(later.to_string().starts_with("v1.0.0-2-g") && later > Version::from("v1.0.0".to_owned()));
    // An annotated tag is preferred, and one that is no version counts for the description.
    template.git(&["tag", "nightly"]);
    described();
    template.git(&["tag", "-a", "-m", "x", "v1.1.0"]);
    assert_eq!(described().to_string(), "v1.1.0");
}

#[test]
fn a_base_outlives_its_tag_its_repository_and_the_network() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    for location in [template.here(), template.elsewhere()] {
        let locked = locked(&template.fetch(&location, &latest()).unwrap());
        let before = template.base(&locked, true).unwrap();
        template.git(&["tag", "-d", "v1.0.0"]);
        assert_eq!(template.base(&locked, true).unwrap(), before);
        let aside = template.dir.path().join("aside");
        std::fs::rename(template.root(), &aside).unwrap();
        assert_eq!(template.base(&locked, false).unwrap(), before);
        std::fs::rename(&aside, template.root()).unwrap();
        // Without the cache the commit still says it.
        template.forget();
        assert_eq!(template.base(&locked, false).unwrap(), before);
        template.git(&["tag", "v1.0.0"]);
    }
}

#[test]
fn a_tag_that_moved_does_not_move_the_base() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    let location = template.elsewhere();
    let locked = locked(&template.fetch(&location, &latest()).unwrap());
    // History was written anew, and the tag with it.
    template.write("README.md.jinja", "other");
    template.git(&["commit", "-q", "-a", "--amend", "-m", "other"]);
    template.git(&["tag", "-f", "v1.0.0"]);
    let told = moved(&locked, &versions(&template.cache(), &location, false).unwrap()).unwrap();
    assert_eq!(told.now.unwrap().as_str(), template.git(&["rev-parse", "v1.0.0"]));
    assert_eq!(told.locked, locked.commit);
    for offline in [true, false] {
        assert_eq!(template.base(&locked, offline).unwrap().get("README.md.jinja"), Some(&Entry::file("one")));
        template.forget();
        // The mirror still holds the commit, though no tag leads to it.
        assert_eq!(template.base(&locked, offline).unwrap().get("README.md.jinja"), Some(&Entry::file("one")));
    }
    // A new machine: the server is asked for the commit itself.
    std::fs::remove_dir_all(template.cache()).unwrap();
    template.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    assert_eq!(template.base(&locked, false).unwrap().get("README.md.jinja"), Some(&Entry::file("one")));
}

#[test]
fn a_base_that_is_not_what_was_locked_is_refused() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    for location in [template.here(), template.elsewhere()] {
        let mut locked = locked(&template.fetch(&location, &latest()).unwrap());
        let honest = locked.content.clone();
        locked.content = Digest::of(b"something else");
        let error = template.base(&locked, false).unwrap_err();
        assert_eq!(error.class(), Class::Security);
        let said = error.to_string();
        assert!(said.contains(honest.as_str()) && said.contains(locked.content.as_str()), "{said}");
    }
}

#[test]
fn a_commit_that_is_gone_for_good_is_named() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    let mut locked = locked(&template.fetch(&template.elsewhere(), &latest()).unwrap());
    template.forget();
    locked.commit = "0123456789012345678901234567890123456789".to_owned();
    for offline in [true, false] {
        let error = template.base(&locked, offline).unwrap_err();
        assert!(matches!(error, Error::Gone { .. }), "{error}");
        assert!(error.to_string().contains(&locked.commit) && error.hint().is_some());
    }
    locked.source = "https://user:sesame@localhost:1/x.git".to_owned();
    let said = format!("{:?}", template.base(&locked, false).unwrap_err());
    assert!(!said.contains("sesame"), "{said}");
    // What stands in a lock may come from anybody.
    for hostile in ["--upload-pack=touch /tmp/x", "ext::sh -c true", "-x"] {
        locked.source = hostile.to_owned();
        assert!(matches!(template.base(&locked, false), Err(Error::Gone { .. })), "{hostile}");
    }
}

#[test]
fn a_directory_that_is_no_repository_is_its_own_version() {
    let template = Template::new();
    std::fs::remove_dir_all(template.root().join(".git")).unwrap();
    let fetched = template.fetch(&template.here(), &latest()).unwrap();
    assert_eq!((fetched.version.to_string().as_str(), fetched.commit.as_str()), ("", ""));
    let locked = locked(&fetched);
    for at in [At::Requirement("1".to_owned()), At::Reference("v1".to_owned())] {
        assert!(matches!(template.fetch(&template.here(), &at), Err(Error::NoRepository { .. })));
    }
    template.write("copier.yml", "other: str\n");
    assert_eq!(template.base(&locked, false).unwrap(), fetched.tree, "the cache remembers");
    template.forget();
    assert!(matches!(template.base(&locked, false), Err(Error::Gone { .. })));
}

#[test]
fn a_work_tree_counts_only_where_it_is_asked_for() {
    let template = Template::new();
    template.write(".gitignore", "ignored\n");
    template.write("gone", "x");
    template.release("v1.0.0", "one");
    template.write("README.md.jinja", "draft");
    template.write("new/file", "n");
    template.write("ignored", "i");
    std::fs::remove_file(template.root().join("gone")).unwrap();
    let index = std::fs::read(template.root().join(".git/index")).unwrap();
    // Nothing that a work tree's settings name is run.
    let ran = template.dir.path().join("ran");
    template.git(&["config", "core.fsmonitor", &format!("touch {}", ran.display())]);
    template.git(&["config", "filter.x.clean", &format!("touch {}; cat", ran.display())]);
    template.write(".gitattributes", "* filter=x\n");

    let plain = template.fetch(&template.here(), &latest()).unwrap();
    assert_eq!(plain.tree.get("README.md.jinja"), Some(&Entry::file("one")));
    let draft = template.fetch(&template.here(), &At::Worktree).unwrap();
    let paths: Vec<&str> = draft.tree.paths().map(TreePath::as_str).collect();
    assert_eq!(paths, [".gitattributes", ".gitignore", "README.md.jinja", "copier.yml", "new/file"]);
    assert_eq!(draft.tree.get("README.md.jinja"), Some(&Entry::file("draft")));
    assert_eq!((draft.version.to_string().as_str(), draft.commit.as_str()), ("v1.0.0-dirty", ""));
    assert_eq!(template.base(&locked(&draft), true).unwrap(), draft.tree);
    assert!(!ran.exists());
    assert_eq!(std::fs::read(template.root().join(".git/index")).unwrap(), index, "the template is only read");

    template.git(&["config", "--unset", "filter.x.clean"]);
    template.git(&["config", "--unset", "core.fsmonitor"]);
    template.commit("all of it");
    assert_eq!(template.fetch(&template.here(), &At::Worktree).unwrap().commit, template.git(&["rev-parse", "HEAD"]));
}

#[test]
fn without_a_release_the_work_tree_is_what_there_is() {
    let template = Template::new();
    template.write("draft", "d");
    let fetched = template.fetch(&template.here(), &latest()).unwrap();
    assert!(fetched.tree.get("draft").is_some() && fetched.version.to_string().ends_with("-dirty"), "{fetched:?}");
    assert!(template.fetch(&template.elsewhere(), &latest()).unwrap().tree.get("draft").is_none());
    template.git(&["tag", "v1.0.0"]);
    assert!(template.fetch(&template.here(), &latest()).unwrap().tree.get("draft").is_none());
}

#[test]
fn a_reference_is_a_name_and_nothing_else() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    let head = template.git(&["rev-parse", "HEAD"]);
    for location in [template.here(), template.elsewhere()] {
        let find = |name: &str| template.fetch(&location, &At::Reference(name.to_owned())).map(|f| f.commit);
        for good in ["v1.0.0", "main", "HEAD", &head, &head[..8], "refs/tags/v1.0.0"] {
            assert_eq!(find(good).unwrap(), head, "{good}");
        }
        for bad in ["--upload-pack=x", "-x", "", "main~1", "HEAD^", ":/first", "@{1}", "main:copier.yml", "a b", "../x"]
        {
            assert_eq!(find(bad).unwrap_err().class(), Class::Usage, "{bad}");
        }
    }
}

#[test]
fn what_another_repository_holds_is_not_followed() {
    let (inner, template) = (Template::new(), Template::new());
    let url = inner.root().display().to_string();
    template.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "vendored"]);
    template.release("v1.0.0", "one");
    for location in [template.here(), template.elsewhere()] {
        let fetched = template.fetch(&location, &latest()).unwrap();
        assert_eq!(fetched.submodules, ["vendored"]);
        assert!(fetched.tree.paths().all(|path| !path.as_str().starts_with("vendored")));
    }
}

#[test]
fn what_git_names_is_read_once_and_never_taken_for_something_else() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    let one = template.fetch(&template.here(), &latest()).unwrap();
    let blob = template.git(&["rev-parse", "HEAD:README.md.jinja"]);
    let object = template.root().join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]));
    std::fs::remove_file(&object).unwrap();
    let again = template.fetch(&template.here(), &latest()).unwrap();
    assert_eq!((again.tree, again.content), (one.tree, one.content.clone()));
    // The same contents under another id are another reading, and other contents are others.
    template.release("v1.1.0", "two");
    let two = template.fetch(&template.here(), &latest()).unwrap();
    assert_eq!(two.tree.get("README.md.jinja"), Some(&Entry::file("two")));
    // What the cache says is believed only as far as the tree is there, and is what it says.
    let files = |kind: &str| std::fs::read_dir(template.cache().join("blocks").join(kind)).unwrap();
    for file in files("trees") {
        std::fs::write(file.unwrap().path(), "torn").unwrap();
    }
    assert_eq!(template.fetch(&template.here(), &latest()).unwrap().tree, two.tree);
    for file in files("reads") {
        std::fs::write(file.unwrap().path(), "torn").unwrap();
    }
    assert_eq!(template.fetch(&template.here(), &latest()).unwrap().tree, two.tree);
    let gone = template.fetch(&template.here(), &At::Reference("v1.0.0".to_owned())).unwrap_err();
    assert!(gone.to_string().contains("object not found"), "{gone}");
}

#[test]
fn a_commit_with_hostile_names_is_refused_whole() {
    let template = Template::new();
    let blob = template.git(&["hash-object", "-w", "copier.yml"]);
    for name in ["..", "a\\nb", "x/../../y"] {
        let tree = format!("printf '100644 blob {blob}\\t{name}\\n' | git mktree");
        let output = Command::new("sh").arg("-c").arg(tree).current_dir(template.root()).output().unwrap();
        let Ok(tree) = String::from_utf8(output.stdout) else { panic!() };
        if tree.is_empty() {
            continue;
        }
        let commit = template.git(&["commit-tree", "-m", "x", tree.trim()]);
        let error = template.fetch(&template.here(), &At::Reference(commit)).unwrap_err();
        assert_eq!(error.class(), Class::Security, "{name}: {error}");
    }
    // Ten directories, each ten times the one below: 10^10 files in a few hundred bytes.
    let mut tree = template.git(&["rev-parse", "HEAD^{tree}"]);
    for _ in 0..10 {
        let lines = (0..10).fold(String::new(), |all, i| all + &format!("040000 tree {tree}\\t{i}\\n"));
        let command = format!("printf '{lines}' | git mktree");
        let made = Command::new("sh").arg("-c").arg(command).current_dir(template.root()).output().unwrap();
        tree = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    }
    let commit = template.git(&["commit-tree", "-m", "bomb", &tree]);
    let error = template.fetch(&template.here(), &At::Reference(commit)).unwrap_err();
    assert!(matches!(error, Error::Git(crate::git::Error::TooMuch { .. })), "{error}");
}

#[test]
fn a_bundle_is_a_repository() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    let file = template.dir.path().join("tpl.bundle");
    template.git(&["bundle", "create", "-q", file.to_str().unwrap(), "--all", "HEAD"]);
    let location = Location::from_argument("tpl.bundle", template.dir.path()).unwrap();
    assert_eq!(template.fetch(&location, &latest()).unwrap().version.to_string(), "v1.0.0");
}

#[test]
fn hooks_of_a_repository_are_never_fired() {
    let template = Template::new();
    template.release("v1.0.0", "one");
    let ran = template.dir.path().join("ran");
    let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
    for hook in ["post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change", "post-merge"] {
        let path = template.root().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    template.fetch(&template.here(), &At::Worktree).unwrap();
    template.fetch(&template.elsewhere(), &latest()).unwrap();
    assert!(!ran.exists());
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let template = Template::new();
    for i in 0..20 {
        template.write(&format!("f{i}"), &"x".repeat(5000));
    }
    template.release("v1.0.0", "one");
    let expected = template.fetch(&template.here(), &latest()).unwrap();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|i| {
                let (template, expected) = (&template, &expected);
                scope.spawn(move || {
                    let place = Store::new(&template.cache());
                    let location = if i % 2 == 0 { template.here() } else { template.elsewhere() };
                    for _ in 0..10 {
                        assert_eq!(template.fetch(&location, &latest()).unwrap().content, expected.content);
                        // Each reads what the other is writing or has just removed: whole, or not at all.
                        let found = place.tree(&expected.content);
                        assert!(found.is_none_or(|tree| tree == expected.tree));
                        let file = format!("blocks/trees/{}.pack", expected.content.hex());
                        let _ = std::fs::remove_file(template.cache().join(file));
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}
