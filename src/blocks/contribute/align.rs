//! Old and new text, laid beside each other. What could lie in two ways is not certain, and says so.

use similar::{Algorithm, capture_diff_slices};

/// The most pairs of lines of one change that are compared.
const LINES_CAP: usize = 900;
/// The longest line that is looked into, in characters.
const LINE_CAP: usize = 4000;
/// The most steps of laying one line beside another.
const STEPS_CAP: usize = 4_000_000;
/// What a line costs that has no partner; a pair costs at most 100, by what differs.
const ALONE: u32 = 80;
/// How much better an alignment must be than every other one.
const MARGIN: u32 = 15;
const NEVER: u32 = u32::MAX / 4;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The old line became the new one.
    Pair(usize, usize),
    /// The old line went.
    Delete(usize),
    /// The new line came.
    Insert(usize),
}

/// Old and new lines, side by side.
pub struct Lines {
    pair: Vec<Vec<u32>>,
    before: Vec<Vec<u32>>,
    after: Vec<Vec<u32>>,
}

impl Lines {
    /// Lays them side by side; none where that is too much.
    pub fn align(old: &[&str], new: &[&str]) -> Option<Self> {
        if old.len() * new.len() > LINES_CAP || old.iter().chain(new).any(|line| line.len() > LINE_CAP) {
            return None;
        }
        let pair: Vec<Vec<u32>> =
            old.iter().map(|one| new.iter().map(|other| difference(one, other)).collect()).collect();
        let (n, m) = (old.len(), new.len());
        let mut before = vec![vec![NEVER; m + 1]; n + 1];
        let mut after = before.clone();
        for i in 0..=n {
            for j in 0..=m {
                let paired = if i > 0 && j > 0 { before[i - 1][j - 1] + pair[i - 1][j - 1] } else { NEVER };
                let gone = if i > 0 { before[i - 1][j] + ALONE } else { NEVER };
                let came = if j > 0 { before[i][j - 1] + ALONE } else { NEVER };
                before[i][j] = if i + j == 0 { 0 } else { paired.min(gone).min(came) };
            }
        }
        for i in (0..=n).rev() {
            for j in (0..=m).rev() {
                let paired = if i < n && j < m { after[i + 1][j + 1] + pair[i][j] } else { NEVER };
                let gone = if i < n { after[i + 1][j] + ALONE } else { NEVER };
                let came = if j < m { after[i][j + 1] + ALONE } else { NEVER };
                after[i][j] = if i == n && j == m { 0 } else { paired.min(gone).min(came) };
            }
        }
        Some(Self { pair, before, after })
    }

    /// What becomes of each line, in order.
    pub fn steps(&self) -> Vec<Step> {
        let (n, m) = (self.before.len() - 1, self.before[0].len() - 1);
        let (mut i, mut j) = (0, 0);
        let mut steps = Vec::new();
        while i < n || j < m {
            let here = self.after[i][j];
            if i < n && j < m && self.after[i + 1][j + 1] + self.pair[i][j] == here {
                steps.push(Step::Pair(i, j));
                (i, j) = (i + 1, j + 1);
            } else if i < n && self.after[i + 1][j] + ALONE == here {
                steps.push(Step::Delete(i));
                i += 1;
            } else {
                steps.push(Step::Insert(j));
                j += 1;
            }
        }
        steps
    }

    /// Whether it is certain between which new lines the place before the old line `i` lies.
    pub fn place_is_certain(&self, i: usize) -> bool {
        let limit = self.after[0][0] + MARGIN;
        (0..self.before[0].len()).filter(|&j| self.before[i][j] + self.after[i][j] <= limit).count() == 1
    }

    /// Whether it is certain what became of the old line `i`.
    pub fn line_is_certain(&self, i: usize) -> bool {
        let limit = self.after[0][0] + MARGIN;
        let places = self.before[0].len();
        let gone = (0..places).any(|j| self.before[i][j] + ALONE + self.after[i + 1][j] <= limit);
        let pairs = (1..places)
            .filter(|&j| self.before[i][j - 1] + self.pair[i][j - 1] + self.after[i + 1][j] <= limit)
            .count();
        pairs + usize::from(gone) == 1
    }
}

/// How much two lines differ, from 0 to 100.
fn difference(one: &str, other: &str) -> u32 {
    if one == other {
        return 0;
    }
    let (one, other): (Vec<char>, Vec<char>) =
        (one.trim_end_matches('\n').chars().collect(), other.trim_end_matches('\n').chars().collect());
    let equal: usize = capture_diff_slices(Algorithm::Myers, &one, &other)
        .iter()
        .filter(|op| op.tag() == similar::DiffTag::Equal)
        .map(|op| op.old_range().len())
        .sum();
    let all = (one.len() + other.len()).max(1);
    u32::try_from(100 - 200 * equal / all).unwrap_or(100)
}

/// A piece of an old line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A character that may change.
    Char(char),
    /// A value, which must stay as it is.
    Value(Vec<char>),
    /// A place that must be found again.
    Border,
}

