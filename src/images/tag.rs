//! Tags as versions: which of a repository's tags come after one that is used.
//!
//! A tag is compared with those of its own shape only: `8.2-slim` with `8.4-slim`, a date with a date, `1.2.0-rc.1` with
//! other candidates and with the release that they lead to. Whether somebody wants another flavour is not onramp's to guess.

use std::cmp::Ordering;

use serde::Serialize;

/// How far a newer version is away (Semantic Versioning 2.0.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The first number differs.
    Major,
    /// The second one does.
    Minor,
    /// Another one does, or it is a release after its candidates.
    Patch,
}

/// A key by which `8.10` comes after `8.9`: numbers by their value, texts between them as they are.
pub fn natural(tag: &str) -> Vec<(u128, &str)> {
    let mut key = Vec::new();
    let mut rest = tag;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let text = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        key.push((rest[..digits].parse().unwrap_or(0), &rest[digits..digits + text]));
        rest = &rest[digits + text..];
    }
    key
}

/// A tag that begins with numbers: `v1.20.3-slim`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbered<'a> {
    prefix: &'a str,
    numbers: Vec<u64>,
    rest: &'a str,
}

impl<'a> Numbered<'a> {
    fn of(tag: &'a str) -> Option<Self> {
        let bare = tag.strip_prefix('v').unwrap_or(tag);
        let prefix = &tag[..tag.len() - bare.len()];
        let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
        let core = bare[..end].trim_end_matches('.');
        let rest = &bare[core.len()..];
        let numbers = core.split('.').map(|number| number.parse().ok()).collect::<Option<Vec<u64>>>()?;
        // `7f3a` begins with a digit and is no version.
        (rest.is_empty() || rest.starts_with(['-', '_', '+'])).then_some(Self { prefix, numbers, rest })
    }

    /// What is the same in all versions of a flavour: `-rc.1` and `-rc.2` are one.
    fn flavour(&self) -> (&'a str, usize, Vec<&'a str>) {
        let texts = self.rest.split(|c: char| c.is_ascii_digit()).filter(|text| !text.is_empty()).collect();
        (self.prefix, self.numbers.len(), texts)
    }

    /// Whether it only leads to a release.
    fn is_candidate(&self) -> bool {
        let word = self.rest.trim_start_matches(['-', '_']);
        let end = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
        matches!(word[..end].to_ascii_lowercase().as_str(), "alpha" | "beta" | "rc" | "pre" | "preview" | "dev")
    }
}

/// How far `other` comes after `tag`; none where it does not, or where the two are no versions of one flavour.
pub fn newer(tag: &str, other: &str) -> Option<Step> {
    let (one, two) = (Numbered::of(tag)?, Numbered::of(other)?);
    let released = one.is_candidate() && two.rest.is_empty() && one.prefix == two.prefix;
    let same = one.flavour() == two.flavour() || (released && one.numbers.len() == two.numbers.len());
    let later = match two.numbers.cmp(&one.numbers) {
        Ordering::Equal if released => Ordering::Greater,
        Ordering::Equal => natural(two.rest).cmp(&natural(one.rest)),
        order => order,
    };
    if !same || later != Ordering::Greater {
        return None;
    }
    Some(match one.numbers.iter().zip(&two.numbers).position(|(a, b)| a != b) {
        Some(0) => Step::Major,
        Some(1) => Step::Minor,
        _ => Step::Patch,
    })
}

/// The newest of these tags that comes after `tag`.
pub fn newest<'a>(tag: &str, tags: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, Step)> {
    let later = tags.into_iter().filter_map(|other| Some((other, newer(tag, other)?)));
    later.max_by(|(a, _), (b, _)| match (newer(a, b), newer(b, a)) {
        (Some(_), _) => Ordering::Less,
        (_, Some(_)) => Ordering::Greater,
        (None, None) => natural(a).cmp(&natural(b)),
    })
}

/// The tag that stands for a repository: its highest release, else the last one as versions and dates sort.
pub fn foremost<'a>(tags: &[&'a str]) -> Option<&'a str> {
    let release = |tag: &&&str| Numbered::of(tag).is_some_and(|numbered| !numbered.is_candidate());
    let releases = tags.iter().filter(release);
    // Of `8`, `8.4` and `8.4.2`, which are often one image, the most exact one.
    let highest = releases.max_by(|a, b| natural(a).cmp(&natural(b)));
    highest.or_else(|| tags.iter().max_by(|a, b| natural(a).cmp(&natural(b)))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_their_numbers() {
        let mut tags = ["8.10", "8.9", "8.9-rc1", "10.0", "2026-01-09", "2026-01-10", "latest", "8"];
        tags.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(tags, ["latest", "8", "8.9", "8.9-rc1", "8.10", "10.0", "2026-01-09", "2026-01-10"]);
    }

    #[test]
    fn a_newer_version_is_one_of_the_same_flavour() {
        for (tag, other, step) in [
            ("8.2", "8.4", Some(Step::Minor)),
            ("8.2", "8.10", Some(Step::Minor)),
            ("8.2", "9.0", Some(Step::Major)),
            ("8.2", "8.2.1", None),
            ("8.2", "8.1", None),
            ("8.2", "8.2", None),
            ("8.2", "8.4-slim", None),
            ("8.2-slim", "8.4-slim", Some(Step::Minor)),
            ("v1.2.3", "v1.2.4", Some(Step::Patch)),
            ("v1.2.3", "1.2.4", None),
            ("1.2.0-rc.1", "1.2.0-rc.2", Some(Step::Patch)),
            ("1.2.0-rc.9", "1.2.0-rc.10", Some(Step::Patch)),
            ("1.2.0-rc.1", "1.2.0", Some(Step::Patch)),
            ("1.2.0-rc.1", "1.3.0", Some(Step::Minor)),
            ("1.2.0", "1.3.0-rc.1", None),
            ("2026-01-09", "2026-01-10", Some(Step::Patch)),
            ("12", "13", Some(Step::Major)),
            ("latest", "13", None),
            ("7f3a", "8f3a", None),
            ("1..2", "1..3", None),
        ] {
            assert_eq!(newer(tag, other), step, "{tag} {other}");
        }
    }

    #[test]
    fn the_newest_and_the_foremost() {
        let tags = ["8.2", "8.4", "8.10", "8.10-slim", "9.0-rc1", "latest"];
        assert_eq!(newest("8.2", tags), Some(("8.10", Step::Minor)));
        assert_eq!(newest("8.10", tags), None);
        assert_eq!(foremost(&["8", "8.4", "8.4.2", "9.0-rc1", "latest"]), Some("8.4.2"));
        assert_eq!(foremost(&["latest", "edge"]), Some("latest"));
        assert_eq!(foremost(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn every_tag_has_a_key_that_holds_all_its_text(tag in "[0-9A-Za-z_][0-9A-Za-z_.-]{0,60}") {
            let text: String = natural(&tag).iter().map(|(_, text)| *text).collect();
            let expected: String = tag.chars().filter(|c| !c.is_ascii_digit()).collect();
            proptest::prop_assert_eq!(text, expected);
        }

        #[test]
        fn nothing_comes_after_itself_and_no_two_after_each_other(
            one in "v?[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(-(rc|slim)\\.?[0-9]?)?",
            two in "v?[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(-(rc|slim)\\.?[0-9]?)?",
        ) {
            proptest::prop_assert_eq!(newer(&one, &one), None);
            proptest::prop_assert!(newer(&one, &two).is_none() || newer(&two, &one).is_none());
        }
    }
}
