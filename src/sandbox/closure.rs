//! What a sandbox runs: the project's services laid over the environment's, and everything they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;
use super::with::{Mix, Part};
use crate::name::Name;
use crate::project::Manifest;
use crate::project::service::{EnvValue, Need, Service};

/// A service of an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceId {
    /// The app.
    pub app: Name,
    /// The service.
    pub service: Name,
}

impl ServiceId {
    /// The service that one of this app needs.
    pub fn of(need: &Need, app: &Name) -> Self {
        Self { app: need.app.clone().unwrap_or_else(|| app.clone()), service: need.service.clone() }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.service)
    }
}

impl std::str::FromStr for ServiceId {
    type Err = crate::name::NotAName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (app, service) = text.split_once('/').unwrap_or_default();
        Ok(Self { app: app.parse()?, service: service.parse()? })
    }
}

impl TryFrom<String> for ServiceId {
    type Error = crate::name::NotAName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.to_string()
    }
}

/// A service as the sandbox runs it, and as the environment declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub id: ServiceId,
    /// The environment's service with the project's own words laid over it.
    pub service: Service,
    /// What the environment declares; none when it does not know the service.
    pub declared: Option<Service>,
    /// Whether it is the project's own app.
    pub own: bool,
    /// The services that must be ready first.
    pub needs: Vec<ServiceId>,
    /// What is mixed in here; none where it runs as the environment declares it.
    pub with: Option<Part>,
}

/// The services of an app in the environment; none when the environment does not have the app.
pub type Lookup<'a> = dyn FnMut(&Name) -> Result<Option<BTreeMap<Name, Service>>, Error> + 'a;

/// Every service of the sandbox, those needed before those that need them.
///
/// The project's own services are all there; of other apps only what is needed, and what that needs.
pub fn resolve(
    manifest: &Manifest,
    environment: &str,
    mix: &Mix,
    lookup: &mut Lookup<'_>,
) -> Result<Vec<Member>, Error> {
    let mut walk =
        Walk { manifest, environment, mix, lookup, apps: BTreeMap::new(), done: Vec::new(), path: Vec::new() };
    for service in manifest.services.keys() {
        walk.visit(&ServiceId { app: manifest.name.clone(), service: service.clone() }, None)?;
    }
    mix.all_in(&walk.done.iter().map(|member| &member.id).collect::<Vec<_>>(), &manifest.name)?;
    Ok(walk.done)
}

/// What an environment declares of the project's app and the sandbox does not run: `onramp.toml` does not have it, and
/// nothing in it needs it.
pub fn left_out(app: &Name, declared: BTreeMap<Name, Service>, members: &[Member]) -> Vec<Member> {
    let member = |(service, declared): (Name, Service)| Member {
        id: ServiceId { app: app.clone(), service },
        needs: declared.needs.iter().map(|need| ServiceId::of(need, app)).collect(),
        service: declared.clone(),
        declared: Some(declared),
        own: true,
        with: None,
    };
    let runs = |left: &Member| members.iter().any(|member| member.id == left.id);
    declared.into_iter().map(member).filter(|left| !runs(left)).collect()
}

struct Walk<'a, 'l> {
    manifest: &'a Manifest,
    environment: &'a str,
    mix: &'a Mix,
    lookup: &'a mut Lookup<'l>,
    apps: BTreeMap<Name, Option<BTreeMap<Name, Service>>>,
    done: Vec<Member>,
    path: Vec<ServiceId>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, id: &ServiceId, needed_by: Option<&ServiceId>) -> Result<(), Error> {
        if self.done.iter().any(|member| member.id == *id) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|on_path| on_path == id) {
            let mut circle: Vec<String> = self.path[start..].iter().map(ToString::to_string).collect();
            circle.push(id.to_string());
            return Err(Error::NeedsLoop { circle });
        }
        if !self.apps.contains_key(&id.app) {
            let found = (self.lookup)(&id.app)?;
            self.apps.insert(id.app.clone(), found);
        }
        let declared = self.apps[&id.app].as_ref().and_then(|services| services.get(&id.service)).cloned();
        let own = id.app == self.manifest.name;
        let mixed = self.mix.apps.get(&id.app);
        let proposed = match mixed {
            Some(services) => services.get(&id.service).cloned(),
            None => declared.clone(),
        };
        let local = if own { self.manifest.services.get(&id.service) } else { None };
        let service = match (&proposed, local) {
            (Some(declared), Some(local)) => overlay(declared, local),
            (Some(service), None) | (None, Some(service)) => service.clone(),
            (None, None) => return Err(self.unknown(id, needed_by)),
        };
        let with = self.mix.parts.get(id).cloned();
        let built = service.build.is_some() || with.as_ref().is_some_and(|part| part.build.is_some());
        if !built && service.image.is_none() && service.fallback.is_none() {
            return Err(Error::NothingToRun { service: id.to_string(), environment: self.environment.to_owned() });
        }
        self.path.push(id.clone());
        let mut needs = Vec::new();
        for need in &service.needs {
            let other = ServiceId::of(need, &id.app);
            self.visit(&other, Some(id))?;
            needs.push(other);
        }
        self.path.pop();
        self.done.push(Member { id: id.clone(), service, declared, own, needs, with });
        Ok(())
    }

    fn unknown(&self, id: &ServiceId, needed_by: Option<&ServiceId>) -> Error {
        let proposed = self.mix.apps.get(&id.app).or(self.apps[&id.app].as_ref());
        let in_environment = proposed.into_iter().flat_map(BTreeMap::keys);
        let in_project = self.manifest.services.keys().filter(|_| id.app == self.manifest.name);
        let known: BTreeSet<&str> = in_environment.chain(in_project).map(Name::as_str).collect();
        let meant = crate::text::did_you_mean(id.service.as_str(), known.iter().copied());
        Error::NeedsNobody {
            service: needed_by.map_or_else(|| id.to_string(), ToString::to_string),
            needed: id.to_string(),
            environment: self.environment.to_owned(),
            meant: meant.map(|service| format!("{}/{service}", id.app)),
            app_known: self.apps[&id.app].is_some() || id.app == self.manifest.name,
        }
    }
}

