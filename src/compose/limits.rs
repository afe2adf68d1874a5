//! How much a service may take: `mem_limit` and its like, and `deploy.resources.limits`, which say the same.

use std::num::NonZeroU32;

use super::read::entries;
use super::service::{Taking, says_nothing};
use crate::engine::PIDS;
use crate::project::limits::{Cpus, Limits, Memory};
use crate::template::yaml::{Node, go};

/// The keys that stand beside each other in a service.
const BESIDE: [&str; 4] = ["mem_limit", "memswap_limit", "cpus", "pids_limit"];
/// Those of `deploy.resources.limits`, and which of the others each is.
const DEPLOYED: [(&str, &str); 3] = [("memory", "mem_limit"), ("cpus", "cpus"), ("pids", "pids_limit")];

/// Takes them. Where both places say something, Compose wants the same of them.
pub(super) fn take(taking: &mut Taking<'_>, service: &Node) {
    for (key, line, value) in entries(service) {
        if BESIDE.contains(&key.as_str()) && key != "memswap_limit" && !says_nothing(value) {
            one(taking, &key, &key, line, value);
        }
    }
    // What swap there is beside memory can be told only when the memory is known.
    for (key, line, value) in entries(service) {
        if key == "memswap_limit" && !says_nothing(value) {
            swap(taking, line, value);
        }
    }
    let Some(deploy) = service.get("deploy") else { return };
    for (key, line, value) in entries(deploy) {
        if key != "resources" && !says_nothing(value) {
            let why = "it says how an environment runs the service; a sandbox runs one of each";
            taking.ledger.left(line, &format!("deploy.{key}"), why);
        }
    }
    for (key, line, value) in deploy.get("resources").into_iter().flat_map(entries) {
        if key != "limits" && !says_nothing(value) {
            let why = "a sandbox sets nothing aside for a service";
            taking.ledger.left(line, &format!("deploy.resources.{key}"), why);
        }
    }
    for (key, line, value) in deploy.get("resources").and_then(|all| all.get("limits")).into_iter().flat_map(entries) {
        let whole = format!("deploy.resources.limits.{key}");
        match DEPLOYED.iter().find(|(name, _)| *name == key) {
            _ if says_nothing(value) => {}
            Some((_, same)) => one(taking, same, &whole, line, value),
            None => taking.ledger.left(line, &whole, "a service has limits of memory, processors and processes alone"),
        }
    }
}

/// Takes one limit; `called` is its whole key.
fn one(taking: &mut Taking<'_>, key: &str, called: &str, line: usize, value: &Node) {
    let Some(text) = taking.filled(value, called).as_ref().and_then(go::text_of) else { return };
    let limits = &mut taking.service.limits;
    let read = match key {
        "mem_limit" => memory(&text).map(|found| limits.memory = found),
        "cpus" => cpus(&text).map(|found| limits.cpus = found),
        _ => pids(limits, &text),
    };
    if let Err(why) = read {
        taking.ledger.left(line, called, why);
    }
}

/// As Docker reads an amount of memory: a number, and a unit of which each is 1024 of the one before. 0 is no limit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start_matches(' ').to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as Docker does; the digits have no sign"
    )]
    Some((number * 1024_f64.powi(i32::try_from(power).ok()?)) as u64)
}

fn memory(text: &str) -> Result<Option<Memory>, String> {
    match bytes(text) {
        Some(0) => Ok(None),
        Some(bytes) => Memory::try_from(format!("{bytes} B")).map(Some),
        None => Err(format!("`{text}` is no amount of memory")),
    }
}

fn cpus(text: &str) -> Result<Option<Cpus>, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(None),
        Ok(number) => Cpus::try_from(number).map(Some),
        Err(_) => Err(format!("`{text}` is no number of processors")),
    }
}

/// -1 and 0 are no limit, of which a sandbox has one all the same.
fn pids(limits: &mut Limits, text: &str) -> Result<(), String> {
    match text.parse::<i64>() {
        Ok(..1) => Err(format!("a sandbox always limits processes: to {PIDS} where nothing is said")),
        Ok(number) => {
            let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
            let number = number.ok_or_else(|| format!("`{text}` is no number of processes"))?;
            // What holds anyway need not be said.
            limits.pids = Some(number).filter(|number| number.get() != PIDS);
            Ok(())
        }
        Err(_) => Err(format!("`{text}` is no number of processes")),
    }
}

/// Memory and swap together: as much as the memory alone is what a service with a limit has here.
fn swap(taking: &mut Taking<'_>, line: usize, value: &Node) {
    const KEY: &str = "memswap_limit";
    let Some(text) = taking.filled(value, KEY).as_ref().and_then(go::text_of) else { return };
    let memory = taking.service.limits.memory.map(Memory::bytes);
    if memory.is_none() || bytes(&text) != memory {
        taking.ledger.left(line, KEY, "a service with a limit of memory has no swap beside it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_docker_does() {
        for (text, expected) in [
            ("536870912", Some(512 << 20)),
            ("512m", Some(512 << 20)),
            ("512MB", Some(512 << 20)),
            ("1.5 GiB", Some(3 << 29)),
            ("64k", Some(64 << 10)),
            ("10b", Some(10)),
            ("-1", None),
            ("much", None),
            ("1x", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
