//! The facts of each service: what the environment declares beside what the container is. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::Observed;
use super::{Fact, Parity, ServiceParity, Standing};
use crate::document;
use crate::name::Name;
use crate::project::egress::Endpoint;
use crate::project::limits::{Cpus, Memory};
use crate::project::manifest;
use crate::project::service::{EnvValue, Need, Service, Shown};
use crate::reference::{Digest, ImageRef};
use crate::sandbox::closure::{Member, ServiceId};
use crate::sandbox::gate;
use crate::sandbox::view::View;

/// What a program, a user or a variable is that nobody set.
const OWN: &str = "the image's own";
/// What a value is that no file has: it may be a secret's, so it is not shown.
const ANOTHER: &str = "another value";
/// What Podman sets in every container of its own accord.
const OF_PODMAN: [&str; 4] = ["HOME", "HOSTNAME", "TERM", "container"];

/// Compares the containers with what the environment declares. `seeds` are the digests of the seed files as they are now.
pub fn compare(view: &View, seeds: &BTreeMap<Name, Digest>, observed: &BTreeMap<ServiceId, Observed>) -> Parity {
    let facts = |member: &Member, absent: &str| {
        let one = |declared| Comparison { view, member, declared, observed, seeds, absent }.facts();
        let facts = member.declared.as_ref().map_or_else(|| vec![undeclared(view, member)], one);
        ServiceParity { service: member.id.clone(), facts }
    };
    let run = view.members.iter().map(|member| facts(member, "the service does not run"));
    let left_out = view.left_out.iter().map(|member| facts(member, "onramp.toml does not have the service"));
    Parity::new(view.environment.clone(), run.chain(left_out).collect())
}

fn undeclared(view: &View, member: &Member) -> Fact {
    let why = format!("{} does not declare this service", view.environment.environment);
    Fact::new("digest", Standing::Unknown, line(view, member, &[]), &why)
}

/// The line of `onramp.toml` that says this of a service.
fn line(view: &View, member: &Member, keys: &[&str]) -> Option<String> {
    let mut path = vec!["services", member.id.service.as_str()];
    path.extend(keys);
    let line = document::line_of(&view.project.text, &path).filter(|_| member.own)?;
    Some(format!("{}:{line}", manifest::FILE))
}

/// One service, declared and as it is.
struct Comparison<'a> {
    view: &'a View,
    member: &'a Member,
    declared: &'a Service,
    observed: &'a BTreeMap<ServiceId, Observed>,
    seeds: &'a BTreeMap<Name, Digest>,
    /// Why there is no container.
    absent: &'a str,
}

/// One thing of a service, in words that are equal where the thing is.
#[derive(Default)]
struct Thing<'a> {
    name: String,
    /// Where `onramp.toml` would say it, in the service's table; nowhere where onramp alone decides.
    keys: &'a [&'a str],
    /// What the environment declares.
    declared: Option<String>,
    /// What the container should be, with the project's words laid over.
    wanted: Option<String>,
    /// What the container is.
    here: Option<String>,
    /// What to say of a difference instead of both sides' words.
    why: Option<String>,
    /// Why equal words do not tell that the thing is equal.
    untold: Option<String>,
}

