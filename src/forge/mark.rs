//! Drafts of a forge whose drafts are told by how their title begins: GitLab's, Gitea's and Forgejo's.

/// How titles of drafts begin.
pub(super) struct Mark {
    /// As onramp writes it.
    ours: &'static str,
    /// As the forge reads it, in any case.
    all: &'static [&'static str],
}

/// GitLab's, `DRAFT_REGEX` of its `app/models/merge_request.rs`.
pub(super) const GITLAB: Mark = Mark { ours: "Draft: ", all: &["draft:", "[draft]", "(draft)"] };
/// Gitea's and Forgejo's, where `WORK_IN_PROGRESS_PREFIXES` of `app.ini` says nothing else.
pub(super) const GITEA: Mark = Mark { ours: "WIP: ", all: &["wip:", "[wip]"] };

impl Mark {
    /// The title as the forge is told it.
    pub(super) fn put(&self, title: &str, draft: bool) -> String {
        if draft { format!("{}{title}", self.ours) } else { title.to_owned() }
    }

    /// Whether a pull request is a draft, and its title without what says so. `told` is the forge's own word, where it gives one.
    pub(super) fn read(&self, title: &str, told: Option<bool>) -> (bool, String) {
        let mut rest = title;
        while let Some(mark) = self.all.iter().find(|mark| begins(rest, mark)) {
            rest = rest[mark.len()..].trim_start();
        }
        let marked = rest.len() < title.len();
        let draft = told.unwrap_or(marked);
        // Of one that is ready they are words like others.
        (draft, if draft { rest } else { title }.to_owned())
    }
}

fn begins(text: &str, mark: &str) -> bool {
    text.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_same_with_and_without_its_mark() {
        for mark in [GITLAB, GITEA] {
            let title = mark.put("Deploy shop", true);
            assert_ne!(title, "Deploy shop");
            assert_eq!(mark.read(&title, None), (true, "Deploy shop".to_owned()));
            assert_eq!(mark.read(&title, Some(true)), (true, "Deploy shop".to_owned()));
            assert_eq!(mark.put("Deploy shop", false), "Deploy shop");
            assert_eq!(mark.read("Deploy shop", None), (false, "Deploy shop".to_owned()));
        }
        assert_eq!(GITLAB.read("[DRAFT] draft:Deploy", None), (true, "Deploy".to_owned()));
        // The forge knows better: a server may have marks of its own, or none of these.
        assert_eq!(GITEA.read("Entwurf: Deploy", Some(true)), (true, "Entwurf: Deploy".to_owned()));
        assert_eq!(GITEA.read("WIP: Deploy", Some(false)), (false, "WIP: Deploy".to_owned()));
        assert_eq!(GITEA.read("wi\u{fffd}", None), (false, "wi\u{fffd}".to_owned()));
    }
}
