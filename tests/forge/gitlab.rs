//! GitLab: Prism with what onramp uses of its API (gitlab.openapi.json, which says what of it was verified, and where), and
//! servers for what examples cannot show.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use onramp::error::{Class, Fault};
use onramp::forge::gitlab::GitLab;
use onramp::forge::token::Token;
use onramp::forge::{Checked, Error, Forge, Outcome, Place, Proposal, Reviewer, Standing};
use onramp::settings::ForgeKind;

use crate::prism::{Prism, status_of};
use crate::server::{answer, scripted};
use crate::{proposal, status, words};

const HEAD: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
const BASE: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
const OLD: &str = "553c2077f0edc3d5dc5d17262f6aa498e69d6f8e";
const MERGED: &str = "c5b97d5ae6c19d5c5df71a34c7fbeeda2479ccbc";

fn gitlab(port: u16) -> GitLab {
    let host = format!("http://127.0.0.1:{port}");
    let place = Place::of(ForgeKind::Gitlab, None, &format!("{host}/acme/ops/state.git").parse().unwrap()).unwrap();
    GitLab::new(place, Token::new("glpat-secret", "GITLAB_TOKEN").unwrap(), Duration::from_secs(20)).unwrap()
}

fn prism() -> &'static Prism {
    static PRISM: OnceLock<Prism> = OnceLock::new();
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge/gitlab.openapi.json");
    PRISM.get_or_init(|| Prism::start(&description))
}

fn checked(base: &str) -> Checked {
    Checked { head: HEAD.parse().unwrap(), base: base.parse().unwrap(), message: "M\n\nW".into() }
}

