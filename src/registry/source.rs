//! Where a registry's content may come from: the registry itself, and a mirror for what its digest names.
//!
//! A mirror is another origin: it gets its own credentials and never the registry's. What it says about a tag is believed
//! only where the settings say so. When it fails, the registry is asked; nobody else ever is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Url;

use super::Error;
use super::transport::Transport;

/// One place, and the path under which it has the registry's repositories.
#[derive(Clone)]
pub struct Source {
    pub transport: Arc<Transport>,
    /// Empty, or a path with a slash behind it.
    prefix: String,
}

impl Source {
    /// The registry itself.
    pub fn own(transport: Arc<Transport>) -> Self {
        Self { transport, prefix: String::new() }
    }

    /// The URL of `blobs/…` or `manifests/…` of a repository whose path is checked.
    pub fn url(&self, path: &str, rest: &str) -> Url {
        self.transport.origin().url(&format!("/v2/{}{path}/{rest}", self.prefix))
    }

    /// What a token must allow to read from a repository.
    pub fn scope(&self, path: &str) -> String {
        format!("repository:{}{path}:pull", self.prefix)
    }
}

/// A registry's mirror.
pub struct Mirror {
    source: Source,
    /// Whether it is believed about tags, too.
    pub tags: bool,
    /// Whether it failed in this run: then it is not asked again.
    left: AtomicBool,
}

impl Mirror {
    pub fn new(transport: Arc<Transport>, prefix: String, tags: bool) -> Self {
        Self { source: Source { transport, prefix }, tags, left: AtomicBool::new(false) }
    }

    /// Where it has content, unless it failed before.
    pub fn source(&self) -> Option<&Source> {
        (!self.left.load(Ordering::Relaxed)).then_some(&self.source)
    }

    /// Takes its failure. That it lacks something is none.
    pub fn failed(&self, error: &Error, registry: &Transport) {
        if !matches!(error, Error::NotFound { .. }) && !self.left.swap(true, Ordering::Relaxed) {
            let text = format!("its mirror failed, and the registry itself was asked: {error}");
            registry.warnings().keep(registry.origin().host(), &text);
        }
    }

    /// Takes that it sent other bytes than asked for.
    pub fn lied(&self, registry: &Transport) {
        if !self.left.swap(true, Ordering::Relaxed) {
            let host = self.source.transport.origin().host();
            let text = format!("its mirror {host} sent other bytes than asked for, and is left out");
            registry.warnings().keep(registry.origin().host(), &text);
        }
    }
}
