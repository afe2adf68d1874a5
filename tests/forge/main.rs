//! The forges with a server, each against its API's description and against servers that do what none should.

mod faults;
mod gitea;
mod github;
mod gitlab;
mod prism;
mod server;
mod waits;

use onramp::forge::Proposal;

/// A proposal of anything.
pub fn proposal() -> Proposal {
    Proposal { title: "T".into(), body: "B".into(), head_branch: "deploy/test/shop".into(), base_branch: "main".into() }
}
