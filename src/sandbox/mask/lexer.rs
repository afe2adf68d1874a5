//! A dump's tokens, in the two dialects that dumps are written in. Where a script does not say which one it is in, only what
//! both read alike is read.

use std::io::{self, Read, Write};

use super::Wrong;
use super::input::Input;

/// The most that is held of one statement that must be seen whole, or of one value, in bytes.
const CAP: usize = 16 * 1024 * 1024;
/// How much is held while a stream goes through.
const HELD: usize = 64 * 1024;
/// Where a dump says who wrote it, in bytes from its beginning.
const HEADER: usize = 4096;

/// How a script is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Nobody said.
    Unknown,
    /// `MySQL` and `MariaDB`.
    MySql,
    /// `PostgreSQL`.
    Postgres,
}

/// A token; where it begins in what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name, keyword or number.
    Word,
    /// A name in quotes.
    Quoted,
    /// A text in quotes.
    Text,
    /// Any other character.
    Mark(u8),
    /// The delimiter of statements.
    Delimiter,
    /// The script's end.
    End,
}

/// What reads a script and writes what was read.
pub struct Lexer<R, W: Write> {
    input: Input<R>,
    output: W,
    /// What was read and not written yet.
    pub held: Vec<u8>,
    /// Whether what is read may be written at once.
    pub through: bool,
    pub dialect: Dialect,
    pub delimiter: Vec<u8>,
    line: u64,
    /// Whether it is in a comment whose contents are run.
    conditional: bool,
}

impl<R: Read, W: Write> Lexer<R, W> {
    pub fn new(input: R, output: W) -> Self {
        Self {
            input: Input::new(input),
            output,
            held: Vec::new(),
            through: false,
            dialect: Dialect::Unknown,
            delimiter: b";".to_vec(),
            line: 1,
            conditional: false,
        }
    }

    /// Takes the dialect from what a dump says of itself.
    pub fn recognize(&mut self) -> Result<(), Wrong> {
        let ahead = self.input.ahead(HEADER)?;
        let header = String::from_utf8_lossy(&ahead[..ahead.len().min(HEADER)]);
        let says = |begins: &[&str]| header.lines().any(|line| begins.iter().any(|begin| line.starts_with(begin)));
        if says(&["-- MySQL dump", "-- MariaDB dump", "/*M!999999\\- enable the sandbox mode"]) {
            self.dialect = Dialect::MySql;
        } else if says(&["-- PostgreSQL database dump"]) {
            self.dialect = Dialect::Postgres;
        }
        Ok(())
    }

    /// The line that is being read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Writes what is held.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }

