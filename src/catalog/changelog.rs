//! `CHANGELOG.md` of a block: a section a release, as Keep a Changelog has them (<https://keepachangelog.com/>).

use jiff::civil::Date;
use semver::Version;

/// The file's name.
pub const FILE: &str = "CHANGELOG.md";
/// The largest one that is read, in bytes.
pub const CAP: u64 = 4 * 1024 * 1024;
const HEAD: &str = "# Changelog\n\nAll changes of this block that its projects notice, in the manner of\n[Keep a Changelog](https://keepachangelog.com/en/1.1.0/). Versions are [semantic](https://semver.org/).\n";

/// The sections of a release, in Keep a Changelog's order.
const KINDS: [(&str, &[&str]); 5] = [
    ("Added", &["add", "adds", "added", "new", "support", "supports", "feat"]),
    ("Changed", &[]),
    ("Deprecated", &["deprecate", "deprecates", "deprecated"]),
    ("Removed", &["remove", "removes", "removed", "drop", "drops", "delete", "deletes"]),
    ("Fixed", &["fix", "fixes", "fixed", "correct", "corrects", "repair", "repairs", "bugfix"]),
];

/// A release's section: its heading, what was written under `[Unreleased]`, and the commits by what their first word says.
pub fn section(version: &Version, date: Date, unreleased: &str, commits: &[String]) -> String {
    let mut text = format!("## [{version}] - {date}\n");
    if !unreleased.trim().is_empty() {
        text.push_str(&format!("\n{}\n", unreleased.trim()));
        return text;
    }
    for (kind, words) in KINDS {
        let mut of_kind = commits.iter().filter(|commit| kind_of(commit) == kind).peekable();
        if of_kind.peek().is_some() {
            text.push_str(&format!("\n### {kind}\n\n"));
            of_kind.for_each(|commit| text.push_str(&format!("- {}\n", line(commit))));
        }
        debug_assert!(kind == "Changed" || !words.is_empty());
    }
    if commits.is_empty() {
        text.push_str("\n- No changes.\n");
    }
    text
}

/// What somebody wrote under `## [Unreleased]`, without the heading.
pub fn unreleased(changelog: &str) -> String {
    let mut lines = changelog.lines().skip_while(|line| !is_unreleased(line)).skip(1);
    let mut text = String::new();
    for line in lines.by_ref().take_while(|line| !line.starts_with("## ") && !is_link(line)) {
        text.push_str(line);
        text.push('\n');
    }
    text.trim_matches('\n').to_owned()
}

/// The section of a version, its heading without; none where there is none.
pub fn of_version(changelog: &str, version: &str) -> Option<String> {
    let heading = |line: &str| {
        let Some(rest) = line.strip_prefix("## ") else { return false };
        let named = rest.trim_start_matches(['[', 'v']);
        named.strip_prefix(version).is_some_and(|after| after.is_empty() || after.starts_with([']', ' ']))
    };
    let mut lines = changelog.lines().skip_while(|line| !heading(line));
    lines.next()?;
    let body: Vec<&str> = lines.take_while(|line| !line.starts_with("## ") && !is_link(line)).collect();
    Some(body.join("\n").trim_matches('\n').to_owned())
}

/// The changelog with a new section before the others; what was under `[Unreleased]` is the section's now.
pub fn with_section(changelog: Option<&str>, section: &str) -> String {
    let Some(old) = changelog.filter(|text| !text.trim().is_empty()) else {
        return format!("{HEAD}\n{section}");
    };
    let (mut head, mut rest, mut empty_heading) = (String::new(), String::new(), false);
    let mut place = Place::Head;
    for line in old.split_inclusive('\n') {
        place = match place {
            Place::Head | Place::Unreleased if is_unreleased(line) => {
                empty_heading = true;
                Place::Unreleased
            }
            Place::Head | Place::Unreleased if line.starts_with("## ") || is_link(line) => Place::Rest,
            same => same,
        };
        match place {
            Place::Head => head.push_str(line),
            Place::Unreleased => {}
            Place::Rest => rest.push_str(line),
        }
    }
    let mut text = head.trim_end().to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    if empty_heading {
        text.push_str("## [Unreleased]\n\n");
    }
    text.push_str(section);
    if !rest.trim().is_empty() {
        text.push('\n');
        text.push_str(&rest);
    }
    text
}

