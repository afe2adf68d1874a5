//! YAML as `PyYAML` writes it, byte for byte: a port of its emitter, for values that JSON can hold.

use super::super::Value;
use super::super::question::cast::python_float;
use super::scalar::is_text;

/// How a value is written: the options of `PyYAML`'s `dump`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Blanks of each level, 2 to 9.
    pub indent: usize,
    /// Where lines are folded.
    pub width: usize,
    /// Whether keys are sorted.
    pub sort_keys: bool,
    /// Whether lists and tables are written on one line; none: those that hold no other ones.
    pub flow: Option<bool>,
    /// Whether letters beyond ASCII are written as they are.
    pub unicode: bool,
    /// Whether go-yaml must read the same: what that takes for more than text is quoted, too.
    pub go: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { indent: 2, width: 80, sort_keys: true, flow: Some(false), unicode: false, go: false }
    }
}

/// Writes a value as Copier writes its answers file: `sort_keys=False, allow_unicode=True`.
pub fn dump(value: &Value) -> String {
    dump_with(value, Style { sort_keys: false, unicode: true, ..Style::default() })
}

/// Writes a value as `PyYAML`'s `safe_dump` does with these options.
pub fn dump_with(value: &Value, style: Style) -> String {
    let indent = if (2..10).contains(&style.indent) { style.indent } else { 2 };
    let width = if style.width > indent * 2 { style.width } else { 80 };
    let mut emitter = Emitter {
        style: Style { indent, width, ..style },
        out: String::new(),
        column: 0,
        indents: Vec::new(),
        indent: None,
        whitespace: true,
        indention: true,
        flow: 0,
        open_ended: false,
    };
    emitter.node(value, Context { root: true, ..Context::default() });
    emitter.write_indent();
    if emitter.open_ended {
        emitter.indicator("...", true, false, false);
        emitter.write_indent();
    }
    emitter.out
}

/// Where a value stands.
#[derive(Clone, Copy, Default)]
struct Context {
    root: bool,
    mapping: bool,
    simple_key: bool,
}

/// What a text allows.
struct Analysis {
    empty: bool,
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single_quoted: bool,
}

struct Emitter {
    style: Style,
    out: String,
    column: usize,
    indents: Vec<Option<usize>>,
    indent: Option<usize>,
    whitespace: bool,
    indention: bool,
    flow: usize,
    open_ended: bool,
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_space(c: char) -> bool {
    matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c)
}

