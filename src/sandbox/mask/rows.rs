//! Rows of masked tables: `INSERT … VALUES` and `COPY … FROM stdin`, value by value.

use std::io::{Read, Write};

use super::lexer::{Dialect, Kind, Lexer};
use super::literal::{self, Literal};
use super::statement::{name, word};
use super::{Masking, Planned, Rule, Wrong};
use crate::project::seed::{self, Mask};
use crate::text::neutral_line;

/// An `INSERT` or `REPLACE`, whose first word was read.
pub fn insert<R: Read, W: Write>(masking: &mut Masking<'_>, lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    let mut token = lexer.token()?;
    while ["low_priority", "delayed", "high_priority", "ignore", "into"]
        .iter()
        .any(|skipped| word(lexer, token, skipped))
    {
        token = lexer.token()?;
    }
    let table = name(lexer, token)?;
    if masking.views.contains(&table.to_lowercase()) {
        return Err(Wrong::refused(format!("rows go into the view `{}`, behind which a table may be", shown(&table))));
    }
    if !masking.is_masked(&table) {
        return through(lexer);
    }
    lexer.blank()?;
    let columns = columns(masking, lexer, &table)?;
    let plan = masking.plan(&table, &columns);
    let mut token = lexer.token()?;
    if word(lexer, token, "overriding") {
        lexer.token()?;
        lexer.token()?;
        token = lexer.token()?;
    }
    if !word(lexer, token, "values") && !word(lexer, token, "value") {
        return Err(Wrong::refused(format!("rows of `{}` are not written as VALUES", shown(&table))));
    }
    loop {
        lexer.flush()?;
        if lexer.token()?.kind != Kind::Mark(b'(') {
            return Err(Wrong::refused(format!("no row follows, in the rows of `{}`", shown(&table))));
        }
        row(masking, lexer, &plan, &table)?;
        let next = lexer.token()?;
        match next.kind {
            Kind::Mark(b',') => {}
            Kind::Delimiter | Kind::End => return Ok(lexer.flush()?),
            // What pg_dump --on-conflict-do-nothing writes.
            _ if word(lexer, next, "on") => {
                for expected in ["conflict", "do", "nothing"] {
                    let token = lexer.token()?;
                    if !word(lexer, token, expected) {
                        return Err(behind(&table));
                    }
                }
                return match lexer.token()?.kind {
                    Kind::Delimiter | Kind::End => Ok(lexer.flush()?),
                    _ => Err(behind(&table)),
                };
            }
            _ => return Err(behind(&table)),
        }
    }
}

fn behind(table: &str) -> Wrong {
    Wrong::refused(format!("what stands behind the rows of `{}` is not understood", shown(table)))
}

fn shown(name: &str) -> String {
    neutral_line(name, 60)
}

/// Everything up to the statement's end, as it is.
fn through<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    lexer.through = true;
    let ended = loop {
        match lexer.token() {
            Ok(token) if matches!(token.kind, Kind::Delimiter | Kind::End) => break Ok(()),
            Ok(_) => {}
            Err(wrong) => break Err(wrong),
        }
    };
    lexer.through = false;
    ended?;
    Ok(lexer.flush()?)
}

/// The columns that rows have: those that are named, or all that the table was made with.
fn columns<R: Read, W: Write>(
    masking: &Masking<'_>,
    lexer: &mut Lexer<R, W>,
    table: &str,
) -> Result<Vec<String>, Wrong> {
    if lexer.peek(0)? != Some(b'(') {
        let known = masking.tables.get(&table.to_lowercase());
        let known = known.or_else(|| masking.tables.get(&masking.whole(table))).filter(|columns| !columns.is_empty());
        let names = known.map(|columns| columns.iter().map(|column| column.name.clone()).collect());
        return names.ok_or_else(|| {
            Wrong::refused(format!("rows of `{}` name no columns, and no CREATE TABLE before them does", shown(table)))
        });
    }
    lexer.token()?;
    let mut columns = Vec::new();
    loop {
        let token = lexer.token()?;
        columns.push(name(lexer, token)?);
        match lexer.token()?.kind {
            Kind::Mark(b',') => {}
            Kind::Mark(b')') => return Ok(columns),
            _ => return Err(Wrong::refused(format!("the columns of rows of `{}` are not understood", shown(table)))),
        }
    }
}

