//! Which of two versions is newer, as each package manager decides it.

use std::cmp::Ordering;

use super::Ecosystem;

/// How one version stands to another; none where their grammar does not tell.
pub fn compare(ecosystem: Ecosystem, a: &str, b: &str) -> Option<Ordering> {
    match ecosystem {
        Ecosystem::Deb => Some(deb(a, b)),
        Ecosystem::Rpm => Some(rpm(a, b)),
        Ecosystem::Apk => apk(a, b),
        Ecosystem::Pypi => Some(a.parse::<pep440_rs::Version>().ok()?.cmp(&b.parse().ok()?)),
        Ecosystem::Npm => Some(a.parse::<semver::Version>().ok()?.cmp(&b.parse().ok()?)),
        Ecosystem::Composer => composer(a, b),
    }
}

/// Debian policy, section 5.6.12: epoch, upstream version, revision.
fn deb(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| -> (u64, String, String) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| deb_part(&a.1, &b.1)).then_with(|| deb_part(&a.2, &b.2))
}

/// Text and numbers in turn; in text `~` comes before the end, letters before all others.
fn deb_part(a: &str, b: &str) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|byte| !byte.is_ascii_digit())
            || b.first().is_some_and(|byte| !byte.is_ascii_digit())
        {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[1.min(a.len())..], &b[1.min(b.len())..]);
        }
        let (left, right);
        (left, a) = digits(a);
        (right, b) = digits(b);
        match number(left, right) {
            Ordering::Equal => {}
            order => return order,
        }
    }
    Ordering::Equal
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn letters(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(text.len()))
}

/// Numbers of any length, leading zeros aside.
fn number(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &'_ [u8]| digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// `[epoch:]version-release`, each compared as RPM does (rpm's `rpmvercmp.c`).
fn rpm(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| -> (u64, String, String) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), version.to_owned(), release.to_owned())
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| rpm_part(&a.1, &b.1)).then_with(|| rpm_part(&a.2, &b.2))
}

/// Runs of digits or letters in turn, what separates them ignored; `~` comes before the end, `^` after it.
fn rpm_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let skip = |text: &[u8]| {
        let separator = |byte: &u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'~' | b'^');
        text.iter().position(|byte| !separator(byte)).unwrap_or(text.len())
    };
    if a == b {
        return Ordering::Equal;
    }
    loop {
        (a, b) = (&a[skip(a)..], &b[skip(b)..]);
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => (a, b) = (&a[1..], &b[1..]),
            (Some(b'~'), _) | (None, Some(b'^')) => return Ordering::Less,
            (_, Some(b'~')) | (Some(b'^'), None) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            // Before all that is more than the end.
            (None, Some(_)) | (Some(b'^'), _) => return Ordering::Less,
            (Some(_), None) | (_, Some(b'^')) => return Ordering::Greater,
            (Some(left), Some(right)) => match (left.is_ascii_digit(), right.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (true, true) => {
                    let (left, right);
                    (left, a) = digits(a);
                    (right, b) = digits(b);
                    if number(left, right) != Ordering::Equal {
                        return number(left, right);
                    }
                }
                (false, false) => {
                    let (left, right);
                    (left, a) = letters(a);
                    (right, b) = letters(b);
                    if left != right {
                        return left.cmp(right);
                    }
                }
            },
        }
    }
}

/// What follows a version, and on which side of the release it stands.
const SUFFIXES: [(&str, i8); 9] =
    [("alpha", -4), ("beta", -3), ("pre", -2), ("rc", -1), ("cvs", 1), ("svn", 2), ("git", 3), ("hg", 4), ("p", 5)];

/// `number{.number}{letter}{_suffix{number}}{-rnumber}` (apk-package(5)).
fn apk(a: &str, b: &str) -> Option<Ordering> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct Version {
        /// Padded so that they compare as numbers of any length.
        numbers: Vec<(usize, String)>,
        letter: Option<char>,
        /// The end of the list is between what comes before a release and what comes after it.
        suffixes: Vec<(i8, u64)>,
        revision: u64,
    }
    let parse = |text: &str| {
        let (text, revision) = match text.rsplit_once("-r") {
            Some((text, revision)) => (text, revision.parse().ok()?),
            None => (text, 0),
        };
        // What follows is the commit that it was built from.
        let text = text.split('~').next()?;
        let mut parts = text.split('_');
        let plain = parts.next()?;
        let letter = plain.chars().next_back().filter(char::is_ascii_lowercase);
        let plain = plain.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(plain);
        let numbers = plain.split('.').map(|part| {
            let significant = part.trim_start_matches('0');
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then_some((significant.len(), significant.to_owned()))
        });
        let suffixes = parts.map(|part| {
            let at = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
            let weight = SUFFIXES.iter().find(|(name, _)| *name == &part[..at])?.1;
            Some((weight, if at == part.len() { 0 } else { part[at..].parse().ok()? }))
        });
        let mut suffixes = suffixes.collect::<Option<Vec<_>>>()?;
        suffixes.push((0, 0));
        Some(Version { numbers: numbers.collect::<Option<_>>()?, letter, suffixes, revision })
    };
    Some(parse(a)?.cmp(&parse(b)?))
}

