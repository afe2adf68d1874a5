//! Pairwise answer sets: few rows in which every pair of values of two questions occurs together.
//!
//! Most mistakes need one value or two together, so all pairs find them with a handful of rows where all combinations
//! would be thousands. Rows are made in parameter order (IPO, Lei and Tai 1998), which is deterministic: the same
//! questions have the same rows on every machine.

/// A row: for each question, the index of its value. Index 0 is the default.
pub type Row = Vec<usize>;

/// What the questions make of a row: which of them are asked; none where an answer is refused.
pub type Judge<'a> = dyn FnMut(&[usize]) -> Option<Vec<bool>> + 'a;

/// The most answer sets that are tried to bring one pair together.
const TRIES: usize = 400;

/// Rows in which every pair of values occurs, the row of all defaults first. `sizes` says how many values each question
/// has; a question without values is one with only its default.
pub fn pairs(sizes: &[usize]) -> Vec<Row> {
    let sizes: Vec<usize> = sizes.iter().map(|size| (*size).max(1)).collect();
    let mut rows: Vec<Vec<Option<usize>>> = vec![Vec::new()];
    for (k, &size) in sizes.iter().enumerate() {
        if k < 2 {
            let longer =
                |row: &Vec<Option<usize>>| (0..size).map(|v| [&row[..], &[Some(v)]].concat()).collect::<Vec<_>>();
            rows = rows.iter().flat_map(longer).collect();
            continue;
        }
        let mut open = Open::of(&sizes[..k], size);
        for row in &mut rows {
            // The value that brings the most new pairs; of several, the first.
            let best = (0..size).rev().max_by_key(|&v| open.count(row, v)).unwrap_or(0);
            open.close(row, best);
            row.push(Some(best));
        }
        for (i, a, v) in open.rest() {
            let fits = |row: &&mut Vec<Option<usize>>| row[k] == Some(v) && row[i].is_none_or(|value| value == a);
            if let Some(row) = rows.iter_mut().find(fits) {
                row[i] = Some(a);
            } else {
                let mut row = vec![None; k + 1];
                (row[i], row[k]) = (Some(a), Some(v));
                rows.push(row);
            }
        }
    }
    let mut rows: Vec<Row> =
        rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect();
    rows.sort_unstable();
    rows.dedup();
    let defaults = vec![0; sizes.len()];
    if rows.first() != Some(&defaults) {
        rows.insert(0, defaults);
    }
    rows
}

/// The pairs with values of one question that no row has yet.
struct Open {
    /// `[question before][its value][value of this one]`
    pairs: Vec<Vec<Vec<bool>>>,
}

impl Open {
    fn of(before: &[usize], size: usize) -> Self {
        Self { pairs: before.iter().map(|&other| vec![vec![true; size]; other]).collect() }
    }

    fn count(&self, row: &[Option<usize>], value: usize) -> usize {
        let open = |(i, a): (usize, &Option<usize>)| a.is_some_and(|a| self.pairs[i][a][value]);
        row.iter().enumerate().filter(|pair| open(*pair)).count()
    }

    fn close(&mut self, row: &[Option<usize>], value: usize) {
        for (i, a) in row.iter().enumerate() {
            if let Some(a) = a {
                self.pairs[i][*a][value] = false;
            }
        }
    }

    fn rest(&self) -> Vec<(usize, usize, usize)> {
        let mut rest = Vec::new();
        for (i, values) in self.pairs.iter().enumerate() {
            for (a, others) in values.iter().enumerate() {
                rest.extend(others.iter().enumerate().filter(|(_, open)| **open).map(|(v, _)| (i, a, v)));
            }
        }
        rest
    }
}

