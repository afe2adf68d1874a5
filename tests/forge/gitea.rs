//! Gitea and Forgejo: Prism with what onramp uses of Gitea's API (gitea.swagger.json, which says what of it was verified, and
//! where), and servers for what examples cannot show.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use onramp::error::{Class, Fault};
use onramp::forge::gitea::Gitea;
use onramp::forge::token::Token;
use onramp::forge::{Checked, Error, Forge, Outcome, Place, Proposal, Reviewer, Standing};
use onramp::settings::ForgeKind;

use crate::prism::{Prism, status_of};
use crate::server::{answer, scripted};
use crate::{proposal, status, words};

const HEAD: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
const BASE: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
const MERGED: &str = "c5b97d5ae6c19d5c5df71a34c7fbeeda2479ccbc";

/// The forge at a server of this machine.
pub fn gitea(port: u16) -> Gitea {
    let host = format!("http://127.0.0.1:{port}");
    let place = Place::of(ForgeKind::Gitea, None, &format!("{host}/acme/state.git").parse().unwrap()).unwrap();
    Gitea::new(place, Token::new("secret", "GITEA_SERVER_TOKEN").unwrap(), Duration::from_secs(20)).unwrap()
}

fn prism() -> &'static Prism {
    static PRISM: OnceLock<Prism> = OnceLock::new();
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge/gitea.swagger.json");
    PRISM.get_or_init(|| Prism::start(&description))
}

fn checked(base: &str) -> Checked {
    Checked { head: HEAD.parse().unwrap(), base: base.parse().unwrap(), message: "M\n\nW".into() }
}

