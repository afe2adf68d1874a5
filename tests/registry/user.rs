//! `onramp` as its user has it: docker's settings, certificates, the proxy, the operators' warnings.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use onramp::reference::Digest;
use tokio::process::Command;

use crate::registry_parts::front::{Authority, Proxy, tls};
use crate::registry_parts::liar::{Liar, Reply};
use crate::registry_parts::real::{RealRegistry, Sample};

/// What a company's registry is called.
const NAME: &str = "registry.acme.test";

/// A user's home.
struct User {
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// How a run ended.
#[derive(Debug)]
struct Outcome {
    code: i32,
    /// What it printed; a failure's class, message, hint and next commands are all in it.
    out: String,
    err: String,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn docker(&self) -> std::path::PathBuf {
        self.home.path().join(".docker")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.docker().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn inspect(&self, image: &str) -> Outcome {
        self.run(&["--timeout", "10s", "--json", "image", "inspect", image]).await
    }

    async fn run(&self, arguments: &[&str]) -> Outcome {
        let home: &Path = self.home.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        command.args(arguments).current_dir(home).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
        let out = command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { code: out.status.code().unwrap(), out: text(&out.stdout), err: text(&out.stderr) }
    }
}

/// A company's registry behind TLS and a proxy, with one image.
async fn company(authority: &Authority, name: &str, year: i32) -> (RealRegistry, Proxy) {
    let real = RealRegistry::open().await;
    real.push("base/php", "1", &Sample::new("amd64", "x")).await;
    let server = tls(&authority.certify(name, year), real.host(), None).await;
    (real, Proxy::start(&server).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_believed_where_docker_is_told_of_it() {
    let authority = Authority::new();
    let (_real, proxy) = company(&authority, NAME, 2090).await;
    let user = User::new().with("HTTPS_PROXY", proxy.url());
    let image = format!("{NAME}/base/php:1");

    let unknown = user.inspect(&image).await;
    assert_eq!(unknown.code, 7, "{unknown:?}");
    assert!(unknown.out.contains("SECURITY") && unknown.out.contains("image base/php:1"), "{unknown:?}");
    assert!(unknown.out.contains(&format!("/etc/docker/certs.d/{NAME}/ca.crt")), "{unknown:?}");
    assert!(unknown.out.contains("onramp doctor"), "{unknown:?}");

    // For another registry, or for another port, it says nothing.
    user.write("certs.d/other.acme.test/ca.crt", authority.pem());
    user.write(&format!("certs.d/{NAME}:5000/ca.crt"), authority.pem());
    assert_eq!(user.inspect(&image).await.code, 7);
    user.write(&format!("certs.d/{NAME}/ca.crt"), authority.pem());
    let known = user.inspect(&image).await;
    assert_eq!(known.code, 0, "{known:?}");
    assert_eq!(proxy.asked().last().unwrap(), &format!("CONNECT {NAME}:443 HTTP/1.1"));

    // The look-alike behind the same proxy has no certificate for its own name.
    let evil = user.inspect(&format!("{NAME}.evil.test/base/php:1")).await;
    assert_eq!(evil.code, 7, "{evil:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_authorities_come_from_where_the_system_says() {
    let authority = Authority::new();
    let (_real, proxy) = company(&authority, NAME, 2090).await;
    let user = User::new().with("https_proxy", proxy.url());
    let file = user.home.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let user = user.with("SSL_CERT_FILE", file.to_str().unwrap());
    let known = user.inspect(&format!("{NAME}/base/php:1")).await;
    assert_eq!(known.code, 0, "{known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ran_out_or_is_anothers_is_told_apart() {
    let authority = Authority::new();
    for (name, year, told) in [(NAME, 2021, "clock"), ("other.acme.test", 2090, "another server answers")] {
        let (_real, proxy) = company(&authority, name, year).await;
        let user = User::new().with("HTTPS_PROXY", proxy.url());
        user.write(&format!("certs.d/{NAME}/ca.crt"), authority.pem());
        let refused = user.inspect(&format!("{NAME}/base/php:1")).await;
        assert_eq!(refused.code, 7, "{refused:?}");
        assert!(refused.out.contains(told) && refused.out.contains("image base/php:1"), "{refused:?}");
        assert_eq!(proxy.asked().len(), 1, "it is not tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_certificate_is_shown_to_a_registry_that_asks() {
    let authority = Authority::new();
    let real = RealRegistry::open().await;
    real.push("base/php", "1", &Sample::new("amd64", "x")).await;
    let server = tls(&authority.certify(NAME, 2090), real.host(), Some(&authority)).await;
    let proxy = Proxy::start(&server).await;
    let user = User::new().with("HTTPS_PROXY", proxy.url());
    user.write(&format!("certs.d/{NAME}/ca.crt"), authority.pem());
    assert_eq!(user.inspect(&format!("{NAME}/base/php:1")).await.code, 6);
    let own = authority.certify("ann", 2090);
    user.write(&format!("certs.d/{NAME}/client.cert"), &own.pem);
    user.write(&format!("certs.d/{NAME}/client.key"), &own.key_pem);
    let let_in = user.inspect(&format!("{NAME}/base/php:1")).await;
    assert_eq!(let_in.code, 0, "{let_in:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_left_out_where_the_system_says_and_on_loopback() {
    let authority = Authority::new();
    let (real, proxy) = company(&authority, NAME, 2090).await;
    let user = User::new()
        .with("HTTPS_PROXY", proxy.url())
        .with("HTTP_PROXY", proxy.url())
        .with("ALL_PROXY", proxy.url())
        .with("NO_PROXY", ".acme.test");
    let direct = user.inspect(&format!("{NAME}/base/php:1")).await;
    assert_eq!(direct.code, 6, "nobody resolves that name here: {direct:?}");
    assert!(direct.out.contains("asks no other one instead"), "{direct:?}");
    assert_eq!(user.inspect(&real.image("base/php:1").to_string()).await.code, 0);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_s_settings_and_helpers_let_us_in() {
    let real = RealRegistry::private().await;
    let image = real.image("base/php:1").to_string();
    let user = User::new();
    let nobody = user.inspect(&image).await;
    assert!(nobody.code == 4 && nobody.out.contains(&format!("docker login {}", real.host())), "{nobody:?}");

    // 3 is that the image is not there: whoever hears that was let in.
    user.write("config.json", &format!(r#"{{"auths":{{"{}":{{"auth":"YW5uOnMzY3JldA=="}}}}}}"#, real.host()));
    assert_eq!(user.inspect(&image).await.code, 3);
    user.write("config.json", &format!(r#"{{"auths":{{"evil-{}":{{"auth":"YW5uOnMzY3JldA=="}}}}}}"#, real.host()));
    assert_eq!(user.inspect(&image).await.code, 4);

    user.write("config.json", &format!(r#"{{"credHelpers":{{"{}":"acme"}}}}"#, real.host()));
    let missing = user.inspect(&image).await;
    assert_eq!(missing.code, 4, "{missing:?}");
    assert!(missing.out.contains("docker-credential-acme, which is not there"), "{missing:?}");
    let helper = r#"#!/bin/sh
echo "{\"ServerURL\":\"$(cat)\",\"Username\":\"ann\",\"Secret\":\"s3cret\"}""#;
    user.write("docker-credential-acme", helper);
    let program = user.docker().join("docker-credential-acme");
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", user.docker().display());
    let user = user.with("PATH", path);
    let asked = user.inspect(&image).await;
    assert_eq!(asked.code, 3, "{asked:?}");
    assert!(!asked.out.contains("s3cret") && !asked.err.contains("s3cret"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registrys_operators_say_is_shown_once() {
    let sample = Sample::new("amd64", "x");
    let (manifest, config, layer) = (sample.manifest(), sample.config(), sample.layer());
    let at = format!("/v2/base/php/blobs/{}", Digest::of(&layer));
    let liar = Liar::start(move |seen| {
        let reply = match seen.path() {
            place if place == at => Reply::blob(seen, &layer),
            place if place.contains("/manifests/") => Reply::manifest(&manifest),
            _ => Reply::blob(seen, &config),
        };
        reply.header("Warning", "299 - \"base/php:1 ends on 2027-01-01\u{202e}\"").header("Warning", "110 - \"stale\"")
    })
    .await;
    let user = User::new();
    let image = liar.image("base/php:1").to_string();
    let shown = user.run(&["image", "inspect", &image]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let told = format!("the registry {} says: base/php:1 ends on 2027-01-01", liar.host());
    assert_eq!(shown.err.matches(&told).count(), 1, "{shown:?}");
    assert!(!shown.err.contains('\u{202e}') && !shown.err.contains("stale"), "{shown:?}");
    assert_eq!(user.run(&["-q", "image", "inspect", &image]).await.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_never_replaced_by_another() {
    let down = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let proxy = Proxy::start("127.0.0.1:1").await;
    let user = User::new().with("ONRAMP_REGISTRY", down.clone()).with("HTTPS_PROXY", proxy.url());
    let outcome = user.inspect("php:1").await;
    assert_eq!(outcome.code, 6, "{outcome:?}");
    assert!(outcome.out.contains(&down) && outcome.out.contains("base/php:1"), "{outcome:?}");
    assert_eq!(proxy.asked(), Vec::<String>::new(), "nobody else was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrys_credentials_never_go_to_its_mirror() {
    let real = RealRegistry::private().await;
    for challenge in ["Basic realm=\"Registry\"", "Bearer realm=\"http://127.0.0.1/token\",service=\"registry\""] {
        let mirror = Liar::start(move |_| Reply::status(401).header("WWW-Authenticate", challenge)).await;
        let user = User::new();
        user.write("config.json", &format!(r#"{{"auths":{{"{}":{{"auth":"YW5uOnMzY3JldA=="}}}}}}"#, real.host()));
        let settings = format!("schema = 1\n[mirrors.\"{}\"]\nat = \"{}\"\ntags = true\n", real.host(), mirror.host());
        user.write("../.config/onramp/settings.toml", &settings);
        // 3 is that the image is not there: the registry itself let us in.
        let asked = user.inspect(&real.image("base/php:1").to_string()).await;
        assert_eq!(asked.code, 3, "{asked:?}");
        let seen = mirror.seen();
        assert!(!seen.is_empty() && seen.iter().all(|seen| seen.header("authorization").is_none()), "{challenge}");
    }
}