#[tokio::test]
async fn every_request_is_one_that_gitlab_documents() {
    let gitlab = gitlab(prism().port);
    let listed = gitlab.list().await.unwrap();
    assert_eq!((listed[0].number, listed[0].state, listed[0].head_commit.as_str()), (7, Standing::Open, HEAD));
    assert_eq!(gitlab.find_open("deploy/test/shop").await.unwrap().unwrap().number, 7);
    let pull = gitlab.get(7).await.unwrap();
    assert_eq!((pull.author.id.as_str(), pull.author.name.as_str(), pull.body.as_str()), ("ana", "Ana", "Because."));
    assert_eq!(pull.approved_by().map(|person| person.id.as_str()).collect::<Vec<_>>(), ["bo"]);
    // Whoever made what it proposes agreed to nothing: the commit has Bo's public mail address.
    assert_eq!((pull.makers.as_slice(), pull.approved_by_others().count()), (["bo".to_owned()].as_slice(), 0));
    assert_eq!(gitlab.create(proposal()).await.unwrap().number, 7);
    assert_eq!(gitlab.update(7, words(false)).await.unwrap().number, 7);
    let asked = vec![Reviewer::Login("cy".into()), Reviewer::Team("platform".into())];
    assert_eq!(gitlab.ask_review(7, asked).await.unwrap().reviewers, ["bo"], "as its example has them");
    let said = gitlab.comments(7).await.unwrap();
    assert_eq!(said.iter().map(|comment| comment.body.as_str()).collect::<Vec<_>>(), ["Why?"]);
    gitlab.comment(7, "Superseded by !8".into()).await.unwrap();
    assert_eq!(gitlab.close(7, "Superseded by !8".into()).await.unwrap().number, 7);
    assert_eq!(gitlab.label(7, vec!["urgent".into(), "shop".into()]).await.unwrap().labels, ["urgent"]);
    let checks = gitlab.checks(&pull).await.unwrap();
    let checks: Vec<(&str, Outcome)> = checks.iter().map(|check| (check.name.as_str(), check.outcome)).collect();
    assert_eq!(checks, [("lint", Outcome::Passed), ("state", Outcome::Running), ("pipeline", Outcome::Passed)]);
    assert!(gitlab.say(&HEAD.parse().unwrap(), &status()).await.unwrap());
    assert_eq!(gitlab.approve(7, &HEAD.parse().unwrap()).await.unwrap().number, 7);
    assert_eq!(gitlab.merge(7, checked(BASE)).await.unwrap().as_str(), MERGED);
    let error = gitlab.merge(7, checked(HEAD)).await.unwrap_err();
    assert!(matches!(error, Error::Moved { number: 7, .. }), "{error}");
    // The same server that accepts ours: without this, the test would pass against anything.
    let url = format!("http://127.0.0.1:{}/api/v4/projects/a%2Fb/merge_requests", prism().port);
    assert_eq!(status_of(&url, r#"{"title":"no branches"}"#).await, 422);
}

#[tokio::test]
async fn refusals_are_classed() {
    let of = |code| gitlab(prism().preferring(code));
    let error = of("code=404").get(7).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let error = of("code=409").approve(7, &HEAD.parse().unwrap()).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.class()),
        ("pull request 7 changed meanwhile: 409 refused", Class::Conflict)
    );
    // GitLab's 401 to somebody whom it lets approve nothing: the token is good.
    let error = of("code=401").approve(7, &HEAD.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    assert!(error.hint().unwrap().contains("Developer"));
}

const REQUEST: &str = r#"{"iid":1,"title":"T","description":null,"web_url":"https://h/1","state":"opened","author":{"id":1,"username":"ana","name":"Ana"},"source_branch":"h","target_branch":"main","source_project_id":SOURCE,"target_project_id":3,"sha":"HEAD","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","detailed_merge_status":"STATUS"}"#;

fn request(source: u64, status: &str) -> String {
    REQUEST.replace("SOURCE", &source.to_string()).replace("HEAD", HEAD).replace("STATUS", status)
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

#[tokio::test]
async fn an_approval_is_of_what_was_there_when_it_was_given() {
    let user = |id: u64, name: &str| format!(r#"{{"id":{id},"username":"{name}","name":"{name}"}}"#);
    let (bo, cy, di, eve) = (user(2, "bo"), user(3, "cy"), user(4, "di"), user(5, "eve"));
    // Bo approved the first version, Cy the second; of Di's only a note of GitLab's tells; Eve wrote hers herself.
    let approvals = format!(
        r#"{{"approved_by":[{{"user":{bo},"approved_at":"2026-01-01T00:30:00Z"}},{{"user":{cy},"approved_at":"2026-01-01T02:00:00Z"}},{{"user":{di}}},{{"user":{eve}}}]}}"#
    );
    let versions = format!(
        r#"[{{"head_commit_sha":"{HEAD}","created_at":"2026-01-01T01:00:00Z"}},{{"head_commit_sha":"{OLD}","created_at":"2026-01-01T00:00:00Z"}}]"#
    );
    let note = |user: &str, system: bool| {
        format!(
            r#"{{"author":{user},"created_at":"2026-01-01T03:00:00Z","body":"approved this merge request","system":{system}}}"#
        )
    };
    let notes = format!("[{},{}]", note(&eve, false), note(&di, true));
    let made = r#"[{"author_email":"4-di@users.noreply.git.acme.test","committer_email":"x@acme.test"}]"#;
    let server = scripted(vec![ok(&request(3, "mergeable")), ok(&approvals), ok(&versions), ok(made), ok(&notes)]);
    let pull = gitlab(server.port).get(1).await.unwrap();
    assert_eq!(pull.approved_by().map(|person| person.id.as_str()).collect::<Vec<_>>(), ["cy", "di"]);
    // The private mail address that GitLab makes of a number tells, too, whose a commit is.
    assert_eq!(pull.approved_by_others().map(|person| person.id.as_str()).collect::<Vec<_>>(), ["cy"]);
    assert_eq!((pull.approvals[0].by.id.as_str(), pull.approvals[0].commit.as_str()), ("bo", OLD));
}

#[tokio::test]
async fn whoever_approved_what_was_there_before_approves_again() {
    let refused = || answer("401 Unauthorized", "", r#"{"message":"401 Unauthorized"}"#);
    let user = r#"{"id":2,"username":"bo","name":"Bo"}"#;
    let given = |at: &str| {
        ok(&format!(
            r#"{{"user_has_approved":true,"approved_by":[{{"user":{user},"approved_at":"2026-01-01T{at}:00Z"}}]}}"#
        ))
    };
    let versions = || {
        ok(&format!(
            r#"[{{"head_commit_sha":"{HEAD}","created_at":"2026-01-01T01:00:00Z"}},{{"head_commit_sha":"{OLD}","created_at":"2026-01-01T00:00:00Z"}}]"#
        ))
    };
    let mergeable = || ok(&request(3, "mergeable"));
    let server = scripted(vec![
        refused(),
        given("00:30"),
        mergeable(),
        given("00:30"),
        versions(),
        ok("[]"),
        ok("{}"),
        ok("{}"),
        mergeable(),
        given("02:00"),
        versions(),
        ok("[]"),
    ]);
    let head = HEAD.parse().unwrap();
    assert_eq!(gitlab(server.port).approve(1, &head).await.unwrap().approvals[0].commit, head);
    let path = "/api/v4/projects/acme%2Fops%2Fstate/merge_requests/1";
    assert_eq!(server.lines()[6..8], [format!("POST {path}/unapprove"), format!("POST {path}/approve")]);
    // Of this commit already: nothing is taken back.
    let server = scripted(vec![
        refused(),
        given("02:00"),
        mergeable(),
        given("02:00"),
        versions(),
        ok("[]"),
        mergeable(),
        given("02:00"),
        versions(),
        ok("[]"),
    ]);
    gitlab(server.port).approve(1, &head).await.unwrap();
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn a_merge_waits_until_gitlab_knows_whether_it_can_be() {
    let branch = format!(r#"{{"commit":{{"id":"{BASE}"}}}}"#);
    // A project that moves its branch forward makes no merge commit.
    let forward = r#"{"merge_commit_sha":null,"squash_commit_sha":null}"#;
    let server = scripted(vec![
        ok(&request(3, "unchecked")),
        ok(&request(3, "checking")),
        ok(&request(3, "mergeable")),
        ok(&branch),
        ok(forward),
    ]);
    assert_eq!(gitlab(server.port).merge(1, checked(BASE)).await.unwrap().as_str(), HEAD);
    let server = scripted(vec![
        ok(&request(3, "conflict")),
        ok(&branch),
        answer("422 Unprocessable Entity", "", r#"{"message":"Branch cannot be merged"}"#),
    ]);
    let error = gitlab(server.port).merge(1, checked(BASE)).await.unwrap_err();
    assert_eq!(error.to_string(), "pull request 1 changed meanwhile: Branch cannot be merged");
    assert_eq!(server.lines()[2], "PUT /api/v4/projects/acme%2Fops%2Fstate/merge_requests/1/merge");
}

#[tokio::test]
async fn the_branch_of_a_fork_is_not_ours() {
    let server = scripted(vec![ok(&format!("[{}]", request(9, "mergeable")))]);
    assert_eq!(gitlab(server.port).find_open("h").await.unwrap(), None);
}

#[tokio::test]
async fn a_used_up_limit_says_when_it_ends() {
    let headers = "ratelimit-remaining: 0\r\nratelimit-reset: 1893456000\r\n";
    let server = scripted(vec![answer("429 Too Many Requests", headers, "Retry later")]);
    let error = gitlab(server.port).list().await.unwrap_err();
    assert!(error.to_string().ends_with("at 2030-01-01T00:00:00Z"), "{error}");
}

#[tokio::test]
async fn a_pipeline_of_another_commit_or_a_skipped_one_is_no_check() {
    let with = |status: &str, sha: &str| {
        let pipeline = format!(r#"{{"head_pipeline":{{"status":"{status}","sha":"{sha}"}},"#);
        ok(&request(3, "mergeable").replacen('{', &pipeline, 1))
    };
    let pull = gitlab(scripted(vec![ok(&request(3, "mergeable")), ok(r#"{"approved_by":[]}"#)]).port);
    let pull = pull.get(1).await.unwrap();
    let parents = |second: &str| ok(&format!(r#"{{"parent_ids":["{BASE}","{second}"]}}"#));
    for (answers, expected) in [
        (vec![ok("[]"), with("success", HEAD)], 1),
        (vec![ok("[]"), with("skipped", HEAD)], 0),
        (vec![ok("[]"), with("success", OLD), parents(BASE)], 0),
        // Of what its merge would be.
        (vec![ok("[]"), with("success", OLD), parents(HEAD)], 1),
        (vec![ok(r#"[{"name":"a","status":"skipped"}]"#), ok(&request(3, "mergeable"))], 0),
    ] {
        assert_eq!(gitlab(scripted(answers).port).checks(&pull).await.unwrap().len(), expected);
    }
}

#[tokio::test]
async fn a_draft_is_told_by_its_title_which_is_ours_without_that() {
    let titled = |title: &str, draft: bool| {
        let titled = format!(r#"{{"title":"{title}","draft":{draft},"#);
        ok(&request(3, "mergeable").replace(r#""title":"T","#, "").replacen('{', &titled, 1))
    };
    let nobody = || ok(r#"{"approved_by":[]}"#);
    let server =
        scripted(vec![titled("Draft: T", true), titled("Draft: T", true), nobody(), titled("T", false), nobody()]);
    let forge = gitlab(server.port);
    let opened = forge.create(Proposal { draft: true, ..proposal() }).await.unwrap();
    assert_eq!((opened.title.as_str(), opened.draft), ("T", true));
    assert!(forge.update(1, words(true)).await.unwrap().draft);
    assert!(!forge.update(1, words(false)).await.unwrap().draft);
    assert_eq!(server.sent("title"), ["Draft: T", "Draft: T", "T"]);

    let branch = ok(&format!(r#"{{"commit":{{"id":"{BASE}"}}}}"#));
    let server = scripted(vec![titled("Draft: T", true), branch]);
    let error = gitlab(server.port).merge(1, checked(BASE)).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.class()), ("pull request 1 is a draft", Class::Security));
    assert_eq!(error.next(), ["onramp pr ready 1"]);
    assert_eq!(server.lines().len(), 2, "nothing was merged");
}

#[tokio::test]
async fn a_status_is_set_where_it_says_something_new() {
    let said = |status: &str, description: &str| {
        ok(&format!(r#"[{{"name":"onramp/policy","status":"{status}","description":"{description}"}}]"#))
    };
    let head = HEAD.parse().unwrap();
    for (before, now) in [
        (said("failed", "it soaks"), false),
        (said("success", "it soaks"), true),
        (said("failed", "it is frozen"), true),
        (ok("[]"), true),
    ] {
        let server = scripted(vec![before, answer("201 Created", "", "{}")]);
        assert_eq!(gitlab(server.port).say(&head, &status()).await.unwrap(), now);
        let lines = server.lines();
        assert!(
            lines[0].ends_with(&format!("/commits/{HEAD}/statuses?name=onramp%2Fpolicy&per_page=100")),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 1 + usize::from(now));
        assert_eq!(server.sent("state"), vec!["failed"; usize::from(now)]);
    }
}