#[derive(Clone, Copy)]
enum Place {
    Head,
    Unreleased,
    Rest,
}

fn is_unreleased(line: &str) -> bool {
    line.strip_prefix("## ").is_some_and(|rest| rest.trim().trim_matches(['[', ']']).eq_ignore_ascii_case("unreleased"))
}

/// `[1.0.0]: https://…`, which stands at the end.
fn is_link(line: &str) -> bool {
    line.starts_with('[') && line.contains("]: ")
}

fn kind_of(commit: &str) -> &'static str {
    let first =
        commit.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty()).unwrap_or_default().to_lowercase();
    KINDS.iter().find(|(_, words)| words.contains(&first.as_str())).map_or("Changed", |(kind, _)| kind)
}

/// A commit's first line as Markdown that means what it says.
fn line(commit: &str) -> String {
    let mut text = String::new();
    for c in crate::text::neutral_line(commit, 200).chars() {
        if matches!(c, '<' | '>' | '[' | ']' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date() -> Date {
        jiff::civil::date(2026, 11, 24)
    }

    #[test]
    fn the_first_release_begins_a_changelog() {
        let commits = ["Add a cache".to_owned(), "Fix <b> in names".to_owned(), "PHP 8.3".to_owned()];
        let section = section(&Version::new(1, 0, 0), date(), "", &commits);
        insta::assert_snapshot!(with_section(None, &section), @r"
        # Changelog

        All changes of this block that its projects notice, in the manner of
        [Keep a Changelog](https://keepachangelog.com/en/1.1.0/). Versions are [semantic](https://semver.org/).

        ## [1.0.0] - 2026-11-24

        ### Added

        - Add a cache

        ### Changed

        - PHP 8.3

        ### Fixed

        - Fix \<b\> in names
        ");
    }

    #[test]
    fn what_a_person_wrote_is_the_section() {
        let old = "# Changelog\n\nWords.\n\n## [Unreleased]\n\n### Added\n\n- A thing\n\n## [1.0.0] - 2026-01-01\n\n- First\n\n[1.0.0]: https://x\n";
        let written = unreleased(old);
        assert_eq!(written, "### Added\n\n- A thing");
        let new = with_section(Some(old), &section(&Version::new(1, 1, 0), date(), &written, &["Not this".to_owned()]));
        insta::assert_snapshot!(new, @r"
        # Changelog

        Words.

        ## [Unreleased]

        ## [1.1.0] - 2026-11-24

        ### Added

        - A thing

        ## [1.0.0] - 2026-01-01

        - First

        [1.0.0]: https://x
        ");
        assert_eq!(of_version(&new, "1.1.0").unwrap(), "### Added\n\n- A thing");
        assert_eq!(of_version(&new, "1.0.0").unwrap(), "- First");
        assert_eq!(of_version(&new, "1.0"), None);
        assert_eq!(unreleased(&new), "");
    }

    proptest::proptest! {
        #[test]
        fn no_section_is_ever_lost(
            old in "(# C\n\n)?(## \\[Unreleased\\]\n\n- u\n\n)?(## \\[1.0.0\\] - 2026-01-01\n\n- [a-z]{1,8}\n\n){0,1}(\\[x\\]: y\n)?",
            commits in proptest::collection::vec("[ -~]{1,30}", 0..4),
        ) {
            let new = with_section(Some(&old), &section(&Version::new(2, 0, 0), date(), &unreleased(&old), &commits));
            let told = of_version(&new, "2.0.0");
            proptest::prop_assert!(told.is_some());
            proptest::prop_assert_eq!(of_version(&new, "1.0.0"), of_version(&old, "1.0.0"));
            proptest::prop_assert_eq!(unreleased(&new), "");
            proptest::prop_assert_eq!(new.contains("[x]: y"), old.contains("[x]: y"));
        }
    }
}