/// The rows of [`pairs`] that the questions take, and more of them until every pair that can be asked together is: a
/// question that the others' answers keep from being asked does not see its values. `gates` says, for each question, which
/// others decide whether it is asked.
pub fn asked(sizes: &[usize], gates: &[Vec<usize>], judge: &mut Judge<'_>) -> Vec<Row> {
    let sizes: Vec<usize> = sizes.iter().map(|size| (*size).max(1)).collect();
    let mut seen = Seen::new(&sizes);
    let mut rows = Vec::new();
    for row in pairs(&sizes) {
        if let Some(mask) = judge(&row) {
            seen.take(&row, &mask);
            rows.push(row);
        }
    }
    for i in 0..sizes.len() {
        for j in i + 1..sizes.len() {
            for (a, b) in (0..sizes[i]).flat_map(|a| (0..sizes[j]).map(move |b| (a, b))) {
                if seen.has(i, a, j, b) {
                    continue;
                }
                if let Some((row, mask)) = bring_together([(i, a), (j, b)], &rows, &sizes, gates, judge) {
                    seen.take(&row, &mask);
                    rows.push(row);
                }
            }
        }
    }
    rows
}

/// Looks for a row with two values in which both questions are asked: the rows there are with those two put in, then with
/// every combination of what decides.
fn bring_together(
    pair: [(usize, usize); 2],
    rows: &[Row],
    sizes: &[usize],
    gates: &[Vec<usize>],
    judge: &mut Judge<'_>,
) -> Option<(Row, Vec<bool>)> {
    let fixed: Vec<usize> = pair.iter().map(|(question, _)| *question).collect();
    let mut deciding = Vec::new();
    let mut next = fixed.clone();
    while let Some(question) = next.pop() {
        for gate in gates.get(question).into_iter().flatten().filter(|gate| **gate < sizes.len()) {
            if !deciding.contains(gate) {
                deciding.push(*gate);
                next.push(*gate);
            }
        }
    }
    deciding.retain(|gate| !fixed.contains(gate));
    if deciding.is_empty()
        && fixed.iter().all(|question| gates.get(*question).is_none_or(Vec::is_empty))
        && rows.len() > 1
    {
        // Nothing decides whether they are asked: what was refused is refused for its values. One more row is worth a try.
        return try_row(pair, rows.first()?.clone(), judge);
    }
    let mut tries = 0;
    for base in rows {
        let mut combination = vec![0; deciding.len()];
        loop {
            let mut row = base.clone();
            for (gate, value) in deciding.iter().zip(&combination) {
                row[*gate] = (base[*gate] + value) % sizes[*gate];
            }
            if let Some(found) = try_row(pair, row, judge) {
                return Some(found);
            }
            tries += 1;
            if tries >= TRIES {
                return None;
            }
            // Counts up, the first question fastest.
            let Some(place) = (0..deciding.len()).find(|place| combination[*place] + 1 < sizes[deciding[*place]])
            else {
                break;
            };
            combination[..place].fill(0);
            combination[place] += 1;
        }
    }
    None
}

fn try_row(pair: [(usize, usize); 2], mut row: Row, judge: &mut Judge<'_>) -> Option<(Row, Vec<bool>)> {
    for (question, value) in pair {
        row[question] = value;
    }
    let mask = judge(&row)?;
    pair.iter().all(|(question, _)| mask[*question]).then_some((row, mask))
}

/// The pairs that were asked together.
struct Seen {
    /// Where each question's values begin in a row of the table.
    starts: Vec<usize>,
    width: usize,
    table: Vec<bool>,
}

impl Seen {
    fn new(sizes: &[usize]) -> Self {
        let mut width = 0;
        let starts = sizes
            .iter()
            .map(|size| {
                width += size;
                width - size
            })
            .collect();
        Self { starts, width, table: vec![false; width * width] }
    }

    fn place(&self, i: usize, a: usize, j: usize, b: usize) -> usize {
        (self.starts[i] + a) * self.width + self.starts[j] + b
    }

    fn has(&self, i: usize, a: usize, j: usize, b: usize) -> bool {
        self.table[self.place(i, a, j, b)]
    }

