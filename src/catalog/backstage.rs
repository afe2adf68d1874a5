//! `catalog-info.yaml`: how Backstage's software catalog knows a block, written and read.
//!
//! The shape is Backstage's descriptor format (<https://backstage.io/docs/features/software-catalog/descriptor-format>). A
//! block is written as a `Component`; of what is read, components and templates count.

use serde_json::{Map, Value, json};

use crate::blocks::manifest::Support;
use crate::template::yaml::{self, BadYaml, Node};

/// The file's name.
pub const FILE: &str = "catalog-info.yaml";
/// What an owner is that is no name to Backstage.
const OWNER: &str = "onramp.dev/owner";
/// The version.
const VERSION: &str = "onramp.dev/version";
/// The trusted committers, divided by commas.
const COMMITTERS: &str = "onramp.dev/trusted-committers";
/// The type of component that a block is.
const TYPE: &str = "building-block";

/// What Backstage is told, or tells, of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// One line on what it is.
    pub description: Option<String>,
    /// Who answers for it, in whatever words.
    pub owner: String,
    /// `experimental`, `production`, `deprecated`, or a company's own word.
    pub lifecycle: Option<String>,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// Who reviews contributions, where it says so.
    pub committers: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
}

impl Entity {
    /// What its lifecycle promises; none where that is a company's own word.
    pub fn support(&self) -> Option<Support> {
        match self.lifecycle.as_deref() {
            Some("experimental") => Some(Support::Experimental),
            Some("production") => Some(Support::Maintained),
            Some("deprecated") => Some(Support::Deprecated),
            _ => None,
        }
    }

    /// Its owner as `block.toml` writes one: `user:ana` is `@ana`, and a group, which an owner without a kind is to
    /// Backstage, a team.
    pub fn manifest_owner(&self) -> String {
        let owner = self.owner.trim();
        if owner.is_empty() || owner.contains(|c: char| c == '@' || c.is_whitespace()) {
            return owner.to_owned();
        }
        let (kind, place) = owner.split_once(':').unwrap_or(("group", owner));
        let (namespace, name) = place.split_once('/').unwrap_or(("default", place));
        match kind.to_ascii_lowercase().as_str() {
            "user" => format!("@{name}"),
            "group" => format!("@{namespace}/{name}"),
            _ => owner.to_owned(),
        }
    }

    /// Takes a support level for its lifecycle.
    pub fn set_support(&mut self, support: Support) {
        let word = match support {
            Support::Experimental => "experimental",
            Support::Maintained => "production",
            Support::Deprecated => "deprecated",
        };
        self.lifecycle = Some(word.to_owned());
    }

    fn value(&self) -> Value {
        let mut annotations = Map::new();
        let owner = owner(&self.owner);
        if owner != self.owner {
            annotations.insert(OWNER.to_owned(), self.owner.clone().into());
        }
        annotations.extend(self.version.iter().map(|version| (VERSION.to_owned(), version.clone().into())));
        if !self.committers.is_empty() {
            annotations.insert(COMMITTERS.to_owned(), self.committers.join(",").into());
        }
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), self.name.clone().into());
        metadata.extend(self.title.iter().map(|title| ("title".to_owned(), title.clone().into())));
        metadata.extend(self.description.iter().map(|text| ("description".to_owned(), text.clone().into())));
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), annotations.into());
        }
        if !self.tags.is_empty() {
            metadata.insert("tags".to_owned(), self.tags.clone().into());
        }
        // Backstage refuses a component without one.
        let lifecycle = self.lifecycle.clone().unwrap_or_else(|| "production".to_owned());
        json!({
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": metadata,
            "spec": { "type": TYPE, "lifecycle": lifecycle, "owner": owner },
        })
    }

    fn of(node: &Node) -> Option<Self> {
        let text = |node: Option<&Node>| match node?.value().ok()? {
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        let kind = text(node.get("kind"))?;
        if !matches!(kind.as_str(), "Component" | "Template") {
            return None;
        }
        let (metadata, spec) = (node.get("metadata")?, node.get("spec"));
        let annotation = |key: &str| text(metadata.get("annotations").and_then(|annotations| annotations.get(key)));
        let said = |key: &str| text(spec.and_then(|spec| spec.get(key)));
        let tags = match metadata.get("tags").and_then(|tags| tags.value().ok()) {
            Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let committers = annotation(COMMITTERS).unwrap_or_default();
        Some(Self {
            name: text(metadata.get("name"))?,
            title: text(metadata.get("title")),
            description: text(metadata.get("description")),
            owner: annotation(OWNER).or_else(|| said("owner")).unwrap_or_default(),
            lifecycle: said("lifecycle"),
            version: annotation(VERSION),
            committers: committers.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect(),
            tags,
        })
    }
}

/// Reads the components and templates of a `catalog-info.yaml`. What it says of other things is passed over.
pub fn read(text: &str) -> Result<Vec<Entity>, BadYaml> {
    Ok(yaml::parse_all(text)?.iter().filter_map(Entity::of).collect())
}

/// The text of a `catalog-info.yaml`: a document an entity.
pub fn write(entities: &[Entity]) -> String {
    let documents: Vec<String> = entities.iter().map(|entity| yaml::dump(&entity.value())).collect();
    documents.join("---\n")
}

/// A name that Backstage takes for an owner (`[kind:][namespace/]name`): the owner itself where it is one; of a mail
/// address what stands before the `@`.
fn owner(owner: &str) -> String {
    let word = |text: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let ends = |c: char| c.is_ascii_alphanumeric();
        (1..=63).contains(&text.len()) && text.chars().all(inner) && text.starts_with(ends) && text.ends_with(ends)
    };
    let parts: Vec<&str> = owner.split([':', '/']).collect();
    if parts.len() <= 3 && parts.iter().all(|part| word(part)) {
        return owner.to_owned();
    }
    let before = owner.trim_start_matches('@').split('@').next().unwrap_or_default();
    match crate::text::slug(before, 63) {
        none if none.is_empty() => "unknown".to_owned(),
        slug => slug,
    }
}

