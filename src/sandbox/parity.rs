//! How far a sandbox equals its environment: service by service, fact by fact.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde::Serialize;

use super::closure::{Member, ServiceId};
use super::plan::EnvironmentAt;
use super::{Error, SandboxId};
use crate::engine::{Container, Engine, label};
use crate::project::service::EnvValue;
use crate::text::neutral_line;

/// How one fact of the sandbox stands to the environment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The same.
    Equal,
    /// Different here, by the project's doing.
    Overridden,
    /// Nobody can tell: the environment does not say, or it is a secret.
    Unknown,
}

/// One fact of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// `digest`, `env.DB_HOST`, `port`, `platform`.
    pub fact: String,
    /// How it stands.
    pub standing: Standing,
    /// What makes it so, one line; empty where equal.
    pub why: String,
}

/// The facts of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceParity {
    /// Which.
    pub service: ServiceId,
    /// Its facts.
    pub facts: Vec<Fact>,
}

/// How far a sandbox equals its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parity {
    /// The environment.
    pub environment: EnvironmentAt,
    /// The services, those needed first.
    pub services: Vec<ServiceParity>,
}

/// What a service's container really is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// `repository@digest` names of its image.
    pub repo_digests: Vec<String>,
    /// The platform of its image.
    pub platform: String,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// Its published ports.
    pub ports: Vec<u16>,
}

/// Looks at the sandbox's containers.
pub async fn observe(engine: &Engine, id: &SandboxId) -> Result<BTreeMap<String, Observed>, Error> {
    let containers = engine.containers(&[(label::SANDBOX, id.as_str())]).await?;
    if containers.is_empty() {
        return Err(Error::NotUp { sandbox: id.to_string() });
    }
    let running = containers.into_iter().filter(|container| container.running);
    let found = try_join_all(running.map(|container| observe_one(engine, container))).await?;
    Ok(found.into_iter().collect())
}

async fn observe_one(engine: &Engine, container: Container) -> Result<(String, Observed), Error> {
    let facts = engine.container_facts(&container.name).await?;
    let image = engine.image(&facts.image_id).await?;
    let (repo_digests, platform) = image.map(|image| (image.repo_digests, image.platform)).unwrap_or_default();
    let service = container.labels.get(label::SERVICE).cloned().unwrap_or_default();
    Ok((service, Observed { repo_digests, platform, env: facts.env, ports: facts.ports }))
}

/// Compares the containers with what the environment declares.
pub fn compare(environment: EnvironmentAt, members: &[Member], observed: &BTreeMap<String, Observed>) -> Parity {
    let compare = |member: &Member| {
        let facts = match observed.get(&member.id.to_string()) {
            Some(observed) => facts(member, observed, environment.environment.as_str()),
            None => vec![Fact::new("digest", Standing::Unknown, "not running")],
        };
        ServiceParity { service: member.id.clone(), facts }
    };
    let services = members.iter().map(compare).collect();
    Parity { environment, services }
}

fn facts(member: &Member, observed: &Observed, environment: &str) -> Vec<Fact> {
    let Some(declared) = &member.declared else {
        return vec![Fact::new("digest", Standing::Unknown, &format!("{environment} does not declare this service"))];
    };
    let mut facts = vec![digest(member, observed)];
    for (key, value) in &declared.env {
        let name = format!("env.{key}");
        facts.push(match (value, observed.env.get(key)) {
            (EnvValue::Secret(_), _) => Fact::new(&name, Standing::Unknown, "a secret; this sandbox has its own"),
            (EnvValue::Plain(declared), Some(here)) if here == declared => Fact::new(&name, Standing::Equal, ""),
            (EnvValue::Plain(declared), here) => {
                let here = here.map_or("nothing", String::as_str);
                Fact::new(&name, Standing::Overridden, &format!("{here} here, {declared} declared"))
            }
        });
    }
    let only_here = member.service.env.keys().filter(|key| !declared.env.contains_key(*key));
    facts.extend(only_here.map(|key| Fact::new(&format!("env.{key}"), Standing::Overridden, "only in onramp.toml")));
    facts.push(match declared.port {
        None => Fact::new("port", Standing::Unknown, "none declared"),
        Some(port) if observed.ports.contains(&port) => Fact::new("port", Standing::Equal, ""),
        Some(port) => {
            let here = member.service.port.map_or_else(|| "none".to_owned(), |port| port.to_string());
            Fact::new("port", Standing::Overridden, &format!("{here} here, {port} declared"))
        }
    });
    facts.push(match &declared.platform {
        None => Fact::new("platform", Standing::Unknown, &format!("none declared; {} here", observed.platform)),
        Some(platform) if *platform == observed.platform => Fact::new("platform", Standing::Equal, ""),
        Some(platform) => {
            Fact::new("platform", Standing::Overridden, &format!("{} here, {platform} declared", observed.platform))
        }
    });
    facts
}

