//! `onramp image push` on a real engine and a real registry: only what this machine built is pushed, and no tag of somebody
//! else is taken, in the registry or in the engine.

mod registry_parts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onramp::engine::{Address, BuildSpec, Engine, label};
use onramp::event::{Event, Observer, Silent};
use onramp::git::Worktree;
use onramp::images::build::{Origin, PREFIX, Target, Workshop, definition};
use onramp::images::known;
use onramp::images::policy::{Policy, Rule};
use onramp::images::signature::{SigningKey, sign};
use onramp::paths::Paths;
use onramp::reference::Digest;
use onramp::registry::Registry;
use registry_parts::real::{RealRegistry, Sample};
use serde_json::Value;

/// A catalog of two images, one on the other, and the company's registry. The file system of the first is here already, so
/// that none is made of packages.
struct Desk {
    dir: tempfile::TempDir,
    registry: RealRegistry,
    engine: Engine,
    base: String,
}

struct Outcome {
    code: i32,
    json: Value,
}

impl Desk {
    async fn new(base: &str) -> Self {
        let engine = Engine::connect(&Address::find(|name| std::env::var(name).ok()).unwrap())
            .await
            .expect("these tests need an engine: run scripts/setup");
        let base = format!("{base}{}", std::process::id());
        let desk = Self { dir: tempfile::tempdir().unwrap(), registry: RealRegistry::open().await, engine, base };
        desk.define(&desk.base, "[rootfs]\nsuite = \"bookworm\"", "one");
        desk.define(&desk.app(), &format!("parent = \"{}\"", desk.base), "two");
        std::fs::write(desk.root().join(".gitignore"), "/home*\n").unwrap();
        desk.git(&["init", "--quiet"]);
        let keys = desk.keys();
        let ground = format!("{PREFIX}/{}-rootfs:{}", desk.base, &keys[0].hex()[..16]);
        let id = desk.build(&ground, "FROM scratch\nCOPY Dockerfile /etc/issue\n").await;
        for home in ["home", "home2"] {
            known::note_built(&desk.state(home), &id, &ground).unwrap();
        }
        desk
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn app(&self) -> String {
        format!("{}-app", self.base)
    }

    /// What a machine with this home remembers.
    fn state(&self, home: &str) -> PathBuf {
        self.root().join(home).join("state/onramp")
    }

    /// Writes a definition whose image has a file with this content.
    fn define(&self, name: &str, rest: &str, content: &str) {
        let directory = self.root().join("images").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let text = format!(
            "schema = 1\nname = \"{name}\"\ntag = \"1\"\ndescription = \"For tests\"\nowner = \"ops\"\n{rest}\n"
        );
        std::fs::write(directory.join("image.toml"), text).unwrap();
        std::fs::write(directory.join(content), content).unwrap();
        std::fs::write(directory.join("Dockerfile"), format!("ARG BASE\nFROM ${{BASE}}\nCOPY {content} /{content}\n"))
            .unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        assert!(Command::new("git").args(arguments).current_dir(self.root()).status().unwrap().success());
    }

    fn definitions(&self) -> Vec<definition::Definition> {
        definition::of_catalog(&Worktree::find(self.root()).unwrap()).unwrap()
    }

    fn keys(&self) -> Vec<Digest> {
        self.definitions().into_iter().map(|definition| definition.key).collect()
    }

    /// Builds an image that is labelled as onramp labels its own; its id.
    async fn build(&self, tag: &str, dockerfile: &str) -> String {
        let mut context = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(dockerfile.len() as u64);
        header.set_mode(0o644);
        context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).unwrap();
        let labels = [(label::DEFINITION.to_owned(), self.keys()[1].to_string())].into();
        let context = context.into_inner().unwrap();
        let spec = BuildSpec { tag: tag.to_owned(), context: context.into(), arguments: [].into(), labels };
        self.engine.build(spec, &mut |_| ()).await.unwrap()
    }

