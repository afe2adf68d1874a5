//! Merges by structure: what is spliced, what clashes, what is left to lines.

mod properties;

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
