//! What differs between two declarations of the same: between environments, or between commits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::name::Name;
use crate::project::service::Service;

/// The services that an environment declares, by app.
pub type Declared = BTreeMap<Name, BTreeMap<Name, Service>>;

/// One key of one service that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The app.
    pub app: Name,
    /// Its service.
    pub service: Name,
    /// The key, `env.DB_HOST` or `image`.
    pub key: String,
    /// What it was; none where it was not there.
    pub from: Option<String>,
    /// What it is; none where it is not there.
    pub to: Option<String>,
}

/// Everything that differs, by app, service and key.
pub fn diff(from: &Declared, to: &Declared) -> Vec<Change> {
    let mut changes = Vec::new();
    let none = BTreeMap::new();
    for app in keys(from, to) {
        let (before, after) = (from.get(app).unwrap_or(&none), to.get(app).unwrap_or(&none));
        for service in keys(before, after) {
            let (was, is) = (flat(before.get(service)), flat(after.get(service)));
            let differing = keys(&was, &is).into_iter().filter(|key| was.get(*key) != is.get(*key));
            changes.extend(differing.map(|key| Change {
                app: app.clone(),
                service: service.clone(),
                key: key.clone(),
                from: was.get(key).cloned(),
                to: is.get(key).cloned(),
            }));
        }
    }
    changes
}

fn keys<'m, K: Ord, V>(one: &'m BTreeMap<K, V>, other: &'m BTreeMap<K, V>) -> BTreeSet<&'m K> {
    one.keys().chain(other.keys()).collect()
}

/// A service as keys and values: tables by dots, lists as they are written in JSON. A secret is its name.
fn flat(service: Option<&Service>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Some(service) = service {
        flatten("", &serde_json::to_value(service).expect("a service is plain data"), &mut found);
    }
    found
}

fn flatten(at: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let key = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                flatten(&key, value, found);
            }
        }
        Value::String(text) => drop(found.insert(at.to_owned(), text.clone())),
        Value::Null => {}
        other => drop(found.insert(at.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(services: &[(&str, &str, &str)]) -> Declared {
        let mut all = Declared::new();
        for (app, service, text) in services {
            let service_of: Service = toml::from_str(text).unwrap();
            all.entry(app.parse().unwrap()).or_default().insert(service.parse().unwrap(), service_of);
        }
        all
    }

    #[test]
    fn what_differs_is_told_by_key_and_what_does_not_is_not() {
        let before = declared(&[
            ("auth", "api", "port = 80"),
            ("shop", "web", "port = 80\nreplicas = 2\nneeds = [\"db\"]\nenv = { A = \"1\", B = \"2\" }"),
        ]);
        let after = declared(&[(
            "shop",
            "web",
            "port = 80\nreplicas = 3\nneeds = [\"db\", \"auth/api\"]\nenv = { A = \"1\", C = { secret = \"shop/c\" } }",
        )]);
        assert_eq!(diff(&before, &before), []);
        let told: Vec<String> = diff(&before, &after)
            .into_iter()
            .map(|change| {
                let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
                format!("{}/{} {}: {} → {}", change.app, change.service, change.key, side(change.from), side(change.to))
            })
            .collect();
        assert_eq!(
            told,
            [
                "auth/api port: 80 → -",
                "shop/web env.B: 2 → -",
                "shop/web env.C.secret: - → shop/c",
                "shop/web needs: [\"db\"] → [\"db\",\"auth/api\"]",
                "shop/web replicas: 2 → 3",
            ]
        );
    }
}
