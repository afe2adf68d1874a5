//! DORA's four figures of an environment, from its history. Pure.
//!
//! The definitions follow <https://dora.dev/guides/dora-metrics/>; what stands for each here is in `docs/releases.md`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::history::{Entry, Kind};
use crate::name::Name;

/// A week, in seconds.
const WEEK: i64 = 7 * 86_400;

/// The four figures, and what they are made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// The environment.
    pub environment: Name,
    /// The app; none: all of them.
    pub app: Option<Name>,
    /// From when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How often something was deployed.
    pub deployment_frequency: Frequency,
    /// Seconds from a project's commit until it was declared.
    pub lead_time: Spread,
    /// How many deployments failed.
    pub change_failure_rate: Failures,
    /// Seconds from a deployment that failed until what ended it.
    pub time_to_restore: Spread,
    /// The weeks, oldest first.
    pub weeks: Vec<Week>,
    /// Each deployment, oldest first.
    pub deployments: Vec<Deployment>,
}

/// How often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frequency {
    /// How many in all.
    pub count: usize,
    /// How many a week.
    pub per_week: f64,
}

/// Lengths of time, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub known: usize,
    /// The one in the middle.
    pub median: Option<i64>,
    /// Nine of ten are at most so long.
    pub p90: Option<i64>,
}

/// How many failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failures {
    /// How many.
    pub failed: usize,
    /// The share of all; none where there are none.
    pub rate: Option<f64>,
}

/// One week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Week {
    /// When it begins.
    pub from: Timestamp,
    /// How many deployments.
    pub deployments: usize,
    /// How many of them failed.
    pub failed: usize,
}

/// One deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployment {
    /// The app.
    pub app: Name,
    /// When.
    pub at: Timestamp,
    /// Seconds from the project's commit, where that is known.
    pub lead: Option<i64>,
    /// Seconds until what ended it, where it failed.
    pub restored_after: Option<i64>,
}

/// Counts. `entries` are of one environment, newest first, and go on past `until`'s window as far as they like.
pub fn of(environment: &Name, app: Option<&Name>, entries: &[Entry], since: Timestamp, until: Timestamp) -> Metrics {
    let deployments = deployments(entries);
    let inside: Vec<Deployment> = deployments.into_iter().filter(|d| d.at >= since && d.at < until).collect();
    let length = until.duration_since(since).as_secs().max(1);
    let failed = inside.iter().filter(|deployment| deployment.restored_after.is_some()).count();
    Metrics {
        environment: environment.clone(),
        app: app.cloned(),
        since,
        until,
        deployment_frequency: Frequency {
            count: inside.len(),
            per_week: rounded(ratio(inside.len(), 1) * ratio(WEEK, 1) / ratio(length, 1)),
        },
        lead_time: spread(inside.iter().filter_map(|deployment| deployment.lead).collect()),
        change_failure_rate: Failures {
            failed,
            rate: (!inside.is_empty()).then(|| rounded(ratio(failed, 1) / ratio(inside.len(), 1))),
        },
        time_to_restore: spread(inside.iter().filter_map(|deployment| deployment.restored_after).collect()),
        weeks: weeks(&inside, since, until),
        deployments: inside,
    }
}

/// The deployments, oldest first: changes of images that are no rollback. One failed if the next change of the same app's images is a rollback
/// or a hotfix; it was restored then.
fn deployments(entries: &[Entry]) -> Vec<Deployment> {
    let mut all: Vec<Deployment> = Vec::new();
    // By app: where its last deployment stands, while nothing ended it.
    let mut last: BTreeMap<&Name, usize> = BTreeMap::new();
    for entry in entries.iter().rev().filter(|entry| !entry.changes.is_empty()) {
        if matches!(entry.kind, Kind::Rollback | Kind::Hotfix)
            && let Some(failed) = last.remove(&entry.app)
        {
            let failed = &mut all[failed];
            failed.restored_after = Some(entry.at.duration_since(failed.at).as_secs().max(0));
        }
        if entry.kind != Kind::Rollback {
            last.insert(&entry.app, all.len());
            all.push(Deployment { app: entry.app.clone(), at: entry.at, lead: entry.lead, restored_after: None });
        }
    }
    all
}

fn spread(mut lengths: Vec<i64>) -> Spread {
    lengths.sort_unstable();
    let middle = lengths.len() / 2;
    let median = match lengths.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(lengths[middle]),
        _ => Some(i64::midpoint(lengths[middle - 1], lengths[middle])),
    };
    let ninth = (lengths.len() * 9).div_ceil(10).checked_sub(1);
    Spread { known: lengths.len(), median, p90: ninth.map(|at| lengths[at]) }
}

