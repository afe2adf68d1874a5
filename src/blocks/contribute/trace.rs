//! The line map of a template: which part of its source made which part of the output.
//!
//! A template is split into literal texts and what stands between them. Every part whose output can be seen is wrapped in
//! marks, the marked template is rendered, and the marks tell where each part's output is. What is left without the marks
//! must be what the plain template renders to, byte for byte; else there is no map.

use std::ops::Range;

use minijinja::machinery::{Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;

use crate::template::Syntax;

/// Opens a mark, ends its number, closes it. Private use: no honest template holds them.
const OPEN: char = '\u{10f0a0}';
const NUMBER: char = '\u{10f0a1}';
const CLOSE: char = '\u{10f0a2}';

/// Why a file has no line map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMap {
    /// It is no template that can be read.
    #[error("its template cannot be read: {0}")]
    Unreadable(String),
    /// It is made of more than itself.
    #[error("its template {0}, so its lines cannot be told apart")]
    Composed(&'static str),
    /// It does not render with these answers.
    #[error("its template does not render: {0}")]
    Fails(String),
    /// Rendered with marks it is something else.
    #[error("its template renders otherwise when its lines are marked")]
    Unfaithful,
}

/// What a part of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is given as it stands. In a raw block delimiters are text, too.
    Literal {
        /// Whether it stands in a raw block.
        raw: bool,
    },
    /// `{{ … }}`
    Expression,
    /// Output of something that repeats, includes or transforms: it cannot be traced further.
    Opaque,
    /// What gives no output itself, but decides about the output around it.
    Tag,
    /// A comment, or the border of a raw block.
    Border,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Where it stands in the source.
    pub source: Range<usize>,
}

/// A template, split: literals stand at even places, and something else between every two of them.
#[derive(Clone, Debug)]
pub struct Parts {
    source: String,
    all: Vec<Part>,
    /// The loops that are looked into, in the source.
    loops: Vec<Range<usize>>,
    marked: String,
    syntax: Syntax,
}

/// What becomes of a template's loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loops {
    /// Their lines are traced as others are, and give output more than once.
    Traced,
    /// Each is one part, whose lines cannot be told apart.
    Opaque,
}

/// Where one part's output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which part.
    pub part: usize,
    /// Where in the output.
    pub output: Range<usize>,
}

/// What a template rendered to, and which part made what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The output.
    pub text: String,
    /// The parts that gave output, in its order. A part that was not reached is not there.
    pub spans: Vec<Span>,
}

impl Parts {
    /// Splits a template.
    pub fn of(source: &str, syntax: &Syntax, loops: Loops) -> Result<Self, NoMap> {
        if syntax.line_statement.is_some() || syntax.line_comment.is_some() {
            return Err(NoMap::Composed("has statements without delimiters"));
        }
        if source.contains([OPEN, NUMBER, CLOSE]) {
            return Err(NoMap::Unfaithful);
        }
        let tokens = tokens(source, syntax)?.into();
        let mut splitter = Splitter { source, syntax, tokens, how: loops, open: vec![], loops: vec![], parts: vec![] };
        splitter.split()?;
        let (all, loops) = (splitter.parts, splitter.loops);
        let marked = marked(source, syntax, &all);
        Ok(Self { source: source.to_owned(), all, loops, marked, syntax: syntax.clone() })
    }

    /// The template of a file that is copied as it is: one literal.
    pub fn copied(text: &str) -> Self {
        let part = Part { kind: Kind::Literal { raw: true }, source: 0..text.len() };
        let (source, marked) = (text.to_owned(), String::new());
        Self { source, all: vec![part], loops: Vec::new(), marked, syntax: Syntax::default() }
    }

    /// The part at a place.
    pub fn part(&self, index: usize) -> &Part {
        &self.all[index]
    }

    /// The source of a part.
    pub fn text(&self, index: usize) -> &str {
        &self.source[self.all[index].source.clone()]
    }

    /// The line of the innermost loop that a part stands in, from 1; none where it stands in none.
    pub fn loop_line(&self, index: usize) -> Option<usize> {
        let at = self.all[index].source.start;
        // The inner one ends first, and is known first.
        let around = self.loops.iter().find(|around| around.start < at && at < around.end)?;
        Some(self.line_at(around.start))
    }

    /// Whether a part is an include.
    pub fn is_include(&self, index: usize) -> bool {
        let text = self.text(index).strip_prefix(self.syntax.block.0.as_str()).unwrap_or_default();
        text.trim_start_matches(['-', '+']).trim_start().starts_with("include")
    }

