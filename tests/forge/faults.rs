//! What goes wrong is of the same class on every forge, and the token stays where it belongs.

use std::time::Duration;

use futures_util::future::join_all;
use onramp::error::{Class, Fault};
use onramp::forge::gitea::Gitea;
use onramp::forge::github::GitHub;
use onramp::forge::gitlab::GitLab;
use onramp::forge::token::Token;
use onramp::forge::{Checked, Error, Forge, Place};
use onramp::settings::ForgeKind;

use crate::proposal;
use crate::server::{Scripted, answer, scripted};

const SERVERS: [ForgeKind; 3] = [ForgeKind::Github, ForgeKind::Gitlab, ForgeKind::Gitea];

fn forge(kind: ForgeKind, server: &Scripted) -> Box<dyn Forge> {
    let api = format!("http://127.0.0.1:{}", server.port);
    let repository = format!("{api}/acme/state.git").parse().unwrap();
    let place = Place::of(kind, Some(&api), &repository).unwrap();
    let token = Token::new("secret-token", "A_VARIABLE").unwrap();
    let timeout = Duration::from_secs(20);
    match kind {
        ForgeKind::Gitlab => Box::new(GitLab::new(place, token, timeout).unwrap()),
        ForgeKind::Gitea => Box::new(Gitea::new(place, token, timeout).unwrap()),
        _ => Box::new(GitHub::new(place, token, timeout).unwrap()),
    }
}

