//! Whether everything is as before: what paths answer, and what the `check` programs of services print.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Error, Script, Stage};
use crate::engine::{ExecSpec, Interactive};
use crate::reference::Digest;
use crate::sandbox::{ServiceId, ready};
use crate::text::neutral_line;

/// How long a path may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// An answer: its status line, and its body's digest; why there is none.
type Answer = Result<(String, Digest), String>;

/// How things were before the deployment, each looked at twice.
pub struct Before {
    answers: BTreeMap<String, [Answer; 2]>,
    data: BTreeMap<ServiceId, [Digest; 2]>,
}

/// Looks at how things are. A probed path that is not good now is refused: nobody could tell by it when the service is down.
pub async fn before(stage: &Stage<'_>, script: &Script) -> Result<Before, Error> {
    let (mut answers, mut data) = (BTreeMap::new(), BTreeMap::new());
    for path in &script.paths {
        let looks = [ask(script.port, path).await, ask(script.port, path).await];
        let probed = &script.played.probe;
        if probed.paths.contains(path)
            && let Some(bad) = looks.iter().map(line).find(|line| !ready::is_good(line))
        {
            return Err(Error::ProbeFailed {
                environment: script.played.environment.clone(),
                service: probed.service.clone(),
                how: format!("GET {}: {bad}", neutral_line(path, 200)),
            });
        }
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
            let (standing, why) = stands(first, second, &now);
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

/// How an answer stands to the two before, and why. A page may change by itself, what it answers with may not: so status lines
/// come first.
fn stands(first: &Answer, second: &Answer, now: &Answer) -> (Standing, Option<String>) {
    if now == second {
        (Standing::Same, None)
    } else if line(now) != line(second) {
        (Standing::Changed, Some(format!("{} before, {} now", line(second), line(now))))
    } else if first != second && line(first) == line(second) {
        (Standing::Unsteady, None)
    } else {
        (Standing::Changed, Some("another body".to_owned()))
    }
}

/// The status line; why there is none.
fn line(answer: &Answer) -> &str {
    match answer {
        Ok((line, _)) => line,
        Err(why) => why,
    }
}

async fn ask(port: u16, path: &str) -> Answer {
    let asking = ready::get(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), path);
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok((line, body))) => Ok((neutral_line(&line, 80), Digest::of(body.as_bytes()))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answers: [(&str, &str); 3]) -> (Standing, Option<String>) {
        let [first, second, now] =
            answers.map(|(line, body)| -> Answer { Ok((line.to_owned(), Digest::of(body.as_bytes()))) });
        stands(&first, &second, &now)
    }

    #[test]
    fn a_page_that_changes_by_itself_is_unsteady_only_while_its_status_stays() {
        let (good, bad) = ("HTTP/1.1 200 OK", "HTTP/1.1 500 Internal Server Error");
        assert_eq!(told([(good, "a"), (good, "b"), (good, "c")]), (Standing::Unsteady, None));
        let failed = Some(format!("{good} before, {bad} now"));
        assert_eq!(told([(good, "a"), (good, "b"), (bad, "c")]), (Standing::Changed, failed.clone()));
        assert_eq!(told([(good, "a"), (good, "a"), (bad, "a")]), (Standing::Changed, failed.clone()));
        assert_eq!(told([(bad, "a"), (good, "b"), (bad, "a")]), (Standing::Changed, failed));
        let body = Some("another body".to_owned());
        assert_eq!(told([(bad, "a"), (good, "b"), (good, "c")]), (Standing::Changed, body));
    }

    #[test]
    fn a_page_that_keeps_still_is_as_before_or_another_one() {
        let good = "HTTP/1.1 200 OK";
        assert_eq!(told([(good, "a"), (good, "a"), (good, "a")]), (Standing::Same, None));
        assert_eq!(told([(good, "a"), (good, "b"), (good, "b")]), (Standing::Same, None));
        let body = Some("another body".to_owned());
        assert_eq!(told([(good, "a"), (good, "a"), (good, "b")]), (Standing::Changed, body));
    }

    #[test]
    fn no_answer_is_another_one_than_an_answer() {
        let (page, silent): (Answer, Answer) =
            (Ok(("HTTP/1.1 200 OK".to_owned(), Digest::of(b"a"))), Err("no answer within 10 s".to_owned()));
        let why = Some("HTTP/1.1 200 OK before, no answer within 10 s now".to_owned());
        assert_eq!(stands(&page, &page, &silent), (Standing::Changed, why));
        assert_eq!(stands(&silent, &silent, &silent), (Standing::Same, None));
    }
}
