//! `onramp logs`

use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt, StreamFuture};
use jiff::Timestamp;
use regex::Regex;
use serde::Serialize;
use tokio::time::Instant;

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Report, Verdict};
use crate::engine::{Error as EngineError, LogLine, LogPart};
use crate::sandbox::status::{self, ServiceStatus};
use crate::sandbox::{Error, view};
use crate::text::parse_span;

/// How many lines of each service are shown where nobody says which.
const TAIL: u32 = 100;
/// How long a line waits for an earlier one of another service while what comes is followed.
const PATIENCE: Duration = Duration::from_millis(100);
/// The colours of services, one after the other.
const COLOURS: [console::Color; 6] = [
    console::Color::Cyan,
    console::Color::Green,
    console::Color::Yellow,
    console::Color::Magenta,
    console::Color::Blue,
    console::Color::Red,
];

/// Show what the sandbox's services wrote, merged by time.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp logs                              the last lines of every service
  onramp logs web -f                       follow one service
  onramp logs auth/api --tail 500
  onramp logs --since 10m --grep 'error|warn'
  onramp logs --since 2026-11-30T09:00:00Z
")]
pub struct Arguments {
    /// Only these services: `web`, or another app's `auth/api`
    services: Vec<String>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each service to begin with [default: 100; with --since or --grep all]
    #[arg(long, value_name = "N")]
    tail: Option<u32>,
    /// Only what was written since then: `10m`, `2h`, or a time of RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only lines that this regular expression matches
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
}

/// A moment that is past.
#[derive(Clone, Copy, Debug)]
struct Since(Timestamp);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(moment) = text.parse() {
            return Ok(Self(moment));
        }
        let span = parse_span(text).map_err(|error| format!("{error}, or a time as 2026-11-30T09:00:00Z"))?;
        Timestamp::now().checked_sub(span).map(Self).map_err(|_| format!("`{text}` is too long ago"))
    }
}

#[derive(Serialize)]
struct Logs {
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    service: String,
    #[serde(flatten)]
    written: LogLine,
    #[serde(skip)]
    width: usize,
    #[serde(skip)]
    colour: console::Color,
}

impl Line {
    fn text(&self) -> String {
        let name = format!("{:<width$}", self.service, width = self.width);
        format!("{} {}\n", console::style(name).fg(self.colour), self.written.text)
    }
}

