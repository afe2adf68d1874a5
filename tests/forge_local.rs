//! The forge without a server, on a real repository: two people, their pull requests, their races.

mod fixture;

use fixture::{Company, RULES, declaration, identity};
use onramp::error::{Class, Fault};
use onramp::forge::local::Local;
use onramp::forge::{Checked, Error, Forge, Proposal, PullRequest, Standing, Words};
use onramp::git::{Commit, RefUpdate};
use onramp::state::State;

const FILE: &str = "environments/test/shop.toml";

fn company() -> Company {
    Company::with(&[("state.toml", RULES), (FILE, &declaration("one"))])
}

/// Somebody pushes a branch that changes the declaration.
fn branch(state: &State, who: &str, branch: &str, seed: &str) -> Commit {
    let mirror = state.mirror();
    let head = state.head().unwrap();
    let change = (FILE.to_owned(), Some(declaration(seed).into_bytes()));
    let commit = mirror.commit(&[head], &[change], &format!("Change to {seed}"), &identity(who)).unwrap();
    let name = format!("refs/heads/{branch}");
    let expected = mirror.refs(&name).unwrap().remove(&name);
    mirror.push(&[RefUpdate { name, expected, target: Some(commit.clone()) }]).unwrap();
    commit
}

async fn propose(forge: &Local, branch: &str) -> Result<PullRequest, Error> {
    let (title, body) = (format!("Change {branch}"), "Because.".to_owned());
    let proposal =
        Proposal { title, body, draft: false, head_branch: branch.to_owned(), base_branch: "main".to_owned() };
    forge.create(proposal).await
}

fn checked(state: &State, head: &Commit) -> Checked {
    Checked { head: head.clone(), base: state.head().unwrap(), message: "Merge pull request #1\n\nWords\n".into() }
}

#[tokio::test]
async fn a_pull_request_lives_from_proposal_to_merge() {
    let company = company();
    let (ada, bob) = (company.forge("ada"), company.forge("bob"));
    let state = company.state("ada");
    let commit = branch(&state, "ada", "deploy/test/shop", "two");

    let pull = propose(&ada, "deploy/test/shop").await.unwrap();
    assert_eq!((pull.number, pull.state, &pull.head_commit), (1, Standing::Open, &commit));
    assert_eq!(ada.find_open("deploy/test/shop").await.unwrap().as_ref(), Some(&pull));
    assert_eq!(ada.find_open("deploy/test/other").await.unwrap(), None);

    ada.label(1, vec!["urgent".into(), "shop".into()]).await.unwrap();
    let labelled = bob.label(1, vec!["shop".into(), "late".into()]).await.unwrap();
    assert_eq!(labelled.labels, ["urgent", "shop", "late"]);

    let approved = bob.approve(1, &commit).await.unwrap();
    let people: Vec<&str> = approved.approved_by().map(|person| person.id.as_str()).collect();
    assert_eq!(people, ["bob@acme.test"]);
    let again = bob.approve(1, &commit).await.unwrap();
    assert_eq!(again.approvals.len(), 1, "one person is one approval");

    let merged = ada.merge(1, checked(&state, &commit)).await.unwrap();
    state.refresh(false).unwrap();
    assert_eq!(state.head().unwrap(), merged);
    assert_eq!(state.mirror().parents(&merged).unwrap().len(), 2, "a real merge commit");
    assert!(
        company.git(&["show", "main:environments/test/shop.toml"]).contains(declaration("two").lines().nth(3).unwrap())
    );
    assert_eq!(company.git(&["for-each-ref", "refs/heads"]).lines().count(), 1, "the branch is gone");
    assert_eq!(ada.list().await.unwrap(), []);
    let closed = bob.get(1).await.unwrap();
    assert_eq!((closed.state, closed.head_commit), (Standing::Merged, commit.clone()));

    // Everything that happened is in the chain of its record.
    let history = company.git(&["log", "--format=%an %s", "refs/pull/1/data"]);
    assert_eq!(
        history.lines().map(|line| line.rsplit_once(' ').map_or(line, |(a, _)| a).to_owned()).collect::<Vec<_>>(),
        ["ada Merge as", "bob Approve", "bob Approve", "bob", "ada", "ada Propose: Change"]
    );
    let error = bob.approve(1, &commit).await.unwrap_err();
    assert!(matches!(error, Error::NotOpen { number: 1, state: Standing::Merged }));
    assert_eq!(error.class(), Class::Conflict);
}

