//! What a dump's statements are: those that make tables are learned from, those with rows are masked, those that cannot hold
//! rows go on, and the rest goes on only where no masked table can be in it.

use std::io::{Read, Write};

use super::lexer::{Dialect, Kind, Lexer, Token};
use super::{Known, Masking, Wrong, rows};
use crate::text::neutral_line;

/// First words of statements that hold no rows.
const HARMLESS: [&str; 20] = [
    "alter", "analyze", "begin", "comment", "commit", "create", "drop", "flush", "grant", "lock", "optimize", "revoke",
    "rollback", "select", "set", "show", "start", "truncate", "unlock", "use",
];
/// First words of statements that run or read what cannot be seen here.
const HIDDEN: [&str; 9] = ["call", "charset", "do", "execute", "handler", "import", "load", "prepare", "source"];
/// Character sets in which a backslash or quote may be the half of a character.
const HALVES: [&str; 8] = ["big5", "cp932", "gbk", "gb18030", "johab", "sjis", "shift_jis", "uhc"];
/// What `pg_dump` tells `psql`, by which no other file is read.
const META: [&str; 4] = ["\\restrict", "\\unrestrict", "\\connect", "\\encoding"];
/// The setting by which a backslash in a text is one.
const STRINGS: &str = "standard_conforming_strings";
/// Words that begin what is no column in a CREATE TABLE.
const NO_COLUMN: [&str; 12] = [
    "primary",
    "unique",
    "key",
    "index",
    "constraint",
    "foreign",
    "fulltext",
    "spatial",
    "check",
    "exclude",
    "like",
    "period",
];
/// What is made with CREATE.
const MADE: [&str; 14] = [
    "table",
    "view",
    "trigger",
    "procedure",
    "function",
    "event",
    "index",
    "sequence",
    "database",
    "schema",
    "type",
    "user",
    "role",
    "extension",
];

/// Reads all statements.
pub fn all<R: Read, W: Write>(masking: &mut Masking<'_>, lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    lexer.recognize()?;
    loop {
        lexer.blank()?;
        lexer.flush()?;
        if lexer.peek(0)? == Some(b'\\') {
            meta(lexer)?;
            continue;
        }
        if lexer.comes(b"delimiter ")? {
            lexer.line_end()?;
            let line = lexer.held["delimiter ".len()..].trim_ascii().to_vec();
            if line.is_empty() || line.len() > 16 {
                return Err(Wrong::refused("a DELIMITER is not understood"));
            }
            lexer.delimiter = line;
            continue;
        }
        let first = lexer.token()?;
        match first.kind {
            Kind::End => return Ok(()),
            Kind::Delimiter => {}
            _ if word(lexer, first, "insert") || word(lexer, first, "replace") => rows::insert(masking, lexer)?,
            _ if word(lexer, first, "copy") => {
                // MySQL has no COPY.
                lexer.dialect = Dialect::Postgres;
                rows::copy(masking, lexer)?;
            }
            _ if word(lexer, first, "create") => create(masking, lexer)?,
            _ => other(masking, lexer, first)?,
        }
    }
}

/// Whether a token is this word, upper case or lower.
pub fn word<R: Read, W: Write>(lexer: &Lexer<R, W>, token: Token, text: &str) -> bool {
    token.kind == Kind::Word && lexer.text(token).eq_ignore_ascii_case(text.as_bytes())
}

/// The name that begins with a token: the last part, without quotes.
pub fn name<R: Read, W: Write>(lexer: &mut Lexer<R, W>, first: Token) -> Result<String, Wrong> {
    let mut name = plain(lexer, first)?;
    loop {
        lexer.blank()?;
        if lexer.peek(0)? != Some(b'.') {
            return Ok(name);
        }
        lexer.token()?;
        let token = lexer.token()?;
        name = plain(lexer, token)?;
    }
}

fn plain<R: Read, W: Write>(lexer: &Lexer<R, W>, token: Token) -> Result<String, Wrong> {
    let text = String::from_utf8_lossy(lexer.text(token)).into_owned();
    match token.kind {
        Kind::Word => Ok(text),
        Kind::Quoted => {
            let quote = &text[..1];
            Ok(text[1..text.len() - 1].replace(&quote.repeat(2), quote))
        }
        _ => Err(Wrong::refused(format!("`{}` stands where a name should", neutral_line(&text, 40)))),
    }
}