/// What describes a block beside its manifest: the first entity of its `catalog-info.yaml`, if that can be read.
pub fn beside(source: &crate::tree::Tree) -> Option<Entity> {
    let text = source.get(FILE)?.text()?;
    read(&text).ok()?.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_is_a_component() {
        let mut entity = Entity {
            name: "web".into(),
            description: Some("A small web application: yes".into()),
            owner: "web@acme.test".into(),
            version: Some("1.10".into()),
            committers: vec!["@ana".into(), "@bo".into()],
            tags: vec!["app".into()],
            ..Entity::default()
        };
        entity.set_support(Support::Deprecated);
        let text = write(std::slice::from_ref(&entity));
        insta::assert_snapshot!(text, @r"
        apiVersion: backstage.io/v1alpha1
        kind: Component
        metadata:
          name: web
          description: 'A small web application: yes'
          annotations:
            onramp.dev/owner: web@acme.test
            onramp.dev/version: '1.10'
            onramp.dev/trusted-committers: '@ana,@bo'
          tags:
          - app
        spec:
          type: building-block
          lifecycle: deprecated
          owner: web
        ");
        assert_eq!(read(&text).unwrap(), [entity]);
    }

    #[test]
    fn an_owner_is_somebody_whom_a_forge_knows() {
        for (owner, written) in [
            ("user:ana", "@ana"),
            ("User:default/ana", "@ana"),
            ("group:acme/web", "@acme/web"),
            ("web", "@default/web"),
            ("web@acme.test", "web@acme.test"),
            ("@acme/web", "@acme/web"),
            ("The web team", "The web team"),
            ("component:web", "component:web"),
            ("", ""),
        ] {
            let entity = Entity { owner: owner.to_owned(), ..Entity::default() };
            assert_eq!(entity.manifest_owner(), written, "{owner}");
        }
    }

    #[test]
    fn what_others_wrote_is_read() {
        let text = "# by hand\napiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: all}\n---\n\
                    apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata:\n  name: react\n  title: React\n\
                    spec:\n  owner: group:web/frontend\n  type: website\n  steps: []\n---\n\
                    kind: Component\nmetadata:\n  name: 12\nspec: {owner: team-a, lifecycle: experimental}\n";
        let read = read(text).unwrap();
        let told: Vec<(&str, &str, Option<Support>)> =
            read.iter().map(|e| (e.name.as_str(), e.owner.as_str(), e.support())).collect();
        assert_eq!(told, [("react", "group:web/frontend", None), ("12", "team-a", Some(Support::Experimental))]);
        assert!(super::read("a: [").is_err());
        for (written, expected) in [
            ("team-a", "team-a"),
            ("user:default/ana", "user:default/ana"),
            ("Web Team <w@x>", "web-team-w"),
            ("@", "unknown"),
        ] {
            assert_eq!(owner(written), expected);
        }
    }

    fn entities() -> impl Strategy<Value = Vec<Entity>> {
        let text = || "[ -~é]{1,20}";
        let word = || "[A-Za-z][A-Za-z0-9-]{0,10}[a-z0-9]";
        let lifecycle = prop_oneof![Just("experimental"), Just("production"), Just("deprecated"), Just("own")];
        let one = (
            word(),
            proptest::option::of(text()),
            proptest::option::of(text()),
            text(),
            lifecycle,
            proptest::collection::vec("@[a-z]{1,6}", 0..3),
            proptest::collection::vec("[a-z0-9]{1,8}", 0..3),
        );
        let one = one.prop_map(|(name, title, description, owner, lifecycle, committers, tags)| Entity {
            name,
            title,
            description,
            owner,
            lifecycle: Some(lifecycle.to_owned()),
            version: Some("1.0".to_owned()),
            committers,
            tags,
        });
        proptest::collection::vec(one, 0..4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entities in entities()) {
            let text = write(&entities);
            prop_assert_eq!(super::read(&text).unwrap(), entities, "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-z:{}\\[\\], \n-]{0,80}|.{0,40}") {
            let _ = super::read(&text);
            let _ = super::read(&format!("kind: Component\nmetadata:\n  name: {text}\n"));
        }
    }
}