impl Arguments {
    /// Reads every service's output at once, in the order in which it was written.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if self.follow && cx.json {
            return Err(Failure::usage("--follow never ends, and --json prints one document: use one of them"));
        }
        let id = view::id(&cx.project()?);
        let engine = cx.engine().await?;
        let mut chosen: Vec<ServiceStatus> = Vec::new();
        for service in &self.services {
            chosen.push(status::container(&engine, &id, service).await?);
        }
        if self.services.is_empty() {
            chosen = status::services(&engine, &id).await?;
        }
        if chosen.is_empty() {
            return Err(Error::NotUp { sandbox: id.to_string() }.into());
        }
        let usual = Some(TAIL).filter(|_| self.since.is_none() && self.grep.is_none());
        let part = LogPart { tail: self.tail.or(usual), since: self.since.map(|since| since.0), follow: self.follow };
        let width = chosen.iter().map(|service| service.service.len()).max().unwrap_or(0);
        let streams = chosen.iter().map(|service| Box::pin(engine.logs(&service.container, part)) as Lines);
        let mut merged = Merged::new(streams, self.follow.then_some(PATIENCE));
        let mut all = Logs { lines: Vec::new() };
        while let Some((at, written)) = merged.next().await? {
            if self.grep.as_ref().is_some_and(|grep| !grep.is_match(&written.text)) {
                continue;
            }
            let (service, colour) = (chosen[at].service.clone(), COLOURS[at % COLOURS.len()]);
            let line = Line { service, written, width, colour };
            if cx.json {
                all.lines.push(line);
            } else if !output::print(&line.text()) {
                break;
            }
        }
        if cx.json {
            cx.report(&all);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for Logs {
    fn text(&self) -> String {
        self.lines.iter().map(Line::text).collect()
    }
}

type Lines = Pin<Box<dyn Stream<Item = Result<LogLine, EngineError>> + Send>>;

/// A stream, and whose it is.
type Numbered = Pin<Box<dyn Stream<Item = (usize, Result<LogLine, EngineError>)> + Send>>;

/// Lines of several services by their times. Each service's own come in order, so that the earliest is among the first of
/// each.
struct Merged {
    /// The first line of each that has come.
    heads: Vec<Option<LogLine>>,
    /// Whether it has been silent, so that nobody waits for it.
    silent: Vec<bool>,
    /// Those whose first line has not come.
    waiting: FuturesUnordered<StreamFuture<Numbered>>,
    /// Those whose first line has.
    resting: Vec<Option<Numbered>>,
    /// How long a line waits for those of others; without it until they come or end.
    patience: Option<Duration>,
}

impl Merged {
    fn new(streams: impl Iterator<Item = Lines>, patience: Option<Duration>) -> Self {
        let numbered = streams.enumerate().map(|(at, lines)| Box::pin(lines.map(move |line| (at, line))) as Numbered);
        let waiting: FuturesUnordered<_> = numbered.map(StreamExt::into_future).collect();
        let count = waiting.len();
        let resting = std::iter::repeat_with(|| None).take(count).collect();
        Self { heads: vec![None; count], silent: vec![false; count], waiting, resting, patience }
    }

    /// The next line, and which of them it is of.
    async fn next(&mut self) -> Result<Option<(usize, LogLine)>, EngineError> {
        let deadline = self.patience.map(|patience| Instant::now() + patience);
        loop {
            let held = self.heads.iter().any(Option::is_some);
            let all_silent = (0..self.heads.len()).all(|at| self.silent[at] || self.heads[at].is_some());
            if self.waiting.is_empty() || (held && all_silent && self.patience.is_some()) {
                return Ok(self.earliest());
            }
            let over = async {
                match deadline {
                    Some(deadline) if held => tokio::time::sleep_until(deadline).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                come = self.waiting.next() => {
                    // A stream that ended is waited for no more.
                    let Some((Some((at, line)), rest)) = come else { continue };
                    self.heads[at] = Some(line?);
                    self.silent[at] = false;
                    self.resting[at] = Some(rest);
                }
                () = over => {
                    for at in 0..self.heads.len() {
                        self.silent[at] = self.heads[at].is_none();
                    }
                }
            }
        }
    }

    /// The earliest of the first lines.
    fn earliest(&mut self) -> Option<(usize, LogLine)> {
        let there = self.heads.iter().enumerate().filter_map(|(at, head)| Some((at, head.as_ref()?.at)));
        let (at, _) = there.min_by_key(|(at, moment)| (*moment, *at))?;
        self.waiting.extend(self.resting[at].take().map(StreamExt::into_future));
        self.heads[at].take().map(|line| (at, line))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn line(second: i64, text: &str) -> LogLine {
        LogLine { at: Timestamp::from_second(second).ok(), stderr: false, text: text.to_owned() }
    }

    /// The texts in their order, as long as there are some.
    async fn texts(merged: &mut Merged, most: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < most
            && let Some((at, line)) = merged.next().await.unwrap()
        {
            texts.push(format!("{at}{}", line.text));
        }
        texts
    }

    #[tokio::test]
    async fn lines_are_merged_by_their_times() {
        let one = || Box::pin(stream::iter([line(1, "a"), line(4, "d"), line(4, "e")].map(Ok))) as Lines;
        let other = || Box::pin(stream::iter([line(2, "b"), line(3, "c"), line(9, "f")].map(Ok))) as Lines;
        let expected = ["0a", "1b", "1c", "0d", "0e", "1f"];
        assert_eq!(texts(&mut Merged::new([one(), other()].into_iter(), None), 9).await, expected);
        assert_eq!(texts(&mut Merged::new([one(), other()].into_iter(), Some(PATIENCE)), 9).await, expected);
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_service_that_says_nothing() {
        let says: Lines = Box::pin(stream::iter([line(1, "a"), line(2, "b")].map(Ok)).chain(stream::pending()));
        let mut merged = Merged::new([says, Box::pin(stream::pending()) as Lines].into_iter(), Some(PATIENCE));
        assert_eq!(texts(&mut merged, 2).await, ["0a", "0b"]);
        assert_eq!(merged.silent, [false, true], "once, not for every line");
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let Since(moment) = "2026-11-30T09:00:00.5+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-30T08:00:00.5Z");
        assert!("10m".parse::<Since>().unwrap().0 < Timestamp::now());
        let error = "soon".parse::<Since>().unwrap_err();
        assert_eq!(
            error,
            "`soon` is no length of time: write it as 500ms, 30s, 2m or 7d, or a time as 2026-11-30T09:00:00Z"
        );
    }
}