#[tokio::test]
async fn two_that_open_one_of_the_same_branch_make_one() {
    let company = company();
    let (ada, bob) = (company.forge("ada"), company.forge("bob"));
    branch(&company.state("ada"), "ada", "deploy/test/shop", "two");
    assert_eq!(bob.find_open("deploy/test/shop").await.unwrap(), None);
    let pull = propose(&ada, "deploy/test/shop").await.unwrap();
    // What bob saw a moment ago is all that he goes by: his first number is taken.
    assert_eq!(propose(&bob, "deploy/test/shop").await.unwrap(), pull);
    assert_eq!(company.git(&["for-each-ref", "refs/pull"]).lines().count(), 2);
}

#[tokio::test]
async fn one_that_is_half_in_the_mirror_is_not_there_yet() {
    let company = company();
    let ada = company.forge("ada");
    let commit = branch(&company.state("ada"), "ada", "deploy/test/shop", "two");
    propose(&ada, "deploy/test/shop").await.unwrap();
    company.git(&["update-ref", "-d", "refs/pull/1/head"]);
    company.git(&["update-ref", "-d", "refs/heads/deploy/test/shop"]);
    let bob = company.forge("bob");
    assert_eq!(bob.list().await.unwrap(), []);
    company.git(&["update-ref", "refs/pull/1/head", commit.as_str()]);
    assert_eq!(company.forge("carol").list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_draft_is_merged_only_once_it_is_ready() {
    let company = company();
    let (ada, bob) = (company.forge("ada"), company.forge("bob"));
    let state = company.state("ada");
    let commit = branch(&state, "ada", "deploy/test/shop", "two");
    let pull = propose(&ada, "deploy/test/shop").await.unwrap();
    let record = || company.git(&["show", "refs/pull/1/data:pull.toml"]);
    assert!(!pull.draft && !record().contains("draft"), "what an earlier onramp wrote and reads");
    let words = |draft: bool| Words { title: "Change".into(), body: "Because.".into(), draft };
    assert!(bob.update(1, words(true)).await.unwrap().draft);
    assert!(record().contains("draft = true"));
    bob.approve(1, &commit).await.unwrap();
    let error = ada.merge(1, checked(&state, &commit)).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.class()), ("pull request 1 is a draft", Class::Security));
    assert_eq!(error.next(), ["onramp pr ready 1"]);
    let ready = ada.update(1, words(false)).await.unwrap();
    assert_eq!((ready.draft, ready.approved_by().count()), (false, 1));
    ada.merge(1, checked(&state, &commit)).await.unwrap();
}

#[tokio::test]
async fn an_approval_is_of_a_commit() {
    let company = company();
    let (ada, bob) = (company.forge("ada"), company.forge("bob"));
    let state = company.state("ada");
    let first = branch(&state, "ada", "deploy/test/shop", "two");
    propose(&ada, "deploy/test/shop").await.unwrap();
    bob.approve(1, &first).await.unwrap();
    let second = branch(&state, "ada", "deploy/test/shop", "three");
    let pull = bob.get(1).await.unwrap();
    assert_eq!(pull.head_commit, second, "what is proposed is what the branch holds");
    assert_eq!(pull.approved_by().count(), 0);
    let error = bob.approve(1, &first).await.unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert!(matches!(ada.merge(1, checked(&state, &first)).await.unwrap_err(), Error::Moved { .. }));
}

#[tokio::test]
async fn a_base_that_moved_after_the_check_is_not_merged_into() {
    let company = company();
    let ada = company.forge("ada");
    let state = company.state("ada");
    let commit = branch(&state, "ada", "deploy/test/shop", "two");
    propose(&ada, "deploy/test/shop").await.unwrap();
    let seen = checked(&state, &commit);
    company.push(&[("README", "moved")], "Meanwhile");
    let error = ada.merge(1, seen).await.unwrap_err();
    assert!(matches!(error, Error::Moved { number: 1, .. }), "{error}");
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(company.git(&["log", "-1", "--format=%s", "main"]).trim(), "Meanwhile");
    assert_eq!(ada.get(1).await.unwrap().state, Standing::Open);
}

