//! What goes wrong is of the same class on every forge, and the token stays where it belongs.

use std::time::Duration;

use futures_util::future::join_all;
use onramp::error::{Class, Fault};
use onramp::forge::gitea::Gitea;
use onramp::forge::github::GitHub;
use onramp::forge::gitlab::GitLab;
use onramp::forge::token::Token;
use onramp::forge::{Error, Forge, Place};
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
