//! Which images must be signed, and by whom: the catalog says it (`[[signature]]` in `catalog.toml`), and the user
//! accepted it.
//!
//! An image is refused before the engine sees a byte of it. What counts is the stricter of the two: a key counts only where
//! the catalog names it now and the user accepted it, and an image needs a signature where either says so.

pub mod accepted;
mod check;
mod rule;
mod scope;

use std::path::PathBuf;

pub use accepted::{Accepted, Change, NotAccepted};
pub use check::{Checked, Error};
pub use rule::{Rule, Shown, Written};
pub use scope::Scope;

use super::signature::{Identity, PublicKey};
use crate::document::DocumentError;
use crate::paths::Paths;
use crate::reference::ImageRef;

/// What holds for signatures on this machine.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    catalog: String,
    rules: Vec<Rule>,
    accepted: Vec<Accepted>,
    changes: Vec<Change>,
    /// How the catalog stands to what is kept of it.
    kept: Kept,
    /// onramp's cache, where signatures are kept that were found before.
    cache: PathBuf,
}

/// How a catalog stands to what the user accepted of it before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// The catalog is seen for the first time.
    #[default]
    Nothing,
    /// It says what was accepted.
    Same,
    /// It asks for more than was accepted, or trusts less: that holds at once.
    Stricter,
    /// It trusts more than was accepted: [`Policy::changes`].
    Beyond,
}

/// What an image needs.
#[derive(Clone, Debug)]
pub struct Demand<'p> {
    /// The scope of the rule.
    pub scope: &'p Scope,
    /// Whether it is refused without a signature.
    pub required: bool,
    /// Whose signatures count.
    pub keys: Vec<&'p PublicKey>,
    /// Keys that the catalog names and the user did not accept.
    pub unaccepted: Vec<&'p PublicKey>,
    /// The repository that a signature names.
    identity: Identity,
    /// Others that it may name.
    signed_as: Vec<&'p Scope>,
}

impl Demand<'_> {
    /// Whether a signature may name this repository.
    pub fn names(&self, identity: &Identity) -> bool {
        *identity == self.identity || self.signed_as.iter().any(|scope| scope.covers(identity.as_str()))
    }
}

impl Policy {
    /// The policy of a catalog with these rules, against what the user accepted of it before. A catalog that is seen for
    /// the first time has nothing to be compared with: the user named it, and [`Policy::accept`] keeps what it says.
    pub fn of(catalog: &str, rules: Vec<Rule>, paths: &Paths) -> Result<Self, DocumentError> {
        let known = accepted::load(&accepted::place(paths), catalog)?;
        let now: Vec<Accepted> = rules.iter().map(Accepted::from).collect();
        let changes = known.as_ref().map(|known| accepted::beyond(known, &rules)).unwrap_or_default();
        let kept = match &known {
            None => Kept::Nothing,
            Some(_) if !changes.is_empty() => Kept::Beyond,
            Some(known) if *known == now => Kept::Same,
            Some(_) => Kept::Stricter,
        };
        let accepted = known.unwrap_or(now);
        Ok(Self { catalog: catalog.to_owned(), rules, accepted, changes, kept, cache: paths.cache.clone() })
    }

    /// Whether the user ever accepted something of a catalog.
    pub fn knows(catalog: &str, paths: &Paths) -> Result<bool, DocumentError> {
        Ok(accepted::load(&accepted::place(paths), catalog)?.is_some())
    }

    /// How the catalog stands to what the user accepted of it before.
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// What the catalog wants that the user did not accept.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The catalog's rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Keeps all that the catalog says, as the user's word.
    pub fn accept(&mut self, paths: &Paths) -> Result<(), DocumentError> {
        accepted::save(&accepted::place(paths), &self.catalog, &self.rules)?;
        self.accepted = self.rules.iter().map(Accepted::from).collect();
        self.changes.clear();
        self.kept = Kept::Same;
        Ok(())
    }