fn weeks(deployments: &[Deployment], since: Timestamp, until: Timestamp) -> Vec<Week> {
    let mut weeks = Vec::new();
    let mut from = since;
    while from < until && weeks.len() < 520 {
        let Ok(to) = from.checked_add(SignedDuration::from_secs(WEEK)) else { break };
        let here = || deployments.iter().filter(|deployment| deployment.at >= from && deployment.at < to);
        let failed = here().filter(|deployment| deployment.restored_after.is_some()).count();
        weeks.push(Week { from, deployments: here().count(), failed });
        from = to;
    }
    weeks
}

/// Two counts as a fraction. Counts of deployments and seconds are far below what a double holds.
#[expect(clippy::cast_precision_loss, reason = "nobody deploys 2^53 times")]
fn ratio(count: impl TryInto<i64>, of: i64) -> f64 {
    count.try_into().unwrap_or(i64::MAX) as f64 / of as f64
}

/// To three places: more would say what nobody measured.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::deployment::Change;

    fn entry(app: &str, kind: Kind, at: &str, lead: Option<i64>) -> Entry {
        let image = format!("r.test/a@{}", crate::reference::Digest::of(at.as_bytes())).parse().unwrap();
        Entry {
            app: app.parse().unwrap(),
            environment: "production".parse().unwrap(),
            kind,
            at: at.parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
            by: "Ada".into(),
            merged_by: None,
            pull: None,
            source: None,
            lead,
            from: None,
            reason: None,
            changes: vec![Change { service: "web".parse().unwrap(), from: None, to: image }],
        }
    }

    fn metrics(mut entries: Vec<Entry>) -> Metrics {
        entries.reverse();
        let environment = "production".parse().unwrap();
        of(
            &environment,
            None,
            &entries,
            "2026-11-01T00:00:00Z".parse().unwrap(),
            "2026-11-29T00:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn four_figures_of_four_weeks() {
        let told = metrics(vec![
            entry("shop", Kind::Promote, "2026-10-30T00:00:00Z", Some(1)),
            entry("shop", Kind::Deploy, "2026-11-02T10:00:00Z", Some(3600)),
            entry("auth", Kind::Deploy, "2026-11-03T10:00:00Z", Some(7200)),
            entry("shop", Kind::Rollback, "2026-11-02T10:30:00Z", None),
            entry("shop", Kind::Promote, "2026-11-10T10:00:00Z", None),
            entry("shop", Kind::Hotfix, "2026-11-10T12:00:00Z", Some(1800)),
            Entry { changes: Vec::new(), ..entry("auth", Kind::Hand, "2026-11-11T12:00:00Z", None) },
        ]);
        assert_eq!(told.deployment_frequency, Frequency { count: 4, per_week: 1.0 });
        assert_eq!(told.lead_time, Spread { known: 3, median: Some(3600), p90: Some(7200) });
        assert_eq!(told.change_failure_rate, Failures { failed: 2, rate: Some(0.5) });
        assert_eq!(told.time_to_restore, Spread { known: 2, median: Some(4500), p90: Some(7200) });
        let weeks: Vec<(usize, usize)> = told.weeks.iter().map(|week| (week.deployments, week.failed)).collect();
        assert_eq!(weeks, [(2, 1), (2, 1), (0, 0), (0, 0)]);
    }

    #[test]
    fn nothing_is_no_figure() {
        let told = metrics(Vec::new());
        assert_eq!((told.lead_time.median, told.change_failure_rate.rate), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn figures_fit_each_other(kinds in proptest::collection::vec((0..4_u8, 0..3_u8, 0_i64..4_000_000), 0..40)) {
            let base: Timestamp = "2026-10-25T00:00:00Z".parse().unwrap();
            let mut at: Vec<_> = kinds.iter().map(|(_, _, at)| *at).collect();
            at.sort_unstable();
            let entries = kinds.iter().zip(at).map(|((kind, app, _), at)| {
                let kind = [Kind::Deploy, Kind::Rollback, Kind::Hotfix, Kind::Hand][usize::from(*kind)];
                let at = base.checked_add(SignedDuration::from_secs(at)).unwrap().to_string();
                entry(["a", "b", "c"][usize::from(*app)], kind, &at, Some(5))
            });
            let told = metrics(entries.collect());
            let count = told.deployment_frequency.count;
            proptest::prop_assert!(told.change_failure_rate.failed <= count);
            proptest::prop_assert_eq!(told.weeks.iter().map(|week| week.deployments).sum::<usize>(), count);
            proptest::prop_assert_eq!(told.time_to_restore.known, told.change_failure_rate.failed);
            proptest::prop_assert!(told.lead_time.median <= told.lead_time.p90);
        }
    }
}