/// Plain releases with up to four numbers, `v` aside, and their pre-releases as Composer orders them; branches have no order.
fn composer(a: &str, b: &str) -> Option<Ordering> {
    let parse = |text: &str| {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split('+').next()?;
        let (plain, stability) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = plain.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
        numbers.resize(numbers.len().max(4), 0);
        let stability = stability.to_ascii_lowercase();
        let at = stability.find(|c: char| c.is_ascii_digit()).unwrap_or(stability.len());
        let weight = match stability[..at].trim_end_matches('.') {
            "" => 4,
            "alpha" | "a" => 1,
            "beta" | "b" => 2,
            "rc" => 3,
            "patch" | "pl" | "p" => 5,
            _ => return None,
        };
        Some((numbers, weight, if at == stability.len() { 0 } else { stability[at..].parse::<u64>().ok()? }))
    };
    Some(parse(a)?.cmp(&parse(b)?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn orders(ecosystem: Ecosystem, versions: &[&str]) {
        for (i, a) in versions.iter().enumerate() {
            for (j, b) in versions.iter().enumerate() {
                assert_eq!(compare(ecosystem, a, b), Some(i.cmp(&j)), "{a} {b}");
            }
        }
    }

    #[test]
    fn each_package_manager_has_its_order() {
        orders(Ecosystem::Deb, &["1.0~rc1-1", "1.0-1", "1.0-1+deb12u1", "1.0-1+deb12u10", "1.0a-1", "1.2-1", "1:0.1"]);
        orders(Ecosystem::Rpm, &["1.0~rc1-1", "1.0-1", "1.0-1.fc40", "1.0^git1-1", "1.0.1-1", "2-1", "1:0-1"]);
        orders(
            Ecosystem::Apk,
            &[
                "1.2_alpha1-r0",
                "1.2_rc2-r0",
                "1.2-r0",
                "1.2-r9",
                "1.2-r10",
                "1.2_p1-r0",
                "1.2a-r0",
                "1.2.1-r0",
                "1.10-r0",
            ],
        );
        orders(Ecosystem::Composer, &["1.0.0-alpha2", "v1.0.0-RC1", "1.0", "v1.0.0-p1", "1.0.0.1", "1.10.0"]);
        orders(Ecosystem::Npm, &["1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0"]);
        orders(Ecosystem::Pypi, &["1.0.dev1", "1.0a1", "1.0", "1.0.post1", "1!0.1"]);
        for (ecosystem, odd) in [(Ecosystem::Composer, "dev-main"), (Ecosystem::Npm, "latest"), (Ecosystem::Apk, "x")] {
            assert_eq!(compare(ecosystem, odd, "1.0.0"), None, "{odd}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(200))]

        #[test]
        fn debian_versions_compare_as_dpkg_compares_them(
            a in "[0-9]{1,2}[0-9a-b.+~]{0,5}(-[0-9a-b.+~]{1,4})?",
            b in "[0-9]{1,2}[0-9a-b.+~]{0,5}(-[0-9a-b.+~]{1,4})?",
        ) {
            let relation = match deb(&a, &b) { Ordering::Less => "lt", Ordering::Equal => "eq", Ordering::Greater => "gt" };
            let done = Command::new("dpkg").args(["--compare-versions", &a, relation, &b]).status().unwrap();
            proptest::prop_assert!(done.success(), "{} {} {}", a, relation, b);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_order_is_one(a in "[0-9a-c.:~^_+-]{0,10}", b in "[0-9a-c.:~^_+-]{0,10}") {
            for ecosystem in [Ecosystem::Deb, Ecosystem::Apk, Ecosystem::Rpm, Ecosystem::Composer, Ecosystem::Npm, Ecosystem::Pypi] {
                let (there, back) = (compare(ecosystem, &a, &b), compare(ecosystem, &b, &a));
                proptest::prop_assert_eq!(there, back.map(Ordering::reverse));
            }
        }
    }
}
