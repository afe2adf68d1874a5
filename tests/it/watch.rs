//! `watch`: what a saved file does, on the real engine.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use onramp::error::Class;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::company::Developer;
use crate::engine;
use crate::pty::{INTERRUPT, Talk};
use crate::run::Run;

/// How long is waited for what must come.
const LIMIT: Duration = Duration::from_mins(2);

/// A watch that goes on, and tells a JSON document a line.
struct Watch {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Watch {
    /// Starts it; it is up.
    fn start(run: Run<'_>) -> Self {
        let mut child = run.arg("--json").piped();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut watch = Self { child, lines, heard: Vec::new() };
        watch.hears("up");
        watch
    }

    /// Waits for the next event of this name.
    #[track_caller]
    fn hears(&mut self, event: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(LIMIT).unwrap_or_else(|error| {
                panic!("`{event}` is not told ({error}), after:\n{}", self.heard.join("\n"));
            });
            self.heard.push(line.clone());
            let document: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(document["schema"], 1);
            if document["event"] == event {
                return document;
            }
            assert!(document.get("error").is_none() || event == "failed", "before `{event}`: {document:#}");
        }
    }

    /// Waits until a change of this file is told: what was there before may be told late.
    #[track_caller]
    fn hears_of(&mut self, file: &str) -> Value {
        loop {
            let changed = self.hears("changed");
            if changed["files"].as_array().unwrap().contains(&file.into()) {
                return changed;
            }
        }
    }

    /// Interrupts it; its end.
    #[track_caller]
    fn ends(mut self) -> (Option<i32>, Value) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let ended = self.hears("ended");
        assert!(self.lines.recv_timeout(LIMIT).is_err(), "nothing comes after that");
        (self.child.wait().unwrap().code(), ended)
    }
}

/// The first page of the shop's web service, where an event says that it is.
fn page_of(event: &Value) -> String {
    let services = event["services"].as_array().unwrap();
    let web = services.iter().find(|service| service["service"] == "shop/web").unwrap();
    let at = web["url"].as_str().unwrap().trim_end_matches('/').trim_start_matches("http://").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(onramp::sandbox::ready::get(at, "/")).unwrap().1
}

