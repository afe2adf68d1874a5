//! What a deployment is: planned from the project and the declaration. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use super::trailers::Reason;
use crate::git::Commit;
use crate::name::Name;
use crate::project::service::{Seed, Service};
use crate::project::{Lock, Manifest};
use crate::reference::{Digest, ImageRef};
use crate::state::edit::Edit;
use crate::state::{AppState, Environment, Format};

/// What is known about the code that is deployed: results of tests that ran on exactly this commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether each test passed.
    pub tests: BTreeMap<Name, bool>,
    /// How equal the sandbox was to its environment, one line.
    pub parity: Option<String>,
    /// The state repository's commit that the sandbox was made from.
    pub state_commit: Option<Commit>,
    /// What tests found with other apps' changes mixed in. It counts for no policy.
    pub mixed: Option<Mixed>,
    /// What differs inside the images, in Markdown, by service.
    pub images: BTreeMap<Name, String>,
}

/// What tests found with other apps' changes mixed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mixed {
    /// What was mixed in: `auth=pr:12 (1a2b3c4)`.
    pub with: Vec<String>,
    /// Whether each test passed.
    pub tests: BTreeMap<Name, bool>,
}

/// What a deployment is planned from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The project.
    pub manifest: &'a Manifest,
    /// What its tags mean.
    pub lock: &'a Lock,
    /// `host[:port]` of the company's registry.
    pub registry: &'a str,
    /// Where it is to run.
    pub environment: &'a Name,
    /// The project's commit.
    pub source: &'a Commit,
    /// How the state repository says what environments run.
    pub format: &'a Format,
    /// What the environment declares of the app now.
    pub declared: Option<&'a AppState>,
    /// Images that were already built from this commit, by service.
    pub built: &'a BTreeMap<Name, ImageRef>,
}

/// The plan of a deployment, up to the digests that only a push can tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The app.
    pub app: Name,
    /// Where it is to run.
    pub environment: Name,
    /// The project's commit.
    pub source: Commit,
    /// The branch of the state repository that proposes it.
    pub branch: String,
    /// The file of the state repository that it edits.
    pub file: String,
    /// What is built and pushed.
    pub builds: Vec<Build>,
    /// What was built from this commit before, by service; it is taken as it is.
    pub reused: BTreeMap<Name, ImageRef>,
    /// Services that the environment does not declare yet, without their image where it is built here.
    pub added: BTreeMap<Name, Service>,
    /// When the project's commit was made.
    pub made: Option<Timestamp>,
    /// Why the environment before is left out, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotfix: Option<String>,
    /// Whether the forge is to have it as a draft, which nobody merges yet.
    pub unready: bool,
}

/// One image to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Build {
    /// The service.
    pub service: Name,
    /// Directory of the project with the Dockerfile in it.
    pub context: String,
    /// The base image, by digest.
    pub base: ImageRef,
    /// The base image, as the project writes it.
    pub base_name: ImageRef,
    /// What the image is pushed as.
    pub image: ImageRef,
}

impl Plan {
    /// The same with this digest in the place of the one image that it builds.
    pub fn given(mut self, digest: &Digest) -> Result<Self, Error> {
        let built = self.builds.drain(..).map(|build| (build.service, build.image));
        let all: Vec<(Name, ImageRef)> = built.chain(std::mem::take(&mut self.reused)).collect();
        let [(service, image)] = all.as_slice() else {
            return Err(Error::WhichImage { services: all.into_iter().map(|(service, _)| service).collect() });
        };
        self.reused.insert(service.clone(), image.at(digest.clone()));
        Ok(self)
    }

    /// The same past the environment before, for a reason, where the environment's policy takes that.
    pub fn skipping(mut self, environment: &Environment, skip: &Name, reason: &Reason) -> Result<Self, Error> {
        if environment.after.as_ref() != Some(skip) {
            let (after, skipped) = (environment.after.clone(), skip.clone());
            return Err(Error::NotBefore { environment: environment.name.clone(), after, skipped });
        }
        if !environment.policy.hotfix {
            return Err(Error::NoHotfix { environment: environment.name.clone() });
        }
        self.hotfix = Some(reason.to_string());
        Ok(self)
    }

    /// What it takes from registries, by digest: base images, what was built before, and images of services that it adds.
    pub fn images(&self) -> Vec<ImageRef> {
        let bases = self.builds.iter().map(|build| &build.base);
        let added = self.added.values().filter_map(|service| service.image.as_ref());
        bases.chain(self.reused.values()).chain(added).cloned().collect()
    }
}

