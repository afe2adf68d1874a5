//! How registries are spoken to in one run: the time limit, the mirrors, and what their operators said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::warning::Warnings;
use crate::settings::Mirror;

/// What all registries of one run share.
#[derive(Clone)]
pub struct Access {
    /// For one call, its retries included; and how long a body may stand still.
    pub(super) limit: Duration,
    pub(super) mirrors: Arc<BTreeMap<String, Mirror>>,
    pub(super) warnings: Arc<Warnings>,
}

impl Access {
    /// With this time limit and these mirrors, by the registry (`host[:port]`) that they stand before.
    pub fn new(limit: Duration, mirrors: BTreeMap<String, Mirror>) -> Self {
        Self { limit, mirrors: Arc::new(mirrors), warnings: Arc::default() }
    }

    /// How long one call may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What the operators of registries said so far (`Warning: 299`), and mirrors that failed: each registry and text
    /// once, neutral.
    pub fn warnings(&self) -> Vec<(String, String)> {
        self.warnings.all()
    }
}

impl From<Duration> for Access {
    fn from(limit: Duration) -> Self {
        Self::new(limit, BTreeMap::new())
    }
}

impl From<&Access> for Access {
    fn from(access: &Access) -> Self {
        access.clone()
    }
}
