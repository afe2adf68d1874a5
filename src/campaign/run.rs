//! A campaign from its first wave to its last, or to where its rule stops it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::Timestamp;

use super::journal::{self, Journal};
use super::report::Campaign;
use super::visit::{Goal, Proposable};
use super::{Counts, Outcome, Stop, Target, Visit, Waves};
use crate::event::Observer;
use crate::files::FileError;
use crate::forge::{self, Forge, Proposal, Words};
use crate::text::neutral_line;

/// How many remote repositories are at work at once: they wait for the network most of the time.
const REMOTE_AT_ONCE: usize = 8;

/// How a campaign is run.
pub struct Run<'a> {
    /// What it brings.
    pub goal: Arc<Goal>,
    /// Where to.
    pub targets: Arc<Vec<Target>>,
    /// In which waves.
    pub waves: Waves,
    /// When to stop.
    pub stop: Option<Stop>,
    /// Whether to stop after the first wave that has anything to do.
    pub pause: bool,
    /// Who opens pull requests; none: nobody.
    pub proposer: Option<&'a Proposer<'a>>,
    /// Who is told.
    pub observer: &'a dyn Observer,
}

/// Makes the forge of a repository.
pub type Proposer<'a> = dyn Fn(crate::git::Mirror) -> Connecting<'a> + Sync + 'a;
/// A forge, in time.
pub type Connecting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Box<dyn Forge>, forge::Error>> + Send + 'a>>;

/// What the stop rule looks at.
#[derive(Default)]
struct Tally {
    troubled: usize,
    with_block: usize,
}

