//! The one screen of `onramp watch` on a terminal.

use std::collections::BTreeMap;

use console::{Style, Term, truncate_str};

use super::told::{Event, Place, done, failing, names};
use crate::cli::output;
use crate::name::Name;
use crate::sandbox::run::{Ending, Outcome};
use crate::text::neutral_line;

/// Everything that stands on it.
#[derive(Default)]
pub struct Screen {
    head: String,
    services: Vec<Place>,
    last: Vec<String>,
    tests: BTreeMap<Name, Test>,
    note: Option<String>,
    /// How many lines of the terminal it takes now.
    drawn: usize,
}

/// A test as it stands.
enum Test {
    Running,
    Ended(Box<Outcome>),
}

impl Screen {
    /// Something is being done that may take a while.
    pub fn working(&mut self, what: &str) {
        self.last = vec![Style::new().dim().apply_to(what).to_string()];
        self.draw();
    }

    /// Takes an event, and draws.
    pub fn tell(&mut self, event: Event) {
        match event {
            Event::Up { sandbox, environment, services } => {
                self.head = format!("{sandbox} from {environment}");
                self.services = services;
            }
            Event::Changed { files, count, did, shown, ms, services } => {
                let (green, did) = (Style::new().green(), done(&did, &shown));
                self.last = vec![format!("{} {}: {did} ({ms} ms)", green.apply_to("changed"), names(&files, count))];
                self.services = services;
                self.note = None;
            }
            Event::Failed { files, count, error, ms } => {
                let (red, message) = (Style::new().red(), neutral_line(&error.message, 400));
                self.last = vec![format!("{} {}: {message} ({ms} ms)", red.apply_to("failed"), names(&files, count))];
                let hint = error.hint.unwrap_or_default();
                self.last.extend(hint.lines().map(|line| format!("  {}", neutral_line(line, 400))));
            }
            Event::Testing { tests } => {
                self.tests.extend(tests.into_iter().map(|test| (test, Test::Running)));
            }
            Event::Tested { tests, .. } => {
                self.tests.retain(|_, test| !matches!(test, Test::Running));
                let ended = |outcome: Outcome| (outcome.test.clone(), Test::Ended(Box::new(outcome)));
                self.tests.extend(tests.into_iter().map(ended));
            }
            Event::Note { text } => self.note = Some(neutral_line(&text, 400)),
            Event::Ended { .. } => self.last = vec![event.text().trim_end().to_owned()],
        }
        self.draw();
    }

    fn draw(&mut self) {
        let (rows, columns) = Term::stdout().size();
        let lines = self.lines(rows.into(), columns.into());
        let back = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        self.drawn = lines.len();
        output::print(&format!("{back}\r\x1b[J{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>()));
    }

    /// What stands on a terminal of this size: what does not fit is not there.
    fn lines(&self, rows: usize, columns: usize) -> Vec<String> {
        let mut lines = vec![Style::new().bold().apply_to(&self.head).to_string()];
        let width = self.services.iter().map(|place| place.service.len()).max().unwrap_or(0);
        for place in &self.services {
            let mark =
                if place.running { Style::new().green().apply_to("●") } else { Style::new().red().apply_to("○") };
            lines.push(format!("  {mark} {:<width$}  {}", place.service, place.url.as_deref().unwrap_or("-")));
        }
        lines.extend(self.last.iter().cloned());
        lines.extend(self.note.iter().map(|note| format!("{} {note}", Style::new().yellow().apply_to("note:"))));
        for (name, test) in &self.tests {
            match test {
                Test::Running => lines.push(format!("  {} {name}", Style::new().dim().apply_to("…"))),
                Test::Ended(outcome) => {
                    let mark = match outcome.result {
                        Ending::Passed => Style::new().green().apply_to("✓"),
                        Ending::Flaky | Ending::Skipped => Style::new().yellow().apply_to("~"),
                        Ending::Failed => Style::new().red().apply_to("✗"),
                    };
                    let reason = outcome.last.reason.as_deref().unwrap_or_default();
                    lines.push(format!("  {mark} {name} {reason} ({} ms)", outcome.duration_ms()));
                    lines.extend(failing(outcome).iter().map(|line| format!("      {line}")));
                }
            }
        }
        lines.truncate(rows.saturating_sub(1).max(1));
        lines.iter().map(|line| truncate_str(line, columns, "…").into_owned()).collect()
    }
}
