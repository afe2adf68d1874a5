//! Images read and compared without an engine: from a real registry, and from one that sends what no registry should.

mod registry_parts;

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use onramp::engine::{Address, Engine};
use onramp::error::{Class, Fault};
use onramp::event::{Observer, Silent};
use onramp::images::contents::{Contents, Error, Image, Reader};
use onramp::images::diff::{self, Depth};
use onramp::images::pull::Pull;
use onramp::images::store::Store;
use onramp::reference::{Digest, ImageRef};
use onramp::registry::{Access, Registry};
use onramp::settings::Mirror;
use registry_parts::liar::{Liar, Reply, Seen};
use registry_parts::real::RealRegistry;
use serde_json::json;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// How long a mirror waits, so that it is asked for all layers meanwhile.
const BOTH_ASKED: Duration = Duration::from_millis(300);
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A tar archive of these files; a name that ends with a slash is a directory.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(if path.ends_with('/') { 0o755 } else { 0o644 });
        header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, path, *contents).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn status(packages: &[(&str, &str)]) -> Vec<u8> {
    let paragraph = |(name, version): &(&str, &str)| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
    };
    packages.iter().map(paragraph).collect::<String>().into_bytes()
}

fn config(runtime: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(&json!({"architecture": "amd64", "os": "linux", "config": runtime})).unwrap()
}

fn manifest(config: &[u8], layers: &[Vec<u8>]) -> Vec<u8> {
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes).as_str(), "size": bytes.len()});
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
    let config = descriptor("application/vnd.oci.image.config.v1+json", config);
    serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})).unwrap()
}

async fn push(registry: &RealRegistry, name: &str, runtime: &serde_json::Value, layers: &[Vec<u8>]) -> ImageRef {
    let (path, tag) = name.split_once(':').unwrap();
    let config = config(runtime);
    for blob in layers.iter().chain([&config]) {
        registry.put_blob(path, blob.clone()).await;
    }
    registry.put_manifest(path, tag, &manifest(&config, layers), MANIFEST).await;
    registry.image(name)
}

struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn reader(&self, offline: bool) -> Reader {
        Reader::new(self.0.path(), offline, Duration::from_secs(5), Arc::new(Silent))
    }

    fn layers(&self) -> usize {
        std::fs::read_dir(self.0.path().join("layers")).map_or(0, Iterator::count)
    }
}

async fn read(reader: &Reader, image: &ImageRef) -> Result<(Image, Contents), Error> {
    let image = reader.image(image, None).await?;
    let contents = reader.contents(&image).await?;
    Ok((image, contents))
}