impl Drop for Watch {
    fn drop(&mut self) {
        // One that a failed test left; one that ended is not there to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_saved_file_is_live_and_what_it_affects_is_tested() {
    let dev = Developer::new();
    dev.shop();
    let mut watch = Watch::start(dev.in_shop("watch --test=unit"));
    assert_eq!(watch.hears("testing")["tests"], serde_json::json!(["unit"]));
    assert_eq!(watch.hears("tested")["passed"], true);

    // As an editor saves: another file takes the name.
    let whole = dev.read("shop/src/lib/format.php");
    dev.write("shop/src/lib/format.php~", whole.replace("100, 2)", "100, 3)"));
    std::fs::rename(dev.path("shop/src/lib/format.php~"), dev.path("shop/src/lib/format.php")).unwrap();
    let changed = watch.hears("changed");
    assert!(changed["files"].as_array().unwrap().contains(&"src/lib/format.php".into()), "{changed:#}");
    assert_eq!((&changed["did"], &changed["shown"]), (&serde_json::json!([]), &serde_json::json!(["shop/web"])));
    let red = watch.hears("tested");
    assert_eq!((&red["passed"], &red["tests"][0]["result"]), (&false.into(), &"failed".into()));

    dev.write("shop/src/lib/format.php", whole);
    assert_eq!(watch.hears("tested")["passed"], true);
    let unchanged = dev.in_shop("test unit --changed").ok();
    assert_eq!(unchanged.stdout, "unit unchanged since it passed\n", "what it found is kept");

    let second = dev.in_shop("watch").fails(Class::Conflict);
    assert!(second.stderr.contains("another onramp is at work on the watch of sandbox shop-main-"), "{second}");
    let (code, ended) = watch.ends();
    assert_eq!((code, &ended["down"]), (Some(0), &false.into()));
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"), "the sandbox stays up");
}

#[test]
fn what_is_built_is_built_anew_and_a_mistake_changes_nothing() {
    let dev = Developer::new();
    dev.shop();
    let mut watch = Watch::start(dev.in_shop("watch --down"));
    let database = dev.port("shop", "shop/db");
    dev.write("shop/Dockerfile", format!("{}ENV COLOUR=blue\n", dev.read("shop/Dockerfile")));
    let changed = watch.hears("changed");
    assert_eq!(changed["did"], serde_json::json!(["built web", "replaced shop/web"]), "{changed:#}");
    assert_eq!(dev.in_shop("exec web -- printenv COLOUR").ok().stdout.trim(), "blue");
    assert_eq!(dev.port("shop", "shop/db"), database, "the database was left alone");

    let manifest = dev.read("shop/onramp.toml");
    dev.write("shop/onramp.toml", manifest.replace("[services.web]", "[services.web]\nprot = 80"));
    let failed = watch.hears("failed");
    assert_eq!(failed["error"]["class"], "CONFIG", "{failed:#}");
    assert!(page_of(&changed).contains("Fountain pen"), "what runs stays");
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "Edited"));
    assert_eq!(watch.hears("failed")["error"]["class"], "CONFIG", "it is told until it is put right");

    dev.write("shop/onramp.toml", manifest.replace("DB_HOST = \"db\"", "DB_HOST = \"db\", SIZE = \"large\""));
    let changed = watch.hears("changed");
    assert_eq!(changed["did"], serde_json::json!(["replaced shop/web"]), "{changed:#}");
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Edited</h1>"));

    dev.write("shop/NOTES.md", "nobody sees it");
    let changed = watch.hears("changed");
    assert_eq!((&changed["files"], &changed["shown"]), (&serde_json::json!(["NOTES.md"]), &serde_json::json!([])));

    dev.git("shop", &["switch", "--quiet", "--create", "feature"]);
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Edited", "Feature"));
    let up = watch.hears("up");
    assert!(up["sandbox"].as_str().unwrap().starts_with("shop-feature-"), "{up:#}");
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Feature</h1>"));

    let (code, ended) = watch.ends();
    assert_eq!((code, &ended["down"]), (Some(0), &true.into()));
    assert!(dev.in_shop("status").ok().stdout.contains("is not up"));
    dev.git("shop", &["switch", "--quiet", "main"]);
}

#[test]
fn what_is_copied_is_kept_as_it_is_here() {
    let dev = Developer::new();
    dev.shop();
    let manifest = dev.read("shop/onramp.toml");
    let copied =
        manifest.replace("\"src\" = \"/var/www/html\"", "\"src\" = { target = \"/var/www/html\", mode = \"copy\" }");
    assert_ne!(copied, manifest);
    dev.write("shop/onramp.toml", &copied);
    dev.write("shop/src/old/deep/gone.txt", "gone");
    let mut watch = Watch::start(dev.in_shop("watch"));
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
    assert!(dev.page("shop", "shop/web", "/old/deep/gone.txt").contains("gone"));

    let index = dev.read("shop/src/index.php");
    dev.write("shop/src/index.php", index.replace("Our products", "Copied"));
    let changed = watch.hears_of("src/index.php");
    assert_eq!(changed["did"], serde_json::json!(["copied 1 file to shop/web"]), "{changed:#}");
    // A write may be seen before it is whole.
    while !dev.page("shop", "shop/web", "/").contains("<h1>Copied</h1>") {
        watch.hears("changed");
    }
    dev.in_shop("exec web -- touch /var/www/html/own.txt").ok();
    dev.remove("shop/src/old");
    dev.write("shop/src/new/here.txt", "here");
    while !dev.page("shop", "shop/web", "/new/here.txt").contains("here") {
        watch.hears("changed");
    }
    while dev.in_shop("exec web -- test -e /var/www/html/old").code() == 0 {
        watch.hears("changed");
    }
    dev.in_shop("exec web -- test -e /var/www/html/own.txt").ok();
    // What is planned anew tells what it copied, too.
    dev.write("shop/src/index.php", index.replace("Our products", "Planned"));
    dev.write("shop/onramp.toml", format!("{copied}# nothing else\n"));
    let changed = watch.hears_of("src/index.php");
    assert_eq!(changed["did"], serde_json::json!(["copied 1 file to shop/web"]), "{changed:#}");

    // A directory in the place of a file, and without a watch.
    let (code, _) = watch.ends();
    assert_eq!(code, Some(0));
    dev.remove("shop/src/new");
    dev.write("shop/src/new", "a file now");
    let up = dev.in_shop("up").ok();
    assert!(up.stderr.contains("keep    shop/db, auth/api, shop/web"), "{up}");
    assert!(dev.page("shop", "shop/web", "/new").contains("a file now"));
    assert_eq!(dev.in_shop("test unit").ok().stderr.matches("copy to shop/web").count(), 1);
    let own = engine::own_volumes(&format!("onramp.{}.shop.web", engine::sandbox_of(&dev.path("shop"))));
    assert_eq!(own.len(), 1);
    dev.in_shop("down --data --yes").ok();
    assert!(!engine::has_volume(&own[0]), "nothing is left of what was copied");
}

