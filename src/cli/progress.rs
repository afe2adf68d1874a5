//! Progress for people who wait: bars on a terminal, plain lines elsewhere. Both only listen to events.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output::say;
use crate::event::{Event, Observer, Silent};
use crate::text;

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(300);
/// Where there is no terminal, work that goes on is mentioned this often.
const REMINDER: Duration = Duration::from_secs(15);

/// The observer for this run.
pub fn observer(quiet: bool, verbose: bool) -> Arc<dyn Observer> {
    if quiet {
        return Arc::new(Silent);
    }
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let bars = std::io::stderr().is_terminal() && !dumb;
    let board = Arc::new(Board { verbose, bars: bars.then(MultiProgress::new), tasks: Mutex::default() });
    tick(Arc::downgrade(&board));
    board
}

/// The tasks under way and how they are shown.
struct Board {
    verbose: bool,
    bars: Option<MultiProgress>,
    tasks: Mutex<BTreeMap<String, Task>>,
}

struct Task {
    since: Instant,
    mentioned: Instant,
    step: String,
    done: u64,
    total: u64,
    bar: Option<ProgressBar>,
    /// Bars of parts that are under way; on a terminal only.
    parts: BTreeMap<String, ProgressBar>,
}

impl Observer for Board {
    fn event(&self, event: Event) {
        let mut tasks = self.tasks.lock().expect("no panic while drawing");
        match event {
            Event::Started { task } => {
                let now = Instant::now();
                let fresh = Task {
                    since: now,
                    mentioned: now,
                    step: String::new(),
                    done: 0,
                    total: 0,
                    bar: None,
                    parts: BTreeMap::new(),
                };
                tasks.insert(task, fresh);
            }
            Event::Progress { task, done, total } => {
                if let Some(task) = tasks.get_mut(&task) {
                    (task.done, task.total) = (done, total);
                }
            }
            Event::Part { task, part, done, total } => {
                if let (Some(bars), Some(task)) = (&self.bars, tasks.get_mut(&task)) {
                    task.part(bars, part, done, total);
                }
            }
            Event::Step { task, text } => {
                if self.verbose {
                    self.line(&format!("  {task}: {text}"));
                }
                if let Some(task) = tasks.get_mut(&task) {
                    task.step = text;
                }
            }
            Event::Finished { task, outcome } => {
                let took = tasks.remove(&task).map(Task::clear);
                let took = took.map_or(String::new(), |t| format!(" ({:.1} s)", t.as_secs_f64()));
                let mark = console::style("✓").green().for_stderr();
                self.line(&format!(
                    "{mark} {}: {}{took}",
                    text::neutral_line(&task, 80),
                    text::neutral_line(&outcome, 200)
                ));
            }
            Event::Ended { task } => {
                if let Some(task) = tasks.remove(&task) {
                    task.clear();
                }
            }
            Event::Note { text } => {
                let label = console::style("note:").yellow().for_stderr();
                self.line(&format!("{label} {}", text::neutral(&text)));
            }
        }
    }
}

impl Board {
    fn line(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| say(line)),
            None => say(line),
        }
    }

    fn draw(&self) {
        let mut tasks = self.tasks.lock().expect("no panic while drawing");
        for (name, task) in tasks.iter_mut() {
            let Some(bars) = &self.bars else {
                if task.mentioned.elapsed() >= REMINDER {
                    task.mentioned = Instant::now();
                    say(&format!("  {name}: still at it after {} s{}", task.since.elapsed().as_secs(), task.detail()));
                }
                continue;
            };
            if task.since.elapsed() < PATIENCE {
                continue;
            }
            let style = task.style();
            let bar = task.bar.get_or_insert_with(|| bars.add(ProgressBar::new(0).with_prefix(name.clone())));
            bar.set_style(style);
            bar.set_length(task.total);
            bar.set_position(task.done);
            bar.set_message(task.step.clone());
            bar.tick();
        }
    }
}

impl Task {
    fn detail(&self) -> String {
        if self.total > 0 {
            format!(", {} of {}", text::bytes(self.done), text::bytes(self.total))
        } else if self.step.is_empty() {
            String::new()
        } else {
            format!(", {}", self.step)
        }
    }

    /// Takes its bars away; how long it took.
    fn clear(self) -> Duration {
        for bar in self.bar.iter().chain(self.parts.values()) {
            bar.finish_and_clear();
        }
        self.since.elapsed()
    }

    /// Shows a part under its work while it is under way. Parts of work that is quick have no bars either.
    fn part(&mut self, bars: &MultiProgress, part: String, done: u64, total: u64) {
        if done >= total {
            if let Some(bar) = self.parts.remove(&part) {
                bar.finish_and_clear();
            }
            return;
        }
        let Some(work) = &self.bar else { return };
        let bar = self.parts.entry(part).or_insert_with_key(|part| {
            let style =
                ProgressStyle::with_template("    {prefix:12} [{bar:24}] {decimal_bytes}/{decimal_total_bytes}");
            let style = style.expect("a fixed template").progress_chars("━╸ ");
            bars.insert_after(work, ProgressBar::new(total).with_prefix(part.clone()).with_style(style))
        });
        bar.set_length(total);
        bar.set_position(done);
    }

    fn style(&self) -> ProgressStyle {
        let template = if self.total > 0 {
            "{spinner} {prefix} [{bar:24}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} {wide_msg}"
        } else {
            "{spinner} {prefix} {elapsed} {wide_msg:.dim}"
        };
        ProgressStyle::with_template(template).expect("a fixed template").progress_chars("━╸ ")
    }
}

/// Draws ten times a second until the board is gone.
fn tick(board: Weak<Board>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            match board.upgrade() {
                Some(board) => board.draw(),
                None => return,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::Result;

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal that keeps what is written to it.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            160
        }

        fn move_cursor_up(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> Result<()> {
            Ok(())
        }

        fn flush(&self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pull_shows_bytes_rate_and_time_left_and_a_bar_for_each_layer() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let bars = Some(MultiProgress::with_draw_target(target));
        let board = Board { verbose: false, bars, tasks: Mutex::default() };
        let task = || "pull base/php".to_owned();
        board.event(Event::Started { task: task() });
        for done in [1_000_000, 3_000_000] {
            board.event(Event::Progress { task: task(), done, total: 10_000_000 });
            let long_ago = Instant::now().checked_sub(PATIENCE).expect("the machine has run that long");
            board.tasks.lock().unwrap().values_mut().for_each(|task| task.since = long_ago);
            board.draw();
        }
        board.event(Event::Part { task: task(), part: "635f52625043".into(), done: 500_000, total: 2_000_000 });
        board.draw();
        let shown = paper.0.lock().unwrap().clone();
        let whole = r"pull base/php \[[━╸ ]{24}\] 3\.00 MB/10\.00 MB \d+(\.\d+)? [kMG]?B/s \d+[smhd]";
        assert!(regex::Regex::new(whole).unwrap().is_match(&shown), "{shown}");
        let layer = r"635f52625043 \[[━╸ ]{24}\] 500\.00 kB/2\.00 MB";
        assert!(regex::Regex::new(layer).unwrap().is_match(&shown), "{shown}");

        paper.0.lock().unwrap().clear();
        board.event(Event::Part { task: task(), part: "635f52625043".into(), done: 2_000_000, total: 2_000_000 });
        board.draw();
        let shown = paper.0.lock().unwrap().clone();
        assert!(
            shown.contains("pull base/php") && !shown.contains("635f52625043"),
            "a layer that is whole has no bar: {shown}"
        );
    }
}
