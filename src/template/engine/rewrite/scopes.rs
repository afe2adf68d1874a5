//! Imports and includes without context, and macros that speak of `varargs` and `kwargs`. Each is said in one place of the
//! text, so that blanks around it and lines after it stay what they are.

use std::borrow::Cow;
use std::ops::Range;

use minijinja::machinery::Token;
use minijinja::syntax::SyntaxConfig;

use super::{Edit, IMPORT, INCLUDE, KWARGS, UNSUPPORTED, VARARGS, VARIADIC, Word, apply};

/// Whether a source may need any of this.
pub fn concerned(source: &str, syntax: &SyntaxConfig) -> bool {
    let line = syntax.line_statement_prefix().unwrap_or_default();
    [syntax.block_delimiters().0, line].into_iter().filter(|start| !start.is_empty()).any(|start| {
        source.match_indices(start).any(|(at, _)| {
            let tag = source[at + start.len()..].trim_start_matches(['-', '+']).trim_start();
            ["import", "from", "include", "macro", "call"].iter().any(|word| tag.starts_with(word))
        })
    })
}

/// Adds the changes.
pub fn edits(source: &str, tokens: &[Word<'_>], syntax: &SyntaxConfig, edits: &mut Vec<Edit>) {
    let text = Text { source, tokens, syntax };
    for (i, window) in tokens.windows(2).enumerate() {
        let [Word { token: Token::BlockStart, .. }, Word { token: Token::Ident(name), .. }] = window else { continue };
        match *name {
            "import" | "from" => text.import(i, edits),
            "include" => text.include(i, edits),
            _ => {}
        }
    }
    text.macros(edits);
}

/// A macro or call block that is open.
struct Open<'s> {
    /// The token of the macro's name; none of a call block.
    name: Option<usize>,
    /// Its arguments, and what it sets before it uses it.
    own: Vec<&'s str>,
    /// Where it first speaks of more arguments than it names.
    speaks: Option<usize>,
}

struct Text<'a> {
    source: &'a str,
    tokens: &'a [Word<'a>],
    syntax: &'a SyntaxConfig,
}

