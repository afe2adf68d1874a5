//! What no service may ask for, because it would open the sandbox to the machine: found in a file's text, with its line.

use std::path::{Component, Path};

use toml_edit::{Item, TableLike, Value};

use crate::document::{self, DocumentError};
use crate::engine::CAPABILITIES;
use crate::text::neutral_line;

/// The capabilities that a service may have beside [`CAPABILITIES`]: what they allow stays in its container. `NET_RAW` and `NET_ADMIN` do not:
/// with them it goes past the closed network.
pub const MORE: [&str; 8] =
    ["AUDIT_WRITE", "IPC_LOCK", "MKNOD", "SETFCAP", "SETPCAP", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE"];

/// Keys that other tools know, and that open a sandbox whatever their value is.
const OPEN: [&str; 5] = ["devices", "device_cgroup_rules", "gpus", "security_opt", "use_api_socket"];
/// Keys that do where they say `host`, or name another container.
const SHARED: [&str; 8] = ["network_mode", "network", "pid", "ipc", "uts", "userns_mode", "cgroup", "cgroupns"];
/// How data of production gets in.
const MASK: &str = "mask = { \"users.email\" = \"email\" } in it says what becomes of a column; so does name, phone, text, digits, null";
/// Keys of directories of the machine.
const MOUNTED: [&str; 3] = ["volumes", "mounts", "volume"];

/// Refuses the text of a file with `[services]` where one of them asks for too much.
pub fn check(path: &Path, text: &str) -> Result<(), DocumentError> {
    // What is no TOML says why itself.
    let Ok(document) = toml_edit::Document::parse(text) else { return Ok(()) };
    let Some(services) = document.get("services").and_then(Item::as_table_like) else { return Ok(()) };
    for (name, service) in services.iter() {
        let Some(service) = service.as_table_like() else { continue };
        if let Some((key, why)) = asks_for(service) {
            let offset = document::offset_of(text, &["services", name, key]).unwrap_or_default();
            let message = format!("services.{}: {why}", neutral_line(name, 60));
            return Err(document::wrong(path, text, offset, message).refused((key == "seed").then_some(MASK)));
        }
    }
    Ok(())
}

/// The first key by which a service asks for too much, and what that is.
fn asks_for(service: &dyn TableLike) -> Option<(&str, String)> {
    service.iter().find_map(|(key, item)| {
        let said = item.as_str().unwrap_or_default();
        let why = match key {
            "privileged" if item.as_bool() == Some(true) => "`privileged` would give it the machine".to_owned(),
            "host_network" if item.as_bool() == Some(true) => "`host_network` would give it the machine's".to_owned(),
            _ if SHARED.contains(&key) && (said == "host" || said.starts_with("container:")) => {
                format!("`{key} = \"{}\"` would take it out of its sandbox", neutral_line(said, 60))
            }
            _ if OPEN.contains(&key) => format!("`{key}` would open the sandbox to the machine"),
            _ if MOUNTED.contains(&key) => texts(item).iter().find_map(|source| leads_out(source))?,
            "seed" => {
                let seed = item.as_table_like()?;
                let masked = seed.get("mask").and_then(Item::as_table_like).is_some_and(|mask| !mask.is_empty());
                let production = seed.get("production").and_then(Item::as_bool) == Some(true);
                (production && !masked).then(|| "`seed` is of `production` and has no `mask`".to_owned())?
            }
            "sync" => item.as_table_like()?.iter().find_map(|(local, _)| leads_out(local))?,
            "cap_add" => {
                let texts = texts(item);
                let asked = texts.iter().find(|name| !is_harmless(name))?;
                format!("`cap_add` of {} would open the sandbox to the machine", neutral_line(asked, 60))
            }
            _ => return None,
        };
        Some((key, why))
    })
}

/// Whether a service may have this capability, however it is written.
pub fn is_harmless(name: &str) -> bool {
    let name = plain(name);
    CAPABILITIES.contains(&name.as_str()) || MORE.contains(&name.as_str())
}

/// The name of a capability as it is written here.
pub fn plain(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map_or_else(|| name.clone(), str::to_owned)
}

/// Why a path of the machine may not be shown in a container; none where it stays in the project. Links are followed when
/// it is used.
fn leads_out(source: &str) -> Option<String> {
    let shown = neutral_line(source, 80);
    if source.contains("docker.sock") || source.contains("podman.sock") {
        return Some(format!("`{shown}` is the engine's socket, and with it the whole machine"));
    }
    // Of a Compose volume only what is before the colon is of the machine.
    let source = source.split(':').next().unwrap_or_default();
    let mut depth = 0_i32;
    let stays = Path::new(source).components().all(|component| {
        depth += match component {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => i32::MIN / 2,
        };
        depth >= 0
    });
    (!stays || source.starts_with('~')).then(|| format!("`{shown}` is not in the project"))
}

/// The texts of a list: its items, and `source` of those that are tables.
fn texts(item: &Item) -> Vec<String> {
    let of_value = |value: &Value| match value {
        Value::String(text) => Some(text.value().clone()),
        Value::InlineTable(table) => table.get("source")?.as_str().map(str::to_owned),
        _ => None,
    };
    match item {
        Item::Value(Value::Array(items)) => items.iter().filter_map(of_value).collect(),
        Item::Value(value) => of_value(value).into_iter().collect(),
        Item::ArrayOfTables(tables) => {
            tables.iter().filter_map(|table| Some(table.get("source")?.as_str()?.to_owned())).collect()
        }
        Item::Table(_) | Item::None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Fault};

    #[test]
    fn what_would_open_a_sandbox_is_refused_with_its_line() {
        let cases = [
            ("privileged = true", "`privileged` would give it the machine"),
            ("network_mode = \"host\"", "`network_mode = \"host\"` would take it out of its sandbox"),
            ("pid = \"container:other\"", "`pid = \"container:other\"` would take it out of its sandbox"),
            ("devices = [\"/dev/kvm\"]", "`devices` would open the sandbox to the machine"),
            ("security_opt = [\"seccomp:unconfined\"]", "`security_opt` would open the sandbox to the machine"),
            (
                "volumes = [\"/var/run/docker.sock:/s\"]",
                "`/var/run/docker.sock:/s` is the engine's socket, and with it the whole machine",
            ),
            ("volumes = [{ source = \"/etc\" }]", "`/etc` is not in the project"),
            ("sync = { \"../other\" = \"/x\" }", "`../other` is not in the project"),
            ("sync = { \"a/../..\" = \"/x\" }", "`a/../..` is not in the project"),
            ("sync = { \"/\" = \"/x\" }", "`/` is not in the project"),
            ("sync = { \"~/.ssh\" = \"/x\" }", "`~/.ssh` is not in the project"),
            (
                "cap_add = [\"SYS_NICE\", \"cap_sys_admin\"]",
                "`cap_add` of cap_sys_admin would open the sandbox to the machine",
            ),
            ("cap_add = [\"ALL\"]", "`cap_add` of ALL would open the sandbox to the machine"),
        ];
        for (line, expected) in cases {
            let text = format!("schema = 1\nname = \"shop\"\n[services.a]\nport = 80\n{line}\n");
            let error = crate::project::manifest::parse(Path::new("onramp.toml"), &text).unwrap_err();
            assert_eq!(error.class(), Class::Security, "{line}: {error}");
            assert_eq!(error.to_string(), format!("onramp.toml:5:1: services.a: {expected}"));
        }
        for line in ["sync = { \"./a/../b\" = \"/x\" }", "cap_add = [\"SYS_NICE\", \"cap_ipc_lock\"]"] {
            let text = format!("schema = 1\nname = \"shop\"\n[services.a]\nport = 80\n{line}\n");
            crate::project::manifest::parse(Path::new("onramp.toml"), &text).unwrap();
        }
    }
}