#[test]
fn a_limit_of_the_system_is_told_with_its_cure() {
    let dev = Developer::new();
    dev.shop();
    // Only for this run: a limit of a namespace of its own.
    let few = "echo 3 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let arguments = ["--user", "--map-root-user", "sh", "-c", few, "sh"];
    let refused = dev.in_shop("watch --json").through("unshare", &arguments).output().unwrap();
    assert_eq!(refused.status.code(), Some(Class::Env.exit_code().into()), "{refused:?}");
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the system watches no more directories for one user than "), "{message}");
    let next = told["error"]["next"][0].as_str().unwrap();
    assert!(next.starts_with("sudo sysctl fs.inotify.max_user_watches="), "{next}");
    assert!(dev.in_shop("status").ok().stdout.contains("is not up"), "nothing was begun");

    let mut watch = Watch::start(dev.in_shop("watch --poll=50ms"));
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "Polled"));
    assert_eq!(watch.hears("changed")["files"], serde_json::json!(["src/index.php"]));
    watch.ends();
}

#[test]
fn at_a_terminal_one_screen_is_drawn_anew() {
    let dev = Developer::new();
    dev.shop();
    let mut talk = Talk::start(dev.in_shop("watch --test=unit"));
    talk.hears("● shop/web").hears("✓ unit");
    let whole = dev.read("shop/src/lib/format.php");
    dev.write("shop/src/lib/format.php", whole.replace("100, 2)", "100, 3)"));
    talk.hears("changed src/lib/format.php: live in shop/web").hears("✗ unit exit code 1").hears("not ok");
    talk.types(INTERRUPT).hears("stays up; `onramp down` removes it");
    let (code, _) = talk.ends();
    assert_eq!(code, Some(0));
}

#[test]
fn what_a_container_makes_in_the_project_is_the_developers() {
    use std::os::unix::fs::MetadataExt;
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    // Whoever runs the tests: the directory is somebody's who is not the superuser.
    std::os::unix::fs::chown(dev.path("shop/src"), Some(4711), Some(4712)).unwrap();
    let owner = |path: &str| {
        let meta = dev.path(path).symlink_metadata().unwrap();
        (meta.uid(), meta.gid())
    };
    let make = "mkdir -p made && echo 1 > made/file && ln -s /etc/passwd made/link && touch www && chown 33 www";
    dev.in_shop("exec web -- sh -c").arg(make).ok();
    for path in ["shop/src/made", "shop/src/made/file", "shop/src/made/link"] {
        assert_eq!(owner(path), (4711, 4712), "{path}");
    }
    assert_eq!(owner("shop/src/www").0, 33, "what another user made may be theirs for a reason");
    let passwd = dev.in_shop("exec web -- stat -c %u /etc/passwd").ok();
    assert_eq!(passwd.stdout.trim(), "0", "a link is given back, not what it leads to");
}
