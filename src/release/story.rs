//! What a deployment says about itself: its commit's message, its pull request's title and body. Pure.

use std::fmt::Write;

use super::Trailers;
use super::deployment::{Change, Evidence};
use crate::git::Commit;
use crate::text::without_mentions;

/// GitHub takes 65,536 characters.
const BODY_MAX: usize = 60_000;
const TITLE_MAX: usize = 200;
const MESSAGE_MAX: usize = 4_000;
/// What is told of images' insides: the rest of the body must have its place.
const IMAGES_MAX: usize = 24_000;

/// Everything that a deployment says about itself.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    /// The file that it edits.
    pub file: &'a str,
    /// Its trailers.
    pub trailers: &'a Trailers,
    /// What it changes.
    pub changes: &'a [Change],
    /// The source that the environment runs now, where that is known.
    pub previous: Option<&'a Commit>,
    /// What is known about the code.
    pub evidence: &'a Evidence,
    /// Why, in the author's words.
    pub message: Option<&'a str>,
}

impl Story<'_> {
    /// The pull request's title, which is the commit's subject.
    pub fn title(&self) -> String {
        let Trailers { app, environment, source, .. } = self.trailers;
        crate::text::shorten(&format!("Deploy {app} {} to {environment}", source.short()), TITLE_MAX)
    }

    /// The commit's message, trailers last.
    pub fn commit_message(&self) -> String {
        let mut message = format!("{}\n\n", self.title());
        if let Some(words) = self.message {
            let _ = writeln!(message, "{}\n", crate::text::shorten(words.trim(), MESSAGE_MAX));
        }
        let _ = write!(message, "{}", self.trailers);
        message
    }

    /// The pull request's body, in Markdown.
    pub fn body(&self) -> String {
        let Trailers { app, environment, source, .. } = self.trailers;
        let mut body = String::new();
        if let Some(words) = self.message {
            let _ = writeln!(body, "{}\n", without_mentions(&crate::text::shorten(words.trim(), MESSAGE_MAX)));
        }
        let _ = writeln!(body, "Brings `{app}` in `{environment}` to source commit `{source}`.");
        match self.previous {
            Some(previous) if previous == source => {
                let _ = writeln!(body, "It runs that source now; the images or services change.");
            }
            Some(previous) => {
                let _ =
                    writeln!(body, "It runs `{previous}` now (`git log {}..{}`).", previous.short(), source.short());
            }
            None => {}
        }
        body.push_str("\n| service | now | proposed |\n|---|---|---|\n");
        for change in self.changes {
            let from = change.from.as_ref().map_or_else(|| "not declared".to_owned(), |from| format!("`{from}`"));
            let _ = writeln!(body, "| {} | {from} | `{}` |", change.service, change.to);
        }
        body.push_str("\n### Tests\n\n");
        if self.evidence.tests.is_empty() {
            body.push_str("None ran on this commit.\n");
        } else {
            body.push_str("| test | result |\n|---|---|\n");
            for (test, passed) in &self.evidence.tests {
                let _ = writeln!(body, "| {test} | {} |", if *passed { "passed" } else { "**failed**" });
            }
        }
        if let Some(mixed) = &self.evidence.mixed {
            let results = mixed
                .tests
                .iter()
                .map(|(test, passed)| format!("{test} {}", if *passed { "passed" } else { "**failed**" }));
            let with = crate::text::neutral_line(&mixed.with.join(", "), 500).replace('`', "'");
            let results: Vec<String> = results.collect();
            let _ = writeln!(body, "\nTogether with `{with}`, which counts for no policy: {}.", results.join(", "));
        }
        if let Some(parity) = &self.evidence.parity {
            let _ = writeln!(body, "\nIn the sandbox: {}", without_mentions(&crate::text::neutral_line(parity, 500)));
        }
        if let Some(commit) = &self.evidence.state_commit {
            let _ = writeln!(body, "\nTested against the state repository at `{commit}`.");
        }
        body.push_str(&self.images());
        body.push_str("\n### Rolling back\n\n");
        body.push_str(&self.rollback());
        crate::text::shorten(&body, BODY_MAX)
    }

    fn images(&self) -> String {
        let mut out = String::new();
        for (service, difference) in &self.evidence.images {
            let _ = write!(out, "\n### Inside the image of {service}\n\n{difference}");
        }
        if out.chars().count() <= IMAGES_MAX {
            return out;
        }
        format!("{}\n", crate::text::shorten(&out, IMAGES_MAX))
    }

    fn rollback(&self) -> String {
        let Trailers { app, environment, .. } = self.trailers;
        if let Some(previous) = self.previous.filter(|previous| **previous != self.trailers.source) {
            return format!(
                "In `{app}`; what was deployed from that commit comes back by digest, without a build:\n\n```sh\ngit checkout {previous}\nonramp deploy {environment}\ngit checkout -\n```\n"
            );
        }
        let restore = self.changes.iter().filter_map(|change| {
            let from = change.from.as_ref()?;
            Some(format!("- the image of `{}` back to `{from}`\n", change.service))
        });
        let restore: String = restore.collect();
        let file = self.file;
        if restore.is_empty() {
            return format!("Nothing ran here before. Remove what is added to `{file}`.\n");
        }
        format!("In `{file}`, set:\n\n{restore}")
    }
}

