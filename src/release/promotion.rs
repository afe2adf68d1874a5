//! Promotions: what one environment declares of apps, brought to another one.
//!
//! What belongs to an app goes along exactly as it was tested; what belongs to an environment stays; variables and hosts
//! outside go along where the environment has what it was brought the last time
//! ([decision 34](../../docs/decisions/0034-promotions-and-rollbacks.md)).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::draft::{self, Draft, Kind, Section};
use super::trailers::{MOST, Origin};
use super::{Error, Evidence, TRAIN, Trailers, branch_of, deployment, provenance};
use crate::git::Commit;
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;
use crate::state::edit::Edit;
use crate::state::keys::{self, Key, Setting};
use crate::state::{AppState, Format, State};

/// The keys of a service that say what an environment has of its own.
const OWN: [&str; 4] = ["replicas", "platform", "limits", "puppet"];
/// The keys whose values may be the environment's own, as those of variables may.
const SHARED: [&str; 1] = ["egress"];

/// How many commits of the default branch are looked at for what many apps were brought the last time.
const COMMITS: usize = 10_000;

/// From where to where.
#[derive(Clone, Debug)]
pub struct Route {
    /// The environment that has it.
    pub from: Name,
    /// The commit of the state repository that it is read at.
    pub at: Commit,
    /// The environment that gets it.
    pub to: Name,
}

/// Which apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One, by itself.
    One(Name),
    /// These, as one release train.
    These(BTreeSet<Name>),
    /// All that both environments declare, as one release train.
    All,
}

/// Plans a promotion onto the state repository's commit `head`.
pub fn draft(state: &State, head: &Commit, route: &Route, which: &Which) -> Result<Draft, Error> {
    let rules = state.rules(head)?;
    rules.environment(&route.from)?;
    rules.environment(&route.to)?;
    if route.from == route.to {
        return Err(Error::Itself { environment: route.to.clone() });
    }
    let Found { apps, new_ones } = find(state, head, route, which)?;
    let train = !matches!(which, Which::One(_));
    let mut draft = Draft {
        kind: Kind::Promotion { from: route.from.clone(), at: route.at.clone(), train },
        environment: route.to.clone(),
        branch: branch_of(&route.to, TRAIN),
        base: head.clone(),
        sections: Vec::new(),
        unchanged: Vec::new(),
        new_ones,
        message: None,
        unready: false,
    };
    if let Which::One(app) = which {
        draft.branch = branch_of(&route.to, app.as_str());
    }
    let past = Past::of(state, &rules.format, head, route, which)?;
    for (app, there) in apps {
        match section(state, &rules.format, head, route, (&app, &there), &past)? {
            Some(section) => draft.sections.push(section),
            None => draft.unchanged.push(app),
        }
    }
    if draft.sections.len() > MOST {
        return Err(Error::TooMany { count: draft.sections.len() });
    }
    Ok(draft)
}

/// What there is to bring.
struct Found {
    /// The apps that are asked for, as the one environment declares them.
    apps: Vec<(Name, AppState)>,
    /// Of all, those that the other one does not declare yet.
    new_ones: Vec<Name>,
}

fn find(state: &State, head: &Commit, route: &Route, which: &Which) -> Result<Found, Error> {
    let names = match which {
        Which::One(app) => BTreeSet::from([app.clone()]),
        Which::These(apps) => apps.clone(),
        Which::All => {
            let known: BTreeSet<Name> = state.apps(head, &route.to)?.into_iter().collect();
            let all = state.everything(&route.at, &route.from)?;
            let (apps, new): (Vec<_>, Vec<_>) = all.into_iter().partition(|(app, _)| known.contains(app));
            return Ok(Found { apps, new_ones: new.into_iter().map(|(app, _)| app).collect() });
        }
    };
    let mut found = Found { apps: Vec::new(), new_ones: Vec::new() };
    for app in names {
        let Some(there) = state.app(&route.at, &route.from, &app)? else {
            let known = state.apps(&route.at, &route.from)?;
            return Err(Error::NotDeclared { app, environment: route.from.clone(), known });
        };
        found.apps.push((app, there));
    }
    Ok(found)
}