fn digest(member: &Member, observed: &Observed) -> Fact {
    let declared = member.declared.as_ref().and_then(|service| service.image.as_ref());
    let Some((image, digest)) = declared.and_then(|image| Some((image, image.digest()?))) else {
        return Fact::new("digest", Standing::Unknown, "none declared");
    };
    let wanted = format!("{}@{digest}", image.repository());
    if observed.repo_digests.contains(&wanted) {
        return Fact::new("digest", Standing::Equal, "");
    }
    let why = if member.service.build.is_some() { "built from your code" } else { "another image, by onramp.toml" };
    Fact::new("digest", Standing::Overridden, why)
}

impl Fact {
    fn new(fact: &str, standing: Standing, why: &str) -> Self {
        Self { fact: fact.to_owned(), standing, why: neutral_line(why, 120) }
    }
}

impl Parity {
    /// How many facts stand this way.
    pub fn count(&self, standing: Standing) -> usize {
        self.services.iter().flat_map(|service| &service.facts).filter(|fact| fact.standing == standing).count()
    }

    /// The whole in one line.
    pub fn line(&self) -> String {
        let same = |service: &&ServiceParity| {
            service.facts.iter().any(|f| f.fact == "digest" && f.standing == Standing::Equal)
        };
        let same = self.services.iter().filter(same).count();
        let not = |service: &&ServiceParity| {
            service.facts.iter().all(|f| f.fact != "digest" || f.standing != Standing::Equal)
        };
        let others: Vec<String> = self
            .services
            .iter()
            .filter(not)
            .filter_map(|service| service.facts.first().map(|fact| format!("{}: {}", service.service, fact.why)))
            .collect();
        let mut line = format!(
            "parity with {}: {same} of {} services at its digests; facts: {} equal, {} overridden here, {} unknown",
            self.environment,
            self.services.len(),
            self.count(Standing::Equal),
            self.count(Standing::Overridden),
            self.count(Standing::Unknown),
        );
        if !others.is_empty() {
            line.push_str(&format!(" ({})", others.join("; ")));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::service::{Build, Secret, Service};
    use crate::reference::Digest;

    fn image(of: &[u8]) -> crate::reference::ImageRef {
        format!("r.test/apps/shop@{}", Digest::of(of)).parse().unwrap()
    }

    #[test]
    fn each_fact_is_equal_overridden_or_unknown() {
        let declared = Service {
            image: Some(image(b"1")),
            port: Some(80),
            platform: Some("linux/arm64".into()),
            env: [
                ("SAME".to_owned(), EnvValue::Plain("1".into())),
                ("OTHER".to_owned(), EnvValue::Plain("1".into())),
                ("SECRET".to_owned(), EnvValue::Secret(Secret { secret: "shop/x".into() })),
            ]
            .into(),
            ..Default::default()
        };
        let mut service = declared.clone();
        service.build = Some(Build { context: ".".into(), base: image(b"base") });
        service.env.insert("MINE".into(), EnvValue::Plain("1".into()));
        let id = ServiceId { app: "shop".parse().unwrap(), service: "web".parse().unwrap() };
        let member = Member { id, service, declared: Some(declared), own: true, needs: Vec::new() };
        let observed = Observed {
            repo_digests: vec![],
            platform: "linux/amd64".into(),
            env: [("SAME", "1"), ("OTHER", "2"), ("SECRET", "x"), ("MINE", "1")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ports: vec![80],
        };
        let environment = EnvironmentAt { environment: "production".parse().unwrap(), commit: None };
        let parity = compare(environment, &[member], &[("shop/web".to_owned(), observed)].into());
        let shown: Vec<String> =
            parity.services[0].facts.iter().map(|f| format!("{} {:?} {}", f.fact, f.standing, f.why)).collect();
        assert_eq!(
            shown,
            [
                "digest Overridden built from your code",
                "env.OTHER Overridden 2 here, 1 declared",
                "env.SAME Equal ",
                "env.SECRET Unknown a secret; this sandbox has its own",
                "env.MINE Overridden only in onramp.toml",
                "port Equal ",
                "platform Overridden linux/amd64 here, linux/arm64 declared",
            ]
        );
    }
}
