//! The forge without a server: pull requests kept in the state repository itself.
//!
//! `refs/pull/<n>/data` is a chain of commits whose tree holds one file, `pull.toml`; every change is one more commit, so
//! the chain is the pull request's history. `refs/pull/<n>/head` is the commit that was proposed. While a pull request is
//! open, what it proposes is what its branch holds, as on any forge.
//!
//! Who somebody is, is what git says they are: everybody who may push to the state repository is trusted not to lie
//! about their name. Where that is too little, a server is needed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Approval, Check, Checked, Comment, Error, Forge, Person, Proposal, PullRequest, Reviewer, Standing, Status,
    Words, ready,
};
use crate::document::{self, SCHEMA};
use crate::git::{self, Commit, Identity, Mirror, RefUpdate};
use crate::task::blocking;

const FILE: &str = "pull.toml";
const PULLS: &str = "refs/pull/";
const BRANCHES: &str = "refs/heads/";
const CAP: u64 = 1024 * 1024;
/// How often the next number is tried for when somebody else took it first.
const TRIES: usize = 50;

/// The local forge of one state repository.
#[derive(Clone)]
pub struct Local {
    mirror: Mirror,
    me: Identity,
    offline: bool,
}

/// The contents of `pull.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    schema: i64,
    title: String,
    body: String,
    head: String,
    base: String,
    state: Standing,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    draft: bool,
    created: Timestamp,
    author: Person,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reviewers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approval: Vec<Approval>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    comment: Vec<Comment>,
}

impl Local {
    /// The forge of the repository behind `mirror`, used as `me`. With `offline` it is read as it was last fetched.
    pub fn new(mirror: Mirror, me: Identity, offline: bool) -> Self {
        Self { mirror, me, offline }
    }

    fn me(&self) -> Person {
        Person { id: self.me.email.clone(), name: self.me.name.clone() }
    }

    fn read(&self, number: u64) -> Result<(Record, PullRequest, Commit), Error> {
        let name = format!("{PULLS}{number}/data");
        let data = self.mirror.refs(&name)?.remove(&name).ok_or(Error::NoPull { number })?;
        let (record, pull) = self.at(number, &data, &self.mirror.refs(BRANCHES)?)?;
        Ok((record, pull, data))
    }

    /// The pull request that a record and the branches of this moment tell of.
    fn at(
        &self,
        number: u64,
        data: &Commit,
        branches: &BTreeMap<String, Commit>,
    ) -> Result<(Record, PullRequest), Error> {
        let shown = PathBuf::from(format!("{PULLS}{number}/{FILE}"));
        let contents = self.mirror.read(data, FILE, CAP)?.unwrap_or_default();
        let record: Record = document::parse(&shown, &String::from_utf8_lossy(&contents))?;
        let head_name = format!("{PULLS}{number}/head");
        let of_branch = match record.state {
            Standing::Open => branches.get(&branch_ref(&record.head)),
            Standing::Merged | Standing::Closed => None,
        };
        let head_commit = match of_branch {
            Some(commit) => commit.clone(),
            None => self.mirror.resolve(&head_name)?,
        };
        let (_, updated) = self.mirror.describe(data)?;
        let pull = PullRequest {
            number,
            title: record.title.clone(),
            body: record.body.clone(),
            author: record.author.clone(),
            makers: vec![self.mirror.author(&head_commit)?.email],
            head_branch: record.head.clone(),
            base_branch: record.base.clone(),
            head_commit,
            state: record.state,
            draft: record.draft,
            approvals: record.approval.clone(),
            reviewers: record.reviewers.clone(),
            labels: record.labels.clone(),
            url: format!("onramp pr show {number}"),
            created: record.created,
            updated,
        };
        Ok((record, pull))
    }

    fn fresh(&self, number: u64) -> Result<(Record, PullRequest, Commit), Error> {
        self.mirror.refresh(self.offline)?;
        self.read(number)
    }

    fn open(&self, number: u64) -> Result<(Record, PullRequest, Commit), Error> {
        let found = self.fresh(number)?;
        match found.0.state {
            Standing::Open => Ok(found),
            state => Err(Error::NotOpen { number, state }),
        }
    }

    /// The next commit of a pull request's record.
    fn record(&self, parents: &[Commit], record: &Record, what: &str) -> Result<Commit, Error> {
        let text = toml::to_string(record).expect("a record is plain data");
        Ok(self.mirror.commit(parents, &[(FILE.to_owned(), Some(text.into_bytes()))], what, &self.me)?)
    }

    /// Pushes a change of a pull request's record, its head ref following the branch while it is open.
    fn push(&self, pull: &PullRequest, data: &Commit, record: &Record, what: &str) -> Result<PullRequest, Error> {
        if toml::to_string(record).is_ok_and(|text| text.len() as u64 > CAP) {
            return Err(Error::Full { number: pull.number });
        }
        let next = self.record(std::slice::from_ref(data), record, what)?;
        let number = pull.number;
        self.mirror
            .push(&[Self::move_data(number, Some(data), &next), self.move_head(pull)?])
            .map_err(|e| moved(number, e))?;
        Ok(self.read(number)?.1)
    }