/// The commits that changed what the environment declares of an app, newest first.
enum Past {
    /// Looked up app by app.
    Each,
    /// Looked up once, for many: by file.
    All(BTreeMap<String, Vec<Commit>>),
}

impl Past {
    fn of(state: &State, format: &Format, head: &Commit, route: &Route, which: &Which) -> Result<Self, Error> {
        if *which != Which::All {
            return Ok(Self::Each);
        }
        let mut all: BTreeMap<String, Vec<Commit>> = BTreeMap::new();
        for (commit, files) in state.mirror().changes(head, None, &format.directory(&route.to), COMMITS)? {
            for file in files {
                all.entry(file).or_default().push(commit.clone());
            }
        }
        Ok(Self::All(all))
    }

    fn changes(&self, state: &State, head: &Commit, file: &str) -> Result<Vec<Commit>, Error> {
        match self {
            Self::Each => Ok(state.mirror().history(head, file, provenance::DEPTH)?),
            Self::All(all) => Ok(all.get(file).cloned().unwrap_or_default()),
        }
    }
}

fn section(
    state: &State,
    format: &Format,
    head: &Commit,
    route: &Route,
    (app, there): (&Name, &AppState),
    past: &Past,
) -> Result<Option<Section>, Error> {
    let here = state.declared(head, &route.to, app)?;
    let before = promoted_before(state, &past.changes(state, head, &format.path(&route.to, app))?, route, app)?;
    let (text, meant) = merged(format, &route.to, app, there, here.as_ref(), &before)?;
    if here.as_ref().is_some_and(|here| here.text == text) {
        return Ok(None);
    }
    let said = provenance::said_of(state, &route.at, &route.from, app, &there.services)?;
    let changes = deployment::changes(here.as_ref().map(|here| &here.services), &meant);
    let mut images: BTreeMap<Name, ImageRef> = said.as_ref().map(|said| said.images.clone()).unwrap_or_default();
    images.extend(changes.into_iter().map(|change| (change.service, change.to)));
    images.retain(|service, image| meant.get(service).and_then(|s| s.image.as_ref()) == Some(image));
    let tests = said.as_ref().map(|said| said.tests.clone()).unwrap_or_default();
    let trailers = Trailers {
        app: app.clone(),
        environment: route.to.clone(),
        source: said.as_ref().and_then(|said| said.source.clone()),
        made: said.as_ref().and_then(|said| said.made),
        images,
        tests: tests.clone(),
        origin: Origin::Promoted { from: route.from.clone(), at: route.at.clone() },
    };
    let section = Section::of(format, here.as_ref(), text, trailers, Evidence { tests, ..Evidence::default() })?;
    let (both, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
        meant.into_iter().partition(|(name, _)| there.services.contains_key(name));
    let stays = draft::settings(app, Some(&both), &there.services);
    Ok(section.map(|section| Section { stays, kept: kept.into_keys().collect(), ..section }))
}

/// What was promoted the last time: what the one environment declared then. Nothing where that cannot be told any more.
fn promoted_before(
    state: &State,
    past: &[Commit],
    route: &Route,
    app: &Name,
) -> Result<BTreeMap<Name, Service>, Error> {
    for commit in past {
        let provenance = provenance::of_commit(state.mirror(), commit.clone())?;
        if let Some(Origin::Promoted { from, at }) = provenance.about(&route.to, app).map(|said| &said.origin)
            && *from == route.from
        {
            // A commit that a forced push took away, or a file that nobody can read any more, tells nothing.
            let declared = state.declared(at, from, app).ok().flatten();
            return Ok(declared.map(|declared| declared.services).unwrap_or_default());
        }
    }
    Ok(BTreeMap::new())
}

/// The declaration with everything that goes along.
fn merged(
    format: &Format,
    to: &Name,
    app: &Name,
    there: &AppState,
    here: Option<&AppState>,
    before: &BTreeMap<Name, Service>,
) -> Result<(String, BTreeMap<Name, Service>), Error> {
    let mut edits = BTreeMap::new();
    let mut settings = Vec::new();
    let mut meant = here.map(|here| here.services.clone()).unwrap_or_default();
    for (name, theirs) in &there.services {
        // What is the same already, whatever it is, is not brought.
        let same = meant.get(name).is_some_and(|ours| ours.image == theirs.image);
        if let Some(image) = theirs.image.clone().filter(|image| !same && image.digest().is_none()) {
            return Err(Error::NoDigest { app: app.clone(), service: name.clone(), image: Box::new(image) });
        }
        let Some(ours) = meant.get(name) else {
            edits.insert(name.clone(), Edit::Add(Box::new(theirs.clone())));
            meant.insert(name.clone(), theirs.clone());
            continue;
        };
        if let Some(image) = theirs.image.clone().filter(|_| theirs.image != ours.image) {
            edits.insert(name.clone(), Edit::Image(image));
        }
        let (result, changed) = service(name, theirs, ours, before.get(name));
        meant.insert(name.clone(), result);
        settings.extend(changed);
    }
    let text = if edits.is_empty() {
        here.map(|here| here.text.clone()).unwrap_or_default()
    } else {
        format.edit(to, app, here.map(|here| here.text.as_str()), &edits)?
    };
    let text = keys::apply(Path::new(&format.path(to, app)), &text, &settings, &meant)?;
    Ok((text, meant))
}

/// A service with what goes along, and the settings that make it so.
fn service(name: &Name, theirs: &Service, ours: &Service, before: Option<&Service>) -> (Service, Vec<Setting>) {
    let fields = |service: &Service| match serde_json::to_value(service).expect("a service is plain data") {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let (theirs, mut result) = (fields(theirs), fields(ours));
    let before = before.map(fields).unwrap_or_default();
    let mut settings = Vec::new();
    let keys: BTreeSet<String> = theirs.keys().chain(result.keys()).cloned().collect();
    for key in keys {
        let (their, our) = (theirs.get(&key), result.get(&key));
        match key.as_str() {
            "env" => {
                let table = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
                let (their, mut our, old) = (table(their), table(our), table(before.get(&key)));
                let names: BTreeSet<String> = their.keys().chain(our.keys()).cloned().collect();
                for variable in names {
                    let (value, mine) = (their.get(&variable), our.get(&variable));
                    if goes_along(value, mine, old.get(&variable)) {
                        settings.push(Setting {
                            service: name.clone(),
                            key: Key::Variable(variable.clone()),
                            value: value.cloned(),
                        });
                        put(&mut our, &variable, value);
                    }
                }
                put(&mut result, &key, Some(&Value::Object(our)));
                continue;
            }
            "image" => {
                put(&mut result, &key, their);
                continue;
            }
            own if OWN.contains(&own) => continue,
            shared if SHARED.contains(&shared) && !goes_along(their, our, before.get(&key)) => continue,
            _ if their == our => continue,
            _ => {}
        }
        settings.push(Setting { service: name.clone(), key: Key::Of(key.clone()), value: their.cloned() });
        put(&mut result, &key, their);
    }
    let service = serde_json::from_value(Value::Object(result)).expect("keys of services make a service");
    (service, settings)
}

/// Whether a value that may be the environment's own goes along: it is other there than here, and here nobody made it another
/// than was brought the last time. A secret that has a name here keeps it.
fn goes_along(theirs: Option<&Value>, ours: Option<&Value>, before: Option<&Value>) -> bool {
    let secret = |value: Option<&Value>| value.is_some_and(Value::is_object);
    theirs != ours && ours == before && !(secret(ours) || (ours.is_some() && secret(theirs)))
}

fn put(table: &mut serde_json::Map<String, Value>, key: &str, value: Option<&Value>) {
    match value {
        Some(value) => drop(table.insert(key.to_owned(), value.clone())),
        None => drop(table.shift_remove(key)),
    }
}