/// One row, behind its opening parenthesis.
fn row<R: Read, W: Write>(
    masking: &Masking<'_>,
    lexer: &mut Lexer<R, W>,
    plan: &[Planned<'_>],
    table: &str,
) -> Result<(), Wrong> {
    let count = || Wrong::refused(format!("a row of `{}` has not as many values as it has columns", shown(table)));
    for (at, planned) in plan.iter().enumerate() {
        match planned {
            None => skip(lexer)?,
            Some(rule) => value(masking, lexer, *rule)?,
        }
        let ended = lexer.token()?.kind;
        let last = at + 1 == plan.len();
        if ended != Kind::Mark(if last { b')' } else { b',' }) {
            return Err(count());
        }
    }
    Ok(())
}

/// Whether a value has its end here.
fn at_end<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<bool, Wrong> {
    lexer.blank()?;
    Ok(matches!(lexer.peek(0)?, Some(b',' | b')')))
}

/// A value that stays, whatever expression it is.
fn skip<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    let mut depth = 0_u32;
    lexer.through = true;
    let done = loop {
        match at_end(lexer) {
            Ok(true) if depth == 0 => break Ok(()),
            Ok(_) => {}
            Err(wrong) => break Err(wrong),
        }
        match lexer.token() {
            Ok(token) => match token.kind {
                Kind::Mark(b'(') => depth += 1,
                Kind::Mark(b')') => depth = depth.saturating_sub(1),
                Kind::Delimiter | Kind::End => break Err(Wrong::refused("a row has no end")),
                _ => {}
            },
            Err(wrong) => break Err(wrong),
        }
    };
    lexer.through = false;
    done
}

/// A value that is masked: it must be a literal.
fn value<R: Read, W: Write>(masking: &Masking<'_>, lexer: &mut Lexer<R, W>, rule: Rule<'_>) -> Result<(), Wrong> {
    let before = lexer.held.len();
    lexer.blank()?;
    let start = lexer.held.len();
    let mut end = start;
    while !at_end(lexer)? {
        let token = lexer.token()?;
        let fits = match token.kind {
            // Signs and the point of numbers.
            Kind::Mark(byte) => matches!(byte, b'-' | b'+' | b'.'),
            Kind::Word | Kind::Text => true,
            Kind::Quoted | Kind::Delimiter | Kind::End => false,
        };
        if !fits {
            return Err(no_literal(rule));
        }
        end = lexer.held.len();
    }
    // What is said beside a value may be the value.
    if [&lexer.held[before..start], &lexer.held[end..]].iter().any(|beside| !beside.trim_ascii().is_empty()) {
        return Err(no_literal(rule));
    }
    let written = Literal::read(&lexer.held[start..end], lexer.dialect).ok_or_else(|| no_literal(rule))?;
    let masked = masked(masking, rule, written, lexer.dialect)?;
    if let Some(masked) = masked {
        lexer.held.splice(start..end, masked);
    }
    Ok(())
}

fn no_literal(rule: Rule<'_>) -> Wrong {
    Wrong::refused(format!("a value of {} is no literal", shown(&rule.column.to_string())))
}

/// What is written in place of a value; none where it stays.
fn masked(masking: &Masking<'_>, rule: Rule<'_>, written: Literal, dialect: Dialect) -> Result<Option<Vec<u8>>, Wrong> {
    let unfit = |why: &str| Wrong::Unfit { column: shown(&rule.column.to_string()), why: why.to_owned() };
    let mask = |value: &[u8]| masking.masks.key.mask(rule.mask, value, rule.width);
    if written == Literal::Nothing {
        return Ok(None);
    }
    if matches!(rule.mask, Mask::Kind(seed::Kind::Null)) {
        return Ok(Some(b"NULL".to_vec()));
    }
    let bare = |text: String| {
        if literal::is_number(text.as_bytes()) {
            text.into_bytes()
        } else {
            literal::quoted(&text, dialect == Dialect::MySql)
        }
    };
    let masked = match (written, rule.mask) {
        (Literal::Nothing, _) => return Ok(None),
        (Literal::Text { before, escapes, value }, _) => {
            let text = mask(&value).unwrap_or_default();
            if dialect == Dialect::Unknown && text.contains('\\') {
                return Err(unfit("a backslash is read otherwise by MySQL than by PostgreSQL"));
            }
            [before, literal::quoted(&text, escapes)].concat()
        }
        (Literal::Hex { before, behind, value }, _) => {
            let text = mask(&value).unwrap_or_default();
            [before, literal::hex(text.as_bytes()), behind].concat()
        }
        (Literal::Number(value), Mask::Kind(seed::Kind::Digits | seed::Kind::Phone)) => {
            let text = mask(&value).unwrap_or_default();
            if !literal::is_number(text.as_bytes()) {
                return Err(unfit("it is a number that has an exponent"));
            }
            text.into_bytes()
        }
        (Literal::Number(_) | Literal::Other, Mask::Fixed(fixed)) => bare(fixed.fixed.clone()),
        (Literal::Number(_), Mask::Kind(kind)) => {
            return Err(unfit(&format!("a value is a number, and `{}` makes text", kind.name())));
        }
        (Literal::Other, Mask::Kind(kind)) => {
            return Err(unfit(&format!("a value is neither text nor number, and `{}` makes one", kind.name())));
        }
    };
    Ok(Some(masked))
}

