//! The store of blobs, on a real registry and on one that breaks off, lies, or heeds no ranges.

#[path = "it/full_disk.rs"]
mod full_disk;
mod registry_parts;

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use full_disk::SmallDisk;
use onramp::error::{Class, Fault};
use onramp::images::store::Store;
use onramp::reference::Digest;
use onramp::registry::{Descriptor, Registry};
use registry_parts::liar::{Liar, Reply, Seen};
use registry_parts::real::RealRegistry;

const LIMIT: Duration = Duration::from_secs(20);

fn registry(host: &str) -> Registry {
    Registry::new(host, None, LIMIT).unwrap()
}

/// Bytes that no range of them repeats.
fn content(size: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).take(size).collect()
}

fn descriptor(bytes: &[u8]) -> Descriptor {
    let text = serde_json::json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": Digest::of(bytes).as_str(), "size": bytes.len(),
    });
    serde_json::from_value(text).unwrap()
}

type Answer = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

fn add(counter: &AtomicU64, bytes: u64) {
    counter.fetch_add(bytes, Ordering::Relaxed);
}

/// What a request asks for of `bytes`, as a server that heeds ranges answers.
fn ranged(seen: &Seen, bytes: &[u8]) -> Reply {
    let Some(range) = seen.header("range") else { return Reply::status(200).body(bytes) };
    let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let end = last.parse::<usize>().map_or(bytes.len(), |last| last + 1);
    let told = format!("bytes {first}-{}/{}", end - 1, bytes.len());
    Reply::status(206).header("Content-Range", &told).body(&bytes[first..end])
}

