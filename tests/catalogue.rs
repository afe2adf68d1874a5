//! `onramp image list`, `tree`, `lock` and `outdated` on a real registry: what there is, what derives from what, what is
//! behind.

mod registry_parts;

use std::path::Path;
use std::process::Command;

use onramp::project::Lock;
use onramp::reference::Digest;
use registry_parts::real::{RealRegistry, Sample};
use serde_json::{Value, json};

/// An image whose layers unpack to these texts, as its config says. Packed, they are other bytes in every repository, as
/// different builders make them.
struct Image<'a> {
    created: &'a str,
    layers: &'a [&'a str],
    labels: Value,
}

impl Image<'_> {
    async fn push(&self, registry: &RealRegistry, path: &str, tag: &str) -> Digest {
        let unpacked: Vec<String> = self.layers.iter().map(|l| Digest::of(l.as_bytes()).to_string()).collect();
        let layers: Vec<Vec<u8>> = self.layers.iter().map(|l| format!("{l}, packed for {path}").into_bytes()).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": self.created, "config": {"Labels": self.labels},
            "rootfs": {"type": "layers", "diff_ids": unpacked},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let descriptor = |media_type: &str, bytes: &[u8]| {
            json!({"mediaType": format!("application/vnd.oci.image.{media_type}"), "digest": Digest::of(bytes).as_str(),
                   "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config),
            "layers": layers.iter().map(|layer| descriptor("layer.v1.tar", layer)).collect::<Vec<_>>(),
        });
        for blob in layers.into_iter().chain([config]) {
            registry.put_blob(path, blob).await;
        }
        let bytes = serde_json::to_vec(&manifest).unwrap();
        registry.put_manifest(path, tag, &bytes, "application/vnd.oci.image.manifest.v1+json").await
    }
}

/// A machine whose company has this registry.
struct Desk {
    dir: tempfile::TempDir,
    registry: RealRegistry,
}

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Outcome {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

impl Desk {
    async fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), registry: RealRegistry::open().await }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A project with one service built on this base.
    fn project(&self, base: &str) {
        let text = format!(
            "schema = 1\nname = \"shop\"\n[services.web]\nbuild = {{ context = \".\", base = \"{}/{base}\" }}\nport = 80\n",
            self.registry.host()
        );
        std::fs::write(self.root().join("onramp.toml"), text).unwrap();
        std::fs::write(self.root().join("Dockerfile"), "ARG BASE\nFROM ${BASE}\n").unwrap();
    }

    /// Runs it where no engine answers.
    fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, Some("unix:///nowhere/docker.sock"))
    }

    fn run_with(&self, arguments: &[&str], engine: Option<&str>) -> Outcome {
        let home = self.root().join("home");
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env("HOME", &home)
            .env("ONRAMP_REGISTRY", self.registry.host());
        for (name, directory) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache"), ("XDG_STATE_HOME", "state")]
        {
            command.env(name, home.join(directory));
        }
        if let Ok(state) = std::fs::canonicalize(self.root().join("state.git")) {
            command.env("ONRAMP_STATE", state);
        }
        if let Some(engine) = engine {
            command.env("DOCKER_HOST", engine);
        }
        let out = command.output().unwrap();
        Outcome {
            code: out.status.code().unwrap(),
            out: String::from_utf8(out.stdout).unwrap(),
            err: String::from_utf8(out.stderr).unwrap(),
        }
    }

    fn locked(&self, image: &str) -> Option<Digest> {
        let lock = Lock::load(self.root()).unwrap();
        lock.images.get(&self.registry.image(image)).map(|locked| locked.digest.clone())
    }

    /// What production runs of the project.
    fn production(&self, web: &str) {
        let work = self.root().join("state");
        std::fs::create_dir_all(work.join("environments/production")).unwrap();
        std::fs::write(work.join("state.toml"), "schema = 1\n[[environment]]\nname = \"production\"\n").unwrap();
        let text = format!("schema = 1\n[services.web]\nimage = \"{web}\"\nport = 80\n");
        std::fs::write(work.join("environments/production/shop.toml"), text).unwrap();
        let bare = self.root().join("state.git");
        let git = |arguments: &[&str]| {
            let done = Command::new("git")
                .args(["-c", "user.name=Ada", "-c", "user.email=ada@acme.test", "-C", work.to_str().unwrap()])
                .args(arguments)
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["add", "."]);
        git(&["commit", "--quiet", "--message", "what runs"]);
        git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    }
}

