//! The text of an `onramp.toml` for services that were read from a Compose file, commented for who reads one the first
//! time.

use super::read::{Read, Taken};
use crate::project::service::{EnvValue, Service};

/// The longest line that a table is written on.
const WIDTH: usize = 100;

/// Writes the file. `from` is the Compose file, as it is called from the project's directory.
pub(super) fn render(read: &Read, from: &str) -> String {
    let mut out =
        "# What this project is made of, how it runs in a sandbox and how it is tested. `onramp up` reads it.\n"
            .to_owned();
    // The name of a file is somebody's text, and a comment ends with its line.
    out.push_str(&format!("# Read from {} by `onramp init`.\n", crate::text::neutral_line(from, 200)));
    out.push_str(&format!("schema = 1\nname = {}\n", quoted(read.name.as_str())));
    let mut told = Told::default();
    for Taken { name, service } in &read.services {
        out.push('\n');
        out.push_str(&told.service(name.as_str(), service));
    }
    if let Some(service) = read.services.iter().find(|one| one.service.build.is_some()).or(read.services.first()) {
        out.push_str("\n# `onramp test` runs what stands here in the sandbox:\n# [tests.unit]\n");
        out.push_str(&format!("# in = {}\n# run = [\"php\", \"tests/run.php\"]\n", quoted(service.name.as_str())));
    }
    out
}

/// What a comment told already.
#[derive(Default)]
struct Told {
    build: bool,
    fallback: bool,
    needs: bool,
    sync: bool,
    seed: bool,
    port: bool,
}

/// The comment, the first time.
fn once(told: &mut bool, comment: &str) -> String {
    if std::mem::replace(told, true) { String::new() } else { format!("# {comment}\n") }
}

impl Told {
    fn service(&mut self, name: &str, service: &Service) -> String {
        let mut out = String::new();
        if service.build.is_some() {
            out.push_str(&once(&mut self.build, "A service that is written here: it has `build`."));
        }
        out.push_str(&format!("[services.{name}]\n"));
        if let Some(build) = &service.build {
            let (context, base) = (quoted(&build.context), quoted(&build.base.to_string()));
            out.push_str(&format!("build = {{ context = {context}, base = {base} }}\n"));
        }
        if let Some(image) = &service.fallback {
            let comment = "Used until the environment declares this service; from then on its digest counts.\n\
                           # `image` in its place overrides the environment, and is never deployed.";
            out.push_str(&once(&mut self.fallback, comment));
            out.push_str(&format!("fallback = {}\n", quoted(&image.to_string())));
        }
        match service.port {
            Some(port) => out.push_str(&format!("port = {port}\n")),
            None => out.push_str(&once(
                &mut self.port,
                "`port = …` says what it listens on: `onramp up` then waits until it answers.",
            )),
        }
        if let Some(publish) = service.publish {
            out.push_str(&format!("publish = {publish}\n"));
        }
        if let Some(platform) = &service.platform {
            out.push_str(&format!("platform = {}\n", quoted(platform)));
        }
        if let Some(command) = &service.command {
            out.push_str(&list("command", command));
        }
        if let Some(user) = &service.user {
            out.push_str(&format!("user = {}\n", quoted(user)));
        }
        let limits = &service.limits;
        let limits = [
            limits.memory.map(|memory| format!("memory = {}", quoted(&memory.to_string()))),
            limits.pids.map(|pids| format!("pids = {pids}")),
            limits.cpus.map(|cpus| format!("cpus = {cpus}")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        if !limits.is_empty() {
            out.push_str(&format!("limits = {{ {} }}\n", limits.join(", ")));
        }
        if let Some(read_only) = service.read_only {
            out.push_str(&format!("read_only = {read_only}\n"));
        }
        if !service.tmpfs.is_empty() {
            out.push_str(&list("tmpfs", &service.tmpfs));
        }
        if !service.cap_add.is_empty() {
            out.push_str(&list("cap_add", &service.cap_add));
        }
        if !service.needs.is_empty() {
            out.push_str(&once(&mut self.needs, "Started before it."));
            out.push_str(&list("needs", &service.needs.iter().map(ToString::to_string).collect::<Vec<_>>()));
        }
        if let Some(ready) = &service.ready {
            out.push_str(&format!("ready = {{ http = {} }}\n", quoted(&ready.http)));
        }
        if let Some(data) = &service.data {
            out.push_str(&format!("data = {}\n", quoted(data)));
        }
        if !service.seed.is_empty() {
            let comment = "Applied in this order to an empty database. In the sandbox only: production has its data.";
            out.push_str(&once(&mut self.seed, comment));
            out.push_str(&list("seed", service.seed.files()));
        }
        if !service.sync.is_empty() {
            let comment = "In the sandbox these folders are the container's: a saved file is live, without a rebuild.";
            out.push_str(&once(&mut self.sync, comment));
            let pairs = service.sync.iter().map(|(from, to)| (quoted(from), quoted(to.target())));
            out.push_str(&table(name, "sync", &pairs.collect::<Vec<_>>()));
        }
        let env = service.env.iter().map(|(key, value)| {
            let value = match value {
                EnvValue::Plain(text) => quoted(text),
                EnvValue::Secret(secret) if secret.file => {
                    format!("{{ secret = {}, file = true }}", quoted(&secret.secret))
                }
                EnvValue::Secret(secret) => format!("{{ secret = {} }}", quoted(&secret.secret)),
            };
            (key_of(key), value)
        });
        // Last, because a table of its own ends that of the service.
        out.push_str(&table(name, "env", &env.collect::<Vec<_>>()));
        out
    }
}

/// A list, on one line or an item a line.
fn list(key: &str, items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    let line = format!("{key} = [{}]\n", items.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    format!("{key} = [\n{}]\n", items.iter().map(|item| format!("    {item},\n")).collect::<String>())
}

/// A table on one line; `env`, which comes last, as one of its own where it is long.
fn table(service: &str, key: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let line = format!("{key} = {{ {} }}\n", lines.join(", "));
    if line.len() <= WIDTH || key != "env" {
        return line;
    }
    format!("\n[services.{service}.{key}]\n{}\n", lines.join("\n"))
}

/// A key as TOML writes it: bare where it may be.
fn key_of(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_owned() } else { quoted(key) }
}

/// A text as TOML writes it, on one line. What JSON escapes is what TOML escapes, and the one character more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
