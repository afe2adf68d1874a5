//! Snapshots through the registry, from one machine to another; on the real engine and registry.

use std::collections::BTreeSet;

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

fn products(dev: &Developer) -> String {
    dev.in_shop("exec db -- mariadb shop -N -e").arg("SELECT COUNT(*) FROM products").ok().stdout.trim().to_owned()
}

/// A place of this test alone in the shared registry.
fn place(dev: &Developer, name: &str) -> String {
    let settings = dev.read(dev.elsewhere("home/.config/onramp/settings.toml"));
    let registry =
        settings.lines().find_map(|line| line.strip_prefix("registry = ")).unwrap().trim_matches('"').to_owned();
    let own = dev.path("").display().to_string().to_lowercase();
    let own: String = own.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{registry}/snapshots/{own}:{name}")
}

#[test]
fn a_snapshot_goes_to_another_machine_through_the_registry() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    dev.in_shop("exec db -- mariadb shop -e").arg("DELETE FROM products WHERE id > 3; CREATE TABLE a (b INT)").ok();
    dev.in_shop("snapshot save three").ok();
    let at = place(&dev, "three");
    let plan = dev.in_shop("snapshot push three --dry-run").ok();
    assert!(plan.stdout.contains("/snapshots/shop:three"), "the project's own place: {plan}");
    let pushed = dev.in_shop("snapshot push three --json").arg(&at).ok().json();
    assert!(pushed["sent"].as_u64().unwrap() > 100_000, "{pushed}");
    let again = dev.in_shop("snapshot push three --json").arg(&at).ok().json();
    assert_eq!((&again["sent"], &again["reference"]), (&0.into(), &pushed["reference"]), "the same bytes, none sent");

    dev.in_shop("snapshot save other").ok();
    let taken = dev.in_shop("snapshot push other").arg(&at).fails(Class::Conflict);
    assert!(taken.stderr.contains("is another snapshot already") && taken.stderr.contains("--replace"), "{taken}");

    // Another machine: another key, so other passwords, and a project that is cloned.
    let mut other = Developer::new();
    other.write(other.elsewhere("home/.local/state/onramp/sandbox.key"), [8; 32]);
    let origin = dev.path("shop").display().to_string();
    other.git("", &["clone", "--quiet", &origin, "shop"]);
    other.project("shop");
    other.set("ONRAMP_STATE", dev.elsewhere("state.git").display().to_string());
    other.in_shop("up").ok();
    assert_eq!(products(&other), "5");
    let plan = other.in_shop("snapshot pull --dry-run").arg(&at).ok();
    assert!(plan.stdout.contains("pull    shop/db (") && plan.stdout.contains("base/mariadb@sha256:"), "{plan}");
    other.in_shop("snapshot pull").arg(&at).ok();
    let list = other.in_shop("snapshot list").ok();
    let (path, _) = at.split_once('/').unwrap().1.rsplit_once(':').unwrap();
    assert!(list.stdout.contains("  from 127.0.0.1:") && list.stdout.contains(path), "{list}");
    other.in_shop("snapshot restore three --yes").ok();
    assert_eq!(products(&other), "3");
    let page = other.page("shop", "shop/web", "/");
    assert!(page.contains("Fountain pen"), "its services know the passwords that are in the data: {page}");
    assert!(other.in_shop("up").ok().stderr.contains("keep    shop/db"), "and go on with them");
    assert!(other.in_shop("snapshot pull").arg(&at).ok().stderr.contains("present"));

    // What is saved of it is the same for a third one, whose passwords are others again.
    other.in_shop("snapshot save handed-on").ok();
    let on = place(&dev, "handed-on");
    other.in_shop("snapshot push handed-on").arg(&on).ok();
    dev.in_shop("snapshot pull").arg(&on).ok();
    dev.in_shop("snapshot restore handed-on --yes").ok();
    assert_eq!(products(&dev), "3");

    let taken = other.in_shop("snapshot pull").arg(&on).arg("three").fails(Class::Conflict);
    assert!(taken.stderr.contains("next: onramp snapshot rm three"), "{taken}");
    let foreign = other.in_shop("snapshot pull").arg(place(&dev, "none")).fails(Class::Config);
    assert!(foreign.stderr.contains("none"), "{foreign}");
    for dev in [&dev, &other] {
        for name in ["three", "other", "handed-on"] {
            dev.in_shop(&format!("snapshot rm {name} --yes")).code();
        }
        dev.in_shop("down --data --yes").ok();
        let left = engine::volumes_of(&dev.path("shop"));
        let needed = |name: &String| !engine::label_of(name, "dev.onramp.golden").is_empty() || engine::lies_on(name);
        assert!(left.iter().all(needed), "{left:?}");
    }
}

