//! Whom a forge is asked to ask for a review.

/// Who is asked to look at a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reviewer {
    /// A person, by login.
    Login(String),
    /// A team of an organisation, by its name there.
    Team(String),
    /// Somebody whom only the local forge knows: by mail address.
    Mail(String),
}

impl Reviewer {
    /// Whom a block's `owner` or `trusted_committers` mean: `@ana`, `@acme/platform`, `ana@acme.test`. None where it is only
    /// words.
    pub fn of(text: &str) -> Option<Self> {
        let part = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !text.is_empty() && text.len() <= 100 && text.bytes().all(fits)
        };
        let text = text.trim();
        if let Some((name, host)) = text.split_once('@').filter(|(name, _)| !name.is_empty()) {
            return (part(&name.replace('+', "")) && part(host)).then(|| Self::Mail(text.to_owned()));
        }
        let text = text.strip_prefix('@').unwrap_or(text);
        match text.split_once('/') {
            Some((owner, team)) => (part(owner) && part(team)).then(|| Self::Team(team.to_owned())),
            None => part(text).then(|| Self::Login(text.to_owned())),
        }
    }

    /// Those of them whom a server knows: people by login, and teams.
    pub(super) fn logins_and_teams(these: &[Self]) -> (Vec<&str>, Vec<&str>) {
        let (mut logins, mut teams) = (Vec::new(), Vec::new());
        for reviewer in these {
            match reviewer {
                Self::Login(name) => logins.push(name.as_str()),
                Self::Team(name) => teams.push(name.as_str()),
                Self::Mail(_) => {}
            }
        }
        (logins, teams)
    }

    /// As a person reads it.
    pub fn name(&self) -> &str {
        match self {
            Self::Login(name) | Self::Team(name) | Self::Mail(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_person_a_team_or_only_words() {
        let of = |text: &str| Reviewer::of(text);
        assert_eq!(of("@ana"), Some(Reviewer::Login("ana".to_owned())));
        assert_eq!(of("@acme/platform"), Some(Reviewer::Team("platform".to_owned())));
        assert_eq!(of("web+ci@acme.test"), Some(Reviewer::Mail("web+ci@acme.test".to_owned())));
        for words in ["", "@", "The Platform Team", "a/b/c", "x@", "\u{1b}[31m", "a b@c"] {
            assert_eq!(of(words), None, "{words:?}");
        }
    }
}
