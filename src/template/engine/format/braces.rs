//! Python's `"{}".format(x)`: fields with names, paths, conversions and specifications that hold fields in turn. Numbers are
//! minijinja's to write.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, UndefinedBehavior, Value};

use super::WIDEST;
use crate::template::engine::FILE_CAP;
use crate::template::engine::args::fail;
use crate::template::question::cast::python_float;

/// `text.format(…)`.
pub fn braces(state: &State, text: &str, args: &[Value]) -> Result<Value, Error> {
    let (positional, named) = match args.split_last() {
        Some((last, before)) if last.is_kwargs() => (before, Some(last)),
        _ => (args, None),
    };
    let mut fields = Fields { state, positional, named, numbering: Numbering::None };
    fields.fill(text, 0).map(Value::from)
}

/// What fills the fields of a text.
struct Fields<'a, 's, 'e> {
    state: &'a State<'s, 'e>,
    positional: &'a [Value],
    named: Option<&'a Value>,
    numbering: Numbering,
}

/// Who says which argument a field without a name takes.
#[derive(Clone, Copy)]
enum Numbering {
    /// No field asked so far.
    None,
    /// The fields' order; the next one takes this.
    Automatic(usize),
    /// Each field.
    Manual,
}

impl Fields<'_, '_, '_> {
    fn fill(&mut self, text: &str, depth: usize) -> Result<String, Error> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(escaped) = after.strip_prefix(brace).filter(|_| depth == 0) {
                out.push_str(brace);
                rest = escaped;
                continue;
            }
            if brace == "}" {
                return Err(fail("single '}' encountered in format string"));
            }
            let end = closing(after).ok_or_else(|| fail("expected '}' before end of string"))?;
            let field = self.field(&after[..end], depth)?;
            self.state.consume_fuel(1 + field.len() as u64 / 64)?;
            out.push_str(&field);
            if out.len() > FILE_CAP {
                return Err(ErrorKind::OutOfFuel.into());
            }
            rest = &after[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// `name.attribute[index]!r:>10`
    fn field(&mut self, field: &str, depth: usize) -> Result<String, Error> {
        if depth > 1 {
            return Err(fail("max string recursion exceeded"));
        }
        let mut inside = 0_usize;
        let end = field.char_indices().find(|(_, c)| {
            match c {
                '[' => inside += 1,
                ']' => inside = inside.saturating_sub(1),
                _ => {}
            }
            inside == 0 && matches!(c, '!' | ':')
        });
        let (name, rest) = field.split_at(end.map_or(field.len(), |(at, _)| at));
        let value = self.value(name)?;
        let (value, rest) = match rest.strip_prefix('!') {
            None => (value, rest),
            Some(conversion) => {
                let (letter, rest) = conversion.split_at(conversion.chars().next().map_or(0, char::len_utf8));
                let shown = match letter {
                    "s" => self.text(&value)?,
                    "r" => format!("{value:?}"),
                    "a" => format!("{value:?}").chars().map(ascii).collect(),
                    _ => return Err(fail(format!("unknown conversion specifier '{letter}'"))),
                };
                (Value::from(shown), rest)
            }
        };
        match rest.strip_prefix(':') {
            None if rest.is_empty() => self.text(&value),
            None => Err(fail("expected ':' after conversion specifier")),
            Some(spec) => {
                let spec = self.fill(spec, depth + 1)?;
                self.written(&value, &spec)
            }
        }
    }

    fn value(&mut self, name: &str) -> Result<Value, Error> {
        let (first, mut path) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
        let missing = || fail(format!("there is no argument `{first}` for the format string"));
        let positional = self.position(first)?;
        let mut value = match (positional, self.named) {
            (Some(index), _) => self.positional.get(index).cloned().ok_or_else(missing)?,
            (None, Some(named)) => named.get_attr(first)?,
            (None, None) => return Err(missing()),
        };
        if positional.is_none() && value.is_undefined() {
            return Err(missing());
        }
        while !path.is_empty() {
            let key = if let Some(attribute) = path.strip_prefix('.') {
                let (attribute, rest) = attribute.split_at(attribute.find(['.', '[']).unwrap_or(attribute.len()));
                path = rest;
                Value::from(attribute)
            } else {
                let index = path.strip_prefix('[').and_then(|path| path.split_once(']'));
                let (index, rest) = index.ok_or_else(|| fail("missing ']' in format string"))?;
                path = rest;
                index.parse::<u64>().map_or_else(|_| Value::from(index), Value::from)
            };
            value = value.get_item(&key)?;
        }
        Ok(value)
    }

    /// The argument that a field means, if it is one without a name.
    fn position(&mut self, name: &str) -> Result<Option<usize>, Error> {
        let (position, numbering) = match (name.parse::<usize>(), self.numbering) {
            (Ok(_), Numbering::Automatic(_)) => {
                return Err(fail("cannot switch from automatic field numbering to manual field specification"));
            }
            (Ok(position), _) => (position, Numbering::Manual),
            (Err(_), _) if !name.is_empty() => return Ok(None),
            (Err(_), Numbering::None) => (0, Numbering::Automatic(1)),
            (Err(_), Numbering::Automatic(next)) => (next, Numbering::Automatic(next + 1)),
            (Err(_), Numbering::Manual) => {
                return Err(fail("cannot switch from manual field specification to automatic field numbering"));
            }
        };
        self.numbering = numbering;
        Ok(Some(position))
    }

    /// As a text without a specification.
    fn text(&self, value: &Value) -> Result<String, Error> {
        match value.kind() {
            ValueKind::Undefined if self.state.undefined_behavior() == UndefinedBehavior::Strict => {
                Err(Error::new(ErrorKind::UndefinedError, "in a format string"))
            }
            ValueKind::Number if !value.is_integer() => Ok(python_float(f64::try_from(value.clone())?)),
            _ => Ok(value.to_string()),
        }
    }

    fn written(&self, value: &Value, spec: &str) -> Result<String, Error> {
        if spec.is_empty() {
            return self.text(value);
        }
        let layout = Layout::parse(spec)?;
        self.state.consume_fuel(layout.width as u64 / 64)?;
        match value.kind() {
            ValueKind::String => {
                let text = self.text(value)?;
                let kind = layout.rest.strip_suffix('s').unwrap_or(layout.rest);
                let text = match kind.strip_prefix('.').map(str::parse::<usize>) {
                    Some(Ok(most)) => text.chars().take(most).collect(),
                    None if kind.is_empty() && layout.flags.is_empty() => text,
                    _ => return Err(fail(format!("invalid format specifier '{spec}' for a string"))),
                };
                layout.padded(text, '<')
            }
            ValueKind::Number | ValueKind::Bool => {
                let percentage = layout.rest.strip_suffix('%');
                // A truth is a number here.
                let truth = (value.kind() == ValueKind::Bool).then(|| Value::from(i64::from(value.is_true())));
                let mut number = truth.unwrap_or_else(|| value.clone());
                if percentage.is_some() {
                    number = Value::from(f64::try_from(number)? * 100.0);
                }
                match percentage {
                    Some(precision) if layout.fills_inside() => layout.filled(&number, &format!("{precision}f"), "%"),
                    Some(precision) => layout.padded(layout.plain(&number, &format!("{precision}f"))? + "%", '>'),
                    None if layout.fills_inside() => layout.filled(&number, layout.rest, ""),
                    None => format(FormatStyle::StrFormat, &format!("{{:{spec}}}"), &[number]),
                }
            }
            kind => Err(fail(format!("unsupported format string passed to {kind}"))),
        }
    }
}

