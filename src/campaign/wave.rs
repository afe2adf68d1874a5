//! How many repositories at once, and when to stop. Pure.

use std::ops::Range;
use std::str::FromStr;

/// The fewest repositories with the block of which a share says something.
const FEWEST: usize = 10;

/// A number of repositories, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Count(usize),
    Percent(usize),
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no number like 10, and no share like 5%", crate::text::neutral_line(text, 40));
        let size = match text.trim().strip_suffix('%') {
            Some(percent) => Self::Percent(percent.trim().parse().map_err(|_| wrong())?),
            None => Self::Count(text.trim().parse().map_err(|_| wrong())?),
        };
        match size {
            Self::Count(0) | Self::Percent(0) => Err("none at all is no wave and no rule".to_owned()),
            Self::Percent(101..) => Err("more than 100%".to_owned()),
            size => Ok(size),
        }
    }
}

/// The sizes of a campaign's waves: `5,10%,100%`. The last one is repeated until every repository had its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waves(Vec<Size>);

impl FromStr for Waves {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Default for Waves {
    fn default() -> Self {
        Self(vec![Size::Percent(100)])
    }
}

impl Waves {
    /// The repositories of each wave, by their place in the list.
    pub fn of(&self, all: usize) -> Vec<Range<usize>> {
        let mut waves = Vec::new();
        let mut start = 0;
        let mut sizes = self.0.iter().copied();
        let mut size = Size::Percent(100);
        while start < all {
            size = sizes.next().unwrap_or(size);
            let count = match size {
                Size::Count(count) => count,
                Size::Percent(percent) => (all * percent).div_ceil(100).max(1),
            };
            let end = start.saturating_add(count).min(all);
            waves.push(start..end);
            start = end;
        }
        waves
    }
}

/// When to begin no other repository: after so many failures and conflicts, or when they are more than this share of the
/// repositories with the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop(Size);

impl FromStr for Stop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl Stop {
    /// Whether it is time. A share is not looked at before some repositories had their turn.
    pub fn is_reached(self, troubled: usize, with_block: usize) -> bool {
        match self.0 {
            Size::Count(count) => troubled >= count,
            Size::Percent(percent) => with_block >= FEWEST && troubled * 100 > percent * with_block,
        }
    }

    /// The rule in words.
    pub fn words(self) -> String {
        match self.0 {
            Size::Count(1) => "the first failure or conflict".to_owned(),
            Size::Count(count) => format!("{count} failures or conflicts"),
            Size::Percent(percent) => format!("failures or conflicts in more than {percent} % of the repositories"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_cover_everything_once() {
        let waves = |text: &str, all: usize| -> Vec<usize> {
            text.parse::<Waves>().unwrap().of(all).iter().map(Range::len).collect()
        };
        assert_eq!(waves("5,10%,100%", 100), [5, 10, 85]);
        assert_eq!(waves("30", 100), [30, 30, 30, 10]);
        assert_eq!(waves("1%", 3), [1, 1, 1]);
        assert_eq!(Waves::default().of(7).iter().map(Range::len).collect::<Vec<_>>(), [7]);
        assert!(waves("5", 0).is_empty());
        for bad in ["", "0", "0%", "101%", "x", "-1", "5,,5"] {
            assert!(bad.parse::<Waves>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rule_stops_by_number_or_share() {
        let rule = |text: &str| text.parse::<Stop>().unwrap();
        assert!(!rule("3").is_reached(2, 2) && rule("3").is_reached(3, 1000));
        assert!(!rule("20%").is_reached(9, 9), "too few to tell");
        assert!(!rule("20%").is_reached(2, 10) && rule("20%").is_reached(3, 10));
        assert_eq!(rule("1").words(), "the first failure or conflict");
    }

    proptest::proptest! {
        #[test]
        fn no_repository_is_left_out_or_taken_twice(sizes in proptest::collection::vec((1_usize..120, proptest::bool::ANY), 1..5), all in 0_usize..300) {
            let sizes: Vec<String> = sizes.iter().map(|(n, p)| if *p { format!("{}%", n.min(&100)) } else { n.to_string() }).collect();
            let waves = sizes.join(",").parse::<Waves>().unwrap().of(all);
            let flat: Vec<usize> = waves.into_iter().flatten().collect();
            proptest::prop_assert_eq!(flat, (0..all).collect::<Vec<_>>());
        }
    }
}
