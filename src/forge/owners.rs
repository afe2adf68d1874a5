//! `CODEOWNERS`: who looks at a change of which file of the state repository.
//!
//! GitHub, Gitea and Forgejo ask the owners by themselves. GitLab does so only in editions with approval rules, and the local
//! forge has nobody who would: for these the file is read here, as
//! <https://docs.gitlab.com/user/project/codeowners/reference/> has it, of which GitHub's syntax is the part without
//! sections.

use std::collections::BTreeSet;
use std::path::Path;

use ignore::Match;
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

/// A `CODEOWNERS` file that was read. Each rule is made once, and all of a section are asked together.
pub struct Owners {
    sections: Vec<Section>,
}

/// The rules of one section: the last one that matches counts.
#[derive(Default)]
struct Section {
    /// Whose files each rule names.
    owners: Vec<Vec<String>>,
    /// Rules that are about all below what they match.
    deep: Vec<Gitignore>,
    /// Rules like `docs/*`, which are about no file further down.
    flat: Vec<Gitignore>,
}

impl Owners {
    /// Reads the first rules of a file, as many as count.
    pub fn parse(text: &str) -> Self {
        let mut sections = Vec::new();
        let (mut rules, mut defaults) = (Vec::new(), Vec::new());
        for line in text.lines().take(RULES) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            if let Some(owners) = heading(line) {
                sections.push(Section::of(std::mem::take(&mut rules)));
                defaults = owners;
                continue;
            }
            let (pattern, owners) = split(line);
            // A rule without owners takes a file away from everybody.
            rules.push((pattern, if owners.is_empty() { defaults.clone() } else { owners }));
        }
        sections.push(Section::of(rules));
        Self { sections }
    }

    /// The owners of the file at `path`, as they are written there: of each section those of the last rule that matches.
    pub fn of(&self, path: &str) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let found = self.sections.iter().flat_map(|section| section.of_file(Path::new(path)));
        found.filter(|owner| seen.insert(*owner)).cloned().collect()
    }
}

impl Section {
    fn of(rules: Vec<(String, Vec<String>)>) -> Self {
        let (patterns, owners): (Vec<String>, Vec<_>) = rules.into_iter().unzip();
        let numbered = patterns.iter().map(String::as_str).enumerate();
        let (flat, deep): (Vec<_>, Vec<_>) = numbered.partition(|(_, pattern)| pattern.ends_with("/*"));
        Self { owners, deep: sets(&deep), flat: sets(&flat) }
    }

    fn of_file(&self, path: &Path) -> &[String] {
        let last = |sets: &[Gitignore], path: &Path, is_dir: bool| {
            let matched = |set: &Gitignore| match set.matched(path, is_dir) {
                Match::Ignore(rule) => rule.from().and_then(Path::to_str).and_then(|number| number.parse().ok()),
                Match::Whitelist(_) | Match::None => None,
            };
            sets.iter().filter_map(matched).max()
        };
        let parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        let deep = parents.filter_map(|parent| last(&self.deep, parent, true)).max();
        let rule: Option<usize> = deep.max(last(&self.deep, path, false)).max(last(&self.flat, path, false));
        rule.and_then(|rule| self.owners.get(rule)).map_or(&[], Vec::as_slice)
    }
}

/// Patterns, which are those of `.gitignore`, made one matcher, or more where one would be too large. Where a match is `from` is the
/// number of its rule. What is no pattern matches nothing.
fn sets(rules: &[(usize, &str)]) -> Vec<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for (number, pattern) in rules {
        // What is wrong with it is nothing that whoever deploys can do anything about.
        let _ = builder.add_line(Some(number.to_string().into()), pattern);
    }
    match builder.build() {
        Ok(set) => vec![set],
        Err(_) if rules.len() < 2 => Vec::new(),
        Err(_) => {
            let (one, other) = rules.split_at(rules.len() / 2);
            [sets(one), sets(other)].concat()
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, path: &str) -> Vec<String> {
        Owners::parse(text).of(path)
    }

    /// With a matcher made for each rule and file this would take minutes.
    #[test]
    fn many_rules_of_many_files_are_read_once() {
        let rule = |i: usize| format!("/environments/*/app{i}.toml @team{i}\n/apps/app{i}/ @team{i}\n");
        let owners = Owners::parse(&format!("* @all\n{}", (0..1000).map(rule).collect::<String>()));
        for i in 0..1000 {
            let team = [format!("@team{i}")];
            assert_eq!(owners.of(&format!("environments/test/app{i}.toml")), team);
            assert_eq!(owners.of(&format!("apps/app{i}/a/b.txt")), team);
        }
        assert_eq!(owners.of("environments/test/app1000.toml"), ["@all"]);
        // What a directory's rule says later counts before what the file's own says earlier.
        assert_eq!(of("/a/b.txt @one\n/a/ @two\n", "a/b.txt"), ["@two"]);
    }

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
