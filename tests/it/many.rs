//! `list` and `prune`, on the real engine.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

#[test]
fn sandboxes_whose_branch_or_directory_is_gone_are_removed_with_their_data() {
    let dev = Developer::new();
    dev.shop();
    for branch in ["merged", "moved", "busy"] {
        dev.git("shop", &["worktree", "add", "--quiet", "-b", branch, &format!("../{branch}")]);
        dev.project(branch);
        dev.onramp("up").dir(branch).ok();
    }
    let here = |listed: &serde_json::Value, branch: &str| {
        let directory = dev.path(branch).display().to_string();
        let all = listed["sandboxes"].as_array().unwrap().clone();
        all.into_iter().find(|found| found["directory"] == directory.as_str())
    };
    let listed = dev.onramp("list --json").ok().json();
    let found = here(&listed, "busy").unwrap();
    assert_eq!((found["branch"].as_str(), found["running"].as_u64()), (Some("busy"), Some(3)), "{found}");
    assert!(dev.onramp("list").ok().stdout.contains("3 up"));

    // Another branch is checked out there, and the first one is no more.
    dev.git("merged", &["checkout", "--quiet", "-b", "next"]);
    dev.git("merged", &["branch", "--quiet", "-D", "merged"]);
    std::fs::rename(dev.path("moved"), dev.path("elsewhere")).unwrap();
    let plan = dev.onramp("prune --dry-run --json").ok().json();
    assert_eq!(here(&plan, "merged").unwrap()["gone"], "branch");
    assert_eq!(here(&plan, "moved").unwrap()["gone"], "directory");
    assert!(here(&plan, "busy").is_none());
    let young = dev.onramp("prune --older-than 7d --dry-run --json").ok().json();
    assert!(here(&young, "merged").is_none(), "it was made a moment ago");

    let volumes = |line: &str| dev.onramp(line).ok().json()["frozen"].to_string();
    assert!(volumes("prune --golden --dry-run --json").contains("onramp.golden.shop."));
    assert!(
        !volumes("prune --dry-run --json").contains("onramp.golden.shop."),
        "their repositories may come back today"
    );

    let unasked = dev.onramp("prune").fails(Class::Usage);
    assert!(unasked.stderr.contains("Remove all of this?"), "{unasked}");
    let data = |branch: &str| engine::data_of(&dev.path("")).iter().any(|name| name.contains(branch));
    assert!(data("merged") && data("moved"));
    dev.onramp("prune --yes").ok();
    assert!(!data("merged") && !data("moved") && data("busy"));
    let listed = dev.onramp("list --json").ok().json();
    assert!(here(&listed, "merged").is_none() && here(&listed, "busy").is_some());
}