    /// Runs `image push` on the machine with this home.
    fn push(&self, home: &str, arguments: &[&str]) -> Outcome {
        let home = self.root().join(home);
        let out = Command::new(env!("CARGO_BIN_EXE_onramp"))
            .args(["--json", "image", "push", "--no-sbom"])
            .args(arguments)
            .current_dir(self.root())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("ONRAMP_REGISTRY", self.registry.host())
            .output()
            .unwrap();
        let json = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&out.stderr)));
        Outcome { code: out.status.code().unwrap(), json }
    }

    /// What the tag of an image is in the registry.
    async fn there(&self, name: &str) -> Digest {
        let image = self.registry.image(&format!("base/{name}:1"));
        self.client().manifest(&image).await.unwrap().digest
    }

    fn client(&self) -> Registry {
        Registry::new(self.registry.host(), None, Duration::from_secs(10)).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let listed = Command::new("docker").args(["images", "--format", "{{.Repository}}:{{.Tag}}"]).output().unwrap();
        for name in String::from_utf8_lossy(&listed.stdout).lines().filter(|name| name.contains(&self.base)) {
            let _ = Command::new("docker").args(["rmi", name]).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_another_moved_is_named_and_taken_only_when_told() {
    let desk = Desk::new("mine").await;
    // Somebody has an image of the registry's name in the engine.
    let name = desk.registry.image(&format!("base/{}:1", desk.app())).to_string();
    let theirs = desk.build(&name, "FROM scratch\nCOPY Dockerfile /theirs\n").await;
    let pushed = desk.push("home", &[]);
    assert_eq!((pushed.code, &pushed.json["images"][1]["pushed"]), (0, &true.into()), "{}", pushed.json);
    assert_eq!(desk.engine.image(&name).await.unwrap().unwrap().id, theirs, "it has its name as before");
    let nothing = desk.push("home", &[]).json;
    assert_eq!((&nothing["images"][0]["pushed"], &nothing["images"][1]["pushed"]), (&false.into(), &false.into()));

    // A change of ours moves our tag.
    desk.define(&desk.app(), &format!("parent = \"{}\"", desk.base), "three");
    let changed = desk.push("home", &[]);
    assert_eq!((changed.code, &changed.json["images"][1]["pushed"]), (0, &true.into()), "{}", changed.json);

    let foreign = desk.registry.push(&format!("base/{}", desk.app()), "1", &Sample::new("amd64", "theirs")).await;
    let dry = desk.push("home", &["--dry-run"]).json;
    assert_eq!((&dry["images"][0]["foreign"], &dry["images"][1]["foreign"]), (&Value::Null, &foreign.as_str().into()));
    for arguments in [&[][..], &["--anew"], &["--replace", &desk.base]] {
        let refused = desk.push("home", arguments);
        assert_eq!((refused.code, &desk.there(&desk.app()).await), (8, &foreign), "{}", refused.json);
        let error = refused.json["error"].to_string();
        let next = format!("onramp image push --replace {}", desk.app());
        assert!(error.contains(foreign.as_str()) && error.contains(&next), "{error}");
    }
    let misspelt = desk.push("home", &["--replace", &format!("{}x", desk.app())]);
    assert_eq!((misspelt.code, &desk.there(&desk.app()).await), (2, &foreign), "{}", misspelt.json);
    assert!(misspelt.json["error"]["hint"].to_string().contains(&desk.app()), "{}", misspelt.json);
    let taken = desk.push("home", &["--replace", &desk.app()]);
    assert_eq!((taken.code, &taken.json["images"][0]["pushed"]), (0, &false.into()), "{}", taken.json);
    let ours = desk.there(&desk.app()).await;
    assert_eq!(ours.as_str(), taken.json["images"][1]["digest"].as_str().unwrap());

    // An index is not ours for one image of ours in it.
    let path = format!("base/{}", desk.app());
    let other = desk.registry.push(&path, "other", &Sample::new("s390x", "theirs")).await;
    let index = desk.registry.put_index(&path, "1", &[("amd64", &ours), ("s390x", &other)]).await;
    let dry = desk.push("home", &["--dry-run"]).json;
    assert_eq!(dry["images"][1]["foreign"], index.as_str(), "{dry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_killed_push_left_lent_is_given_back_by_the_next_one() {
    let desk = Desk::new("lent").await;
    let name = |tag: &str| desk.registry.image(&format!("base/{}:{tag}", desk.base)).to_string();
    let theirs = desk.build(&name("theirs"), "FROM scratch\nCOPY Dockerfile /theirs\n").await;
    let ours = desk.build(&name("1"), "FROM scratch\nCOPY Dockerfile /ours\n").await;
    let moved = desk.build(&name("moved"), "FROM scratch\nCOPY Dockerfile /moved\n").await;
    desk.build(&name("new"), "FROM scratch\nCOPY Dockerfile /ours\n").await;
    let lent = desk.state("home").join("lent");
    std::fs::create_dir_all(&lent).unwrap();
    let host = desk.engine.host();
    for (tag, before) in [("1", Some(&theirs)), ("moved", Some(&theirs)), ("new", None)] {
        let record = serde_json::json!({ "host": host, "name": name(tag), "before": before, "to": ours });
        std::fs::write(lent.join(tag), record.to_string()).unwrap();
    }
    let pushed = desk.push("home", &[&desk.base]);
    assert_eq!(pushed.code, 0, "{}", pushed.json);
    assert_eq!(desk.engine.image(&name("1")).await.unwrap().unwrap().id, theirs);
    assert_eq!(desk.engine.image(&name("moved")).await.unwrap().unwrap().id, moved, "somebody moved it meanwhile");
    assert_eq!(desk.engine.image(&name("new")).await.unwrap(), None);
    assert!(std::fs::read_dir(&lent).unwrap().all(|record| record.unwrap().metadata().unwrap().len() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_names_alone_prove_nothing() {
    let desk = Desk::new("claim").await;
    // In the engine: something else under the name that a build would give.
    let local = format!("{PREFIX}/{}:{}", desk.app(), &desk.keys()[1].hex()[..16]);
    let claimed = desk.build(&local, "FROM scratch\nCOPY Dockerfile /claimed\n").await;
    let dry = desk.push("home", &["--dry-run"]).json;
    assert_eq!(dry["images"][1]["built"], false);
    assert_eq!(desk.push("home", &[]).code, 0);
    assert_ne!(desk.engine.image(&local).await.unwrap().unwrap().id, claimed, "it was built, and that was pushed");

    // In the registry: to another machine, images that say they are of these very definitions.
    let before = (desk.there(&desk.base).await, desk.there(&desk.app()).await);
    let refused = desk.push("home2", &[]);
    assert_eq!(refused.code, 8, "{}", refused.json);
    assert_eq!((desk.there(&desk.base).await, desk.there(&desk.app()).await), before);

    // Signed by a key that the catalog names they count.
    let key = SigningKey::generate("keys/platform.pub");
    let scope = format!("{}/base/**", desk.registry.host()).parse().unwrap();
    let rule = Rule { scope, require_signature: false, keys: vec![key.public().clone()], signed_as: Vec::new() };
    let place = |name: &str| desk.root().join("home2").join(name);
    let paths =
        Paths { settings: place("settings"), cache: place("cache"), data: place("data"), state: desk.state("home2") };
    let policy = Policy::of("https://git.acme.test/catalog.git", vec![rule], &paths).unwrap();
    let (registry, replace, definitions) = (desk.client(), BTreeSet::new(), desk.definitions());
    let target = Target {
        registry: &registry,
        credentials: None,
        origin: Origin::default(),
        policy: Some(&policy),
        replace: &replace,
        reader: None,
    };
    let silent: Arc<dyn Observer> = Arc::new(Silent);
    let records = Some(paths.state.as_path());
    let workshop =
        Workshop { engine: &desk.engine, prefix: PREFIX, home: &paths.cache, anew: false, records, observer: &silent };
    for (name, digest, signed) in [(desk.base.clone(), &before.0, 1), (desk.app(), &before.1, 2)] {
        let image = desk.registry.image(&format!("base/{name}:1")).at(digest.clone());
        sign::sign(&registry, &image, &key).await.unwrap();
        let standings = workshop.look(Some(&target), &definitions).await.unwrap();
        let published = standings.iter().filter(|standing| standing.published.is_some()).count();
        assert_eq!((published, standings.iter().filter(|s| s.foreign.is_some()).count()), (signed, 2 - signed));
    }
    let published = workshop.publish(&target, &definitions).await.unwrap();
    assert!(published.iter().all(|made| !made.pushed));

    // What was pulled to build on it was not built here: it counts for as long as its signature does.
    desk.define(&desk.app(), &format!("parent = \"{}\"", desk.base), "three");
    let definitions = desk.definitions();
    let published = workshop.publish(&target, &definitions).await.unwrap();
    assert_eq!(published.iter().map(|made| made.pushed).collect::<Vec<_>>(), [false, true]);
    let target = Target { policy: None, ..target };
    let standings = workshop.look(Some(&target), &definitions).await.unwrap();
    assert_eq!(standings[0].foreign.as_ref(), Some(&before.0));
    assert!(standings[1].foreign.is_none(), "this one was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_names_its_base_and_the_end_of_its_life() {
    let desk = Desk::new("told").await;
    desk.define(&desk.app(), &format!("end_of_life = \"2028-06-30\"\nparent = \"{}\"", desk.base), "two");
    let pushed = desk.push("home", &[]);
    assert_eq!(pushed.code, 0, "{}", pushed.json);
    let base = desk.registry.image(&format!("base/{}:1", desk.base)).to_string();
    let labels = desk.client().facts(&desk.registry.image(&format!("base/{}:1", desk.app()))).await.unwrap().labels;
    assert_eq!(labels["org.opencontainers.image.base.name"], base);
    assert_eq!(labels["org.opencontainers.image.base.digest"], desk.there(&desk.base).await.as_str());
    assert_eq!(labels["dev.onramp.image.end-of-life"], "2028-06-30");
}

/// What began and what ended, in order.
#[derive(Default)]
struct Order(Mutex<Vec<String>>);

impl Observer for Order {
    fn event(&self, event: Event) {
        match event {
            Event::Started { task } => self.0.lock().unwrap().push(format!("began {task}")),
            Event::Finished { task, .. } => self.0.lock().unwrap().push(format!("ended {task}")),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_on_one_parent_are_built_at_the_same_time_and_after_it() {
    let desk = Desk::new("side").await;
    let other = format!("{}-other", desk.base);
    desk.define(&other, &format!("parent = \"{}\"", desk.base), "three");
    let order = Arc::new(Order::default());
    let observer: Arc<dyn Observer> = order.clone();
    let (home, state) = (desk.root().join("home/cache"), desk.state("home"));
    let workshop = Workshop {
        engine: &desk.engine,
        prefix: PREFIX,
        home: &home,
        anew: false,
        records: Some(&state),
        observer: &observer,
    };
    workshop.build(&desk.definitions()).await.unwrap();
    let seen = order.0.lock().unwrap().clone();
    let at = |what: &str, name: &str| {
        let line = format!("{what} build base/{name}");
        seen.iter().position(|seen| *seen == line).unwrap_or_else(|| panic!("{line}: {seen:?}"))
    };
    let (app, parent) = (desk.app(), at("ended", &desk.base));
    for child in [&app, &other] {
        assert!(parent < at("began", child), "{seen:?}");
        for sibling in [&app, &other] {
            assert!(at("began", child) < at("ended", sibling), "both had begun before either was done: {seen:?}");
        }
    }
}