    /// What an image needs; none where neither the catalog nor the user has a rule for it.
    pub fn demand(&self, image: &ImageRef) -> Option<Demand<'_>> {
        let repository = image.repository();
        let now = Rule::of(&self.rules, &repository);
        let before = Accepted::for_repository(&self.accepted, &repository);
        let scope = now.map(|rule| &rule.scope).or(before.map(|rule| &rule.scope))?;
        let accepted = |key: &&PublicKey| before.is_some_and(|before| before.keys.contains_key(key.fingerprint()));
        let named = now.map(|rule| rule.keys.as_slice()).unwrap_or_default();
        let (keys, unaccepted) = named.iter().partition(accepted);
        let others = now.map(|rule| rule.signed_as.as_slice()).unwrap_or_default();
        let signed_as = others.iter().filter(|other| before.is_some_and(|before| before.signed_as.contains(other)));
        Some(Demand {
            scope,
            required: now.is_some_and(|rule| rule.require_signature)
                || before.is_some_and(|rule| rule.require_signature),
            keys,
            unaccepted,
            identity: Identity::of(image),
            signed_as: signed_as.collect(),
        })
    }

    /// Whether any image could be refused.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.accepted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::signature::SigningKey;

    const CATALOG: &str = "https://git.acme.test/catalog.git";

    fn paths(dir: &std::path::Path) -> Paths {
        let place = |name: &str| dir.join(name);
        Paths { settings: place("settings.toml"), cache: place("cache"), data: place("data"), state: place("state") }
    }

    fn key() -> PublicKey {
        SigningKey::generate("keys/x.pub").public().clone()
    }

    fn rule(scope: &str, require_signature: bool, keys: &[&PublicKey]) -> Rule {
        let keys = keys.iter().map(|key| (*key).clone()).collect();
        Rule { scope: scope.parse().unwrap(), require_signature, keys, signed_as: Vec::new() }
    }

    /// What an image needs: whether a signature is required, and how many keys count and wait.
    fn needs(policy: &Policy, repository: &str) -> Option<(bool, usize, usize)> {
        let image: ImageRef = format!("{repository}:1").parse().unwrap();
        policy.demand(&image).map(|demand| (demand.required, demand.keys.len(), demand.unaccepted.len()))
    }

    #[test]
    fn a_catalog_counts_as_it_is_first_seen_and_then_as_it_was_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let paths = &paths(dir.path());
        let (old, new) = (key(), key());
        let of = |rules: &[Rule]| Policy::of(CATALOG, rules.to_vec(), paths).unwrap();
        let first = [rule("r.test/base/**", true, &[&old])];
        let mut policy = of(&first);
        assert_eq!(policy.kept(), Kept::Nothing);
        assert_eq!(needs(&policy, "r.test/base/php"), Some((true, 1, 0)));
        assert_eq!(needs(&policy, "r.test/apps/shop"), None);
        policy.accept(paths).unwrap();
        assert_eq!(of(&first).kept(), Kept::Same);

        // A new key waits; the old one goes on counting while the catalog names it.
        let rotating = of(&[rule("r.test/base/**", true, &[&old, &new])]);
        assert_eq!((rotating.kept(), needs(&rotating, "r.test/base/php")), (Kept::Beyond, Some((true, 1, 1))));
        // A key that is gone from the catalog counts no more, whatever was accepted.
        let replaced = of(&[rule("r.test/base/**", true, &[&new])]);
        assert_eq!((replaced.kept(), needs(&replaced, "r.test/base/php")), (Kept::Beyond, Some((true, 0, 1))));
        // A requirement that is gone holds until its going was accepted.
        for weaker in [of(&[]), of(&[rule("r.test/base/**", false, &[&old])]), of(&[rule("r.test/**", false, &[])])] {
            assert_eq!(weaker.kept(), Kept::Beyond);
            assert!(needs(&weaker, "r.test/base/php").unwrap().0);
        }
        // More that must be signed holds at once; its keys are new there, so they wait.
        let more = of(&[rule("r.test/base/**", true, &[&old]), rule("r.test/apps/**", true, &[&old])]);
        assert_eq!(needs(&more, "r.test/apps/shop"), Some((true, 0, 1)));
        let mut stricter = of(&[rule("r.test/base/**", true, &[])]);
        assert_eq!((stricter.kept(), needs(&stricter, "r.test/base/php")), (Kept::Stricter, Some((true, 0, 0))));
        // What was taken away and kept so is asked for when it comes back.
        stricter.accept(paths).unwrap();
        assert_eq!(of(&first).kept(), Kept::Beyond);
    }

    #[test]
    fn a_signature_names_the_images_own_repository_or_one_that_was_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let paths = &paths(dir.path());
        let mut mirrored = rule("r.test/base/**", true, &[&key()]);
        mirrored.signed_as.push("upstream.test/base/**".parse().unwrap());
        let image: ImageRef = "r.test/base/php:1".parse().unwrap();
        let names = |policy: &Policy, name: &str| policy.demand(&image).unwrap().names(&name.parse().unwrap());
        let mut policy = Policy::of(CATALOG, vec![mirrored.clone()], paths).unwrap();
        assert!(names(&policy, "r.test/base/php") && names(&policy, "upstream.test/base/php"));
        assert!(!names(&policy, "r.test/base/php2") && !names(&policy, "upstream.test/php"));
        policy.accept(paths).unwrap();
        mirrored.signed_as.push("other.test/**".parse().unwrap());
        let policy = Policy::of(CATALOG, vec![mirrored], paths).unwrap();
        assert!(names(&policy, "upstream.test/base/php") && !names(&policy, "other.test/php"));
    }
}