/// Plans a deployment.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, Error> {
    let app = &inputs.manifest.name;
    let environment = inputs.environment;
    let mut plan = Plan {
        app: app.clone(),
        environment: environment.clone(),
        source: inputs.source.clone(),
        branch: super::branch_of(environment, app.as_str()),
        file: inputs.format.path(environment, app),
        builds: Vec::new(),
        reused: BTreeMap::new(),
        added: BTreeMap::new(),
        made: None,
        hotfix: None,
        unready: false,
    };
    let locked = |image: &ImageRef, service: &Name| match (image.digest(), inputs.lock.images.get(image)) {
        (Some(digest), _) => Ok(image.at(digest.clone())),
        (None, Some(locked)) => Ok(image.at(locked.digest.clone())),
        (None, None) => Err(Error::NotLocked { image: image.clone(), service: service.clone() }),
    };
    let several = inputs.manifest.services.values().filter(|service| service.build.is_some()).count() > 1;
    for (name, service) in &inputs.manifest.services {
        let declared = inputs.declared.and_then(|declared| declared.services.get(name));
        if let Some(build) = &service.build {
            let repository = match declared.and_then(|declared| declared.image.as_ref()) {
                Some(image) => image.repository(),
                None if several => format!("{}/apps/{app}-{name}", inputs.registry),
                None => format!("{}/apps/{app}", inputs.registry),
            };
            let image: ImageRef = format!("{repository}:{}", &inputs.source.as_str()[..12]).parse()?;
            if declared.is_none() && !inputs.format.adds() {
                return Err(inputs.format.by_hand(environment, app, name, &image).into());
            }
            match inputs.built.get(name).filter(|image| image.repository() == repository) {
                Some(image) => {
                    plan.reused.insert(name.clone(), image.clone());
                }
                None => plan.builds.push(Build {
                    service: name.clone(),
                    context: build.context.clone(),
                    base: locked(&build.base, name)?,
                    base_name: build.base.clone(),
                    image,
                }),
            }
            if declared.is_none() {
                plan.added.insert(name.clone(), for_environment(service));
            }
        } else if declared.is_none()
            && inputs.format.adds()
            && let Some(fallback) = &service.fallback
        {
            let image = Some(locked(fallback, name)?);
            plan.added.insert(name.clone(), Service { image, ..for_environment(service) });
        }
    }
    if plan.builds.is_empty() && plan.reused.is_empty() {
        return Err(Error::NothingToDeploy { app: app.clone() });
    }
    Ok(plan)
}

/// A project's service as an environment may declare it.
fn for_environment(service: &Service) -> Service {
    Service {
        image: None,
        fallback: None,
        build: None,
        publish: None,
        sync: BTreeMap::new(),
        seed: Seed::default(),
        check: None,
        ..service.clone()
    }
}

impl Plan {
    /// The edits of the declaration, now that every built service has an image by digest.
    pub fn edits(&self, images: &BTreeMap<Name, ImageRef>) -> BTreeMap<Name, Edit> {
        let mut edits = BTreeMap::new();
        for (name, image) in images {
            let edit = match self.added.get(name) {
                Some(service) => Edit::Add(Box::new(Service { image: Some(image.clone()), ..service.clone() })),
                None => Edit::Image(image.clone()),
            };
            edits.insert(name.clone(), edit);
        }
        let others = self.added.iter().filter(|(name, _)| !images.contains_key(*name));
        edits.extend(others.map(|(name, service)| (name.clone(), Edit::Add(Box::new(service.clone())))));
        edits
    }
}

/// One service's image, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The service.
    pub service: Name,
    /// What is declared now; none for a service that is added.
    pub from: Option<ImageRef>,
    /// What is proposed.
    pub to: ImageRef,
}

