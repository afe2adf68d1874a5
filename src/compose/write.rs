//! Writes a sandbox as a Compose file: the services as `onramp up` would run them, images by digest, secrets as
//! variables that whoever starts it must set.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::interpolate::escape;
use super::secret::Variables;
use super::{health, network};
use crate::engine::{CAPABILITIES, PIDS, SCRATCH, TMPFS};
use crate::files;
use crate::project::service::{EnvValue, Service, seed_place};
use crate::project::{Lock, safety};
use crate::reference::ImageRef;
use crate::sandbox::{Error, Member, SecretFiles, ServiceId, View, plan, seed};
use crate::template::yaml::{self, Style};

/// The network that all services are in.
const SHARED: &str = "sandbox";

/// The text of the file. `directory` is where it will be: its paths begin there. Blocking: looks at files.
pub fn write(view: &View, lock: &Lock, directory: &Path) -> Result<String, Error> {
    let apps: BTreeSet<&str> = view.members.iter().map(|member| member.id.app.as_str()).collect();
    let variables = Variables::of(view.members.iter().map(|member| &member.service));
    let writer = Writer { view, lock, directory, variables, several: apps.len() > 1 };
    let mut services = Map::new();
    let mut volumes = Map::new();
    for member in &view.members {
        services.insert(writer.name(&member.id), writer.service(member)?);
        if member.service.data.is_some() {
            volumes.insert(writer.volume(&member.id), json!({}));
        }
    }
    let mut names = vec![SHARED.to_owned()];
    names.extend(apps.into_iter().filter(|_| writer.several).map(of_app));
    let networks = network::networks(names, view.project.manifest.sandbox.egress, view.id.preferred_subnet());
    let mut file = Map::new();
    file.insert("name".to_owned(), view.project.manifest.name.as_str().into());
    file.insert("services".to_owned(), services.into());
    file.insert("networks".to_owned(), networks);
    if !volumes.is_empty() {
        file.insert("volumes".to_owned(), volumes.into());
    }
    let files: BTreeSet<&str> = view.members.iter().flat_map(|member| files_of(&member.service)).collect();
    if !files.is_empty() {
        let one = |secret: &str| {
            let variable = writer.variables.name(secret);
            (variable.to_owned(), json!({ "environment": variable }))
        };
        file.insert("secrets".to_owned(), files.into_iter().map(one).collect::<Map<_, _>>().into());
    }
    // What steers a terminal is escaped with all that is not ASCII.
    let style = Style { sort_keys: false, width: 120, go: true, ..Style::default() };
    let mut text =
        format!("# Written by `onramp export compose`: {} from {}.\n", view.project.manifest.name, view.environment);
    if !writer.variables.is_empty() {
        text.push_str("# Secrets are variables: set each of them, or write it into a .env that git does not have.\n");
    }
    for member in view.members.iter().filter(|member| member.own && member.service.seed.command().is_some()) {
        text.push_str(&format!("# Compose has no `seed.command`: run that of {} by hand.\n", writer.name(&member.id)));
    }
    for member in view.members.iter().filter(|member| member.own && member.service.seed.mask().is_some()) {
        let name = writer.name(&member.id);
        text.push_str(&format!(
            "# Compose masks nothing: the seeds of {name}, which `onramp up` masks, are left out.\n"
        ));
    }
    let open = view.project.manifest.sandbox.egress;
    let reaching =
        view.members.iter().filter(|member| !open && member.service.egress.iter().flatten().next().is_some());
    for member in reaching {
        let name = writer.name(&member.id);
        text.push_str(&format!("# Compose has no `egress`: what {name} names there is out of its reach.\n"));
    }
    text.push_str(&yaml::dump_with(&file.into(), style));
    Ok(text)
}

