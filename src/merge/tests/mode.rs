//! Whether a file can be run: what one side changed is taken, and what both say differently is a conflict.

use super::*;

fn one(executable: bool, text: &str) -> Tree {
    let entry = Entry::File { contents: text.to_owned().into(), executable };
    [(path("run.sh"), entry)].into_iter().collect()
}

#[test]
fn added_with_other_modes_is_a_conflict_and_the_projects_stays() {
    let sides = [
        (true, "the template's can be run, the project's cannot be run"),
        (false, "the template's cannot be run, the project's can be run"),
    ];
    for (there, said) in sides {
        let mine = one(!there, "echo\n");
        let merged = merge(&tree(&[]), &one(there, "echo\n"), &mine, &options(Style::Inline));
        let detail = format!("both added it: {said}; the project's stays");
        let conflict = Conflict { path: path("run.sh"), kind: ConflictKind::Mode, line: None, beside: None, detail };
        assert_eq!(merged.conflicts, [conflict]);
        assert_eq!(apply(&mine, &merged), mine);
    }
}

#[test]
fn a_mode_that_one_side_changed_is_taken_beside_the_others_text() {
    for (there, here) in [(true, false), (false, true)] {
        let (theirs, mine) = (one(there, "1\n2\n3\n4\nfive\n"), one(here, "one\n2\n3\n4\n5\n"));
        let merged = merge(&one(false, "1\n2\n3\n4\n5\n"), &theirs, &mine, &options(Style::Inline));
        assert_eq!(merged.conflicts, []);
        assert_eq!(apply(&mine, &merged), one(true, "one\n2\n3\n4\nfive\n"));
    }
}