    fn move_data(number: u64, from: Option<&Commit>, to: &Commit) -> RefUpdate {
        RefUpdate { name: format!("{PULLS}{number}/data"), expected: from.cloned(), target: Some(to.clone()) }
    }

    fn move_head(&self, pull: &PullRequest) -> Result<RefUpdate, Error> {
        let name = format!("{PULLS}{}/head", pull.number);
        let expected = self.mirror.refs(&name)?.remove(&name);
        Ok(RefUpdate { name, expected, target: Some(pull.head_commit.clone()) })
    }

    fn list_now(&self) -> Result<Vec<PullRequest>, Error> {
        self.mirror.refresh_if_old(self.offline)?;
        self.open_ones()
    }

    fn open_ones(&self) -> Result<Vec<PullRequest>, Error> {
        let branches = self.mirror.refs(BRANCHES)?;
        let mut pulls = Vec::new();
        for (name, data) in self.mirror.refs(PULLS)? {
            let Some(number) = number_of(&name) else { continue };
            if name.ends_with("/data") {
                match self.at(number, &data, &branches) {
                    Ok((_, pull)) => pulls.push(pull),
                    // Another process is just bringing it into the mirror, ref by ref.
                    Err(Error::Git(git::Error::NoCommit { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        pulls.retain(|pull| pull.state == Standing::Open);
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        Ok(pulls)
    }

    fn create_now(&self, proposal: &Proposal) -> Result<PullRequest, Error> {
        let branch = branch_ref(&proposal.head_branch);
        if self.mirror.resolve(&branch).is_err() {
            // It was pushed from elsewhere.
            self.mirror.refresh(self.offline)?;
        }
        for _ in 0..TRIES {
            // Who opened one of this branch meanwhile proposes the same.
            if let Some(open) = self.open_ones()?.into_iter().find(|pull| pull.head_branch == proposal.head_branch) {
                return Ok(open);
            }
            let number = 1 + self.mirror.refs(PULLS)?.keys().filter_map(|name| number_of(name)).max().unwrap_or(0);
            let head = self.mirror.resolve(&branch)?;
            let record = Record {
                schema: SCHEMA,
                title: proposal.title.clone(),
                body: proposal.body.clone(),
                head: proposal.head_branch.clone(),
                base: proposal.base_branch.clone(),
                state: Standing::Open,
                draft: proposal.draft,
                created: Timestamp::now(),
                author: self.me(),
                reviewers: Vec::new(),
                labels: Vec::new(),
                approval: Vec::new(),
                comment: Vec::new(),
            };
            let data = self.record(&[], &record, &format!("Propose: {}", record.title))?;
            let head = RefUpdate { name: format!("{PULLS}{number}/head"), expected: None, target: Some(head) };
            match self.mirror.push(&[head, Self::move_data(number, None, &data)]) {
                Ok(()) => return Ok(self.read(number)?.1),
                // Somebody else took the number; the next one is as good.
                Err(git::Error::Moved { .. }) => self.mirror.refresh(self.offline)?,
                Err(error) => return Err(error.into()),
            }
        }
        let detail = format!("{TRIES} times somebody else took the next pull request number");
        Err(git::Error::Moved { url: self.mirror.url().to_string(), detail }.into())
    }

    fn update_now(&self, number: u64, words: Words) -> Result<PullRequest, Error> {
        let (record, pull, data) = self.open(number)?;
        let Words { title, body, draft } = words;
        let next = Record { title, body, draft, ..record };
        self.push(&pull, &data, &next, "Update the description")
    }

    fn ask_review_now(&self, number: u64, reviewers: &[Reviewer]) -> Result<PullRequest, Error> {
        let (mut record, pull, data) = self.open(number)?;
        let mut new: Vec<String> = reviewers.iter().map(|reviewer| reviewer.name().to_owned()).collect();
        new.retain(|name| !record.reviewers.contains(name));
        if new.is_empty() {
            return Ok(pull);
        }
        record.reviewers.append(&mut new);
        self.push(&pull, &data, &record, "Ask for reviews")
    }

    fn label_now(&self, number: u64, mut labels: Vec<String>) -> Result<PullRequest, Error> {
        let (mut record, pull, data) = self.open(number)?;
        labels.retain(|label| !record.labels.contains(label));
        if labels.is_empty() {
            return Ok(pull);
        }
        record.labels.append(&mut labels);
        self.push(&pull, &data, &record, "Label")
    }

    fn words(&self, body: String) -> Comment {
        Comment { by: self.me(), at: Timestamp::now(), body }
    }

    fn comment_now(&self, number: u64, body: String) -> Result<(), Error> {
        let (mut record, pull, data) = self.fresh(number)?;
        record.comment.push(self.words(body));
        self.push(&pull, &data, &record, "Comment")?;
        Ok(())
    }

    /// The words and the end are one push: there is nothing between them.
    fn close_now(&self, number: u64, comment: String) -> Result<PullRequest, Error> {
        let (mut record, pull, data) = self.fresh(number)?;
        if record.state != Standing::Open {
            return Ok(pull);
        }
        record.comment.push(self.words(comment));
        record.state = Standing::Closed;
        self.push(&pull, &data, &record, "Close")
    }

    fn approve_now(&self, number: u64, commit: &Commit) -> Result<PullRequest, Error> {
        let (mut record, pull, data) = self.open(number)?;
        unmoved(&pull, commit)?;
        let me = self.me();
        if me.id.eq_ignore_ascii_case(&pull.author.id) {
            return Err(Error::Own { number });
        }
        record.approval.retain(|approval| !approval.by.id.eq_ignore_ascii_case(&me.id));
        record.approval.push(Approval { by: me, commit: commit.clone() });
        self.push(&pull, &data, &record, &format!("Approve {commit}"))
    }

    fn merge_now(&self, number: u64, checked: &Checked) -> Result<Commit, Error> {
        let (mut record, pull, data) = self.open(number)?;
        unmoved(&pull, &checked.head)?;
        ready(&pull)?;
        let merged = self.mirror.merge(&checked.base, &checked.head, &checked.message, &self.me)?;
        record.state = Standing::Merged;
        let next = self.record(std::slice::from_ref(&data), &record, &format!("Merge as {merged}"))?;
        let base = RefUpdate {
            name: branch_ref(&pull.base_branch),
            expected: Some(checked.base.clone()),
            target: Some(merged.clone()),
        };
        let mut updates = vec![base, Self::move_data(number, Some(&data), &next), self.move_head(&pull)?];
        let branch = branch_ref(&pull.head_branch);
        if let Some(there) = self.mirror.refs(&branch)?.remove(&branch) {
            updates.push(RefUpdate { name: branch, expected: Some(there), target: None });
        }
        self.mirror.push(&updates).map_err(|e| moved(number, e))?;
        Ok(merged)
    }

    /// Git is blocking work; the answer comes from a thread that may block.
    fn answer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Answer<'_, T> {
        let this = self.clone();
        Box::pin(blocking(move || work(&this)))
    }
}

impl Forge for Local {
    fn list(&self) -> Answer<'_, Vec<PullRequest>> {
        self.answer(Self::list_now)
    }

    fn find_open<'a>(&'a self, head_branch: &'a str) -> Answer<'a, Option<PullRequest>> {
        let branch = head_branch.to_owned();
        self.answer(move |this| Ok(this.list_now()?.into_iter().find(|pull| pull.head_branch == branch)))
    }

    fn get(&self, number: u64) -> Answer<'_, PullRequest> {
        self.answer(move |this| Ok(this.fresh(number)?.1))
    }

    fn create(&self, proposal: Proposal) -> Answer<'_, PullRequest> {
        self.answer(move |this| this.create_now(&proposal))
    }

    fn update(&self, number: u64, words: Words) -> Answer<'_, PullRequest> {
        self.answer(move |this| this.update_now(number, words))
    }

    fn ask_review(&self, number: u64, reviewers: Vec<Reviewer>) -> Answer<'_, PullRequest> {
        self.answer(move |this| this.ask_review_now(number, &reviewers))
    }

