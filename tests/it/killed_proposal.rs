//! A proposal killed (SIGKILL) between any two of its effects: the same command again ends with exactly one pull request.

use std::time::Instant;

use crate::released::{RULES, Released, declaration};

/// Into how many parts a run is cut.
const PARTS: u32 = 6;

/// Two apps a step ahead in `test`, and one of them proposed alone: a train opens its pull request and closes that one.
fn company() -> Released {
    let released = Released::with(RULES);
    for app in ["auth", "shop"] {
        released.deployed("production", app, "old", "");
        released.deployed("test", app, "new", "");
    }
    released.onramp("promote test production shop").ok();
    released.git("", &["clone", "-q", "--mirror", "state.git", "before.git"]);
    released
}

#[test]
fn a_train_that_is_killed_anywhere_is_one_pull_request_in_the_end() {
    let released = company();
    let train = || released.onramp("promote test production --all");
    let again = || {
        released.remove("state.git");
        released.git("", &["clone", "-q", "--mirror", "before.git", "state.git"]);
    };
    let begun = Instant::now();
    train().ok();
    let length = begun.elapsed();
    let (mut unproposed, mut unclosed, mut done) = (0, 0, 0);
    for part in 0..=PARTS {
        again();
        let _ = train().killed_at(length * part / PARTS);
        match released.open().as_slice() {
            [(1, _)] => unproposed += 1,
            [_, _] => unclosed += 1,
            _ => done += 1,
        }
        train().ok();
        let open = released.open();
        assert_eq!(
            open,
            [(2, "deploy/production/_all".to_owned())],
            "killed after {part} of {PARTS} parts of {length:?}"
        );
        let files = released.git("state.git", &["diff", "--name-only", "main...deploy/production/_all"]);
        assert_eq!(files, "environments/production/auth.toml\nenvironments/production/shop.toml\n");
        let auth = released.on("deploy/production/_all", "environments/production/auth.toml");
        assert_eq!(auth, declaration("auth", "new", ""));
        released.git("state.git", &["fsck", "--strict"]);
    }
    assert!(unproposed > 0, "never killed before it was proposed: {unproposed}, {unclosed}, {done}");
}
