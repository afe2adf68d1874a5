//! Regions that belong to the project: lines between `onramp:keep begin [name]` and `onramp:keep end`, the words in
//! whatever comment the file's language has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::text::{Line, lines};

const BEGIN: &[u8] = b"onramp:keep begin";
const END: &[u8] = b"onramp:keep end";

/// A region: its name (empty: none), and the lines between its marks.
struct Region<'a> {
    name: &'a [u8],
    inside: Range<usize>,
}

fn find(line: Line<'_>, words: &[u8]) -> Option<usize> {
    line.windows(words.len()).position(|window| window == words)
}

/// The regions of a file, in order. None of a file in which one is not ended, or begins inside another.
fn regions<'a>(lines: &[Line<'a>]) -> Vec<Region<'a>> {
    let mut regions = Vec::new();
    let mut open: Option<(&[u8], usize)> = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(start) = find(line, BEGIN) {
            if open.is_some() {
                return Vec::new();
            }
            let rest = &line[start + BEGIN.len()..];
            let name = rest.strip_prefix(b" ").unwrap_or_default();
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let name = &name[..name.iter().take_while(|byte| is_name(byte)).count()];
            // `-->` ends a comment, and no name ends in a dash.
            let name = &name[..name.iter().rposition(|byte| *byte != b'-').map_or(0, |last| last + 1)];
            open = Some((name, at + 1));
        } else if find(line, END).is_some() {
            let Some((name, begin)) = open.take() else { return Vec::new() };
            regions.push(Region { name, inside: begin..at });
        }
    }
    if open.is_some() { Vec::new() } else { regions }
}

/// The lines of a file, from 0, that are inside of regions.
pub fn kept(text: &[u8]) -> Vec<Range<usize>> {
    regions(&lines(text)).into_iter().map(|region| region.inside).collect()
}

/// Where the regions of each name are, in order.
fn by_name<'a>(regions: &[Region<'a>]) -> HashMap<&'a [u8], Vec<Range<usize>>> {
    let mut places: HashMap<_, Vec<_>> = HashMap::new();
    for region in regions {
        places.entry(region.name).or_default().push(region.inside.clone());
    }
    places
}

/// Puts the project's lines into the regions of base and theirs, so that they are nobody's change. Regions of one name,
/// or of none, are told apart by their order, so there must be as many in the project as in the new render. A region
/// that the new render does not have stays what it was in the base: its end is a change like any other. So does one that
/// the project left as it was given.
pub(super) fn settle(texts: [Cow<'_, [u8]>; 3]) -> [Cow<'_, [u8]>; 3] {
    let [base, theirs, mine] = texts;
    if find(&mine, BEGIN).is_none() || find(&theirs, BEGIN).is_none() {
        return [base, theirs, mine];
    }
    let own = lines(&mine);
    let own_places = by_name(&regions(&own));
    let their_lines = lines(&theirs);
    let their_places = by_name(&regions(&their_lines));
    let base_lines = lines(&base);
    let base_places = by_name(&regions(&base_lines));
    let filled = |text: &[u8]| {
        let side = lines(text);
        let of_side = regions(&side);
        let places = by_name(&of_side);
        let (mut filled, mut done, mut seen) = (Vec::with_capacity(text.len()), 0, HashMap::new());
        for region in of_side {
            let nth: &mut usize = seen.entry(region.name).or_default();
            *nth += 1;
            let count = |places: &HashMap<&[u8], Vec<_>>| places.get(region.name).map_or(0, Vec::len);
            if count(&own_places) != count(&their_places) || count(&own_places) != count(&places) {
                continue;
            }
            let Some(inside) = own_places.get(region.name).and_then(|own| own.get(*nth - 1)) else { continue };
            let given = base_places.get(region.name).filter(|given| given.len() == count(&own_places));
            if given.is_some_and(|given| base_lines[given[*nth - 1].clone()] == own[inside.clone()]) {
                continue;
            }
            filled.extend(side[done..region.inside.start].concat());
            filled.extend(own[inside.clone()].concat());
            done = region.inside.end;
        }
        filled.extend(side[done..].concat());
        filled
    };
    let (base, theirs) = (filled(&base), filled(&theirs));
    [Cow::Owned(base), Cow::Owned(theirs), mine]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(texts: [&str; 3]) -> [String; 3] {
        settle(texts.map(|text| Cow::Borrowed(text.as_bytes()))).map(|text| String::from_utf8(text.into()).unwrap())
    }

    #[test]
    fn what_is_inside_is_the_projects() {
        let mine = "1\n# onramp:keep begin routes\nmine\n# onramp:keep end\n2\n";
        let base = "1\n# onramp:keep begin routes\n# onramp:keep end\n2\n";
        let theirs = "1\n<!-- onramp:keep begin routes-->\ntheirs\n<!-- onramp:keep end -->\n3\n";
        let [base, theirs, same] = settled([base, theirs, mine]);
        assert_eq!((base.as_str(), same.as_str()), (mine, mine));
        assert_eq!(theirs, "1\n<!-- onramp:keep begin routes-->\nmine\n<!-- onramp:keep end -->\n3\n");
    }

    #[test]
    fn what_the_project_left_as_it_was_is_the_templates() {
        let region = |text: &str| format!("onramp:keep begin\n{text}\nonramp:keep end\n");
        let [base, theirs, mine] = ["1", "2", "1"].map(region);
        assert_eq!(settled([&base, &theirs, &(mine.clone() + "x\n")]), [base, theirs, mine + "x\n"]);
    }

    #[test]
    fn a_region_that_is_gone_or_broken_is_text() {
        let mine = "// onramp:keep begin a\nmine\n// onramp:keep end\n";
        let base = "// onramp:keep begin a\n// onramp:keep end\n";
        for theirs in [
            "",
            "// onramp:keep begin b\n// onramp:keep end\n",
            "// onramp:keep begin a\n",
            "// onramp:keep begin a\n// onramp:keep end\n// onramp:keep begin a\n// onramp:keep end\n",
        ] {
            assert_eq!(settled([base, theirs, mine]), [base, theirs, mine]);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_outside_is_touched(
            texts in proptest::array::uniform3("((onramp:keep begin a|onramp:keep end|[xyz])\n){0,8}")
        ) {
            let outside = |text: &str| {
                let (mut outside, mut inside) = (Vec::new(), false);
                for line in text.lines() {
                    inside &= line != "onramp:keep end";
                    if !inside {
                        outside.push(line.to_owned());
                    }
                    inside |= line.starts_with("onramp:keep begin");
                }
                outside
            };
            let before = texts.clone();
            let after = settled([&texts[0], &texts[1], &texts[2]]);
            for (before, after) in before.iter().zip(&after) {
                proptest::prop_assert_eq!(outside(before), outside(after));
            }
            proptest::prop_assert_eq!(&before[2], &after[2]);
        }
    }
}
