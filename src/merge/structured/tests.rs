//! Merges by structure: what is spliced, what clashes, what is left to lines; and that no value is lost.

use proptest::prelude::*;

use super::*;

/// The merge of three texts of a file of that name; clashes as three texts.
fn story(name: &str, texts: [&str; 3]) -> String {
    match merge(Format::of(name).unwrap(), texts, None) {
        None => "by lines".to_owned(),
        Some(Merged::Lines { keys }) => format!("as the lines say, both: {}", keys.join(", ")),
        Some(Merged::Clean(text)) => text,
        Some(Merged::Clash { base, theirs, mine, keys }) => {
            format!("both: {}\n--- mine\n{mine}--- base\n{base}--- theirs\n{theirs}", keys.join(", "))
        }
    }
}

#[test]
fn json() {
    let base =
        "{\n  \"name\": \"shop\",\n  \"scripts\": {\n    \"test\": \"a\"\n  },\n  \"files\": [\"x\", \"y\"]\n}\n";
    let theirs = "{\n  \"name\": \"shop\",\n  \"type\": \"module\",\n  \"scripts\": {\n    \"test\": \"a\",\n    \"lint\": {\n      \"run\": true\n    }\n  },\n  \"files\": [\"x\", \"y\", \"z\"]\n}\n";
    let mine = "{\n    \"name\": \"shop\",\n    \"scripts\": { \"test\": \"a\", \"own\": 1.50 },\n    \"files\": [\"y\", \"w\"]\n}\n";
    insta::assert_snapshot!(story("package.json", [base, theirs, mine]), @r#"
    {
        "name": "shop",
        "type": "module",
        "scripts": { "test": "a", "lint": { "run": true }, "own": 1.50 },
        "files": ["y", "z", "w"]
    }
    "#);
    let mine = "{ \"name\": \"mine\" }";
    insta::assert_snapshot!(story("package.json", [base, &base.replace("shop", "theirs"), mine]), @r#"
    both: name
    --- mine
    { "name": "mine" }--- base
    { "name": "shop" }--- theirs
    { "name": "theirs" }
    "#);
    insta::assert_snapshot!(story("a.json", ["{}", "{\n  \"a\": [\n    1\n  ]\n}\n", "{}\n"]), @r#"
    {
      "a": [
        1
      ]
    }
    "#);
    insta::assert_snapshot!(story("a.json", ["{\"a\": 1, \"b\": 2, \"c\": 3}", "{\"b\": 2}", "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4}"]), @r#"{"b": 2, "d": 4}"#);
    for broken in ["{", "{\"a\": 1, \"a\": 2}", "[1]", "// c\n{}"] {
        assert_eq!(story("a.json", [base, base, broken]), "by lines");
    }
}

#[test]
fn toml() {
    let base = "# head\nname = \"shop\"\n\n[deps]\na = \"1\"\nb = \"1\"\nlist = [\"x\", \"y\"]\n\n[last]\nz = 1\n";
    let theirs = "# head\nname = \"shop\"\nedition = \"2024\" # new\n\n[deps]\na = \"2\"\nlist = [\"x\", \"y\", \"z\"]\n\n# about tools\n[tools]\nt = 1\n\n[tools.more]\nu = 2\n\n[last]\nz = 1\n";
    let mine = "# head\nname = 'shop' # ours\n\n[deps]\na = '1' # pinned\nb = \"1\"\nown = { path = \"x\" }\nlist = [\n    \"y\",\n    \"w\",\n]\n\n[last]\nz = 1\n\n[mine]\nx = 1\n";
    insta::assert_snapshot!(story("Cargo.toml", [base, theirs, mine]), @r#"
    # head
    name = 'shop' # ours
    edition = "2024" # new

    [deps]
    a = "2" # pinned
    own = { path = "x" }
    list = [
        "y",
        "z",
        "w",
    ]

    # about tools
    [tools]
    t = 1

    [tools.more]
    u = 2

    [last]
    z = 1

    [mine]
    x = 1
    "#);
    insta::assert_snapshot!(story("Cargo.toml", [base, &base.replace("a = \"1\"", "a = \"2\""), &base.replace("a = \"1\"", "a = \"3\"")]), @r#"
    both: deps.a
    --- mine
    # head
    name = "shop"

    [deps]
    a = "3"
    b = "1"
    list = ["x", "y"]

    [last]
    z = 1
    --- base
    # head
    name = "shop"

    [deps]
    a = "1"
    b = "1"
    list = ["x", "y"]

    [last]
    z = 1
    --- theirs
    # head
    name = "shop"

    [deps]
    a = "2"
    b = "1"
    list = ["x", "y"]

    [last]
    z = 1
    "#);
    // A comment of the project's on what goes is for a person to decide.
    assert_eq!(story("a.toml", ["a = 1\nb = 1\n", "a = 1\n", "a = 1\n# why\nb = 1\n"]), "by lines");
}

#[test]
fn yaml() {
    let base = "# head\nname: ci\non: [push]\n\njobs:\n  test:\n    runs-on: a\n    steps:\n      - one\n      - two\n  old:\n    x: 1\n";
    let theirs = "# head\nname: ci\non: [push]\n\nenv:\n  A: 1\n\njobs:\n  # checks\n  lint:\n    runs-on: a\n    script: |\n      a\n\n      # b\n  test:\n    runs-on: b\n    steps:\n      - one\n      - two\n      - three\n";
    let mine = "# head\nname: ci\non: [push]\n\njobs:\n    test:\n        runs-on: a # why\n        steps:\n        - zero\n        - two # ours\n        - one\n    old:\n        x: 1\n    own: 'it'\n# the end\n";
    insta::assert_snapshot!(story("ci.yml", [base, theirs, &mine.replace("        - one\n", "")]), @r"
    # head
    name: ci
    on: [push]

    env:
      A: 1

    jobs:
        # checks
        lint:
          runs-on: a
          script: |
            a

            # b
        test:
            runs-on: b # why
            steps:
            - zero
            - two # ours
            - three
        own: 'it'
    # the end
    ");
    insta::assert_snapshot!(story("ci.yml", [base, &base.replace("runs-on: a", "runs-on: b"), &base.replace("runs-on: a", "runs-on: c")]), @r"
    both: jobs.test.runs-on
    --- mine
    # head
    name: ci
    on: [push]

    jobs:
      test:
        runs-on: c
        steps:
          - one
          - two
      old:
        x: 1
    --- base
    # head
    name: ci
    on: [push]

    jobs:
      test:
        runs-on: a
        steps:
          - one
          - two
      old:
        x: 1
    --- theirs
    # head
    name: ci
    on: [push]

    jobs:
      test:
        runs-on: b
        steps:
          - one
          - two
      old:
        x: 1
    ");
    assert_eq!(story("ci.yml", [base, theirs, mine]), "by lines", "the list has another order");
    for broken in ["a: &x 1\nb: *x\n", "a: 1\n---\nb: 1\n", "a: 1\na: 2\n", "? [a]\n: 1\n", "a: [", "- a\n"] {
        assert_eq!(story("a.yml", [base, base, broken]), "by lines");
    }
}

#[test]
fn dotenv() {
    let base = "# head\nA=1\nB=1\n\n# about c\nC=\"x\ny\"\n";
    let theirs = "# head\nA=2\n# new\nN=1\n\n# about c\nC=\"x\ny\"\n";
    let mine = "# head\nA=1\nB=1\n\n# about c\nC=\"x\nz\"\nexport OWN=1\n";
    insta::assert_snapshot!(story(".env", [base, theirs, mine]), @r#"
    # head
    A=2
    # new
    N=1

    # about c
    C="x
    z"
    export OWN=1
    "#);
    insta::assert_snapshot!(story(".env.example", [base, theirs, &mine.replace("A=1", "A=3")]), @r#"
    both: A
    --- mine
    # head
    A=3
    # new
    N=1

    # about c
    C="x
    z"
    export OWN=1
    --- base
    # head
    A=1
    # new
    N=1

    # about c
    C="x
    z"
    export OWN=1
    --- theirs
    # head
    A=2
    # new
    N=1

    # about c
    C="x
    z"
    export OWN=1
    "#);
}

#[test]
fn names_tell_the_format() {
    use Format::{Dotenv, Ignore, Json, Toml, Yaml};

    let formats =
        [".env.example", "prod.env", ".dockerignore", "package.json", "a.YAML", "Cargo.toml", "a.jsonc", "envs"]
            .map(Format::of);
    assert_eq!(formats, [Some(Dotenv), Some(Dotenv), Some(Ignore), Some(Json), Some(Yaml), Some(Toml), None, None]);
}

/// A document: keys with scalars, lists of scalars, and maps.
fn document(depth: u32) -> BoxedStrategy<Value> {
    let scalar = prop::sample::select(vec!["1", "2", "3"]).prop_map(|text| Value::Scalar(text.to_owned()));
    let list = prop::sample::subsequence(vec!["7", "8", "9"], 1..=3)
        .prop_map(|list| Value::List(list.into_iter().map(|text| Value::Scalar(text.to_owned())).collect()));
    let leaf = prop_oneof![3 => scalar, 1 => list];
    let value = if depth == 0 { leaf.boxed() } else { prop_oneof![2 => leaf, 1 => document(depth - 1)].boxed() };
    let keys = prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..=5).prop_shuffle();
    (keys, prop::collection::vec(value, 5))
        .prop_map(|(keys, values)| Value::Map(keys.into_iter().map(str::to_owned).zip(values).collect()))
        .boxed()
}

/// Writes a document in a format; with a comment on every key.
fn write(format: Format, value: &Value, indent: &str, comment: &str, path: &str, out: &mut String) {
    let Value::Map(map) = value else { return };
    let inline = |value: &Value| match value {
        Value::List(list) => {
            let list: Vec<&str> =
                list.iter().map(|one| if let Value::Scalar(text) = one { text.as_str() } else { "" }).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Scalar(text) => text.clone(),
        Value::Map(_) => String::new(),
    };
    let (maps, leaves): (Vec<_>, Vec<_>) = map.iter().partition(|(_, value)| value.map().is_some());
    match format {
        Format::Json => {
            let inner = format!("{indent}  ");
            let members: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    let mut text = inline(value);
                    if value.map().is_some() {
                        write(format, value, &inner, comment, "", &mut text);
                    }
                    format!("{inner}\"{key}\": {text}")
                })
                .collect();
            *out += &format!("{{\n{}\n{indent}}}", members.join(",\n"));
        }
        Format::Toml => {
            for (key, value) in leaves {
                *out += &format!("{key} = {}{comment}\n", inline(value));
            }
            for (key, value) in maps {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                *out += &format!("\n[{path}]{comment}\n");
                write(format, value, "", comment, &path, out);
            }
        }
        _ => {
            for (key, value) in map {
                match value {
                    Value::Map(_) => {
                        *out += &format!("{indent}{key}:{comment}\n");
                        write(format, value, &format!("{indent}  "), comment, "", out);
                    }
                    Value::List(list) => {
                        *out += &format!("{indent}{key}:{comment}\n");
                        for one in list {
                            *out += &format!("{indent}- {}\n", inline(one));
                        }
                    }
                    Value::Scalar(text) => *out += &format!("{indent}{key}: {text}{comment}\n"),
                }
            }
        }
    }
}

/// The merge, said once more and plainly: which keys clash, and the rest.
fn model(base: Option<&Value>, theirs: &Value, mine: &Value, path: &str, clashes: &mut Vec<String>) -> Value {
    let mut keys: Vec<&String> =
        [theirs, mine].iter().flat_map(|side| side.map().unwrap().iter().map(|(key, _)| key)).collect();
    keys.sort();
    keys.dedup();
    let mut merged = Vec::new();
    for key in keys {
        let (old, new, own) = (base.and_then(|base| base.get(key)), theirs.get(key), mine.get(key));
        let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
        let value = match (old, new, own) {
            _ if new == old || new == own => own.cloned(),
            (_, Some(new @ Value::Map(_)), Some(own @ Value::Map(_))) => Some(model(old, new, own, &path, clashes)),
            (Some(Value::List(old)), Some(Value::List(new)), Some(Value::List(own))) => {
                let has = |one: &&str| {
                    let one = &Value::Scalar((*one).to_owned());
                    if old.contains(one) {
                        new.contains(one) && own.contains(one)
                    } else {
                        new.contains(one) || own.contains(one)
                    }
                };
                let all = ["7", "8", "9"].iter().filter(|one| has(one)).map(|one| Value::Scalar((*one).to_owned()));
                Some(Value::List(all.collect()))
            }
            _ if own == old => new.cloned(),
            _ => {
                clashes.push(path);
                own.cloned()
            }
        };
        merged.extend(value.map(|value| (key.clone(), value)));
    }
    Value::Map(merged)
}

/// A value with its lists in one order: where both sides add, either may come first.
fn sorted(value: &Value) -> Value {
    match value {
        Value::List(list) => {
            let mut list: Vec<Value> = list.iter().map(sorted).collect();
            list.sort_by_key(|one| format!("{one:?}"));
            Value::List(list)
        }
        Value::Map(map) => Value::Map(map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect()),
        Value::Scalar(text) => Value::Scalar(text.trim().to_owned()),
    }
}

fn value_in(format: Format, text: &str) -> Value {
    sorted(&match format {
        Format::Json => json::Json::read(text).unwrap().value(),
        Format::Toml => toml::Toml::read(text).unwrap().value(),
        _ => yaml::Yaml::read(text).unwrap().value(),
    })
}

proptest! {
    #[test]
    fn every_value_is_there(
        values in prop::array::uniform3(document(2)),
        format in prop::sample::select(vec![Format::Json, Format::Toml, Format::Yaml])
    ) {
        let [base, theirs, mine] = &values;
        let text = |value, comment| {
            let mut text = String::new();
            write(format, value, "", if format == Format::Json { "" } else { comment }, "", &mut text);
            text + if format == Format::Json { "\n" } else { "" }
        };
        let texts = [text(base, ""), text(theirs, ""), text(mine, "")];
        let mut clashes = Vec::new();
        let wanted = sorted(&model(Some(base), theirs, mine, "", &mut clashes));
        let texts = texts.each_ref().map(String::as_str);
        match merge(format, texts, None) {
            Some(Merged::Clean(text)) => {
                prop_assert!(clashes.is_empty());
                prop_assert_eq!(value_in(format, &text), wanted, "{}", text);
            }
            Some(Merged::Clash { mine, mut keys, .. }) => {
                keys.sort();
                clashes.sort();
                prop_assert_eq!(keys, clashes);
                prop_assert_eq!(value_in(format, &mine), wanted, "{}", mine);
            }
            Some(Merged::Lines { .. }) => panic!("none were given"),
            // A block of YAML that loses its last key is no map any more.
            None => prop_assert!(format == Format::Yaml && !clashes.is_empty(), "{}", texts.join("---\n")),
        }
    }

    #[test]
    fn no_comment_is_lost(
        values in prop::array::uniform3(document(2)),
        format in prop::sample::select(vec![Format::Toml, Format::Yaml])
    ) {
        let [base, theirs, mine] = &values;
        let text = |value, comment| {
            let mut text = String::new();
            write(format, value, "", comment, "", &mut text);
            text
        };
        let mine = text(mine, " # ours");
        if let Some(Merged::Clean(merged)) = merge(format, [&text(base, ""), &text(theirs, ""), &mine], None) {
            let ours = |text: &str| text.matches("# ours").count();
            prop_assert!(ours(&merged) >= ours(&mine), "{}\n---\n{}", mine, merged);
        }
    }

    #[test]
    fn nothing_makes_it_panic(
        texts in prop::array::uniform3("([a-c\"'{}\\[\\]:,#=&*!|>\\- ?\n]|é){0,30}"),
        format in prop::sample::select(vec![Format::Json, Format::Toml, Format::Yaml, Format::Ignore, Format::Dotenv])
    ) {
        let _ = merge(format, texts.each_ref().map(String::as_str), None);
    }
}
