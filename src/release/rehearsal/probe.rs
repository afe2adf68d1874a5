//! The probe: asks a service again and again while something is done to it, and tells how long it did not answer well.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::sandbox::ready;

/// From one request to the next.
const EVERY: Duration = Duration::from_millis(20);
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a good answer is waited for at the end, where there should be one.
const LAST: Duration = Duration::from_secs(10);

/// What the probe saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// How many requests it made.
    pub requests: usize,
    /// How many of them failed: no connection, no answer in 2 s, or a status other than 2xx and 3xx.
    pub failed: usize,
    /// How long the service gave no good answer, in milliseconds: from the last good answer before a failure to the next good
    /// one, all such times together.
    pub downtime_ms: u64,
    /// The longest of them.
    pub longest_ms: u64,
}

/// One request.
struct Seen {
    /// When its answer came, or it was given up, from the beginning.
    at: Duration,
    good: bool,
}

/// What the probe is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    GoOn,
    /// Until the next good answer.
    Finish,
    Stop,
}

/// A probe that asks.
pub struct Probe {
    told: watch::Sender<Told>,
    asking: JoinHandle<Vec<Seen>>,
}

impl Probe {
    /// Begins to ask for these paths in turn at a port of this machine.
    pub fn start(port: u16, paths: &[String]) -> Self {
        let (told, hears) = watch::channel(Told::GoOn);
        let paths = paths.to_vec();
        let asking = tokio::spawn(async move {
            let began = Instant::now();
            let mut seen = Vec::new();
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for path in paths.iter().cycle() {
                ticks.tick().await;
                let good = is_good(port, path).await;
                seen.push(Seen { at: began.elapsed(), good });
                match *hears.borrow() {
                    Told::GoOn => {}
                    Told::Finish if !good => {}
                    Told::Finish | Told::Stop => break,
                }
            }
            seen
        });
        Self { told, asking }
    }

    /// Ends it: where the service is to answer, at its next good answer.
    pub async fn end(mut self, answers: bool) -> Watched {
        self.told.send_replace(if answers { Told::Finish } else { Told::Stop });
        let seen = if let Ok(seen) = timeout(LAST, &mut self.asking).await {
            seen
        } else {
            self.told.send_replace(Told::Stop);
            (&mut self.asking).await
        };
        measured(&seen.unwrap_or_default())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn is_good(port: u16, path: &str) -> bool {
    let answer = timeout(PATIENCE, ready::get(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), path)).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|(line, _)| ready::is_good(&line)))
}

fn measured(seen: &[Seen]) -> Watched {
    let mut watched = Watched { requests: seen.len(), ..Watched::default() };
    let mut last_good = Duration::ZERO;
    let mut gap = Duration::ZERO;
    let mut total = Duration::ZERO;
    let mut longest = Duration::ZERO;
    for one in seen {
        if !one.good {
            watched.failed += 1;
            gap = one.at.saturating_sub(last_good);
            continue;
        }
        if gap > Duration::ZERO {
            let gap = one.at.saturating_sub(last_good);
            (total, longest) = (total + gap, longest.max(gap));
        }
        (last_good, gap) = (one.at, Duration::ZERO);
    }
    // One that never answered again.
    (total, longest) = (total + gap, longest.max(gap));
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Watched { downtime_ms: ms(total), longest_ms: ms(longest), ..watched }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seen: &[(u64, bool)]) -> [u64; 4] {
        let seen: Vec<Seen> =
            seen.iter().map(|(at, good)| Seen { at: Duration::from_millis(*at), good: *good }).collect();
        let watched = measured(&seen);
        [watched.requests as u64, watched.failed as u64, watched.downtime_ms, watched.longest_ms]
    }

    #[test]
    fn downtime_is_from_the_last_good_answer_to_the_next() {
        assert_eq!(told(&[(10, true), (30, true)]), [2, 0, 0, 0]);
        assert_eq!(told(&[(10, true), (30, false), (50, false), (75, true), (95, true)]), [5, 2, 65, 65]);
        assert_eq!(told(&[(10, true), (30, false), (50, true), (70, false), (100, true)]), [5, 2, 90, 50]);
    }

    #[test]
    fn a_service_that_never_answers_again_is_down_until_the_end() {
        assert_eq!(told(&[(10, true), (30, false), (500, false)]), [3, 2, 490, 490]);
        assert_eq!(told(&[(10, false), (30, false)]), [2, 2, 30, 30]);
    }
}
