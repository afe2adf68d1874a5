//! `onramp image pull` and `prune` when things go wrong: killed, interrupted, for another machine, on an engine that goes
//! away in the middle.

mod registry_parts;

use std::process::{Child, Command, Output, Stdio};

use base64::Engine as _;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, RemoveVolumeOptions};
use onramp::engine::{Address, BuildSpec, Engine, label};
use onramp::images::build::TURN;
use onramp::reference::{Digest, ImageRef};
use onramp::turn::Turn;
use registry_parts::engine::OwnEngine;
use registry_parts::liar::{Liar, Reply};
use registry_parts::narrow::Narrow;
use registry_parts::real::{RealRegistry, Sample, config_of, gzipped};

/// How large a layer of the test images is.
const LAYER: usize = 12_000_000;

async fn engine() -> Engine {
    Engine::connect(&Address::find(|name| std::env::var(name).ok()).unwrap())
        .await
        .expect("these tests need an engine: run scripts/setup")
}

/// One user's machine: onramp's directories, and the way to the engine.
struct Machine {
    dir: tempfile::TempDir,
    engine: Option<String>,
}

impl Machine {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), engine: None }
    }

    fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state/onramp")
    }

    fn cache(&self) -> std::path::PathBuf {
        self.dir.path().join("cache/onramp")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.plainly(arguments);
        command.arg("--json");
        command
    }

    /// The same for people: with notes.
    fn plainly(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("XDG_CACHE_HOME", self.dir.path().join("cache"))
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(engine) = &self.engine {
            command.env("DOCKER_HOST", engine);
        }
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The exit code and the document. The runtime goes on serving what the command asks for.
    async fn run(&self, arguments: &[&str]) -> (i32, serde_json::Value) {
        let mut command = self.command(arguments);
        outcome(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    }
}

fn outcome(out: &Output) -> (i32, serde_json::Value) {
    let json = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("no document: {}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code().unwrap(), json)
}

async fn ended(child: Child) -> (i32, serde_json::Value) {
    outcome(&tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap())
}

/// A tar archive with one file, packed by bzip2 (base64), and the digest of it unpacked.
const BZIP2: &str = "QlpoOTFBWSZTWeJYSB8AAHD7gMmQAAFAAN2AACBuAJ4ACAggAFQ0kZMTEYEx6oJIpkaaAGTQfdTHQgwghCM+9ZDTlegQwYuU0gK5hHLoJ81U/2vS1DQgMi1zkkmCIgH4u5IpwoSHEsJA+A==";
const BZIP2_UNPACKED: &str = "sha256:7dcea46bf7bfb3e036f1db2c34ab6e4607f86579e3f6197a710bc06f391bee2a";

/// A layer that no two tests share, and that nothing packs.
fn layer(seed: u64) -> Vec<u8> {
    let seed = seed ^ u64::from(std::process::id()) << 32;
    let mut state = seed | 1;
    let mut content = Vec::with_capacity(LAYER);
    while content.len() < LAYER {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes());
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, format!("opt/{seed}"), content.as_slice()).unwrap();
    tar.into_inner().unwrap()
}

/// The id of an image of these layers.
fn id_of(layers: &[Vec<u8>]) -> String {
    let unpacked: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    Digest::of(&config_of(&unpacked)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_was_killed_goes_on_where_it_was() {
    let (machine, registry) = (Machine::new(), RealRegistry::open().await);
    let digest = registry.push_layers("base/big", "1", &[layer(1), layer(2)]).await;
    let total = 2 * LAYER as u64;
    let way = Narrow::start(registry.host(), total / 2).await;
    let image = way.image("base/big:1").at(digest.clone());
    let name = image.to_string();

    let mut first = machine.start(&["image", "pull", &name]);
    way.reached(total / 2).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let before = way.take_count();
    way.widen();
    let (code, json) = machine.run(&["image", "pull", &name]).await;
    assert_eq!(code, 0, "{json}");
    let after = way.take_count();
    assert!(before >= total / 2, "{before}");
    // What was on its way when it was killed is fetched again: less than a megabyte for each connection.
    assert!(after < total / 2 + 16 * 600_000, "{after} of {total} bytes at the second run");
    assert!(after < total * 9 / 10, "{after} of {total} bytes at the second run");

    let engine = engine().await;
    let facts = engine.image(&name).await.unwrap().unwrap();
    assert_eq!(facts.repo_digests, std::slice::from_ref(&name), "its true name, and no other");
    engine.untag(&name).await.unwrap();
    // All of it is in the cache: the registry is asked for the manifest and the config alone.
    let (code, json) = machine.run(&["image", "pull", &name]).await;
    assert_eq!((code, &json["fetch"]), (0, &0.into()), "{json}");
    assert!(way.take_count() < 50_000);
    engine.untag(&name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_the_engine_has_are_not_fetched_whoever_brought_them() {
    let registry = RealRegistry::open().await;
    let layers: Vec<Vec<u8>> = (7..11).map(layer).collect();
    let mut digests = Vec::new();
    for count in 2..=4 {
        digests.push(registry.push_layers("base/grown", &count.to_string(), &layers[..count]).await);
    }
    let way = Narrow::start(registry.host(), u64::MAX).await;
    let names: Vec<ImageRef> = digests.iter().map(|digest| way.image("base/grown:1").at(digest.clone())).collect();
    let engine = engine().await;
    // The lowest two come as the registry has them, the third one unpacked, from onramp: the fourth one needs neither again.
    engine.pull(&names[0], None, None, &mut |_| {}).await.unwrap();
    for (count, name) in [(3, &names[1]), (4, &names[2])] {
        way.take_count();
        // Without what another machine's cache would have.
        let (code, json) = Machine::new().run(&["image", "pull", &name.to_string()]).await;
        assert_eq!((code, &json["images"][0]["shared"]), (0, &(count - 1).into()), "{json}");
        let came = way.take_count();
        assert!(came > LAYER as u64 && came < LAYER as u64 * 3 / 2, "{came} bytes came for one layer");
        let facts = engine.image(&name.to_string()).await.unwrap().unwrap();
        assert_eq!(facts.id, id_of(&layers[..count]), "it is the image that its config says");
        assert_eq!(facts.repo_digests, [name.to_string()], "its true name, and no other");
    }
    for name in &names {
        engine.untag(&name.to_string()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_engine_can_unpack_it_takes_packed() {
    // An archive packed by bzip2, which no media type of layers names and the engine reads all the same.
    let packed = base64::engine::general_purpose::STANDARD.decode(BZIP2).unwrap();
    let unpacked: Digest = BZIP2_UNPACKED.parse().unwrap();
    let (machine, registry) = (Machine::new(), RealRegistry::open().await);
    let digest = registry.push_packed("base/odd", "1", &[(packed, unpacked.clone())]).await;
    let name = registry.image("base/odd:1").at(digest).to_string();
    let (code, json) = machine.run(&["image", "pull", &name]).await;
    assert_eq!(code, 0, "{json}");
    let engine = engine().await;
    let facts = engine.image(&name).await.unwrap().unwrap();
    assert_eq!(facts.id, Digest::of(&config_of(&[unpacked])).to_string());
    assert_eq!(facts.repo_digests, std::slice::from_ref(&name), "its true name, and no other");
    engine.untag(&name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_what_its_config_says_is_refused_in_every_form() {
    let (machine, registry) = (Machine::new(), RealRegistry::open().await);
    let (honest, other) = (layer(13), layer(14));
    let digest = registry.push_packed("base/liar", "1", &[(gzipped(&other), Digest::of(&honest))]).await;
    let name = registry.image("base/liar:1").at(digest.clone()).to_string();
    let (code, json) = machine.run(&["image", "pull", &name]).await;
    let error = &json["error"];
    assert_eq!((code, &error["class"]), (7, &"SECURITY".into()), "{json}");
    assert!(error["message"].as_str().unwrap().contains(&name), "{json}");
    assert_eq!(error["next"][0], format!("onramp image inspect {name}"));
    let engine = engine().await;
    assert_eq!(engine.image(&name).await.unwrap(), None);
    assert_eq!(engine.image(&id_of(&[honest])).await.unwrap(), None, "nor under any other name");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_pull_leaves_no_name_behind() {
    let (machine, registry) = (Machine::new(), RealRegistry::open().await);
    let layers = [layer(3), layer(4)];
    let digest = registry.push_layers("base/big", "1", &layers).await;
    let way = Narrow::start(registry.host(), LAYER as u64 / 2).await;
    let name = way.image("base/big:1").at(digest.clone()).to_string();
    let pull = machine.start(&["image", "pull", &name]);
    way.reached(LAYER as u64 / 2).await;
    let interrupt = rustix::process::Pid::from_raw(i32::try_from(pull.id()).unwrap()).unwrap();
    rustix::process::kill_process(interrupt, rustix::process::Signal::INT).unwrap();
    let (code, json) = ended(pull).await;
    assert_eq!((code, &json["error"]["class"]), (130, &"INTERRUPTED".into()));
    let records = std::fs::read_dir(machine.state().join("pulls")).unwrap().count();
    assert_eq!(records, 0, "nothing is left to put right");
    let engine = engine().await;
    assert_eq!(engine.image(&name).await.unwrap(), None);
    assert_eq!(engine.image(&id_of(&layers)).await.unwrap(), None, "nor under any other name");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_killed_pull_left_go_with_the_next_one() {
    let (machine, registry) = (Machine::new(), RealRegistry::open().await);
    let engine = engine().await;
    // As a killed pull leaves it: the engine knows the image by the name, the record tells it.
    let left = Sample::new("amd64", "left by a killed pull");
    let digest = registry.push("onramp/0123456789abcdef0123456789abcdef", "1", &left).await;
    let name = registry.image("onramp/0123456789abcdef0123456789abcdef:1").at(digest);
    engine.pull(&name, None, None, &mut |_| {}).await.unwrap();
    // A name that onramp does not make is never taken away, whatever a record says.
    let other = registry.push("base/other", "1", &Sample::new("amd64", "somebody else's")).await;
    let other = registry.image("base/other:1").at(other);
    engine.pull(&other, None, None, &mut |_| {}).await.unwrap();
    let records = machine.state().join("pulls");
    std::fs::create_dir_all(&records).unwrap();
    std::fs::write(records.join("x"), format!("{}\n{name}\n{other}\n127.0.0.1:1/onr", engine.host())).unwrap();

    let wanted = registry.push("base/a", "1", &Sample::new("amd64", "the next pull")).await;
    let wanted = registry.image("base/a:1").at(wanted);
    let (code, json) = machine.run(&["image", "pull", &wanted.to_string()]).await;
    assert_eq!(code, 0, "{json}");
    assert_eq!(engine.image(&name.to_string()).await.unwrap(), None);
    assert!(engine.image(&other.to_string()).await.unwrap().is_some());
    assert_eq!(std::fs::read_dir(&records).unwrap().count(), 0);
    for image in [wanted, other] {
        engine.untag(&image.to_string()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_another_machine_is_named_before_anything_is_pulled() {
    let (machine, registry) = (Machine::new(), RealRegistry::open().await);
    let foreign = Sample::new("s390x", "for a mainframe");
    let digest = registry.push("base/far", "1", &foreign).await;
    let alone = registry.image("base/far:1").at(digest.clone());
    let top = registry.put_index("base/far", "2", &[("s390x", &digest)]).await;
    let indexed = registry.image("base/far:2").at(top);
    for image in [&alone, &indexed] {
        let (code, json) = machine.run(&["image", "pull", &image.to_string()]).await;
        let message = json["error"]["message"].as_str().unwrap();
        assert_eq!(code, 3, "{json}");
        assert!(message.contains("linux/s390x") && message.contains(&image.to_string()), "{message}");
        let arguments = ["image", "pull", "--platform", "linux/s390x", &image.to_string()];
        let (code, json) = machine.run(&arguments).await;
        assert_eq!((code, &json["images"][0]["platform"]), (0, &"linux/s390x".into()), "{json}");
        let (code, json) = machine.run(&arguments).await;
        assert_eq!((code, &json["images"][0]["present"]), (0, &true.into()), "{json}");
        engine().await.untag(&image.to_string()).await.unwrap();
        let mut plainly = machine.plainly(&arguments);
        let out = tokio::task::spawn_blocking(move || plainly.output().unwrap()).await.unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(told.contains("base/far is for linux/s390x: "), "before it is pulled: {told}");
    }
    let engine = engine().await;
    for image in [alone, indexed] {
        engine.untag(&image.to_string()).await.unwrap();
    }
    let (code, _) = machine.run(&["image", "pull", "--platform", "mainframe", "x.test/a:1"]).await;
    assert_eq!(code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_the_engine_cannot_unpack_are_named_before_the_pull() {
    let engine = engine().await;
    let sample = Sample::new("amd64", "packed with zstd");
    let text = String::from_utf8(sample.manifest()).unwrap();
    let manifest = text.replace("layer.v1.tar", "layer.v1.tar+zstd").into_bytes();
    let digest = Digest::of(&manifest);
    let (config, layer) = (sample.config(), Digest::of(&sample.layer()));
    let liar = Liar::start(move |seen| match seen.path() {
        path if path.contains("/manifests/") => Reply::manifest(&manifest),
        path if path.ends_with(Digest::of(&config).as_str()) => Reply::status(200).body(&config),
        _ => Reply::status(404),
    })
    .await;
    let name = liar.image("base/a:1").at(digest).to_string();
    let (code, json) = Machine::new().run(&["image", "pull", &name]).await;
    if engine.reads_zstd().await.unwrap() {
        assert_eq!(code, 3, "the layer is not there: {json}");
    } else {
        let message = json["error"]["message"].as_str().unwrap();
        assert_eq!(code, 5, "{json}");
        assert!(message.contains("zstd") && message.contains(&name), "{message}");
        assert!(liar.seen().iter().all(|seen| !seen.target.contains(layer.hex())), "no layer was asked for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_restarted_in_the_middle_is_waited_for_and_fed_again() {
    let own = OwnEngine::start().await;
    let machine = Machine { engine: Some(own.host()), ..Machine::new() };
    let registry = RealRegistry::open().await;
    let digest = registry.push_layers("base/big", "1", &[layer(5), layer(6)]).await;
    let total = 2 * LAYER as u64;
    let way = Narrow::start(registry.host(), total * 7 / 10).await;
    let name = way.image("base/big:1").at(digest).to_string();
    let pull = machine.plainly(&["image", "pull", &name]).spawn().unwrap();
    way.reached(total * 7 / 10).await;
    let own = own.restart().await;
    way.widen();
    let out = tokio::task::spawn_blocking(move || pull.wait_with_output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && told.contains("went away") && told.contains("answers again"), "{told}");
    // What was fetched before came from the store.
    assert!(way.take_count() < total * 11 / 10);
    let engine = Engine::connect(&Address::of(&own.host(), None).unwrap()).await.unwrap();
    assert!(engine.image(&name).await.unwrap().is_some());
    assert_eq!(std::fs::read_dir(machine.state().join("pulls")).unwrap().count(), 0, "no name is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_stays_away_is_named_and_the_next_run_goes_on() {
    let mut own = OwnEngine::start().await;
    let machine = Machine { engine: Some(own.host()), ..Machine::new() };
    let registry = RealRegistry::open().await;
    let digest = registry.push_layers("base/big", "1", &[layer(7), layer(8)]).await;
    let total = 2 * LAYER as u64;
    let way = Narrow::start(registry.host(), total * 7 / 10).await;
    let name = way.image("base/big:1").at(digest).to_string();
    let project = format!("schema = 1\nname = \"shop\"\n[services.db]\nfallback = \"{}\"\n", way.image("base/big:1"));
    std::fs::write(machine.dir.path().join("onramp.toml"), project).unwrap();
    let lock = machine.dir.path().join("onramp.lock");
    let pull = machine.start(&["--timeout", "2s", "image", "pull"]);
    way.reached(total * 7 / 10).await;
    own.stop();
    // The fetching goes on meanwhile, so that it is the engine alone that is waited for.
    way.take_count();
    way.widen();
    let (code, json) = ended(pull).await;
    assert_eq!((code, &json["error"]["class"]), (5, &"ENV".into()), "{json}");
    let told = json["error"]["message"].as_str().unwrap();
    assert!(
        told.contains(&name) && !told.contains("/onramp/"),
        "by its own name, not by the one it was fed under: {told}"
    );
    assert_eq!(json["error"]["next"][0], "onramp doctor");
    assert!(!lock.exists(), "what was not pulled is not locked");
    let own = own.restart().await;
    let (code, json) = machine.run(&["image", "pull"]).await;
    assert!(code == 0 && lock.exists(), "{json}");
    let after = way.take_count();
    assert!(after < total * 6 / 10, "{after} of {total} bytes at the second run");
    drop(own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_no_disk_holds_does_not_begin() {
    let sample = Sample::new("amd64", "larger than any disk");
    let text = String::from_utf8(sample.manifest()).unwrap();
    let size = format!("\"size\":{}", sample.layer().len());
    let manifest = text.replace(&size, "\"size\":900000000000000000").into_bytes();
    let (digest, config) = (Digest::of(&manifest), sample.config());
    let liar = Liar::start(move |seen| match seen.path() {
        path if path.contains("/manifests/") => Reply::manifest(&manifest),
        path if path.ends_with(Digest::of(&config).as_str()) => Reply::status(200).body(&config),
        _ => Reply::status(404),
    })
    .await;
    let (code, json) = Machine::new().run(&["image", "pull", &liar.image("base/a:1").at(digest).to_string()]).await;
    assert_eq!((code, &json["error"]["class"]), (9, &"IO".into()), "{json}");
    assert!(json["error"]["message"].as_str().unwrap().contains("the pull of base/a needs"), "{json}");
    assert!(json["error"]["next"].as_array().unwrap().contains(&"onramp image prune".into()), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_onramp_pulled_and_nobody_needs_is_pruned() {
    // What others made on the usual engine is not this test's to take away.
    let own = OwnEngine::start().await;
    let machine = Machine { engine: Some(own.host()), ..Machine::new() };
    let engine = Engine::connect(&Address::of(&own.host(), None).unwrap()).await.unwrap();
    let registry = RealRegistry::open().await;
    let mut images: Vec<ImageRef> = Vec::new();
    for (path, content) in
        [("base/locked", "pruned not"), ("base/free", "pruned"), ("base/tagged", "tagged"), ("base/own", "by hand")]
    {
        let digest = registry.push(path, "1", &Sample::new("amd64", content)).await;
        images.push(registry.image(&format!("{path}:1")).at(digest));
    }
    let names: Vec<String> = images.iter().map(ToString::to_string).collect();
    let project = machine.dir.path().join("shop");
    std::fs::create_dir_all(&project).unwrap();
    let manifest =
        format!("schema = 1\nname = \"shop\"\n[services.db]\nfallback = \"{}\"\n", registry.image("base/locked:1"));
    std::fs::write(project.join("onramp.toml"), manifest).unwrap();
    let there = project.to_str().unwrap();
    assert_eq!(machine.run(&["-C", there, "image", "pull"]).await.0, 0);
    assert_eq!(machine.run(&["image", "pull", &names[1], &names[2]]).await.0, 0);
    let tag = format!("onramp-test-prune-{}", std::process::id());
    engine.tag(&names[2], &tag, "mine").await.unwrap();
    engine.pull(&images[3], None, None, &mut |_| {}).await.unwrap();
    let built = build_as_defined(&engine, &format!("{tag}:mine")).await;
    let user = use_image(&engine, &built).await;
    assert!(!engine.untag(&built).await.unwrap(), "it is in use");
    let (code, plan) = machine.run(&["image", "prune", "--dry-run"]).await;
    assert_eq!((code, &plan["kept"]), (0, &3.into()), "{plan}");
    user.0.remove_container(&user.1, None::<RemoveContainerOptions>).await.unwrap();

    let (code, plan) = machine.run(&["image", "prune", "--dry-run"]).await;
    let doomed: Vec<&str> = plan["images"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect();
    assert_eq!((code, doomed, &plan["kept"]), (0, vec![names[1].as_str(), built.as_str()], &2.into()), "{plan}");
    let blobs = std::fs::read_dir(machine.cache().join("blobs")).unwrap().count();
    assert!(blobs >= 6, "configs and layers: {blobs}");
    // While somebody builds, what was built may be the parent of what comes.
    let building = Turn::share(&machine.state(), TURN).unwrap();
    let (code, plan) = machine.run(&["image", "prune", "--dry-run"]).await;
    assert_eq!((code, &plan["building"]), (0, &true.into()), "{plan}");
    assert!(plan["images"].as_array().unwrap().iter().all(|image| image["name"] != built.as_str()), "{plan}");
    drop(building);
    let (code, done) = machine.run(&["image", "prune", "--cache", "0"]).await;
    assert_eq!((code, &done["images"]), (0, &2.into()), "{done}");
    let documents = std::fs::read_dir(machine.cache().join("documents")).unwrap().count();
    assert_eq!(documents, 2, "the manifest and the config of what is locked");
    assert!(engine.image(&built).await.unwrap().is_none());
    assert!(done["images_before"].as_u64() > done["images_after"].as_u64(), "{done}");
    assert_eq!(std::fs::read_dir(machine.cache().join("blobs")).unwrap().count(), 0);
    let mut here = Vec::new();
    for name in &names {
        here.push(engine.image(name).await.unwrap().is_some());
    }
    assert_eq!(here, [true, false, true, true]);

    // A project that is gone needs nothing any more.
    std::fs::remove_dir_all(&project).unwrap();
    let (code, done) = machine.run(&["image", "prune"]).await;
    assert_eq!((code, &done["images"]), (0, &1.into()), "{done}");
    assert!(engine.image(&names[0]).await.unwrap().is_none());
    drop(own);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_sandbox_stay_while_its_data_does_and_the_cache_is_told_before_and_after() {
    let own = OwnEngine::start().await;
    let machine = Machine { engine: Some(own.host()), ..Machine::new() };
    let engine = Engine::connect(&Address::of(&own.host(), None).unwrap()).await.unwrap();
    let registry = RealRegistry::open().await;
    let digest = registry.push("base/a", "1", &Sample::new("amd64", "of a sandbox")).await;
    let base = registry.image("base/a:1").at(digest).to_string();
    assert_eq!(machine.run(&["image", "pull", &base]).await.0, 0);
    engine.tag(&base, "kept", "1").await.unwrap();
    let labels = [(label::SANDBOX, "shop-main"), (label::OWNER, "onramp")];
    let image = build(&engine, "onramp-sandbox/shop-main.web:1", "kept:1", &labels).await;
    let docker = Docker::connect_with_host(engine.host()).unwrap().negotiate_version().await.unwrap();
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let data = VolumeCreateRequest { name: Some("shop-data".to_owned()), labels: Some(labels), ..Default::default() };
    docker.create_volume(data).await.unwrap();

    let blobs = || std::fs::read_dir(machine.cache().join("blobs")).unwrap();
    let bytes = || blobs().map(|blob| blob.unwrap().metadata().unwrap().len()).sum::<u64>();
    let before = bytes();
    assert!(before > 0);
    let (code, done) = machine.run(&["image", "prune", "--cache", "0"]).await;
    assert_eq!((code, &done["images"]), (0, &0.into()), "{done}");
    assert!(engine.image(&image).await.unwrap().is_some(), "the sandbox's next start needs it");
    let told = |key: &str| done[key].as_u64().unwrap();
    assert_eq!(bytes(), 0);
    assert!(told("cache_before") >= before && told("cache_before") - told("cache_after") >= before, "{done}");

    docker.remove_volume("shop-data", None::<RemoveVolumeOptions>).await.unwrap();
    let (code, done) = machine.run(&["image", "prune"]).await;
    assert_eq!((code, &done["images"]), (0, &1.into()), "{done}");
    assert_eq!(engine.image(&image).await.unwrap(), None);
    drop(own);
}

/// An image as `image build` leaves it in the engine; its name.
async fn build_as_defined(engine: &Engine, base: &str) -> String {
    let digest = Digest::of(b"probe");
    build(engine, "onramp-image/probe:0123456789abcdef", base, &[(label::DEFINITION, digest.as_str())]).await
}

/// Builds an image of these labels; its name.
async fn build(engine: &Engine, tag: &str, base: &str, labels: &[(&str, &str)]) -> String {
    let dockerfile = format!("FROM {base}\n");
    let mut context = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).unwrap();
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let context = context.into_inner().unwrap();
    let spec = BuildSpec { tag: tag.to_owned(), context: context.into(), arguments: [].into(), labels };
    engine.build(spec, &mut |_| ()).await.unwrap();
    tag.to_owned()
}

/// A container that has the image; the way to take it away.
async fn use_image(engine: &Engine, image: &str) -> (Docker, String) {
    let docker = Docker::connect_with_host(engine.host()).unwrap().negotiate_version().await.unwrap();
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["never".to_owned()]),
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let made = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
    (docker, made.id)
}