impl Comparison<'_> {
    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![self.digest(), self.program(), self.user()];
        facts.extend(self.variables());
        facts.push(self.port());
        facts.extend(self.limits());
        facts.push(self.read_only());
        facts.extend(self.egress());
        facts.extend(self.needs());
        facts.extend([self.data(), self.seed(), self.platform(), self.replicas()]);
        facts.extend(self.shown());
        facts.into_iter().flatten().collect()
    }

    fn here(&self) -> Option<&Observed> {
        self.observed.get(&self.member.id)
    }

    /// How a thing stands; none of one that is nowhere.
    fn fact(&self, thing: Thing<'_>) -> Option<Fact> {
        let Thing { name, keys, declared, wanted, here, why, untold } = thing;
        let (standing, by, why) = match (declared, here) {
            (None, None) => return None,
            (Some(_), None) if self.here().is_none() => (Standing::Missing, None, self.absent.to_owned()),
            (Some(declared), None) => (Standing::Missing, None, why.unwrap_or_else(|| format!("{declared} declared"))),
            (Some(declared), Some(here)) if declared == here => match untold {
                Some(why) => (Standing::Unknown, None, why),
                None => (Standing::Equal, None, String::new()),
            },
            (declared, Some(here)) => {
                let declared = declared.as_deref().unwrap_or("none");
                let why = why.unwrap_or_else(|| format!("{here} here, {declared} declared"));
                let with = self.here().and_then(|observed| observed.with.as_ref());
                if let Some(told) = with.filter(|_| wanted.as_ref() != Some(&here) || !keys.is_empty()) {
                    // Also where the view is of a command that was not told of it.
                    (Standing::Overridden, Some(format!("--with {told}")), why)
                } else if wanted != Some(here) {
                    (Standing::Overridden, None, format!("{why}; {}", self.renew()))
                } else if keys.is_empty() {
                    (Standing::Overridden, None, why)
                } else {
                    (Standing::Overridden, line(self.view, self.member, keys), why)
                }
            }
        };
        Some(Fact::new(&name, standing, by, &why))
    }

    /// What makes a container of another declaration one of this one.
    fn renew(&self) -> String {
        match self.view.environment.environment.as_str() {
            "production" => "`onramp up` renews it".to_owned(),
            other => format!("`onramp up --env {other}` renews it"),
        }
    }

    /// Whether the container is made from the very image that the environment declares.
    fn at_digest(&self) -> bool {
        let declared = self.declared.image.as_ref();
        let name = declared.and_then(|image| Some(format!("{}@{}", image.repository(), image.digest()?)));
        name.is_some_and(|name| self.here().is_some_and(|here| here.repo_digests.contains(&name)))
    }

    fn digest(&self) -> Option<Fact> {
        let short = |image: &ImageRef| image.digest().map(|digest| digest.short().to_owned());
        let declared = self.declared.image.as_ref().and_then(short);
        let service = &self.member.service;
        let same = service.build.is_none() && service.image == self.declared.image;
        if declared.is_none() && same && self.here().is_some() {
            let why = "the environment names a tag, and runs what that was";
            return Some(Fact::new("digest", Standing::Unknown, None, why));
        }
        let (keys, wanted, why): (&[&str], _, _) = match &service.image {
            _ if service.build.is_some() => (&["build"], None, Some("built from your code".to_owned())),
            Some(image) if service.image != self.declared.image => (&["image"], None, Some(format!("{image} here"))),
            _ => (&[], declared.clone(), None),
        };
        let other = || "another image".to_owned();
        let wanted = wanted.or_else(|| Some(other()));
        let here = self.here().and_then(|_| if self.at_digest() { declared.clone() } else { Some(other()) });
        self.fact(Thing { name: "digest".into(), keys, declared, wanted, here, why, ..Thing::default() })
    }

    fn program(&self) -> Option<Fact> {
        let text = |command: &Vec<String>| format!("{command:?}");
        let (declared, wanted) = (&self.declared.command, &self.member.service.command);
        self.of_image("command", declared.as_ref().map(text), wanted.as_ref().map(text), |here| {
            (text(&here.command), text(&here.image.command))
        })
    }

    fn user(&self) -> Option<Fact> {
        let (declared, wanted) = (self.declared.user.clone(), self.member.service.user.clone());
        let named = |user: &str| if user.is_empty() { "root".to_owned() } else { user.to_owned() };
        self.of_image("user", declared, wanted, |here| (named(&here.user), named(&here.image.user)))
    }

    /// A thing that the image says where nothing else does. `both` is what the container has, and what its image says.
    fn of_image(
        &self,
        key: &str,
        declared: Option<String>,
        wanted: Option<String>,
        both: impl Fn(&Observed) -> (String, String),
    ) -> Option<Fact> {
        let here = self.here().map(both).map(|(here, image)| match &declared {
            None if here == image => OWN.to_owned(),
            _ => here,
        });
        let untold = (declared.is_none() && !self.at_digest()).then(|| format!("{OWN}, of another image"));
        let said = |value: Option<String>| value.or_else(|| Some(OWN.to_owned()));
        let (declared, wanted) = (said(declared), said(wanted));
        self.fact(Thing { name: key.into(), keys: &[key], declared, wanted, here, untold, ..Thing::default() })
    }

    fn variables(&self) -> Vec<Option<Fact>> {
        let (declared, wanted) = (&self.declared.env, &self.member.service.env);
        let mut keys: Vec<&str> = declared.keys().map(String::as_str).collect();
        if let Some(here) = self.here() {
            let of_image = |key: &str| here.image.env.get(key) == here.env.get(key);
            let onramps = |key: &str| !here.reaches.is_empty() && gate::VARIABLES.contains(&key);
            let nobodys = |key: &str| !wanted.contains_key(key) && (OF_PODMAN.contains(&key) || onramps(key));
            let only_here = here.env.keys().map(String::as_str).filter(|key| !declared.contains_key(*key));
            keys.extend(only_here.filter(|key| !of_image(key) && !nobodys(key)));
        }
        keys.into_iter().map(|key| self.variable(key)).collect()
    }

    fn variable(&self, key: &str) -> Option<Fact> {
        // In quotes, a value is no words of ours.
        let plain = |text: &str| format!("{text:?}");
        let text = |value: &EnvValue| match value {
            EnvValue::Plain(text) => plain(text),
            EnvValue::Secret(secret) if secret.file => format!("a file with the secret {}", secret.secret),
            EnvValue::Secret(secret) => format!("the secret {}", secret.secret),
        };
        let (declared, wanted) = (self.declared.env.get(key), self.member.service.env.get(key));
        let here = self.here().and_then(|here| here.env.get(key)).map(|here| match (declared, wanted) {
            (Some(EnvValue::Plain(declared)), _) if declared == here => plain(here),
            (_, Some(EnvValue::Plain(wanted))) if wanted != here => ANOTHER.to_owned(),
            (_, Some(wanted)) => text(wanted),
            (_, None) => ANOTHER.to_owned(),
        });
        let secret = matches!(declared, Some(EnvValue::Secret(_)));
        self.fact(Thing {
            name: format!("env.{key}"),
            keys: &["env", key],
            declared: declared.map(text),
            wanted: wanted.map(text),
            here,
            untold: secret.then(|| "a secret; this machine has its own".to_owned()),
            why: None,
        })
    }

    fn port(&self) -> Option<Fact> {
        let text = |port: u16| port.to_string();
        let here = self.here().and_then(|here| {
            let declared = self.declared.port.filter(|port| here.ports.contains(port));
            declared.or_else(|| here.ports.first().copied())
        });
        let (declared, wanted) = (self.declared.port.map(text), self.member.service.port.map(text));
        self.fact(Thing {
            name: "port".into(),
            keys: &["port"],
            declared,
            wanted,
            here: here.map(text),
            ..Thing::default()
        })
    }

    /// Limits that nobody wrote are no facts: what an environment gives at most, it does not say.
    fn limits(&self) -> [Option<Fact>; 3] {
        let (declared, wanted) = (&self.declared.limits, &self.member.service.limits);
        let limit = |key: &str, declared: Option<String>, wanted: Option<String>, here: Option<String>, why| {
            let here = here.filter(|_| declared.is_some() || wanted.is_some());
            let (name, keys) = (format!("limits.{key}"), &["limits", key]);
            self.fact(Thing { name, keys, declared, wanted, here, why, untold: None })
        };
        let here = self.here().map(|here| here.limits).unwrap_or_default();
        let most = self.here().and_then(|here| here.processors).map(|count| Cpus::of(count.saturating_mul(1000)));
        let given = wanted.cpus.map(|cpus| most.map_or(cpus, |most| cpus.min(most)));
        let short = given.zip(declared.cpus).filter(|(given, all)| wanted.cpus == Some(*all) && given < all);
        let why = short.map(|(given, all)| format!("{given} here, {all} declared: the engine has no more"));
        let text = |memory: Memory| memory.to_string();
        [
            limit(
                "memory",
                declared.memory.map(text),
                wanted.memory.map(text),
                here.memory.map(|b| text(Memory::of(b))),
                None,
            ),
            limit(
                "pids",
                declared.pids.map(|pids| pids.to_string()),
                wanted.pids.map(|pids| pids.to_string()),
                here.pids.map(|pids| pids.to_string()),
                None,
            ),
            limit(
                "cpus",
                declared.cpus.map(|cpus| cpus.to_string()),
                given.map(|cpus| cpus.to_string()),
                here.cpus.map(|cpus| Cpus::of(cpus).to_string()),
                why,
            ),
        ]
    }

    /// Whether the image's files can be written to, where somebody said it.
    fn read_only(&self) -> Option<Fact> {
        let (declared, wanted) = (self.declared.read_only, self.member.service.read_only);
        let here = self.here().map(|here| here.read_only).filter(|_| declared.or(wanted).is_some());
        let word = |said: bool| if said { "read-only" } else { "writable" }.to_owned();
        // It can be written to where files of ours come among the image's.
        let put = here == Some(false) && wanted == Some(true);
        let (keys, wanted): (&[&str], _) = if put { (&[], Some(false)) } else { (&["read_only"], wanted) };
        self.fact(Thing {
            name: "read_only".into(),
            keys,
            declared: declared.map(word),
            wanted: wanted.map(word),
            here: here.map(word),
            why: put.then(|| "writable here: files of onramp's come among the image's".to_owned()),
            untold: None,
        })
    }

    /// Each host and port outside; where all of it is open, that.
    fn egress(&self) -> Vec<Option<Fact>> {
        let (declared, wanted) = (self.declared.egress.as_ref(), self.member.service.egress.as_ref());
        let (open, none) = (self.here().is_some_and(|here| here.open), BTreeSet::new());
        let here = self.here().map_or(&none, |here| &here.reaches);
        let texts = |list: Option<&Vec<Endpoint>>| -> BTreeSet<String> {
            list.into_iter().flatten().map(ToString::to_string).collect()
        };
        let (declared_all, wanted) = (texts(declared), texts(wanted));
        let word = |said: bool| said.then(|| "reached".to_owned());
        let fact = |endpoint: &String| {
            self.fact(Thing {
                name: format!("egress.{endpoint}"),
                keys: &["egress"],
                declared: word(declared_all.contains(endpoint)),
                wanted: word(wanted.contains(endpoint)),
                here: word(open || here.contains(endpoint)),
                ..Thing::default()
            })
        };
        let mut facts: Vec<Option<Fact>> = declared_all.union(here).map(fact).collect();
        if open && declared.is_some() {
            let by = document::line_of(&self.view.project.text, &["sandbox", "egress"]);
            let by = by.map(|line| format!("{}:{line}", manifest::FILE));
            facts.push(Some(Fact::new("egress", Standing::Overridden, by, "everything outside is open here")));
        }
        facts
    }

    fn needs(&self) -> Vec<Option<Fact>> {
        let needs = self.member.service.needs.iter().zip(&self.member.needs);
        let need = |(need, id): (&Need, &ServiceId)| {
            let declared = self.declared.needs.contains(need);
            let runs = self.here().is_some() && self.observed.contains_key(id);
            let word = |said: bool| said.then(|| "needed".to_owned());
            self.fact(Thing {
                name: format!("needs.{need}"),
                keys: &["needs"],
                declared: word(declared),
                wanted: word(true),
                here: word(runs),
                why: declared.then(|| format!("{id} does not run")),
                untold: None,
            })
        };
        needs.map(need).collect()
    }

    fn data(&self) -> Option<Fact> {
        let (declared, wanted) = (self.declared.data.clone(), self.member.service.data.clone());
        let mounted = |path: &&String| self.here().is_some_and(|here| here.mounts.contains(*path));
        let here = declared.iter().chain(&wanted).find(mounted).cloned();
        self.fact(Thing { name: "data".into(), keys: &["data"], declared, wanted, here, ..Thing::default() })
    }

    /// What filled the data, beside the seed files of now. No environment says what its data is.
    fn seed(&self) -> Option<Fact> {
        let here = self.here().filter(|_| self.member.service.data.is_some())?;
        let now = self.seeds.get(&self.member.id.service).filter(|_| self.member.own).map(Digest::as_str);
        let by = || line(self.view, self.member, &["seed"]);
        Some(match (now, here.seed.as_deref()) {
            (None, None) => Fact::new("seed", Standing::Unknown, None, "no seed files say what its data is"),
            (now, then) if now == then => Fact::new("seed", Standing::Equal, None, ""),
            _ => {
                let why = "other seed files filled its data; `onramp up --fresh` makes it anew";
                Fact::new("seed", Standing::Overridden, by(), why)
            }
        })
    }

    /// A sandbox runs what the engine runs, whatever is declared.
    fn platform(&self) -> Option<Fact> {
        let here = self.here().map(|here| here.platform.clone());
        let Some(declared) = self.declared.platform.clone() else {
            let why = format!("{} here, none declared", here?);
            return Some(Fact::new("platform", Standing::Unknown, None, &why));
        };
        let why = here.as_ref().map(|here| format!("{here} here, {declared} declared: it is the engine's"));
        let (declared, wanted) = (Some(declared), here.clone());
        self.fact(Thing { name: "platform".into(), declared, wanted, here, why, ..Thing::default() })
    }

    /// A sandbox runs one of each.
    fn replicas(&self) -> Option<Fact> {
        let declared = self.declared.replicas?;
        let here = self.here().map(|_| "1".to_owned());
        let why = Some(format!("1 here, {declared} declared: a sandbox runs one of each"));
        let (declared, wanted) = (Some(declared.to_string()), here.clone());
        self.fact(Thing { name: "replicas".into(), declared, wanted, here, why, ..Thing::default() })
    }

    /// Directories of the project that hide what the declared image has there. What is built here is the project's code
    /// with or without them.
    fn shown(&self) -> Vec<Option<Fact>> {
        let service = &self.member.service;
        let sync = service.sync.iter().filter(|_| service.build.is_none());
        let shown = |(local, shown): (&String, &Shown)| {
            let target = shown.target();
            let here =
                self.here().filter(|here| here.mounts.contains(target)).map(|_| format!("{local} of the project"));
            self.fact(Thing {
                name: format!("files.{target}"),
                keys: &["sync", local.as_str()],
                wanted: here.clone(),
                here,
                ..Thing::default()
            })
        };
        sync.map(shown).collect()
    }
}

#[cfg(test)]
mod tests;
