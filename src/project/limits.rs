//! How much a service may take of its machine: memory, processes, processors.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::text;

/// The least memory that engines accept, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;

/// The limits of a service; what is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory, without swap beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<NonZeroU32>,
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and the others where these say nothing.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        Self { memory: self.memory.or(others.memory), pids: self.pids.or(others.pids), cpus: self.cpus.or(others.cpus) }
    }
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory(u64);

impl Memory {
    /// Of so many bytes.
    pub fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for Memory {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = text::parse_bytes(&text)?;
        if bytes < LEAST_MEMORY {
            return Err(format!("`{text}` is less than the 6 MiB that an engine gives at least"));
        }
        Ok(Self(bytes))
    }
}

impl From<Memory> for String {
    fn from(memory: Memory) -> Self {
        memory.to_string()
    }
}

/// In the largest unit of which it is a whole number: what is written means what was read.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 5] =
            [("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20), ("MB", 1_000_000), ("KB", 1000)];
        let (unit, scale) = UNITS.into_iter().find(|(_, scale)| self.0.is_multiple_of(*scale)).unwrap_or(("B", 1));
        write!(f, "{} {unit}", self.0 / scale)
    }
}

/// An amount of processors, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Cpus(u32);

impl Cpus {
    /// Of so many thousandths.
    pub fn of(thousandths: u32) -> Self {
        Self(thousandths)
    }

    /// In thousandths.
    pub fn thousandths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Cpus {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        if !(0.01..=100_000.0).contains(&number) {
            return Err(format!("{number} is no number of processors: write 0.01 or more"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: it fits")]
        Ok(Self((number * 1000.0).round() as u32))
    }
}

impl From<Cpus> for f64 {
    fn from(cpus: Cpus) -> Self {
        Self::from(cpus.0) / 1000.0
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<Limits, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn limits_are_read_and_written_the_same() {
        for (text, memory, cpus) in [
            ("memory = \"512 MB\"\npids = 200\ncpus = 1.5\n", 512_000_000, 1500),
            ("memory = \"512 MiB\"\npids = 1\ncpus = 2.0\n", 512 << 20, 2000),
            ("memory = \"6291457 B\"\npids = 7\ncpus = 0.01\n", (6 << 20) + 1, 10),
        ] {
            let read = limits(text).unwrap();
            assert_eq!((read.memory.unwrap().bytes(), read.cpus.unwrap().thousandths()), (memory, cpus));
            assert_eq!(toml::to_string(&read).unwrap(), text);
        }
        assert_eq!(limits("cpus = 2\n").unwrap().cpus, Some(Cpus::of(2000)), "a whole number is a number");
    }

    #[test]
    fn what_no_engine_gives_is_refused() {
        let refused = |text| limits(text).unwrap_err();
        assert_eq!(refused("memory = \"5 MB\""), "`5 MB` is less than the 6 MiB that an engine gives at least");
        assert_eq!(refused("memory = \"much\""), "`much` is no size: write it as 500 MB or 10 GiB");
        assert_eq!(refused("cpus = 0"), "0 is no number of processors: write 0.01 or more");
        assert_eq!(refused("cpus = nan"), "NaN is no number of processors: write 0.01 or more");
        assert!(refused("pids = 0").contains("expected a nonzero u32"));
    }

    #[test]
    fn limits_are_laid_over_each_other_one_by_one() {
        let local = limits("pids = 5\n").unwrap();
        let declared = limits("memory = \"1 GB\"\npids = 9\n").unwrap();
        assert_eq!(local.or(&declared), limits("memory = \"1 GB\"\npids = 5\n").unwrap());
    }
}
