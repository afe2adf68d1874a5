//! Which service an image in a file is of: `image` of `[format]` in `state.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::name::Name;
use crate::text::neutral_line;

/// The place of a service's name in a pattern.
pub(super) const SERVICE: &str = "{service}";

/// What services are called in the files of a format.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text with {service} in it, or a table: service = \"name\" or [\"name\", …]")]
pub enum Images {
    /// All in one way.
    Pattern(String),
    /// Each by itself.
    Table(BTreeMap<Name, Names>),
}

/// What one service is called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a name, or a list of them")]
pub enum Names {
    /// In one place.
    One(String),
    /// In several, which all have the same image.
    Several(Vec<String>),
}

impl Names {
    fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// The names, with those of an app and an environment filled in.
#[derive(Debug)]
pub(super) enum Filled {
    /// What stands before and after the service's name.
    Pattern(String, String),
    /// Services and what each is called.
    Table(Vec<(Name, String)>),
}

impl Images {
    /// Each service is called as it is called here.
    pub(super) fn plain() -> Self {
        Self::Pattern(SERVICE.to_owned())
    }

    /// Why these are no names, if they are not.
    pub(super) fn check(&self) -> Result<(), String> {
        let braces = |text: &str| {
            let rest =
                [SERVICE, "{app}", "{environment}"].iter().fold(text.to_owned(), |text, known| text.replace(known, ""));
            let shown = neutral_line(text, 80);
            if rest.contains(['{', '}']) || text.is_empty() || text.len() > 400 {
                return Err(format!(
                    "`image`: `{shown}` is no name with places for {{service}}, {{app}} or {{environment}}"
                ));
            }
            Ok(())
        };
        match self {
            Self::Pattern(text) => {
                braces(text)?;
                if text.matches(SERVICE).count() != 1 {
                    let shown = neutral_line(text, 80);
                    return Err(format!(
                        "`image`: `{shown}` does not say once where {SERVICE} stands; write a table, service = \"{shown}\""
                    ));
                }
            }
            Self::Table(table) => {
                let mut seen = BTreeMap::new();
                for (service, name) in
                    table.iter().flat_map(|(service, names)| names.all().iter().map(move |n| (service, n)))
                {
                    braces(name)?;
                    if name.contains(SERVICE) {
                        return Err(format!("`image.{service}` is of that service, and has no place for {SERVICE}"));
                    }
                    if let Some(other) = seen.insert(name, service) {
                        let name = neutral_line(name, 80);
                        return Err(format!("`image`: `{name}` is both of `{other}` and of `{service}`"));
                    }
                }
            }
        }
        Ok(())
    }

    /// With these names in it.
    pub(super) fn fill(&self, environment: &Name, app: &Name) -> Filled {
        let fill = |text: &str| text.replace("{app}", app.as_str()).replace("{environment}", environment.as_str());
        match self {
            Self::Pattern(text) => {
                let (before, after) = text.split_once(SERVICE).unwrap_or((text, ""));
                Filled::Pattern(fill(before), fill(after))
            }
            Self::Table(table) => {
                let names = table
                    .iter()
                    .flat_map(|(service, names)| names.all().iter().map(|name| (service.clone(), fill(name))));
                Filled::Table(names.collect())
            }
        }
    }
}

impl Filled {
    /// The service that is called so; none where none is. An error where one would be, and can have no such name.
    pub(super) fn service(&self, called: &str) -> Result<Option<Name>, String> {
        match self {
            Self::Pattern(before, after) => {
                let inner = called.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                inner.map(|name| name.parse().map_err(|why: crate::name::NotAName| why.to_string())).transpose()
            }
            Self::Table(names) => Ok(names.iter().find(|(_, name)| name == called).map(|(service, _)| service.clone())),
        }
    }

    /// Whether names are told apart by what they stand in: `workload/container`.
    pub(super) fn is_qualified(&self) -> bool {
        match self {
            Self::Pattern(before, after) => before.contains('/') || after.contains('/'),
            Self::Table(names) => names.iter().any(|(_, name)| name.contains('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(text: &str) -> Result<Images, String> {
        #[derive(Deserialize)]
        struct Table {
            image: Images,
        }
        let table: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        table.image.check().map(|()| table.image)
    }

    #[test]
    fn services_are_found_by_what_they_are_called() {
        let (test, shop) = ("test".parse().unwrap(), "shop".parse().unwrap());
        let found = |text: &str, called: &str| images(text).unwrap().fill(&test, &shop).service(called);
        let name = |text: &str| Ok(Some(text.parse().unwrap()));
        assert_eq!(found("image = \"{app}-{service}\"", "shop-web"), name("web"));
        assert_eq!(found("image = \"{app}-{service}\"", "auth-web"), Ok(None));
        assert!(found("image = \"{service}\"", "My_Web").unwrap_err().contains("`My_Web` is not a name"));
        assert_eq!(found("image = { web = [\"app\", \"{app}-migrate\"], db = \"db\" }", "shop-migrate"), name("web"));
        assert_eq!(found("image = { web = \"app\" }", "sidecar"), Ok(None));
    }

    #[test]
    fn what_tells_no_service_is_refused() {
        for (text, why) in [
            ("image = \"web.image\"", "does not say once"),
            ("image = \"{service}/{service}\"", "does not say once"),
            ("image = \"{service}{x}\"", "is no name with places"),
            ("image = { web = \"{service}\" }", "has no place for"),
            ("image = { web = \"a\", db = [\"b\", \"a\"] }", "is both of `db` and of `web`"),
            ("image = 1", "expected a text"),
            ("image = { Web = \"a\" }", "expected a text"),
        ] {
            let message = images(text).unwrap_err();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
