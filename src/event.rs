//! The seam where the domain says what is happening. The terminal, the plain log and the tests listen.

/// Something that a person who waits wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A piece of work began. `task` names it and stays its key.
    Started {
        /// The work, as a person reads it: `pull base/php-apache`.
        task: String,
    },
    /// How far a piece of work is.
    Progress {
        /// The work.
        task: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all, 0 while unknown.
        total: u64,
    },
    /// How far one part of a piece of work is: a layer of an image.
    Part {
        /// The work.
        task: String,
        /// The part, unique in its work.
        part: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all; equal to `done` once the part is complete.
        total: u64,
    },
    /// What a piece of work is at now: a build step, a layer being unpacked.
    Step {
        /// The work.
        task: String,
        /// One line, already neutral.
        text: String,
    },
    /// A piece of work is done.
    Finished {
        /// The work.
        task: String,
        /// What came of it, one line.
        outcome: String,
    },
    /// A piece of work is done and nothing need be said of it.
    Ended {
        /// The work.
        task: String,
    },
    /// Something worth knowing that is no failure.
    Note {
        /// One line.
        text: String,
    },
}

/// Listens to events. Implementations must not block.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);

    /// A piece of work began.
    fn started(&self, task: &str) {
        self.event(Event::Started { task: task.to_owned() });
    }

    /// A piece of work is at this step now.
    fn step(&self, task: &str, text: &str) {
        self.event(Event::Step { task: task.to_owned(), text: crate::text::neutral_line(text, 160) });
    }

    /// A piece of work is done and nothing need be said of it.
    fn ended(&self, task: &str) {
        self.event(Event::Ended { task: task.to_owned() });
    }

    /// A piece of work is done, with this outcome.
    fn finished(&self, task: &str, outcome: &str) {
        self.event(Event::Finished { task: task.to_owned(), outcome: outcome.to_owned() });
    }

    /// Something worth knowing that is no failure.
    fn note(&self, text: &str) {
        self.event(Event::Note { text: text.to_owned() });
    }
}

/// Listens and forgets: `--quiet`, `--json` and work that nobody watches.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event) {}
}