    /// Whether some lines may give output more than once.
    pub fn repeats(&self) -> bool {
        !self.loops.is_empty()
    }

    /// How many parts there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The whole source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its delimiters.
    pub fn syntax(&self) -> &Syntax {
        &self.syntax
    }

    /// What stands between an expression's delimiters.
    pub fn expression(&self, index: usize) -> &str {
        let (start, end) = &self.syntax.variable;
        let text = self.text(index).strip_prefix(start.as_str()).unwrap_or_default();
        let text = text.strip_suffix(end.as_str()).unwrap_or_default();
        text.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim()
    }

    /// The line of the source that a part begins on, from 1.
    pub fn line(&self, index: usize) -> usize {
        self.line_at(self.all[index].source.start)
    }

    fn line_at(&self, at: usize) -> usize {
        1 + self.source[..at].matches('\n').count()
    }

    /// Renders it with marks and reads the map. `render` renders a template's text.
    pub fn trace(&self, render: &dyn Fn(&str) -> Result<String, String>) -> Result<Trace, NoMap> {
        if self.marked.is_empty() {
            // One literal, which a renderer would not give as it is.
            let spans = self.all.iter().map(|part| Span { part: 0, output: part.source.clone() }).collect();
            return Ok(Trace { text: self.source.clone(), spans });
        }
        let plain = render(&self.source).map_err(NoMap::Fails)?;
        let trace = read(&render(&self.marked).map_err(NoMap::Fails)?).ok_or(NoMap::Unfaithful)?;
        let literal = |span: &Span| {
            let is_literal = matches!(self.all[span.part].kind, Kind::Literal { .. });
            !is_literal || trace.text[span.output.clone()] == *self.text(span.part)
        };
        if trace.text != plain || !trace.spans.iter().all(literal) {
            return Err(NoMap::Unfaithful);
        }
        Ok(trace)
    }
}

/// Takes the marks out of a text. None where they do not pair, or text stands outside of all of them.
fn read(marked: &str) -> Option<Trace> {
    let mut trace = Trace { text: String::with_capacity(marked.len()), spans: Vec::new() };
    let mut rest = marked;
    while !rest.is_empty() {
        let (number, after) = rest.strip_prefix(OPEN)?.split_once(NUMBER)?;
        let (text, after) = after.split_once(CLOSE)?;
        if text.contains([OPEN, NUMBER]) {
            return None;
        }
        let start = trace.text.len();
        trace.text.push_str(text);
        trace.spans.push(Span { part: number.parse().ok()?, output: start..trace.text.len() });
        rest = after;
    }
    Some(trace)
}

/// The template with every part marked whose output can be seen. Only what survived the whitespace rules is in it, so
/// that those have nothing left to do.
fn marked(source: &str, syntax: &Syntax, parts: &[Part]) -> String {
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        let own = &source[part.source.clone()];
        let (start, end) = &syntax.block;
        match part.kind {
            Kind::Border => {}
            Kind::Tag => text.push_str(own),
            Kind::Literal { raw: true } => {
                text.push_str(&format!("{start} raw {end}{OPEN}{index}{NUMBER}{own}{CLOSE}{start} endraw {end}"));
            }
            _ => text.push_str(&format!("{OPEN}{index}{NUMBER}{own}{CLOSE}")),
        }
    }
    text
}

/// What the splitter needs to know of a template's tokens.
#[derive(Clone, Debug)]
enum Piece {
    Text(Range<usize>),
    Expression(Range<usize>),
    Tag { name: String, assigns: bool, range: Range<usize> },
}

impl Piece {
    fn range(&self) -> &Range<usize> {
        match self {
            Self::Text(range) | Self::Expression(range) | Self::Tag { range, .. } => range,
        }
    }
}

/// The template's own delimiters and blanks, as the library takes them.
fn config(syntax: &Syntax) -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder()
        .block_delimiters(syntax.block.0.clone(), syntax.block.1.clone())
        .variable_delimiters(syntax.variable.0.clone(), syntax.variable.1.clone())
        .comment_delimiters(syntax.comment.0.clone(), syntax.comment.1.clone())
        .trim_blocks(syntax.trim_blocks)
        .lstrip_blocks(syntax.lstrip_blocks)
        .keep_trailing_newline(syntax.keep_trailing_newline)
        .build()
}

