//! `onramp image` on a real engine and a real registry: listed, inspected, pulled by digest, locked.

mod registry_parts;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use onramp::engine::{Address, Engine};
use onramp::error::{Class, Fault};
use onramp::event::{Observer, Silent};
use onramp::images::pull::{self, Pull};
use onramp::project::Lock;
use onramp::reference::{Digest, ImageRef};
use registry_parts::liar::{Liar, Reply};
use registry_parts::real::{RealRegistry, Sample};

async fn engine() -> Engine {
    Engine::connect(&Address::find(|name| std::env::var(name).ok()).unwrap())
        .await
        .expect("these tests need an engine: run scripts/setup")
}

/// A pull with a cache and a state of its own.
fn pull_in<'a>(dir: &'a Path, engine: &'a Engine, observer: &'a Arc<dyn Observer>) -> Pull<'a> {
    let (cache, state) = (dir, dir);
    Pull { engine, cache, state, platform: None, registries: Duration::from_secs(20).into(), observer }
}

/// A project whose one service runs an image of the registry, and the images that the test leaves in the engine.
struct Shop {
    dir: tempfile::TempDir,
    registry: RealRegistry,
    pulled: Vec<ImageRef>,
}

/// How a run of the binary ended.
struct Outcome {
    code: i32,
    json: serde_json::Value,
}