/// The secrets that a service reads from files, each once.
fn files_of(service: &Service) -> impl Iterator<Item = &str> {
    let file = |value: &'_ EnvValue| matches!(value, EnvValue::Secret(secret) if secret.file);
    let names = service.env.values().filter(move |value| file(value)).filter_map(|value| match value {
        EnvValue::Secret(secret) => Some(secret.secret.as_str()),
        EnvValue::Plain(_) => None,
    });
    names.collect::<BTreeSet<_>>().into_iter()
}

/// The network of an app's own services, where there are several apps.
fn of_app(app: &str) -> String {
    format!("app-{app}")
}

struct Writer<'a> {
    view: &'a View,
    lock: &'a Lock,
    directory: &'a Path,
    variables: Variables,
    /// Whether there are services of other apps.
    several: bool,
}

impl Writer<'_> {
    /// What a service is called: by its own name, and across apps by `service.app`, as in the sandbox.
    fn name(&self, id: &ServiceId) -> String {
        if self.several { format!("{}.{}", id.service, id.app) } else { id.service.to_string() }
    }

    fn volume(&self, id: &ServiceId) -> String {
        format!("{}-data", self.name(id))
    }

    fn service(&self, member: &Member) -> Result<Value, Error> {
        let service = &member.service;
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
        match &service.build {
            Some(build) if member.own => {
                let context = files::confined(&self.view.project.root, Path::new(&build.context))?;
                let path = context.join("Dockerfile");
                if !path.is_file() {
                    return Err(Error::NoDockerfile { service: member.id.to_string(), path });
                }
                let base = plan::pinned(&build.base, self.lock)?.to_string();
                put("build", json!({ "context": self.path(&build.context)?, "args": { "BASE": base } }));
            }
            _ => {
                put("image", self.image(member)?.to_string().into());
            }
        }
        if let Some(platform) = &service.platform {
            put("platform", escape(platform).into());
        }
        if let Some(command) = &service.command {
            put("command", command.iter().map(|word| escape(word)).collect());
        }
        if let Some(user) = &service.user {
            put("user", user.as_str().into());
        }
        if let Some(memory) = service.limits.memory {
            put("mem_limit", memory.bytes().into());
            // Compose would give as much swap again.
            put("memswap_limit", memory.bytes().into());
        }
        put("pids_limit", service.limits.pids.map_or(PIDS, NonZeroU32::get).into());
        if let Some(cpus) = service.limits.cpus {
            put("cpus", f64::from(cpus).into());
        }
        if !service.env.is_empty() {
            let value = |value: &EnvValue| match value {
                EnvValue::Plain(text) => escape(text),
                EnvValue::Secret(secret) if secret.file => SecretFiles::path(&secret.secret),
                EnvValue::Secret(secret) => self.variables.text(&secret.secret),
            };
            let pairs = service.env.iter().map(|(key, found)| (key.clone(), value(found).into()));
            put("environment", pairs.collect::<Map<_, _>>().into());
        }
        let files = files_of(service)
            .map(|secret| json!({ "source": self.variables.name(secret), "target": SecretFiles::path(secret) }));
        let files: Vec<Value> = files.collect();
        if !files.is_empty() {
            put("secrets", files.into());
        }
        if let Some(port) = service.port {
            let host = service.publish.filter(|_| member.own).map(|host| host.to_string()).unwrap_or_default();
            put("ports", json!([format!("127.0.0.1:{host}:{port}")]));
        }
        let volumes = self.volumes(member)?;
        if !volumes.is_empty() {
            put("volumes", volumes.into());
        }
        if let (Some(ready), Some(port)) = (&service.ready, service.port) {
            let test = escape(&health::test(port, &ready.http));
            put(
                "healthcheck",
                json!({ "test": ["CMD-SHELL", test], "interval": "1s", "timeout": "5s", "retries": 60 }),
            );
        }
        if !member.needs.is_empty() {
            let needs = member.needs.iter().map(|id| (self.name(id), json!({ "condition": self.condition(id) })));
            put("depends_on", needs.collect::<Map<_, _>>().into());
        }
        put("networks", self.networks(&member.id));
        // As the sandbox has it: no way out means no names from outside either.
        if !self.view.project.manifest.sandbox.egress {
            put("dns", json!(["127.0.0.1"]));
        }
        let fixed = service.read_only == Some(true) && service.seed.files().is_empty();
        if fixed {
            put("read_only", true.into());
        }
        let scratch = SCRATCH.into_iter().filter(|_| fixed).map(str::to_owned);
        let memory: BTreeSet<String> = scratch.chain(service.tmpfs.iter().map(|path| escape(path))).collect();
        if !memory.is_empty() {
            put("tmpfs", memory.into_iter().map(|path| format!("{path}:{TMPFS}")).collect());
        }
        put("cap_drop", json!(["ALL"]));
        let more: BTreeSet<String> = service.cap_add.iter().map(|name| safety::plain(name)).collect();
        put("cap_add", CAPABILITIES.into_iter().map(str::to_owned).chain(more).collect());
        put("security_opt", json!(["no-new-privileges:true"]));
        Ok(out.into())
    }

    fn image(&self, member: &Member) -> Result<ImageRef, Error> {
        let image = member.service.image.as_ref().or(member.service.fallback.as_ref());
        let image = image.ok_or_else(|| Error::NothingToRun {
            service: member.id.to_string(),
            environment: self.view.environment.environment.to_string(),
        })?;
        plan::pinned(image, self.lock)
    }

    /// A service that says when it is ready is waited for.
    fn condition(&self, id: &ServiceId) -> &'static str {
        let found = self.view.members.iter().find(|member| member.id == *id);
        let healthy = found.is_some_and(|member| member.service.ready.is_some());
        if healthy { "service_healthy" } else { "service_started" }
    }

    /// Data, then what is shown of the project, then seeds in their order.
    fn volumes(&self, member: &Member) -> Result<Vec<Value>, Error> {
        let service = &member.service;
        let mut volumes = Vec::new();
        if let Some(target) = &service.data {
            volumes.push(json!({ "type": "volume", "source": self.volume(&member.id), "target": escape(target) }));
        }
        if member.own {
            for (local, shown) in &service.sync {
                let target = escape(shown.target());
                volumes.push(json!({ "type": "bind", "source": self.path(local)?, "target": target }));
            }
            // As they lie there they hold what must be masked.
            let plain = if service.seed.mask().is_some() { &[] } else { service.seed.files() };
            let seeds = seed::files(&self.view.project.root, plain)?;
            for (at, (local, _)) in seeds.iter().enumerate() {
                let target = escape(&seed_place(at, Path::new(local)));
                volumes
                    .push(json!({ "type": "bind", "source": self.path(local)?, "target": target, "read_only": true }));
            }
        }
        Ok(volumes)
    }

    /// A service is `service.app` to all, and by its own name to those of its app.
    fn networks(&self, id: &ServiceId) -> Value {
        if self.several {
            json!({ SHARED: {}, of_app(id.app.as_str()): { "aliases": [id.service] } })
        } else {
            json!({ SHARED: { "aliases": [format!("{}.{}", id.service, id.app)] } })
        }
    }

    /// A path of the project as the file calls it.
    fn path(&self, local: &str) -> Result<String, Error> {
        let root = &self.view.project.root;
        files::confined(root, Path::new(local))?;
        let plain: std::path::PathBuf = Path::new(local).components().collect();
        let plain = plain.strip_prefix(".").unwrap_or(&plain);
        let path = match self.directory.strip_prefix(root) {
            Ok(below) => {
                let up = "../".repeat(below.components().count());
                format!("{}{}", if up.is_empty() { "./" } else { &up }, plain.display())
            }
            Err(_) => root.join(plain).display().to_string(),
        };
        Ok(escape(&path))
    }
}
