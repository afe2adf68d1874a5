//! One file of a project, held against the template that it came from: what of its changes can be turned back.

use std::ops::Range;

use super::back::{Fabric, Uncertain};
use super::edit::Edit;
use super::hunk::{self, Hunk};
use super::prove::{Prover, Unproved, World};
use super::repeat::{self, Change};
use super::restore::{self, Possible};
use super::trace::{NoMap, Parts};
use crate::merge;

/// The largest file that is looked into, in bytes.
const SIZE_CAP: usize = 1024 * 1024;
/// The most changes of one file.
const HUNKS_CAP: usize = 500;

/// A change that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The project's lines, from 1.
    pub lines: Range<usize>,
    /// New text that could be an answer's value, and was left as it is.
    pub possible: Vec<Possible>,
}

/// A change that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The project's lines, from 1.
    pub lines: Range<usize>,
    /// Why.
    pub why: Why,
}

/// Why a change is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its place in the template is not certain.
    #[error(transparent)]
    Uncertain(#[from] Uncertain),
    /// It could not be proved.
    #[error(transparent)]
    Unproved(#[from] Unproved),
    /// Not every pass of a loop is changed alike.
    #[error("it changes what the template's line {line} repeats, and not alike every time")]
    Uneven {
        /// The loop's line.
        line: usize,
    },
    /// It is nobody else's.
    #[error("it is in a region that the project keeps for itself")]
    Kept,
}

/// What came of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The template's new source; as before where nothing is taken.
    pub source: String,
    /// What it renders to with the project's answers.
    pub rendered: String,
    /// What is taken.
    pub taken: Vec<Taken>,
    /// What is left out.
    pub left_out: Vec<LeftOut>,
}

impl Outcome {
    fn leave(&mut self, change: &Change, why: &Why) {
        self.left_out.extend(change.hunks.iter().map(|hunk| LeftOut { lines: shown(hunk), why: why.clone() }));
    }
}

/// Why a whole file is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFile {
    /// There is no line map.
    #[error(transparent)]
    NoMap(#[from] NoMap),
    /// Too large.
    #[error("it is too large, or has too many changes")]
    TooLarge,
    /// The map's output is not what the project was given.
    #[error("its template renders to something else than the project was given")]
    Other,
}

