//! What parity comes to: how many facts stand how, and the whole in one line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Fact, Parity, ServiceParity, Standing};
use crate::sandbox::plan::EnvironmentAt;

/// How many facts stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// The share of the equal ones in those that anybody can tell, in percent, rounded down: 100 is nothing but equal ones.
    /// None where nothing can be told.
    pub percent: Option<u8>,
    /// Those that are the same.
    pub equal: usize,
    /// Those that are different here.
    pub overridden: usize,
    /// Those that are declared and not here.
    pub missing: usize,
    /// Those that nobody can tell. They count neither way.
    pub unknown: usize,
}

impl Score {
    pub(super) fn of<'a>(facts: impl Iterator<Item = &'a Fact>) -> Self {
        let mut score = Self::default();
        for fact in facts {
            *match fact.standing {
                Standing::Equal => &mut score.equal,
                Standing::Overridden => &mut score.overridden,
                Standing::Missing => &mut score.missing,
                Standing::Unknown => &mut score.unknown,
            } += 1;
        }
        let told = score.equal + score.overridden + score.missing;
        score.percent = (score.equal * 100).checked_div(told).and_then(|percent| u8::try_from(percent).ok());
        score
    }

    /// Whether it is this many percent. Where nothing can be told, nothing is proven.
    pub fn reaches(&self, percent: u8) -> bool {
        self.percent.is_some_and(|reached| reached >= percent)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent {
            Some(percent) => write!(f, "score {percent} %")?,
            None => f.write_str("no score")?,
        }
        let Self { equal, overridden, missing, unknown, .. } = self;
        write!(f, "; facts: {equal} equal, {overridden} overridden here, {missing} missing, {unknown} unknown")
    }
}

/// Parity in short: one line for people, and what is kept with the results of tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The environment.
    pub environment: EnvironmentAt,
    /// How many services were compared.
    pub services: usize,
    /// How many of them run at the digests that the environment declares.
    pub at_digests: usize,
    /// How many facts stand how.
    pub score: Score,
    /// The other services, and why: `shop/web: built from your code`.
    pub others: Vec<String>,
}

impl Parity {
    /// The whole in short.
    pub fn summary(&self) -> Summary {
        let digest = |service: &&ServiceParity| {
            service.facts.iter().any(|fact| fact.fact == "digest" && fact.standing == Standing::Equal)
        };
        let (same, others): (Vec<_>, Vec<_>) = self.services.iter().partition(digest);
        let why = |service: &&ServiceParity| Some(format!("{}: {}", service.service, service.facts.first()?.why));
        Summary {
            environment: self.environment.clone(),
            services: self.services.len(),
            at_digests: same.len(),
            score: self.score,
            others: others.iter().filter_map(why).collect(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { environment, services, at_digests, score, others } = self;
        write!(f, "parity with {environment}: {at_digests} of {services} services at its digests; {score}")?;
        if !others.is_empty() {
            write!(f, " ({})", others.join("; "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(standings: &[(Standing, usize)]) -> Score {
        let facts: Vec<Fact> = standings
            .iter()
            .flat_map(|(standing, count)| std::iter::repeat_n(Fact::new("digest", *standing, None, ""), *count))
            .collect();
        Score::of(facts.iter())
    }

    #[test]
    fn a_score_is_the_share_of_what_is_equal_in_what_can_be_told() {
        let some = [(Standing::Equal, 199), (Standing::Overridden, 1), (Standing::Missing, 0), (Standing::Unknown, 50)];
        let some = score(&some);
        assert_eq!(some.percent, Some(99), "100 is nothing but equal facts");
        assert!(some.reaches(99) && !some.reaches(100));
        assert_eq!(score(&[(Standing::Equal, 2), (Standing::Missing, 1)]).percent, Some(66));
        assert_eq!(score(&[(Standing::Equal, 2), (Standing::Unknown, 1)]).percent, Some(100));
    }

    #[test]
    fn what_nobody_can_tell_proves_nothing() {
        let nothing = score(&[(Standing::Unknown, 3)]);
        assert!(!nothing.reaches(0));
        assert_eq!(nothing.to_string(), "no score; facts: 0 equal, 0 overridden here, 0 missing, 3 unknown");
    }
}
