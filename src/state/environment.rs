//! What one environment runs of one app, and how onramp's own format says it: `environments/<env>/<app>.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::format::Declared;
use crate::document::{self, DocumentError};
use crate::git::RepoUrl;
use crate::name::Name;
use crate::project::manifest::check_service;
use crate::project::safety;
use crate::project::service::Service;

/// What an environment declares for an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppState {
    /// The app's services. Each has an image: by digest in onramp's own format.
    pub services: BTreeMap<Name, Service>,
    /// The repository of its source, where that is written down.
    pub source: Option<RepoUrl>,
    /// The file in the state repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "document::parse checks it")]
    schema: u32,
    source: Option<String>,
    #[serde(default)]
    services: BTreeMap<Name, Service>,
}

/// Parses and checks a declaration's text; `path` is what errors call it.
pub fn check(path: &Path, text: &str) -> Result<BTreeMap<Name, Service>, DocumentError> {
    Ok(read(path, text)?.services)
}

/// The same, and where the app's source is.
pub(super) fn read(path: &Path, text: &str) -> Result<Declared, DocumentError> {
    let parsed = document::parse(path, text);
    if !matches!(parsed, Err(DocumentError::Newer { .. })) {
        safety::check(path, text)?;
    }
    let file: File = parsed?;
    let source = file.source.map(|url| url.parse::<RepoUrl>()).transpose().map_err(|error| {
        let offset = document::offset_of(text, &["source"]).unwrap_or_default();
        document::wrong(path, text, offset, format!("`source`: {error}"))
    })?;
    for (name, service) in &file.services {
        let wrong = |key: &str, message: String| {
            let place = ["services", name.as_str(), key];
            let offset = document::offset_of(text, &place)
                .or_else(|| document::offset_of(text, &place[..2]))
                .unwrap_or_default();
            document::wrong(path, text, offset, format!("services.{name}: {message}"))
        };
        if let Some(key) = project_only(service) {
            return Err(wrong(key, format!("`{key}` belongs to a project's onramp.toml, not to an environment")));
        }
        match &service.image {
            None => return Err(wrong("image", "`image` is missing".to_owned())),
            Some(image) if image.digest().is_none() => {
                return Err(wrong("image", format!("`{image}` is not by digest: an environment runs what it names")));
            }
            Some(_) => {}
        }
        check_service(service).map_err(|message| wrong("", message))?;
    }
    Ok(Declared { services: file.services, source })
}

/// The first key of a service that only a project may set.
fn project_only(service: &Service) -> Option<&'static str> {
    let set = [
        ("build", service.build.is_some()),
        ("sync", !service.sync.is_empty()),
        ("seed", !service.seed.is_empty()),
        ("check", service.check.is_some()),
        ("fallback", service.fallback.is_some()),
        ("publish", service.publish.is_some()),
    ];
    set.into_iter().find(|(_, set)| *set).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn message(services: &str) -> String {
        let text = format!("schema = 1\n{}", services.replace("DIGEST", DIGEST));
        let path = Path::new("environments/production/shop.toml at 1a2b3c4");
        check(path, &text).unwrap_err().to_string()
    }

    #[test]
    fn an_environment_names_images_by_digest() {
        let text =
            format!("schema = 1\n[services.web]\nimage = \"r.test/apps/shop@{DIGEST}\"\nport = 80\nreplicas = 3\n");
        let services = check(Path::new("x"), &text).unwrap();
        assert_eq!(services["web"].image.as_ref().unwrap().digest().unwrap().as_str(), DIGEST);
    }

    #[test]
    fn mistakes_are_named_at_their_line() {
        let at = "environments/production/shop.toml at 1a2b3c4";
        let cases = [
            ("[services.web]\nport = 80\n", "2:1: services.web: `image` is missing"),
            (
                "\n[services.web]\nport = 80\nimage = \"r.test/a:1\"\n",
                "5:1: services.web: `r.test/a:1` is not by digest: an environment runs what it names",
            ),
            (
                "[services.db]\nimage = \"r.test/a@DIGEST\"\ndata = \"/d\"\nseed = [\"a.sql\"]\n",
                "5:1: services.db: `seed` belongs to a project's onramp.toml, not to an environment",
            ),
            (
                "[services.web]\nimage = \"r.test/a@DIGEST\"\npublish = 8080\n",
                "4:1: services.web: `publish` belongs to a project's onramp.toml, not to an environment",
            ),
            (
                "[services.web]\nimage = \"r.test/a@DIGEST\"\npuppet = { code = \"../web\" }\n",
                "2:1: services.web: `puppet`: `../web` is no path below the state repository",
            ),
            ("[services.web]\nimage = \"r.test/a@DIGEST\"\nprot = 1\n", "4:1: unknown key `prot`"),
            (
                "source = \"--upload-pack=x\"\n",
                "2:1: `source`: `--upload-pack=x` is no repository that onramp talks to: it is empty, too long, begins with a dash, or holds spaces or control characters",
            ),
            (
                "[services.web]\nimage = \"r.test/a@DIGEST\"\nready = { http = \"/h\" }\n",
                "2:1: services.web: `ready` needs a `port`",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(message(text), format!("{at}:{expected}"));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(schema = 1\n)?[\\[\\]a-z.={}\" \n]{0,60}") {
            let _ = check(Path::new("x"), &text);
        }
    }
}
