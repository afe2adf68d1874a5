//! Whether everything is as before: what paths answer, and what the `check` programs of services print.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use futures_util::StreamExt;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Error, Script, Stage};
use crate::engine::{ExecSpec, Interactive};
use crate::reference::Digest;
use crate::sandbox::{ServiceId, ready};

/// How something stands to what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The same.
    Same,
    /// Another one.
    Changed,
    /// It changes by itself: asked twice before the deployment, it was not the same either. Nobody can tell.
    Unsteady,
}

/// What a path answers after the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerAfter {
    /// The path.
    pub path: String,
    /// Its status and body beside those before; headers do not count.
    pub standing: Standing,
    /// The status line before and now, where they differ.
    pub why: Option<String>,
}

/// What a service holds after the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataAfter {
    /// The service.
    pub service: ServiceId,
    /// What its `check` prints beside what it printed before.
    pub standing: Standing,
    /// Why it could not be checked.
    pub why: Option<String>,
}

/// An answer: its status line, and its body's digest.
type Answer = Result<(String, Digest), String>;

/// How things were before the deployment, each looked at twice.
pub struct Before {
    answers: BTreeMap<String, [Answer; 2]>,
    data: BTreeMap<ServiceId, [Digest; 2]>,
}

/// Looks at how things are.
pub async fn before(stage: &Stage<'_>, script: &Script) -> Result<Before, Error> {
    let (mut answers, mut data) = (BTreeMap::new(), BTreeMap::new());
    for path in &script.paths {
        let looks = [ask(script.port, path).await, ask(script.port, path).await];
        answers.insert(path.clone(), looks);
    }
    for (service, command) in &script.checks {
        let look = async || {
            let printed = printed(stage, script, service, command).await?;
            printed.map_err(|how| Error::CheckFailed { service: service.to_string(), how })
        };
        data.insert(service.clone(), [look().await?, look().await?]);
    }
    Ok(Before { answers, data })
}

impl Before {
    /// What paths answer now.
    pub async fn answers(&self, script: &Script) -> Vec<AnswerAfter> {
        let mut all = Vec::new();
        for (path, [first, second]) in &self.answers {
            let now = ask(script.port, path).await;
            let line = |answer: &Answer| answer.as_ref().map_or_else(Clone::clone, |(line, _)| line.clone());
            let (standing, why) = match now {
                now if now == *second => (Standing::Same, None),
                _ if first != second => (Standing::Unsteady, None),
                now if line(&now) == line(second) => (Standing::Changed, Some("another body".to_owned())),
                now => (Standing::Changed, Some(format!("{} before, {} now", line(second), line(&now)))),
            };
            all.push(AnswerAfter { path: path.clone(), standing, why });
        }
        all
    }

    /// What services hold now.
    pub async fn data(&self, stage: &Stage<'_>, script: &Script) -> Result<Vec<DataAfter>, Error> {
        let mut all = Vec::new();
        for (service, command) in &script.checks {
            let [first, second] = &self.data[service];
            let (standing, why) = match printed(stage, script, service, command).await? {
                Ok(now) if now == *second => (Standing::Same, None),
                Ok(_) if first != second => (Standing::Unsteady, None),
                Ok(_) => (Standing::Changed, None),
                Err(how) => (Standing::Changed, Some(how)),
            };
            all.push(DataAfter { service: service.clone(), standing, why });
        }
        Ok(all)
    }
}

async fn ask(port: u16, path: &str) -> Answer {
    match ready::get(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), path).await {
        Ok((line, body)) => Ok((crate::text::neutral_line(&line, 80), Digest::of(body.as_bytes()))),
        Err(error) => Err(error.to_string()),
    }
}

/// The digest of what a service's `check` prints; why it could not.
async fn printed(
    stage: &Stage<'_>,
    script: &Script,
    service: &ServiceId,
    command: &[String],
) -> Result<Result<Digest, String>, Error> {
    let container = script.before.id.container(&service.app, &service.service);
    let spec = ExecSpec { container, command: command.to_vec(), ..ExecSpec::default() };
    let running = async {
        let Interactive { id, mut output, input: _held } = stage.engine.exec(&spec).await?;
        let mut hash = Sha256::new();
        while let Some(chunk) = output.next().await {
            if let (false, text) = chunk? {
                hash.update(&text);
            }
        }
        Ok::<_, crate::engine::Error>((stage.engine.exec_exit_code(&id).await?, Digest::from_hash(&hash.finalize())))
    };
    Ok(match tokio::time::timeout(stage.limit, running).await {
        Ok(Ok((0, digest))) => Ok(digest),
        Ok(Ok((code, _))) => Err(format!("exit code {code}")),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => Err(format!("it did not end within {} s", stage.limit.as_secs())),
    })
}
