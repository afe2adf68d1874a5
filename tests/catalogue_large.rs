//! `onramp image list` on a real registry of 1,000 repositories with 200 tags each, and on one where no two have an image in
//! common: how many requests it takes.

mod registry_parts;

use std::path::Path;
use std::process::Command;

use futures_util::stream::{self, StreamExt};
use onramp::reference::Digest;
use registry_parts::counted::Counted;
use registry_parts::real::RealRegistry;
use serde_json::{Value, json};

const REPOSITORIES: usize = 1_000;
const TAGS: usize = 200;
/// How many repositories have images that no other has.
const OWN: usize = 48;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes a repository whose every tag is an image of its own; all have the one config, and no layer. The other repositories
/// are the same one in the registry's files: 400,000 requests would say no more.
async fn fill(registry: &RealRegistry) {
    let (first, config) = (&path(0), &config(0));
    registry.put_blob(first, config.clone()).await;
    let pushes = stream::iter(0..TAGS).map(|tag| push(registry, first, config, tag));
    pushes.buffer_unordered(16).collect::<Vec<()>>().await;
    let repositories = registry.data().join("docker/registry/v2/repositories");
    for number in 1..REPOSITORIES {
        std::os::unix::fs::symlink("r0000", repositories.join(path(number))).unwrap();
    }
}

fn config(number: usize) -> Vec<u8> {
    let config = json!({"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
        "config": {"Labels": {"number": number.to_string()}}, "rootfs": {"type": "layers", "diff_ids": []}});
    serde_json::to_vec(&config).unwrap()
}

/// Pushes an image of a config that is there.
async fn push(registry: &RealRegistry, path: &str, config: &[u8], tag: usize) {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": Digest::of(config).to_string(), "size": config.len()},
        "layers": [], "annotations": {"tag": tag.to_string()},
    });
    registry.put_manifest(path, &format!("v{tag}"), &serde_json::to_vec(&manifest).unwrap(), MANIFEST).await;
}

fn path(number: usize) -> String {
    format!("base/r{number:04}")
}

/// Runs `image list` in this directory; its document.
async fn list(directory: &Path, registry: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onramp"));
    command
        .args(["--json", "image", "list"])
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("ONRAMP_REGISTRY", registry);
    for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"] {
        command.env(name, directory.join(name));
    }
    let out = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_repositories_of_two_hundred_tags_take_bounded_requests_and_are_remembered() {
    let registry = RealRegistry::open().await;
    fill(&registry).await;
    let way = Counted::start(registry.host()).await;
    let dir = tempfile::tempdir().unwrap();
    let count = |found: &Value| found["images"].as_array().unwrap().len();

    // The list of repositories; of each its tags, and what the highest one means; of each image its manifest and config, by as
    // many at once as ask before the first one knows it.
    let at_once = 16;
    let found = list(dir.path(), way.host(), &[]).await;
    assert_eq!((count(&found), &found["unreadable"]), (REPOSITORIES, &json!([])));
    assert_eq!(found["images"][0]["image"], format!("{}/base/r0000:v199", way.host()));
    let asked = way.take_count();
    assert!((1 + 2 * REPOSITORIES..=1 + 2 * (REPOSITORIES + at_once)).contains(&asked), "{asked}");

    list(dir.path(), way.host(), &[]).await;
    assert_eq!(way.take_count(), 0, "all of it is remembered");

    // What a digest holds is remembered for good.
    list(dir.path(), way.host(), &["--refresh"]).await;
    assert_eq!(way.take_count(), 1 + 2 * REPOSITORIES);

    // 50 tags of a repository are looked at, and 2,000 in all; what is not is counted.
    let found = list(dir.path(), way.host(), &["--tags"]).await;
    assert_eq!((count(&found), &found["hidden"]), (2_000, &(REPOSITORIES * TAGS - 2_000).into()));
    let asked = way.take_count();
    assert!((1_500..=2_000 + 2 * 50 * at_once).contains(&asked), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_no_other_repository_has_take_two_requests_more_each() {
    let registry = &RealRegistry::open().await;
    let pushes = stream::iter(0..OWN).map(|number| async move {
        let (path, config) = (path(number), config(number));
        registry.put_blob(&path, config.clone()).await;
        for tag in [1, 2] {
            push(registry, &path, &config, tag).await;
        }
    });
    pushes.buffer_unordered(16).collect::<Vec<()>>().await;
    let way = Counted::start(registry.host()).await;
    let dir = tempfile::tempdir().unwrap();
    // The list of repositories; of each its tags, what the highest one means, and that image's manifest and config.
    let found = list(dir.path(), way.host(), &[]).await;
    assert_eq!(found["images"].as_array().unwrap().len(), OWN);
    assert_eq!(way.take_count(), 1 + 4 * OWN);
    list(dir.path(), way.host(), &["--refresh"]).await;
    assert_eq!(way.take_count(), 1 + 2 * OWN);
}
