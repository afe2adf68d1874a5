//! The user's settings, resolved once: flag, then `ONRAMP_*` variable, then the user's file.
//!
//! `onramp join` writes the file from the catalog's company defaults; the project's own `catalog` is looked at where a
//! project is.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::document::{self, DocumentError};
use crate::paths::Paths;
use crate::reference::{ImageRef, is_registry};
use crate::text;

/// Which kind of forge the state repository lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// GitHub, or a GitHub Enterprise server.
    Github,
    /// GitLab, the public one or a company's own.
    Gitlab,
    /// Gitea or Forgejo, which has the same API.
    #[serde(alias = "forgejo")]
    Gitea,
    /// No server: pull requests are kept in the state repository itself.
    Local,
}

impl ForgeKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Github, Self::Gitlab, Self::Gitea, Self::Local];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "forgejo" { "gitea" } else { name };
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea or Forgejo",
            Self::Local => "local forge",
        }
    }

    /// The name that files and `ONRAMP_FORGE` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Local => "local",
        }
    }
}

/// What stands before a registry, in `[mirrors."<registry>"]` of `catalog.toml` and of the user's settings.
///
/// It serves what its digest names, which is verified; it gets its own credentials and never the registry's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// `host[:port]`, or with the path under which it has the registry's repositories: `mirror.acme.test/hub`. Its scheme is
    /// not written: plain http on loopback, https everywhere else.
    #[serde(deserialize_with = "mirror_place")]
    pub at: String,
    /// Whether it is believed about what a tag means, too. It may be behind.
    #[serde(default)]
    pub tags: bool,
}

impl Mirror {
    /// Its host, and its path with a slash behind it where there is one; none where `at` is no such place.
    pub fn place(&self) -> Option<(&str, String)> {
        place(&self.at)
    }
}

fn place(at: &str) -> Option<(&str, String)> {
    let (host, path) = at.split_once('/').unwrap_or((at, ""));
    let path = path.trim_end_matches('/');
    // A path is one that a reference could have.
    let whole = if path.is_empty() { format!("{host}/x:x") } else { format!("{host}/{path}/x:x") };
    whole.parse::<ImageRef>().ok()?;
    Some((host, if path.is_empty() { String::new() } else { format!("{path}/") }))
}

fn mirror_place<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let at = String::deserialize(from)?;
    let wrong = || D::Error::custom(format!("`{}` is no mirror (host[:port][/path])", text::neutral_line(&at, 80)));
    place(&at).ok_or_else(wrong)?;
    Ok(at)
}

/// Mirrors by registry, as files hold them.
pub fn mirrors<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Mirror>, D::Error> {
    let mirrors = BTreeMap::<String, Mirror>::deserialize(from)?;
    let wrong = mirrors.keys().find(|registry| !is_registry(registry));
    let shown = |registry: &String| format!("`{}` is no registry (host[:port])", text::neutral_line(registry, 80));
    wrong.map_or(Ok(()), |registry| Err(D::Error::custom(shown(registry))))?;
    Ok(mirrors)
}

/// The `[forge]` table of `catalog.toml` and of the user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forge {
    /// Its kind.
    pub kind: ForgeKind,
    /// Base URL of its API. When absent it is GitHub's public one, or the one at the host of the state repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// The `[company]` table of `catalog.toml` and of the user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Company {
    /// What the company is called.
    pub name: String,
    /// Where images live: `host[:port]`. Base images are `<registry>/base/<name>`, apps `<registry>/apps/<name>`.
    pub registry: String,
    /// URL of the state repository.
    pub state: String,
}

/// The user's settings file, `settings.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSettings {
    /// 1.
    pub schema: u32,
    /// URL of the company's catalog.
    pub catalog: Option<String>,
    /// The company's defaults, as `join` read them.
    pub company: Option<Company>,
    /// The company's forge.
    pub forge: Option<Forge>,
    /// Mirrors, by the registry that they stand before.
    #[serde(default, deserialize_with = "mirrors")]
    pub mirrors: BTreeMap<String, Mirror>,
    /// The cache of this machine.
    pub cache: Option<Cache>,
    /// The names of sandboxes' services.
    pub hostnames: Option<Hostnames>,
}

/// The `[hostnames]` table of the user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hostnames {
    /// The loopback port that the router listens on.
    pub port: Option<NonZeroU16>,
}

