//! What each commit of a mirror's default branch changed, by file: asked of the `git` program, which compares trees of thousands of
//! entries ten times as fast as the library does.

use std::io::{BufRead, Error as Trouble, ErrorKind};

use super::{Commit, Error, Mirror, program};

/// A commit, and the files under the directory that it changed.
pub type Changed = (Commit, Vec<String>);

impl Mirror {
    /// The commits that changed something under a directory (empty: anything), newest first, following first parents, `most` of them at
    /// most; those that `after` holds are left out.
    pub fn changes(
        &self,
        from: &Commit,
        after: Option<&Commit>,
        directory: &str,
        most: usize,
    ) -> Result<Vec<Changed>, Error> {
        let mut arguments = ["--first-parent", "-m", "--raw", "--no-abbrev", "--no-renames", "-z", "--format=%H"]
            .map(str::to_owned)
            .to_vec();
        arguments.push(format!("--max-count={most}"));
        arguments.push(from.to_string());
        arguments.extend(after.map(|commit| format!("^{commit}")));
        arguments.push("--".to_owned());
        arguments.extend((!directory.is_empty()).then(|| format!(":(literal){directory}")));
        let mut found = Vec::new();
        program::read(self.path(), "log", &arguments, self.url(), |said| read(said, &mut found))?;
        Ok(found)
    }
}

impl Mirror {
    /// The commits of a file's history that changed it, newest first, following first parents, at most `most` of them.
    pub fn history(&self, from: &Commit, path: &str, most: usize) -> Result<Vec<Commit>, Error> {
        Ok(self.changes(from, None, path, most)?.into_iter().map(|(commit, _)| commit).collect())
    }
}

impl Mirror {
    /// Has git remember which commits changed which files (git-commit-graph(1), `--changed-paths`): the history of one file of fifty
    /// thousand is then told in 20 ms instead of 500. Where that fails it is told as before.
    pub fn index_history(&self) {
        let arguments = ["write", "--reachable", "--changed-paths", "--split", "--no-progress"].map(str::to_owned);
        let _ = program::run(self.path(), "commit-graph", &arguments, self.url());
    }
}

/// Reads `git log --raw -z`: a commit's id; then, for each file, what happened to it and its path. A path can hold anything, but what stands
/// before it begins with a colon, as no id does.
fn read(said: &mut dyn BufRead, found: &mut Vec<Changed>) -> std::io::Result<()> {
    let mut word = Vec::new();
    let mut next = |said: &mut dyn BufRead| -> std::io::Result<Option<Vec<u8>>> {
        word.clear();
        let count = said.read_until(0, &mut word)?;
        Ok((count > 0).then(|| word.strip_suffix(b"\0").unwrap_or(&word).to_vec()))
    };
    let odd = |what: &str| Trouble::new(ErrorKind::InvalidData, format!("git log said {what}"));
    while let Some(word) = next(said)? {
        let word = word.trim_ascii_start();
        if word.is_empty() {
            continue;
        }
        if word.starts_with(b":") {
            let path = next(said)?.ok_or_else(|| odd("no path"))?;
            let files = &mut found.last_mut().ok_or_else(|| odd("a file before a commit"))?.1;
            files.push(String::from_utf8_lossy(&path).into_owned());
        } else {
            let commit = std::str::from_utf8(word).ok().and_then(|id| id.parse().ok());
            found.push((commit.ok_or_else(|| odd("no commit id"))?, Vec::new()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_of_commits_is_read() {
        let (one, other) = ("1".repeat(40), "2".repeat(40));
        let said = format!(
            "{one}\0\n:100644 100644 a b M\0environments/test/a.toml\0:000000 100644 0 b A\0{other}\0{other}\0\n:100644 000000 a 0 D\0x\ny\0"
        );
        let mut found = Vec::new();
        read(&mut said.as_bytes(), &mut found).unwrap();
        let commit = |id: &str| id.parse::<Commit>().unwrap();
        let expected = [
            (commit(&one), vec!["environments/test/a.toml".to_owned(), other.clone()]),
            (commit(&other), vec!["x\ny".to_owned()]),
        ];
        assert_eq!(found, expected, "a path that looks like a commit is none");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_said_makes_it_panic(said in "(1{40}|:1|a)?(\u{0}\n?(:1|[a-f0-9]{40}|x)){0,6}") {
            let _ = read(&mut said.as_bytes(), &mut Vec::new());
        }
    }
}