fn tokens(source: &str, syntax: &Syntax) -> Result<Vec<Piece>, NoMap> {
    let unreadable = |error: minijinja::Error| NoMap::Unreadable(error.to_string());
    let config = config(syntax).map_err(unreadable)?;
    let mut tokenizer = Tokenizer::new(source, "template", false, config);
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut tag: Option<(String, bool)> = None;
    while let Some((token, span)) = tokenizer.next_token().map_err(unreadable)? {
        let (from, to) = (span.start_offset as usize, span.end_offset as usize);
        match token {
            Token::TemplateData(_) => pieces.push(Piece::Text(from..to)),
            Token::VariableStart => start = from,
            Token::VariableEnd => pieces.push(Piece::Expression(start..to)),
            Token::BlockStart => {
                start = from;
                tag = Some((String::new(), false));
            }
            Token::BlockEnd => {
                let (name, assigns) = tag.take().unwrap_or_default();
                pieces.push(Piece::Tag { name, assigns, range: start..to });
            }
            Token::Ident(word) => {
                if let Some((name, _)) = tag.as_mut().filter(|(name, _)| name.is_empty()) {
                    word.clone_into(name);
                }
            }
            Token::Assign => {
                if let Some((_, assigns)) = &mut tag {
                    *assigns = true;
                }
            }
            _ => {}
        }
    }
    Ok(pieces)
}

struct Splitter<'a> {
    source: &'a str,
    syntax: &'a Syntax,
    tokens: std::collections::VecDeque<Piece>,
    how: Loops,
    /// Where the loops begin that are not closed yet.
    open: Vec<usize>,
    loops: Vec<Range<usize>>,
    parts: Vec<Part>,
}

impl Splitter<'_> {
    fn split(&mut self) -> Result<(), NoMap> {
        while let Some(piece) = self.tokens.pop_front() {
            match piece {
                Piece::Text(range) => self.literal(range),
                Piece::Expression(range) => self.between(Kind::Expression, range),
                Piece::Tag { name, assigns, range } => self.tag(&name, assigns, range)?,
            }
        }
        if self.parts.len().is_multiple_of(2) {
            let end = self.end();
            self.parts.push(Part { kind: Kind::Literal { raw: false }, source: end..end });
        }
        Ok(())
    }

    fn tag(&mut self, name: &str, assigns: bool, range: Range<usize>) -> Result<(), NoMap> {
        match name {
            "extends" => return Err(NoMap::Composed("extends another one")),
            // A recursive loop gives its output within itself.
            "for" if self.how == Loops::Traced && !self.source[range.clone()].contains("recursive") => {
                self.open.push(range.start);
                self.between(Kind::Tag, range);
            }
            "endfor" => {
                self.loops.extend(self.open.pop().map(|start| start..range.end));
                self.between(Kind::Tag, range);
            }
            "if" | "elif" | "else" | "endif" | "with" | "endwith" | "do" | "import" | "from" | "break" | "continue" => {
                self.between(Kind::Tag, range);
            }
            "set" if assigns => self.between(Kind::Tag, range),
            _ => {
                let end = self.closed(name).unwrap_or(range.end);
                self.between(Kind::Opaque, range.start..end);
            }
        }
        Ok(())
    }

    /// Takes the tokens up to the tag that closes this one; where that ends. None where nothing closes it.
    fn closed(&mut self, opener: &str) -> Option<usize> {
        let closer = format!("end{opener}");
        let mut depth = 1;
        let opens = |assigns: bool| !(opener == "set" && assigns);
        let end = self.tokens.iter().position(|piece| {
            if let Piece::Tag { name, assigns, .. } = piece {
                depth += usize::from(name == opener && opens(*assigns));
                depth -= usize::from(*name == closer);
            }
            depth == 0
        })?;
        self.tokens.drain(..=end).next_back().map(|piece| piece.range().end)
    }

    fn end(&self) -> usize {
        self.parts.last().map_or(0, |part| part.source.end)
    }

    fn literal(&mut self, range: Range<usize>) {
        if !self.parts.len().is_multiple_of(2) {
            let border = self.end()..range.start;
            self.parts.push(Part { kind: Kind::Border, source: border });
        }
        let after = self.source[range.end..].trim_start();
        let tag = after.strip_prefix(self.syntax.block.0.as_str()).unwrap_or_default();
        let raw = tag.trim_start_matches(['-', '+']).trim_start().starts_with("endraw");
        self.parts.push(Part { kind: Kind::Literal { raw }, source: range });
    }

    fn between(&mut self, kind: Kind, range: Range<usize>) {
        if self.parts.len().is_multiple_of(2) {
            let end = self.end();
            self.parts.push(Part { kind: Kind::Literal { raw: false }, source: end..end });
        }
        self.parts.push(Part { kind, source: range });
    }
}

#[cfg(test)]
pub(super) mod tests;
