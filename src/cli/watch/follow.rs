//! What a change of the project's files does: as little as it can, then the tests that it can affect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::told::{Event, FILES, Place, Teller};
use super::{Tests, watch_on};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Verdict;
use crate::cli::test;
use crate::cli::up::{BroughtUp, make};
use crate::cli::xdebug;
use crate::engine::Engine;
use crate::event::{self, Observer};
use crate::name::Name;
use crate::sandbox::changed::{self, Inputs, Passed};
use crate::sandbox::copied::{self, Known, Outcome};
use crate::sandbox::plan::{Action, Begin};
use crate::sandbox::run;
use crate::sandbox::up;
use crate::sandbox::watch::{Batch, Ear, Reach};
use crate::sandbox::{ServiceId, View, status, turn_on, view};
use crate::task::blocking;
use crate::turn::Turn;

/// A change that is heard so long after tests have ended may still be theirs.
const ECHO: Duration = Duration::from_millis(100);
/// What tests write themselves run after run makes them run no more than so many times.
const RUNS: u32 = 3;

/// What tests found, and what they depended on when they began.
type Ran = (Inputs, Vec<run::Outcome>);
/// Tests that run.
type Running = Pin<Box<dyn Future<Output = Result<Ran, Failure>> + Send>>;

/// A sandbox whose project's files are followed.
pub struct Following {
    /// Nobody is asked, and what happens is kept.
    cx: Context,
    engine: Engine,
    view: View,
    services: Vec<Place>,
    tests: Tests,
    turn: Turn,
    notes: Arc<Notes>,
    /// What was copied into services.
    copied: BTreeMap<ServiceId, Known>,
    /// Whether the sandbox is not what the project says, because something is wrong with that.
    behind: bool,
    /// What waits until the tests have ended: it would take away what they run in.
    waiting: Option<Batch>,
    /// The tests that run.
    running: Option<Running>,
    /// What each test depended on when it ran last.
    inputs: Inputs,
    /// How each went.
    passed: BTreeMap<Name, bool>,
    /// Whether files changed while tests ran.
    stale: bool,
    /// When tests ended last, and how often they ran.
    ended: Option<Instant>,
    runs: u32,
    /// In which run a file changed last, and in how many before that one after the other.
    written: BTreeMap<PathBuf, (u32, u32)>,
}

impl Following {
    /// Of a sandbox that is up.
    pub fn new(cx: &Context, engine: Engine, brought: BroughtUp, tests: Tests, turn: Turn) -> Self {
        let notes = Arc::<Notes>::default();
        let before = Passed::find(&cx.paths.state, &brought.view.project.root);
        Self {
            cx: cx.unattended(notes.clone()),
            engine,
            services: brought.services.iter().map(place).collect(),
            view: brought.view,
            tests,
            turn,
            notes,
            copied: BTreeMap::new(),
            behind: false,
            waiting: None,
            running: None,
            inputs: before.inputs(),
            passed: BTreeMap::new(),
            stale: false,
            ended: None,
            runs: 0,
            written: BTreeMap::new(),
        }
    }

    /// Follows what the ear hears. Ends only where nothing is heard any more.
    pub async fn run(mut self, mut ear: Ear, teller: &mut Teller) -> Result<Verdict, Failure> {
        self.tell_up(teller);
        self.test(teller).await;
        loop {
            tokio::select! {
                batch = ear.changed() => self.heard(batch?, teller).await?,
                ran = ended(&mut self.running) => self.tested(ran, &ear, teller).await?,
            }
        }
    }

    fn tell_up(&self, teller: &mut Teller) {
        teller.tell(Event::Up {
            sandbox: self.view.id.to_string(),
            environment: self.view.environment.to_string(),
            services: self.services.clone(),
        });
    }

    /// Takes a change: at once, or after the tests that it would disturb.
    async fn heard(&mut self, batch: Batch, teller: &mut Teller) -> Result<(), Failure> {
        let echo = self.running.is_some() || self.ended.is_some_and(|ended| batch.since < ended + ECHO);
        let own = echo && self.is_tests_own(&batch);
        let disturbs = self.behind || self.is_elsewhere() || Reach::of(&self.view, &batch.files).more;
        self.stale |= self.running.is_some() && !own;
        if self.running.is_some() && disturbs {
            match &mut self.waiting {
                Some(waiting) => waiting.files.extend(batch.files),
                None => self.waiting = Some(batch),
            }
            return Ok(());
        }
        self.make(&batch, disturbs, teller).await?;
        if own {
            let text = "the tests write these files themselves each time they run, so they do not run again for them: \
                        let git ignore them";
            teller.tell(Event::Note { text: text.to_owned() });
        } else if self.running.is_none() {
            self.test(teller).await;
        }
        Ok(())
    }

