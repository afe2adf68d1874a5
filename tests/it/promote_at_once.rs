//! Many deployments to one state repository at once: all land or are refused as CONFLICT, and no update is lost.

use std::os::unix::fs::PermissionsExt;

use onramp::error::Class;

use crate::released::{Released, image};

/// So many at once, each another app's; half of them share a cache, as the jobs of one CI machine do.
const APPS: usize = 12;

const RULES: &str = r#"schema = 1
[[environment]]
name = "test"
[[environment]]
name = "production"
after = "test"
policy = { merge = "auto" }
"#;

#[test]
fn deployments_at_once_all_land_or_are_refused_and_none_is_lost() {
    let released = Released::with(RULES);
    let apps: Vec<String> = (0..APPS).map(|number| format!("app-{number}")).collect();
    for app in &apps {
        released.deployed("test", app, "new", "");
    }
    let before: usize =
        released.git("state.git", &["rev-list", "--first-parent", "--count", "main"]).trim().parse().unwrap();
    let promote = |number: usize, app: &str| {
        let cache = released.path(format!("cache-{}", if number.is_multiple_of(2) { 0 } else { number }));
        released.onramp("promote test production").arg(app).env("XDG_CACHE_HOME", cache.to_str().unwrap())
    };
    let mut left: Vec<(usize, &String)> = apps.iter().enumerate().collect();
    let mut rounds = 0;
    while !left.is_empty() {
        rounds += 1;
        assert!(rounds <= APPS, "each round at least one lands: {left:?}");
        let landed = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for (number, app) in &left {
                let (landed, promote) = (&landed, &promote);
                scope.spawn(move || {
                    let (code, told) = promote(*number, app).outcome();
                    match code {
                        Some(0) => landed.lock().unwrap().push(*number),
                        code => assert_eq!(code, Some(Class::Conflict.exit_code().into()), "{app}: {told}"),
                    }
                });
            }
        });
        let landed = landed.into_inner().unwrap();
        assert!(!landed.is_empty(), "somebody is always first");
        for number in &landed {
            let app = &apps[*number];
            let declared = released.on("main", &format!("environments/production/{app}.toml"));
            assert!(declared.contains(&image(app, "new")), "what landed is there: {declared}");
        }
        left.retain(|(number, _)| !landed.contains(number));
    }
    for app in &apps {
        let declared = released.on("main", &format!("environments/production/{app}.toml"));
        assert!(declared.contains(&image(app, "new")), "and nobody took it away: {declared}");
    }
    let after: usize =
        released.git("state.git", &["rev-list", "--first-parent", "--count", "main"]).trim().parse().unwrap();
    assert_eq!(after, before + APPS, "one commit of the default branch each, one after the other");
    assert_eq!(released.open(), []);
    released.git("state.git", &["fsck", "--strict"]);
}

#[test]
fn a_branch_that_goes_while_it_is_fetched_makes_one_more_fetch() {
    let released = Released::with(RULES);
    // What git says when a branch goes between two words of a fetch: nobody can make it go just then.
    let git = released.write(
        "bin/git",
        "#!/bin/sh\ncase \" $* \" in *' fetch '*)\n  echo >> \"$0.fetches\"\n  if [ \"$(wc -l < \"$0.fetches\")\" -lt 3 ]; then\n    \
         echo 'fatal: git upload-pack: not our ref 1' >&2; exit 128\n  fi ;;\nesac\nPATH=${PATH#*:} exec git \"$@\"\n",
    );
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", released.path("bin").display(), released.environment()["PATH"]);
    released.onramp("pr list").env("PATH", path).ok();
    assert_eq!(released.read("bin/git.fetches").lines().count(), 3);
}
