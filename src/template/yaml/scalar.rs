//! What a plain scalar means in YAML 1.1, as `PyYAML` resolves it.

use std::sync::LazyLock;

use regex::Regex;

use super::super::Value;

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("a pattern of ours")
}

static BOOL: LazyLock<Regex> =
    LazyLock::new(|| regex("yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"));
static INT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+",
    )
});
static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
        r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    ))
});
static DATE: LazyLock<Regex> = LazyLock::new(|| regex("[0-9]{4}-[0-9]{2}-[0-9]{2}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        "([0-9]{4})-([0-9][0-9]?)-([0-9][0-9]?)(?:[Tt]|[ \t]+)([0-9][0-9]?):([0-9]{2}):([0-9]{2})",
        r"(?:\.([0-9]*))?(?:[ \t]*(Z|([-+])([0-9][0-9]?)(?::([0-9]{2}))?))?",
    ))
});

/// Whether a plain scalar is text, and nothing else.
pub(super) fn is_text(text: &str) -> bool {
    let special = matches!(text, "" | "~" | "null" | "Null" | "NULL" | "<<" | "=" | "!" | "&" | "*");
    let typed = [&BOOL, &INT, &FLOAT, &DATE, &TIME];
    !special && !typed.iter().any(|regex| regex.is_match(text))
}

/// The value of a plain scalar. Dates are text, as they are in JSON.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::Null);
    }
    if is_text(text) {
        return Ok(Value::String(text.to_owned()));
    }
    if BOOL.is_match(text) {
        return Ok(Value::Bool(matches!(text.to_ascii_lowercase().as_str(), "yes" | "true" | "on")));
    }
    if INT.is_match(text) {
        return whole(text).ok_or_else(|| format!("`{text}` is no number of 64 bits"));
    }
    if FLOAT.is_match(text) {
        // JSON has no infinity, and no NaN.
        let number = float(text).filter(|number| number.is_finite());
        return Ok(number.map_or_else(|| Value::String(text.to_owned()), Value::from));
    }
    if DATE.is_match(text) {
        text.parse::<jiff::civil::Date>().map_err(|_| format!("`{text}` is no date"))?;
        return Ok(Value::String(text.to_owned()));
    }
    match TIME.captures(text) {
        Some(parts) => time(&parts).map(Value::String).ok_or_else(|| format!("`{text}` is no time")),
        // `<<` and `=` where they mean nothing.
        None => Ok(Value::String(text.to_owned())),
    }
}

fn signed(text: &str) -> (i128, String) {
    let text = text.replace('_', "");
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest.to_owned()),
        None => (1, text.strip_prefix('+').unwrap_or(&text).to_owned()),
    }
}

fn whole(text: &str) -> Option<Value> {
    let (sign, digits) = signed(text);
    let number = if digits == "0" {
        0
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        i128::from_str_radix(hexadecimal, 16).ok()?
    } else if digits.starts_with('0') {
        i128::from_str_radix(&digits, 8).ok()?
    } else {
        // `1:30` is ninety.
        let parts = digits.split(':').map(|part| part.parse::<i128>().ok());
        parts.into_iter().try_fold(0_i128, |sum, part| sum.checked_mul(60)?.checked_add(part?))?
    };
    let number = sign.checked_mul(number)?;
    i64::try_from(number).map(Value::from).or_else(|_| u64::try_from(number).map(Value::from)).ok()
}

fn float(text: &str) -> Option<f64> {
    let (sign, digits) = signed(text);
    let parts = digits.split(':').map(|part| part.parse::<f64>().ok());
    let number = parts.into_iter().try_fold(0.0, |sum, part| Some(sum * 60.0 + part?))?;
    Some(if sign < 0 { -number } else { number })
}

/// A time as Python writes it.
fn time(parts: &regex::Captures<'_>) -> Option<String> {
    let number = |index: usize| parts.get(index).and_then(|part| part.as_str().parse::<i32>().ok());
    let small = |index: usize| number(index).and_then(|number| i8::try_from(number).ok());
    let fraction = parts.get(7).map_or("", |part| part.as_str());
    let micros: i32 = format!("{:0<6}", fraction.get(..6).unwrap_or(fraction)).parse().ok()?;
    let year = i16::try_from(number(1)?).ok()?;
    jiff::civil::DateTime::new(year, small(2)?, small(3)?, small(4)?, small(5)?, small(6)?, 0).ok()?;
    let (month, day) = (number(2)?, number(3)?);
    let mut out = format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", number(4)?, number(5)?, number(6)?);
    if micros != 0 {
        out.push_str(&format!(".{micros:06}"));
    }
    match (parts.get(8), parts.get(9)) {
        (Some(_), None) => out.push_str("+00:00"),
        (Some(_), Some(sign)) => {
            out.push_str(&format!("{}{:02}:{:02}", sign.as_str(), number(10)?, number(11).unwrap_or(0)));
        }
        _ => {}
    }
    Some(out)
}
