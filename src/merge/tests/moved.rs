//! Files that one side moved: edits and changes follow them.

use super::*;

#[test]
fn edits_follow_a_file_that_the_template_moved() {
    insta::assert_snapshot!(story(
        &[("old/a", FILE), ("old/b", &FILE.replace("six", "b"))],
        &[("new/a", &FILE.replace("six", "SIX")), ("new/b", &FILE.replace("six", "b"))],
        &[("old/a", &FILE.replace("one", "ONE")), ("old/b", &FILE.replace("six", "b"))],
        Style::Inline,
    ), @r"
    new/a
        ONE
        two
        three
        four
        five
        SIX
    new/b
        one
        two
        three
        four
        five
        b
    moved old/a to new/a
    moved old/b to new/b
    ");
}

#[test]
fn changes_follow_a_file_that_the_project_moved() {
    insta::assert_snapshot!(story(
        &[("a", FILE), ("b", &FILE.replace("one", "b")), ("c", "1")],
        &[("a", &FILE.replace("six", "SIX")), ("c", "1")],
        &[("mine/a", &FILE.replace("one", "ONE")), ("mine/b", &FILE.replace("one", "b")), ("mine/c", "1")],
        Style::Inline,
    ), @r"
    mine/a
        ONE
        two
        three
        four
        five
        SIX
    mine/b
        b
        two
        three
        four
        five
        six
    mine/c
        1
    DeletedThere mine/b: the template deleted b, the project moved it here; it stays
    ");
}

#[test]
fn moved_by_both() {
    insta::assert_snapshot!(story(
        &[("a", FILE), ("b", &FILE.replace("one", "b"))],
        &[("there/a", &FILE.replace("six", "SIX")), ("same", &FILE.replace("one", "b").replace("six", "SIX"))],
        &[("here/a", &FILE.replace("one", "ONE")), ("same", &FILE.replace("one", "B"))],
        Style::Inline,
    ), @r"
    here/a
        ONE
        two
        three
        four
        five
        SIX
    same
        B
        two
        three
        four
        five
        SIX
    Moved here/a: a: the template moved it to there/a, the project to here/a, where it stays
    ");
}