fn names(store: &Store) -> Vec<String> {
    let entries = std::fs::read_dir(store.root()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(store: &Store, digest: &Digest) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    store.read(digest).unwrap().unwrap().read_to_end(&mut bytes).map(|_| bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_in_ranges_and_stays() {
    let bytes = content(30_000_000);
    let real = RealRegistry::open().await;
    real.put_blob("base/a", bytes.clone()).await;
    let (dir, blob) = (tempfile::tempdir().unwrap(), descriptor(&bytes));
    let store = Store::open(dir.path()).unwrap();
    let fetched = AtomicU64::new(0);
    let told = |bytes| add(&fetched, bytes);
    let path = store.fetch(&registry(real.host()), "base/a", &blob, &told).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    assert_eq!(fetched.swap(0, Ordering::Relaxed), blob.size);
    store.fetch(&registry(real.host()), "base/a", &blob, &told).await.unwrap();
    assert_eq!(fetched.load(Ordering::Relaxed), 0);
    assert_eq!(names(&store), [blob.digest.hex()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_want_the_same_blob_fetch_it_once() {
    let bytes = content(20_000_000);
    let real = RealRegistry::open().await;
    real.put_blob("base/a", bytes.clone()).await;
    let (dir, blob) = (tempfile::tempdir().unwrap(), descriptor(&bytes));
    let fetched = AtomicU64::new(0);
    let told = |bytes| add(&fetched, bytes);
    let several: Vec<Store> = (0..4).map(|_| Store::open(dir.path()).unwrap()).collect();
    let registry = registry(real.host());
    let all = several.iter().map(|store| store.fetch(&registry, "base/a", &blob, &told));
    futures_util::future::try_join_all(all).await.unwrap();
    assert_eq!(fetched.load(Ordering::Relaxed), blob.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_heeds_no_ranges_is_read_in_one_stream() {
    let bytes = content(9_000_000);
    let (blob, served) = (descriptor(&bytes), bytes.clone());
    let liar = Liar::start(move |_| Reply::status(200).body(&served)).await;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.fetch(&registry(&liar.host()), "base/a", &blob, &|_| {}).await.unwrap();
    assert_eq!(read(&store, &blob.digest).unwrap(), bytes);
    assert_eq!(liar.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_breaks_off_goes_on_where_it_was() {
    let bytes = content(9_000_000);
    let (blob, served) = (descriptor(&bytes), bytes.clone());
    let broken = Arc::new(AtomicU64::new(0));
    let liar = Liar::start(move |seen| {
        let reply = ranged(seen, &served);
        // Every range breaks off once, at about 60 % of it.
        if broken.fetch_add(1, Ordering::Relaxed) < 3 { reply.cut_after(600_000) } else { reply }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let fetched = AtomicU64::new(0);
    let told = |bytes| add(&fetched, bytes);
    store.fetch(&registry(&liar.host()), "base/a", &blob, &told).await.unwrap();
    assert_eq!(read(&store, &blob.digest).unwrap(), bytes);
    assert_eq!(fetched.load(Ordering::Relaxed), blob.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_blob_itself_becomes_visible() {
    let bytes = content(5_000_000);
    let blob = descriptor(&bytes);
    let flipped = {
        let mut bytes = bytes.clone();
        bytes[4_500_000] ^= 1;
        bytes
    };
    let served = bytes.clone();
    let wrong: [(&str, Class, Answer); 4] = [
        ("a flipped byte", Class::Security, Box::new(move |seen| ranged(seen, &flipped))),
        ("nothing", Class::Config, Box::new(|_| Reply::status(404))),
        ("half of it", Class::Net, Box::new(move |_| Reply::status(200).body(&served[..2_000_000]))),
        ("another range", Class::Net, Box::new(|seen| ranged(seen, &content(5_000_000)).cut_after(10))),
    ];
    for (what, class, answer) in wrong {
        let liar = Liar::start(answer).await;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let error = store.fetch(&registry(&liar.host()), "base/a", &blob, &|_| {}).await.unwrap_err();
        assert_eq!(error.class(), class, "{what}: {error}");
        assert!(store.read(&blob.digest).unwrap().is_none(), "{what}");
        assert!(!names(&store).contains(&blob.digest.hex().to_owned()), "{what}");
        if class == Class::Security {
            assert_eq!(names(&store), [""; 0], "{what}: nothing of it is kept");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_flips_on_the_disk_is_found_and_the_blob_fetched_again() {
    let bytes = content(2_000_000);
    let real = RealRegistry::open().await;
    real.put_blob("base/a", bytes.clone()).await;
    let (dir, blob) = (tempfile::tempdir().unwrap(), descriptor(&bytes));
    let registry = registry(real.host());
    let path = Store::open(dir.path()).unwrap().fetch(&registry, "base/a", &blob, &|_| {}).await.unwrap();
    let flip = || {
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[1_000_000] ^= 1;
        std::fs::write(&path, damaged).unwrap();
    };
    flip();
    let store = Store::open(dir.path()).unwrap();
    let error = read(&store, &blob.digest).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(store.read(&blob.digest).unwrap().is_none(), "it is gone");
    let store = Store::open(dir.path()).unwrap();
    store.fetch(&registry, "base/a", &blob, &|_| {}).await.unwrap();
    flip();
    let store = Store::open(dir.path()).unwrap();
    store.fetch(&registry, "base/a", &blob, &|_| {}).await.unwrap();
    assert_eq!(read(&store, &blob.digest).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_wrong_is_fetched_again() {
    let bytes = content(9_000_000);
    let real = RealRegistry::open().await;
    real.put_blob("base/a", bytes.clone()).await;
    let (dir, blob) = (tempfile::tempdir().unwrap(), descriptor(&bytes));
    let store = Store::open(dir.path()).unwrap();
    let part = store.root().join(format!("{}.part", blob.digest.hex()));
    std::fs::write(&part, vec![0; bytes.len()]).unwrap();
    std::fs::write(part.with_extension("journal"), format!("onramp 1 {}\n0 5000000\n", bytes.len())).unwrap();
    assert_eq!(store.known(&blob), 5_000_000);
    store.fetch(&registry(real.host()), "base/a", &blob, &|_| {}).await.unwrap();
    assert_eq!(read(&store, &blob.digest).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_longest_ago_goes_and_what_is_in_use_stays() {
    let real = RealRegistry::open().await;
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(real.host());
    let mut blobs = Vec::new();
    for size in [1_000_000, 1_000_001, 1_000_002] {
        let bytes = content(size);
        real.put_blob("base/a", bytes.clone()).await;
        let blob = descriptor(&bytes);
        Store::open(dir.path()).unwrap().fetch(&registry, "base/a", &blob, &|_| {}).await.unwrap();
        blobs.push(blob);
    }
    let store = Store::open(dir.path()).unwrap();
    let none = BTreeSet::new();
    assert!(store.usage(0, &none).unwrap().bytes >= 3_000_000);
    // The first one is in use, whoever else evicts.
    let user = Store::open(dir.path()).unwrap();
    let held = user.read(&blobs[0].digest).unwrap().unwrap();
    let gone = store.evict(1_500_000, &none).unwrap();
    assert!(gone >= 2_000_000, "{gone}");
    assert_eq!(names(&store), [blobs[0].digest.hex()]);
    held.finish().unwrap();
    drop(user);
    store.evict(0, &none).unwrap();
    assert_eq!(names(&store), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_limit_holds_for_all_that_is_cached_of_images_and_what_is_needed_stays() {
    let real = RealRegistry::open().await;
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(1_000_000);
    real.put_blob("base/a", bytes.clone()).await;
    let store = Store::open(dir.path()).unwrap();
    let blob = descriptor(&bytes);
    store.fetch(&registry(real.host()), "base/a", &blob, &|_| {}).await.unwrap();
    drop(store);
    let (old, needed) = (Digest::of(b"old"), Digest::of(b"needed"));
    let file = |kind: &str, name: &str, hours: u64| {
        let path = dir.path().join(kind).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content(500_000)).unwrap();
        let used = std::time::SystemTime::now() - std::time::Duration::from_hours(hours);
        let times = std::fs::FileTimes::new().set_accessed(used).set_modified(used);
        std::fs::File::options().append(true).open(&path).unwrap().set_times(times).unwrap();
        path
    };
    let oldest = [file("documents", old.hex(), 50), file("layers", old.hex(), 49), file("tags", old.hex(), 48)];
    let left = file("layers", ".onramp-left", 47);
    let kept = [file("layers", needed.hex(), 90), file("signatures", needed.hex(), 90)];
    let newer = [file("catalogue", "r.test.json", 0), file("layers", ".onramp-new", 0)];
    let other = file("repositories", "x", 99);

    let (store, needed) = (Store::open(dir.path()).unwrap(), BTreeSet::from([needed]));
    let usage = store.usage(0, &needed).unwrap();
    assert!(usage.bytes > 4_400_000 && usage.over < usage.bytes - 900_000, "{usage:?}");
    let kinds: Vec<&str> = usage.by_kind.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["blobs", "catalogue", "documents", "layers", "signatures", "tags"]);
    // Oldest first, of whatever kind.
    store.evict(usage.bytes - 900_000, &needed).unwrap();
    assert_eq!(oldest.each_ref().map(|path| path.exists()), [false, false, true]);
    let gone = store.usage(0, &needed).unwrap().over;
    assert_eq!(store.evict(0, &needed).unwrap(), gone);
    assert!(oldest.iter().chain([&left, &newer[0]]).all(|path| !path.exists()) && names(&store).is_empty());
    assert!(kept.iter().chain([&newer[1], &other]).all(|path| path.exists()), "needed, under way, or not of images");
}

#[test]
fn what_another_took_away_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, none) = (Store::open(dir.path()).unwrap(), BTreeSet::new());
    let documents = dir.path().join("documents");
    std::fs::create_dir(&documents).unwrap();
    for number in 0..3_000 {
        std::fs::write(documents.join(number.to_string()), "{}").unwrap();
    }
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| store.evict(0, &none))).collect();
        for one in all {
            one.join().unwrap().unwrap();
        }
    });
    assert_eq!(std::fs::read_dir(&documents).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_before_anything_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("small");
    let Some(_disk) = SmallDisk::mount(&place, "4m") else { return };
    let bytes = content(9_000_000);
    let (blob, served) = (descriptor(&bytes), bytes.clone());
    let liar = Liar::start(move |seen| ranged(seen, &served)).await;
    let store = Store::open(&place).unwrap();
    let error = store.fetch(&registry(&liar.host()), "base/a", &blob, &|_| {}).await.unwrap_err();
    assert_eq!(error.class(), Class::Io, "{error}");
    assert_eq!(error.next(), ["onramp image prune"]);
    assert_eq!((liar.seen().len(), names(&store).len()), (0, 0));
}
