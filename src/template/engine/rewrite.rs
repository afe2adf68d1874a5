//! What Jinja has and minijinja lacks, said in words that minijinja has: `%` on texts, the `now` tag, lists that change.
//! Lines stay what they are, so that errors point to them.

mod scopes;

use std::borrow::Cow;
use std::ops::Range;

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The filter that `%` becomes.
pub const PERCENT: &str = "__percent";
/// The function that makes a literal changeable.
pub const CHANGEABLE: &str = "__changeable";
/// The function that the `now` tag becomes.
pub const NOW: &str = "__now";

/// The functions that imports and includes without context become.
pub const IMPORT: &str = "__import";
/// See [`IMPORT`].
pub const INCLUDE: &str = "__include";
/// The function that makes a macro of one that takes any arguments.
pub const VARIADIC: &str = "__variadic";
/// What such a macro calls its arguments by position that have no name.
pub const VARARGS: &str = "varargs";
/// What such a macro calls its arguments by name that it does not name.
pub const KWARGS: &str = "kwargs";
/// The function that says what is not supported.
pub const UNSUPPORTED: &str = "__unsupported";

/// Methods that change a list or a table.
const CHANGES: [&str; 11] =
    ["append", "extend", "insert", "pop", "remove", "sort", "reverse", "clear", "update", "setdefault", "popitem"];

/// A change of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub range: Range<usize>,
    /// What comes instead.
    pub text: Cow<'static, str>,
}

/// What a source is changed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// To be rendered.
    Rendering,
    /// To be read: what minijinja parses stays as it is.
    Reading,
}

/// The changes that a source needs, in order; mostly none.
pub fn edits(source: &str, syntax: &SyntaxConfig, purpose: For) -> Vec<Edit> {
    let percent = has_percent(source, syntax);
    let now = source.contains("now");
    let changes = CHANGES.iter().any(|method| source.contains(&format!(".{method}(")));
    let does = source.contains(" do ") || source.contains("do(");
    let scopes = purpose == For::Rendering && scopes::concerned(source, syntax);
    if !percent && !now && !changes && !does && !scopes {
        return Vec::new();
    }
    let tokens: Result<Vec<_>, _> = tokenize(source, false, syntax.clone()).collect();
    // What cannot be read is said when it is compiled.
    let Ok(tokens) = tokens else { return Vec::new() };
    let word = |(token, span): (_, Span)| Word {
        token,
        range: span.start_offset as usize..span.end_offset as usize,
        partner: None,
    };
    let mut tokens: Vec<Word<'_>> = tokens.into_iter().map(word).collect();
    join_brackets(&mut tokens);
    let mut edits = Vec::new();
    if percent {
        percents(&tokens, &mut edits);
    }
    if now {
        nows(source, &tokens, syntax, &mut edits);
    }
    if changes {
        literals(&tokens, &mut edits);
    }
    if does {
        dos(&tokens, &mut edits);
    }
    if scopes {
        scopes::edits(source, &tokens, syntax, &mut edits);
    }
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    edits
}

/// How many words the longest expression or statement of a source has.
pub fn longest(source: &str, syntax: &SyntaxConfig) -> usize {
    let (mut longest, mut length) = (0, 0);
    for token in tokenize(source, false, syntax.clone()) {
        match token {
            Ok((Token::VariableStart | Token::BlockStart, _)) => length = 0,
            Ok(_) => length += 1,
            // What cannot be read is said when it is compiled.
            Err(_) => break,
        }
        longest = longest.max(length);
    }
    longest
}

/// A source with its changes.
pub fn apply<'s>(source: &'s str, edits: &[Edit]) -> Cow<'s, str> {
    if edits.is_empty() {
        return source.into();
    }
    let mut out = String::with_capacity(source.len() + edits.len() * 16);
    let mut at = 0;
    for edit in edits {
        out.push_str(&source[at..edit.range.start]);
        out.push_str(&edit.text);
        at = edit.range.end;
    }
    out.push_str(&source[at..]);
    out.into()
}

struct Word<'s> {
    token: Token<'s>,
    range: Range<usize>,
    /// Of a bracket, the one that closes or opens it.
    partner: Option<usize>,
}