fn plain<'a>(created: &'a str, layers: &'a [&'a str]) -> Image<'a> {
    Image { created, layers, labels: json!({}) }
}

/// The kinds of the findings of the only image.
fn kinds(outcome: &Outcome) -> Vec<String> {
    let json = outcome.json();
    let findings = json["images"][0]["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_newest_first_and_remembers() {
    let desk = Desk::new().await;
    let owned = json!({
        "org.opencontainers.image.version": "8.2.29", "dev.onramp.image.owner": "platform@acme.test",
        "dev.onramp.image.end-of-life": "2020-12-31", "dev.onramp.image.deprecated": "use php:8.4\u{1b}[2J",
    });
    plain("2026-01-01T00:00:00Z", &["debian"]).push(&desk.registry, "base/debian", "12").await;
    for (tag, created) in
        [("8.2", "2026-03-01T00:00:00Z"), ("8.10", "2026-05-01T00:00:00Z"), ("8.9", "2026-04-01T00:00:00Z")]
    {
        Image { created, layers: &["debian", tag], labels: owned.clone() }.push(&desk.registry, "base/php", tag).await;
    }
    plain("2026-06-01T00:00:00Z", &["x"]).push(&desk.registry, "apps/shop", "1").await;

    let listed = desk.run(&["image", "list", "--json"]).json();
    let names = |json: &Value| -> Vec<String> {
        let images = json["images"].as_array().unwrap();
        images.iter().map(|image| image["image"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&listed), ["php:8.10", "debian:12"]);
    let php = &listed["images"][0];
    assert_eq!((&php["version"], &php["owner"]), (&"8.2.29".into(), &"platform@acme.test".into()));
    assert_eq!((&php["end_of_life"], &php["platforms"][0]), (&"2020-12-31".into(), &"linux/amd64".into()));
    let packed = ["debian", "8.10"].map(|layer| format!("{layer}, packed for base/php").len());
    assert_eq!((&php["size"], &php["created"]), (&packed.iter().sum::<usize>().into(), &"2026-05-01T00:00:00Z".into()));
    let age = || onramp::text::age("2026-05-01T00:00:00Z".parse().unwrap(), jiff::Timestamp::now());
    let (before, text, after) = (age(), desk.run(&["image", "list"]).out, age());
    let line = text.lines().find(|line| line.starts_with("php:8.10")).unwrap();
    assert!(line.contains(&format!("  {before}  ")) || line.contains(&format!("  {after}  ")), "{line}");
    assert!(line.contains(&format!("  {}  ", onramp::text::bytes(packed.iter().sum::<usize>() as u64))), "{line}");
    assert!(text.contains("deprecated: use php:8.4\\u{1b}[2J; end of life since 2020-12-31"), "{text}");
    let tags = desk.run(&["image", "list", "--tags", "php", "--json"]).json();
    assert_eq!(names(&tags), ["php:8.10", "php:8.9", "php:8.2"]);

    // What was asked before answers when nothing may be asked, and for five minutes when it may.
    plain("2026-07-01T00:00:00Z", &["n"]).push(&desk.registry, "base/new", "1").await;
    assert_eq!(names(&desk.run(&["image", "list", "--json", "--offline"]).json()), ["php:8.10", "debian:12"]);
    assert_eq!(names(&desk.run(&["image", "list", "--json"]).json()), ["php:8.10", "debian:12"]);
    assert_eq!(names(&desk.run(&["image", "list", "--json", "--refresh"]).json()), ["new:1", "php:8.10", "debian:12"]);
    let other = Desk::new().await;
    let nothing = other.run(&["image", "list", "--offline"]);
    assert_eq!(nothing.code, 6, "{}", nothing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_by_labels_and_by_layers() {
    let desk = Desk::new().await;
    let host = desk.registry.host().to_owned();
    let old = plain("2026-01-01T00:00:00Z", &["debian"]).push(&desk.registry, "base/debian", "12").await;
    let labels = json!({
        "org.opencontainers.image.base.name": format!("{host}/base/debian:12"),
        "org.opencontainers.image.base.digest": old.as_str(),
    });
    let created = "2026-02-01T00:00:00Z";
    Image { created, layers: &["debian", "php"], labels }.push(&desk.registry, "base/php", "8.2").await;
    plain(created, &["debian", "php", "cms"]).push(&desk.registry, "base/cms", "1").await;
    let tree = desk.run(&["image", "tree"]).out;
    let shape: Vec<String> = tree.lines().map(|line| line.rsplit_once("  ").unwrap().0.to_owned()).collect();
    assert_eq!(shape, ["debian:12", "└─ php:8.2", "   └─ cms:1"]);
    assert!(tree.lines().nth(2).unwrap().ends_with("by its layers") && !tree.contains("no longer"), "{tree}");

    plain("2026-03-01T00:00:00Z", &["debian2"]).push(&desk.registry, "base/debian", "12").await;
    desk.run(&["image", "list", "--refresh"]);
    let tree = desk.run(&["image", "tree"]).out;
    assert!(tree.lines().nth(1).unwrap().ends_with("built on what its base no longer is"), "{tree}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_is_kept_until_it_is_updated() {
    let desk = Desk::new().await;
    desk.project("base/php:8.2");
    let first = plain("2026-01-01T00:00:00Z", &["one"]).push(&desk.registry, "base/php", "8.2").await;
    let dry = desk.run(&["image", "lock", "--dry-run", "--json"]);
    assert_eq!((dry.code, desk.locked("base/php:8.2")), (0, None), "{}", dry.err);
    assert_eq!(desk.run(&["image", "lock", "--locked"]).code, 2);
    assert_eq!(desk.run(&["image", "lock"]).code, 0);
    assert_eq!(desk.locked("base/php:8.2").as_ref(), Some(&first));

    let second = plain("2026-02-01T00:00:00Z", &["two"]).push(&desk.registry, "base/php", "8.2").await;
    let kept = desk.run(&["image", "lock"]);
    assert!(kept.err.contains("--update follows it"), "{}", kept.err);
    assert_eq!(desk.locked("base/php:8.2").as_ref(), Some(&first));
    let wrong = desk.run(&["image", "lock", "--update", "mariadb:1"]);
    assert!(wrong.code == 2 && wrong.err.contains("it uses: "), "{}", wrong.err);
    assert_eq!(desk.run(&["image", "lock", "--update", "php:8.2"]).code, 0);
    assert_eq!(desk.locked("base/php:8.2"), Some(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_an_index_keeps_every_platform() {
    let desk = Desk::new().await;
    desk.project("base/php:8.2");
    let (amd, arm) = (Sample::new("amd64", "here"), Sample::new("arm64", "elsewhere"));
    let amd = desk.registry.push("base/php", "amd64", &amd).await;
    let arm = desk.registry.push("base/php", "arm64", &arm).await;
    let index = desk.registry.put_index("base/php", "8.2", &[("amd64", &amd), ("arm64", &arm)]).await;
    assert_eq!(desk.run(&["image", "lock"]).code, 0);
    let lock = Lock::load(desk.root()).unwrap();
    let locked = &lock.images[&desk.registry.image("base/php:8.2")];
    assert_eq!(locked.digest, index);
    assert_eq!(locked.platforms, [("linux/amd64".to_owned(), amd), ("linux/arm64".to_owned(), arm)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_is_told() {
    let desk = Desk::new().await;
    let host = desk.registry.host().to_owned();
    desk.project("base/php:8.2");
    let debian = plain("2026-01-01T00:00:00Z", &["debian"]).push(&desk.registry, "base/debian", "12").await;
    let on_debian = json!({
        "org.opencontainers.image.base.name": format!("{host}/base/debian:12"),
        "org.opencontainers.image.base.digest": debian.as_str(),
    });
    let php = |created, layer| Image { created, layers: layer, labels: on_debian.clone() };
    let first = php("2026-01-02T00:00:00Z", &["debian", "php"]).push(&desk.registry, "base/php", "8.2").await;
    assert_eq!(desk.run(&["image", "lock"]).code, 0);
    let fine = desk.run(&["image", "outdated", "--check", "--json"]);
    assert_eq!((fine.code, kinds(&fine)), (0, Vec::new()), "{}", fine.err);

    // Production was built on a later php, whose tag moved; a newer version came, and php's own base moved.
    let second = php("2026-02-02T00:00:00Z", &["debian", "php2"]).push(&desk.registry, "base/php", "8.2").await;
    php("2026-02-03T00:00:00Z", &["debian", "php3"]).push(&desk.registry, "base/php", "8.3").await;
    plain("2026-02-01T00:00:00Z", &["debian2"]).push(&desk.registry, "base/debian", "12").await;
    let on_php = json!({
        "org.opencontainers.image.base.name": format!("{host}/base/php:8.2"),
        "org.opencontainers.image.base.digest": second.as_str(),
    });
    let web = Image { created: "2026-02-04T00:00:00Z", layers: &["debian", "php2", "web"], labels: on_php };
    let web = web.push(&desk.registry, "apps/shop-web", "1").await;
    desk.production(&format!("{host}/apps/shop-web@{web}"));
    std::fs::remove_dir_all(desk.root().join("home/cache")).unwrap();

    let behind = desk.run(&["image", "outdated", "--check", "--json"]);
    assert_eq!(behind.code, 1, "{}", behind.err);
    assert_eq!(kinds(&behind), ["moved", "newer", "environment", "base"]);
    let findings = &behind.json()["images"][0]["findings"];
    assert_eq!((&findings[0]["now"], &findings[1]["step"]), (&second.as_str().into(), &"minor".into()));
    assert_eq!((&findings[2]["later"], &findings[2]["runs"]), (&true.into(), &second.as_str().into()));
    assert_eq!(findings[3]["built_on"], debian.as_str());
    assert_eq!(desk.run(&["image", "outdated"]).code, 0, "without --check it only tells");
    let text = desk.run(&["image", "outdated"]).out;
    assert!(
        text.contains("behind production: shop/web") && text.contains("next: onramp image lock --update"),
        "{text}"
    );

    // After the update production is not ahead any more; the project can even be ahead of it.
    assert_eq!(desk.run(&["image", "lock", "--update"]).code, 0);
    assert_eq!(kinds(&desk.run(&["image", "outdated", "--json"])), ["newer", "base"]);
    desk.registry.delete("base/php", &first).await;
    desk.registry.delete("base/php", &second).await;
    std::fs::remove_dir_all(desk.root().join("home/cache")).unwrap();
    let gone = desk.run(&["image", "outdated", "--json"]);
    assert!(kinds(&gone).contains(&"gone".to_owned()), "{}", gone.out);
    let engine = std::env::var("DOCKER_HOST").ok();
    let third = plain("2026-03-02T00:00:00Z", &["debian", "php4"]).push(&desk.registry, "base/php", "8.2").await;
    let pulled = desk.run_with(&["image", "pull"], engine.as_deref());
    assert_eq!(pulled.code, 3, "{}", pulled.err);
    let expected =
        format!("is locked to {}, which its registry no longer has; the tag is {} now", second.short(), third.short());
    assert!(
        pulled.err.contains(&expected) && pulled.err.contains("next: onramp image lock --update"),
        "{}",
        pulled.err
    );
    assert_eq!(desk.locked("base/php:8.2"), Some(second), "the lock is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_nobody_names_is_seen_in_the_layers() {
    let desk = Desk::new().await;
    desk.project("base/php:8.2");
    plain("2026-01-01T00:00:00Z", &["debian"]).push(&desk.registry, "base/debian", "12").await;
    plain("2026-01-02T00:00:00Z", &["debian", "php"]).push(&desk.registry, "base/php", "8.2").await;
    assert_eq!(desk.run(&["image", "lock"]).code, 0);
    assert_eq!(kinds(&desk.run(&["image", "outdated", "--json"])), Vec::<String>::new());
    plain("2026-02-01T00:00:00Z", &["debian2"]).push(&desk.registry, "base/debian", "12").await;
    assert_eq!(desk.run(&["image", "list", "--tags", "--refresh"]).code, 0);
    let outdated = desk.run(&["image", "outdated", "--json"]);
    assert_eq!(kinds(&outdated), ["base"], "{}", outdated.out);
    assert_eq!(outdated.json()["images"][0]["findings"][0]["by"], "layers");
}

/// Takes the images of a test away from the engine, also where it fails.
struct Local(String);

impl Drop for Local {
    fn drop(&mut self) {
        let listed = Command::new("docker").args(["images", "--format", "{{.Repository}}:{{.Tag}}"]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for name in listed.lines().filter(|name| name.contains(&self.0)) {
            let _ = Command::new("docker").args(["rmi", name]).output();
        }
    }
}

/// A catalog with a file system of Debian packages and an image on it, whose names begin so.
fn catalog(desk: &Desk, base: &str) {
    let write = |path: String, text: &str| {
        let path = desk.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let image = |name: &str, rest: &str| {
        format!("schema = 1\nname = \"{name}\"\ntag = \"1\"\ndescription = \"For tests\"\n{rest}\n")
    };
    let ground = "owner = \"ops\"\nend_of_life = \"2028-06-30\"\n[rootfs]\nsuite = \"bookworm\"";
    write(".gitignore".to_owned(), "/home\n");
    write(format!("images/{base}/image.toml"), &image(base, ground));
    let child = image(&format!("{base}-app"), &format!("owner = \"web\"\nparent = \"{base}\""));
    write(format!("images/{base}-app/image.toml"), &child);
    write(format!("images/{base}-app/Dockerfile"), "ARG BASE\nFROM ${BASE}\nRUN echo one >/one\n");
    for line in
        ["init --quiet", "remote add origin https://ann:s3cret@git.acme.test/c.git", "add .", "commit --quiet -m x"]
    {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@acme.test"];
        let done = Command::new("git").args(identity).args(line.split(' ')).current_dir(desk.root()).status();
        assert!(done.unwrap().success(), "{line}");
    }
}

/// The packages of an image's bill of materials: name and version.
async fn billed(registry: &RealRegistry, path: &str, digest: &Digest) -> std::collections::BTreeSet<String> {
    let client = onramp::registry::Registry::new(registry.host(), None, std::time::Duration::from_secs(10)).unwrap();
    let referrers = client.referrers(path, digest, Some(onramp::images::build::SPDX)).await.unwrap();
    assert_eq!(referrers.len(), 1);
    let at = registry.image(&format!("{path}:1")).at(referrers[0].descriptor.digest.clone());
    let manifest: Value = serde_json::from_slice(&client.manifest(&at).await.unwrap().bytes).unwrap();
    let document = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    let document: Value = serde_json::from_slice(&client.small_blob(path, &document, 16 << 20).await.unwrap()).unwrap();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
    let packages = document["packages"].as_array().unwrap()[1..].iter();
    packages.map(|package| format!("{} {}", text(package, "name"), text(package, "versionInfo"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogs_images_are_built_pushed_and_made_the_same_again() {
    let desk = Desk::new().await;
    let base = format!("tiny{}", std::process::id());
    let _local = Local(base.clone());
    catalog(&desk, &base);
    let engine = std::env::var("DOCKER_HOST").ok();
    let run = |arguments: &[&str]| desk.run_with(&[arguments, &["--json"]].concat(), engine.as_deref());
    let dry = run(&["image", "push", "--dry-run"]);
    assert_eq!((dry.code, &dry.json()["images"][1]["published"]), (0, &Value::Null), "{}{}", dry.out, dry.err);
    let pushed = run(&["image", "push"]);
    assert_eq!(pushed.code, 0, "{}{}", pushed.out, pushed.err);
    let (first, app) = (pushed.json()["images"][0].clone(), pushed.json()["images"][1].clone());
    assert_eq!((&first["pushed"], &app["pushed"]), (&true.into(), &true.into()));

    // What is pushed says where it came from, and not what its parent says of itself.
    let inspected = run(&["image", "inspect", &format!("{base}-app:1")]).json();
    let label = |key: &str| inspected["labels"][key].as_str().unwrap_or("none").to_owned();
    assert_eq!(label("org.opencontainers.image.base.digest"), first["digest"].as_str().unwrap());
    assert_eq!(label("org.opencontainers.image.source"), "https://git.acme.test/c.git");
    assert_eq!(label("dev.onramp.image.owner"), "web");
    assert_eq!(label("dev.onramp.image.end-of-life"), "");
    assert_eq!(label("org.opencontainers.image.revision").len(), 40);

    // A bill of materials refers to it, and lists what dpkg does.
    let billed =
        billed(&desk.registry, &format!("base/{base}"), &first["digest"].as_str().unwrap().parse().unwrap()).await;
    let key = dry.json()["images"][0]["key"].as_str().unwrap()["sha256:".len()..][..16].to_owned();
    let asked =
        ["run", "--rm", &format!("onramp-image/{base}:{key}"), "dpkg-query", "-W", "-f", "${Package} ${Version}\n"];
    let dpkg = String::from_utf8(Command::new("docker").args(asked).output().unwrap().stdout).unwrap();
    assert!(dpkg.lines().count() > 50, "{dpkg:?}");
    assert_eq!(billed, dpkg.lines().map(str::to_owned).collect());

    // Made anew of the same packages it is the same to the last byte, so that nothing that builds on it is pushed again.
    let again = run(&["image", "push", "--anew", &base]);
    assert_eq!((again.code, &again.json()["images"][0]["digest"]), (0, &first["digest"]), "{}", again.err);
    let nothing = run(&["image", "push"]).json()["images"][1].clone();
    assert_eq!((&nothing["digest"], &nothing["pushed"]), (&app["digest"], &false.into()));

    // A change of one is a push of one; a parent that there is not, or no image of that name, is said.
    let place = desk.root().join(format!("images/{base}-app"));
    std::fs::write(place.join("Dockerfile"), "ARG BASE\nFROM ${BASE}\nRUN echo two >/two\n").unwrap();
    let changed = run(&["image", "push"]).json();
    assert_eq!((&changed["images"][0]["pushed"], &changed["images"][1]["pushed"]), (&false.into(), &true.into()));
    assert_eq!(run(&["image", "build", "tyni"]).code, 2);
    let text = std::fs::read_to_string(place.join("image.toml")).unwrap();
    std::fs::write(place.join("image.toml"), text.replace(&format!("parent = \"{base}\""), "parent = \"nobody\""))
        .unwrap();
    let orphan = run(&["image", "build"]);
    assert!(orphan.code == 3 && orphan.out.contains("no image `nobody` is defined"), "{}", orphan.out);
}
