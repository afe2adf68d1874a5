//! What a document says, whatever its format; what changed between three of them, and what of it clashes.

use std::collections::HashMap;

/// A value. Of maps the order of keys is known, and says nothing.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Anything that has no parts, in a form that is equal where it says the same.
    Scalar(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(one), Self::Scalar(other)) => one == other,
            (Self::List(one), Self::List(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => {
                let sorted = |map: &'_ [(String, Self)]| {
                    let mut order: Vec<usize> = (0..map.len()).collect();
                    order.sort_by(|a, b| map[*a].0.cmp(&map[*b].0));
                    order
                };
                one.len() == other.len() && sorted(one).into_iter().zip(sorted(other)).all(|(a, b)| one[a] == other[b])
            }
            _ => false,
        }
    }
}

/// What to do with a value; its parts come from another document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Patch {
    /// Make it what the other document has there; where that has nothing, take it away.
    Take,
    /// The keys of a map that change.
    Inside(Vec<(String, Patch)>),
    /// The elements that a list loses and gets.
    Elements { gone: Vec<Value>, new: Vec<Value> },
}

/// What a merge comes to.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the project's document gets from the template's.
    pub(super) patch: Patch,
    /// What both changed to different things: to take it from one of them.
    pub(super) clashes: Patch,
    /// The names of those: `scripts.test`.
    pub(super) keys: Vec<String>,
}

/// Where something new goes in a list: after what it follows in the other one, else before what follows it there.
pub(super) fn place<T: PartialEq>(current: &[T], from: &[T], new: &T) -> usize {
    let Some(at) = from.iter().position(|one| one == new) else { return current.len() };
    let here = |one: &T| current.iter().position(|known| known == one);
    let after = from[..at].iter().rev().find_map(here).map(|before| before + 1);
    after.or_else(|| from[at + 1..].iter().find_map(here)).unwrap_or(current.len())
}

impl Value {
    pub(super) fn map(&self) -> Option<&[(String, Self)]> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// What a value is with a patch.
    pub(super) fn patched(&self, patch: &Patch, from: &Self) -> Self {
        match (patch, self) {
            (Patch::Inside(patches), Self::Map(map)) => {
                let mut map = map.clone();
                for (key, patch) in patches {
                    let at = map.iter().position(|(name, _)| name == key);
                    match (patch, at, from.get(key)) {
                        (Patch::Take, Some(at), None) => drop(map.remove(at)),
                        (Patch::Take, Some(at), Some(new)) => map[at].1 = new.clone(),
                        (Patch::Take, None, Some(new)) => map.push((key.clone(), new.clone())),
                        // Where the other document has no map, it has none of its keys.
                        (_, Some(at), new) => {
                            map[at].1 = map[at].1.patched(patch, new.unwrap_or(&Self::Map(Vec::new())));
                        }
                        _ => {}
                    }
                }
                Self::Map(map)
            }
            (Patch::Elements { gone, new }, Self::List(list)) => {
                let mut list: Vec<Self> = list.iter().filter(|one| !gone.contains(one)).cloned().collect();
                let Self::List(from) = from else { return self.clone() };
                for one in new {
                    list.insert(place(&list, from, one), one.clone());
                }
                Self::List(list)
            }
            (Patch::Take, _) => from.clone(),
            _ => self.clone(),
        }
    }
}

/// Compares three maps. None: something changed on both sides in a way that only lines can show.
pub(super) fn plan(base: &Value, theirs: &Value, mine: &Value) -> Option<Plan> {
    let mut keys = Vec::new();
    let (patches, clashes) = maps(Some(base), theirs.map()?, mine.map()?, "", &mut keys)?;
    Some(Plan { patch: Patch::Inside(patches), clashes: Patch::Inside(clashes), keys })
}

fn index(map: &[(String, Value)]) -> HashMap<&str, &Value> {
    map.iter().map(|(key, value)| (key.as_str(), value)).collect()
}

type Patches = Vec<(String, Patch)>;

fn maps(
    base: Option<&Value>,
    theirs: &[(String, Value)],
    mine: &[(String, Value)],
    name: &str,
    keys: &mut Vec<String>,
) -> Option<(Patches, Patches)> {
    let base = base.and_then(Value::map).unwrap_or_default();
    let (of_base, of_theirs, of_mine) = (index(base), index(theirs), index(mine));
    let (mut patches, mut clashes) = (Vec::new(), Vec::new());
    let new = theirs.iter().filter(|(key, _)| !of_mine.contains_key(key.as_str()));
    for (key, _) in mine.iter().chain(new) {
        let [old, new, own] = [&of_base, &of_theirs, &of_mine].map(|map| map.get(key.as_str()).copied());
        if new == old || new == own {
            continue;
        }
        let whole = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match (old, new, own) {
            // Maps are merged key by key even if only the template changed them: what is not a key of them stays.
            (_, Some(Value::Map(new)), Some(Value::Map(own))) => {
                let (inside, clashing) = maps(old, new, own, &whole, keys)?;
                if !inside.is_empty() {
                    patches.push((key.clone(), Patch::Inside(inside)));
                }
                if !clashing.is_empty() {
                    clashes.push((key.clone(), Patch::Inside(clashing)));
                }
            }
            (Some(Value::List(listed)), Some(Value::List(new)), Some(Value::List(here))) => {
                let patch = elements(listed, new, here).or((own == old).then_some(Patch::Take))?;
                patches.push((key.clone(), patch));
            }
            _ if own == old => patches.push((key.clone(), Patch::Take)),
            _ => {
                clashes.push((key.clone(), Patch::Take));
                keys.push(whole);
            }
        }
    }
    let work = (patches.len() + clashes.len()).saturating_mul(theirs.len() + mine.len());
    (work <= WORK).then_some((patches, clashes))
}

/// The most keys that are compared to find a place for each of them in one map.
const WORK: usize = 2_000_000;

/// The most elements of a list that is merged by element.
const LONG: usize = 1000;

/// What a list of scalars gets and loses, if both sides only added and took away.
fn elements(base: &[Value], theirs: &[Value], mine: &[Value]) -> Option<Patch> {
    for list in [base, theirs, mine] {
        if list.len() > LONG {
            return None;
        }
        let scalars: Vec<&str> = list
            .iter()
            .map(|one| if let Value::Scalar(text) = one { Some(text.as_str()) } else { None })
            .collect::<Option<_>>()?;
        let distinct: std::collections::HashSet<_> = scalars.iter().collect();
        if distinct.len() != scalars.len() {
            return None;
        }
    }
    let in_order = |side: &[Value]| {
        let kept: Vec<_> = side.iter().filter(|one| base.contains(one)).collect();
        kept == base.iter().filter(|one| side.contains(one)).collect::<Vec<_>>()
    };
    if !in_order(theirs) || !in_order(mine) {
        return None;
    }
    let gone = base.iter().filter(|one| !theirs.contains(one) && mine.contains(one)).cloned().collect();
    let new = theirs.iter().filter(|one| !base.contains(one) && !mine.contains(one)).cloned().collect();
    Some(Patch::Elements { gone, new })
}
