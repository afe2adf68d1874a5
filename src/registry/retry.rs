//! When a request is tried again, and after which pause.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::Error;

/// The pauses between tries, before chance is added.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(500), Duration::from_millis(1200)];
/// The longest pause that a registry may ask for: what it asks beyond that is told, not waited for.
const LONGEST: Duration = Duration::from_secs(10);

/// A request's outcome that is no answer.
pub enum Trouble {
    /// It may pass; with the pause that the server asks for.
    Passing(Error, Option<Duration>),
    /// It stays.
    Lasting(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// The tries of one request.
#[derive(Default)]
pub struct Tries {
    count: usize,
    /// When nobody waits for it any more.
    end: Option<Instant>,
}

impl Tries {
    /// The tries of a request that may take so long, all of them together.
    pub fn within(limit: Duration) -> Self {
        Self { count: 0, end: Instant::now().checked_add(limit) }
    }

    /// Waits before the next try; the error where there is none, or where it would come too late: what a server said is
    /// worth more than that the time ran out.
    pub async fn pause(&mut self, trouble: Trouble) -> Result<(), Error> {
        let (error, asked) = match trouble {
            Trouble::Lasting(error) => return Err(error),
            Trouble::Passing(error, asked) => (error, asked),
        };
        let Some(pause) = PAUSES.get(self.count) else { return Err(error) };
        let pause = length(*pause, asked, chance());
        if self.end.is_some_and(|end| end.saturating_duration_since(Instant::now()) < pause) {
            return Err(error);
        }
        self.count += 1;
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// How long to wait: what the server asks for and never less than our own pause, up to a quarter longer by chance, so
/// that many who were refused together do not come back together.
fn length(pause: Duration, asked: Option<Duration>, chance: f64) -> Duration {
    let least = asked.map_or(pause, |asked| asked.min(LONGEST).max(pause));
    least.mul_f64(1.0 + chance / 4.0)
}

/// A number from 0 to 1 that differs from process to process and from call to call.
pub fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// What a server asks for: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3). Nonsense asks for nothing.
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(RETRY_AFTER)?.to_str().ok()?, Timestamp::now())
}

fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let then = rfc2822::parse(text).ok().map(|then| then.timestamp()).or_else(|| older_date(text))?;
    Some(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// The two forms of a date that servers no longer write and clients still read (RFC 9110, section 5.6.7): RFC 850's, and
/// that of C's `asctime`. Two digits of a year mean 1969 to 2068.
fn older_date(text: &str) -> Option<Timestamp> {
    let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let then = forms.into_iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    then.to_zoned(TimeZone::UTC).ok().map(|then| then.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_asks_for_is_read_in_every_form() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let cases = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Tue, 24 Nov 2026 12:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 11:00:00 GMT", Some(0)),
            ("Tuesday, 24-Nov-26 12:00:30 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(0)),
            ("Tue Nov 24 12:00:30 2026", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(0)),
            ("Monday, 24-Nov-26 12:00:30 GMT", None),
            ("Tuesday, 24-Nov-26 12:00:30 CET", None),
            ("Tue Nov 24 12:00:30 2026 GMT", None),
            ("Thu, 01 Jan 9998 00:00:00 GMT", Some(u64::MAX)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Thu, 99 Foo 2026 12:00:30 GMT", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = parse(text, now).map(|pause| pause.as_secs());
            match expected {
                Some(seconds) if seconds > 1_000_000 => assert!(read.unwrap() > 1_000_000, "{text}: {read:?}"),
                _ => assert_eq!(read, expected, "{text}"),
            }
        }
    }

    #[test]
    fn nobody_waits_for_ever_nor_hammers() {
        let pause = Duration::from_millis(200);
        assert_eq!(length(pause, None, 0.0), pause);
        assert_eq!(length(pause, Some(Duration::ZERO), 0.0), pause);
        assert_eq!(length(pause, Some(Duration::from_secs(3)), 0.0), Duration::from_secs(3));
        assert_eq!(length(pause, Some(Duration::from_secs(u64::MAX)), 0.0), LONGEST);
        assert_eq!(length(pause, None, 1.0), Duration::from_millis(250));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(text in ".*") {
            let _ = parse(&text, Timestamp::now());
        }

        #[test]
        fn every_pause_is_bounded(asked in proptest::option::of(0_u64..), chance in 0.0..=1.0) {
            let pause = length(PAUSES[0], asked.map(Duration::from_secs), chance);
            proptest::prop_assert!(pause >= PAUSES[0] && pause <= LONGEST.mul_f64(1.25));
        }
    }
}