fn names(contents: &Contents) -> Vec<String> {
    contents.packages.iter().map(|p| format!("{} {} {}", p.ecosystem.name(), p.name, p.version)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_read_in_each_packing_and_then_from_the_cache() {
    let registry = RealRegistry::open().await;
    let base = archive(&[
        ("var/lib/dpkg/", b""),
        ("var/lib/dpkg/status", &status(&[("libc6", "2.36"), ("zlib1g", "1.2")])),
        ("app/composer.lock", br#"{"packages":[{"name":"psr/log","version":"3.0.0"}],"packages-dev":[]}"#),
        ("app/gone/package-lock.json", br#"{"packages":{"node_modules/left-pad":{"version":"1.0.0"}}}"#),
    ]);
    // Two members: what `cat a.gz b.gz` makes is one gzip file.
    let (first, second) = base.split_at(700);
    let base = [gzip(first), gzip(second)].concat();
    let middle = archive(&[("app/.wh.gone", b""), ("usr/share/rpm/Packages.db", b"x")]);
    let top = archive(&[("./var/lib/dpkg/status", &status(&[("libc6", "2.37")]))]);
    let top = zstd::encode_all(top.as_slice(), 3).unwrap();
    let image = push(&registry, "base/app:1", &json!({}), &[base, middle, top]).await;

    let cache = Cache::new();
    let (read_first, contents) = read(&cache.reader(false), &image).await.unwrap();
    assert_eq!(names(&contents), ["deb libc6 2.37", "composer psr/log 3.0.0"]);
    assert_eq!(contents.unread.len(), 1, "{:?}", contents.unread);
    assert_eq!((contents.unread[0].path.as_str(), cache.layers()), ("usr/share/rpm/Packages.db", 3));

    // By its tag, by its digest: without the registry it is the same.
    drop(registry);
    for reference in [image.clone(), image.at(read_first.top.clone())] {
        let (again, contents_again) = read(&cache.reader(true), &reference).await.unwrap();
        assert_eq!((again.manifest, contents_again), (read_first.manifest.clone(), contents.clone()));
        assert_eq!(again.remembered.is_some(), reference.digest().is_none());
    }
    let error = read(&Cache::new().reader(true), &image).await.unwrap_err();
    assert_eq!(error.class(), Class::Net, "{error}");
    assert!(error.to_string().contains(&image.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_facts_are_made_again() {
    let registry = RealRegistry::open().await;
    let layer = archive(&[("var/lib/dpkg/status", &status(&[("a", "1")]))]);
    let image = push(&registry, "base/a:1", &json!({}), std::slice::from_ref(&layer)).await;
    let cache = Cache::new();
    let (_, contents) = read(&cache.reader(false), &image).await.unwrap();
    let file = cache.0.path().join("layers").join(Digest::of(&layer).hex());
    for damage in [&b""[..], b"onramp layer facts 2\n", &[0; 9000]] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!(read(&cache.reader(false), &image).await.unwrap().1, contents);
    }
    // A document that is damaged is fetched again, too.
    for entry in std::fs::read_dir(cache.0.path().join("documents")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{}").unwrap();
    }
    assert_eq!(read(&cache.reader(false), &image).await.unwrap().1, contents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_chosen() {
    let registry = RealRegistry::open().await;
    let layer = archive(&[("x", b"x")]);
    let one = push(&registry, "base/a:amd", &json!({}), std::slice::from_ref(&layer)).await;
    let reader_cache = Cache::new();
    let reader = reader_cache.reader(false);
    let digest = reader.image(&one, None).await.unwrap().top;
    registry.put_index("base/a", "all", &[("amd64", &digest), ("s390x", &digest)]).await;
    let all = registry.image("base/a:all");
    assert_eq!(reader.image(&all, Some("linux/amd64")).await.unwrap().manifest, digest);
    let error = reader.image(&all, Some("linux/arm64\x1b[31m")).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("only for linux/amd64, linux/s390x"), "{error}");
    assert!(!error.to_string().contains('\x1b'));
    assert!(matches!(reader.image(&one, Some("linux/arm64")).await, Err(Error::Platform { .. })));
}

/// A registry that serves one image, whose layer's bytes `answer` makes.
async fn serve(
    layer: Vec<u8>,
    size: Option<u64>,
    answer: impl Fn(&Seen, &[u8]) -> Reply + Send + Sync + 'static,
) -> (Liar, ImageRef) {
    let config = config(&json!({}));
    let mut document: serde_json::Value =
        serde_json::from_slice(&manifest(&config, std::slice::from_ref(&layer))).unwrap();
    if let Some(size) = size {
        document["layers"][0]["size"] = size.into();
    }
    let document = serde_json::to_vec(&document).unwrap();
    let path = format!("/v2/base/a/blobs/{}", Digest::of(&layer));
    let liar = Liar::start(move |seen| match seen.path() {
        "/v2/base/a/manifests/1" => Reply::manifest(&document),
        blob if blob == path => answer(seen, &layer),
        _ => Reply::status(200).body(&config),
    })
    .await;
    let image = liar.image("base/a:1");
    (liar, image)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_layer_is_never_believed() {
    let files: Vec<(String, Vec<u8>)> =
        (0..50).map(|i| (format!("f{i}"), vec![u8::try_from(i).unwrap(); 4000])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let plain = archive(&files);
    let flipped = |at: usize| {
        move |_: &Seen, layer: &[u8]| {
            let mut bytes = layer.to_vec();
            bytes[at] ^= 1;
            Reply::status(200).body(&bytes)
        }
    };
    let whole = |_: &Seen, layer: &[u8]| Reply::status(200).body(layer);
    let longer = |_: &Seen, layer: &[u8]| Reply::status(200).body(&[layer, &[0; 512]].concat()).chunked();
    let shorter = |_: &Seen, layer: &[u8]| Reply::status(200).body(&layer[..layer.len() - 1]);
    let cut = |_: &Seen, layer: &[u8]| Reply::status(200).body(layer).cut_after(layer.len() / 2);
    let zipped = gzip(&plain);
    let length = plain.len() as u64;
    for (what, (liar, image), class) in [
        ("a flipped byte", serve(plain.clone(), None, flipped(1000)).await, Class::Security),
        ("a flipped header", serve(plain.clone(), None, flipped(3)).await, Class::Security),
        ("a flipped byte in gzip", serve(zipped.clone(), None, flipped(60)).await, Class::Security),
        ("a flipped byte at the end", serve(zipped.clone(), None, flipped(zipped.len() - 1)).await, Class::Security),
        ("more bytes", serve(plain.clone(), None, longer).await, Class::Security),
        ("fewer bytes", serve(plain.clone(), None, shorter).await, Class::Net),
        ("half of it, always", serve(plain.clone(), None, cut).await, Class::Net),
        ("a size that is too small", serve(plain.clone(), Some(length - 512), whole).await, Class::Security),
        ("a size that is too large", serve(plain.clone(), Some(length + 512), whole).await, Class::Net),
    ] {
        let cache = Cache::new();
        let error = read(&cache.reader(false), &image).await.expect_err(what);
        assert_eq!((error.class(), cache.layers()), (class, 0), "{what}: {error}");
        assert!(error.to_string().contains("base/a"), "{what}: {error}");
        assert!(!error.next().is_empty() || error.hint().is_some(), "{what}: {error}");
        drop(liar);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pulled_is_read_from_the_store() {
    let registry = RealRegistry::open().await;
    let tar = archive(&[("var/lib/dpkg/status", &status(&[("libc6", "2.36")]))]);
    let digest = registry.push_layers("base/app", "1", std::slice::from_ref(&tar)).await;
    let name = registry.image("base/app:1").at(digest);
    let cache = Cache::new();
    let engine = Engine::connect(&Address::find(|name| std::env::var(name).ok()).unwrap())
        .await
        .expect("these tests need an engine: run scripts/setup");
    let (state, observer): (_, Arc<dyn Observer>) = (tempfile::tempdir().unwrap(), Arc::new(Silent));
    let pull = Pull {
        engine: &engine,
        cache: cache.0.path(),
        state: state.path(),
        platform: None,
        registries: Duration::from_secs(20).into(),
        observer: &observer,
    };
    pull.apply(pull.prepare(std::slice::from_ref(&name)).await.unwrap()).await.unwrap();
    engine.untag(&name.to_string()).await.unwrap();
    drop(registry);
    let image = cache.reader(true).image(&name, None).await.unwrap();
    let place = Store::open(cache.0.path()).unwrap().root().join(image.layers[0].digest.hex());
    let layer = std::fs::read(&place).unwrap();
    // What is damaged on the disk is not believed, and goes.
    let flipped = |bytes: &[u8]| bytes.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
    std::fs::write(&place, flipped(&layer)).unwrap();
    let error = cache.reader(true).contents(&image).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error}");
    assert!(!place.exists());
    std::fs::write(&place, &layer).unwrap();
    let contents = cache.reader(true).contents(&image).await.unwrap();
    assert_eq!(names(&contents), ["deb libc6 2.36"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_shown_with_its_entrypoint_its_files_and_for_a_pull_request() {
    let registry = RealRegistry::open().await;
    let layers = [
        archive(&[("etc/", b""), ("etc/motd", b"hello"), ("var/lib/dpkg/status", &status(&[("libc6", "2.36")]))]),
        archive(&[("etc/`x`|y", b"odd"), ("etc/.wh.motd", b"")]),
    ];
    let runtime = json!({"Entrypoint": ["/bin/serve"], "Cmd": ["--all"], "Env": ["PASSWORD=s3cret"],
        "Labels": {"team": "@web `x`"}});
    let image = push(&registry, "base/a:1", &runtime, &layers).await.to_string();
    let home = tempfile::tempdir().unwrap();
    let inspect = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        let out = command.args(["image", "inspect", &image]).args(arguments).current_dir(home.path());
        let out = out.env("HOME", home.path()).env_remove("XDG_CACHE_HOME").output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let text = inspect(&["--files"]);
    assert!(text.lines().any(|line| line.starts_with("runs") && line.ends_with(" /bin/serve --all")), "{text}");
    assert!(text.contains("etc/`x`|y") && text.contains("var/lib/dpkg/status") && !text.contains("motd"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&inspect(&["--files", "--json"])).unwrap();
    assert_eq!((&json["entrypoint"][0], &json["command"][0]), (&"/bin/serve".into(), &"--all".into()));
    assert_eq!((&json["listed"]["count"], &json["listed"]["bytes"]), (&json["files"], &json["bytes"]), "{json}");
    assert!(!inspect(&["--json"]).contains("listed"));

    let markdown = inspect(&["--markdown", "--files", "--packages"]);
    assert!(
        markdown.contains("| runs | `/bin/serve --all` |") && markdown.contains("| `deb libc6` | `2.36` |"),
        "{markdown}"
    );
    assert!(markdown.contains("| variables | `PASSWORD` |") && !markdown.contains("s3cret"), "{markdown}");
    assert!(markdown.contains("etc/'x'¦y` (3 B)") && !markdown.contains("@web"), "{markdown}");
}

#[tokio::test]
async fn what_python_has_installed_says_more_than_what_was_locked() {
    let registry = RealRegistry::open().await;
    let locked = archive(&[("app/requirements.txt", b"flask==3.0.2\n"), ("app/poetry.lock", b"")]);
    let image = push(&registry, "base/locked:1", &json!({}), std::slice::from_ref(&locked)).await;
    let cache = Cache::new();
    assert_eq!(names(&read(&cache.reader(false), &image).await.unwrap().1), ["pypi flask 3.0.2"]);
    let installed = archive(&[(
        "venv/lib/python3.11/site-packages/Flask-3.0.3.dist-info/METADATA",
        b"Name: Flask\nVersion: 3.0.3\n",
    )]);
    let image = push(&registry, "base/installed:1", &json!({}), &[locked, installed]).await;
    assert_eq!(names(&read(&cache.reader(false), &image).await.unwrap().1), ["pypi Flask 3.0.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_a_mirror_falsifies_come_from_the_registry() {
    let own = RealRegistry::open().await;
    let layers = [
        archive(&[("var/lib/dpkg/status", &status(&[("libc6", "2.36")]))]),
        archive(&[("app/composer.lock", br#"{"packages":[{"name":"psr/log","version":"3.0.0"}],"packages-dev":[]}"#)]),
    ];
    let name = push(&own, "base/app:1", &json!({}), &layers).await;
    let falsified = layers.clone();
    let mirror = Liar::start(move |seen| {
        let asked = falsified.iter().find(|layer| seen.path().ends_with(Digest::of(layer).as_str()));
        // Both are on their way before either of them is found to be wrong.
        asked.map_or(Reply::status(404), |layer| Reply::status(200).body(&vec![0; layer.len()]).after(BOTH_ASKED))
    })
    .await;
    let mirrored = || {
        let at = Mirror { at: format!("{}/hub", mirror.host()), tags: false };
        Access::new(Duration::from_secs(5), [(own.host().to_owned(), at)].into())
    };
    let cache = Cache::new();
    let (image, contents) =
        read(&Reader::new(cache.0.path(), false, mirrored(), Arc::new(Silent)), &name).await.unwrap();
    assert_eq!(names(&contents), ["deb libc6 2.36", "composer psr/log 3.0.0"]);
    let asked = |mirror: &Liar| mirror.seen().iter().filter(|seen| seen.target.contains("/blobs/")).count();
    assert!(asked(&mirror) >= 2, "it was asked first");

    let before = asked(&mirror);
    let registry = Registry::of_user(own.host(), mirrored()).await.unwrap();
    let store = Store::open(cache.0.path()).unwrap();
    let fetch = image.layers.iter().map(|layer| store.fetch(&registry, "base/app", layer, &|_| {}));
    futures_util::future::try_join_all(fetch).await.unwrap();
    assert_eq!(asked(&mirror) - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_gone_on_with() {
    let (large, plain) = (vec![7; 100_000], status(&[("a", "1")]));
    let plain = archive(&[("var/lib/dpkg/status", &plain), ("x", &large)]);
    // With ranges, and without: then what is here already is read past.
    for ranges in [true, false] {
        let answer = move |seen: &Seen, layer: &[u8]| {
            let start =
                seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
            match start {
                Some(start) if ranges => {
                    let (start, end): (usize, usize) = (start, layer.len());
                    let range = format!("bytes {start}-{}/{end}", end - 1);
                    Reply::status(206).header("Content-Range", &range).body(&layer[start..])
                }
                Some(_) => Reply::status(200).body(layer),
                None => Reply::status(200).body(layer).cut_after(60_000),
            }
        };
        let (_liar, image) = serve(plain.clone(), None, answer).await;
        let (_, contents) = read(&Cache::new().reader(false), &image).await.unwrap();
        assert_eq!(names(&contents), ["deb a 1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_no_honest_builder_makes_are_refused() {
    let whole = |_: &Seen, layer: &[u8]| Reply::status(200).body(layer);
    let many = {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        for i in 0..1_000_000 {
            header.set_path(format!("f{i}")).unwrap();
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    };
    let bomb = {
        let mut header = tar::Header::new_gnu();
        header.set_path("zeros").unwrap();
        header.set_size(3 << 30);
        header.set_cksum();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(header.as_bytes()).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 3 << 30), &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    let escape = {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..13].copy_from_slice(b"../etc/passwd");
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let good = archive(&[("x", b"x")]);
    for (what, layer, class, told) in [
        ("a million entries", many, Class::Security, "more files"),
        ("a bomb", bomb, Class::Security, "unpacks to more"),
        ("a path that leads out", escape, Class::Security, "../etc/passwd"),
        ("bytes after the archive", [good.clone(), b"more".to_vec()].concat(), Class::Security, "follow the end"),
        ("bytes after gzip", [gzip(&good), b"more than that".to_vec()].concat(), Class::Security, "does not unpack"),
        ("a second archive", [gzip(&good), gzip(&good)].concat(), Class::Security, "follow the end"),
        ("half of gzip", gzip(&good)[..40].to_vec(), Class::Security, "end in the middle"),
        ("no archive", b"hello".to_vec(), Class::Security, "tar"),
        ("xz", b"\xfd7zXZ\0rest".to_vec(), Class::Config, "xz"),
    ] {
        let (_liar, image) = serve(layer, None, whole).await;
        let cache = Cache::new();
        let error = read(&cache.reader(false), &image).await.expect_err(what);
        assert_eq!((error.class(), cache.layers()), (class, 0), "{what}: {error}");
        assert!(error.to_string().contains(told) && error.to_string().contains("base/a:1"), "{what}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_are_compared_and_what_they_share_is_read_once() {
    let registry = RealRegistry::open().await;
    let base = gzip(&archive(&[
        ("etc/", b""),
        ("etc/motd", b"hello"),
        ("etc/old", b"x"),
        ("var/lib/dpkg/status", &status(&[("libc6", "2.36-1"), ("gone", "1")])),
    ]));
    let top = gzip(&archive(&[
        ("etc/.wh.old", b""),
        ("etc/motd", b"HELLO"),
        ("etc/new\x1b[31m", b"new"),
        ("var/lib/dpkg/status", &status(&[("libc6", "2.36-2"), ("evil\x1b[2J", "1")])),
    ]));
    let from = push(&registry, "base/a:1", &json!({"Env": ["A=1"], "User": "www"}), std::slice::from_ref(&base)).await;
    let to = push(&registry, "base/a:2", &json!({"Env": ["A=2"]}), &[base.clone(), top]).await;
    let cache = Cache::new();
    let reader = cache.reader(false);
    let (from, to) = (reader.image(&from, None).await.unwrap(), reader.image(&to, None).await.unwrap());
    let found = diff::of(&reader, &from, &to, Depth::Files).await.unwrap();
    assert_eq!(cache.layers(), 2);
    let document = serde_json::to_value(&found).unwrap();
    assert_eq!(document["packages"].as_array().unwrap().len(), 3, "{document}");
    assert_eq!(document["layers"]["shared"].as_array().unwrap().len(), 1);
    let files = &document["files"];
    assert_eq!(files["removed"]["named"][0]["path"], "etc/old");
    assert_eq!(files["added"]["named"][0]["path"], "etc/new\\u{1b}[31m");
    assert_eq!(files["changed"]["named"][0], json!({"path": "etc/motd", "size": 5, "what": ["contents"]}));
    assert!(!document.to_string().contains("\\u001b"), "no escape of an image's is left");
    assert!(diff::of(&reader, &from, &from, Depth::Files).await.unwrap().is_empty());

    // The same by the command, which needs neither the registry nor an engine any more.
    let (host, dir) = (registry.host().to_owned(), tempfile::tempdir().unwrap());
    let run = |arguments: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_onramp"))
            .args(arguments)
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .env("XDG_CACHE_HOME", dir.path().join("cache"))
            .env("ONRAMP_REGISTRY", &host)
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap().replace(&host, "REGISTRY");
        (out.status.code().unwrap(), text, String::from_utf8(out.stderr).unwrap())
    };
    let (code, text, errors) = run(&["image", "diff", "a:1", "a:2", "--files", "--exit-code"]);
    assert_eq!(code, 1, "{errors}");
    drop(registry);
    let (code, again, errors) = run(&["image", "diff", "a:1", "a:2", "--files", "--offline"]);
    assert_eq!((code, &again), (0, &text), "{errors}");
    let filters = vec![(r"[0-9a-f]{12}", "<digest>"), (r"\d+ B\b", "<bytes>")];
    insta::with_settings!({filters => filters}, {
        insta::assert_snapshot!(text, @r"
        Packages: 1 newer, 1 added, 1 removed. Layers: 1 shared, 1 new (<bytes>), 0 gone. Size: <bytes> now, <bytes> proposed.
        + deb  evil\u{1b}[2J  1
        - deb  gone           1
        ~ deb  libc6          2.36-1 -> 2.36-2  newer
        ~ user   www -> none
        ~ env A  1 -> 2
        + layer <digest> <bytes>
        files added: 1, <bytes>
        + etc/new\u{1b}[31m
        files removed: 1, <bytes>
        - etc/old
        files changed: 2, <bytes>
        ~ etc/motd (contents)
        ~ var/lib/dpkg/status (contents)
        ");
        insta::assert_snapshot!(run(&["image", "diff", "a:1", "a:2", "--markdown", "--offline"]).1, @r"
        Packages: 1 newer, 1 added, 1 removed. Layers: 1 shared, 1 new (<bytes>), 0 gone. Size: <bytes> now, <bytes> proposed.

        | package | | now | proposed |
        |---|---|---|---|
        | `deb evil\u{1b}[2J` | added |  | `1` |
        | `deb gone` | removed | `1` |  |
        | `deb libc6` | newer | `2.36-1` | `2.36-2` |

        - user: `www` now, none proposed
        - variable `A` changed
        ");
        let inspected = run(&["image", "inspect", "a:2", "--packages", "--offline"]).1;
        let told: Vec<&str> = inspected.lines().filter(|line| !line.starts_with("digest") && !line.starts_with("  ")).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        image      REGISTRY/base/a:2
        platforms  linux/amd64
        shown      linux/amd64
        created    unknown
        size       <bytes> in 2 layers
        unpacked   <bytes> in 7 files
        runs
        user       root
        ports
        env        A=2
        layer      <digest> <bytes>
        layer      <digest> <bytes>
        packages   2 deb
        ");
        assert!(inspected.contains("what the tag meant on 20"), "{inspected}");
        assert!(inspected.ends_with("  deb  evil\\u{1b}[2J  1       amd64\n  deb  libc6          2.36-2  amd64\n"), "{inspected}");
    });
    let (code, same, _) = run(&["image", "diff", "a:1", "a:1", "--exit-code", "--offline"]);
    assert_eq!((code, same.as_str()), (0, "Nothing differs in them.\n"));
}