impl Run<'_> {
    /// Visits the repositories that the journal does not know of, and writes down what came of each.
    pub async fn go(&self, mut journal: Option<&mut Journal>) -> Result<Campaign, FileError> {
        let mut visits: BTreeMap<usize, Visit> = BTreeMap::new();
        for (index, target) in self.targets.iter().enumerate() {
            if let Some(visit) = journal.as_ref().and_then(|journal| journal.before.get(&target.name)) {
                visits.insert(index, visit.clone());
            }
        }
        // Who goes on has seen what was before: the rule looks at what comes now.
        let mut tally = Tally::default();
        let mut stopped = None;
        let waves = self.waves.of(self.targets.len());
        for (number, wave) in (1..).zip(&waves) {
            let open: Vec<usize> = wave.clone().filter(|index| !visits.contains_key(index)).collect();
            if open.is_empty() {
                continue;
            }
            let task = format!("wave {number} of {}: {} repositories", waves.len(), open.len());
            self.observer.started(&task);
            let done = self.wave(number, open, &mut visits, &mut tally, journal.as_deref_mut()).await;
            self.observer.ended(&task);
            stopped = done?;
            if stopped.is_some() {
                break;
            }
            if self.pause && number < waves.len() {
                stopped = Some(format!("wave {number} of {} is done, and the next ones wait", waves.len()));
                break;
            }
        }
        let visits: Vec<Visit> = visits.into_values().collect();
        Ok(Campaign {
            id: journal::id(&self.goal.to.id, &self.targets),
            block: self.goal.to.id.clone(),
            repositories: self.targets.len(),
            counts: Counts::of(&visits),
            stopped,
            visits,
            written: Timestamp::now(),
        })
    }

    /// One wave; why the campaign stops in it, if it does.
    async fn wave(
        &self,
        number: usize,
        open: Vec<usize>,
        visits: &mut BTreeMap<usize, Visit>,
        tally: &mut Tally,
        mut journal: Option<&mut Journal>,
    ) -> Result<Option<String>, FileError> {
        let (next, halt) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (send, mut receive) = tokio::sync::mpsc::channel(64);
        let open = Arc::new(open);
        for _ in 0..self.workers(&open) {
            let (next, halt, send) = (next.clone(), halt.clone(), send.clone());
            let (open, goal, targets) = (open.clone(), self.goal.clone(), self.targets.clone());
            tokio::task::spawn_blocking(move || {
                while !halt.load(Ordering::Relaxed) {
                    let Some(&index) = open.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let (outcome, proposable) = whole(|| goal.visit(&targets[index]));
                    if send.blocking_send((index, outcome, proposable)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut stopped = None;
        let mut failure = None;
        while let Some((index, mut outcome, proposable)) = receive.recv().await {
            if let Some(proposable) = proposable {
                self.propose(&mut outcome, proposable).await;
            }
            let visit = Visit { repository: self.targets[index].name.clone(), wave: number, outcome };
            if let Some(journal) = journal.as_deref_mut()
                && failure.is_none()
                && let Err(error) = journal.write(&visit)
            {
                // What cannot be written down is not gone on with.
                halt.store(true, Ordering::Relaxed);
                failure = Some(error);
            }
            tally.troubled += usize::from(visit.outcome.is_trouble());
            tally.with_block += usize::from(visit.outcome.has_block());
            visits.insert(index, visit);
            if stopped.is_none()
                && let Some(rule) = self.stop.filter(|rule| rule.is_reached(tally.troubled, tally.with_block))
            {
                halt.store(true, Ordering::Relaxed);
                stopped = Some(rule.words());
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(stopped),
        }
    }

    fn workers(&self, open: &[usize]) -> usize {
        let remote = |index: &usize| matches!(self.targets[*index].place, super::Place::Remote(_));
        let here = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let most = if open.iter().any(remote) { here.max(REMOTE_AT_ONCE) } else { here };
        most.min(open.len()).max(1)
    }

    /// Opens a branch's pull request, or brings the open one up to date. Where that fails the visit has failed: it is tried
    /// again when the campaign goes on.
    async fn propose(&self, outcome: &mut Outcome, proposable: Proposable) {
        let Some(proposer) = self.proposer else { return };
        let Some(name) = outcome.branch().map(|branch| branch.name.clone()) else { return };
        let propose = async {
            let forge = proposer(proposable.mirror).await?;
            let Proposable { title, body, base, .. } = proposable;
            let pull = match forge.find_open(&name).await? {
                Some(open) if open.title == title && open.body == body => open,
                Some(open) => forge.update(open.number, Words { title, body, draft: open.draft }).await?,
                None => {
                    let proposal = Proposal { title, body, draft: false, head_branch: name, base_branch: base };
                    forge.create(proposal).await?
                }
            };
            // The local forge has no pages.
            Ok::<_, forge::Error>(if pull.url.starts_with("http") { pull.url } else { format!("#{}", pull.number) })
        };
        match propose.await {
            Ok(pull) => {
                if let Outcome::Branched(branch) | Outcome::Conflicts { branch: Some(branch), .. } = outcome {
                    branch.pull = Some(pull);
                }
            }
            Err(error) => {
                let message = format!("the branch is there, its pull request is not: {}", crate::error::chain(&error));
                *outcome = Outcome::Failed { message: neutral_line(&message, 500) };
            }
        }
    }
}

/// A visit that panics has failed, so that no repository is missing in the report. What the others share is whole: it is
/// changed in one step.
fn whole(visit: impl FnOnce() -> (Outcome, Option<Proposable>)) -> (Outcome, Option<Proposable>) {
    catch_unwind(AssertUnwindSafe(visit)).unwrap_or_else(|panicked| {
        let words = panicked.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        (Outcome::Failed { message: neutral_line(&format!("a mistake in onramp: {words}"), 500) }, None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_that_panics_has_failed() {
        for (visit, said) in [
            ((|| panic!("plain")) as fn() -> _, "a mistake in onramp: plain"),
            (|| panic!("{}", "of two\nlines"), "a mistake in onramp: of two lines"),
        ] {
            let (outcome, proposable) = whole(visit);
            assert_eq!(outcome, Outcome::Failed { message: said.to_owned() });
            assert!(proposable.is_none());
        }
    }
}