/// The `[cache]` table of the user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// How much the layers of images may take there: `10 GB`.
    pub limit: Option<String>,
}

/// The text of the user's file after joining a company: comments and order kept, anything else in it too.
pub fn joined(
    text: &str,
    catalog: &str,
    company: &Company,
    forge: &Forge,
    mirrors: &BTreeMap<String, Mirror>,
) -> Result<String, toml_edit::TomlError> {
    let mut document: toml_edit::DocumentMut = text.parse()?;
    document["schema"] = toml_edit::value(document::SCHEMA);
    document["catalog"] = toml_edit::value(catalog);
    let mut put = |table: &str, key: &str, value: Option<&str>| {
        let entry = document.entry(table).or_insert_with(toml_edit::table);
        match value {
            Some(value) => entry[key] = toml_edit::value(value),
            None => {
                entry.as_table_like_mut().map(|table| table.remove(key));
            }
        }
    };
    put("company", "name", Some(&company.name));
    put("company", "registry", Some(&company.registry));
    put("company", "state", Some(&company.state));
    put("forge", "kind", Some(forge.kind.name()));
    put("forge", "api", forge.api.as_deref());
    for (registry, mirror) in mirrors {
        let table = document.entry("mirrors").or_insert_with(toml_edit::table);
        if let Some(table) = table.as_table_like_mut() {
            let mut entry = toml_edit::Table::new();
            entry.insert("at", toml_edit::value(&mirror.at));
            entry.insert("tags", toml_edit::value(mirror.tags));
            table.insert(registry, toml_edit::Item::Table(entry));
        }
    }
    Ok(document.to_string())
}

/// A value and where it came from, for `doctor` and for errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// `ONRAMP_STATE`, or the settings file's path.
    pub origin: String,
}

/// What the rest of the program trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The company's name.
    pub company: Option<Setting<String>>,
    /// URL of the catalog.
    pub catalog: Option<Setting<String>>,
    /// `host[:port]` of the registry.
    pub registry: Option<Setting<String>>,
    /// URL of the state repository.
    pub state: Option<Setting<String>>,
    /// The forge of the state repository.
    pub forge: Option<Setting<Forge>>,
    /// How many bytes the layers of images may take in the cache.
    pub cache_limit: Option<Setting<u64>>,
    /// The loopback port that services are reached at by name.
    pub hostnames_port: Option<Setting<NonZeroU16>>,
    /// Mirrors, by the registry that they stand before.
    pub mirrors: BTreeMap<String, Mirror>,
}

/// A setting that a command needs and nobody gave.
#[derive(Debug, thiserror::Error)]
#[error("no {what} is set")]
pub struct Missing {
    what: &'static str,
    variable: &'static str,
}

impl crate::error::Fault for Missing {
    fn class(&self) -> crate::error::Class {
        crate::error::Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(format!("`onramp join` sets it for your company; {} sets it for one command", self.variable))
    }

    fn next(&self) -> Vec<String> {
        vec!["onramp join <catalog>".to_owned(), "onramp playground up".to_owned()]
    }
}

/// The variables that stand above the user's file: their name and what they set.
pub const VARIABLES: [(&str, &str); 6] = [
    ("ONRAMP_CATALOG", "URL of the catalog"),
    ("ONRAMP_REGISTRY", "host[:port] of the registry"),
    ("ONRAMP_STATE", "URL of the state repository"),
    ("ONRAMP_FORGE", "kind of the forge: github, gitlab, gitea (Forgejo, too) or local"),
    ("ONRAMP_CACHE_LIMIT", "how much the cache of image layers may hold: 10 GB"),
    ("ONRAMP_HOSTNAMES_PORT", "the loopback port that services are reached at by name: 8443"),
];