/// A line for the program that reads the script.
fn meta<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    lexer.line_end()?;
    let line = String::from_utf8_lossy(&lexer.held).into_owned();
    let command = line.split_whitespace().next().unwrap_or_default();
    if META.contains(&command) && !HALVES.iter().any(|set| line.to_lowercase().contains(set)) {
        return Ok(());
    }
    Err(Wrong::refused(format!("`{}` may read what cannot be seen here", neutral_line(line.trim_end(), 60))))
}

/// The words and names of a statement up to its end, each in lower case; what is held is the whole statement.
fn rest<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<Vec<String>, Wrong> {
    let mut words = Vec::new();
    loop {
        let token = lexer.token()?;
        match token.kind {
            Kind::Delimiter | Kind::End => return Ok(words),
            Kind::Word | Kind::Quoted => words.push(plain(lexer, token)?.to_lowercase()),
            Kind::Mark(byte) => words.push(char::from(byte).to_string()),
            Kind::Text => words.push("''".to_owned()),
        }
    }
}

/// Any other statement.
fn other<R: Read, W: Write>(masking: &mut Masking<'_>, lexer: &mut Lexer<R, W>, first: Token) -> Result<(), Wrong> {
    let begins = String::from_utf8_lossy(lexer.text(first)).to_lowercase();
    let words = rest(lexer)?;
    let refused = |why: &str| Wrong::refused(format!("a statement {}{why}", neutral_line(&begins.to_uppercase(), 30)));
    if first.kind != Kind::Word || HIDDEN.contains(&begins.as_str()) {
        return Err(refused(" may hold or read what cannot be seen here"));
    }
    match begins.as_str() {
        "set" => {
            let text = String::from_utf8_lossy(&lexer.held).to_lowercase();
            let strings = words.iter().position(|word| word == STRINGS);
            let strings = strings.is_some_and(|at| words[at + 1..] != ["=", "on"] && words[at + 1..] != ["to", "on"]);
            if HALVES.iter().any(|set| text.contains(set))
                || text.contains("no_backslash_escapes")
                || text.contains("ansi_quotes")
                || strings
            {
                return Err(refused(" changes how texts are read"));
            }
        }
        "select" if follows(&words, "into").is_some_and(|table| masking.is_masked(table)) => {
            return Err(refused(" fills a masked table"));
        }
        "select" if lexer.held.windows(STRINGS.len()).any(|held| held.eq_ignore_ascii_case(STRINGS.as_bytes())) => {
            return Err(refused(" changes how texts are read"));
        }
        "alter" => alter(masking, &words)?,
        begins if HARMLESS.contains(&begins) => {}
        _ if masking.may_be_in(&lexer.held) => return Err(refused(" names a masked table and is not understood")),
        _ => {}
    }
    Ok(lexer.flush()?)
}

/// The last part of the name behind a word.
fn follows<'a>(words: &'a [String], word: &str) -> Option<&'a str> {
    let at = words.iter().position(|there| there == word)?;
    let mut name = words[at + 1..].iter();
    let mut last = name.next()?;
    while last == "only" || last == "table" {
        last = name.next()?;
    }
    while name.next().is_some_and(|mark| mark == ".") {
        last = name.next()?;
    }
    Some(last)
}

/// An `ALTER`: a table may become part of another, and a masked one keeps its name.
fn alter(masking: &mut Masking<'_>, words: &[String]) -> Result<(), Wrong> {
    let Some(table) = follows(words, "table").map(str::to_owned) else { return Ok(()) };
    if let Some(part) = follows(words, "partition").filter(|_| words.iter().any(|word| word == "attach")) {
        masking.parts.insert(part.to_owned(), table);
    } else if let Some(whole) = follows(words, "inherit") {
        masking.parts.insert(table, whole.to_owned());
    } else if masking.is_masked(&table)
        && words.iter().any(|word| matches!(word.as_str(), "rename" | "change" | "exchange"))
    {
        return Err(Wrong::refused(format!("masked table `{}` gets other names", neutral_line(&table, 60))));
    }
    Ok(())
}