/// What an attacker who may push puts there: the artifact of a tag, with other contents of its one layer.
fn forge(at: &str, layer: &[u8], bytes: Option<u64>, to: &str) {
    use onramp::reference::{Digest, ImageRef};
    use onramp::registry::{Content, Registry, Upload};
    let (at, to): (ImageRef, ImageRef) = (at.parse().unwrap(), to.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new(at.registry(), None, std::time::Duration::from_mins(1)).unwrap();
        let manifest = registry.manifest(&at).await.unwrap();
        let Content::Image { config, .. } = &manifest.content else { panic!("it is an artifact") };
        let config = registry.small_blob(at.path(), &config.digest, 1 << 20).await.unwrap();
        let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let packed = zstd::encode_all(layer, 1).unwrap();
        config["services"][0]["layer"] = Digest::of(&packed).to_string().into();
        config["services"][0]["bytes"] = bytes.unwrap_or(layer.len() as u64).into();
        let config = serde_json::to_vec(&config).unwrap();
        let mut document: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
        for (place, blob) in [("/config", &config), ("/layers/0", &packed)] {
            let entry = document.pointer_mut(place).unwrap();
            entry["digest"] = Digest::of(blob).to_string().into();
            entry["size"] = blob.len().into();
            let body = Upload::from(blob.clone());
            registry.push_blob(to.path(), &Digest::of(blob), blob.len() as u64, body).await.unwrap();
        }
        let document = serde_json::to_vec(&document).unwrap();
        registry.push_manifest(&to, &manifest.media_type, document).await.unwrap();
    });
}

/// A tar with the data's directory and one entry in it.
fn tar(kind: tar::EntryType, path: &str, link: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, link) in [(tar::EntryType::Directory, "data/", ""), (kind, path, link)] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(999);
        header.set_gid(999);
        header.set_size(0);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn what_is_forged_or_cut_off_leaves_nothing() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    dev.in_shop("snapshot save good").ok();
    let good = place(&dev, "good");
    dev.in_shop("snapshot push good").arg(&good).ok();
    dev.in_shop("snapshot rm good --yes").ok();
    let volumes = || engine::volumes_of(&dev.path("shop")).into_iter().collect::<BTreeSet<String>>();
    let before = volumes();
    let forged = place(&dev, "forged");
    let (file, link, device) = (tar::EntryType::Regular, tar::EntryType::Symlink, tar::EntryType::Char);
    for (layer, bytes, told) in [
        (tar(file, "data/../../etc/cron.d/x", ""), None, "leads out of the data's directory"),
        (tar(file, "/etc/cron.d/x", ""), None, "leads out of the data's directory"),
        (tar(link, "data/x", "/etc"), None, "is a link that leads out"),
        (tar(device, "data/x", ""), None, "is neither a file nor a directory nor a link"),
        (tar(file, "data/x", ""), Some(512), "cannot be unpacked"),
        (tar(file, "data/x", ""), Some(1 << 40), "has 2048 bytes, not 1099511627776"),
        (b"no tar".to_vec(), None, "cannot be unpacked"),
    ] {
        forge(&good, &layer, bytes, &forged);
        let refused = dev.in_shop("snapshot pull").arg(&forged).fails(Class::Security);
        assert!(refused.stderr.contains(told), "{told}: {refused}");
        assert_eq!(volumes(), before, "{told}");
    }
    let image = format!("{}/base/mariadb:10.11", good.split('/').next().unwrap());
    let foreign = dev.in_shop("snapshot pull").arg(&image).arg("image").code();
    assert_ne!(foreign, 0, "an image is no snapshot");

    let which = format!("dev.onramp.sandbox={}", engine::sandbox_of(&dev.path("shop")));
    for event in ["create", "destroy"] {
        let pull = || dev.in_shop("snapshot pull").arg(&good).start();
        let mut killed = engine::until(event, ("label", &which), pull);
        killed.kill().unwrap();
        killed.wait().unwrap();
        dev.in_shop("snapshot pull").arg(&good).ok();
        dev.in_shop("snapshot restore good --yes").ok();
        assert_eq!(products(&dev), "5", "killed at {event}");
        let push = || dev.in_shop("snapshot push good").arg(place(&dev, event)).start();
        let mut killed = engine::until(event, ("label", &which), push);
        killed.kill().unwrap();
        killed.wait().unwrap();
        let pushed = dev.in_shop("snapshot push good --json").arg(place(&dev, event)).ok().json();
        assert_eq!(
            pushed["size"],
            dev.in_shop("snapshot push good --json").arg(place(&dev, event)).ok().json()["size"]
        );
        dev.in_shop("snapshot rm good --yes").ok();
    }
    dev.in_shop("down --data --yes").ok();
    let left = engine::volumes_of(&dev.path("shop"));
    let needed = |name: &String| !engine::label_of(name, "dev.onramp.golden").is_empty() || engine::lies_on(name);
    assert!(left.iter().all(needed), "{left:?}");
}