impl Emitter {
    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::Array(items) if items.is_empty() || self.is_flow(items.iter()) => self.flow_sequence(items),
            Value::Array(items) => self.block_sequence(items, context),
            Value::Object(fields) => {
                let mut pairs: Vec<(&String, &Value)> = fields.iter().collect();
                if self.style.sort_keys {
                    pairs.sort_by(|a, b| a.0.cmp(b.0));
                }
                if pairs.is_empty() || self.is_flow(fields.values()) {
                    self.flow_mapping(&pairs);
                } else {
                    self.block_mapping(&pairs);
                }
            }
            Value::Null => self.scalar("null", true, context),
            Value::Bool(yes) => self.scalar(if *yes { "true" } else { "false" }, true, context),
            Value::Number(number) => {
                let text = match number.as_f64() {
                    Some(part) if number.is_f64() => float(part),
                    _ => number.to_string(),
                };
                self.scalar(&text, true, context);
            }
            Value::String(text) => self.scalar(text, self.is_text(text), context),
        }
    }

    /// Whether whoever reads this takes it for text without quotes.
    fn is_text(&self, text: &str) -> bool {
        is_text(text) && (!self.style.go || super::go::is_text(text))
    }

    fn is_flow<'v>(&self, mut values: impl Iterator<Item = &'v Value>) -> bool {
        self.flow > 0 || self.style.flow.unwrap_or_else(|| !values.any(|value| value.is_array() || value.is_object()))
    }

    fn increase_indent(&mut self, flow: bool, indentless: bool) {
        self.indents.push(self.indent);
        self.indent = match self.indent {
            None => Some(if flow { self.style.indent } else { 0 }),
            Some(indent) if !indentless => Some(indent + self.style.indent),
            same => same,
        };
    }

    fn decrease_indent(&mut self) {
        self.indent = self.indents.pop().flatten();
    }

    fn flow_sequence(&mut self, items: &[Value]) {
        self.indicator("[", true, true, false);
        self.flow += 1;
        self.increase_indent(true, false);
        for (index, item) in items.iter().enumerate() {
            self.flow_separator(index);
            self.node(item, Context::default());
        }
        self.decrease_indent();
        self.flow -= 1;
        self.indicator("]", false, false, false);
    }

    fn flow_mapping(&mut self, pairs: &[(&String, &Value)]) {
        self.indicator("{", true, true, false);
        self.flow += 1;
        self.increase_indent(true, false);
        for (index, (key, value)) in pairs.iter().enumerate() {
            self.flow_separator(index);
            if simple(key, self.style.unicode) {
                self.key(key, true);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, false);
                self.key(key, false);
                if self.column > self.style.width {
                    self.write_indent();
                }
                self.indicator(":", true, false, false);
            }
            self.node(value, Context { mapping: true, ..Context::default() });
        }
        self.decrease_indent();
        self.flow -= 1;
        self.indicator("}", false, false, false);
    }

    fn flow_separator(&mut self, index: usize) {
        if index > 0 {
            self.indicator(",", false, false, false);
        }
        if self.column > self.style.width {
            self.write_indent();
        }
    }

    fn block_sequence(&mut self, items: &[Value], context: Context) {
        let indentless = context.mapping && !self.indention;
        self.increase_indent(false, indentless);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Context::default());
        }
        self.decrease_indent();
    }

    fn block_mapping(&mut self, pairs: &[(&String, &Value)]) {
        self.increase_indent(false, false);
        for (key, value) in pairs {
            self.write_indent();
            if simple(key, self.style.unicode) {
                self.key(key, true);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.key(key, false);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Context { mapping: true, ..Context::default() });
        }
        self.decrease_indent();
    }

    fn key(&mut self, key: &str, simple: bool) {
        self.scalar(key, self.is_text(key), Context { root: false, mapping: true, simple_key: simple });
    }

    /// Writes a scalar; `plain` says whether it would be read as what it is without quotes.
    fn scalar(&mut self, text: &str, plain: bool, context: Context) {
        self.increase_indent(true, false);
        let analysis = analyze(text, self.style.unicode);
        let split = !context.simple_key;
        let characters: Vec<char> = text.chars().collect();
        let allowed = if self.flow > 0 { analysis.flow_plain } else { analysis.block_plain };
        let unfit_key = context.simple_key && (analysis.empty || analysis.multiline);
        if plain && allowed && !unfit_key {
            self.plain(&characters, split, context.root);
        } else if analysis.single_quoted && !(context.simple_key && analysis.multiline) {
            self.single_quoted(&characters, split);
        } else {
            self.double_quoted(&characters, split);
        }
        self.decrease_indent();
    }

    fn write(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    fn write_chars(&mut self, text: &[char]) {
        self.column += text.len();
        self.out.extend(text);
    }

    fn indicator(&mut self, indicator: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if !self.whitespace && need_whitespace {
            self.write(" ");
        }
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.open_ended = false;
        self.write(indicator);
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break('\n');
        }
        if self.column < indent {
            self.whitespace = true;
            self.write(&" ".repeat(indent - self.column));
        }
    }

    fn line_break(&mut self, c: char) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push(c);
    }

    fn breaks(&mut self, breaks: &[char]) {
        if breaks.first() == Some(&'\n') {
            self.line_break('\n');
        }
        for c in breaks {
            self.line_break(*c);
        }
        self.write_indent();
    }

    /// One line: a text with breaks in it is never plain.
    fn plain(&mut self, text: &[char], split: bool, root: bool) {
        if root {
            self.open_ended = true;
        }
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.write(" ");
        }
        self.whitespace = false;
        self.indention = false;
        let mut start = 0;
        let mut spaces = false;
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if spaces {
                if c != Some(' ') {
                    if start + 1 == end && self.column > self.style.width && split {
                        self.write_indent();
                        self.whitespace = false;
                        self.indention = false;
                    } else {
                        self.write_chars(&text[start..end]);
                    }
                    start = end;
                }
            } else if c.is_none_or(|c| c == ' ') {
                self.write_chars(&text[start..end]);
                start = end;
            }
            spaces = c == Some(' ');
        }
    }

    fn single_quoted(&mut self, text: &[char], split: bool) {
        self.indicator("'", true, false, false);
        let (mut spaces, mut breaks) = (false, false);
        let mut start = 0;
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if spaces {
                if c != Some(' ') {
                    let fold = start + 1 == end && self.column > self.style.width;
                    if fold && split && start != 0 && end != text.len() {
                        self.write_indent();
                    } else {
                        self.write_chars(&text[start..end]);
                    }
                    start = end;
                }
            } else if breaks {
                if !c.is_some_and(is_break) {
                    self.breaks(&text[start..end]);
                    start = end;
                }
            } else if c.is_none_or(|c| c == ' ' || c == '\'' || is_break(c)) && start < end {
                self.write_chars(&text[start..end]);
                start = end;
            }
            if c == Some('\'') {
                self.write("''");
                start = end + 1;
            }
            if let Some(c) = c {
                spaces = c == ' ';
                breaks = is_break(c);
            }
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &[char], split: bool) {
        self.indicator("\"", true, false, false);
        let mut start = 0;
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if c.is_none_or(|c| self.is_escaped(c)) {
                if start < end {
                    self.write_chars(&text[start..end]);
                    start = end;
                }
                if let Some(c) = c {
                    self.write(&escape(c));
                    start = end + 1;
                }
            }
            let inside = 0 < end && end + 1 < text.len();
            let pending = end.saturating_sub(start);
            // PyYAML counts a character that was escaped as one less.
            let ahead = self.column + pending - usize::from(start > end);
            if inside && (c == Some(' ') || start >= end) && ahead > self.style.width && split {
                if start < end {
                    self.write_chars(&text[start..end]);
                    start = end;
                }
                self.write("\\");
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
                if text.get(start) == Some(&' ') {
                    self.write("\\");
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn is_escaped(&self, c: char) -> bool {
        if matches!(c, '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
            return true;
        }
        let ascii = matches!(c, ' '..='~');
        let wide = self.style.unicode && matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}');
        !ascii && !wide
    }
}

/// Whether a key stands before its colon. `PyYAML` counts the tag `!!str`, which it does not write.
fn simple(key: &str, unicode: bool) -> bool {
    let analysis = analyze(key, unicode);
    key.chars().count() + 5 < 128 && !analysis.empty && !analysis.multiline
}

fn float(number: f64) -> String {
    let text = python_float(number);
    if !text.contains('.') && text.contains('e') { text.replacen('e', ".0e", 1) } else { text }
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// `PyYAML`'s `analyze_scalar`.
fn analyze(text: &str, unicode: bool) -> Analysis {
    let characters: Vec<char> = text.chars().collect();
    let Some(last) = characters.len().checked_sub(1) else {
        return Analysis { empty: true, multiline: false, flow_plain: false, block_plain: true, single_quoted: true };
    };
    let document = text.starts_with("---") || text.starts_with("...");
    let (mut block_indicators, mut flow_indicators) = (document, document);
    let (mut line_breaks, mut special) = (false, false);
    let (mut edges, mut break_space, mut space_break) = (false, false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    let mut preceded = true;
    for (index, &c) in characters.iter().enumerate() {
        let followed = characters.get(index + 1).is_none_or(|next| is_space(*next));
        if index == 0 {
            if "#,[]{}&*!|>'\"%@`".contains(c) {
                flow_indicators = true;
                block_indicators = true;
            }
            if matches!(c, '?' | ':') {
                flow_indicators = true;
                block_indicators |= followed;
            }
            if c == '-' && followed {
                flow_indicators = true;
                block_indicators = true;
            }
        } else {
            if ",?[]{}".contains(c) {
                flow_indicators = true;
            }
            if c == ':' {
                flow_indicators = true;
                block_indicators |= followed;
            }
            if c == '#' && preceded {
                flow_indicators = true;
                block_indicators = true;
            }
        }
        line_breaks |= is_break(c);
        if c != '\n' && !matches!(c, ' '..='~') {
            let printable = matches!(c, '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
                || ('\u{10000}'..'\u{10ffff}').contains(&c);
            special |= !(printable && c != '\u{feff}' && unicode);
        }
        edges |= (index == 0 || index == last) && (c == ' ' || is_break(c));
        break_space |= c == ' ' && previous_break;
        space_break |= is_break(c) && previous_space;
        previous_space = c == ' ';
        previous_break = is_break(c);
        preceded = is_space(c);
    }
    let plain = !(edges || break_space || space_break || special || line_breaks);
    Analysis {
        empty: false,
        multiline: line_breaks,
        flow_plain: plain && !flow_indicators,
        block_plain: plain && !block_indicators,
        single_quoted: !(break_space || space_break || special),
    }
}
