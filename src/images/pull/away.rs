//! An engine that goes away in the middle of a pull: restarted, for a newer version say. Its socket comes back, what it had
//! not finished does not; our store still has that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::super::Error;
use crate::engine::{self, Engine};
use crate::event::Observer;

/// How long an engine may take to answer again, at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked whether it does. The first look comes so much later, for one that is ending may still answer.
const LOOK: Duration = Duration::from_millis(250);
/// How often it may go away during the pull of one image.
const TRIES: usize = 3;

/// What a pull knows of its engine's absences.
pub struct Away<'a> {
    engine: &'a Engine,
    patience: Duration,
    observer: &'a Arc<dyn Observer>,
    /// When it last answered after it had been away. One waits, and tells it; the others wait for that one.
    back: Mutex<Option<Instant>>,
}

impl<'a> Away<'a> {
    /// Waits no longer than `limit`.
    pub fn new(engine: &'a Engine, limit: Duration, observer: &'a Arc<dyn Observer>) -> Self {
        Self { engine, patience: limit.min(PATIENCE), observer, back: Mutex::new(None) }
    }

    /// Does one image's work again for as long as it fails because the engine went away, and comes back.
    pub async fn outlast<W>(&self, work: impl Fn() -> W) -> Result<(), Error>
    where
        W: Future<Output = Result<(), Error>>,
    {
        let mut tries = 0;
        loop {
            let began = Instant::now();
            let Err(error) = work().await else { return Ok(()) };
            tries += 1;
            if tries > TRIES || !self.has_gone(&error).await || !self.came_back(began).await {
                return Err(error);
            }
        }
    }

    /// Whether the engine, and not what was asked of it, is the reason.
    async fn has_gone(&self, error: &Error) -> bool {
        match error {
            Error::Engine(engine::Error::Broken { .. } | engine::Error::NoEngine { .. }) => true,
            // One that is ending takes back what it does, as if that had failed.
            Error::Engine(engine::Error::Stream { .. }) | Error::Refused { .. } => !self.engine.answers().await,
            _ => false,
        }
    }

    /// Waits until it answers again.
    async fn came_back(&self, failed: Instant) -> bool {
        let mut back = self.back.lock().await;
        if back.is_some_and(|back| back > failed) {
            return true;
        }
        let (host, limit) = (self.engine.host(), self.patience.as_secs());
        self.observer.note(&format!("the engine at {host} went away; the pull goes on if it answers within {limit} s"));
        let began = Instant::now();
        while began.elapsed() < self.patience {
            tokio::time::sleep(LOOK).await;
            if self.engine.answers().await {
                *back = Some(Instant::now());
                self.observer.note("the engine answers again, and the pull goes on");
                return true;
            }
        }
        false
    }
}
