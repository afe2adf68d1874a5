//! Rollbacks: a declaration put back to exactly what it was.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::draft::{Draft, Kind, Section};
use super::trailers::Origin;
use super::{Error, Evidence, Trailers, deployment, provenance};
use crate::git::Commit;
use crate::name::Name;
use crate::reference::ImageRef;
use crate::state::{AppState, State};

/// How far back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To what there was before so many deployments.
    Deployments(usize),
    /// To what was declared at a commit, tag or branch of the state repository.
    Commit(String),
}

impl FromStr for To {
    type Err = String;

    /// A number of up to three digits counts deployments; a commit's name has more.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(number) if number > 0 => Ok(Self::Deployments(number)),
                _ => Err("a rollback goes back by at least one deployment".to_owned()),
            };
        }
        Ok(Self::Commit(text.to_owned()))
    }
}

/// Plans a rollback onto the state repository's commit `head`.
pub fn draft(state: &State, head: &Commit, environment: &Name, app: &Name, to: &To) -> Result<Draft, Error> {
    let Some(declared) = state.app(head, environment, app)? else {
        let known = state.apps(head, environment)?;
        return Err(Error::NotDeclared { app: app.clone(), environment: environment.clone(), known });
    };
    let (since, then) = match to {
        To::Deployments(number) => before(state, head, environment, app, *number)?,
        To::Commit(name) => at(state, head, environment, app, &state.find(name)?)?,
    };
    let said = provenance::said_of(state, &since, environment, app, &then.services)?;
    let tests = said.as_ref().map(|said| said.tests.clone()).unwrap_or_default();
    let changes = deployment::changes(Some(&declared.services), &then.services);
    let mut images = said.as_ref().map(|said| said.images.clone()).unwrap_or_default();
    images.extend(changes.into_iter().map(|change| (change.service, change.to)));
    images.retain(|service, image| then.services.get(service).and_then(|s| s.image.as_ref()) == Some(image));
    let trailers = Trailers {
        app: app.clone(),
        environment: environment.clone(),
        source: said.as_ref().and_then(|said| said.source.clone()),
        made: said.as_ref().and_then(|said| said.made),
        images,
        tests: tests.clone(),
        origin: Origin::Rollback(since.clone()),
    };
    let section = Section::of(
        &state.rules(head)?.format,
        Some(&declared),
        then.text,
        trailers,
        Evidence { tests, ..Evidence::default() },
    )?;
    Ok(Draft::one(Kind::Rollback { to: since }, environment, app, head.clone(), section))
}

/// What was declared before so many deployments, and since when. A change that left every image as it was is no deployment; a
/// rollback leads back to where it led: the next one goes further, not to what was left.
fn before(
    state: &State,
    head: &Commit,
    environment: &Name,
    app: &Name,
    number: usize,
) -> Result<(Commit, AppState), Error> {
    let history = state.mirror().history(head, &path_of(state, head, environment, app)?, provenance::DEPTH)?;
    let images = |declared: &AppState| -> BTreeMap<Name, Option<ImageRef>> {
        declared.services.iter().map(|(name, service)| (name.clone(), service.image.clone())).collect()
    };
    let (mut deployments, mut at) = (0, 0);
    while let Some(newer) = history.get(at) {
        if let Some(Origin::Rollback(to)) = origin(state, newer, environment, app)?
            && let Some(there) = history.iter().position(|commit| *commit == to).filter(|there| *there > at)
            && is_one(state, head, newer, environment, app, &to)?
        {
            at = there;
            continue;
        }
        at += 1;
        let Some(older) = history.get(at) else { break };
        // What cannot be read is passed; where it is what was asked for, its error is one here.
        let (now, then) =
            (state.declared(newer, environment, app).ok().flatten(), state.declared(older, environment, app));
        let before = then.as_ref().ok().and_then(Option::as_ref).map(images);
        deployments += usize::from(before.is_none() || now.as_ref().map(images) != before);
        if deployments == number {
            return match then? {
                Some(then) => Ok((older.clone(), then)),
                None => Err(Error::NothingBefore {
                    app: app.clone(),
                    environment: environment.clone(),
                    deployments: number - 1,
                }),
            };
        }
    }
    Err(Error::NothingBefore { app: app.clone(), environment: environment.clone(), deployments })
}

/// How what a commit of the default branch declares of an app came about.
fn origin(state: &State, commit: &Commit, environment: &Name, app: &Name) -> Result<Option<Origin>, Error> {
    let provenance = provenance::of_commit(state.mirror(), commit.clone())?;
    Ok(provenance.about(environment, app).map(|said| said.origin.clone()))
}

/// What was declared at a commit, and since which commit of the default branch it was.
fn at(
    state: &State,
    head: &Commit,
    environment: &Name,
    app: &Name,
    commit: &Commit,
) -> Result<(Commit, AppState), Error> {
    let never = || Error::NeverDeclared { app: app.clone(), environment: environment.clone(), commit: commit.clone() };
    let then = state.declared(commit, environment, app)?.ok_or_else(never)?;
    let since = since(state, head, environment, app, &then.text)?.ok_or_else(never)?;
    Ok((since, then))
}

/// The newest commit of the default branch since which the environment declared the app by this text.
fn since(state: &State, head: &Commit, environment: &Name, app: &Name, text: &str) -> Result<Option<Commit>, Error> {
    let path = path_of(state, head, environment, app)?;
    for commit in state.mirror().history(head, &path, provenance::DEPTH)? {
        if state.mirror().read(&commit, &path, crate::document::CAP)?.as_deref() == Some(text.as_bytes()) {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

/// The file that declares an app in an environment.
fn path_of(state: &State, commit: &Commit, environment: &Name, app: &Name) -> Result<String, Error> {
    Ok(state.rules(commit)?.format.path(environment, app))
}

/// Whether a change is what it says: back to exactly what the environment declared since that commit of the default branch.
pub fn is_one(
    state: &State,
    base: &Commit,
    merged: &Commit,
    environment: &Name,
    app: &Name,
    to: &Commit,
) -> Result<bool, Error> {
    let path = path_of(state, base, environment, app)?;
    let mirror = state.mirror();
    if !mirror.history(base, &path, provenance::DEPTH)?.contains(to) {
        return Ok(false);
    }
    let (then, now) =
        (mirror.read(to, &path, crate::document::CAP)?, mirror.read(merged, &path, crate::document::CAP)?);
    Ok(then.is_some() && then == now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_deployments_and_the_rest_are_commits() {
        assert_eq!("3".parse(), Ok(To::Deployments(3)));
        assert_eq!("1234567".parse(), Ok(To::Commit("1234567".to_owned())));
        assert_eq!("v2".parse(), Ok(To::Commit("v2".to_owned())));
        assert!("0".parse::<To>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,12}") {
            let _ = text.parse::<To>();
        }
    }
}
