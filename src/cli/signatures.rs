//! Whose signatures count: what the catalog says, compared with what the user accepted, and asked for where it is more.

use super::context::Context;
use super::failure::Failure;
use super::{output, prompt};
use crate::blocks::{self, Catalog, builtin};
use crate::error::Fault;
use crate::git::{self, RepoUrl};
use crate::images::policy::{Kept, NotAccepted, Policy};
use crate::task::blocking;

/// The policy of the user's own catalog: the one that was joined, or of `ONRAMP_CATALOG`. What a project's file says is
/// not asked: whose signatures count is not a repository's to say.
pub async fn policy(cx: &Context) -> Result<Policy, Failure> {
    let Some(setting) = cx.settings.catalog.as_ref().filter(|setting| setting.value != builtin::SOURCE) else {
        return Ok(Policy::default());
    };
    let url = RepoUrl::from_argument(&setting.value, &cx.dir)?;
    let (place, cache, offline) = (url.clone(), cx.paths.cache.clone(), cx.offline);
    let fetched = blocking(move || match Catalog::open(&cache, place.clone(), offline) {
        // A catalog that does not answer still says what it said before.
        Err(error) if !offline => match Catalog::open(&cache, place, true) {
            Ok(catalog) => Ok((catalog.rules()?, Some(error))),
            Err(_) => Err(error),
        },
        opened => Ok((opened?.rules()?, None)),
    });
    let (rules, trouble) = match cx.waiting("fetch the catalog", fetched).await {
        Ok(found) => found,
        // Nothing was ever accepted of a catalog that nobody has seen.
        Err(blocks::Error::Git(git::Error::NeverFetched { .. })) if !Policy::knows(url.as_str(), &cx.paths)? => {
            return Ok(Policy::default());
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(trouble) = trouble {
        cx.observer.note(&format!("whose signatures count is what the catalog said before: {trouble}"));
    }
    Ok(Policy::of(url.as_str(), rules, &cx.paths)?)
}

/// Keeps what the catalog says where that needs no word; asks where it does and somebody is there. Whether the policy changed.
pub fn settle(cx: &Context, policy: &mut Policy) -> Result<bool, Failure> {
    match policy.kept() {
        Kept::Same => return Ok(false),
        Kept::Nothing if policy.rules().is_empty() => return Ok(false),
        Kept::Nothing => {
            cx.observer.note("whose signatures on images count from now on:");
            for rule in policy.rules() {
                rule.shown().lines().lines().for_each(|line| cx.observer.note(line.trim()));
            }
        }
        Kept::Stricter => {}
        Kept::Beyond => {
            if !cx.interactive || cx.dry_run {
                let refused = NotAccepted::of(policy);
                cx.observer.note(&format!("{refused}; {} accepts it", refused.next().join(" ")));
                return Ok(false);
            }
            if !asked(policy)? {
                return Ok(false);
            }
        }
    }
    if cx.dry_run {
        return Ok(false);
    }
    policy.accept(&cx.paths)?;
    Ok(true)
}

/// Asks whether the catalog may trust more than was accepted. Without a person, or after a no, it may not.
pub fn agree(cx: &Context, policy: &Policy) -> Result<(), Failure> {
    if cx.interactive && asked(policy)? { Ok(()) } else { Err(NotAccepted::of(policy).into()) }
}

fn asked(policy: &Policy) -> Result<bool, Failure> {
    output::say("The catalog says more about signatures on images than you accepted:");
    for change in policy.changes() {
        output::say(&format!("  {change}"));
    }
    prompt::confirm("Did its keepers tell you of this, and do you accept it? (--accept-keys of `onramp join` says yes)")
}
