//! Waiting for a forge's checks, on GitHub's answers.

use std::time::Duration;

use onramp::error::{Class, Fault};
use onramp::event::Silent;
use onramp::forge::{Check, Error, Forge, PullRequest, checks};

use crate::github::{HEAD, github};
use crate::server::{Scripted, answer, scripted};

const OTHER: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
const NONE: &str = r#"{"total_count":0,"statuses":[]}"#;

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

/// A pull request, and its reviews.
fn pull(state: &str, head: &str) -> [String; 2] {
    let pull = format!(
        r#"{{"number":1,"title":"T","body":null,"html_url":"https://h/1","state":"{state}","merged_at":null,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"head":{{"ref":"h","sha":"{head}"}},"base":{{"ref":"main","sha":"{OTHER}"}}}}"#
    );
    [ok(&pull), ok("[]")]
}

/// One run, and no status.
fn run(status: &str, conclusion: &str) -> [String; 2] {
    let run = format!(
        r#"{{"total_count":1,"check_runs":[{{"name":"state","status":"{status}","conclusion":{conclusion}}}]}}"#
    );
    [ok(&run), ok(NONE)]
}

/// Waits for what a server tells after it told the pull request.
async fn waited(
    answers: impl IntoIterator<Item = [String; 2]>,
    limit: Duration,
) -> (Result<Vec<Check>, Error>, Scripted) {
    let server = scripted([pull("open", HEAD)].into_iter().chain(answers).flatten().collect());
    let github = github(server.port);
    let pull: PullRequest = github.get(1).await.unwrap();
    (checks::wait(&github, &pull, limit, &Silent).await, server)
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn checks_that_run_are_waited_for() {
    let (done, server) =
        waited([run("in_progress", "null"), pull("open", HEAD), run("completed", "\"success\"")], LONG).await;
    assert_eq!(done.unwrap().len(), 1);
    let asked = server.lines();
    let of_head = asked.iter().filter(|line| line.contains(HEAD)).count();
    assert_eq!((asked.len(), of_head), (8, 4), "the checks are those of the proposed commit: {asked:?}");
}

#[tokio::test]
async fn a_check_that_failed_ends_it() {
    let (done, _) = waited([run("completed", "\"timed_out\"")], LONG).await;
    let error = done.unwrap_err();
    assert_eq!(error.to_string(), "the checks of 6dcb09b in pull request 1 have not all passed; failed: state");
    assert_eq!((error.class(), error.next()), (Class::Failed, vec!["onramp pr show 1".to_owned()]));
}

#[tokio::test]
async fn what_is_not_done_in_time_has_not_passed() {
    let (done, _) = waited([run("queued", "null")], Duration::ZERO).await;
    assert!(done.unwrap_err().to_string().ends_with("not done: state"));
    let (done, _) = waited([[ok(r#"{"total_count":0,"check_runs":[]}"#), ok(NONE)]], Duration::ZERO).await;
    assert!(done.unwrap_err().to_string().ends_with("no check was reported"));
}

#[tokio::test]
async fn another_commit_or_an_end_meanwhile_is_a_conflict() {
    let (moved, _) = waited([run("queued", "null"), pull("open", OTHER)], LONG).await;
    assert!(matches!(moved.unwrap_err(), Error::Moved { number: 1, .. }));
    let (closed, _) = waited([run("queued", "null"), pull("closed", HEAD)], LONG).await;
    let error = closed.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.class()), ("pull request 1 is closed", Class::Conflict));
}
