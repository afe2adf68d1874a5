//! `onramp image pull` from a registry that lies and stumbles: the right class, the image's name, the next command, nothing
//! kept that was not verified, and the lock as it was.

#[path = "it/full_disk.rs"]
mod full_disk;
mod registry_parts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use full_disk::SmallDisk;
use futures_util::stream::{self, StreamExt};
use onramp::engine::{Address, Engine};
use onramp::reference::Digest;
use registry_parts::engine::OwnEngine;
use registry_parts::front::{Authority, Proxy, tls};
use registry_parts::liar::{Liar, Reply, Seen};
use registry_parts::real::{RealRegistry, Sample, config_of, gzipped, index_of};
use serde_json::{Value, json};

/// How many cases run at once: each is a program, a registry, and the engine.
const AT_ONCE: usize = 4;
/// What a registry in a company is called.
const NAME: &str = "registry.acme.test";

/// A project that runs two images of a registry, and whose lock knows the first one alone: a pull would write it.
struct Shop {
    dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Shop {
    fn new(host: &str, digest: &Digest) -> Self {
        let shop = Self { dir: tempfile::tempdir().unwrap(), variables: Vec::new() };
        let [locked, added] = ["base/db:1", "base/cache:1"].map(|image| format!("{host}/{image}"));
        let manifest = format!(
            "schema = 1\nname = \"shop\"\n[services.db]\nfallback = \"{locked}\"\n[services.cache]\nfallback = \"{added}\"\n"
        );
        std::fs::write(shop.dir.path().join("onramp.toml"), manifest).unwrap();
        let lock = format!(
            "schema = 1\n\n[images.\"{locked}\"]\ndigest = \"{digest}\"\n[images.\"{locked}\".platforms]\n\"linux/amd64\" = \"{digest}\"\n"
        );
        std::fs::write(shop.lock(), lock).unwrap();
        shop
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn lock(&self) -> PathBuf {
        self.dir.path().join("onramp.lock")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache/onramp")
    }

    async fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let home = self.dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        command
            .args(["--json", "--timeout", "3s"])
            .args(arguments)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let out = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let json =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
        (out.status.code().unwrap(), json)
    }

    /// A pull that must end badly, and its error: in this class, with these words, the image's name and this next command;
    /// what is kept is what its name says, and the lock is as it was.
    async fn fails(&self, case: &str, class: &str, told: &str, next: &str) -> Value {
        let before = std::fs::read(self.lock()).unwrap();
        let (code, json) = self.run(&["image", "pull"]).await;
        let error = json["error"].clone();
        assert!(code != 0 && error["class"] == class, "{case}: {json}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(told), "{case}: {json}");
        assert!(message.contains("base/db") || message.contains("base/cache"), "{case}: it names the image: {json}");
        assert!(error["next"][0].as_str().is_some_and(|first| first.starts_with(next)), "{case}: {json}");
        self.keeps_only_what_is_right(case);
        assert!(std::fs::read(self.lock()).unwrap() == before, "{case}: the lock changed");
        error
    }

    fn keeps_only_what_is_right(&self, case: &str) {
        for place in ["blobs", "documents"] {
            for name in names(&self.cache().join(place)).into_iter().filter(|name| !name.contains('.')) {
                let bytes = std::fs::read(self.cache().join(place).join(&name)).unwrap();
                assert_eq!(Digest::of(&bytes).hex(), name, "{case}: {place}");
            }
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn engine() -> Engine {
    Engine::connect(&Address::find(|name| std::env::var(name).ok()).unwrap())
        .await
        .expect("these tests need an engine: run scripts/setup")
}

/// An image as a registry has it.
struct Served {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Served {
    fn of(architecture: &'static str, content: &'static str) -> Self {
        let sample = Sample::new(architecture, content);
        Self { manifest: sample.manifest(), config: sample.config(), layer: sample.layer() }
    }

    /// The same image with another config.
    fn configured(mut self, config: &str) -> Self {
        let mut manifest: Value = serde_json::from_slice(&self.manifest).unwrap();
        self.config = config.as_bytes().to_vec();
        manifest["config"]["digest"] = Digest::of(&self.config).as_str().into();
        manifest["config"]["size"] = self.config.len().into();
        self.manifest = serde_json::to_vec(&manifest).unwrap();
        self
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    fn text(&self) -> String {
        String::from_utf8(self.manifest.clone()).unwrap()
    }

    /// As an honest registry answers.
    fn reply(&self, seen: &Seen) -> Reply {
        match seen.path() {
            path if path.contains("/manifests/") => Reply::manifest(&self.manifest),
            path if path.ends_with(Digest::of(&self.config).as_str()) => Reply::blob(seen, &self.config),
            path if path.ends_with(Digest::of(&self.layer).as_str()) => Reply::blob(seen, &self.layer),
            _ => Reply::status(404),
        }
    }

    fn is_layer(&self, seen: &Seen) -> bool {
        seen.path().ends_with(Digest::of(&self.layer).as_str())
    }
}

fn is_manifest(seen: &Seen) -> bool {
    seen.path().contains("/manifests/")
}

fn is_tag(seen: &Seen) -> bool {
    seen.path().ends_with("/manifests/1")
}

/// What a registry answers instead of the truth; none where it tells it. The last argument is its host.
type Fault = fn(&Seen, &Served, &str) -> Option<Reply>;

struct Case {
    name: &'static str,
    /// The image, of this content.
    image: fn(&'static str) -> Served,
    fault: Fault,
    class: &'static str,
    told: &'static str,
    next: &'static str,
}

fn case(name: &'static str, fault: Fault, class: &'static str, told: &'static str, next: &'static str) -> Case {
    Case { name, image: |content| Served::of("amd64", content), fault, class, told, next }
}

/// All cases, each against a registry and a project of its own.
async fn try_all(cases: Vec<Case>) {
    let engine = &engine().await;
    let one = |case: Case| async move {
        let Case { name, image, fault, class, told, next } = case;
        let served = image(name);
        let (digest, layer) = (served.digest(), Digest::of(&served.layer));
        let liar =
            Liar::start_with(move |seen, host| fault(seen, &served, host).unwrap_or_else(|| served.reply(seen))).await;
        let shop = Shop::new(&liar.host(), &digest);
        shop.fails(name, class, told, next).await;
        let kept = names(&shop.cache().join("blobs"));
        assert!(!kept.contains(&layer.hex().to_owned()), "{name}: {kept:?}");
        assert!(class != "SECURITY" || kept.iter().all(|kept| !kept.starts_with(layer.hex())), "{name}: {kept:?}");
        for image in ["base/db:1", "base/cache:1"] {
            let held = engine.image(&liar.image(image).at(digest.clone()).to_string()).await.unwrap();
            assert_eq!(held, None, "{name}: the engine has it");
        }
    };
    stream::iter(cases).map(one).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// A fault of the layer alone.
fn layer(seen: &Seen, served: &Served, reply: impl FnOnce(&[u8]) -> Reply) -> Option<Reply> {
    served.is_layer(seen).then(|| reply(&served.layer))
}

/// Another document where the tag's is asked for.
fn tagged(seen: &Seen, served: &Served, change: impl FnOnce(String) -> String) -> Option<Reply> {
    is_tag(seen).then(|| Reply::status(200).body(change(served.text()).as_bytes()))
}

/// The manifest with something more in it.
fn with(text: &str, more: &str) -> String {
    format!("{},{more}}}", &text[..text.len() - 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_does_not_come_right_is_told_with_its_image_and_leaves_nothing_behind() {
    let again = "onramp image pull";
    try_all(vec![
        case(
            "a flipped byte",
            |seen, served, _| {
                layer(seen, served, |bytes| {
                    let mut bytes = bytes.to_vec();
                    bytes[600] ^= 1;
                    Reply::status(200).body(&bytes)
                })
            },
            "SECURITY",
            "with other bytes",
            "onramp doctor",
        ),
        case(
            "a body that ends early",
            |seen, served, _| layer(seen, served, |bytes| Reply::status(200).body(&bytes[..bytes.len() / 2])),
            "NET",
            "answered blob",
            again,
        ),
        case(
            "a reset at 60 % each time",
            |seen, served, _| {
                layer(seen, served, |bytes| Reply::status(200).body(bytes).cut_after(bytes.len() * 6 / 10))
            },
            "NET",
            "of base/",
            again,
        ),
        case(
            "a stall",
            |seen, served, _| {
                layer(seen, served, |bytes| Reply::status(200).body(bytes).hold_after(bytes.len() * 6 / 10))
            },
            "NET",
            "of base/",
            again,
        ),
        case(
            "bytes after the layer",
            |seen, served, _| layer(seen, served, |bytes| Reply::status(200).body(&[bytes, b"more"].concat())),
            "SECURITY",
            "with more than",
            "onramp doctor",
        ),
        case(
            "a body without end",
            |seen, served, _| layer(seen, served, |bytes| Reply::status(200).body(&vec![0; bytes.len()]).endless()),
            "SECURITY",
            "answered blob",
            "onramp doctor",
        ),
        case(
            "a layer that is not there",
            |seen, served, _| layer(seen, served, |_| Reply::status(404)),
            "CONFIG",
            "has no blob",
            "onramp image list",
        ),
        case(
            "a layer beside the network's way in",
            |seen, served, _| {
                layer(seen, served, |_| Reply::status(302).header("Location", "http://169.254.169.254/latest"))
            },
            "SECURITY",
            "sends onramp to http://169.254.169.254/latest",
            "onramp doctor",
        ),
        case(
            "a layer on another host without https",
            |seen, served, _| layer(seen, served, |_| Reply::status(307).header("Location", "http://cdn.acme.test/x")),
            "SECURITY",
            "it is not https",
            "onramp doctor",
        ),
        case(
            "a busy registry",
            |seen, served, _| layer(seen, served, |_| Reply::status(429).header("Retry-After", "0")),
            "NET",
            "429 Too Many Requests",
            again,
        ),
        case(
            "a token that is refused in the middle",
            |seen, served, host| match seen.path() {
                "/token" => Some(Reply::json(r#"{"token":"t"}"#)),
                _ if served.is_layer(seen) || seen.header("authorization").is_none() => {
                    let realm = format!(r#"Bearer realm="http://{host}/token",service="reg""#);
                    Some(Reply::status(401).header("WWW-Authenticate", &realm))
                }
                _ => None,
            },
            "AUTH",
            "401 Unauthorized",
            "docker login 127.0.0.1:",
        ),
    ])
    .await;
}

#[expect(clippy::too_many_lines, reason = "a table of what can be wrong with documents")]
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_lies_is_told_with_its_image_and_nothing_is_fetched_for_it() {
    let doctor = "onramp doctor";
    let wrong = |name, fault: Fault, told| case(name, fault, "SECURITY", told, doctor);
    let nonsense = |name, fault: Fault, told| case(name, fault, "NET", told, doctor);
    let mut cases = vec![
        wrong(
            "another manifest than the lock's",
            |seen, served, _| {
                let other = Reply::manifest(with(&served.text(), r#""annotations":{}"#).as_bytes());
                seen.path().ends_with(served.digest().as_str()).then_some(other)
            },
            "with other bytes: expected sha256:",
        ),
        wrong(
            "another manifest than it claims",
            |seen, served, _| {
                let claim = Digest::of(b"another").to_string();
                is_tag(seen).then(|| Reply::manifest(&served.manifest).header("Docker-Content-Digest", &claim))
            },
            "with other bytes: expected sha256:",
        ),
        wrong(
            "another config than the manifest's",
            |seen, served, _| {
                let path = seen.path();
                path.ends_with(Digest::of(&served.config).as_str()).then(|| Reply::status(200).body(b"{}"))
            },
            "with other bytes: expected sha256:",
        ),
        wrong(
            "a manifest without end",
            |seen, _, _| is_manifest(seen).then(|| Reply::json(&" ".repeat(65_536)).endless()),
            "with more than 4",
        ),
        wrong(
            "an index and an image at once",
            |seen, served, _| tagged(seen, served, |text| with(&text, r#""manifests":[]"#)),
            "it is an index and an image at once",
        ),
        wrong(
            "a key that stands twice",
            |seen, served, _| tagged(seen, served, |text| with(&text, r#""config":{}"#)),
            "stands twice in one object",
        ),
        wrong(
            "a key in other letters",
            |seen, served, _| tagged(seen, served, |text| with(&text, r#""Layers":[]"#)),
            "could be taken for `layers`",
        ),
        wrong(
            "layers elsewhere",
            |seen, served, _| {
                tagged(seen, served, |text| text.replace("\"size\":", "\"urls\":[\"https://evil.test/\"],\"size\":"))
            },
            "it names places outside of the registry",
        ),
        wrong(
            "100,000 brackets",
            |seen, served, _| tagged(seen, served, |_| "[".repeat(100_000)),
            "it is nested more than 32 times",
        ),
        wrong(
            "an index that says another size",
            |seen, served, _| {
                let index = index_of(&[("amd64", &served.digest(), served.manifest.len() + 1)]);
                let asked = is_tag(seen) || seen.path().ends_with(Digest::of(&index).as_str());
                asked.then(|| Reply::status(200).body(&index))
            },
            "its index says that",
        ),
        nonsense(
            "an index in an index",
            |seen, served, _| {
                let inner = index_of(&[("amd64", &served.digest(), served.manifest.len())]);
                let outer = index_of(&[("amd64", &Digest::of(&inner), inner.len())]);
                let asked = |document: &[u8]| seen.path().ends_with(Digest::of(document).as_str());
                match () {
                    () if is_tag(seen) || asked(&outer) => Some(Reply::status(200).body(&outer)),
                    () if asked(&inner) => Some(Reply::status(200).body(&inner)),
                    () => None,
                }
            },
            "an index inside an index",
        ),
        nonsense(
            "a redirected manifest",
            |seen, _, _| is_tag(seen).then(|| Reply::status(302).header("Location", "https://cdn.acme.test/x")),
            "it redirects what must not lie elsewhere",
        ),
        nonsense("a manifest that is none", |seen, served, _| tagged(seen, served, |_| String::new()), "EOF"),
        nonsense(
            "a manifest that breaks off at 60 %",
            |seen, served, _| {
                is_manifest(seen).then(|| Reply::manifest(&served.manifest).cut_after(served.manifest.len() * 6 / 10))
            },
            "cannot reach the registry",
        ),
        nonsense(
            "a manifest that stands still",
            |seen, served, _| is_manifest(seen).then(|| Reply::manifest(&served.manifest).hold_after(100)),
            "did not answer image base/",
        ),
        nonsense("a registry that is gone", |_, _, _| Some(Reply::silence()), "cannot reach the registry"),
        case(
            "never content",
            |seen, _, host| {
                let realm = format!(r#"Bearer realm="http://{host}/token",service="reg""#);
                Some(match seen.path() {
                    "/token" => Reply::json(r#"{"token":"t"}"#),
                    _ => Reply::status(401).header("WWW-Authenticate", &realm),
                })
            },
            "AUTH",
            "refused image base/",
            "docker login 127.0.0.1:",
        ),
        wrong(
            "a token service at another host's address",
            |_, _, _| {
                let realm = r#"Bearer realm="https://93.184.216.34/token",service="reg""#;
                Some(Reply::status(401).header("WWW-Authenticate", realm))
            },
            "it is the address of another host",
        ),
        Case {
            image: |content| Served::of("s390x", content),
            ..case(
                "another machine's alone",
                |_, _, _| None,
                "CONFIG",
                "is there for linux/s390x",
                "onramp image inspect",
            )
        },
    ];
    // What one reader takes for the layers of the config, and another one does not.
    for (name, image, told) in [
        (
            "a config with a key twice",
            (|content| {
                let served = Served::of("amd64", content);
                let text = with(std::str::from_utf8(&served.config).unwrap(), r#""os":"linux""#);
                served.configured(&text)
            }) as fn(&'static str) -> Served,
            "stands twice in one object",
        ),
        (
            "a config with a key in other letters",
            |content| {
                let served = Served::of("amd64", content);
                let text = with(std::str::from_utf8(&served.config).unwrap(), r#""RootFS":{}"#);
                served.configured(&text)
            },
            "could be taken for `rootfs`",
        ),
    ] {
        cases.push(Case { image, ..wrong(name, |_, _, _| None, told) });
    }
    // Digests that are none, one way and another.
    let digests: [(&str, Fault); 4] = [
        ("a digest that leads out", |seen, served, _| {
            tagged(seen, served, |text| text.replace("sha256:", "sha256:../"))
        }),
        ("a digest of another kind", |seen, served, _| tagged(seen, served, |text| text.replace("sha256:", "md5:"))),
        ("a digest in capitals", |seen, served, _| tagged(seen, served, |text| text.replace("sha256:", "SHA256:"))),
        ("a digest that is too short", |seen, served, _| {
            tagged(seen, served, |text| text.replace(&Digest::of(&served.layer).hex()[1..], ""))
        }),
    ];
    cases.extend(digests.map(|(name, fault)| nonsense(name, fault, "digest")));
    try_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_busy_registry_asks_to_wait_the_image_is_named_in_time() {
    fn busy(seen: &Seen, asked: &str) -> Option<Reply> {
        is_manifest(seen).then(|| Reply::status(429).header("Retry-After", asked))
    }
    let now: [(&str, Fault); 6] = [
        ("0", |seen, _, _| busy(seen, "0")),
        ("soon", |seen, _, _| busy(seen, "soon")),
        ("-5", |seen, _, _| busy(seen, "-5")),
        ("of 1994, as today", |seen, _, _| busy(seen, "Sun, 06 Nov 1994 08:49:37 GMT")),
        ("of 1994, as in RFC 850", |seen, _, _| busy(seen, "Sunday, 06-Nov-94 08:49:37 GMT")),
        ("of 1994, as in C", |seen, _, _| busy(seen, "Sun Nov  6 08:49:37 1994")),
    ];
    let later: [(&str, Fault); 4] = [
        ("3600", |seen, _, _| busy(seen, "3600")),
        ("of 2090, as today", |seen, _, _| busy(seen, "Mon, 06 Nov 2090 08:49:37 GMT")),
        ("of 2060, as in RFC 850", |seen, _, _| busy(seen, "Saturday, 06-Nov-60 08:49:37 GMT")),
        ("of 2090, as in C", |seen, _, _| busy(seen, "Mon Nov  6 08:49:37 2090")),
    ];
    let net = |name, fault, told| case(name, fault, "NET", told, "onramp doctor");
    let cases = now.map(|(name, fault)| net(name, fault, "429 Too Many Requests"));
    let later = later.map(|(name, fault)| {
        net(name, fault, "answered image base/cache:1 wrongly: 429 Too Many Requests; it asks to wait ")
    });
    try_all(cases.into_iter().chain(later).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_prove_itself_is_told_with_the_image() {
    let authority = Authority::new();
    let (real, sample) = (RealRegistry::open().await, Sample::new("amd64", "behind TLS"));
    for path in ["base/db", "base/cache"] {
        real.push(path, "1", &sample).await;
    }
    let digest = Digest::of(&sample.manifest());
    let evil = format!("{NAME}.evil.test");
    for (case, host, name, year, known, told) in [
        ("an unknown authority", NAME, NAME, 2090, false, "does not prove that it is itself"),
        ("a certificate that ran out", NAME, NAME, 2021, true, "xpired"),
        ("a certificate of another name", NAME, "other.acme.test", 2090, true, "not valid for name"),
        ("a name that looks alike", evil.as_str(), NAME, 2090, true, "not valid for name"),
    ] {
        let server = tls(&authority.certify(name, year), real.host(), None).await;
        let shop = Shop::new(host, &digest).with("HTTPS_PROXY", Proxy::start(&server).await.url());
        if known {
            let place = shop.dir.path().join(".docker/certs.d").join(host);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("ca.crt"), authority.pem()).unwrap();
        }
        shop.fails(case, "SECURITY", told, "onramp doctor").await;
        assert_eq!(names(&shop.cache().join("blobs")), Vec::<String>::new(), "{case}");
    }
    // A name in letters that look like others is no name.
    for host in ["reg\u{456}stry.acme.test", "registry\u{3002}acme.test", "127.0.0.1:5000\u{200b}"] {
        let shop = Shop::new("127.0.0.1:1", &digest);
        let project = shop.dir.path().join("onramp.toml");
        let text =
            std::fs::read_to_string(&project).unwrap().replace("127.0.0.1:1/base/cache", &format!("{host}/base/cache"));
        std::fs::write(&project, text).unwrap();
        let before = std::fs::read(shop.lock()).unwrap();
        let (code, json) = shop.run(&["image", "pull"]).await;
        assert_eq!((code, &json["error"]["class"]), (3, &"CONFIG".into()), "{json}");
        let message = json["error"]["message"].as_str().unwrap();
        assert!(message.contains("onramp.toml") && message.contains("base/cache:1"), "{json}");
        assert!(std::fs::read(shop.lock()).unwrap() == before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_named_with_the_image_and_no_other_one_is_asked() {
    let down = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let proxy = Proxy::start("127.0.0.1:1").await;
    let shop = Shop::new(&down, &Digest::of(b"x"))
        .with("ONRAMP_REGISTRY", down.clone())
        .with("HTTPS_PROXY", proxy.url())
        .with("HTTP_PROXY", proxy.url());
    let error = shop.fails("down", "NET", "cannot reach the registry", "onramp doctor").await;
    assert!(error["message"].as_str().unwrap().contains(&down), "{error}");
    // The same by the image's short name.
    let before = std::fs::read(shop.lock()).unwrap();
    let (code, json) = shop.run(&["image", "pull", "db:1"]).await;
    assert_eq!((code, &json["error"]["class"]), (6, &"NET".into()), "{json}");
    let message = json["error"]["message"].as_str().unwrap();
    assert!(message.contains(&down) && message.contains("image base/db:1"), "{json}");
    assert_eq!(json["error"]["next"][0], "onramp doctor");
    assert!(std::fs::read(shop.lock()).unwrap() == before);
    assert_eq!(proxy.asked(), Vec::<String>::new(), "nobody else was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn bits_that_flipped_in_the_cache_are_never_given_to_the_engine() {
    let served = Served::of("amd64", "flipped in the cache");
    let (digest, layer) = (served.digest(), Digest::of(&served.layer));
    let mut flipped = served.layer.clone();
    flipped[600] ^= 1;
    let gone = Arc::new(AtomicBool::new(true));
    let is_gone = gone.clone();
    let liar = Liar::start(move |seen| {
        if is_gone.load(Ordering::SeqCst) && served.is_layer(seen) { Reply::status(404) } else { served.reply(seen) }
    })
    .await;
    let shop = Shop::new(&liar.host(), &digest);
    let blob = shop.cache().join("blobs").join(layer.hex());
    std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
    std::fs::write(&blob, &flipped).unwrap();
    // It is no layer any more, and there is no other one.
    shop.fails("flipped in the cache", "CONFIG", "has no blob", "onramp image list").await;
    assert!(!blob.exists());
    std::fs::write(&blob, &flipped).unwrap();
    gone.store(false, Ordering::SeqCst);
    let (code, json) = shop.run(&["image", "pull"]).await;
    assert_eq!(code, 0, "{json}");
    assert_eq!(Digest::of(&std::fs::read(&blob).unwrap()), layer);
    let engine = engine().await;
    for image in ["base/db:1", "base/cache:1"] {
        engine.untag(&liar.image(image).at(digest.clone()).to_string()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out_and_ranges_that_are_ignored_do_not_stop_a_pull() {
    let content: &'static str = Box::leak("0123456789abcdef".repeat(600_000).into_boxed_str());
    let served = Served::of("amd64", content);
    let digest = served.digest();
    let refused = AtomicBool::new(false);
    let liar = Liar::start_with(move |seen, host| {
        let realm = format!(r#"Bearer realm="http://{host}/token",service="reg""#);
        let again = || Reply::status(401).header("WWW-Authenticate", &realm);
        match seen.path() {
            "/token" => Reply::json(r#"{"token":"t","expires_in":3600}"#),
            _ if seen.header("authorization").is_none() => again(),
            // The token ran out just before the layer, and another one is taken; ranges it knows nothing of.
            _ if served.is_layer(seen) && !refused.swap(true, Ordering::SeqCst) => again(),
            _ if served.is_layer(seen) => Reply::status(200).body(&served.layer),
            _ => served.reply(seen),
        }
    })
    .await;
    let shop = Shop::new(&liar.host(), &digest);
    let (code, json) = shop.run(&["image", "pull"]).await;
    assert_eq!(code, 0, "{json}");
    let engine = engine().await;
    for image in ["base/db:1", "base/cache:1"] {
        assert!(engine.untag(&liar.image(image).at(digest.clone()).to_string()).await.unwrap());
    }
}

/// A layer with one file.
fn archive(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, contents).unwrap();
    builder.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_gets_full_in_the_middle_is_told_with_the_image() {
    let place = tempfile::tempdir().unwrap();
    let small = place.path().join("cache");
    let Some(_disk) = SmallDisk::mount(&small, "80m") else { return };
    // More layers than are begun at once. The engine has nothing to say of them: those that are whole before the disk is full, it takes.
    let layers: Vec<Vec<u8>> =
        (0..12).map(|number| archive(&format!("file-{number}"), &vec![number; 1_000_000])).collect();
    let digests: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = config_of(&digests);
    let descriptor = |kind: &str, bytes: &[u8]| {
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": kind, "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
    };
    let manifest = json!({
        "schemaVersion": 2, "config": descriptor("config.v1+json", &config),
        "layers": layers.iter().map(|layer| descriptor("layer.v1.tar", layer)).collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let digest = Digest::of(&manifest);
    let others = small.join("others");
    let liar = Liar::start(move |seen| {
        let asked = seen.path().rsplit('/').next().unwrap();
        match layers.iter().find(|layer| Digest::of(layer).as_str() == asked) {
            Some(layer) => {
                // Another program takes all that there is.
                let mut file = std::fs::File::create(&others).unwrap();
                while std::io::Write::write_all(&mut file, layer).is_ok() {}
                Reply::blob(seen, layer)
            }
            None if Digest::of(&config).as_str() == asked => Reply::blob(seen, &config),
            None => Reply::manifest(&manifest),
        }
    })
    .await;
    let shop = Shop::new(&liar.host(), &digest).with("XDG_CACHE_HOME", small.to_str().unwrap());
    shop.fails("a full disk", "IO", "cannot write", "onramp image prune").await;
    for name in names(&small.join("onramp/blobs")).into_iter().filter(|name| !name.contains('.')) {
        let bytes = std::fs::read(small.join("onramp/blobs").join(&name)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_disk_gets_full_is_told_with_the_image_and_where_it_keeps_images() {
    let place = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(place.path(), "120m") else { return };
    let own = OwnEngine::start_in(place.path()).await;
    let registry = RealRegistry::open().await;
    // Packed it is small: whether it fits, only unpacking tells.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(300_000_000);
    header.set_mode(0o644);
    tar.append_data(&mut header, "zeros", std::io::Read::take(std::io::repeat(0), 300_000_000)).unwrap();
    let layers = [tar.into_inner().unwrap()];
    let digest = registry.push_layers("base/db", "1", &layers).await;
    registry.push_layers("base/cache", "1", &layers).await;
    let shop = Shop::new(registry.host(), &digest).with("DOCKER_HOST", own.host());
    let told = format!(" in {}/data: ", place.path().display());
    let error = shop.fails("the engine's disk", "IO", &told, "onramp image prune").await;
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("the engine has no room for") && !message.contains("onramp/"), "{error}");
    let engine = Engine::connect(&Address::of(&own.host(), None).unwrap()).await.unwrap();
    assert_eq!(engine.image(&registry.image("base/db:1").at(digest).to_string()).await.unwrap(), None);
    drop(own);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_holds_another_image_after_the_pull_is_not_believed() {
    let served = Served::of("amd64", "not what the engine holds");
    let digest = served.digest();
    let liar = Liar::start(move |seen| served.reply(seen)).await;
    let name = liar.image("base/db:1").at(digest.clone()).to_string();
    // An engine elsewhere, which says that it pulled, and has something else under the name.
    let other = Digest::of(b"another image").to_string();
    let held = json!({"Id": other, "RepoDigests": [name], "Os": "linux", "Architecture": "amd64", "Size": 1});
    let pulled = AtomicBool::new(false);
    let lying = Liar::start(move |seen| match (seen.method.as_str(), seen.path().rsplit('/').next().unwrap()) {
        (_, "_ping") => Reply::status(200).body(b"OK"),
        (_, "version") => Reply::json(r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#),
        (_, "info") => Reply::json(r#"{"OSType":"linux","Architecture":"x86_64","Driver":"overlay2"}"#),
        ("POST", "create") => {
            pulled.store(true, Ordering::SeqCst);
            Reply::json("{}")
        }
        ("GET", "json") if seen.path().ends_with("/images/json") => Reply::json("[]"),
        ("GET", "json") if pulled.load(Ordering::SeqCst) => Reply::json(&held.to_string()),
        _ => Reply::status(404).body(br#"{"message":"unknown"}"#),
    })
    .await;
    let shop = Shop::new(&liar.host(), &digest).with("DOCKER_HOST", format!("tcp://{}", lying.host()));
    let before = std::fs::read(shop.lock()).unwrap();
    let (code, json) = shop.run(&["image", "pull"]).await;
    let seen: Vec<String> = lying.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    assert_eq!((code, &json["error"]["class"]), (7, &"SECURITY".into()), "{json} {seen:#?}");
    let message = json["error"]["message"].as_str().unwrap();
    assert!(message.contains("the engine pulled") && message.contains("base/"), "{json}");
    assert!(json["error"]["next"][0].as_str().unwrap().starts_with("docker image inspect 127.0.0.1:"), "{json}");
    assert!(std::fs::read(shop.lock()).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_a_layers_archive_never_reach_a_container() {
    let registry = RealRegistry::open().await;
    // A layer that no earlier run left in the engine.
    let content = format!("and more behind it {}", Digest::of(registry.host().as_bytes()));
    let tar = Sample::new("amd64", Box::leak(content.into_boxed_str())).layer();
    let packed = [gzipped(&tar), b"more".to_vec()].concat();
    let layers = [(packed, Digest::of(&tar))];
    let digest = registry.push_packed("base/db", "1", &layers).await;
    registry.push_packed("base/cache", "1", &layers).await;
    let shop = Shop::new(registry.host(), &digest);
    let next = format!("onramp image inspect {}/base/", registry.host());
    shop.fails("after the archive", "SECURITY", "was not read", &next).await;
    let engine = engine().await;
    for image in ["base/db:1", "base/cache:1"] {
        assert_eq!(engine.image(&registry.image(image).at(digest.clone()).to_string()).await.unwrap(), None);
    }
}