/// Finds the partners of brackets.
fn join_brackets(tokens: &mut [Word<'_>]) {
    let mut open = Vec::new();
    for i in 0..tokens.len() {
        if opens(&tokens[i].token) {
            open.push(i);
        } else if closes(&tokens[i].token) {
            if let Some(start) = open.pop() {
                tokens[i].partner = Some(start);
                tokens[start].partner = Some(i);
            }
        } else if matches!(tokens[i].token, Token::VariableEnd | Token::BlockEnd) {
            open.clear();
        }
    }
}

/// Whether a `%` stands anywhere but in a delimiter.
fn has_percent(source: &str, syntax: &SyntaxConfig) -> bool {
    if syntax.block_delimiters() != ("{%", "%}") {
        return source.contains('%');
    }
    let bytes = source.as_bytes();
    source.match_indices('%').any(|(i, _)| {
        let opens = i > 0 && bytes[i - 1] == b'{';
        let closes = bytes.get(i + 1) == Some(&b'}');
        !opens && !closes
    })
}

/// `x % y` becomes `x|__percent(y)`. Where something that binds as tightly stands before `x`, numbers are meant.
fn percents(tokens: &[Word<'_>], edits: &mut Vec<Edit>) {
    for (i, word) in tokens.iter().enumerate() {
        if !matches!(word.token, Token::Mod) || i == 0 {
            continue;
        }
        let before = operand_before(tokens, i).checked_sub(1).map(|before| &tokens[before].token);
        if matches!(before, Some(Token::Mul | Token::Div | Token::FloorDiv | Token::Pow)) {
            continue;
        }
        let Some(end) = operand_after(tokens, i + 1) else { continue };
        edits.push(Edit { range: word.range.clone(), text: format!("|{PERCENT}(").into() });
        let close = tokens[end].range.end;
        edits.push(Edit { range: close..close, text: ")".into() });
    }
}

fn opens(token: &Token<'_>) -> bool {
    matches!(token, Token::ParenOpen | Token::BracketOpen | Token::BraceOpen)
}

fn closes(token: &Token<'_>) -> bool {
    matches!(token, Token::ParenClose | Token::BracketClose | Token::BraceClose)
}

/// Words that end or join expressions, and name nothing.
fn is_keyword(name: &str) -> bool {
    matches!(name, "if" | "else" | "in" | "not" | "and" | "or" | "is" | "set" | "for" | "elif" | "do" | "recursive")
}

fn is_atom(token: &Token<'_>) -> bool {
    match token {
        Token::Ident(name) => !is_keyword(name),
        Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => true,
        _ => false,
    }
}

/// Where the operand begins that ends before a token.
fn operand_before(tokens: &[Word<'_>], end: usize) -> usize {
    let mut at = end;
    while let Some(last) = at.checked_sub(1) {
        let token = &tokens[last].token;
        at = match tokens[last].partner {
            Some(partner) if closes(token) => partner,
            _ if is_atom(token) => last,
            _ => break,
        };
        // A call or an index belongs to what stands before it, and so do attributes and filters.
        match at.checked_sub(1).map(|before| &tokens[before].token) {
            Some(Token::Dot | Token::Pipe) => at -= 1,
            Some(before) if opens(&tokens[at].token) && (is_atom(before) || closes(before)) => {}
            _ => break,
        }
    }
    at
}

/// The last token of the operand that begins at a token.
fn operand_after(tokens: &[Word<'_>], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        while matches!(tokens.get(at)?.token, Token::Minus | Token::Plus) {
            at += 1;
        }
        let first = &tokens[at];
        let mut end = if opens(&first.token) { first.partner? } else { is_atom(&first.token).then_some(at)? };
        while let Some(next) = tokens.get(end + 1) {
            match next.token {
                Token::Dot | Token::Pipe => end += 2,
                Token::ParenOpen | Token::BracketOpen => end = next.partner?,
                _ => break,
            }
        }
        if !matches!(tokens.get(end + 1).map(|next| &next.token), Some(Token::Pow)) {
            return (end < tokens.len()).then_some(end);
        }
        at = end + 2;
    }
}

/// `{% now 'utc', '%Y' %}` becomes `{{ __now('utc', '%Y') }}` between two tags, which take the blanks that a tag takes;
/// `now 'utc' + 'days=1'` becomes `__now('utc', '+', 'days=1')`.
fn nows(source: &str, tokens: &[Word<'_>], syntax: &SyntaxConfig, edits: &mut Vec<Edit>) {
    for (i, window) in tokens.windows(2).enumerate() {
        let [start, name] = window else { continue };
        if !matches!((&start.token, &name.token), (Token::BlockStart, Token::Ident("now"))) {
            continue;
        }
        let Some(end) = tokens[i..].iter().position(|word| matches!(word.token, Token::BlockEnd)) else { continue };
        let end = i + end;
        let (block, block_end) = syntax.block_delimiters();
        if !source[start.range.clone()].starts_with(block) || !source[tokens[end].range.clone()].ends_with(block_end) {
            continue;
        }
        let (open, close) = syntax.variable_delimiters();
        edits.push(Edit { range: name.range.clone(), text: format!("set __done = 0 {block_end}{open} {NOW}(").into() });
        let mut depth = 0_usize;
        for word in &tokens[i + 2..end] {
            if opens(&word.token) {
                depth += 1;
            } else if closes(&word.token) {
                depth = depth.saturating_sub(1);
            }
            let sign = match word.token {
                Token::Comma if depth == 0 => break,
                Token::Plus if depth == 0 => ", '+', ",
                Token::Minus if depth == 0 => ", '-', ",
                _ => continue,
            };
            edits.push(Edit { range: word.range.clone(), text: sign.into() });
            break;
        }
        let at = tokens[end].range.start;
        edits.push(Edit { range: at..at, text: format!(") {close}{block} set __done = 0 ").into() });
    }
}

/// `{% do x %}` becomes `{% set __done = x %}`, since minijinja's does only calls.
fn dos(tokens: &[Word<'_>], edits: &mut Vec<Edit>) {
    for window in tokens.windows(2) {
        if let [Word { token: Token::BlockStart, .. }, Word { token: Token::Ident("do"), range, .. }] = window {
            edits.push(Edit { range: range.clone(), text: "set __done =".into() });
        }
    }
}

/// `[…]` and `{…}` become lists and tables that can be changed.
fn literals(tokens: &[Word<'_>], edits: &mut Vec<Edit>) {
    for (i, word) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|before| &tokens[before].token);
        let indexes = before.is_some_and(|before| is_atom(before) || closes(before));
        let literal = match word.token {
            Token::BracketOpen => !indexes,
            Token::BraceOpen => true,
            _ => false,
        };
        let Some(close) = word.partner.filter(|_| literal) else { continue };
        edits.push(Edit { range: word.range.start..word.range.start, text: format!("{CHANGEABLE}(").into() });
        edits.push(Edit { range: tokens[close].range.end..tokens[close].range.end, text: ")".into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> String {
        let syntax = SyntaxConfig::default();
        apply(source, &edits(source, &syntax, For::Rendering)).into_owned()
    }

    #[test]
    fn what_minijinja_lacks_is_said_otherwise() {
        for (source, expected) in [
            ("{{ '%s' % a }}", "{{ '%s' |__percent( a) }}"),
            ("{{ '%s' % (a, b) | upper ~ c }}", "{{ '%s' |__percent( (a, b) | upper) ~ c }}"),
            ("{{ f(x).y['z'] % -a ** 2 + 1 }}", "{{ f(x).y['z'] |__percent( -a ** 2) + 1 }}"),
            ("{{ 2 * 7 % 3 }}", "{{ 2 * 7 % 3 }}"),
            ("{{ 1 + 7 % 3 % 2 }}", "{{ 1 + 7 |__percent( 3) |__percent( 2) }}"),
            ("{% if loop.index % 2 == 0 %}", "{% if loop.index |__percent( 2) == 0 %}"),
            ("{{ ('a' ~ '%s') % b if c else d }}", "{{ ('a' ~ '%s') |__percent( b) if c else d }}"),
            ("100 % of {{ a }}", "100 % of {{ a }}"),
            ("{% raw %}{{ a % b }}{% endraw %}{# a % b #}", "{% raw %}{{ a % b }}{% endraw %}{# a % b #}"),
            ("{%- now 'utc', '%Y' -%}", "{%- set __done = 0 %}{{ __now( 'utc', '%Y' ) }}{% set __done = 0 -%}"),
            (
                "{% now 'local' + 'days=1', '%Y' %}",
                "{% set __done = 0 %}{{ __now( 'local' , '+',  'days=1', '%Y' ) }}{% set __done = 0 %}",
            ),
            (
                "{% set a = [] %}{% do a.append(b[0]) %}",
                "{% set a = __changeable([]) %}{% set __done = a.append(b[0]) %}",
            ),
            (
                "{% set a = {'b': [1]} %}{% do a.update({}) %}",
                "{% set a = __changeable({'b': __changeable([1])}) %}{% set __done = a.update(__changeable({})) %}",
            ),
            ("{{ now }} % {{", "{{ now }} % {{"),
        ] {
            assert_eq!(rewritten(source), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_source_panics(source in "(\\{\\{|\\}\\}|\\{%|%\\}| |%|a|'%s'|\\(|\\)|\\[|\\]|\\{|\\}|now|,|\\+|-|macro|endmacro|call|endcall|import|from|include|as|with|without|context|varargs|kwargs|\\.append\\(|\\||\\.|\\*\\*|=|\n){0,20}") {
            rewritten(&source);
        }

        #[test]
        fn no_signature_panics(source in "\\{% (macro m|call)\\(a, b=(a|c|1|'%s'| % |\\[a\\]|\\[|\\]| ~ |, c=|\n|varargs|\\(a\\)){0,8}\\) %\\}\\{\\{ l\\.append\\(varargs\\) \\}\\}\\{% end(macro|call) %\\}") {
            rewritten(&source);
        }
    }
}