    fn take(&mut self, row: &[usize], asked: &[bool]) {
        for i in 0..row.len() {
            for j in i + 1..row.len() {
                if asked[i] && asked[j] {
                    let place = self.place(i, row[i], j, row[j]);
                    self.table[place] = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rows: &[Row], i: usize, a: usize, j: usize, b: usize) -> bool {
        rows.iter().any(|row| row[i] == a && row[j] == b)
    }

    #[test]
    fn ten_yes_or_no_questions_need_a_dozen_rows() {
        let rows = pairs(&[2; 10]);
        assert!(rows.len() <= 12, "{}", rows.len());
        assert_eq!(rows[0], [0; 10]);
        assert_eq!(pairs(&[]), [Row::new()]);
        assert_eq!(pairs(&[3]), [[0], [1], [2]]);
    }

    #[test]
    fn a_question_behind_others_sees_all_its_values() {
        // The third question is asked only where the first is 1 and the second is 2.
        let gates = [vec![], vec![], vec![0, 1], vec![]];
        let sizes = [2, 3, 4, 3];
        let mut judge = |row: &[usize]| Some(vec![true, true, row[0] == 1 && row[1] == 2, true]);
        let rows = asked(&sizes, &gates, &mut judge);
        for value in 0..4 {
            for other in 0..3 {
                let together = |row: &Row| row[0] == 1 && row[1] == 2 && row[2] == value && row[3] == other;
                assert!(rows.iter().any(together), "{value} with {other}");
            }
        }
    }

    #[test]
    fn what_is_refused_is_in_no_row() {
        // 1 of the first and 1 of the second exclude each other.
        let mut judge = |row: &[usize]| (row[0] != 1 || row[1] != 1).then(|| vec![true; 3]);
        let rows = asked(&[2, 2, 2], &[vec![], vec![], vec![]], &mut judge);
        assert!(!covers(&rows, 0, 1, 1, 1));
        for (i, a, j, b) in [(0, 1, 1, 0), (0, 0, 1, 1), (0, 1, 2, 1), (1, 1, 2, 1), (0, 1, 2, 0), (1, 1, 2, 0)] {
            assert!(covers(&rows, i, a, j, b), "{i}={a} {j}={b} in {rows:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_pair_of_values_occurs(sizes in proptest::collection::vec(0_usize..6, 0..9)) {
            let rows = pairs(&sizes);
            let size = |i: usize| sizes[i].max(1);
            for i in 0..sizes.len() {
                for j in i + 1..sizes.len() {
                    for a in 0..size(i) {
                        for b in 0..size(j) {
                            proptest::prop_assert!(covers(&rows, i, a, j, b), "{i}={a} {j}={b}");
                        }
                    }
                }
            }
            proptest::prop_assert!(rows.iter().all(|row| row.iter().enumerate().all(|(i, v)| *v < size(i))));
            let all: usize = (0..sizes.len()).map(size).product();
            proptest::prop_assert!(rows.len() <= all);
            proptest::prop_assert_eq!(&rows, &pairs(&sizes));
        }

        #[test]
        fn every_pair_that_can_be_asked_is(sizes in proptest::collection::vec(1_usize..4, 3..6), gate in 0_usize..3) {
            // The last question is asked only where the first has one of its values.
            let last = sizes.len() - 1;
            let gate = gate % sizes[0];
            let mut gates = vec![vec![]; sizes.len()];
            gates[last] = vec![0];
            let mut judge = |row: &[usize]| {
                let mut mask = vec![true; row.len()];
                mask[last] = row[0] == gate;
                Some(mask)
            };
            let rows = asked(&sizes, &gates, &mut judge);
            for i in 1..last {
                for a in 0..sizes[i] {
                    for b in 0..sizes[last] {
                        let seen = rows.iter().any(|row| row[0] == gate && row[i] == a && row[last] == b);
                        proptest::prop_assert!(seen, "{i}={a} with {b} behind {gate}");
                    }
                }
            }
        }
    }
}
