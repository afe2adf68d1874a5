//! Freeze windows: the part of every week in which nothing is merged, in the time zone of the people who would be woken.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Deserialize;

/// `Fri 16:00 - Mon 08:00 Europe/London`: from the first moment until just before the second one, every week.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Freeze {
    text: String,
    from: Moment,
    to: Moment,
    zone: TimeZone,
}

/// A moment of the week, on the clocks of the window's time zone. Ordered from Monday 00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    day: i8,
    time: Time,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Freeze {
    /// When the window that `now` lies in ends; none when it lies in none.
    ///
    /// Both ends are read off the zone's own clocks, so that a window keeps its hours through a change to or from
    /// summer time. An end that the change skips moves forward with the clocks.
    pub fn until(&self, now: Timestamp) -> Option<Zoned> {
        let here = now.to_zoned(self.zone.clone());
        let moment = Moment { day: here.weekday().to_monday_zero_offset(), time: here.time() };
        let inside = if self.from < self.to {
            self.from <= moment && moment < self.to
        } else {
            self.from <= moment || moment < self.to
        };
        if !inside {
            return None;
        }
        let days = (self.to.day - moment.day).rem_euclid(7);
        // The same day of the week, but its end has passed: it is the one of next week.
        let days = if days == 0 && self.to.time <= moment.time { 7 } else { days };
        let date = here.date().checked_add(jiff::Span::new().days(days)).ok()?;
        date.to_datetime(self.to.time).to_zoned(self.zone.clone()).ok()
    }

    /// As it is written in `state.toml`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Freeze {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown = crate::text::neutral_line(&text, 80);
        let shape = || format!("`{shown}` is no freeze window like `Fri 16:00 - Mon 08:00 Europe/London`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [from_day, from_time, "-", to_day, to_time, zone] = words[..] else { return Err(shape()) };
        let from = Moment::parse(from_day, from_time).ok_or_else(shape)?;
        let to = Moment::parse(to_day, to_time).ok_or_else(shape)?;
        if from == to {
            return Err(format!("`{shown}` begins and ends at the same moment"));
        }
        let zone = TimeZone::get(zone).map_err(|_| format!("`{shown}`: there is no time zone of that name"))?;
        Ok(Self { text, from, to, zone })
    }
}

impl Moment {
    fn parse(day: &str, time: &str) -> Option<Self> {
        let (_, day) = DAYS.iter().find(|(name, _)| day.eq_ignore_ascii_case(name))?;
        let (hour, minute) = time.split_once(':')?;
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = |text: &str| digits(text).then(|| text.parse::<i8>().ok()).flatten();
        let time = Time::new(number(hour)?, number(minute)?, 0, 0).ok()?;
        Some(Self { day: day.to_monday_zero_offset(), time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(text: &str) -> Freeze {
        text.to_owned().try_into().unwrap()
    }

    fn until(window: &str, now: &str) -> Option<String> {
        freeze(window).until(now.parse().unwrap()).map(|end| end.timestamp().to_string())
    }

    #[test]
    fn a_weekend_wraps_around_the_week_in_its_own_zone() {
        let weekend = "Fri 16:00 - Mon 08:00 Europe/London";
        // British Summer Time is UTC+1: 15:00Z is 16:00 in London.
        assert_eq!(until(weekend, "2026-07-03T14:59:59Z"), None);
        assert_eq!(until(weekend, "2026-07-03T15:00:00Z").unwrap(), "2026-07-06T07:00:00Z");
        assert_eq!(until(weekend, "2026-07-05T12:00:00Z").unwrap(), "2026-07-06T07:00:00Z");
        assert_eq!(until(weekend, "2026-07-06T06:59:59Z").unwrap(), "2026-07-06T07:00:00Z");
        assert_eq!(until(weekend, "2026-07-06T07:00:00Z"), None);
        // In winter London is UTC.
        assert_eq!(until(weekend, "2026-12-04T15:30:00Z"), None);
        assert_eq!(until(weekend, "2026-12-04T16:00:00Z").unwrap(), "2026-12-07T08:00:00Z");
    }

    #[test]
    fn a_window_within_the_week_does_not_wrap() {
        let night = "Tue 22:00 - Wed 06:00 UTC";
        assert_eq!(until(night, "2026-11-24T23:00:00Z").unwrap(), "2026-11-25T06:00:00Z");
        assert_eq!(until(night, "2026-11-25T06:00:00Z"), None);
        assert_eq!(until(night, "2026-11-28T12:00:00Z"), None);
    }

    #[test]
    fn a_window_of_almost_a_week_ends_next_week() {
        let long = "Mon 09:00 - Mon 08:00 UTC";
        assert_eq!(until(long, "2026-11-23T08:30:00Z"), None);
        assert_eq!(until(long, "2026-11-23T09:00:00Z").unwrap(), "2026-11-30T08:00:00Z");
        assert_eq!(until(long, "2026-11-23T07:00:00Z").unwrap(), "2026-11-23T08:00:00Z");
    }

    #[test]
    fn clocks_that_change_inside_a_window_keep_its_hours() {
        // London goes to summer time on Sunday 2026-03-29 at 01:00Z: the window is an hour shorter.
        let weekend = "Fri 16:00 - Mon 08:00 Europe/London";
        assert_eq!(until(weekend, "2026-03-28T12:00:00Z").unwrap(), "2026-03-30T07:00:00Z");
        // And back on Sunday 2026-10-25: an hour longer.
        assert_eq!(until(weekend, "2026-10-24T12:00:00Z").unwrap(), "2026-10-26T08:00:00Z");
        // 01:30 on that Sunday in March does not exist: the end moves forward with the clocks.
        assert_eq!(
            until("Sun 00:00 - Sun 01:30 Europe/London", "2026-03-29T00:10:00Z").unwrap(),
            "2026-03-29T01:30:00Z"
        );
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "Fri - Mon",
            "Fri 16:00 Mon 08:00 UTC",
            "Fry 16:00 - Mon 08:00 UTC",
            "Fri 24:00 - Mon 08:00 UTC",
            "Fri 6:00 - Mon 08:00 UTC",
            "Fri 16:60 - Mon 08:00 UTC",
            "Fri 16:00 - Fri 16:00 UTC",
            "Fri 16:00 - Mon 08:00 Europe/Lundon",
            "Fri 16:00 - Mon 08:00",
            "Fri 16:00 - Mon 08:00 UTC UTC",
            "Fri +1:00 - Mon 08:00 UTC",
        ] {
            assert!(Freeze::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_window_that_holds_now_ends_later_and_then_is_open(
            from in 0_i64..7 * 24 * 60, to in 0_i64..7 * 24 * 60, now in 1_700_000_000_i64..1_900_000_000,
        ) {
            proptest::prop_assume!(from != to);
            let word = |m: i64| {
                let day = DAYS[usize::try_from(m / 1440).unwrap()].0;
                format!("{day} {:02}:{:02}", m / 60 % 24, m % 60)
            };
            let window = freeze(&format!("{} - {} America/New_York", word(from), word(to)));
            let now = Timestamp::from_second(now).unwrap();
            if let Some(end) = window.until(now) {
                proptest::prop_assert!(end.timestamp() > now);
                // One week and the hour that clocks give back.
                proptest::prop_assert!(end.timestamp().duration_since(now) <= SignedHours(7 * 24 + 1).into());
                proptest::prop_assert_eq!(window.until(end.timestamp()), None);
            }
        }
    }

    struct SignedHours(i64);
    impl From<SignedHours> for jiff::SignedDuration {
        fn from(hours: SignedHours) -> Self {
            Self::from_hours(hours.0)
        }
    }
}
