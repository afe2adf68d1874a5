//! `repos.json`: what SAP's project portal for `InnerSource` shows, written and read.
//!
//! The fields are those of the portal's crawler guide
//! (<https://github.com/SAP/project-portal-for-innersource/blob/main/docs/CRAWLING.md>): the answer of GitHub's search
//! API, and `_InnerSourceMetadata` with what a project says of itself. What onramp does not know is kept.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The largest `repos.json` that is read, in bytes.
pub const CAP: u64 = 32 * 1024 * 1024;

/// What is wrong with a `repos.json`.
#[derive(Debug, thiserror::Error)]
#[error("{place}:{line}:{column}: {message}")]
pub struct BadPortal {
    /// The file.
    pub place: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl crate::error::Fault for BadPortal {
    fn class(&self) -> crate::error::Class {
        crate::error::Class::Config
    }
}

/// A project of the portal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    /// A number on GitHub; the portal takes texts, too.
    #[serde(default)]
    pub id: Value,
    /// Its name.
    pub name: String,
    /// `owner/name`
    #[serde(default)]
    pub full_name: String,
    /// Where a browser finds it.
    #[serde(default)]
    pub html_url: String,
    /// One line on what it gives.
    #[serde(default)]
    pub description: Option<String>,
    /// When it began.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// When somebody last pushed.
    #[serde(default)]
    pub pushed_at: Option<Timestamp>,
    /// Its stars.
    #[serde(default, deserialize_with = "or_default")]
    pub stargazers_count: u64,
    /// GitHub says its stars here, too.
    #[serde(default, deserialize_with = "or_default")]
    pub watchers_count: u64,
    /// Who watches it, where the crawler asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribers_count: Option<u64>,
    /// Its main language.
    #[serde(default)]
    pub language: Option<String>,
    /// Its forks.
    #[serde(default, deserialize_with = "or_default")]
    pub forks_count: u64,
    /// Its open issues.
    #[serde(default, deserialize_with = "or_default")]
    pub open_issues_count: u64,
    /// As the forge says it: null, or an object with `spdx_id`.
    #[serde(default)]
    pub license: Value,
    /// Its default branch.
    #[serde(default, deserialize_with = "or_default")]
    pub default_branch: String,
    /// Whose it is.
    #[serde(default, deserialize_with = "or_default")]
    pub owner: Owner,
    /// What it says of itself.
    #[serde(default, rename = "_InnerSourceMetadata", deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Whose a project is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// An organisation or a person.
    #[serde(default)]
    pub login: String,
    /// Their picture.
    #[serde(default)]
    pub avatar_url: String,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a project says of itself: `innersource.json`, and what the crawler counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// A readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Why contributors should care.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motivation: Option<String>,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<String>,
    /// What a contributor should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// Where its documentation is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// The file that says how to contribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidelines: Option<String>,
    /// Topics of the forge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Commits in each of the last 52 weeks, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participation: Option<Vec<u64>>,
    /// The activity score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Crawlers write null for what they did not find.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the text of a `repos.json`. `place` is what errors call it.
pub fn read(place: &str, text: &str) -> Result<Vec<Repository>, BadPortal> {
    serde_json::from_str(text).map_err(|error| BadPortal {
        place: place.to_owned(),
        line: error.line(),
        column: error.column(),
        message: crate::text::neutral_line(&error.to_string(), 200),
    })
}

/// The text of a `repos.json`.
pub fn write(repositories: &[Repository]) -> String {
    let mut text = serde_json::to_string_pretty(repositories).expect("a portal's data is plain data");
    text.push('\n');
    text
}

/// The project of a block in a repository: the block's own entry there, else the repository's.
pub fn find<'a>(repositories: &'a [Repository], address: &str, name: &str) -> Option<&'a Repository> {
    let plain = |url: &str| url.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase();
    let address = plain(address);
    let same_address = |repository: &&Repository| {
        !repository.html_url.is_empty() && !address.is_empty() && plain(&repository.html_url) == address
    };
    let ends_so = |repository: &&Repository| {
        let full = plain(&repository.full_name);
        full.contains('/') && (address.ends_with(&format!("/{full}")) || address.ends_with(&format!(":{full}")))
    };
    let found = |wanted: &dyn Fn(&&Repository) -> bool| repositories.iter().find(|repository| wanted(repository));
    // An entry of the block's own says more than that of its whole catalog. A name alone says nothing: another repository
    // may well be called so.
    let own = |repository: &&Repository| repository.name == name && (same_address(repository) || ends_so(repository));
    found(&own).or_else(|| found(&same_address)).or_else(|| found(&ends_so))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the portal's own sample has them: an entry with everything, one with holes, an id that is text.
    const SAMPLE: &str = r#"[
      { "id": 4711, "name": "mars", "full_name": "Mars/mars", "html_url": "https://github.instance/Mars/mars",
        "description": "The fourth planet", "created_at": "2019-02-19T07:49:05Z", "updated_at": "2020-10-08T11:27:06Z",
        "pushed_at": "2020-10-08T13:35:04Z", "stargazers_count": 56, "watchers_count": 56, "language": "Groovy",
        "forks_count": 33, "open_issues_count": 3, "license": null, "default_branch": "master",
        "owner": { "login": "Mars", "avatar_url": "./images/demo/Mars.png", "type": "Organization" },
        "archived": false,
        "_InnerSourceMetadata": { "participation": [2, 5, 12], "title": "Mars", "motivation": "Seen with the naked eye",
          "contributions": ["News"], "skills": ["Java"], "logo": "./images/demo/Mars.png", "score": 3767 } },
      { "id": "0815", "name": "neptune", "full_name": "Sol/neptune", "html_url": "https://github.instance/Sol/neptune",
        "description": null, "updated_at": "2020-10-08T12:13:40.000Z", "stargazers_count": null, "language": null }
    ]"#;

    #[test]
    fn the_portals_own_sample_is_read_and_nothing_of_it_is_lost() {
        let read = super::read("repos.json", SAMPLE).unwrap();
        assert_eq!((read[0].stargazers_count, read[0].metadata.score), (56, Some(3767)));
        assert_eq!((read[1].id.as_str(), read[1].forks_count), (Some("0815"), 0));
        let written: Value = serde_json::from_str(&write(&read)).unwrap();
        let original: Value = serde_json::from_str(SAMPLE).unwrap();
        assert_eq!(written[0], original[0]);
        assert_eq!(super::read("repos.json", &write(&read)).unwrap(), read);
        let error = super::read("repos.json", "[{\"id\": 1,\n \"name\": 5}]").unwrap_err();
        assert!(error.to_string().starts_with("repos.json:2:10: invalid type"), "{error}");
    }

    #[test]
    fn a_project_is_found_by_address_and_name() {
        let read = super::read("repos.json", SAMPLE).unwrap();
        let found = |address: &str, name: &str| find(&read, address, name).map(|repository| repository.name.as_str());
        assert_eq!(found("https://github.instance/Mars/mars.git", "web"), Some("mars"));
        assert_eq!(found("git@github.instance:Sol/neptune.git", "web"), Some("neptune"));
        assert_eq!(found("https://github.instance/Mars/mars.git", "neptune"), Some("mars"));
        assert_eq!(found("https://elsewhere/neptune", "neptune"), None);
        assert_eq!(found("", "venus"), None);
    }

    fn repositories() -> impl Strategy<Value = Vec<Repository>> {
        let text = || "[ -~]{0,12}";
        let metadata = (proptest::option::of(text()), proptest::collection::vec(text(), 0..3), any::<Option<i64>>())
            .prop_map(|(title, skills, score)| Metadata { title, skills, score, ..Metadata::default() });
        let one = (any::<u32>(), text(), proptest::option::of(text()), 0_i64..4_000_000_000, any::<u32>(), metadata);
        let one = one.prop_map(|(id, name, description, time, count, metadata)| Repository {
            id: id.into(),
            name,
            description,
            created_at: Timestamp::from_second(time).ok(),
            stargazers_count: count.into(),
            metadata,
            ..Repository::default()
        });
        proptest::collection::vec(one, 0..4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(repositories in repositories()) {
            prop_assert_eq!(super::read("x", &write(&repositories)).unwrap(), repositories);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = super::read("x", &text);
            let _ = super::read("x", &format!("[{{\"name\": \"a\", {text}}}]"));
        }
    }
}