/// The author's words in a deployment's commit message: what stands between its subject and its trailers.
pub fn words(commit_message: &str) -> Option<&str> {
    Trailers::parse(commit_message)?;
    let (_, rest) = commit_message.split_once("\n\n")?;
    let (words, _) = rest.trim_end().rsplit_once("\n\n")?;
    Some(words.trim()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::name::Name;
    use crate::reference::{Digest, ImageRef};
    use crate::release::deployment::Mixed;

    const FILE: &str = "environments/production/shop.toml";

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn image(path: &str, seed: &str) -> ImageRef {
        format!("r.test/{path}@{}", Digest::of(seed.as_bytes())).parse().unwrap()
    }

    fn commit(digit: &str) -> Commit {
        digit.repeat(40).parse().unwrap()
    }

    fn body(message: Option<&str>, tests: &[(&str, bool)], previous: Option<&Commit>) -> String {
        let change =
            Change { service: name("web"), from: Some(image("apps/shop", "old")), to: image("apps/shop", "new") };
        let tests: BTreeMap<Name, bool> = tests.iter().map(|(test, passed)| (name(test), *passed)).collect();
        let trailers = Trailers {
            app: name("shop"),
            environment: name("test"),
            source: commit("a"),
            images: [(name("web"), image("apps/shop", "new"))].into(),
            tests: tests.clone(),
        };
        let evidence = Evidence {
            tests,
            parity: Some("2 of 2 services equal".into()),
            state_commit: Some(commit("c")),
            mixed: Some(Mixed { with: vec!["auth=pr:3 (1a2b3c4)".into()], tests: [(name("unit"), true)].into() }),
            images: [(name("web"), "Packages: 1 newer.\n".to_owned())].into(),
        };
        let story =
            Story { file: FILE, trailers: &trailers, changes: &[change], previous, evidence: &evidence, message };
        assert_eq!(Trailers::parse(&story.commit_message()), Some(trailers.clone()));
        if message.is_none_or(|message| message.len() < 1000) {
            assert_eq!(words(&story.commit_message()), message);
        }
        story.body()
    }

    #[test]
    fn a_body_tells_what_changes_and_how_to_go_back() {
        let body = body(Some("Faster page, see @ada"), &[("unit", true), ("smoke", false)], Some(&commit("b")));
        let body = body
            .replace('\u{200b}', "<zwsp>")
            .replace(Digest::of(b"old").hex(), "OLD")
            .replace(Digest::of(b"new").hex(), "NEW");
        insta::assert_snapshot!(body, @r#"
        Faster page, see @<zwsp>ada

        Brings `shop` in `test` to source commit `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`.
        It runs `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` now (`git log bbbbbbb..aaaaaaa`).

        | service | now | proposed |
        |---|---|---|
        | web | `r.test/apps/shop@sha256:OLD` | `r.test/apps/shop@sha256:NEW` |

        ### Tests

        | test | result |
        |---|---|
        | smoke | **failed** |
        | unit | passed |

        Together with `auth=pr:3 (1a2b3c4)`, which counts for no policy: unit passed.

        In the sandbox: 2 of 2 services equal

        Tested against the state repository at `cccccccccccccccccccccccccccccccccccccccc`.

        ### Inside the image of web

        Packages: 1 newer.

        ### Rolling back

        In `shop`; what was deployed from that commit comes back by digest, without a build:

        ```sh
        git checkout bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        onramp deploy test
        git checkout -
        ```
        "#);
    }

    #[test]
    fn words_cannot_forge_trailers_or_flood_a_body() {
        let forged = "Sneaky\n\nOnramp-Tests: unit=passed\n".repeat(400);
        let long = body(Some(&forged), &[], None);
        assert!(long.chars().count() <= BODY_MAX);
        assert!(long.contains("the image of `web` back to"));
    }

    #[test]
    fn the_insides_of_images_leave_room_for_the_way_back() {
        let images = [(name("web"), "x".repeat(100_000))].into();
        let trailers = Trailers {
            app: name("shop"),
            environment: name("test"),
            source: commit("a"),
            images: BTreeMap::new(),
            tests: BTreeMap::new(),
        };
        let evidence = Evidence { images, ..Evidence::default() };
        let story =
            Story { file: FILE, trailers: &trailers, changes: &[], previous: None, evidence: &evidence, message: None };
        let body = story.body();
        assert!(body.chars().count() < IMAGES_MAX + 2_000 && body.contains("### Rolling back"), "{}", body.len());
    }
}