#[tokio::test]
async fn what_is_superseded_is_closed_with_words_once() {
    let company = company();
    let (ada, bob) = (company.forge("ada"), company.forge("bob"));
    let state = company.state("ada");
    let commit = branch(&state, "ada", "deploy/test/shop", "two");
    propose(&ada, "deploy/test/shop").await.unwrap();
    bob.comment(1, "Why?\n\n@everyone".into()).await.unwrap();
    let closed = ada.close(1, "Superseded by #2".into()).await.unwrap();
    assert_eq!((closed.state, &closed.head_commit), (Standing::Closed, &commit));
    let again = bob.close(1, "Superseded by #3".into()).await.unwrap();
    assert_eq!(again.state, Standing::Closed);
    let said = bob.comments(1).await.unwrap();
    let said: Vec<(&str, &str)> = said.iter().map(|c| (c.by.id.as_str(), c.body.as_str())).collect();
    assert_eq!(said, [("bob@acme.test", "Why?\n\n@everyone"), ("ada@acme.test", "Superseded by #2")]);
    assert_eq!(ada.list().await.unwrap(), []);
    assert_eq!(ada.find_open("deploy/test/shop").await.unwrap(), None);
    assert_eq!(company.git(&["for-each-ref", "refs/heads"]).lines().count(), 2, "its branch stays");
    assert!(matches!(ada.merge(1, checked(&state, &commit)).await.unwrap_err(), Error::NotOpen { .. }));

    // A later word changes neither where it stands nor what it proposed, though the branch goes on.
    branch(&state, "ada", "deploy/test/shop", "three");
    ada.comment(1, "Thanks".into()).await.unwrap();
    let later = bob.get(1).await.unwrap();
    assert_eq!((later.state, later.head_commit), (Standing::Closed, commit));
    // What would no longer be read is not written.
    let error = ada.comment(1, "x".repeat(1024 * 1024)).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.class()),
        ("pull request 1 holds more than 1 MiB of words with this", Class::Usage)
    );
    assert_eq!(bob.comments(1).await.unwrap().len(), 3);
    assert!(matches!(ada.comment(9, "Lost".into()).await.unwrap_err(), Error::NoPull { number: 9 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_propose_at_once_both_get_a_number() {
    let company = company();
    let (ada, bob) = (company.forge("ada"), company.forge("bob"));
    branch(&company.state("ada"), "ada", "deploy/test/shop", "two");
    branch(&company.state("bob"), "bob", "deploy/production/shop", "three");
    let (one, two) = tokio::join!(propose(&ada, "deploy/test/shop"), propose(&bob, "deploy/production/shop"));
    let mut numbers = [one.unwrap().number, two.unwrap().number];
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(company.forge("eve").list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let company = company();
    let ada = company.forge("ada");
    let error = ada.get(7).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.class()), ("there is no pull request 7", Class::Usage));
    assert!(propose(&ada, "deploy/test/nobody-pushed").await.is_err());
    assert_eq!(company.git(&["for-each-ref", "refs/pull"]), "", "nothing half-done stays");
}

#[tokio::test]
async fn a_damaged_record_names_its_place() {
    let company = company();
    let state = company.state("ada");
    let commit = branch(&state, "ada", "deploy/test/shop", "two");
    let mirror = state.mirror();
    let change = ("pull.toml".to_owned(), Some(b"schema = 1\ntitel = \"x\"\n".to_vec()));
    let data = mirror.commit(&[], &[change], "x", &identity("ada")).unwrap();
    let update =
        |name: &str, target: &Commit| RefUpdate { name: name.into(), expected: None, target: Some(target.clone()) };
    mirror.push(&[update("refs/pull/1/data", &data), update("refs/pull/1/head", &commit)]).unwrap();
    let error = company.forge("bob").get(1).await.unwrap_err();
    assert_eq!(error.to_string(), "refs/pull/1/pull.toml:2:1: unknown key `titel`");
}
