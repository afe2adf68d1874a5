//! `onramp image inspect`

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::reference::Digest;
use crate::registry::{Facts, Registry};
use crate::text::{self, neutral_line};

/// Show what an image is, straight from its registry: nothing is pulled.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image inspect php-apache:8.2
  onramp image inspect registry.acme.test/apps/shop@sha256:… --json
")]
pub struct Arguments {
    /// A whole reference, or a base image of the company: `php-apache:8.2`
    image: String,
}

#[derive(Serialize)]
struct Inspection {
    image: String,
    digest: Digest,
    platforms: BTreeMap<String, Digest>,
    platform: String,
    created: Option<Timestamp>,
    size: u64,
    layers: Vec<Layer>,
    env: Vec<String>,
    ports: Vec<String>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    user: String,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Layer {
    digest: Digest,
    size: u64,
}

impl Arguments {
    /// Asks the registry; every digest is verified.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("--offline: an image is inspected in its registry"));
        }
        let image = super::reference(cx, &self.image)?;
        let registry = Registry::of_user(image.registry(), cx.timeout).await?;
        let facts = registry.facts(&image).await?;
        cx.report(&inspection(image.to_string(), facts));
        Ok(Verdict::Ok)
    }
}

fn inspection(image: String, facts: Facts) -> Inspection {
    let runtime = facts.config.config.unwrap_or_default();
    let neutral = |texts: Vec<String>| texts.iter().map(|text| neutral_line(text, 300)).collect();
    Inspection {
        image,
        digest: facts.digest,
        platforms: facts.platforms,
        platform: facts.platform,
        created: facts.config.created,
        size: facts.layers.iter().map(|(_, size)| size).sum(),
        layers: facts.layers.into_iter().map(|(digest, size)| Layer { digest, size }).collect(),
        env: neutral(runtime.env),
        ports: neutral(runtime.exposed_ports.into_keys().collect()),
        entrypoint: neutral(runtime.entrypoint),
        command: neutral(runtime.cmd),
        user: if runtime.user.is_empty() { "root".to_owned() } else { neutral_line(&runtime.user, 100) },
        labels: runtime.labels.iter().map(|(key, value)| (neutral_line(key, 100), neutral_line(value, 300))).collect(),
    }
}

impl Report for Inspection {
    fn text(&self) -> String {
        let mut rows = vec![
            vec!["image".to_owned(), self.image.clone()],
            vec!["digest".to_owned(), self.digest.to_string()],
            vec!["platforms".to_owned(), self.platforms.keys().cloned().collect::<Vec<_>>().join(", ")],
            vec!["shown".to_owned(), self.platform.clone()],
            vec![
                "created".to_owned(),
                self.created.map_or_else(|| "unknown".to_owned(), |created| created.to_string()),
            ],
            vec!["size".to_owned(), format!("{} in {} layers", text::bytes(self.size), self.layers.len())],
            vec!["runs".to_owned(), [self.entrypoint.as_slice(), &self.command].concat().join(" ")],
            vec!["user".to_owned(), self.user.clone()],
            vec!["ports".to_owned(), self.ports.join(", ")],
        ];
        rows.extend(self.env.iter().map(|env| vec!["env".to_owned(), env.clone()]));
        rows.extend(self.labels.iter().map(|(key, value)| vec!["label".to_owned(), format!("{key}={value}")]));
        text::table(&rows)
    }
}
