//! How lively a block is: the repository activity score of the `InnerSource` Commons.
//!
//! The formula is the pattern's own, constant by constant:
//! <https://patterns.innersourcecommons.org/p/repository-activity-score>. Its words speak of bonuses that multiply by 1 to
//! 2, its published code (JavaScript and the reference in Python) divides the whole sum; portals compute what the code
//! says, and so does this, so that a score means the same everywhere.

use jiff::Timestamp;
use serde::Serialize;

/// The weeks whose commits the formula looks at.
const WEEKS: usize = 13;

/// What the formula is computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many forks the forge counts.
    pub forks: u64,
    /// How many people watch it.
    pub subscribers: u64,
    /// How many stars it has.
    pub stars: u64,
    /// How many issues are open.
    pub open_issues: u64,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it began.
    pub created: Timestamp,
    /// Commits in each week, oldest first; none where nobody counted.
    pub weekly: Option<Vec<u64>>,
    /// Whether its description (or motivation) says something: more than 30 characters.
    pub described: bool,
    /// Whether it says how to contribute.
    pub guidelines: bool,
}

/// What a score means to people, in the words of the SAP project portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Up to 5.
    None,
    /// Up to 50.
    VeryLow,
    /// Up to 150.
    Low,
    /// Up to 300.
    Moderate,
    /// Up to 1000.
    High,
    /// Up to 2500.
    VeryHigh,
    /// More.
    ExtremelyHigh,
}

/// The score, from 0 up; very active repositories settle around 4000.
pub fn score(figures: &Figures, now: Timestamp) -> i64 {
    let mut score = 50.0;
    score += count(figures.forks) * 5.0;
    score += count(figures.subscribers);
    score += count(figures.stars) / 3.0;
    score += count(figures.open_issues) / 5.0;

    let since_update = days(figures.updated, now);
    score *= (1.0 + (100.0 - since_update.min(100.0))) / 100.0;
    if let Some(weekly) = &figures.weekly {
        let recent = &weekly[weekly.len().saturating_sub(WEEKS)..];
        let average = count(recent.iter().sum()) / 13.0;
        score *= (1.0 + (average - 3.0).clamp(0.0, 7.0)) / 7.0;
    }

    let since_creation = days(figures.created, now);
    let boost = 1000.0 - since_update.min(365.0) * 2.74;
    score += boost * (365.0 - since_creation.min(365.0)) / 365.0;
    score += if figures.described { 50.0 } else { 0.0 };
    score += if figures.guidelines { 100.0 } else { 0.0 };
    if score > 3000.0 {
        score = 3000.0 + score.ln() * 100.0;
    }
    // JavaScript's `Math.round`: halves go up. The value is far inside of what fits.
    #[allow(clippy::cast_possible_truncation)]
    let rounded = (score - 50.0 + 0.5).floor() as i64;
    rounded
}

/// What a score means.
pub fn level(score: i64) -> Level {
    match score {
        ..=5 => Level::None,
        6..=50 => Level::VeryLow,
        51..=150 => Level::Low,
        151..=300 => Level::Moderate,
        301..=1000 => Level::High,
        1001..=2500 => Level::VeryHigh,
        _ => Level::ExtremelyHigh,
    }
}

impl Level {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::VeryLow => "very low",
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::VeryHigh => "very high",
            Self::ExtremelyHigh => "extremely high",
        }
    }
}

/// Commits in each of the last 52 weeks, oldest first, of commits made at these times.
pub fn weekly(times: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Vec<u64> {
    let mut weeks = vec![0; 52];
    for time in times {
        let ago = now.duration_since(time).as_secs();
        let week = usize::try_from(ago.max(0) / (7 * 86_400)).unwrap_or(usize::MAX);
        if week < weeks.len() {
            let place = weeks.len() - 1 - week;
            weeks[place] += 1;
        }
    }
    weeks
}

// Counts are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn count(number: u64) -> f64 {
    number as f64
}

/// Days from one time to a later one; a time that is still to come is now.
fn days(then: Timestamp, now: Timestamp) -> f64 {
    (now.duration_since(then).as_secs_f64() / 86_400.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Worked through with the pattern's published JavaScript, run by node.
    #[test]
    fn the_published_code_says_the_same() {
        let now = at("2020-10-09T00:00:00Z");
        let busy = Figures {
            forks: 331,
            subscribers: 136,
            stars: 136,
            open_issues: 98,
            updated: at("2020-10-07T09:42:53Z"),
            created: at("2017-01-31T09:39:12Z"),
            weekly: Some(vec![15, 3, 9, 6, 8, 8, 10, 3, 3, 6, 2, 8, 12, 8]),
            described: true,
            guidelines: false,
        };
        let young = Figures {
            updated: at("2020-10-08T00:00:00Z"),
            created: at("2020-09-09T00:00:00Z"),
            weekly: Some(vec![0; 52]),
            described: true,
            guidelines: true,
            ..Figures::default()
        };
        let old = Figures { updated: at("2018-01-01T00:00:00Z"), created: at("2015-01-01T00:00:00Z"), ..young.clone() };
        let uncounted = Figures { weekly: None, ..young.clone() };
        let scores = [&busy, &young, &old, &uncounted].map(|figures| score(figures, now));
        assert_eq!(scores, [1249, 1022, 100, 1065]);
    }

    #[test]
    fn what_is_very_active_is_scaled_down() {
        let now = at("2020-10-09T00:00:00Z");
        let huge = Figures { forks: 1_000_000, updated: now, created: now, ..Figures::default() };
        assert!((4000..5000).contains(&score(&huge, now)), "{}", score(&huge, now));
    }

    #[test]
    fn commits_fall_into_their_weeks() {
        let now = at("2020-10-09T00:00:00Z");
        let times = ["2020-10-08T00:00:00Z", "2020-10-01T00:00:00Z", "2020-10-03T00:00:00Z", "2010-01-01T00:00:00Z"];
        let weeks = weekly(times.map(at), now);
        assert_eq!((weeks.len(), &weeks[49..]), (52, &[0, 1, 2][..]));
    }

    proptest::proptest! {
        #[test]
        fn more_of_anything_is_never_less(forks in 0_u64..1000, stars in 0_u64..1000, age in 0_i64..4000, idle in 0_i64..4000) {
            let now = at("2026-01-01T00:00:00Z");
            let ago = |days: i64| Timestamp::from_second(now.as_second() - days * 86_400).unwrap();
            let figures = Figures { forks, stars, updated: ago(idle.min(age)), created: ago(age), ..Figures::default() };
            let here = score(&figures, now);
            for better in [
                Figures { forks: forks + 3, ..figures.clone() },
                Figures { stars: stars + 3, ..figures.clone() },
                Figures { updated: ago(idle.min(age) / 2), ..figures.clone() },
                Figures { guidelines: true, ..figures.clone() },
            ] {
                // The logarithm at 3000 has a step; on either side of it more is more.
                let there = score(&better, now);
                proptest::prop_assert!(there >= here, "{here} {there}");
            }
            proptest::prop_assert!(here >= -50);
        }
    }
}