/// The environment's service with the project's words laid over it, key by key; variables one by one.
fn overlay(declared: &Service, local: &Service) -> Service {
    let mut merged = local.clone();
    if merged.build.is_none() && merged.image.is_none() {
        merged.image.clone_from(&declared.image);
    }
    merged.fallback = None;
    merged.port = local.port.or(declared.port);
    merged.platform = local.platform.clone().or_else(|| declared.platform.clone());
    merged.command = local.command.clone().or_else(|| declared.command.clone());
    merged.migrate = local.migrate.clone().or_else(|| declared.migrate.clone());
    merged.user = local.user.clone().or_else(|| declared.user.clone());
    merged.egress = local.egress.clone().or_else(|| declared.egress.clone());
    merged.read_only = local.read_only.or(declared.read_only);
    merged.limits = local.limits.or(&declared.limits);
    merged.ready = local.ready.clone().or_else(|| declared.ready.clone());
    merged.data = local.data.clone().or_else(|| declared.data.clone());
    for need in &declared.needs {
        if !merged.needs.contains(need) {
            merged.needs.push(need.clone());
        }
    }
    for directory in &declared.tmpfs {
        if !merged.tmpfs.contains(directory) {
            merged.tmpfs.push(directory.clone());
        }
    }
    for capability in &declared.cap_add {
        if !merged.cap_add.contains(capability) {
            merged.cap_add.push(capability.clone());
        }
    }
    let mut env: BTreeMap<String, EnvValue> = declared.env.clone();
    env.extend(local.env.clone());
    merged.env = env;
    merged
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn manifest(services: &str) -> Manifest {
        let text = format!("schema = 1\nname = \"shop\"\n{services}");
        crate::project::manifest::parse(Path::new("onramp.toml"), &text).unwrap()
    }

    fn environment(text: &str) -> BTreeMap<Name, BTreeMap<Name, Service>> {
        toml::from_str(text).unwrap()
    }

    fn resolved(services: &str, declared: &str) -> Result<Vec<Member>, Error> {
        let apps = environment(declared);
        resolve(&manifest(services), "production", &Mix::default(), &mut |app| Ok(apps.get(app).cloned()))
    }

    const PRODUCTION: &str = r#"
[shop.web]
image = "r.test/apps/shop:1"
port = 80
env = { A = "declared", B = "declared" }
needs = ["db"]
[shop.db]
image = "r.test/base/db:1"
[auth.api]
image = "r.test/apps/auth:1"
needs = ["db"]
[auth.db]
image = "r.test/base/db:2"
[auth.unused]
image = "r.test/base/db:2"
"#;

    #[test]
    fn the_closure_holds_what_is_needed_in_order_and_nothing_else() {
        let members = resolved("[services.web]\nbuild = { base = \"r.test/base/php:8\" }\nneeds = [\"auth/api\"]\nenv = { A = \"here\" }\n", PRODUCTION).unwrap();
        let order: Vec<String> = members.iter().map(|m| m.id.to_string()).collect();
        assert_eq!(order, ["auth/db", "auth/api", "shop/db", "shop/web"]);
        let web = &members[3].service;
        assert!(web.image.is_none() && web.build.is_some(), "what is built here is not taken from the environment");
        assert_eq!(web.port, Some(80));
        assert_eq!(web.env["A"], EnvValue::Plain("here".into()));
        assert_eq!(web.env["B"], EnvValue::Plain("declared".into()));
    }

    #[test]
    fn a_fallback_gives_way_to_the_environment() {
        let local =
            "[services.db]\nfallback = \"r.test/base/db:9\"\n[services.cache]\nfallback = \"r.test/base/redis:7\"\n";
        let members = resolved(local, PRODUCTION).unwrap();
        let image = |i: usize| {
            (
                members[i].service.image.clone().map(|r| r.to_string()),
                members[i].service.fallback.clone().map(|r| r.to_string()),
            )
        };
        assert_eq!(image(0), (None, Some("r.test/base/redis:7".into())));
        assert_eq!(image(1), (Some("r.test/base/db:1".into()), None));
    }

    #[test]
    fn what_the_environment_runs_of_the_app_and_the_sandbox_does_not_is_known() {
        let members = resolved("[services.db]\nseed = []\n", PRODUCTION).unwrap();
        let declared = environment(PRODUCTION).remove("shop").unwrap();
        let left = left_out(&"shop".parse().unwrap(), declared, &members);
        let names: Vec<String> = left.iter().map(|member| member.id.to_string()).collect();
        assert_eq!(names, ["shop/web"]);
        assert_eq!(left[0].needs, [members[0].id.clone()]);
    }

    #[test]
    fn a_user_and_limits_are_laid_over_one_by_one() {
        let declared = "[shop.db]\nimage = \"r.test/base/db:1\"\nuser = \"999\"\nlimits = { pids = 50, cpus = 1 }\n";
        let members = resolved("[services.db]\nlimits = { cpus = 2 }\n", declared).unwrap();
        let db = &members[0].service;
        assert_eq!(db.user.as_deref(), Some("999"));
        assert_eq!(toml::to_string(&db.limits).unwrap(), "pids = 50\ncpus = 2.0\n");
    }

    #[test]
    fn loops_and_strangers_are_named() {
        let looped = resolved(
            "[services.a]\nimage = \"r.test/a:1\"\nneeds = [\"b\"]\n[services.b]\nimage = \"r.test/b:1\"\nneeds = [\"a\"]\n",
            "",
        );
        assert_eq!(looped.unwrap_err().to_string(), "services need each other in a circle: shop/a → shop/b → shop/a");
        let stranger =
            resolved("[services.a]\nimage = \"r.test/a:1\"\nneeds = [\"auth/apu\"]\n", PRODUCTION).unwrap_err();
        assert_eq!(stranger.to_string(), "shop/a needs auth/apu, which production does not declare");
        assert_eq!(crate::error::Fault::hint(&stranger).as_deref(), Some("did you mean `auth/api`?"));
    }

    #[test]
    fn what_is_mixed_in_takes_the_place_of_what_is_declared() {
        let apps = environment(PRODUCTION);
        let project = manifest("[services.web]\nbuild = { base = \"r.test/base/php:8\" }\nneeds = [\"auth/api\"]\n");
        let mixed = |services: &str, part: &str| {
            let part_of = Part { told: "auth=pr:1 (1a2b3c4)".into(), build: None };
            let apps_mixed = environment(services);
            let mix = Mix { commit: None, apps: apps_mixed, parts: [(part.parse().unwrap(), part_of)].into() };
            resolve(&project, "production", &mix, &mut |app| Ok(apps.get(app).cloned()))
        };
        let members = mixed("[auth.api]\nimage = \"r.test/apps/auth:2\"\n", "auth/api").unwrap();
        let order: Vec<String> = members.iter().map(|m| m.id.to_string()).collect();
        assert_eq!(order, ["auth/api", "shop/db", "shop/web"], "it needs no database any more");
        let image = |service: &Service| service.image.clone().unwrap().to_string();
        assert_eq!(image(&members[0].service), "r.test/apps/auth:2");
        assert_eq!(image(members[0].declared.as_ref().unwrap()), "r.test/apps/auth:1");
        assert!(members[0].with.is_some() && members[2].with.is_none());

        let gone = mixed("[auth.db]\nimage = \"r.test/base/db:2\"\n", "auth/api").unwrap_err();
        assert_eq!(gone.to_string(), "shop/web needs auth/api, which production does not declare");
        let outside = mixed("[auth.api]\nimage = \"r.test/apps/auth:1\"\n", "auth/unused").unwrap_err();
        assert_eq!(outside.to_string(), "auth=pr:1 (1a2b3c4): this sandbox does not run auth/unused");
        let hint = crate::error::Fault::hint(&outside);
        assert_eq!(hint.as_deref(), Some("of other apps it runs: auth/api"));
    }

    proptest::proptest! {
        #[test]
        fn needs_always_come_first_or_are_a_loop(edges in proptest::collection::vec((0_u8..6, 0_u8..6), 0..15)) {
            let mut text = String::new();
            for node in 0..6_u8 {
                let needs: Vec<String> = edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| format!("\"s{to}\"")).collect();
                text.push_str(&format!("[services.s{node}]\nimage = \"r.test/a:1\"\nneeds = [{}]\n", needs.join(", ")));
            }
            match resolved(&text, "") {
                Ok(members) => for (i, member) in members.iter().enumerate() {
                    for need in &member.needs {
                        proptest::prop_assert!(members[..i].iter().any(|m| m.id == *need));
                    }
                },
                Err(error) => {
                    let is_loop = matches!(error, Error::NeedsLoop { .. });
                    proptest::prop_assert!(is_loop);
                }
            }
        }
    }
}