/// The parts of a specification: `*^+010.2f`.
struct Layout<'s> {
    fill: char,
    align: Option<char>,
    /// Sign and `#`.
    flags: &'s str,
    width: usize,
    /// Grouping, precision and type.
    rest: &'s str,
}

impl<'s> Layout<'s> {
    fn parse(spec: &'s str) -> Result<Self, Error> {
        let is_align = |c: char| matches!(c, '<' | '>' | '^' | '=');
        let mut chars = spec.chars();
        let (first, second) = (chars.next().unwrap_or_default(), chars.next().unwrap_or_default());
        let (mut fill, align, rest) = if is_align(second) {
            (first, Some(second), &spec[first.len_utf8() + 1..])
        } else if is_align(first) {
            (' ', Some(first), &spec[1..])
        } else {
            (' ', None, spec)
        };
        let (flags, rest) = rest.split_at(rest.find(|c| !matches!(c, '+' | '-' | ' ' | '#')).unwrap_or(rest.len()));
        if rest.starts_with('0') && !is_align(second) {
            fill = '0';
        }
        let (width, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let numbers = [width, rest.trim_matches(|c: char| !c.is_ascii_digit())];
        if numbers.iter().any(|number| number.len() > 9 || number.parse().unwrap_or(0) > WIDEST) {
            return Err(fail(format!("a width of more than {WIDEST} characters")));
        }
        Ok(Self { fill, align, flags, width: width.parse().unwrap_or(0), rest })
    }

    /// Whether a number is filled up between its sign and its digits.
    fn fills_inside(&self) -> bool {
        self.align.map_or(self.fill == '0', |align| align == '=')
    }

    /// A number without its width.
    fn plain(&self, number: &Value, kind: &str) -> Result<String, Error> {
        format(FormatStyle::StrFormat, &format!("{{:{}{kind}}}", self.flags), std::slice::from_ref(number))
    }

    /// A number that is filled up after its sign, with what stands after it.
    fn filled(&self, number: &Value, kind: &str, after: &str) -> Result<String, Error> {
        let width = self.width.saturating_sub(after.len());
        // Zeros are grouped as the other digits are.
        let zeros = if self.fill == '0' && width > 0 { format!("0{width}") } else { String::new() };
        let shown = self.plain(number, &format!("{zeros}{kind}"))? + after;
        let digits = shown.trim_start_matches(['+', '-', ' ']);
        let radix = self.flags.contains('#') && kind.ends_with(['b', 'o', 'x', 'X']);
        let (begin, digits) = shown.split_at(shown.len() - digits.len() + if radix { 2 } else { 0 });
        let missing = self.width.saturating_sub(shown.chars().count());
        Ok(format!("{begin}{}{digits}", self.fill.to_string().repeat(missing)))
    }

    fn padded(&self, text: String, usual: char) -> Result<String, Error> {
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = |count: usize| self.fill.to_string().repeat(count);
        Ok(match self.align.unwrap_or(usual) {
            '<' => text + &fill(missing),
            '>' => fill(missing) + &text,
            '^' => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
            _ => return Err(fail("'=' alignment not allowed in string format specifier")),
        })
    }
}

/// Where the brace closes that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        None
    })
}

/// A character as Python's `ascii` writes it.
fn ascii(c: char) -> String {
    match u32::from(c) {
        ..0x80 => c.to_string(),
        code @ 0x80..0x100 => format!("\\x{code:02x}"),
        code @ 0x100..0x1_0000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}