    /// Writes all.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.output.flush()
    }

    pub fn peek(&mut self, after: usize) -> Result<Option<u8>, Wrong> {
        Ok(self.input.peek(after)?)
    }

    /// Takes a byte over.
    pub fn bump(&mut self) -> Result<Option<u8>, Wrong> {
        let byte = self.input.take()?;
        if let Some(byte) = byte {
            self.held.push(byte);
            self.line += u64::from(byte == b'\n');
        }
        if !self.through && self.held.len() > CAP {
            return Err(Wrong::refused("a statement or value that is longer than 16 MB cannot be looked at"));
        }
        Ok(byte)
    }

    /// Writes what is held where a stream goes through and it is much.
    fn pass(&mut self) -> Result<(), Wrong> {
        if self.through && self.held.len() > HELD {
            self.flush()?;
        }
        Ok(())
    }

    fn bumps(&mut self, count: usize) -> Result<(), Wrong> {
        (0..count).try_for_each(|_| self.bump().map(drop))
    }

    /// Whether this comes next, upper case or lower.
    pub fn comes(&mut self, text: &[u8]) -> Result<bool, Wrong> {
        let ahead = self.input.ahead(text.len())?;
        Ok(ahead.len() >= text.len() && ahead[..text.len()].eq_ignore_ascii_case(text))
    }

    /// Takes over everything up to the end of the line, and the end with it.
    pub fn line_end(&mut self) -> Result<(), Wrong> {
        while self.bump()?.is_some_and(|byte| byte != b'\n') {
            self.pass()?;
        }
        Ok(())
    }

    /// The same, written at once.
    pub fn line_through(&mut self) -> Result<(), Wrong> {
        self.through = true;
        let done = self.line_end();
        self.through = false;
        done?;
        Ok(self.flush()?)
    }

    /// Takes a field of a `COPY` over, up to the tab or line end behind it.
    pub fn field(&mut self, through: bool) -> Result<(), Wrong> {
        while let Some(byte) = self.peek(0)?
            && !matches!(byte, b'\t' | b'\n')
        {
            self.through = through;
            let done = self.bumps(if byte == b'\\' { 2 } else { 1 }).and_then(|()| self.pass());
            self.through = false;
            done?;
        }
        Ok(())
    }

    /// Takes white space and comments over. A comment whose contents are run is none.
    pub fn blank(&mut self) -> Result<(), Wrong> {
        loop {
            let (first, second) = (self.peek(0)?, self.peek(1)?);
            match (first, second) {
                (Some(byte), _) if byte.is_ascii_whitespace() || byte == 0x0b => self.bumps(1)?,
                (Some(b'-'), Some(b'-')) => {
                    let spaced = self.peek(2)?.is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
                    match self.dialect {
                        Dialect::MySql if !spaced => return Ok(()),
                        Dialect::Unknown if !spaced => return Err(Self::unsure("`--` without a space")),
                        _ => self.line_end()?,
                    }
                }
                (Some(b'#'), _) => match self.dialect {
                    Dialect::MySql => self.line_end()?,
                    Dialect::Postgres => return Ok(()),
                    Dialect::Unknown => return Err(Self::unsure("`#`")),
                },
                (Some(b'/'), Some(b'*')) => self.comment()?,
                (Some(b'*'), Some(b'/')) if self.conditional => {
                    self.bumps(2)?;
                    self.conditional = false;
                }
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), Wrong> {
        let versioned = self.comes(b"/*!")? || (self.comes(b"/*M!")? && !self.comes(b"/*M!999999")?);
        match (versioned, self.dialect) {
            (true, Dialect::Unknown) => return Err(Self::unsure("`/*!`")),
            (true, Dialect::MySql) => {
                self.conditional = true;
                while self
                    .peek(0)?
                    .is_some_and(|byte| matches!(byte, b'/' | b'*' | b'M' | b'!') || byte.is_ascii_digit())
                {
                    self.bumps(1)?;
                }
                return Ok(());
            }
            _ => {}
        }
        self.bumps(2)?;
        let mut depth = 1;
        while depth > 0 {
            self.pass()?;
            if self.comes(b"*/")? {
                self.bumps(2)?;
                depth -= 1;
            } else if self.comes(b"/*")? && self.dialect != Dialect::MySql {
                if self.dialect == Dialect::Unknown {
                    return Err(Self::unsure("a comment in a comment"));
                }
                self.bumps(2)?;
                depth += 1;
            } else if self.bump()?.is_none() {
                return Err(Wrong::refused("a comment has no end"));
            }
        }
        Ok(())
    }

    /// The next token, taken over.
    pub fn token(&mut self) -> Result<Token, Wrong> {
        self.blank()?;
        self.pass()?;
        let start = self.held.len();
        let Some(byte) = self.peek(0)? else { return Ok(Token { kind: Kind::End, start }) };
        let length = self.delimiter.len();
        if self.delimiter.first() == Some(&byte) && self.input.ahead(length)?.starts_with(&self.delimiter) {
            self.bumps(length)?;
            return Ok(Token { kind: Kind::Delimiter, start });
        }
        let kind = match byte {
            b'\'' => {
                self.quoted(b'\'', self.dialect == Dialect::MySql)?;
                Kind::Text
            }
            b'"' => {
                self.quoted(b'"', self.dialect == Dialect::MySql)?;
                Kind::Quoted
            }
            b'`' => {
                self.quoted(b'`', false)?;
                Kind::Quoted
            }
            b'$' if self.dialect != Dialect::MySql => {
                if self.dialect == Dialect::Unknown {
                    return Err(Self::unsure("`$`"));
                }
                if self.dollar()? { Kind::Text } else { Kind::Mark(byte) }
            }
            _ if is_word(byte) => {
                while self.peek(0)?.is_some_and(is_word) {
                    self.bumps(1)?;
                    // So long is no word that is looked at, only a number.
                    if self.held.len() > start + 64 {
                        self.pass()?;
                    }
                }
                let word = self.held.get(start..).unwrap_or_default();
                let escaping = word.eq_ignore_ascii_case(b"e");
                // MySQL's client obeys it wherever it stands.
                if word.eq_ignore_ascii_case(b"delimiter") && self.dialect != Dialect::Postgres {
                    return Err(Wrong::refused("a DELIMITER stands in a statement"));
                }
                if escaping && self.dialect != Dialect::MySql && self.peek(0)? == Some(b'\'') {
                    self.quoted(b'\'', true)?;
                    Kind::Text
                } else {
                    Kind::Word
                }
            }
            // Both clients have commands that end a statement, or read a file, wherever they stand.
            b'\\' => return Err(Wrong::refused("a backslash stands outside of a text")),
            _ => {
                self.bumps(1)?;
                Kind::Mark(byte)
            }
        };
        Ok(Token { kind, start })
    }

    /// Takes over what stands between two quotes. A quote in it is doubled or, in some texts, behind a backslash.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<(), Wrong> {
        self.bumps(1)?;
        loop {
            self.pass()?;
            match self.peek(0)? {
                None => return Err(Wrong::refused("a text has no end")),
                Some(b'\\') if self.dialect == Dialect::Unknown && quote != b'`' => {
                    return Err(Self::unsure("a backslash in a text"));
                }
                // Where MySQL skips the comment, the text is none.
                Some(b'*') if self.conditional && self.comes(b"*/")? => {
                    return Err(Wrong::refused("the end of a comment stands in a text"));
                }
                Some(b'\\') if escapes => self.bumps(2)?,
                Some(byte) if byte == quote => {
                    self.bumps(1)?;
                    if self.peek(0)? != Some(quote) {
                        return Ok(());
                    }
                    self.bumps(1)?;
                }
                Some(_) => self.bumps(1)?,
            }
        }
    }

    /// Takes over a text in dollars; tells whether it is one.
    fn dollar(&mut self) -> Result<bool, Wrong> {
        let mut tag = vec![b'$'];
        loop {
            match self.peek(tag.len())? {
                Some(b'$') => break tag.push(b'$'),
                Some(byte) if is_word(byte) && (tag.len() > 1 || !byte.is_ascii_digit()) && tag.len() < 64 => {
                    tag.push(byte);
                }
                _ => {
                    self.bumps(1)?;
                    return Ok(false);
                }
            }
        }
        self.bumps(tag.len())?;
        let ends = |lexer: &mut Self| Ok::<_, Wrong>(lexer.input.ahead(tag.len())?.starts_with(&tag));
        while !ends(self)? {
            self.pass()?;
            if self.bump()?.is_none() {
                return Err(Wrong::refused("a text in dollars has no end"));
            }
        }
        self.bumps(tag.len())?;
        Ok(true)
    }

    /// What is not read alike by both.
    fn unsure(what: &str) -> Wrong {
        Wrong::refused(format!(
            "{what} is read otherwise by MySQL than by PostgreSQL, and the file does not say whose it is"
        ))
    }

    /// A token's text.
    pub fn text(&self, token: Token) -> &[u8] {
        self.held.get(token.start..).unwrap_or_default()
    }
}

/// Whether a byte goes on with a name, keyword or number.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}
