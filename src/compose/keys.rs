//! What a Compose file can say and a project does not, key by key, and why.

use super::left::Standing::{self, Changed, Left, Unsafe};
use crate::engine::CAPABILITIES;
use crate::project::safety;
use crate::template::Value;
use crate::text::did_you_mean;

/// The keys of a service that are taken, one file a subject.
pub(super) const TAKEN: [&str; 21] = [
    "image",
    "build",
    "command",
    "entrypoint",
    "environment",
    "ports",
    "expose",
    "depends_on",
    "volumes",
    "healthcheck",
    "platform",
    "secrets",
    "user",
    "mem_limit",
    "memswap_limit",
    "cpus",
    "pids_limit",
    "deploy",
    "cap_add",
    "read_only",
    "tmpfs",
];

const LIMITS: &str = "a service has limits of memory, processors and processes alone";
pub(super) const OPEN: &str = "it would open the sandbox to the machine";
const NAMES: &str = "services reach each other by their names, other apps' by `service.app`";
const NETWORK: &str =
    "a sandbox has one network of its own, closed to the outside (`egress` names what a service reaches)";
const IMAGE: &str = "it belongs into the image: say it in the Dockerfile";
const TERMINAL: &str = "`onramp shell` and `onramp exec` give a terminal where one is needed";

/// The other keys of a service.
const SERVICE: [(&str, Standing, &str); 69] = [
    ("annotations", Left, "labels are onramp's own"),
    ("attach", Left, "`onramp logs` shows what a service says"),
    ("blkio_config", Left, LIMITS),
    ("cap_drop", Left, LIMITS),
    ("cgroup", Unsafe, OPEN),
    ("cgroup_parent", Unsafe, OPEN),
    ("configs", Left, IMAGE),
    ("container_name", Left, "onramp names containers, so that several sandboxes can run at once"),
    ("cpu_count", Left, LIMITS),
    ("cpu_percent", Left, LIMITS),
    ("cpu_period", Left, LIMITS),
    ("cpu_quota", Left, LIMITS),
    ("cpu_shares", Left, LIMITS),
    ("cpuset", Left, LIMITS),
    ("credential_spec", Left, LIMITS),
    ("develop", Left, "`sync` shows directories of the project in the container: an edit is live"),
    ("device_cgroup_rules", Unsafe, OPEN),
    ("devices", Unsafe, OPEN),
    ("dns", Left, NETWORK),
    ("dns_opt", Left, NETWORK),
    ("dns_search", Left, NETWORK),
    ("domainname", Left, NAMES),
    ("env_file", Left, "its variables are not read: write them under `env`, secrets as { secret = \"app/name\" }"),
    ("extends", Left, "what it takes over from another service is not read: write it here"),
    ("external_links", Left, NETWORK),
    ("extra_hosts", Left, NETWORK),
    ("gpus", Unsafe, OPEN),
    ("group_add", Left, IMAGE),
    ("hostname", Left, NAMES),
    ("init", Left, IMAGE),
    ("ipc", Unsafe, OPEN),
    ("isolation", Left, LIMITS),
    ("label_file", Left, "labels are onramp's own"),
    ("labels", Left, "labels are onramp's own"),
    ("links", Left, NAMES),
    ("logging", Left, "`onramp logs` shows what a service says"),
    ("mac_address", Left, NETWORK),
    ("mem_reservation", Left, LIMITS),
    ("mem_swappiness", Left, LIMITS),
    ("models", Left, NETWORK),
    ("network_mode", Left, NETWORK),
    ("networks", Left, NETWORK),
    ("oom_kill_disable", Left, LIMITS),
    ("oom_score_adj", Left, LIMITS),
    ("pid", Unsafe, OPEN),
    ("post_start", Left, IMAGE),
    ("pre_stop", Left, IMAGE),
    ("privileged", Unsafe, OPEN),
    ("profiles", Changed, "a sandbox runs every service of the project: take this one out if it should not run"),
    ("provider", Left, "what is no container is not run"),
    ("pull_policy", Left, "the lock says which image runs"),
    ("restart", Left, "a service that ends is told at once, and not started again"),
    ("runtime", Unsafe, OPEN),
    ("scale", Left, "a sandbox runs one of each"),
    ("security_opt", Unsafe, OPEN),
    ("shm_size", Left, LIMITS),
    ("stdin_open", Left, TERMINAL),
    ("stop_grace_period", Left, "a service with data has ten seconds to end, one without data none"),
    ("stop_signal", Left, IMAGE),
    ("storage_opt", Left, LIMITS),
    ("sysctls", Unsafe, OPEN),
    ("tty", Left, TERMINAL),
    ("ulimits", Left, LIMITS),
    ("use_api_socket", Unsafe, "it would give the engine, and with it the machine, to the service"),
    ("userns_mode", Unsafe, OPEN),
    ("uts", Unsafe, OPEN),
    ("volume_driver", Left, "data is in volumes of onramp's own"),
    ("volumes_from", Left, "each service has its own data"),
    ("working_dir", Left, IMAGE),
];

/// What becomes of a key of a service that is not taken, and why.
pub(super) fn of_service(key: &str, value: &str) -> (Standing, String) {
    if key == "network_mode" && value == "host" {
        return (Unsafe, OPEN.to_owned());
    }
    if let Some((_, standing, why)) = SERVICE.iter().find(|(known, ..)| *known == key) {
        return (*standing, (*why).to_owned());
    }
    let meant = did_you_mean(key, SERVICE.iter().map(|(known, ..)| *known).chain(TAKEN));
    (Left, meant.map_or("Compose has no such key".to_owned(), |meant| format!("did you mean `{meant}`?")))
}

/// Whether a key says what holds for every service of a sandbox.
pub(super) fn holds_anyway(key: &str, value: &Value) -> bool {
    let all = |holds: fn(&str) -> bool| {
        value.as_array().is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(holds)))
    };
    match key {
        "cap_drop" => all(|item| !CAPABILITIES.contains(&safety::plain(item).as_str())),
        "dns" => all(|item| item == "127.0.0.1"),
        "security_opt" => all(|item| matches!(item, "no-new-privileges" | "no-new-privileges:true")),
        _ => false,
    }
}

/// What becomes of a key of the whole file that is not taken.
pub(super) fn of_file(key: &str) -> &'static str {
    match key {
        "networks" | "models" => NETWORK,
        "include" => "other files are not read: read one that has everything (`docker compose config` makes it)",
        "configs" => IMAGE,
        _ => "Compose has no such key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once_and_in_order() {
        assert!(SERVICE.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SERVICE.iter().all(|(key, ..)| !TAKEN.contains(key)));
        assert_eq!(of_service("privilegd", ""), (Left, "did you mean `privileged`?".to_owned()));
        assert_eq!(of_service("network_mode", "host").0, Unsafe);
        assert_eq!(of_service("network_mode", "bridge").0, Left);
        assert!(holds_anyway("security_opt", &serde_json::json!(["no-new-privileges:true"])));
        assert!(!holds_anyway("security_opt", &serde_json::json!(["seccomp:unconfined"])));
    }
}