/// A `COPY`, whose first word was read.
pub fn copy<R: Read, W: Write>(masking: &mut Masking<'_>, lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    let token = lexer.token()?;
    let table = name(lexer, token)?;
    if masking.views.contains(&table.to_lowercase()) {
        return Err(Wrong::refused(format!("rows go into the view `{}`, behind which a table may be", shown(&table))));
    }
    let is_masked = masking.is_masked(&table);
    lexer.blank()?;
    let columns = if is_masked { columns(masking, lexer, &table)? } else { Vec::new() };
    let mut words = Vec::new();
    loop {
        let token = lexer.token()?;
        match token.kind {
            Kind::Delimiter => break,
            Kind::End => return Err(Wrong::refused("a COPY has no end")),
            _ => words.push(String::from_utf8_lossy(lexer.text(token)).to_lowercase()),
        }
    }
    // Where columns were not looked at, they are among the words.
    let from = words.iter().position(|word| word == "from" || word == "to").map(|at| &words[at..]).unwrap_or_default();
    let stdin = from.len() > 1 && from[0] == "from" && from[1] == "stdin";
    if is_masked && !(stdin && from.len() == 2 && words.len() == 2) {
        return Err(Wrong::refused(format!(
            "a COPY of `{}` that is not plainly FROM stdin is not understood",
            shown(&table)
        )));
    }
    lexer.line_end()?;
    lexer.flush()?;
    if !stdin {
        return Ok(());
    }
    let plan = masking.plan(&table, &columns);
    while !last_line(lexer)? {
        if is_masked { copied_row(masking, lexer, &plan, &table)? } else { lexer.line_through()? }
    }
    Ok(lexer.flush()?)
}

/// Whether the rows end here; then their end is taken over.
fn last_line<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<bool, Wrong> {
    match (lexer.peek(0)?, lexer.peek(1)?, lexer.peek(2)?) {
        (Some(b'\\'), Some(b'.'), None | Some(b'\n' | b'\r')) => {
            lexer.line_end()?;
            Ok(true)
        }
        (None, ..) => Err(Wrong::refused("the rows of a COPY have no end")),
        _ => Ok(false),
    }
}

/// One line of rows, its fields between tabs.
fn copied_row<R: Read, W: Write>(
    masking: &Masking<'_>,
    lexer: &mut Lexer<R, W>,
    plan: &[Planned<'_>],
    table: &str,
) -> Result<(), Wrong> {
    for (at, planned) in plan.iter().enumerate() {
        let start = lexer.held.len();
        lexer.field(planned.is_none())?;
        if let Some(rule) = planned
            && lexer.held[start..] != *b"\\N"
        {
            let value = unescaped(&lexer.held[start..]);
            let masked = masking.masks.key.mask(rule.mask, &value, rule.width);
            let masked = masked.map_or_else(|| b"\\N".to_vec(), |text| escaped(&text));
            lexer.held.splice(start.., masked);
        }
        let last = at + 1 == plan.len();
        let ended = lexer.bump()?;
        if ended != Some(if last { b'\n' } else { b'\t' }) {
            let table = shown(table);
            return Err(Wrong::refused(format!("a row of `{table}` has not as many values as it has columns")));
        }
    }
    Ok(lexer.flush()?)
}

/// A field of `COPY` as it is.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(b'r') => out.push(b'\r'),
                Some(byte) => out.push(byte),
                None => out.push(b'\\'),
            },
            byte => out.push(byte),
        }
    }
    out
}

/// A text as a field of `COPY`.
fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\r' => out.extend(b"\\r"),
            byte => out.push(byte),
        }
    }
    out
}