    /// Does what there is to do for a change. That it cannot be done is told, and the next change tries again.
    async fn make(&mut self, batch: &Batch, plan: bool, teller: &mut Teller) -> Result<(), Failure> {
        let files: Vec<String> = batch.files.iter().take(FILES).map(|file| file.display().to_string()).collect();
        let count = batch.files.len();
        let reach = Reach::of(&self.view, &batch.files);
        let copied = if plan { Ok(None) } else { self.copy(&reach).await };
        let did = match copied {
            Ok(Some(did)) => Ok(did),
            Ok(None) => {
                teller.working("making the sandbox what the files say");
                self.again(teller).await
            }
            Err(error) => Err(error),
        };
        for text in self.notes.take() {
            teller.tell(Event::Note { text });
        }
        let ms = || u64::try_from(batch.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.behind = did.is_err();
        match did {
            Ok(did) => {
                self.look().await;
                let shown = reach.shown.iter().map(ToString::to_string).collect();
                let services = self.services.clone();
                teller.tell(Event::Changed { files, count, did, shown, ms: ms(), services });
            }
            Err(error) => teller.tell(Event::Failed { files, count, error, ms: ms() }),
        }
        Ok(())
    }

    /// Copies what changed into the services that are shown copies; what was done, none where one must be made anew for it.
    async fn copy(&mut self, reach: &Reach) -> Result<Option<Vec<String>>, Failure> {
        let (mut did, root) = (Vec::new(), &self.view.project.root);
        for member in self.view.members.iter().filter(|member| reach.shown.contains(&member.id)) {
            let container = self.view.id.container(&member.id.app, &member.id.service);
            // Where it fails, nobody knows what the container has.
            let known = self.copied.remove(&member.id);
            match copied::bring(
                &self.engine,
                &container,
                &copied::of(root, member, self.engine.place().elsewhere),
                true,
                known,
            )
            .await?
            {
                Outcome::Stuck => return Ok(None),
                Outcome::Done { count, known } => {
                    self.copied.insert(member.id.clone(), known);
                    did.extend(copied_to(&member.id, count));
                }
            }
        }
        Ok(Some(did))
    }

    /// Plans the sandbox anew and makes it so; what was done.
    async fn again(&mut self, teller: &mut Teller) -> Result<Vec<String>, Failure> {
        let environment = self.view.environment.environment.clone();
        // Containers may be made anew.
        self.copied.clear();
        // The state repository is asked once, at the beginning: what runs changes by the developer's own files alone.
        let mut view = self.cx.as_fetched().view_with(&environment, self.view.mix.clone()).await?;
        view.xdebug.clone_from(&self.view.xdebug);
        let elsewhere = view.id != self.view.id;
        if elsewhere {
            self.turn = Turn::take(&self.cx.paths.state, &watch_on(view.id.as_str()))?;
        }
        // Another onramp may be at work on it.
        let (state, what) = (self.cx.paths.state.clone(), turn_on(view.id.as_str()));
        drop(blocking(move || Turn::wait(&state, &what)).await?);
        let made = make(&self.cx, &self.engine, view, &Begin::AsItWas, None).await?;
        let Some(made) = made else { return Ok(Vec::new()) };
        if let Some(debugged) = &made.view.xdebug {
            xdebug::connect(&self.cx, &made, debugged).await?;
        }
        let BroughtUp { view, services, plan } = made;
        self.services = services.iter().map(place).collect();
        if elsewhere {
            let text = format!("another branch is another sandbox: {} stays up", self.view.id);
            teller.tell(Event::Note { text });
        }
        self.view = view;
        if elsewhere {
            self.tell_up(teller);
        }
        let built = plan.build.iter().map(|build| format!("built {}", build.service));
        let removed = plan.remove.iter().map(|container| format!("removed {container}"));
        let made = services.iter().filter_map(|running| {
            let verb = match running.action {
                Action::Keep => return copied_to(&running.service, running.copied),
                Action::Start => "started",
                Action::Replace => "replaced",
                Action::Create => "created",
            };
            Some(format!("{verb} {}", running.service))
        });
        Ok(built.chain(removed).chain(made).collect())
    }

    /// Whether the project is on another branch than its sandbox.
    fn is_elsewhere(&self) -> bool {
        view::id(&self.view.project) != self.view.id
    }

    /// Looks which services run.
    async fn look(&mut self) {
        // What the engine does not tell stays as it was.
        let Ok(found) = status::services(&self.engine, &self.view.id).await else { return };
        for place in &mut self.services {
            place.running = found.iter().any(|service| service.service == place.service && service.running);
        }
    }

    /// Begins the tests that are not as they were when they ran last.
    async fn test(&mut self, teller: &mut Teller) {
        let known = &self.view.project.manifest.tests;
        let chosen: Vec<Name> = match &self.tests {
            Tests::None => return,
            Tests::All => known.keys().cloned().collect(),
            Tests::Only(names) => names.iter().filter(|name| known.contains_key(*name)).cloned().collect(),
        };
        let inputs = match changed::inputs(&self.engine, &self.view).await {
            Ok(inputs) => inputs,
            Err(error) => {
                let (files, error) = (Vec::new(), Failure::from(error));
                return teller.tell(Event::Failed { files, count: 0, error, ms: 0 });
            }
        };
        let same = |test: &Name| inputs.get(test).is_some_and(|now| self.inputs.get(test) == Some(now));
        let due: Vec<Name> = chosen.into_iter().filter(|test| !same(test)).collect();
        if due.is_empty() {
            return;
        }
        let lanes = run::schedule(known, &due);
        teller.tell(Event::Testing { tests: lanes.iter().flat_map(|lane| &lane.tests).cloned().collect() });
        self.stale = false;
        self.runs += 1;
        let (cx, view) = (self.cx.clone(), self.view.clone());
        self.running = Some(Box::pin(async move {
            let outcomes = test::outcomes(&cx, &view, &lanes, None, &|_, _| {}).await?;
            Ok((inputs, outcomes))
        }));
    }

    /// Tests ended.
    async fn tested(&mut self, ran: Result<Ran, Failure>, ear: &Ear, teller: &mut Teller) -> Result<(), Failure> {
        (self.running, self.ended) = (None, Some(Instant::now()));
        for text in self.notes.take() {
            teller.tell(Event::Note { text });
        }
        match ran {
            Err(error) => teller.tell(Event::Failed { files: Vec::new(), count: 0, error, ms: 0 }),
            Ok((inputs, outcomes)) => {
                // An edit is live at once: what tests found of files that changed meanwhile is true of neither.
                if !self.stale && !ear.has_news() {
                    let passed = Passed::find(&self.cx.paths.state, &self.view.project.root);
                    passed.keep(&test::green(&outcomes), &inputs)?;
                }
                for outcome in &outcomes {
                    self.passed.insert(outcome.test.clone(), outcome.passed);
                    self.inputs.remove(&outcome.test);
                    self.inputs
                        .extend(inputs.get_key_value(&outcome.test).map(|(test, now)| (test.clone(), now.clone())));
                }
                let passed = self.passed.values().all(|passed| *passed);
                teller.tell(Event::Tested { passed, tests: outcomes });
            }
        }
        if let Some(batch) = self.waiting.take() {
            self.make(&batch, true, teller).await?;
            self.test(teller).await;
        } else if self.stale {
            self.test(teller).await;
        }
        Ok(())
    }

    /// Whether these files changed in so many runs of tests one after the other that it must be they who write them.
    fn is_tests_own(&mut self, batch: &Batch) -> bool {
        let runs = self.runs;
        let mut own = true;
        for file in &batch.files {
            let entry = self.written.entry(file.clone()).or_insert((runs, 1));
            match runs - entry.0 {
                0 => {}
                1 => *entry = (runs, entry.1 + 1),
                _ => *entry = (runs, 1),
            }
            own &= entry.1 >= RUNS;
        }
        own
    }
}

/// The end of the tests, if some run.
async fn ended(running: &mut Option<Running>) -> Result<Ran, Failure> {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

/// That so many files were copied to a service, if any.
fn copied_to(service: &ServiceId, count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("copied 1 file to {service}")),
        _ => Some(format!("copied {count} files to {service}")),
    }
}

fn place(running: &up::Running) -> Place {
    Place { service: running.service.to_string(), url: running.url.clone(), running: true }
}

/// What is worth knowing, each thing once.
#[derive(Default)]
struct Notes(Mutex<(Vec<String>, Vec<String>)>);

impl Notes {
    /// What came since it was asked last.
    fn take(&self) -> Vec<String> {
        let mut notes = self.0.lock().expect("nobody panics with it");
        let new = std::mem::take(&mut notes.0);
        notes.1.extend(new.iter().cloned());
        new
    }
}

impl Observer for Notes {
    fn event(&self, event: event::Event) {
        if let event::Event::Note { text } = event {
            let mut notes = self.0.lock().expect("nobody panics with it");
            if !notes.0.contains(&text) && !notes.1.contains(&text) {
                notes.0.push(text);
            }
        }
    }
}
