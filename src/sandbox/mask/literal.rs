//! Values as SQL writes them: what they are, and how others are written in their place.

use super::lexer::Dialect;

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `NULL`, or the column's own default.
    Nothing,
    /// A number.
    Number(Vec<u8>),
    /// A text: what stands before its first quote, whether a backslash escapes in it, and what it is.
    Text { before: Vec<u8>, escapes: bool, value: Vec<u8> },
    /// Bytes as hexadecimal digits: what stands before and behind them, and what they are.
    Hex { before: Vec<u8>, behind: Vec<u8>, value: Vec<u8> },
    /// `TRUE`, `b'1'`: a value that is neither a number nor a text.
    Other,
}

impl Literal {
    /// Reads one; none of what is no literal.
    pub fn read(text: &[u8], dialect: Dialect) -> Option<Self> {
        let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        if is("null") || is("default") {
            return Some(Self::Nothing);
        }
        if is("true") || is("false") {
            return Some(Self::Other);
        }
        if is_number(text) {
            return Some(Self::Number(text.to_vec()));
        }
        if let Some(digits) = text.strip_prefix(b"0x") {
            let (before, behind) = (b"0x".to_vec(), Vec::new());
            return Some(Self::Hex { before, behind, value: unhex(digits)? });
        }
        let quote = text.iter().position(|byte| *byte == b'\'')?;
        let (before, rest) = text.split_at(quote);
        let inner = rest.get(1..rest.len().checked_sub(1)?).filter(|_| rest.len() > 1 && rest.ends_with(b"'"))?;
        let mark = before.trim_ascii_end();
        if mark.eq_ignore_ascii_case(b"x") {
            let (before, behind) = (text[..=quote].to_vec(), b"'".to_vec());
            return Some(Self::Hex { before, behind, value: unhex(inner)? });
        }
        if mark.eq_ignore_ascii_case(b"b") {
            return Some(Self::Other);
        }
        let introduced = mark.first() == Some(&b'_') && dialect == Dialect::MySql;
        let escaping = mark.eq_ignore_ascii_case(b"e") && dialect == Dialect::Postgres;
        if !(mark.is_empty() || mark.eq_ignore_ascii_case(b"n") || introduced || escaping) {
            return None;
        }
        let escapes = escaping || dialect == Dialect::MySql;
        let value = unquoted(inner, escapes, dialect)?;
        Some(Self::Text { before: before.to_vec(), escapes, value })
    }
}

/// A text as it is written between quotes.
pub fn quoted(text: &str, escapes: bool) -> Vec<u8> {
    let mut out = vec![b'\''];
    for byte in text.bytes() {
        match byte {
            b'\'' => out.extend(b"''"),
            b'\\' if escapes => out.extend(b"\\\\"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
    out
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
}

/// Whether this is a number, with a sign, a fraction and an exponent where it has them.
pub fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let (number, exponent) = match text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let exponent = exponent.map(|part| part.strip_prefix(b"-").or_else(|| part.strip_prefix(b"+")).unwrap_or(part));
    let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
        Some(at) => (&number[..at], &number[at + 1..]),
        None => (number, &b""[..]),
    };
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|part| !part.is_empty() && digits(part))
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What a text between quotes is.
fn unquoted(inner: &[u8], escapes: bool, dialect: Dialect) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' => {
                // Doubled, or the text would have ended.
                if bytes.next() != Some(b'\'') {
                    return None;
                }
                out.push(b'\'');
            }
            b'\\' if escapes => match (bytes.next()?, dialect) {
                (b'n', _) => out.push(b'\n'),
                (b'r', _) => out.push(b'\r'),
                (b't', _) => out.push(b'\t'),
                (b'b', _) => out.push(8),
                (b'0', Dialect::MySql) => out.push(0),
                (b'Z', Dialect::MySql) => out.push(26),
                (byte @ (b'%' | b'_'), Dialect::MySql) => out.extend([b'\\', byte]),
                // A value in digits is the same value for the mask only if it is read; it is not, and stays as it is written.
                (byte, _) => out.push(byte),
            },
            byte => out.push(byte),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str, dialect: Dialect) -> Option<String> {
        match Literal::read(written.as_bytes(), dialect)? {
            Literal::Text { value, .. } | Literal::Hex { value, .. } => String::from_utf8(value).ok(),
            _ => None,
        }
    }

    #[test]
    fn a_value_is_what_its_database_reads() {
        let (mysql, postgres) = (Dialect::MySql, Dialect::Postgres);
        for (written, dialect, value) in [
            ("'a''b'", Dialect::Unknown, "a'b"),
            (r"'a\'b\\c\n\%'", mysql, "a'b\\c\n\\%"),
            (r"'a\'", postgres, "a\\"),
            (r"E'a\'b'", postgres, "a'b"),
            ("_binary 'ab'", mysql, "ab"),
            ("N'ab'", mysql, "ab"),
            ("0x6162", mysql, "ab"),
            ("X'6162'", mysql, "ab"),
        ] {
            assert_eq!(text(written, dialect).as_deref(), Some(value), "{written}");
        }
        for number in ["1", "-1", "1.5", "-.5", "1e10", "1.5E-3", "007"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for none in ["", "-", ".", "1e", "1-1", "0x", "now()", "a'b'", "''a", "_utf8'", "1 "] {
            assert!(!is_number(none.as_bytes()), "{none}");
        }
        for none in ["a'b'", "'a'b'", "0x1", "now()", "'a"] {
            assert_eq!(Literal::read(none.as_bytes(), mysql), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_is_read_again(value: String, escapes: bool) {
            let dialect = if escapes { Dialect::MySql } else { Dialect::Postgres };
            let written = quoted(&value, escapes);
            let read = Literal::read(&written, dialect);
            let before = Vec::new();
            proptest::prop_assert_eq!(read, Some(Literal::Text { before, escapes, value: value.into_bytes() }));
        }
    }
}