impl Text<'_> {
    /// `{% import x as m %}` becomes `{% set m = __import(…, x) %}`.
    fn import(&self, start: usize, edits: &mut Vec<Edit>) {
        let Some(end) = self.end(start) else { return };
        let from = self.is(start + 1, "from");
        let Some(middle) = self.find(start + 2, end, if from { "import" } else { "as" }) else { return };
        if self.is(end - 2, "with") && self.is(end - 1, "context") {
            return;
        }
        let last = if self.is(end - 2, "without") && self.is(end - 1, "context") { end - 2 } else { end };
        if !self.written_out(start, end) {
            let why = "`import` in a line statement; write it as a tag, or `with context`";
            return self.refuse(start + 2, why, edits);
        }
        let (open, close) = self.syntax.block_delimiters();
        let target = if from { "__from".to_owned() } else { self.between(middle + 1, last).to_owned() };
        let begin = format!(
            "macro __module(__name, __shelf) {close}{open} import __name as __it {close}{open} set __it = __shelf(__it) \
             {close}{open} endmacro {close}{open} set {target} = {IMPORT}(__module, "
        );
        self.replace(start + 1, begin, edits);
        let mut rest = ")".to_owned();
        if from {
            for name in self.between(middle + 1, last).split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let mut words = name.split_whitespace();
                let name = words.next().unwrap_or_default();
                let alias = words.nth(1).unwrap_or(name);
                rest.push_str(&format!(" {close}{open} set {alias} = __from.{name}"));
            }
        }
        self.replace_all(middle, end, rest, edits);
    }

    /// `{% include x without context %}` becomes `{{ __include(…, x) }}` between two tags.
    fn include(&self, start: usize, edits: &mut Vec<Edit>) {
        let Some(end) = self.end(start).filter(|end| end - start > 4) else { return };
        if !self.is(end - 2, "without") || !self.is(end - 1, "context") {
            return;
        }
        if !self.written_out(start, end) {
            return self.refuse(start + 2, "`include … without context` in a line statement; write it as a tag", edits);
        }
        let lenient = self.is(end - 4, "ignore") && self.is(end - 3, "missing");
        let (last, missing) = if lenient { (end - 4, " ignore missing") } else { (end - 2, "") };
        let (open, close) = self.syntax.block_delimiters();
        let (show, shown) = self.syntax.variable_delimiters();
        let begin = format!(
            "macro __alone(__name) {close}{open} include __name{missing} {close}{open} endmacro {close}{show} \
             {INCLUDE}(__alone, "
        );
        self.replace(start + 1, begin, edits);
        self.replace_all(last, end, format!(") {shown}{open} set __done = 0"), edits);
    }

    /// `{% macro m(a) %}{{ varargs }}{% endmacro %}` becomes a macro with two arguments more, and `m` what fills them.
    fn macros(&self, edits: &mut Vec<Edit>) {
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut signatures = Vec::new();
        for (i, word) in self.tokens.iter().enumerate() {
            let Token::Ident(name) = word.token else { continue };
            let begins = i > 0 && matches!(self.tokens[i - 1].token, Token::BlockStart);
            match name {
                "macro" | "call" if begins => {
                    let name = (name == "macro").then_some(i + 1);
                    let signature = i + 1 + usize::from(name.is_some());
                    signatures.push((i - 1, signature));
                    open.push(Open { name, own: self.arguments(signature), speaks: None });
                }
                "endmacro" | "endcall" if begins => {
                    if let Some(Open { name: Some(name), speaks: Some(first), .. }) = open.pop() {
                        self.variadic(name, first, i, edits);
                    }
                }
                VARARGS | KWARGS if !self.is_only_a_name(i) => {
                    let Some(innermost) = open.last_mut().filter(|open| !open.own.contains(&name)) else { continue };
                    if self.is(i - 1, "set") || self.is(i - 1, "for") {
                        innermost.own.push(name);
                    } else if innermost.name.is_some() {
                        innermost.speaks.get_or_insert(i);
                    } else {
                        self.refuse(i, "`varargs` and `kwargs` in a call block", edits);
                    }
                }
                _ => {}
            }
        }
        // Last: a default takes the other changes in it along.
        for (start, signature) in signatures {
            self.defaults(start, signature, edits);
        }
    }

    fn variadic(&self, name: usize, first: usize, end: usize, edits: &mut Vec<Edit>) {
        let close = self.tokens.get(name + 1).and_then(|open| open.partner);
        let (Token::Ident(called), Some(close)) = (&self.tokens[name].token, close) else { return };
        let tag_ends = matches!(self.tokens.get(end + 1).map(|end| &end.token), Some(Token::BlockEnd));
        if !tag_ends || !self.written_out(end - 1, end + 1) {
            return self.refuse(first, "`varargs` and `kwargs` of a macro in line statements", edits);
        }
        self.replace(name, format!("__of_{called}"), edits);
        let comma = if matches!(self.tokens[close - 1].token, Token::ParenOpen | Token::Comma) { "" } else { ", " };
        // Not before the bracket: that would be part of the last default.
        self.replace(close, format!("{comma}{VARARGS}=0, {KWARGS}=0)"), edits);
        let (open, closed) = self.syntax.block_delimiters();
        let wrap = format!("endmacro {closed}{open} set {called} = {VARIADIC}('{called}', __of_{called})");
        self.replace(end, wrap, edits);
    }

    /// `m(a, b=a)`: minijinja does not know `a` yet where it makes `b`, so `b` is made after all of them; and so are those
    /// after it, which `b` must not know.
    fn defaults(&self, start: usize, open: usize, edits: &mut Vec<Edit>) {
        let own = self.arguments(open);
        let Some(close) = self.tokens.get(open).and_then(|open| open.partner).filter(|_| !own.is_empty()) else {
            return;
        };
        let Some(end) = self.tokens[close..].iter().position(|word| matches!(word.token, Token::BlockEnd)) else {
            return;
        };
        let (end, mut at) = (close + end, open + 1);
        let mut later = String::new();
        while at < close {
            let stop = self.comma(at, close);
            let speaks = |i: &usize| own.iter().any(|name| self.is(*i, name)) && !self.is_only_a_name(*i);
            let has_default = stop > at + 2 && matches!(self.tokens[at + 1].token, Token::Assign);
            if has_default && (!later.is_empty() || (at + 2..stop).any(|i| speaks(&i))) {
                if !self.written_out(start, end) {
                    return self.refuse(at + 2, "a default of another argument in a line statement", edits);
                }
                let (name, default) = (self.between(at, at + 1), self.take(at + 2, stop, edits));
                let (begin, finish) = self.syntax.block_delimiters();
                later
                    .push_str(&format!(" {finish}{begin} set {name} = ({default}) if {name} is undefined else {name}"));
                self.replace_all(at + 2, stop, "__none".to_owned(), edits);
            }
            at = stop + 1;
        }
        if !later.is_empty() {
            let at = self.tokens[end].range.start;
            edits.push(Edit { range: at..at, text: (later + " ").into() });
        }
    }

    /// An expression with the changes in it, which are no others' any more, on one line: its lines stay where it stood.
    fn take(&self, from: usize, to: usize, edits: &mut Vec<Edit>) -> String {
        let (begin, end) = (self.tokens[from].range.start, self.tokens[to].range.start);
        let inside = |edit: &mut Edit| begin <= edit.range.start && edit.range.end <= end;
        let mut own: Vec<Edit> = edits.extract_if(.., inside).collect();
        let mut blank = begin;
        for word in &self.tokens[from..to] {
            own.extend(self.ends_of_lines(blank..word.range.start, " "));
            own.extend(self.ends_of_lines(word.range.clone(), "\\n"));
            blank = word.range.end;
        }
        own.extend(self.ends_of_lines(blank..end, " "));
        own.sort_by_key(|edit| (edit.range.start, edit.range.end));
        for edit in &mut own {
            edit.range = edit.range.start - begin..edit.range.end - begin;
        }
        apply(&self.source[begin..end], &own).trim_end().to_owned()
    }

    /// What writes the ends of lines otherwise.
    fn ends_of_lines(&self, range: Range<usize>, text: &'static str) -> impl Iterator<Item = Edit> {
        let ends = self.source[range.clone()].match_indices('\n');
        ends.map(move |(at, _)| Edit { range: range.start + at..range.start + at + 1, text: text.into() })
    }

    /// The comma or bracket that ends an argument.
    fn comma(&self, mut at: usize, close: usize) -> usize {
        while at < close && !matches!(self.tokens[at].token, Token::Comma) {
            at = self.tokens[at].partner.filter(|partner| *partner > at).unwrap_or(at) + 1;
        }
        at.min(close)
    }

    /// The names of a signature that begins at a token, if one does.
    fn arguments(&self, open: usize) -> Vec<&str> {
        let Some(close) = self.tokens.get(open).and_then(|open| open.partner) else { return Vec::new() };
        let (mut names, mut at) = (Vec::new(), open + 1);
        while at < close {
            if let Token::Ident(name) = self.tokens[at].token {
                names.push(name);
            }
            at = self.comma(at, close) + 1;
        }
        names
    }

    /// Whether a word names no variable: an attribute, a filter, a test, an argument that is passed.
    fn is_only_a_name(&self, i: usize) -> bool {
        let before = i.checked_sub(1).map(|before| &self.tokens[before].token);
        let passed = matches!(before, Some(Token::ParenOpen | Token::Comma))
            && matches!(self.tokens.get(i + 1).map(|next| &next.token), Some(Token::Assign));
        passed || matches!(before, Some(Token::Dot | Token::Pipe | Token::Ident("is")))
    }

    fn is(&self, i: usize, name: &str) -> bool {
        matches!(self.tokens.get(i), Some(Word { token: Token::Ident(word), .. }) if *word == name)
    }

    /// The token that ends a tag.
    fn end(&self, start: usize) -> Option<usize> {
        let length = self.tokens[start..].iter().position(|word| matches!(word.token, Token::BlockEnd))?;
        (length > 3).then_some(start + length)
    }

    fn find(&self, from: usize, to: usize, name: &str) -> Option<usize> {
        (from..to).find(|i| self.is(*i, name))
    }

    /// What stands from one token to another, without the blanks before that.
    fn between(&self, from: usize, to: usize) -> &str {
        let range = self.tokens[from].range.start..self.tokens[to].range.start;
        self.source.get(range).unwrap_or_default().trim_end()
    }

    /// Whether a tag stands in the template's delimiters, not in a line statement.
    fn written_out(&self, start: usize, end: usize) -> bool {
        let (open, close) = self.syntax.block_delimiters();
        self.source[self.tokens[start].range.clone()].starts_with(open)
            && self.source[self.tokens[end].range.clone()].ends_with(close)
    }

    /// Makes an expression that begins at a token say why it cannot be had.
    fn refuse(&self, i: usize, why: &str, edits: &mut Vec<Edit>) {
        let at = self.tokens[i].range.start;
        edits.push(Edit { range: at..at, text: format!("{UNSUPPORTED}('{why} is not supported') ~ ").into() });
    }

    fn replace(&self, i: usize, text: impl Into<Cow<'static, str>>, edits: &mut Vec<Edit>) {
        edits.push(Edit { range: self.tokens[i].range.clone(), text: text.into() });
    }

    /// From one token up to another. Lines that went are made up for.
    fn replace_all(&self, from: usize, to: usize, mut text: String, edits: &mut Vec<Edit>) {
        let range = self.tokens[from].range.start..self.tokens[to].range.start;
        let lines = self.source[range.clone()].matches('\n').count();
        text.push_str(if lines == 0 { " " } else { "" });
        text.push_str(&"\n".repeat(lines));
        edits.push(Edit { range, text: text.into() });
    }
}