impl Settings {
    /// Reads the user's file and lays the variables over it. A missing file is an empty one.
    pub fn resolve(paths: &Paths, variable: impl Fn(&str) -> Option<String>) -> Result<Self, DocumentError> {
        let file = match document::load::<UserSettings>(&paths.settings) {
            Ok(file) => Some(file),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let origin = paths.settings.display().to_string();
        let company = file.as_ref().and_then(|f| f.company.clone());
        let from_file = |value: Option<String>| value.map(|value| Setting { value, origin: origin.clone() });
        let set = |name: &str, value: Option<String>| match variable(name) {
            Some(value) if !value.is_empty() => Some(Setting { value, origin: name.to_owned() }),
            _ => from_file(value),
        };
        let forge_kind = match variable("ONRAMP_FORGE").as_deref() {
            None | Some("") => None,
            Some(name) if ForgeKind::named(name).is_some() => ForgeKind::named(name),
            Some(other) => {
                return Err(document::wrong_at(
                    std::path::Path::new("ONRAMP_FORGE"),
                    other,
                    other,
                    format!(
                        "`{}` is no kind of forge: github, gitlab, gitea or local",
                        crate::text::neutral_line(other, 40)
                    ),
                ));
            }
        };
        let forge_in_file = file.as_ref().and_then(|f| f.forge.clone());
        let forge = match forge_kind {
            Some(kind) => {
                let api = forge_in_file.filter(|f| f.kind == kind).and_then(|f| f.api);
                Some(Setting { value: Forge { kind, api }, origin: "ONRAMP_FORGE".to_owned() })
            }
            None => forge_in_file.map(|value| Setting { value, origin: origin.clone() }),
        };
        let written = file.as_ref().and_then(|f| f.cache.as_ref()?.limit.clone());
        let cache_limit = match set("ONRAMP_CACHE_LIMIT", written) {
            None => None,
            Some(Setting { value, origin }) => match text::parse_bytes(&value) {
                Ok(bytes) => Some(Setting { value: bytes, origin }),
                Err(why) => return Err(document::wrong_at(std::path::Path::new(&origin), &value, &value, why)),
            },
        };
        let written = file.as_ref().and_then(|f| f.hostnames.as_ref()?.port).map(|port| port.to_string());
        let hostnames_port = match set("ONRAMP_HOSTNAMES_PORT", written) {
            None => None,
            Some(Setting { value, origin }) => {
                let Ok(port) = value.parse() else {
                    let why = format!("`{}` is no port: 1 to 65535", text::neutral_line(&value, 40));
                    return Err(document::wrong_at(std::path::Path::new(&origin), &value, &value, why));
                };
                Some(Setting { value: port, origin })
            }
        };
        Ok(Self {
            cache_limit,
            hostnames_port,
            company: from_file(company.as_ref().map(|c| c.name.clone())),
            catalog: set("ONRAMP_CATALOG", file.as_ref().and_then(|f| f.catalog.clone())),
            registry: set("ONRAMP_REGISTRY", company.as_ref().map(|c| c.registry.clone())),
            state: set("ONRAMP_STATE", company.as_ref().map(|c| c.state.clone())),
            forge,
            mirrors: file.map(|file| file.mirrors).unwrap_or_default(),
        })
    }

    /// The state repository's URL, or the error that says how to set one.
    pub fn state(&self) -> Result<&str, Missing> {
        let missing = Missing { what: "state repository", variable: "ONRAMP_STATE" };
        self.state.as_ref().map(|s| s.value.as_str()).ok_or(missing)
    }

    /// The registry's host, or the error that says how to set one.
    pub fn registry(&self) -> Result<&str, Missing> {
        let missing = Missing { what: "registry", variable: "ONRAMP_REGISTRY" };
        self.registry.as_ref().map(|s| s.value.as_str()).ok_or(missing)
    }

    /// The forge, or the error that says how to set one.
    pub fn forge(&self) -> Result<&Forge, Missing> {
        let missing = Missing { what: "forge", variable: "ONRAMP_FORGE" };
        self.forge.as_ref().map(|s| &s.value).ok_or(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_keeps_what_people_wrote() {
        let company = Company { name: "Acme".into(), registry: "r.test".into(), state: "/s.git".into() };
        let forge = Forge { kind: ForgeKind::Local, api: None };
        let mirrors = [("r.test".into(), Mirror { at: "m.test/hub".into(), tags: false })].into();
        let before =
            "# mine\nschema = 1\ncatalog = \"/old\" # was\n\n[forge]\nkind = \"github\"\napi = \"https://x\"\n";
        let after = joined(before, "/new", &company, &forge, &mirrors).unwrap();
        assert!(after.starts_with("# mine\nschema = 1\ncatalog = \"/new\""), "{after}");
        let read: UserSettings = document::parse(std::path::Path::new("x"), &after).unwrap();
        assert_eq!(read.forge, Some(forge.clone()));
        assert_eq!(joined(&after, "/new", &company, &forge, &mirrors).unwrap(), after, "joining again changes nothing");
        assert_eq!(read.mirrors, mirrors);
    }

    #[test]
    fn a_mirror_is_a_host_and_perhaps_a_path() {
        assert_eq!(place("mirror.acme.test"), Some(("mirror.acme.test", String::new())));
        assert_eq!(place("127.0.0.1:5000/"), Some(("127.0.0.1:5000", String::new())));
        assert_eq!(place("m.test/proxy/hub/"), Some(("m.test", "proxy/hub/".to_owned())));
        let read = |registry: &str, at: &str| {
            let text = format!("schema = 1\n[mirrors.\"{registry}\"]\nat = \"{at}\"\n");
            document::parse::<UserSettings>(std::path::Path::new("x"), &text).map_err(|error| error.to_string())
        };
        read("r.test", "m.test/proxy/hub/").unwrap();
        for bad in
            ["", "mirror", "https://m.test", "http://m.test", "m.test/../x", "m.test/a?b", "ann@m.test", "m.test//a"]
        {
            assert_eq!(place(bad), None, "{bad}");
            let error = read("r.test", bad).unwrap_err();
            assert!(error.starts_with("x:3:6") && error.contains("is no mirror"), "{error}");
        }
        for bad in ["", "registry", "https://r.test", "r.test/base", "ann@r.test"] {
            let error = read(bad, "m.test").unwrap_err();
            assert!(error.starts_with("x:2:") && error.contains("is no registry"), "{error}");
        }
    }

    #[test]
    fn a_variable_stands_above_the_file_and_both_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            settings: dir.path().join("settings.toml"),
            cache: dir.path().into(),
            data: dir.path().into(),
            state: dir.path().into(),
        };
        assert_eq!(Settings::resolve(&paths, |_| None).unwrap(), Settings::default());
        let text = "schema = 1\n[company]\nname = \"Acme\"\nregistry = \"r.test\"\nstate = \"/s.git\"\n";
        std::fs::write(&paths.settings, text).unwrap();
        let variable = |name: &str| (name == "ONRAMP_STATE").then(|| "/other.git".to_owned());
        let settings = Settings::resolve(&paths, variable).unwrap();
        assert_eq!(settings.state().unwrap(), "/other.git");
        assert_eq!(settings.state.unwrap().origin, "ONRAMP_STATE");
        assert_eq!(settings.registry.unwrap().origin, paths.settings.display().to_string());
        let forge = |name: &str| {
            let settings = Settings::resolve(&paths, |n| (n == "ONRAMP_FORGE").then(|| name.into()));
            settings.map(|settings| settings.forge.unwrap().value.kind)
        };
        assert_eq!((forge("gitlab").unwrap(), forge("forgejo").unwrap()), (ForgeKind::Gitlab, ForgeKind::Gitea));
        assert!(forge("svn").is_err());
        std::fs::write(&paths.settings, "schema = 1\n[cache]\nlimit = \"2 GB\"\n").unwrap();
        let limit = |variable: Option<&str>| {
            let read = |name: &str| variable.filter(|_| name == "ONRAMP_CACHE_LIMIT").map(str::to_owned);
            Settings::resolve(&paths, read).map(|settings| settings.cache_limit.unwrap().value)
        };
        assert_eq!((limit(None).unwrap(), limit(Some("5 MB")).unwrap()), (2_000_000_000, 5_000_000));
        assert!(limit(Some("much")).is_err());
        std::fs::write(&paths.settings, "schema = 1\n[hostnames]\nport = 9443\n").unwrap();
        let port = |variable: Option<&str>| {
            let read = |name: &str| variable.filter(|_| name == "ONRAMP_HOSTNAMES_PORT").map(str::to_owned);
            Settings::resolve(&paths, read).map(|settings| settings.hostnames_port.unwrap().value.get())
        };
        assert_eq!((port(None).unwrap(), port(Some("8443")).unwrap()), (9443, 8443));
        for bad in ["0", "70000", "https"] {
            assert!(port(Some(bad)).unwrap_err().to_string().contains("is no port"), "{bad}");
        }
    }
}