/// Why a line cannot be laid beside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// The line is too long to try.
    TooLarge,
    /// A value, by its place among values and borders, is not in the new line.
    Gone(usize),
    /// A value or border could stand in more than one place.
    Ambiguous(usize),
}

/// Where each value and border of an old line is in the new one, in characters.
pub fn places(old: &[Token], new: &[char]) -> Result<Vec<usize>, Unclear> {
    let (n, m) = (old.len(), new.len());
    if n.saturating_mul(m + 1) > STEPS_CAP {
        return Err(Unclear::TooLarge);
    }
    let fits = |token: &Token, at: usize| match token {
        Token::Char(c) => (new.get(at) == Some(c)).then_some(1),
        Token::Value(value) => new[at..].starts_with(value).then_some(value.len()),
        Token::Border => Some(0),
    };
    let mut after = vec![vec![NEVER; m + 1]; n + 1];
    for i in (0..=n).rev() {
        for j in (0..=m).rev() {
            let mut best = if i == n && j == m { 0 } else { NEVER };
            if j < m {
                best = best.min(after[i][j + 1] + 1);
            }
            if let Some(token) = old.get(i) {
                if matches!(token, Token::Char(_)) {
                    best = best.min(after[i + 1][j] + 1);
                }
                if let Some(length) = fits(token, j) {
                    best = best.min(after[i + 1][j + length]);
                }
            }
            after[i][j] = best.min(NEVER);
        }
    }
    let fixed = |token: &Token| !matches!(token, Token::Char(_));
    if after[0][0] >= NEVER {
        let gone = old.iter().filter(|token| fixed(token)).position(|token| match token {
            Token::Value(value) => !new.windows(value.len().max(1)).any(|window| window == value),
            _ => false,
        });
        return Err(Unclear::Gone(gone.unwrap_or(0)));
    }
    let limit = after[0][0] + 1;
    let mut before = vec![NEVER; m + 1];
    before[0] = 0;
    let mut found = Vec::new();
    for (i, token) in old.iter().enumerate() {
        for j in 1..=m {
            before[j] = before[j].min(before[j - 1] + 1);
        }
        let at: Vec<usize> = (0..=m)
            .filter(|&j| fits(token, j).is_some_and(|length| before[j] + after[i + 1][j + length] <= limit))
            .collect();
        if fixed(token) {
            let &[only] = at.as_slice() else { return Err(Unclear::Ambiguous(found.len())) };
            found.push(only);
        }
        let mut next = vec![NEVER; m + 1];
        for j in 0..=m {
            if matches!(token, Token::Char(_)) {
                next[j] = next[j].min(before[j] + 1);
            }
            if let Some(length) = fits(token, j) {
                next[j + length] = next[j + length].min(before[j]);
            }
        }
        before = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(old: &[&str], new: &str) -> Result<Vec<usize>, Unclear> {
        // `|` is a border, `=x` a value.
        let mut tokens = Vec::new();
        for piece in old {
            match piece.strip_prefix('=') {
                Some(value) => tokens.push(Token::Value(value.chars().collect())),
                None if *piece == "|" => tokens.push(Token::Border),
                None => tokens.extend(piece.chars().map(Token::Char)),
            }
        }
        places(&tokens, &new.chars().collect::<Vec<_>>())
    }

    #[test]
    fn values_are_found_where_they_stand_in_one_way_only() {
        assert_eq!(found(&["name: ", "=shop", "\n"], "name: shop # a comment\n"), Ok(vec![6]));
        assert_eq!(found(&["name: ", "=shop", "\n"], "name: shop # the shop\n"), Err(Unclear::Ambiguous(0)));
        assert_eq!(found(&["name: ", "=shop"], "shop name: shop"), Ok(vec![11]));
        assert_eq!(found(&["a ", "=1", " b ", "=2"], "a 1 c b 2"), Ok(vec![2, 8]));
        assert_eq!(found(&["port ", "=80"], "port 8080"), Err(Unclear::Ambiguous(0)));
        assert_eq!(found(&["port ", "=80"], "port 81"), Err(Unclear::Gone(0)));
        assert_eq!(found(&["a", "|", "b"], "axb"), Err(Unclear::Ambiguous(0)));
        assert_eq!(found(&["a", "|", "b"], "xab"), Ok(vec![2]));
    }

    #[test]
    fn lines_have_partners_or_it_is_not_certain() {
        let lines = Lines::align(&["bar = 1\n"], &["new\n", "bar = 2\n"]).unwrap();
        assert_eq!(lines.steps(), [Step::Insert(0), Step::Pair(0, 1)]);
        assert!(!lines.place_is_certain(0), "the new line may stand before or after it");
        assert!(lines.place_is_certain(1) && lines.line_is_certain(0));
        let lines = Lines::align(&["a\n", "b\n"], &["something\n", "else\n"]).unwrap();
        assert!((0..=2).all(|i| lines.place_is_certain(i)), "as many lines as before take the places of those");
        let lines = Lines::align(&["x = {}\n", "y = {}\n"], &["z = {}\n"]).unwrap();
        assert!(!lines.line_is_certain(0), "either may be the one that is left");
    }
}
