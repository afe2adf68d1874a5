//! What `onramp watch` tells: on a terminal a screen that is drawn anew, elsewhere a line, or a JSON document a line.

use std::io::IsTerminal;

use serde::Serialize;

use super::screen::Screen;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::name::Name;
use crate::sandbox::run::{CaseResult, Ending, Outcome};
use crate::text::neutral_line;

/// So many lines of a red test are shown.
pub const LINES: usize = 8;
/// So many files of a change are named.
pub const FILES: usize = 20;

/// Something that happened.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The sandbox is up, or is another one since a branch was switched.
    Up {
        /// The sandbox.
        sandbox: String,
        /// What it was made from.
        environment: String,
        /// Its services.
        services: Vec<Place>,
    },
    /// Files changed, and what was to be done for it is done.
    Changed {
        /// The files, the first of them.
        files: Vec<String>,
        /// How many there are.
        count: usize,
        /// What was done: `built web`, `replaced shop/web`; nothing for what is shown anyway, or changes nothing.
        did: Vec<String>,
        /// The services that are shown some of the files.
        shown: Vec<String>,
        /// From the first word of the change, in milliseconds.
        ms: u64,
        /// The services, as they are now.
        services: Vec<Place>,
    },
    /// What was to be done for a change could not be. What runs stays.
    Failed {
        /// The files, the first of them.
        files: Vec<String>,
        /// How many there are.
        count: usize,
        /// Why.
        error: Failure,
        /// From the first word of the change, in milliseconds.
        ms: u64,
    },
    /// Tests begin.
    Testing {
        /// Those that the change can affect.
        tests: Vec<Name>,
    },
    /// Tests ended.
    Tested {
        /// Whether all passed, those that did not run again too.
        passed: bool,
        /// Those that ran.
        tests: Vec<Outcome>,
    },
    /// Something worth knowing.
    Note {
        /// One line.
        text: String,
    },
    /// It was interrupted.
    Ended {
        /// The sandbox.
        sandbox: String,
        /// Whether it was taken down.
        down: bool,
    },
}

/// A service, and where it answers.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Which.
    pub service: String,
    /// Its URL; none where it has no port.
    pub url: Option<String>,
    /// Whether it runs.
    pub running: bool,
}

/// Tells events as it was asked for.
pub struct Teller {
    how: How,
    sandbox: Option<String>,
}

enum How {
    Screen(Screen),
    Lines,
    Json,
}

impl Teller {
    /// As the command line and the terminal want it.
    pub fn new(cx: &Context) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let how = match cx.json {
            true => How::Json,
            false if std::io::stdout().is_terminal() && !dumb => How::Screen(Screen::default()),
            false => How::Lines,
        };
        Self { how, sandbox: None }
    }

    /// The sandbox that is up; none before it is.
    pub fn sandbox(&self) -> Option<String> {
        self.sandbox.clone()
    }

    /// Something is being done that may take a while.
    pub fn working(&mut self, what: &str) {
        if let How::Screen(screen) = &mut self.how {
            screen.working(what);
        }
    }

    /// Something happened.
    pub fn tell(&mut self, event: Event) {
        if let Event::Up { sandbox, .. } = &event {
            self.sandbox = Some(sandbox.clone());
        }
        match &mut self.how {
            How::Screen(screen) => screen.tell(event),
            How::Lines => drop(output::print(&event.text())),
            How::Json => {
                let document = output::document(&event);
                output::print(&output::json(&document, output::Lines::One));
            }
        }
    }
}

impl Event {
    /// A line, and under that of a red test some of what it said.
    pub fn text(&self) -> String {
        match self {
            Self::Up { sandbox, environment, services } => {
                let places: Vec<String> = services.iter().map(Place::text).collect();
                format!("up       {sandbox} from {environment}: {}\n", places.join(", "))
            }
            Self::Changed { files, count, did, shown, ms, .. } => {
                format!("changed  {}: {} ({ms} ms)\n", names(files, *count), done(did, shown))
            }
            Self::Failed { files, count, error, ms } => {
                let (message, hint) = (neutral_line(&error.message, 400), error.hint.as_deref().unwrap_or_default());
                let hint: String = hint.lines().map(|line| format!("         {}\n", neutral_line(line, 400))).collect();
                format!("failed   {}: {message} ({ms} ms)\n{hint}", names(files, *count))
            }
            Self::Testing { tests } => format!("testing  {}\n", list(tests)),
            Self::Tested { tests, .. } => tests.iter().map(verdict).collect(),
            Self::Note { text } => format!("note     {}\n", neutral_line(text, 400)),
            Self::Ended { sandbox, down: true } => format!("ended    sandbox {sandbox} is down; its data stays\n"),
            Self::Ended { sandbox, .. } => format!("ended    sandbox {sandbox} stays up; `onramp down` removes it\n"),
        }
    }
}

impl Place {
    fn text(&self) -> String {
        let state = if self.running { "" } else { " does not run" };
        match &self.url {
            Some(url) => format!("{} {url}{state}", self.service),
            None => format!("{}{state}", self.service),
        }
    }
}

/// The first of the files, and how many more there are.
pub fn names(files: &[String], count: usize) -> String {
    const FEW: usize = 3;
    let few: Vec<String> = files.iter().take(FEW).map(|file| neutral_line(file, 80)).collect();
    match count.saturating_sub(few.len()) {
        0 => few.join(", "),
        more => format!("{} and {more} more", few.join(", ")),
    }
}

/// What was done, in words.
pub fn done(did: &[String], shown: &[String]) -> String {
    match (did.is_empty(), shown.is_empty()) {
        (false, _) => did.join(", "),
        (true, false) => format!("live in {}", shown.join(", ")),
        (true, true) => "changes nothing in the sandbox".to_owned(),
    }
}

fn list(tests: &[Name]) -> String {
    tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How a test went, in a line, and what of it somebody looks for first.
fn verdict(outcome: &Outcome) -> String {
    let (word, reason) = match outcome.result {
        Ending::Passed => ("passed ", String::new()),
        Ending::Flaky => ("flaky  ", String::new()),
        Ending::Failed => ("red    ", reason(outcome)),
        Ending::Skipped => ("skipped", reason(outcome)),
    };
    let red: String = failing(outcome).iter().map(|line| format!("         {line}\n")).collect();
    format!("{word}  {}{reason} ({} ms)\n{red}", outcome.test, outcome.duration_ms())
}

fn reason(outcome: &Outcome) -> String {
    outcome.last.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// The first lines of a red test that tell what is wrong: the red cases of its report, or what it said from where it says so
/// first; its last words where it does not.
pub fn failing(outcome: &Outcome) -> Vec<String> {
    if outcome.result != Ending::Failed {
        return Vec::new();
    }
    let red = outcome.last.cases.iter().filter(|case| matches!(case.result, CaseResult::Failed | CaseResult::Error));
    let red: Vec<String> = red.map(|case| format!("{} {}: {}", case.class, case.name, case.message)).collect();
    let said: Vec<&str> = outcome.last.output.lines().filter(|line| !line.trim().is_empty()).collect();
    let wrong = |line: &&str| {
        let line = line.to_lowercase();
        ["not ok", "fail", "error", "exception", "assert"].iter().any(|word| line.contains(word))
    };
    let from = said.iter().position(wrong).unwrap_or(said.len().saturating_sub(LINES));
    let lines = if red.is_empty() { said[from..].iter().map(|&line| line.to_owned()).collect() } else { red };
    lines.iter().take(LINES).map(|line| neutral_line(line, 200)).collect()
}