/// What asking for one pull request comes to, and how often it was asked for.
async fn asked(kind: ForgeKind, given: String) -> (Error, usize) {
    let server = scripted(vec![given]);
    let error = forge(kind, &server).get(1).await.unwrap_err();
    let requests = server.requests.lock().unwrap();
    assert!(requests.iter().all(|head| head.contains("Bearer secret-token")), "{kind:?}");
    assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("secret-token"), "{kind:?}");
    (error, requests.len())
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let words = r#"{"message":"Not so"}"#;
    join_all(SERVERS.map(async |kind| {
        for (status, class, times) in [
            ("401 Unauthorized", Class::Auth, 1),
            ("403 Forbidden", Class::Auth, 1),
            ("404 Not Found", Class::Auth, 1),
            ("422 Unprocessable Entity", Class::Config, 1),
            ("429 Too Many Requests", Class::Net, 1),
            ("301 Moved Permanently", Class::Config, 1),
            ("500 Internal Server Error", Class::Net, 3),
        ] {
            let (error, asked) = asked(kind, answer(status, "", words)).await;
            assert_eq!((error.class(), asked), (class, times), "{kind:?} {status}: {error}");
        }
        let (error, _) = asked(kind, answer("401 Unauthorized", "", words)).await;
        assert!(error.to_string().ends_with("refused the token from A_VARIABLE: Not so"), "{error}");
        let program = if kind == ForgeKind::Gitlab {
            "glab"
        } else if kind == ForgeKind::Gitea {
            "tea"
        } else {
            "gh"
        };
        assert!(error.next()[0].starts_with(&format!("{program} ")), "{:?}", error.next());
    }))
    .await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_as_such() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{\"number\": 1, \"iid\"".to_owned();
    let page = "<html><title>Sign in</title></html>";
    for kind in SERVERS {
        for given in [answer("200 OK", "content-type: text/html\r\n", page), half.clone(), answer("200 OK", "", "{}")] {
            let (error, _) = asked(kind, given).await;
            assert!(matches!(error, Error::Unreachable { .. }), "{kind:?}: {error}");
            assert_eq!(error.class(), Class::Net);
        }
        let (error, _) = asked(kind, answer("200 OK", "", &" ".repeat(5 * 1024 * 1024))).await;
        assert_eq!(error.class(), Class::Security, "{kind:?}: {error}");
        // Words that would act on a terminal do not.
        let (error, _) = asked(kind, answer("403 Forbidden", "", r#"{"message":"\u001b[2Jno"}"#)).await;
        assert!(!error.to_string().contains('\u{1b}'), "{kind:?}");
    }
}

#[tokio::test]
async fn what_could_happen_twice_is_asked_once_and_what_passes_is_asked_again() {
    join_all(SERVERS.map(async |kind| {
        let server = scripted(vec![answer("502 Bad Gateway", "", "")]);
        let error = forge(kind, &server).create(proposal()).await.unwrap_err();
        assert_eq!((error.class(), server.lines().len()), (Class::Net, 1), "{kind:?}");
        let server = scripted(vec![answer("502 Bad Gateway", "", ""), answer("200 OK", "", "[]")]);
        assert_eq!(forge(kind, &server).list().await.unwrap(), []);
        assert_eq!(server.lines().len(), 2, "{kind:?}");
        // A limit that ends at once is waited for, also by what could happen twice: nothing happened.
        let limited = answer("429 Too Many Requests", "retry-after: 0\r\n", "{}");
        let server = scripted(vec![limited, answer("403 Forbidden", "", "{}")]);
        let error = forge(kind, &server).create(proposal()).await.unwrap_err();
        assert_eq!((error.class(), server.lines().len()), (Class::Auth, 2), "{kind:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_second_pull_request_of_one_branch_is_a_conflict() {
    for (kind, status, words) in [
        (
            ForgeKind::Github,
            "422 Unprocessable Entity",
            r#"{"message":"Validation Failed","errors":[{"message":"A pull request already exists for acme:x."}]}"#,
        ),
        (
            ForgeKind::Gitlab,
            "409 Conflict",
            r#"{"message":["Another open merge request already exists for this source branch: !12"]}"#,
        ),
        (ForgeKind::Gitea, "409 Conflict", r#"{"message":"pull request already exists for these targets [id: 1]"}"#),
    ] {
        let server = scripted(vec![answer(status, "", words)]);
        let error = forge(kind, &server).create(proposal()).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict, "{kind:?}: {error}");
        assert!(error.to_string().contains("already exists"), "{error}");
    }
}

#[tokio::test]
async fn the_token_follows_nobody_elsewhere() {
    for kind in SERVERS {
        let other = scripted(vec![answer("200 OK", "", "[]")]);
        let link = format!("link: <http://127.0.0.1:{}/steal>; rel=\"next\"\r\n", other.port);
        let server = scripted(vec![answer("200 OK", &link, "[]")]);
        let error = forge(kind, &server).list().await.unwrap_err();
        assert!(error.to_string().contains("another host"), "{error}");
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
            let location = format!("location: http://127.0.0.1:{}/steal\r\n", other.port);
            let server = scripted(vec![answer(status, &location, "")]);
            let error = forge(kind, &server).list().await.unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{error}");
            let error = forge(kind, &server).create(proposal()).await.unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{error}");
        }
        assert_eq!(other.lines().len(), 0, "{kind:?}");
    }
}

const HEAD: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
const BASE: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
const MERGED: &str = "1111111111111111111111111111111111111111";

/// A pull request in the words of all three servers, and its base branch.
fn standing(kind: ForgeKind, merged: bool) -> String {
    let state = match (kind, merged) {
        (_, true) if kind == ForgeKind::Gitlab => "merged",
        (_, true) => "closed",
        (ForgeKind::Gitlab, false) => "opened",
        (_, false) => "open",
    };
    let merged_at = if merged { "\"2026-01-02T00:00:00Z\"" } else { "null" };
    let body = format!(
        r#"{{"number":1,"iid":1,"title":"T","body":null,"description":null,"html_url":"https://h/1","web_url":"https://h/1","state":"{state}","merged":{merged},"merged_at":{merged_at},"merge_commit_sha":"{MERGED}","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"author":null,"source_branch":"h","target_branch":"main","sha":"{HEAD}","head":{{"ref":"h","sha":"{HEAD}"}},"base":{{"ref":"main","sha":"{BASE}"}}}}"#
    );
    answer("200 OK", "", &body)
}

/// What a merge comes to that is answered so, and then looked at; how often it was asked for.
async fn merged(kind: ForgeKind, given: String, done: bool) -> (Result<String, Error>, usize) {
    let mut answers = vec![standing(kind, false)];
    if kind == ForgeKind::Github {
        answers.push(answer("200 OK", "", "[]"));
    }
    answers.push(answer("200 OK", "", &format!(r#"{{"commit":{{"id":"{BASE}","sha":"{BASE}"}}}}"#)));
    answers.extend([given, standing(kind, done)]);
    let server = scripted(answers);
    let checked =
        Checked { head: HEAD.parse().unwrap(), base: BASE.parse().unwrap(), message: "Merge\n\nIt\n".to_owned() };
    let merged = forge(kind, &server).merge(1, checked).await.map(|commit| commit.to_string());
    let asked = server.lines().iter().filter(|line| line.ends_with("/merge")).count();
    (merged, asked)
}

#[tokio::test]
async fn a_merge_is_sent_once_and_one_that_was_done_is_told_as_done() {
    join_all(SERVERS.map(async |kind| {
        let (done, asked) = merged(kind, answer("502 Bad Gateway", "", ""), true).await;
        assert_eq!((done.unwrap().as_str(), asked), (MERGED, 1), "{kind:?}");
        let (open, asked) = merged(kind, answer("502 Bad Gateway", "", ""), false).await;
        assert_eq!((open.unwrap_err().class(), asked), (Class::Net, 1), "{kind:?}");
    }))
    .await;
}

#[tokio::test]
async fn what_a_forge_s_own_rules_hold_did_not_change_meanwhile() {
    join_all(SERVERS.map(async |kind| {
        let words = r#"{"message":"Not so"}"#;
        let (held, _) = merged(kind, answer("405 Method Not Allowed", "", words), false).await;
        assert_eq!(held.unwrap_err().class(), Class::Security, "{kind:?}");
        let (moved, _) = merged(kind, answer("409 Conflict", "", words), false).await;
        assert_eq!(moved.unwrap_err().class(), Class::Conflict, "{kind:?}");
    }))
    .await;
}