/// The images that differ between two declarations.
pub fn changes(before: Option<&BTreeMap<Name, Service>>, after: &BTreeMap<Name, Service>) -> Vec<Change> {
    let image = |services: &BTreeMap<Name, Service>, name: &Name| services.get(name).and_then(|s| s.image.clone());
    let change = |name: &Name| {
        let (from, to) = (before.and_then(|services| image(services, name)), image(after, name)?);
        (from.as_ref() != Some(&to)).then(|| Change { service: name.clone(), from, to })
    };
    after.keys().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::lock::LockedImage;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn image(path: &str, seed: &str) -> ImageRef {
        format!("r.test/{path}@{}", Digest::of(seed.as_bytes())).parse().unwrap()
    }

    fn commit(digit: &str) -> Commit {
        digit.repeat(40).parse().unwrap()
    }

    const PROJECT: &str = r#"schema = 1
name = "shop"
[services.web]
build = { base = "r.test/base/php:8.2" }
port = 80
needs = ["db"]
sync = { "src" = "/var/www/html" }
[services.db]
fallback = "r.test/base/mariadb:11"
data = "/var/lib/mysql"
seed = ["db/seed.sql"]
[services.mail]
image = "r.test/base/mail:1"
"#;

    fn lock() -> Lock {
        let mut lock = Lock::default();
        for tag in ["r.test/base/php:8.2", "r.test/base/mariadb:11", "r.test/base/mail:1"] {
            let locked = LockedImage { digest: Digest::of(tag.as_bytes()), platforms: BTreeMap::new() };
            lock.images.insert(tag.parse().unwrap(), locked);
        }
        lock
    }

    fn plan_of(
        project: &str,
        lock: &Lock,
        declared: Option<&AppState>,
        built: &BTreeMap<Name, ImageRef>,
    ) -> Result<Plan, Error> {
        let manifest = crate::project::manifest::parse(std::path::Path::new("onramp.toml"), project).unwrap();
        plan(&Inputs {
            manifest: &manifest,
            lock,
            registry: "r.test",
            environment: &name("test"),
            source: &commit("a"),
            format: &Format::default(),
            declared,
            built,
        })
    }

    fn declared(path: &str) -> AppState {
        let text = format!("schema = 1\n[services.web]\nimage = \"{}\"\n", image(path, "old"));
        let services = crate::state::environment::check(std::path::Path::new("x"), &text).unwrap();
        AppState { services, source: None, path: "environments/test/shop.toml".into(), text }
    }

    #[test]
    fn a_first_deployment_builds_its_own_and_adds_what_it_falls_back_to() {
        let plan = plan_of(PROJECT, &lock(), None, &BTreeMap::new()).unwrap();
        assert_eq!(plan.builds.len(), 1);
        assert_eq!(plan.builds[0].image.to_string(), "r.test/apps/shop:aaaaaaaaaaaa");
        assert_eq!(plan.builds[0].base, image("base/php", "r.test/base/php:8.2"));
        let names: Vec<&str> = plan.added.keys().map(Name::as_str).collect();
        assert_eq!(names, ["db", "web"], "`mail` overrides an image in sandboxes only");
        let pushed = [(name("web"), image("apps/shop", "new"))].into();
        let text = Format::default().edit(&name("test"), &name("shop"), None, &plan.edits(&pushed)).unwrap();
        assert!(
            !text.contains("seed")
                && !text.contains("sync")
                && text.contains(&image("base/mariadb", "r.test/base/mariadb:11").to_string())
        );
    }

    #[test]
    fn later_ones_keep_the_repository_that_is_declared_and_change_one_image() {
        let declared = declared("legacy/the-shop");
        let only_web = PROJECT.split("[services.db]").next().unwrap().to_owned();
        let plan =
            plan_of(&only_web.replace("needs = [\"db\"]\n", ""), &lock(), Some(&declared), &BTreeMap::new()).unwrap();
        assert_eq!(plan.builds[0].image.to_string(), "r.test/legacy/the-shop:aaaaaaaaaaaa");
        assert!(plan.added.is_empty());
        let new = image("legacy/the-shop", "new");
        assert_eq!(plan.edits(&[(name("web"), new.clone())].into()), [(name("web"), Edit::Image(new))].into());
    }

    #[test]
    fn several_builds_have_a_repository_each_and_none_is_built_twice() {
        let two =
            PROJECT.replace("fallback = \"r.test/base/mariadb:11\"", "build = { base = \"r.test/base/mariadb:11\" }");
        let built =
            [(name("web"), image("apps/shop-web", "built")), (name("db"), image("elsewhere/db", "built"))].into();
        let plan = plan_of(&two, &lock(), None, &built).unwrap();
        assert_eq!(plan.reused, [(name("web"), image("apps/shop-web", "built"))].into());
        let images: Vec<String> = plan.builds.iter().map(|build| build.image.to_string()).collect();
        assert_eq!(images, ["r.test/apps/shop-db:aaaaaaaaaaaa"]);
    }

    #[test]
    fn a_digest_that_is_given_takes_the_place_of_the_one_build() {
        let digest = Digest::of(b"given");
        let plan = plan_of(PROJECT, &lock(), None, &BTreeMap::new()).unwrap().given(&digest).unwrap();
        assert!(plan.builds.is_empty());
        assert_eq!(plan.reused, [(name("web"), image("apps/shop", "given"))].into());
        let two =
            PROJECT.replace("fallback = \"r.test/base/mariadb:11\"", "build = { base = \"r.test/base/mariadb:11\" }");
        let unclear = plan_of(&two, &lock(), None, &BTreeMap::new()).unwrap().given(&digest).unwrap_err();
        assert_eq!(
            unclear.to_string(),
            "the deployment has images of db, web, and a digest does not say which it is of"
        );
    }

    #[test]
    fn what_is_not_locked_is_not_deployed() {
        let error = plan_of(PROJECT, &Lock::default(), None, &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, Error::NotLocked { .. }), "{error}");
        let nothing = plan_of("schema = 1\nname = \"shop\"\n", &lock(), None, &BTreeMap::new()).unwrap_err();
        assert!(matches!(nothing, Error::NothingToDeploy { .. }), "{nothing}");
    }
}
