//! How much of its machine a container may take.

use bollard::models::HostConfig;
use serde::Serialize;

/// Processes and threads of a container that nothing else limits: what runs away in a sandbox must not take the machine
/// along.
pub const PIDS: u32 = 4096;
/// The engine counts billionths of a processor.
pub(super) const NANO_PER_THOUSANDTH: i64 = 1_000_000;

/// What a container may take; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes of memory. There is no swap beside it.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Thousandths of a processor.
    pub cpus: Option<u32>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells the engine.
    pub(super) fn put(&self, host: &mut HostConfig) {
        host.memory = self.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        // The engine would give as much swap again.
        host.memory_swap = host.memory;
        host.pids_limit = Some(self.pids.unwrap_or(PIDS).into());
        host.nano_cpus = self.cpus.map(|thousandths| i64::from(thousandths) * NANO_PER_THOUSANDTH);
    }

    /// What the engine has: for it 0 is no limit, and of processes -1 is none either.
    pub(super) fn of(host: &HostConfig) -> Self {
        let limited = |number: Option<i64>| number.filter(|number| *number > 0);
        let small = |number: i64| u32::try_from(number).ok();
        Self {
            memory: limited(host.memory).and_then(|bytes| u64::try_from(bytes).ok()),
            pids: limited(host.pids_limit).and_then(small),
            cpus: limited(host.nano_cpus).and_then(|nano| small(nano / NANO_PER_THOUSANDTH)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_is_told_is_what_it_has() {
        let limits = Limits { memory: Some(512_000_000), pids: Some(200), cpus: Some(1_500) };
        let mut host = HostConfig::default();
        limits.put(&mut host);
        assert_eq!((host.memory_swap, host.nano_cpus), (Some(512_000_000), Some(1_500_000_000)));
        assert_eq!(Limits::of(&host), limits);
    }

    #[test]
    fn processes_are_always_limited() {
        let mut host = HostConfig::default();
        Limits::default().put(&mut host);
        assert_eq!(Limits::of(&host), Limits { pids: Some(4096), ..Limits::default() });
    }
}