#[tokio::test]
async fn every_request_is_one_that_gitea_describes() {
    let gitea = gitea(prism().port);
    let listed = gitea.list().await.unwrap();
    assert_eq!((listed[0].number, listed[0].state, listed[0].head_commit.as_str()), (7, Standing::Open, HEAD));
    assert_eq!(gitea.find_open("deploy/test/shop").await.unwrap().unwrap().number, 7);
    assert_eq!(gitea.find_open("deploy/test/other").await.unwrap(), None);
    let pull = gitea.get(7).await.unwrap();
    assert_eq!((pull.author.id.as_str(), pull.body.as_str()), ("ana", "Because."));
    // A comment takes no approval back; a second thought and a dismissal do.
    assert_eq!(pull.approved_by().map(|person| person.id.as_str()).collect::<Vec<_>>(), ["bo"]);
    // Whoever made what it proposes agreed to nothing.
    assert_eq!((pull.makers.as_slice(), pull.approved_by_others().count()), (["bo".to_owned()].as_slice(), 0));
    assert_eq!(gitea.create(proposal()).await.unwrap().number, 7);
    assert_eq!(gitea.update(7, words(false)).await.unwrap().number, 7);
    let asked = vec![Reviewer::Login("bo".into()), Reviewer::Team("platform".into())];
    assert_eq!(gitea.ask_review(7, asked).await.unwrap().reviewers, ["bo", "platform"]);
    assert_eq!(gitea.comments(7).await.unwrap()[0].body, "Why?");
    gitea.comment(7, "Superseded by #8".into()).await.unwrap();
    assert_eq!(gitea.close(7, "Superseded by #8".into()).await.unwrap().number, 7);
    assert_eq!(gitea.label(7, vec!["urgent".into(), "shop".into()]).await.unwrap().labels, ["urgent"]);
    let checks = gitea.checks(&pull).await.unwrap();
    let checks: Vec<(&str, Outcome)> = checks.iter().map(|check| (check.name.as_str(), check.outcome)).collect();
    assert_eq!(checks, [("lint", Outcome::Passed), ("state", Outcome::Running)]);
    assert!(gitea.say(&HEAD.parse().unwrap(), &status()).await.unwrap());
    assert_eq!(gitea.approve(7, &HEAD.parse().unwrap()).await.unwrap().number, 7);
    assert_eq!(gitea.merge(7, checked(BASE)).await.unwrap().as_str(), MERGED);
    let error = gitea.merge(7, checked(HEAD)).await.unwrap_err();
    assert!(matches!(error, Error::Moved { number: 7, .. }), "{error}");
    // The same server that accepts ours: without this, the test would pass against anything.
    let url = format!("http://127.0.0.1:{}/api/v1/repos/a/b/pulls", prism().port);
    assert_eq!(status_of(&url, r#"{"title":"no branches"}"#).await, 422);
}

#[tokio::test]
async fn refusals_are_classed() {
    let of = |code| gitea(prism().preferring(code));
    let error = of("code=404").get(7).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let error = of("code=403").create(proposal()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    let error = of("code=422").create(proposal()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 422, .. }), "{error}");
    assert_eq!(error.class(), Class::Config);
}

#[tokio::test]
async fn a_merge_waits_until_the_server_has_compared_the_branches() {
    let pull = |merged: bool| {
        let end = |name: &str| format!(r#"{{"ref":"{name}","sha":"{HEAD}","repo_id":3}}"#);
        let state = if merged { "closed" } else { "open" };
        let body = format!(
            r#"{{"number":1,"title":"T","html_url":"https://h/1","state":"{state}","merged":{merged},"merge_commit_sha":"{MERGED}","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"head":{},"base":{}}}"#,
            end("h"),
            end("main")
        );
        answer("200 OK", "", &body)
    };
    let branch = || answer("200 OK", "", &format!(r#"{{"commit":{{"id":"{BASE}"}}}}"#));
    let later = answer("405 Method Not Allowed", "", r#"{"message":"Please try again later"}"#);
    let server =
        scripted(vec![pull(false), branch(), later, pull(false), branch(), answer("200 OK", "", ""), pull(true)]);
    assert_eq!(gitea(server.port).merge(1, checked(BASE)).await.unwrap().as_str(), MERGED);
    assert_eq!(server.lines().len(), 7);
    let never = answer("405 Method Not Allowed", "", r#"{"message":"Work in progress PRs cannot be merged"}"#);
    let server = scripted(vec![pull(false), branch(), never]);
    let error = gitea(server.port).merge(1, checked(BASE)).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.class()),
        ("the forge does not merge pull request 1 as it is: Work in progress PRs cannot be merged", Class::Security)
    );
    let denied = answer("405 Method Not Allowed", "", r#"{"message":"User not allowed to merge PR"}"#);
    let error = gitea(scripted(vec![pull(false), branch(), denied]).port).merge(1, checked(BASE)).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    let conflict = r#"{"Style":"merge","StdOut":"CONFLICT (content): x","StdErr":"","Err":{}}"#;
    let server = scripted(vec![pull(false), branch(), answer("409 Conflict", "", conflict)]);
    let error = gitea(server.port).merge(1, checked(BASE)).await.unwrap_err();
    assert_eq!(error.to_string(), "pull request 1 changed meanwhile: CONFLICT (content): x");
    let server = scripted(vec![pull(true)]);
    let error = gitea(server.port).merge(1, checked(BASE)).await.unwrap_err();
    assert!(matches!(error, Error::NotOpen { state: Standing::Merged, .. }), "{error}");
}

const PULL: &str = r#"{"number":1,"title":"T","html_url":"https://h/1","state":"open","merged":false,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"head":{"ref":"h","sha":"HEAD","repo_id":3},"base":{"ref":"main","sha":"","repo_id":3}}"#;

/// Reviews are counted and have no links to their next page: what takes an approval back may be there.
#[tokio::test]
async fn a_later_page_of_reviews_counts() {
    let of = |id: u64, state: &str, commit: &str, official: bool| {
        format!(
            r#"[{{"id":{id},"user":{{"login":"bo"}},"state":"{state}","official":{official},"dismissed":false,"commit_id":"{commit}"}}]"#
        )
    };
    let review = |id: u64, state: &str, commit: &str| of(id, state, commit, true);
    let page = |body: &str| answer("200 OK", "x-total-count: 2\r\n", body);
    let pull = answer("200 OK", "", &PULL.replace("HEAD", HEAD));
    let first = page(&review(1, "APPROVED", HEAD));
    let server = scripted(vec![pull.clone(), first.clone(), page(&review(2, "REQUEST_CHANGES", HEAD))]);
    assert_eq!(gitea(server.port).get(1).await.unwrap().approved_by().count(), 0);
    assert!(server.lines()[2].ends_with("/pulls/1/reviews?limit=50&page=2"), "{:?}", server.lines());
    // Of a review that was only asked for there is no commit.
    let made = page(&format!(r#"[{{"sha":"{HEAD}","author":null,"committer":null}}]"#));
    let server = scripted(vec![pull.clone(), first, page(&review(2, "REQUEST_REVIEW", "")), made]);
    assert_eq!(gitea(server.port).get(1).await.unwrap().approved_by().count(), 1);
    // Of somebody who may only read it.
    let server = scripted(vec![pull, answer("200 OK", "x-total-count: 1\r\n", &of(1, "APPROVED", HEAD, false))]);
    assert_eq!(gitea(server.port).get(1).await.unwrap().approved_by().count(), 0);
}

#[tokio::test]
async fn all_pages_of_checks_count_and_none_are_none() {
    let reviews = || answer("200 OK", "", "[]");
    let pull = gitea(scripted(vec![answer("200 OK", "", &PULL.replace("HEAD", HEAD)), reviews()]).port);
    let pull = pull.get(1).await.unwrap();
    for none in ["", "null", r#"{"total_count":0,"statuses":null}"#] {
        assert_eq!(gitea(scripted(vec![answer("200 OK", "", none)]).port).checks(&pull).await.unwrap(), []);
    }
    let page = |context: &str, status: &str| {
        let body = format!(r#"{{"total_count":1,"statuses":[{{"context":"{context}","status":"{status}"}}]}}"#);
        answer("200 OK", "", &body)
    };
    let server = scripted(vec![page("a", "success"), page("b", "failure"), page("b", "failure")]);
    let checks = gitea(server.port).checks(&pull).await.unwrap();
    assert_eq!(checks.iter().map(|check| check.outcome).collect::<Vec<_>>(), [Outcome::Passed, Outcome::Failed]);
    let hidden = answer("200 OK", "", r#"{"total_count":2}"#);
    let error = gitea(scripted(vec![hidden]).port).checks(&pull).await.unwrap_err();
    assert!(error.to_string().contains("counts more than it shows"), "{error}");
}

#[tokio::test]
async fn a_draft_is_told_by_its_title_which_is_ours_without_that() {
    let titled = |title: &str, draft: &str| {
        let titled = format!(r#"{{"title":"{title}",{draft}"#);
        answer("200 OK", "", &PULL.replace("HEAD", HEAD).replace(r#""title":"T","#, "").replacen('{', &titled, 1))
    };
    let nobody = || answer("200 OK", "", "[]");
    let old = || titled("WIP: T", "");
    let server = scripted(vec![old(), titled("WIP: T", r#""draft":true,"#), nobody(), titled("T", ""), nobody()]);
    let forge = gitea(server.port);
    let opened = forge.create(Proposal { draft: true, ..proposal() }).await.unwrap();
    assert_eq!((opened.title.as_str(), opened.draft), ("T", true), "an old server does not say it");
    assert!(forge.update(1, words(true)).await.unwrap().draft);
    assert!(!forge.update(1, words(false)).await.unwrap().draft);
    assert_eq!(server.sent("title"), ["WIP: T", "WIP: T", "T"]);
}

#[tokio::test]
async fn a_status_is_set_where_it_says_something_new() {
    let said = |status: &str| {
        let body = format!(
            r#"{{"total_count":1,"statuses":[{{"context":"onramp/policy","status":"{status}","description":"it soaks"}}]}}"#
        );
        answer("200 OK", "x-total-count: 1\r\n", &body)
    };
    let head = HEAD.parse().unwrap();
    for (before, now) in [(said("failure"), false), (said("success"), true), (answer("200 OK", "", "null"), true)] {
        let server = scripted(vec![before, answer("201 Created", "", "{}")]);
        assert_eq!(gitea(server.port).say(&head, &status()).await.unwrap(), now);
        assert_eq!(server.sent("state"), vec!["failure"; usize::from(now)]);
        assert_eq!(server.lines().len(), 1 + usize::from(now));
    }
}
