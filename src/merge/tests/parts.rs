//! Parts of files: regions that the project keeps, files that are merged by their structure.

use super::*;

#[test]
fn regions_are_the_projects() {
    insta::assert_snapshot!(story(
        &[("a", "1\n# onramp:keep begin x\nbase\n# onramp:keep end\n2\n")],
        &[("a", "0\n1\n# onramp:keep begin x\ntheirs\n# onramp:keep end\nzwei\n")],
        &[("a", "1\n# onramp:keep begin x\nmine\n# onramp:keep end\n2\n")],
        Style::Inline,
    ), @r"
    a
        0
        1
        # onramp:keep begin x
        mine
        # onramp:keep end
        zwei
    ");
    insta::assert_snapshot!(story(
        &[("a", "1\n# onramp:keep begin x\n# onramp:keep end\n2\n")],
        &[("a", "1\n2\n")],
        &[("a", "1\n# onramp:keep begin x\nmine\n# onramp:keep end\n2\n")],
        Style::Inline,
    ), @r"
    a
        1
        <<<<<<< shop
        # onramp:keep begin x
        mine
        # onramp:keep end
        ||||||| web 1.0.0
        # onramp:keep begin x
        # onramp:keep end
        =======
        >>>>>>> web 1.1.0
        2
    Lines a:2: both changed the same lines; both are kept there
    ");
}

#[test]
fn structure_is_merged_in_the_projects_text() {
    let base = "{\n  \"name\": \"a\",\n  \"version\": \"1\",\n  \"last\": 1\n}\n";
    let theirs = base.replace("\"1\"", "\"2\"").replace("\"last\": 1", "\"last\": 1,\n  \"more\": 2");
    let mine = base.replace("\"1\"", "\"3\"").replace("\"last\": 1", "\"last\": 1,\n  \"own\": 3");
    let files = |text| [("package.json", text)];
    insta::assert_snapshot!(story(&files(base), &files(&theirs), &files(&mine), Style::Inline), @r#"
    package.json
        {
          "name": "a",
        <<<<<<< shop
          "version": "3",
        ||||||| web 1.0.0
          "version": "1",
        =======
          "version": "2",
        >>>>>>> web 1.1.0
          "last": 1,
          "more": 2,
          "own": 3
        }
    Key package.json:3: both changed version; both are kept there
    "#);
    insta::assert_snapshot!(story(&files(base), &files(&theirs), &files(&mine), Style::Rej), @r#"
    package.json
        {
          "name": "a",
          "version": "3",
          "last": 1,
          "more": 2,
          "own": 3
        }
    package.json.rej
        --- package.json	web 1.0.0
        +++ package.json	web 1.1.0
        @@ -1,6 +1,6 @@
         {
           "name": "a",
        -  "version": "1",
        +  "version": "2",
           "last": 1,
           "more": 2,
           "own": 3
    Key package.json:3: both changed version; the project's stays, the template's is in package.json.rej
    "#);
    insta::assert_snapshot!(story(&[], &files(&theirs), &files(&mine), Style::Inline), @r#"
    package.json
        {
          "name": "a",
        <<<<<<< shop
          "version": "3",
        ||||||| web 1.0.0
        =======
          "version": "2",
        >>>>>>> web 1.1.0
          "last": 1,
          "more": 2,
          "own": 3
        }
    Added package.json:3: both added the file; both changed version; both are kept there
    "#);
    insta::assert_snapshot!(story(
        &[(".gitignore", "a\nb\n"), ("c.yml", "# old\na: 1\nb: 1\n"), ("broken.toml", "a = 1\nb = 1\n")],
        &[(".gitignore", "a\nb\nc\n"), ("c.yml", "# new\na: 1\nb: 2\n"), ("broken.toml", "a = 1\n# c\nb = 2\n")],
        &[(".gitignore", "a\nb\nmine\nc\n"), ("c.yml", "# old\na: 2\nb: 1\n"), ("broken.toml", "a = 1 =\nb = 1\n")],
        Style::Inline,
    ), @r"
    .gitignore
        a
        b
        mine
        c
    broken.toml
        <<<<<<< shop
        a = 1 =
        b = 1
        ||||||| web 1.0.0
        a = 1
        b = 1
        =======
        a = 1
        # c
        b = 2
        >>>>>>> web 1.1.0
    c.yml
        # old
        a: 2
        b: 2
    Lines broken.toml:1: both changed the same lines; both are kept there
    ");
}

#[test]
fn comments_of_the_template_come_with_lines_that_say_the_same() {
    let base = "# old\n\na: 1\n\nb: 1\n\nc: 1\n";
    let theirs = base.replace("old", "new").replace("b: 1", "b: 2");
    for (mine, told) in [("b: 3", Some("both changed b; both are kept there")), ("b: 1\n\nown: 1", None)] {
        let mine = tree(&[("a.yml", &base.replace("b: 1", mine))]);
        let merged = merge(&tree(&[("a.yml", base)]), &tree(&[("a.yml", &theirs)]), &mine, &options(Style::Inline));
        assert_eq!(merged.conflicts.first().map(|conflict| conflict.detail.as_str()), told);
        assert!(apply(&mine, &merged).get("a.yml").unwrap().text().unwrap().starts_with("# new\n\na: 1\n"));
    }
}
