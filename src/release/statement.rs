//! What tests found of images, as in-toto has it (Statement 1 with the predicate "test result" 0.1), so that others can read it:
//! `in-toto/attestation`, `spec/v1/statement.md` and `spec/predicates/test-result.md`.
//!
//! As they ask, what is unknown in a statement is passed over; a text that is none, or says a thing twice, is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::git::Commit;
use crate::name::Name;
use crate::reference::{Digest, ImageRef};
use crate::text::neutral_line;

/// What an envelope says that it holds.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// What the resource is called that names the app.
const APP: &str = "app";
/// The most images and tests that one statement is read for.
const MOST: usize = 1000;

/// What tests found of images that ran together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The images, by digest: all of the app's own that ran.
    pub subjects: Vec<Subject>,
    /// Whether each test passed.
    pub tests: BTreeMap<Name, bool>,
    /// What else the result depends on.
    pub about: About,
}

/// An image that ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Its repository.
    pub repository: String,
    /// Its manifest or index.
    pub digest: Digest,
}

/// What a result depends on beside the images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The app whose tests ran.
    pub app: Option<Name>,
    /// The environment whose services ran beside them, and the state repository's commit that declared those.
    pub state: Option<(Name, Commit)>,
    /// The project's `onramp.lock`, whose data and tests were used.
    pub lock: Option<Digest>,
    /// The commit of the project whose tests ran.
    pub source: Option<Commit>,
    /// How equal the sandbox was to the environment, one line.
    pub parity: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

/// in-toto's `ResourceDescriptor`.
#[derive(Serialize, Deserialize, Default)]
struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    result: String,
    configuration: Vec<Resource>,
    #[serde(default)]
    passed_tests: Vec<String>,
    #[serde(default)]
    failed_tests: Vec<String>,
}

impl Subject {
    /// The image that a reference by digest names.
    pub fn of(image: &ImageRef) -> Option<Self> {
        Some(Self { repository: image.repository(), digest: image.digest()?.clone() })
    }
}

impl Statement {
    /// The statement as JSON.
    pub fn bytes(&self) -> Vec<u8> {
        let subject = |subject: &Subject| Resource {
            name: Some(subject.repository.clone()),
            digest: [("sha256".to_owned(), subject.digest.hex().to_owned())].into(),
            ..Resource::default()
        };
        let tests = |wanted: bool| {
            self.tests.iter().filter(|(_, passed)| **passed == wanted).map(|(name, _)| name.to_string()).collect()
        };
        let document = Document {
            kind: STATEMENT.to_owned(),
            subject: self.subjects.iter().map(subject).collect(),
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                result: if self.tests.values().all(|passed| *passed) { "PASSED" } else { "FAILED" }.to_owned(),
                configuration: self.about.resources(),
                passed_tests: tests(true),
                failed_tests: tests(false),
            },
        };
        serde_json::to_vec(&document).expect("a statement is plain data")
    }

    /// Reads a statement. The error says why it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes).map_err(|e| neutral_line(&e.to_string(), 160))?;
        let Document { kind, subject, predicate_type, predicate } = document;
        if kind != STATEMENT || predicate_type != PREDICATE {
            return Err(format!("it is a `{}` about `{}`", neutral_line(&kind, 60), neutral_line(&predicate_type, 80)));
        }
        let found = predicate.passed_tests.len() + predicate.failed_tests.len();
        if subject.len() > MOST || found > MOST || predicate.configuration.len() > MOST {
            return Err(format!("it speaks of more than {MOST} things"));
        }
        let named = |resource: Resource| {
            let digest = resource.sha256()?;
            Some(Subject { repository: resource.name?, digest })
        };
        let subjects = subject.into_iter().map(named).collect::<Option<_>>();
        let mut tests = BTreeMap::new();
        let passed = predicate.passed_tests.iter().map(|name| (name, true));
        for (name, passed) in passed.chain(predicate.failed_tests.iter().map(|name| (name, false))) {
            // The names of others' tests may be no names of ours; none of those is asked for.
            let Ok(name) = name.parse::<Name>() else { continue };
            if tests.insert(name, passed).is_some_and(|before| before != passed) {
                return Err("it says of a test that it passed and that it failed".to_owned());
            }
        }
        Ok(Self {
            subjects: subjects.ok_or("it has a subject without a sha256 digest")?,
            tests,
            about: About::of(&predicate.configuration),
        })
    }

    /// The tests that passed with all of these images together.
    pub fn passed<'a>(&'a self, images: &BTreeSet<Digest>) -> impl Iterator<Item = &'a Name> {
        let covers = images.iter().all(|digest| self.subjects.iter().any(|subject| subject.digest == *digest));
        self.tests.iter().filter(move |(_, passed)| covers && **passed).map(|(name, _)| name)
    }
}

impl Resource {
    fn sha256(&self) -> Option<Digest> {
        format!("sha256:{}", self.digest.get("sha256")?).parse().ok()
    }

    fn commit(&self) -> Option<Commit> {
        self.digest.get("gitCommit")?.parse().ok()
    }
}