/// Turns a file's changes back. `given` is what the block rendered, `mine` what the project made of it; the first of the
/// worlds is the project's.
pub fn turn_back(
    parts: &Parts,
    copied: bool,
    worlds: &[World<'_>],
    answers: &[(String, String)],
    given: &str,
    mine: &str,
) -> Result<Outcome, NoFile> {
    if given.len().max(mine.len()).max(parts.source().len()) > SIZE_CAP {
        return Err(NoFile::TooLarge);
    }
    let prover = Prover::of(parts, worlds, copied)?;
    if prover.mine().text != *given {
        return Err(NoFile::Other);
    }
    let hunks = hunk::hunks(given, mine);
    if hunks.len() > HUNKS_CAP {
        return Err(NoFile::TooLarge);
    }
    let fabric = Fabric::of(parts, prover.mine());
    let known = restore::Known::of(parts, &fabric, answers);
    let mut outcome = Outcome { source: parts.source().to_owned(), rendered: given.to_owned(), ..Outcome::default() };
    let mut changes = Vec::new();
    let mut open: std::collections::VecDeque<Hunk> = hunks.into();
    let (kept_given, kept_mine) = (merge::kept(given.as_bytes()), merge::kept(mine.as_bytes()));
    let overlaps = |lines: &Range<usize>, kept: &[Range<usize>]| {
        kept.iter().any(|kept| lines.start < kept.end && kept.start < lines.end)
    };
    while let Some(hunk) = open.pop_front() {
        if overlaps(&hunk.old_lines, &kept_given) || overlaps(&hunk.new_lines, &kept_mine) {
            outcome.left_out.push(LeftOut { lines: shown(&hunk), why: Why::Kept });
            continue;
        }
        match fabric.turn_back(&hunk, mine) {
            Ok(mut edits) => {
                let possible = known.restore(&mut edits);
                changes.push(Change { hunks: vec![hunk], edits, possible });
            }
            Err(why) => match fabric.split(&hunk, mine) {
                // One line that is not certain does not take its neighbours with it.
                Some(single) => single.into_iter().rev().for_each(|hunk| open.push_front(hunk)),
                None => outcome.left_out.push(LeftOut { lines: shown(&hunk), why: why.into() }),
            },
        }
    }
    let mut even = Vec::new();
    for change in repeat::joined(parts, changes) {
        match (change.loop_line(parts), repeat::settled(&fabric, &change.edits)) {
            (_, Some(edits)) => even.push(Change { edits, ..change }),
            (line, None) => outcome.leave(&change, &Why::Uneven { line: line.unwrap_or(1) }),
        }
    }
    prove(&prover, &even, given, mine, &mut outcome);
    outcome.left_out.sort_by_key(|left| left.lines.start);
    Ok(outcome)
}

/// Proves all changes together, and where that fails one after the other.
fn prove(prover: &Prover<'_>, changes: &[Change], given: &str, mine: &str, outcome: &mut Outcome) {
    let try_all = |changes: &[&Change]| {
        let edits: Vec<Edit> = changes.iter().flat_map(|change| change.edits.clone()).collect();
        let mut hunks: Vec<&Hunk> = changes.iter().flat_map(|change| &change.hunks).collect();
        hunks.sort_by_key(|hunk| hunk.old.start);
        let expected = with(given, mine, hunks.into_iter());
        prover.prove(&edits, &expected).map(|source| (source, expected))
    };
    let mut good: Vec<&Change> = Vec::new();
    let all: Vec<&Change> = changes.iter().collect();
    if let Ok((source, rendered)) = try_all(&all) {
        (outcome.source, outcome.rendered) = (source, rendered);
        good = all;
    } else {
        for change in all {
            good.push(change);
            match try_all(&good) {
                Ok((source, rendered)) => (outcome.source, outcome.rendered) = (source, rendered),
                Err(why) => {
                    good.pop();
                    let why = match (why, change.loop_line(prover.parts())) {
                        (Unproved::Differs, Some(line)) => Why::Uneven { line },
                        (why, _) => why.into(),
                    };
                    outcome.leave(change, &why);
                }
            }
        }
    }
    for change in good {
        for (index, hunk) in change.hunks.iter().enumerate() {
            let possible = if index == 0 { change.possible.clone() } else { Vec::new() };
            outcome.taken.push(Taken { lines: shown(hunk), possible });
        }
    }
    outcome.taken.sort_by_key(|taken| taken.lines.start);
}

/// The old text with some of the changes.
fn with<'a>(given: &str, mine: &str, hunks: impl Iterator<Item = &'a Hunk>) -> String {
    let mut text = String::new();
    let mut cursor = 0;
    for hunk in hunks {
        text.push_str(&given[cursor..hunk.old.start]);
        text.push_str(&mine[hunk.new.clone()]);
        cursor = hunk.old.end;
    }
    text + &given[cursor..]
}

/// The lines of a change in the project's file, from 1; of a deletion, the line before which it was.
fn shown(hunk: &Hunk) -> Range<usize> {
    hunk.new_lines.start + 1..hunk.new_lines.end + 1
}

#[cfg(test)]
mod tests {
    use super::super::trace::{Loops, tests::renderer};
    use super::*;
    use crate::template::Syntax;