impl Shop {
    async fn with(service: &str) -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap(), registry: RealRegistry::open().await, pulled: Vec::new() };
        let image = shop.registry.image("base/db:1");
        let manifest = format!("schema = 1\nname = \"shop\"\n[services.db]\n{service} = \"{image}\"\n");
        std::fs::write(shop.root().join("onramp.toml"), manifest).unwrap();
        shop
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Pushes the image that the project runs, with this content.
    async fn push(&mut self, content: &'static str) -> Digest {
        let digest = self.registry.push("base/db", "1", &Sample::new("amd64", content)).await;
        self.pulled.push(self.registry.image("base/db:1").at(digest.clone()));
        digest
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_in(self.root(), arguments)
    }

    fn run_in(&self, directory: &Path, arguments: &[&str]) -> Outcome {
        let home = self.root().join("home");
        let out = Command::new(env!("CARGO_BIN_EXE_onramp"))
            .arg("--json")
            .args(arguments)
            .current_dir(directory)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("ONRAMP_REGISTRY", self.registry.host())
            // A company's proxy must not see what is on this machine.
            .env("http_proxy", "http://127.0.0.1:1")
            .output()
            .unwrap();
        let json = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&out.stderr)));
        Outcome { code: out.status.code().unwrap(), json }
    }

    fn locked(&self) -> Option<Digest> {
        let lock = Lock::load(self.root()).unwrap();
        lock.images.get(&self.registry.image("base/db:1")).map(|locked| locked.digest.clone())
    }

    async fn clean(self) {
        let engine = engine().await;
        for image in &self.pulled {
            engine.untag(&image.to_string()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projects_images_are_pulled_by_digest_and_locked() {
    let mut shop = Shop::with("fallback").await;
    let first = shop.push("one").await;

    let dry = shop.run(&["image", "pull", "--dry-run"]);
    assert_eq!((dry.code, &dry.json["images"][0]["present"]), (0, &false.into()), "{}", dry.json);
    assert_eq!(shop.locked(), None, "a dry run writes nothing");
    let refused = shop.run(&["image", "pull", "--locked"]);
    assert_eq!((refused.code, shop.locked()), (3, None), "{}", refused.json);
    let refused = shop.run(&["image", "pull", "--offline"]);
    assert_eq!((refused.code, shop.locked()), (3, None), "{}", refused.json);

    assert_eq!(shop.run(&["image", "pull"]).code, 0);
    assert_eq!(shop.locked().as_ref(), Some(&first));
    let again = shop.run(&["image", "pull", "--locked", "--offline"]);
    assert_eq!((again.code, &again.json["images"][0]["present"]), (0, &true.into()), "{}", again.json);

    // The tag moves: it is named, and taken only when asked.
    let second = shop.push("two").await;
    let moved = shop.run(&["image", "pull"]);
    let tag = shop.registry.image("base/db:1").to_string();
    assert_eq!(moved.json["moved"][&tag]["now"]["digest"], second.as_str());
    assert_eq!((moved.code, shop.locked().as_ref()), (0, Some(&first)));
    let listed = shop.run(&["image", "list"]);
    assert_eq!(
        (&listed.json["images"][0]["used"], &listed.json["images"][0]["present"]),
        (&"moved".into(), &false.into())
    );
    assert_eq!(shop.run(&["image", "lock", "--update"]).code, 0);
    assert_eq!(shop.run(&["image", "pull"]).code, 0);
    assert_eq!(shop.locked(), Some(second));
    let listed = shop.run(&["image", "list"]);
    assert_eq!(
        (&listed.json["images"][0]["used"], &listed.json["images"][0]["present"]),
        (&"locked".into(), &true.into())
    );
    shop.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_named_as_people_name_them() {
    let mut shop = Shop::with("fallback").await;
    let digest = shop.push("three").await;
    let outside = tempfile::tempdir().unwrap();
    for name in ["db:1", "base/db:1", &shop.registry.image("base/db:1").to_string()] {
        let inspected = shop.run_in(outside.path(), &["image", "inspect", name]);
        assert_eq!((inspected.code, &inspected.json["digest"]), (0, &digest.as_str().into()), "{name}");
    }
    let whole = shop.run_in(outside.path(), &["image", "inspect", "db:1"]).json;
    assert_eq!((&whole["env"][0], &whole["ports"][0]), (&"PATH=/bin".into(), &"80/tcp".into()));
    assert_eq!((&whole["user"], &whole["platform"]), (&"root".into(), &"linux/amd64".into()));

    let pulled = shop.run_in(outside.path(), &["image", "pull", "db:1"]);
    assert_eq!((pulled.code, shop.locked()), (0, None), "{}", pulled.json);
    for (arguments, code) in [
        (&["image", "pull"][..], 2),
        (&["image", "inspect", "db"], 2),
        (&["image", "inspect", "db:9"], 3),
        (&["image", "pull", "db:1", "--offline"], 2),
        (&["image", "inspect", "127.0.0.1:1/a/b:1"], 6),
    ] {
        let refused = shop.run_in(outside.path(), arguments);
        assert_eq!(refused.code, code, "{arguments:?}: {}", refused.json);
    }
    shop.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_needs_no_engine() {
    let mut shop = Shop::with("fallback").await;
    shop.push("four").await;
    let out = Command::new(env!("CARGO_BIN_EXE_onramp"))
        .args(["image", "list"])
        .current_dir(shop.root())
        .env("HOME", shop.root())
        .env("ONRAMP_REGISTRY", shop.registry.host())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("\ndb:1 ") && text.contains("unknown"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_images_are_pulled_at_once_and_proven() {
    let registry = RealRegistry::open().await;
    let mut images = Vec::new();
    for (path, content) in [("base/a", "a five"), ("base/b", "b five"), ("base/c", "c five")] {
        let digest = registry.push(path, "1", &Sample::new("amd64", content)).await;
        images.push(registry.image(&format!("{path}:1")).at(digest));
    }
    let engine = engine().await;
    let silent: Arc<dyn Observer> = Arc::new(Silent);
    assert!(pull::plan(&engine, &images, None).await.unwrap().iter().all(|plan| !plan.present));
    let dir = tempfile::tempdir().unwrap();
    let pull = pull_in(dir.path(), &engine, &silent);
    pull.apply(pull.prepare(&images).await.unwrap()).await.unwrap();
    assert!(pull::plan(&engine, &images, None).await.unwrap().iter().all(|plan| plan.present));
    for image in &images {
        engine.untag(&image.to_string()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_takes_nothing_else_for_a_digest() {
    let liar = Liar::start(|seen| match seen.path() {
        "/v2/" => Reply::json("{}"),
        _ => Reply::manifest(&Sample::new("amd64", "other").manifest()),
    })
    .await;
    let image = liar.image("base/a:1").at(Digest::of(b"what was asked for"));
    let engine = engine().await;
    let silent: Arc<dyn Observer> = Arc::new(Silent);
    let dir = tempfile::tempdir().unwrap();
    let error = pull_in(dir.path(), &engine, &silent).prepare(std::slice::from_ref(&image)).await.err().unwrap();
    assert_eq!(error.class(), Class::Security, "{error}");
    assert_eq!(engine.image(&image.to_string()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caches_limit_holds_after_every_command() {
    let mut shop = Shop::with("fallback").await;
    shop.push("cached").await;
    let home = shop.root().join("home");
    let remembered = || std::fs::read_dir(home.join("cache/onramp/catalogue")).unwrap().count();
    assert_eq!((shop.run(&["image", "tree"]).code, remembered()), (0, 1));
    let settings = home.join("config/onramp/settings.toml");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(&settings, "schema = 1\n[cache]\nlimit = \"0\"\n").unwrap();
    assert_eq!((shop.run(&["image", "tree"]).code, remembered()), (0, 0));
}
