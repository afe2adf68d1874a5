//! Filters, tests and functions that templates know beside minijinja's: Jinja's, Ansible's, Copier's, Cookiecutter's.

#![allow(clippy::unnecessary_wraps, reason = "filters have one shape, whether they can fail or not")]

mod data;
mod hash;
mod json;
mod numbers;
mod paths;
mod regex;
mod time;
mod words;
mod yaml;

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::args::{Args, fail};
use super::{format, globals, mutable, rewrite, scope};

type Filter = fn(&State, &Value, &Args<'_>) -> Result<Value, Error>;

/// Name, most arguments by position, what it does.
const FILTERS: &[(&str, usize, Filter)] = &[
    (ITEMS, 0, json::items),
    ("b64decode", 1, hash::b64decode),
    ("b64encode", 1, hash::b64encode),
    ("basename", 0, paths::basename),
    ("bool", 0, data::bool),
    ("center", 1, words::center),
    ("checksum", 0, hash::sha1),
    ("combine", 100, data::combine),
    ("comment", 1, words::comment),
    ("dict2items", 2, data::dict2items),
    ("dirname", 0, paths::dirname),
    ("e", 0, words::escape),
    ("escape", 0, words::escape),
    ("extract", 2, data::extract),
    ("filesizeformat", 1, words::filesizeformat),
    ("float", 1, numbers::float),
    ("flatten", 1, data::flatten),
    ("forceescape", 0, words::forceescape),
    ("from_json", 0, json::from_json),
    ("from_yaml", 0, yaml::from_yaml),
    ("from_yaml_all", 0, yaml::from_yaml_all),
    ("hash", 1, hash::hash),
    ("human_readable", 1, words::filesizeformat),
    ("indent", 3, words::indent),
    ("int", 2, numbers::int),
    ("items2dict", 2, data::items2dict),
    ("jsonify", 1, json::jsonify),
    ("md5", 0, hash::md5),
    ("pprint", 1, data::pprint),
    ("quote", 0, words::quote),
    ("regex_escape", 1, regex::escape),
    ("regex_findall", 3, regex::findall),
    ("regex_replace", 3, regex::replace),
    ("regex_search", 100, regex::search),
    ("relpath", 1, paths::relpath),
    ("sha1", 0, hash::sha1),
    ("slugify", 13, words::slugify),
    ("splitext", 0, paths::splitext),
    ("strftime", 1, time::strftime),
    ("subelements", 2, data::subelements),
    ("ternary", 3, data::ternary),
    ("to_datetime", 1, time::to_datetime),
    ("to_json", 0, json::to_json),
    ("to_nice_json", 2, json::to_nice_json),
    ("to_nice_yaml", 1, yaml::to_nice_yaml),
    ("to_uuid", 0, hash::to_uuid),
    ("to_yaml", 0, yaml::to_yaml),
    ("tojson", 1, json::tojson),
    ("truncate", 4, words::truncate),
    ("type_debug", 0, data::type_debug),
    ("urlencode", 0, words::urlencode),
    ("urlize", 5, words::urlize),
    ("win_basename", 0, paths::win_basename),
    ("win_dirname", 0, paths::win_dirname),
    ("win_splitdrive", 0, paths::win_splitdrive),
    ("wordcount", 0, words::wordcount),
    ("wordwrap", 4, words::wordwrap),
    ("xmlattr", 1, words::xmlattr),
];

/// The filter that shows what a `yield` goes over, as JSON.
pub const ITEMS: &str = "__items";

/// Filters for which an undefined value is a value.
const OF_NOTHING: &[&str] = &["type_debug", "regex_replace"];

/// Filters and functions that are refused, with the reason.
const RANDOM: &str = "what it makes differs each time, so that a project could not be updated";
const OUTSIDE: &str = "it reads the machine's files or variables";
const REFUSED_FILTERS: &[(&str, &str)] = &[
    ("ans_random", RANDOM),
    ("random", RANDOM),
    ("random_mac", RANDOM),
    ("shuffle", RANDOM),
    ("expanduser", OUTSIDE),
    ("expandvars", OUTSIDE),
    ("fileglob", OUTSIDE),
    ("realpath", OUTSIDE),
];
const REFUSED_FUNCTIONS: &[(&str, &str)] =
    &[("random_ascii_string", RANDOM), ("uuid4", RANDOM), ("make_secret", RANDOM), ("lipsum", RANDOM)];

/// Adds them.
pub fn add(environment: &mut Environment<'_>) {
    for (name, most, filter) in FILTERS {
        add_filter(environment, name, *most, filter);
    }
    for name in ["union", "intersect", "difference", "symmetric_difference"] {
        add_filter(environment, name, 1, data::sets(name));
    }
    environment.add_filter("mandatory", |state: &State, value: &Value, args: Rest<ValueOrKwargs>| {
        data::mandatory(state, value, &Args::new("mandatory", &args.into_values(), 1)?)
    });
    environment.add_filter(rewrite::PERCENT, format::percent);
    environment.add_filter("format", |state: &State, text: &str, args: Rest<ValueOrKwargs>| {
        let args = args.into_values();
        match args.as_slice() {
            [one] if one.is_kwargs() => format::percent(state, &text.into(), one),
            _ => format::percent(state, &text.into(), &Value::from(minijinja::value::Tuple::from(args))),
        }
    });
    environment.add_function(rewrite::CHANGEABLE, |value: &Value| mutable::literal(value));
    environment.add_function(rewrite::NOW, |args: Rest<Value>| time::now_tag(&args));
    environment.add_function("now", time::now);
    environment.add_filter("striptags", minijinja_contrib::filters::striptags);
    environment.add_function("cycler", globals::cycler);
    environment.add_function("joiner", globals::joiner);
    environment.add_function("pathjoin", pathjoin);
    scope::add(environment);
    // In Python, texts and tables are counted and indexed, too.
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
    });
    environment.add_test("callable", globals::is_callable);
    for (name, why) in REFUSED_FILTERS {
        environment.add_filter(*name, move |_: &Value, _: Rest<ValueOrKwargs>| refused(name, why));
    }
    for (name, why) in REFUSED_FUNCTIONS {
        environment.add_function(*name, move |_: Rest<ValueOrKwargs>| refused(name, why));
    }
}

fn add_filter<F>(environment: &mut Environment<'_>, name: &'static str, most: usize, filter: F)
where
    F: Fn(&State, &Value, &Args<'_>) -> Result<Value, Error> + Send + Sync + 'static,
{
    environment.add_filter(name, move |state: &State, value: &Value, args: Rest<ValueOrKwargs>| {
        let strict = state.undefined_behavior() == UndefinedBehavior::Strict && !OF_NOTHING.contains(&name);
        if strict && value.is_undefined() {
            return Err(Error::new(ErrorKind::UndefinedError, format!("what `{name}` is given is undefined")));
        }
        filter(state, value, &Args::new(name, &args.into_values(), most)?)
    });
}

fn refused(name: &str, why: &str) -> Result<Value, Error> {
    Err(fail(format!("`{name}` is refused: {why}")))
}

/// `pathjoin('a', 'b', mode='posix')` of Copier.
fn pathjoin(args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let args = args.into_values();
    let positional = args.iter().take_while(|arg| !arg.is_kwargs()).map(ToString::to_string).collect::<Vec<_>>();
    let windows = Args::new("pathjoin", &args, usize::MAX)?.text(usize::MAX, "mode")?.as_deref() == Some("windows");
    Ok(paths::pathjoin(&positional, windows))
}