impl About {
    fn resources(&self) -> Vec<Resource> {
        let commit = |name: &str, commit: &Commit| Resource {
            name: Some(name.to_owned()),
            digest: [("gitCommit".to_owned(), commit.to_string())].into(),
            ..Resource::default()
        };
        let mut all = Vec::new();
        all.extend(self.app.iter().map(|app| Resource {
            name: Some(APP.to_owned()),
            annotations: [(APP.to_owned(), app.to_string())].into(),
            ..Resource::default()
        }));
        if let Some((environment, at)) = &self.state {
            let mut state = commit("state", at);
            state.annotations.insert("environment".to_owned(), environment.to_string());
            state.annotations.extend(self.parity.iter().map(|line| ("parity".to_owned(), line.clone())));
            all.push(state);
        }
        all.extend(self.source.iter().map(|source| commit("source", source)));
        all.extend(self.lock.iter().map(|lock| Resource {
            name: Some(crate::project::lock::FILE.to_owned()),
            digest: [("sha256".to_owned(), lock.hex().to_owned())].into(),
            ..Resource::default()
        }));
        all
    }

    fn of(resources: &[Resource]) -> Self {
        let named = |name: &str| resources.iter().find(|resource| resource.name.as_deref() == Some(name));
        let state = named("state");
        let environment = state.and_then(|state| state.annotations.get("environment")?.parse().ok());
        Self {
            app: named(APP).and_then(|resource| resource.annotations.get(APP)?.parse().ok()),
            state: environment.zip(state.and_then(Resource::commit)),
            lock: named(crate::project::lock::FILE).and_then(Resource::sha256),
            source: named("source").and_then(Resource::commit),
            parity: state.and_then(|state| state.annotations.get("parity").map(|line| neutral_line(line, 200))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(of: &str) -> Subject {
        Subject { repository: format!("r.test/apps/{of}"), digest: Digest::of(of.as_bytes()) }
    }

    fn sample() -> Statement {
        Statement {
            subjects: vec![subject("shop"), subject("db")],
            tests: [("unit".parse().unwrap(), true), ("smoke".parse().unwrap(), false)].into(),
            about: About {
                app: Some("shop".parse().unwrap()),
                state: Some(("production".parse().unwrap(), "1".repeat(40).parse().unwrap())),
                lock: Some(Digest::of(b"lock")),
                source: Some("2".repeat(40).parse().unwrap()),
                parity: Some("parity with production: 92 %".to_owned()),
            },
        }
    }

    #[test]
    fn a_statement_is_in_totos() {
        let document: serde_json::Value = serde_json::from_slice(&sample().bytes()).unwrap();
        let digest = Digest::of(b"shop");
        assert_eq!(
            document,
            serde_json::json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [
                    { "name": "r.test/apps/shop", "digest": { "sha256": digest.hex() } },
                    { "name": "r.test/apps/db", "digest": { "sha256": Digest::of(b"db").hex() } },
                ],
                "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
                "predicate": {
                    "result": "FAILED",
                    "configuration": [
                        { "name": "app", "annotations": { "app": "shop" } },
                        {
                            "name": "state",
                            "digest": { "gitCommit": "1".repeat(40) },
                            "annotations": { "environment": "production", "parity": "parity with production: 92 %" },
                        },
                        { "name": "source", "digest": { "gitCommit": "2".repeat(40) } },
                        { "name": "onramp.lock", "digest": { "sha256": Digest::of(b"lock").hex() } },
                    ],
                    "passedTests": ["unit"],
                    "failedTests": ["smoke"],
                },
            })
        );
        assert_eq!(Statement::parse(&sample().bytes()), Ok(sample()));
    }

    #[test]
    fn what_passed_passed_with_all_of_the_images() {
        let passed = |of: &[&str]| {
            let digests = of.iter().map(|of| subject(of).digest).collect();
            sample().passed(&digests).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(passed(&["shop"]), ["unit"]);
        assert_eq!(passed(&["shop", "db"]), ["unit"]);
        assert_eq!(passed(&["shop", "cache"]), Vec::<String>::new());
    }

    #[test]
    fn what_is_none_says_why() {
        let text = String::from_utf8(sample().bytes()).unwrap();
        for (from, to, why) in [
            ("test-result/v0.1", "test-result/v9", "it is a `https://in-toto.io/Statement/v1` about"),
            ("\"sha256\":\"", "\"sha256\":\"x", "it has a subject without a sha256 digest"),
            ("[\"smoke\"]", "[\"smoke\",\"unit\"]", "it says of a test that it passed and that it failed"),
            ("\"subject\":", "\"subject\":[],\"subject\":", "duplicate field `subject`"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            let said = Statement::parse(changed.as_bytes()).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
        let more = text.replace("\"result\":", "\"warnedTests\":[],\"result\":");
        assert_eq!(Statement::parse(more.as_bytes()), Ok(sample()), "what is unknown is passed over");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Statement::parse(&bytes);
        }
    }
}