/// A `CREATE`, whose first word was read.
fn create<R: Read, W: Write>(masking: &mut Masking<'_>, lexer: &mut Lexer<R, W>) -> Result<(), Wrong> {
    let made = loop {
        let token = lexer.token()?;
        match token.kind {
            Kind::Delimiter | Kind::End => return Ok(lexer.flush()?),
            _ => {}
        }
        if let Some(made) = MADE.into_iter().find(|made| word(lexer, token, made)) {
            break made;
        }
    };
    if !matches!(made, "table" | "view") {
        // Its body is code, and holds no rows.
        rest(lexer)?;
        return Ok(lexer.flush()?);
    }
    let mut token = lexer.token()?;
    while ["if", "not", "exists"].iter().any(|skipped| word(lexer, token, skipped)) {
        token = lexer.token()?;
    }
    let table = name(lexer, token)?.to_lowercase();
    if made == "view" {
        masking.views.insert(table);
        rest(lexer)?;
        return Ok(lexer.flush()?);
    }
    // mysqldump makes a table in place of a view until it makes that.
    masking.views.remove(&table);
    lexer.blank()?;
    let columns = if lexer.peek(0)? == Some(b'(') { defined(lexer)? } else { Vec::new() };
    masking.tables.insert(table.clone(), columns);
    let words = rest(lexer)?;
    let part_of = words.iter().any(|word| word == "of").then(|| follows(&words, "of")).flatten();
    for whole in part_of.into_iter().chain(inherited(&words)) {
        masking.parts.insert(table.clone(), whole.to_owned());
    }
    if masking.is_masked(&table) && words.iter().any(|word| word == "select" || word == "values" && part_of.is_none()) {
        return Err(Wrong::refused(format!("masked table `{}` is made with rows in it", neutral_line(&table, 60))));
    }
    Ok(lexer.flush()?)
}

/// The table that one inherits from, the first of them.
fn inherited(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word == "inherits")?;
    let names = words[at + 1..].iter().skip(1).take_while(|word| !matches!(word.as_str(), ")" | ","));
    names.filter(|word| *word != ".").last().map(String::as_str)
}

/// The columns between the parentheses of a CREATE TABLE.
fn defined<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<Vec<Known>, Wrong> {
    lexer.token()?;
    let mut columns = Vec::new();
    loop {
        let token = lexer.token()?;
        let named = match token.kind {
            Kind::Mark(b')') => return Ok(columns),
            Kind::Word => !NO_COLUMN.iter().any(|none| word(lexer, token, none)),
            Kind::Quoted => true,
            _ => return Err(Wrong::refused("a column of a CREATE TABLE is not understood")),
        };
        let name = plain(lexer, token)?.to_lowercase();
        let (words, last) = definition(lexer)?;
        if named {
            columns.push(Known { name, width: width(&words) });
        }
        if last {
            return Ok(columns);
        }
    }
}

/// What stands behind a column's name, and whether it was the last one.
fn definition<R: Read, W: Write>(lexer: &mut Lexer<R, W>) -> Result<(Vec<String>, bool), Wrong> {
    let (mut words, mut depth) = (Vec::new(), 0_u32);
    loop {
        let token = lexer.token()?;
        match token.kind {
            Kind::Mark(b',') if depth == 0 => return Ok((words, false)),
            Kind::Mark(b')') if depth == 0 => return Ok((words, true)),
            Kind::Mark(b'(') => depth += 1,
            Kind::Mark(b')') => depth -= 1,
            Kind::Delimiter | Kind::End => return Err(Wrong::refused("a CREATE TABLE has no end")),
            _ => {}
        }
        words.push(String::from_utf8_lossy(lexer.text(token)).to_lowercase());
    }
}

/// How many characters a column of this type has room for.
fn width(words: &[String]) -> Option<usize> {
    let first = words.first()?;
    let opens = words.iter().position(|word| word == "(")?;
    let texts = ["char", "varchar", "character", "nchar", "nvarchar", "bpchar"];
    let text = texts.contains(&first.as_str()) && opens <= 2;
    text.then(|| words.get(opens + 1)?.parse().ok()).flatten()
}
