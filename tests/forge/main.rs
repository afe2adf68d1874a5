//! The forges with a server, each against its API's description and against servers that do what none should.

mod drafts;
mod faults;
#[path = "../fixture/mod.rs"]
mod fixture;
mod gitea;
mod github;
mod gitlab;
mod prism;
mod server;
mod waits;

use onramp::forge::{Proposal, Status, Words};

/// A proposal of anything.
pub fn proposal() -> Proposal {
    Proposal {
        title: "T".into(),
        body: "B".into(),
        draft: false,
        head_branch: "deploy/test/shop".into(),
        base_branch: "main".into(),
    }
}

/// Other words, of a draft or not.
pub fn words(draft: bool) -> Words {
    Words { title: "T".into(), body: "B".into(), draft }
}

/// What `state check --status` says of a commit that lacks something.
pub fn status() -> Status {
    Status { context: "onramp/policy".into(), passed: false, description: "it soaks".into() }
}