    fn label(&self, number: u64, labels: Vec<String>) -> Answer<'_, PullRequest> {
        self.answer(move |this| this.label_now(number, labels))
    }

    fn comments(&self, number: u64) -> Answer<'_, Vec<Comment>> {
        self.answer(move |this| Ok(this.fresh(number)?.0.comment))
    }

    fn comment(&self, number: u64, body: String) -> Answer<'_, ()> {
        self.answer(move |this| this.comment_now(number, body))
    }

    fn close(&self, number: u64, comment: String) -> Answer<'_, PullRequest> {
        self.answer(move |this| this.close_now(number, comment))
    }

    /// Nobody checks anything here.
    fn checks<'a>(&'a self, _: &'a PullRequest) -> Answer<'a, Vec<Check>> {
        Box::pin(std::future::ready(Err(Error::NoChecks)))
    }

    /// A word that nobody waits for would only be one more ref.
    fn say<'a>(&'a self, _: &'a Commit, _: &'a Status) -> Answer<'a, bool> {
        Box::pin(std::future::ready(Err(Error::NoStatuses)))
    }

    fn approve<'a>(&'a self, number: u64, commit: &'a Commit) -> Answer<'a, PullRequest> {
        let commit = commit.clone();
        self.answer(move |this| this.approve_now(number, &commit))
    }

    fn merge(&self, number: u64, checked: Checked) -> Answer<'_, Commit> {
        self.answer(move |this| this.merge_now(number, &checked))
    }
}

fn branch_ref(branch: &str) -> String {
    format!("{BRANCHES}{branch}")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(PULLS)?.split('/').next()?.parse().ok()
}

fn unmoved(pull: &PullRequest, commit: &Commit) -> Result<(), Error> {
    if pull.head_commit == *commit {
        return Ok(());
    }
    let detail = format!("it proposes {} now, not {}", pull.head_commit.short(), commit.short());
    Err(Error::Moved { number: pull.number, detail })
}

fn moved(number: u64, error: git::Error) -> Error {
    match error {
        git::Error::Moved { detail, .. } => Error::Moved { number, detail },
        other => other.into(),
    }
}
