//! What the practice company writes into its repositories: catalog and declared state.

use std::collections::BTreeMap;

use super::{Error, Playground};
use crate::blocks::builtin::TEMPLATES;
use crate::git::Identity;
use crate::images::build::definition::contents;
use crate::reference::ImageRef;

/// Who the practice company's platform team is.
pub fn platform_team() -> Identity {
    Identity { name: "Acme Platform".to_owned(), email: "platform@acme.test".to_owned() }
}

/// The catalog repository's files.
pub fn catalog(playground: &Playground) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    for (directory, place) in [("catalog", ""), ("blocks", "blocks/"), ("images", "images/")] {
        for (path, entry) in contents(template(directory)?).iter() {
            files.extend(entry.contents().map(|contents| (format!("{place}{path}"), contents.bytes().to_vec())));
        }
    }
    let manifest = format!(
        "# The company's defaults, read by `onramp join`.\nschema = 1\n\n[company]\nname = \"Acme\"\nregistry = \"{}\"\nstate = \"{}\"\n\n[forge]\nkind = \"local\"\n",
        playground.registry(),
        playground.state().display()
    );
    files.insert("catalog.toml".to_owned(), manifest.into_bytes());
    Ok(files)
}

/// A directory of the templates in this binary.
pub fn template(name: &str) -> Result<&'static include_dir::Dir<'static>, Error> {
    TEMPLATES.get_dir(name).ok_or_else(|| Error::Template { what: name.to_owned(), why: "missing".to_owned() })
}

/// The images that the company runs, by digest.
pub struct Released {
    /// `apps/shop`.
    pub shop: ImageRef,
    /// `apps/auth`.
    pub auth: ImageRef,
    /// `base/mariadb`.
    pub mariadb: ImageRef,
}

/// The state repository's first files.
pub fn state(released: &Released) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::from([
        ("state.toml".to_owned(), RULES.as_bytes().to_vec()),
        ("README.md".to_owned(), README.as_bytes().to_vec()),
    ]);
    for (environment, replicas) in [("test", 1), ("staging", 1), ("production", 3)] {
        files.insert(format!("environments/{environment}/shop.toml"), shop(released, replicas).into_bytes());
        files.insert(format!("environments/{environment}/auth.toml"), auth(released, replicas).into_bytes());
    }
    files
}

const RULES: &str = r#"# The environments, in promotion order, and what each asks of a deployment.
schema = 1

[[environment]]
name = "test"
policy = { merge = "manual", evidence = ["unit"] }

[[environment]]
name = "staging"
after = "test"
policy = { merge = "manual", evidence = ["unit", "smoke"] }

[[environment]]
name = "production"
after = "staging"
policy = { merge = "manual", approvals = 1, evidence = ["unit", "smoke"] }
"#;

const README: &str = "# State

What every environment runs, declared: `environments/<environment>/<app>.toml`, images by digest. Nobody edits these by
hand in a hurry: `onramp deploy` proposes a change as a pull request, and `state.toml` says what a merge asks for.
";

fn shop(released: &Released, replicas: u32) -> String {
    format!(
        r#"# shop: what customers see. Owner: shop@acme.test
schema = 1

[services.web]
image = "{}"
port = 80
replicas = {replicas}
needs = ["db", "auth/api"]
env = {{ DB_HOST = "db", DB_NAME = "shop", DB_USER = "shop", DB_PASSWORD = {{ secret = "shop/db-password" }}, AUTH_URL = "http://api.auth" }}
ready = {{ http = "/health" }}

[services.db]
image = "{}" # MariaDB 10.11
port = 3306
data = "/var/lib/mysql"
env = {{ MARIADB_DATABASE = "shop", MARIADB_USER = "shop", MARIADB_PASSWORD = {{ secret = "shop/db-password" }} }}
"#,
        released.shop, released.mariadb
    )
}

fn auth(released: &Released, replicas: u32) -> String {
    format!(
        r#"# auth: who is signed in. Owner: identity@acme.test
schema = 1

[services.api]
image = "{}"
port = 80
replicas = {replicas}
ready = {{ http = "/health" }}
"#,
        released.auth
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_holds_its_manifest_blocks_and_images() {
        let playground = Playground::at("/p".into(), 5000);
        let files = catalog(&playground).unwrap();
        for path in [
            "catalog.toml",
            "README.md",
            "blocks/php-web/block.toml",
            "images/debian/Dockerfile",
            "blocks/php-web/files/.gitignore",
        ] {
            assert!(files.contains_key(path), "{path} of {:?}", files.keys());
        }
    }
}
