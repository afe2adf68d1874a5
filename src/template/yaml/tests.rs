use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;

/// What `PyYAML` makes of these: printed by `yaml.safe_load`.
#[test]
fn plain_scalars_mean_what_they_meant_in_yaml_1_1() {
    let cases = [
        ("yes", json!(true)),
        ("Yes", json!(true)),
        ("on", json!(true)),
        ("OFF", json!(false)),
        ("no", json!(false)),
        ("y", json!("y")),
        ("n", json!("n")),
        ("yEs", json!("yEs")),
        ("true", json!(true)),
        ("'yes'", json!("yes")),
        ("010", json!(8)),
        ("08", json!("08")),
        ("0o10", json!("0o10")),
        ("0b101", json!(5)),
        ("0x1F", json!(31)),
        ("-0x1f", json!(-31)),
        ("1_000", json!(1000)),
        ("+12", json!(12)),
        ("1:30", json!(90)),
        ("190:20:30", json!(685_230)),
        ("1:30.5", json!(90.5)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("1.5e+3", json!(1500.0)),
        ("1.5e3", json!("1.5e3")),
        ("1e5", json!("1e5")),
        ("8.10", json!(8.1)),
        ("~", json!(null)),
        ("Null", json!(null)),
        ("nUll", json!("nUll")),
        ("", json!(null)),
        ("2024-01-31", json!("2024-01-31")),
        ("2001-12-14t21:59:43.10-05:00", json!("2001-12-14 21:59:43.100000-05:00")),
        ("2001-12-14 21:59:43", json!("2001-12-14 21:59:43")),
        ("2001-12-15T02:59:43.1Z", json!("2001-12-15 02:59:43.100000+00:00")),
        ("1.2.3", json!("1.2.3")),
        ("18446744073709551615", json!(u64::MAX)),
        ("!!str yes", json!("yes")),
        ("!!int '3'", json!(3)),
        ("{a: yes, 1: [on, x]}", json!({"a": true, "1": [true, "x"]})),
        ("{true: 1, null: 2}", json!({"True": 1, "None": 2})),
        ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
        (
            "d: &x {b: 1, c: 2}\ne:\n  <<: *x\n  c: 3\n  f: 4",
            json!({"d": {"b": 1, "c": 2}, "e": {"b": 1, "c": 3, "f": 4}}),
        ),
        ("{<<: [{a: 1, b: 1}, {a: 2, c: 2}], d: 4}", json!({"a": 1, "c": 2, "b": 1, "d": 4})),
        ("a: 1\na: 2", json!({"a": 2})),
        ("a: |\n  x\n   y\nb: >-\n  x\n  y\n", json!({"a": "x\n y\n", "b": "x y"})),
        ("# nothing", json!(null)),
        ("\u{feff}a: ü", json!({"a": "ü"})),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
    }
}

#[test]
fn mistakes_say_where_they_are() {
    let error = |text: &str| parse(text).unwrap_err().to_string();
    insta::assert_snapshot!(error("a: 1\nb: {{ x }}\n"), @"line 2, column 5: a list or a table cannot be a key; quote a text that begins with `{`");
    insta::assert_snapshot!(error("a: [1, 2\nb: 3\n"), @"line 2, column 2: illegal placement of ':' indicator");
    insta::assert_snapshot!(error("a: 1\n---\nb: 2\n"), @"line 3, column 1: expected one document, and there is another");
    insta::assert_snapshot!(error("a: *nope\n"), @"line 1, column 4: while parsing node, found unknown anchor");
    insta::assert_snapshot!(error("a: &x [*x]\n"), @"line 1, column 8: an alias of what it lies in");
    insta::assert_snapshot!(error("a:\n  b: !python/object:os.system x\n"), @"line 2, column 6: the tag `!python/object:os.system` has no meaning here");
    insta::assert_snapshot!(error("a: 1\nb: \u{1b}[31m\n"), @"line 2, column 4: a control character");
    insta::assert_snapshot!(error("a: 2024-13-01\n"), @"line 1, column 4: `2024-13-01` is no date");
    insta::assert_snapshot!(error("a: 99999999999999999999999\n"), @"line 1, column 4: `99999999999999999999999` is no number of 64 bits");
    insta::assert_snapshot!(error("a: {<<: 1}\n"), @"line 1, column 9: expected a table, or a list of tables, to merge");
}

#[test]
fn what_is_written_to_blow_up_is_refused() {
    let nested = "[".repeat(100_000);
    let deep = format!("{}1", "- ".repeat(500));
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let one = format!("*a{}, ", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", one.repeat(10)));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(1000));
    let mut merges = "a0: &a0 {x: 1}\n".to_owned();
    for level in 1..30 {
        merges.push_str(&format!("a{level}: &a{level} {{<<: [*a{0}, *a{0}]}}\n", level - 1));
    }
    let large = format!("a: {}", "x".repeat(CAP));
    for text in [nested, deep, laughs, long, merges, large] {
        let error = parse(&text).unwrap_err();
        assert!(error.message.len() < 400, "{error}");
    }
}

#[test]
fn places_are_lines_and_columns() {
    let documents = parse_all("a: 1\nb:\n  c: x\n---\nd: !include x.yml\n").unwrap();
    let c = documents[0].get("b").unwrap().get("c").unwrap();
    assert_eq!((c.line, c.column), (3, 6));
    let included = documents[1].get("d").unwrap();
    assert_eq!((included.line, included.content.clone()), (5, Content::Tagged("!include".into(), "x.yml".into())));
}

/// What `copier._user_data.parse_yaml_list` makes of them.
#[test]
fn items_of_a_list_stay_as_they_are_written() {
    let cases = [
        ("[a, b]", vec!["a", "b"]),
        ("['1', \"x y\", 2]", vec!["1", "x y", "2"]),
        ("- yes\n- {a: 1}\n- [ü, 2]\n", vec!["yes", "{a: 1}", "[ü, 2]"]),
        ("- a: 1\n  b: 2\n- - x\n  - y\n- z\n", vec!["a: 1\n  b: 2", "- x\n  - y", "z"]),
        ("[]", vec![]),
    ];
    for (text, expected) in cases {
        assert_eq!(items(text).unwrap().unwrap(), expected, "{text}");
    }
    assert_eq!(items("a, b"), Ok(None));
    assert_eq!(items("{a: 1}"), Ok(None));
    assert!(items("[a").is_err());
}

#[test]
fn values_are_written_as_pyyaml_writes_them() {
    let value = json!({
        "_commit": "v1.0", "_src_path": "gh:a/b", "yes": true, "text": "yes", "number": "010", "empty": "", "none": null,
        "float": 1e16, "small": 0.000_01, "part": 1.5, "list": ["a", ["b", []], {"c": 1, "d": {}}], "lines": "a\nb\n",
        "quote": "it's: #1", "long": "word ".repeat(30), "wide": "ü ☃ 😀", "tab": "a\tb", "1": "x", "blank": " x",
        "a key: that is quoted": "-", "date": "2024-01-01",
    });
    insta::assert_snapshot!(dump(&value), @r#"
    _commit: v1.0
    _src_path: gh:a/b
    'yes': true
    text: 'yes'
    number: '010'
    empty: ''
    none: null
    float: 1.0e+16
    small: 1.0e-05
    part: 1.5
    list:
    - a
    - - b
      - []
    - c: 1
      d: {}
    lines: 'a

      b

      '
    quote: 'it''s: #1'
    long: 'word word word word word word word word word word word word word word word
      word word word word word word word word word word word word word word word '
    wide: ü ☃ 😀
    tab: "a\tb"
    '1': x
    blank: ' x'
    'a key: that is quoted': '-'
    date: '2024-01-01'
    "#);
    assert_eq!(dump(&json!("x")), "x\n...\n");
    assert_eq!(dump(&json!("yes")), "'yes'\n");
    assert_eq!(dump(&json!([])), "[]\n");
    let flow = Style { flow: None, ..Style::default() };
    assert_eq!(dump_with(&json!({"b": [1, 2], "a": {"c": 1}}), flow), "a: {c: 1}\nb: [1, 2]\n");
}

/// Texts with everything in them that YAML has a meaning for.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-z ]{70,140}",
        "(\n| |a|'|\"|:|#|-|\\\\|\u{85}|ü|\t|☃|😀|\u{2028}|\r|\u{1b}){0,14}",
        "[0-9._:eE+x-]{1,8}",
        prop::sample::select(vec![
            "yes",
            "No",
            "~",
            "null",
            "<<",
            "=",
            "010",
            "1:30",
            "1_000",
            ".inf",
            "---",
            "? a",
            "2024-01-01"
        ])
        .prop_map(str::to_owned),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![-1e3..1e3_f64, any::<f64>().prop_filter("finite", |number| number.is_finite())]
            .prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in values()) {
        // Breaks that YAML 1.2 does not have are escaped or folded by PyYAML and read by it alone.
        let text = serde_json::to_string(&value).unwrap();
        prop_assume!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}']));
        // The parser takes the last dash of `[a -]` for the beginning of an item, which YAML does not.
        prop_assume!(!text.contains(" -\""));
        for style in styles() {
            let text = dump_with(&value, style);
            let read = parse(&text);
            prop_assert!(read.as_ref().is_ok_and(|read| *read == value), "{text}\n{read:?}");
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in texts(), other in ".{0,60}") {
        let _ = parse(&text);
        let _ = items(&other);
        let _ = parse(&other);
    }
}

fn styles() -> [Style; 5] {
    let plain = Style::default();
    [
        Style { sort_keys: false, unicode: true, ..plain },
        plain,
        Style { indent: 4, flow: None, unicode: true, ..plain },
        Style { width: 20, flow: Some(true), ..plain },
        Style { width: 30, indent: 3, unicode: true, ..plain },
    ]
}

const ORACLE: &str = r#"
import json, sys, yaml
for line in sys.stdin:
    kind, data, options = json.loads(line)
    if kind == "dump":
        print(json.dumps(yaml.safe_dump(data, **options)))
    else:
        try:
            value = yaml.safe_load(data)
            print(json.dumps({"value": value}, default=str, allow_nan=False))
        except Exception as error:
            print(json.dumps({"error": str(error)}))
"#;

/// The answers of a Python that has `PyYAML`; none where there is no such Python.
fn oracle(questions: &[Value]) -> Option<Vec<Value>> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    if !python.exists() {
        return None;
    }
    let mut child =
        Command::new(python).args(["-c", ORACLE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn pyyaml_writes_the_same() {
    let mut runner = TestRunner::deterministic();
    let strategy = values();
    let samples: Vec<Value> = (0..600).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let cases: Vec<(&Value, Style)> = samples.iter().flat_map(|value| styles().map(|style| (value, style))).collect();
    let questions: Vec<Value> = cases
        .iter()
        .map(|(value, style)| {
            let options = json!({
                "indent": style.indent, "width": style.width, "sort_keys": style.sort_keys,
                "default_flow_style": style.flow, "allow_unicode": style.unicode,
            });
            json!(["dump", value, options])
        })
        .collect();
    let Some(expected) = oracle(&questions) else { return };
    assert_eq!(expected.len(), cases.len());
    for ((value, style), expected) in cases.into_iter().zip(expected) {
        assert_eq!(dump_with(value, style), expected.as_str().unwrap(), "{value} {style:?}");
    }
}

#[test]
fn pyyaml_reads_the_same() {
    let mut runner = TestRunner::deterministic();
    let scalar = prop_oneof!["[-+]?[0-9._:xbe]{1,7}", "[yYnNoOfFtTrueslaN~]{1,5}", "[0-9]{4}-[0-9]{2}-[0-9]{2}"];
    let mut samples: Vec<String> = (0..3000).map(|_| scalar.new_tree(&mut runner).unwrap().current()).collect();
    let strategy = values();
    samples.extend((0..400).map(|_| dump(&strategy.new_tree(&mut runner).unwrap().current())));
    let questions: Vec<Value> = samples.iter().map(|text| json!(["load", text, {}])).collect();
    let Some(expected) = oracle(&questions) else { return };
    for (text, expected) in samples.iter().zip(expected) {
        // Line breaks of YAML 1.1 that 1.2 does not have, and numbers that JSON does not have.
        let other =
            text.contains(['\u{85}', '\u{2028}', '\u{2029}']) || expected.to_string().contains("JSON compliant");
        if other {
            continue;
        }
        match (parse(text), expected.get("value")) {
            (Ok(read), Some(expected)) => assert_eq!(read, *expected, "{text}"),
            // YAML 1.2 takes a few texts that 1.1 does not.
            (_, None) => {}
            (read, _) => panic!("{text:?}: {read:?}, PyYAML: {expected}"),
        }
    }
}
