//! `CODEOWNERS`: who looks at a change of which file of the state repository.
//!
//! GitHub, Gitea and Forgejo ask the owners by themselves. GitLab does so only in editions with approval rules, and the local
//! forge has nobody who would: for these the file is read here, as
//! <https://docs.gitlab.com/user/project/codeowners/reference/> has it, of which GitHub's syntax is the part without
//! sections.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::settings::ForgeKind;

/// The most of a file that is read, in bytes, and the most rules.
pub const CAP: u64 = 1024 * 1024;
const RULES: usize = 10_000;

/// Where a forge of this kind looks for the file, first one first. None where it asks by itself.
pub fn places(kind: ForgeKind) -> &'static [&'static str] {
    match kind {
        ForgeKind::Github | ForgeKind::Gitea => &[],
        ForgeKind::Gitlab => &["CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"],
        ForgeKind::Local => &[".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"],
    }
}

/// The owners of the file at `path`, as they are written there: of each section those of the last rule that matches.
pub fn of(text: &str, path: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut section, mut defaults) = (Vec::new(), Vec::new());
    for line in text.lines().take(RULES) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        if let Some(owners) = heading(line) {
            found.append(&mut section);
            defaults = owners;
            continue;
        }
        let (pattern, owners) = split(line);
        if matches(&pattern, path) {
            // A rule without owners takes a file away from everybody.
            section = if owners.is_empty() { defaults.clone() } else { owners };
        }
    }
    found.append(&mut section);
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|owner| seen.insert(owner.clone()));
    found
}

/// The owners that a section's heading names: `[Database][2] @dba`, `^[Docs] @docs`.
fn heading(line: &str) -> Option<Vec<String>> {
    let rest = line.strip_prefix('^').unwrap_or(line).strip_prefix('[')?;
    let (_, rest) = rest.split_once(']')?;
    let rest = match rest.strip_prefix('[') {
        Some(count) => count.split_once(']')?.1,
        None => rest,
    };
    Some(names(rest))
}

/// A rule's pattern, in which a space is written with a backslash, and its owners.
fn split(line: &str) -> (String, Vec<String>) {
    let mut before = '\0';
    let end = line.find(|sign: char| {
        let ends = sign.is_whitespace() && before != '\\';
        before = sign;
        ends
    });
    let (pattern, owners) = line.split_at(end.unwrap_or(line.len()));
    (pattern.replace("\\ ", " "), names(owners))
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().take_while(|word| !word.starts_with('#')).map(str::to_owned).collect()
}

/// Whether a rule is about a file. Patterns are those of `.gitignore`, but for `docs/*`, which is about no file further
/// down.
fn matches(pattern: &str, path: &str) -> bool {
    let mut builder = GitignoreBuilder::new("");
    let Ok(_) = builder.add_line(None, pattern) else { return false };
    let rule: Gitignore = match builder.build() {
        Ok(rule) => rule,
        Err(_) => return false,
    };
    if pattern.ends_with("/*") {
        return rule.matched(path, false).is_ignore();
    }
    rule.matched_path_or_any_parents(path, false).is_ignore()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "environments/production/shop.toml";

    #[test]
    fn the_last_rule_that_matches_names_the_owners() {
        let text = "# ours\n*  @everybody\n/environments/production/ @ana @acme/ops # the careful ones\n\
                    environments/*/auth.toml security@acme.test\n";
        assert_eq!(of(text, SHOP), ["@ana", "@acme/ops"]);
        assert_eq!(of(text, "environments/production/auth.toml"), ["security@acme.test"]);
        assert_eq!(of(text, "README.md"), ["@everybody"]);
        let freed = format!("{text}/environments/production/shop.toml\n");
        assert_eq!(of(&freed, SHOP), [""; 0]);
        assert_eq!(of("", SHOP), [""; 0]);
    }

    #[test]
    fn a_star_at_the_end_is_about_files_of_that_directory_only() {
        assert_eq!(of("environments/* @ana\n", SHOP), [""; 0]);
        assert_eq!(of("environments/production/* @ana\n", SHOP), ["@ana"]);
        assert_eq!(of("*.toml @ana\n", SHOP), ["@ana"]);
        assert_eq!(of("with\\ space/ @ana\n", "with space/x"), ["@ana"]);
        assert_eq!(of("!environments/ @ana\n[\n{ @bo\n", SHOP), [""; 0]);
    }

    #[test]
    fn each_section_adds_its_own() {
        let text =
            "* @all\n[Operations][2] @ops\nenvironments/\n^[Shop]\n*shop* @shop @all\n[Other] @other\nREADME.md\n";
        assert_eq!(of(text, SHOP), ["@all", "@ops", "@shop"]);
    }
}
