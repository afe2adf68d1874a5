//! What a block's changelog says between two versions.

use crate::version::Version;

/// The file in a block.
pub const FILE: &str = "CHANGELOG.md";
/// The most of it that is shown, in bytes.
const SHOWN_CAP: usize = 20_000;

/// The sections of a changelog after one version, up to another one. A section is a heading of the second level that names
/// a version: `## 1.2.0`, `## [1.2.0] - 2026-01-02`, `## v1.2`.
pub fn between(text: &str, after: &Version, to: &Version) -> String {
    let mut shown = String::new();
    let mut wanted = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            wanted = version_of(heading).is_some_and(|version| *after < version && version <= *to);
        }
        if wanted {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    crate::text::shorten(shown.trim(), SHOWN_CAP)
}

fn version_of(heading: &str) -> Option<Version> {
    heading.split(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | ',')).find_map(|word| {
        let plain = word.strip_prefix('v').unwrap_or(word);
        if !plain.starts_with(|c: char| c.is_ascii_digit()) || !plain.contains('.') {
            return None;
        }
        plain.parse().map(Version::Semantic).ok().or_else(|| Version::of_tag(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_shown() {
        let text = "# Changelog\n\n## Unreleased\n- soon\n\n## [1.2.0] - 2026-01-02\n- two\n### Fixed\n- it\n\n## v1.1.0\n- one\n\n## 1.0.0 (2025-01-01)\n- first\n";
        let version = |text: &str| Version::from(text.to_owned());
        let between = |a: &str, b: &str| between(text, &version(a), &version(b));
        assert_eq!(between("1.0.0", "1.2.0"), "## [1.2.0] - 2026-01-02\n- two\n### Fixed\n- it\n\n## v1.1.0\n- one");
        assert_eq!(between("1.0.0", "1.1.0"), "## v1.1.0\n- one");
        assert_eq!(between("1.2.0", "1.0.0"), "", "a downgrade brings nothing new");
        assert_eq!(between("v1.0", "v1.1"), "## v1.1.0\n- one", "versions of other templates, too");
    }
}