    fn worlds(syntax: &Syntax) -> Vec<World<'static>> {
        let world =
            |label: &str, variables| World { label: label.to_owned(), render: Box::new(renderer(syntax, variables)) };
        vec![
            world(
                "mine",
                serde_json::json!({"name": "shop", "port": 80, "empty": "", "on": true, "off": false, "list": ["a", "b"]}),
            ),
            world(
                "on=false",
                serde_json::json!({"name": "other", "port": 81, "empty": "x", "on": false, "off": true, "list": ["c", "d", "e"]}),
            ),
        ]
    }

    fn outcome(source: &str, trim: bool, change: impl Fn(&str) -> String) -> Outcome {
        let syntax = Syntax { trim_blocks: trim, lstrip_blocks: trim, ..Syntax::default() };
        let worlds = worlds(&syntax);
        let parts = Parts::of(source, &syntax, Loops::Traced).unwrap();
        let given = (worlds[0].render)(source).unwrap();
        let answers = [("name".to_owned(), "shop".to_owned())];
        turn_back(&parts, false, &worlds, &answers, &given, &change(&given)).unwrap()
    }

    #[test]
    fn what_would_change_more_than_was_meant_is_left_out() {
        // Before a dash, blanks are taken away: the new line cannot end in one.
        let found = outcome("a\n  {{- name }}\n", false, |text| text.replace("ashop", "a shop"));
        assert_eq!((found.source.as_str(), found.taken.len()), ("a\n  {{- name }}\n", 0));
        assert_eq!(found.left_out[0].why.to_string(), "rendered again, the changed template gives something else");
        let trimmed = "{% if on %}x{% endif %}!\nend\n";
        let found = outcome(trimmed, true, |text| text.replace("x!\nend", "x\nEND"));
        assert_eq!(found.source, trimmed, "{found:?}");
        assert_eq!(found.taken.len(), 0);
    }

    #[test]
    fn one_bad_change_does_not_take_the_others_with_it() {
        // Neighbours, too, where every line certainly became one other.
        let close = "listen on {{ port }}\nworkers = 4\nname = {{ name }}\n";
        let found = outcome(close, false, |text| text.replace("80", "90").replace("workers = 4", "workers = 8"));
        assert_eq!(found.source, close.replace("workers = 4", "workers = 8"));
        assert_eq!((found.taken.len(), found.left_out.len()), (1, 1));
        let source = "port = {{ port }}\n\nname = {{ name }}\n\nend\n";
        let found = outcome(source, false, |text| {
            text.replace("80", "90").replace("name =", "title =").replace("end", "{% end %}")
        });
        assert_eq!(found.source, "port = {{ port }}\n\ntitle = {{ name }}\n\n{{ '{%' }} end %}\n");
        assert_eq!(found.rendered, "port = 80\n\ntitle = shop\n\n{% end %}\n");
        assert_eq!(found.taken.iter().map(|taken| taken.lines.clone()).collect::<Vec<_>>(), [3..4, 5..6]);
        assert_eq!(found.left_out.len(), 1);
        assert_eq!(found.left_out[0].lines, 1..2);
    }

    #[test]
    fn what_a_loop_repeats_is_turned_back_where_every_pass_changed_alike() {
        let source = "list:\n{% for x in list %}\n  - name: {{ x }}\n    port: 80\n    tls: no\n{% endfor %}\nend\n";
        let lines = |found: &Outcome| found.taken.iter().map(|taken| taken.lines.clone()).collect::<Vec<_>>();
        let found = outcome(source, true, |text| text.replace("port: 80", "port: 81"));
        assert_eq!((found.source.clone(), lines(&found)), (source.replace("80", "81"), vec![3..4, 6..7]));
        // A new line in each, a line less in each, another text before the value in each.
        let found = outcome(source, true, |text| text.replace("    port: 80\n", "    port: 80\n    new: 1\n"));
        assert_eq!(found.source, source.replace("port: 80\n", "port: 80\n    new: 1\n"), "{found:?}");
        let found = outcome(source, true, |text| text.replace("    port: 80\n", ""));
        assert_eq!(found.source, source.replace("    port: 80\n", ""), "{found:?}");
        let found = outcome(source, true, |text| text.replace("- name: ", "- host: "));
        assert_eq!(found.source, source.replace("- name: ", "- host: "), "{found:?}");
        // Beside a change apart from the loop.
        let found = outcome(source, true, |text| text.replace("tls: no", "tls: yes").replace("end", "END"));
        assert_eq!(found.source, source.replace("tls: no", "tls: yes").replace("\nend\n", "\nEND\n"), "{found:?}");
        // One pass alone, or each otherwise: nobody knows what the others are to become.
        let uneven = "it changes what the template's line 2 repeats, and not alike every time";
        let second = |text: &str| {
            let at = text.rfind("port: 80").unwrap();
            format!("{}port: 99{}", &text[..at], &text[at + 8..])
        };
        for (change, left) in [
            (&|text: &str| text.replacen("port: 80", "port: 99", 1) as String, &[(3, 4)]),
            (&|text: &str| second(&text.replacen("port: 80", "port: 98", 1)), &[(3, 4), (6, 7)]),
            (&|text: &str| text.replacen("    port: 80\n", "    port: 80\n    new: 1\n", 1), &[(4, 5)]),
        ] as [(&dyn Fn(&str) -> String, &[(usize, usize)]); 3]
        {
            let found = outcome(source, true, |text| change(text).replace("end", "END"));
            assert_eq!(found.source, source.replace("\nend\n", "\nEND\n"), "{found:?}");
            let told = found.left_out.iter().map(|left| ((left.lines.start, left.lines.end), left.why.to_string()));
            assert!(told.eq(left.iter().map(|lines| (*lines, uneven.to_owned()))), "{found:?}");
        }
        // What the loop goes over stays its own.
        let found = outcome(source, true, |text| text.replace(": a", ": z"));
        assert!(found.left_out[0].why.to_string().contains("value of `x`"), "{found:?}");
        // Loops in loops, with something to skip.
        let nested = "{% for x in list %}\n{% for y in list if y != 'a' %}\n{{ x }}{{ y }} on\n{% endfor %}\n{% else %}\nnone\n{% endfor %}\n";
        let found = outcome(nested, true, |text| text.replace(" on", " off"));
        assert_eq!(found.source, nested.replace(" on", " off"), "{found:?}");
    }

    #[test]
    fn what_a_project_keeps_for_itself_stays_with_it() {
        let source = "a\n# onramp:keep begin\nyours\n# onramp:keep end\nz\n";
        let found = outcome(source, false, |text| text.replace("yours", "mine\nalso mine").replace("a\n", "A\n"));
        assert_eq!(found.source, source.replace("a\n", "A\n"));
        assert_eq!(found.left_out.iter().map(|left| left.why.clone()).collect::<Vec<_>>(), [Why::Kept]);
    }

    #[test]
    fn a_value_in_new_text_becomes_its_expression_where_the_file_has_it_so() {
        let source = "copy src/{{ name }}/a.php\nend\n";
        let found = outcome(source, false, |text| text.replace("end", "copy src/shop/b.php\nopen the shop\nend"));
        assert_eq!(found.source, "copy src/{{ name }}/a.php\ncopy src/{{ name }}/b.php\nopen the shop\nend\n");
        let possible: Vec<String> =
            found.taken[0].possible.iter().map(|p| format!("{} {}", p.question, p.text)).collect();
        assert_eq!(possible, ["name open the shop"]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]
        #[test]
        fn every_change_that_is_taken_proves(
            source in proptest::collection::vec("(a|b|\\{\\{ name \\}\\}|\\{\\{- port \\}\\}|\\{\\{ empty \\}\\}| |=|x|\\{% if on %\\}y\\{%- endif %\\}|\\{% if off %\\}z\\{% endif %\\}|\\{% for i in list %\\}i\\{% endfor %\\}|\\{% for i in list %\\}a\\nb = \\{\\{ i \\}\\}\\n\\{% if on %\\}x\\n\\{% endif %\\}\\{% endfor %\\}|#){0,6}", 0..8),
            changes in proptest::collection::vec((0_usize..10, 0_usize..3, "(a|b|shop|80|\\{\\{|x| |8|sh){0,4}"), 0..5),
            trim in proptest::bool::ANY,
        ) {
            let source = source.join("\n") + "\n";
            let syntax = Syntax { trim_blocks: trim, lstrip_blocks: trim, ..Syntax::default() };
            let render = &worlds(&syntax)[0].render;
            let mine = std::cell::RefCell::new(String::new());
            let found = outcome(&source, trim, |text| {
                let mut lines: Vec<String> = hunk::lines(text).into_iter().map(str::to_owned).collect();
                for (at, how, new) in &changes {
                    let at = at % (lines.len() + 1);
                    match how {
                        0 => lines.insert(at, format!("{new}\n")),
                        1 if at < lines.len() => { lines.remove(at); }
                        _ if at < lines.len() => lines[at] = lines[at].replacen(['a', ' ', '='], new, 1),
                        _ => {}
                    }
                }
                *mine.borrow_mut() = lines.concat();
                lines.concat()
            });
            proptest::prop_assert_eq!(render(&found.source).unwrap(), found.rendered.clone());
            if found.left_out.is_empty() {
                proptest::prop_assert_eq!(&found.rendered, &*mine.borrow());
            }
            if found.taken.is_empty() {
                proptest::prop_assert_eq!(&found.source, &source);
            }
        }

        #[test]
        fn plain_lines_and_values_are_turned_back(
            source in proptest::collection::vec("[a-z]{3,8}( = \\{\\{ name \\}\\}| = \\{\\{ port \\}\\})?", 1..20),
            at in 0_usize..20,
        ) {
            // A new line between others, of which none is like it, is always certain.
            let source = source.join("\n") + "\n";
            let found = outcome(&source, true, |text| {
                let mut lines = hunk::lines(text);
                lines.insert(at % (lines.len() + 1), "A NEW LINE\n");
                lines.concat()
            });
            proptest::prop_assert_eq!(found.left_out, []);
            proptest::prop_assert_eq!(found.source.replace("A NEW LINE\n", ""), source);
        }
    }
}
