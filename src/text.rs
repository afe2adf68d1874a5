//! Text for people: neutralised when it comes from outside, measured, shortened, suggested.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use unicode_normalization::UnicodeNormalization;

/// Makes text from outside safe for a terminal: control characters (escape sequences among them) and characters that
/// reorder text become visible escapes; newlines and tabs stay.
pub fn neutral(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) && c != '\n' && c != '\t' {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character is none that is seen: a terminal would do something, or show others in another order.
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The same as [`neutral`], on one line of at most `max` characters: for labels, titles and other names in tables.
pub fn neutral_line(text: &str, max: usize) -> String {
    shorten(&neutral(&text.replace(['\n', '\t', '\r'], " ")), max)
}

/// Words in Markdown that cannot call other people: a mention needs its `@` right before the name.
pub fn without_mentions(words: &str) -> String {
    words.replace('@', "@\u{200b}")
}

/// What a file system that ignores case and Unicode spelling takes a path for.
pub fn folded(path: &str) -> Cow<'_, str> {
    if path.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return path.into();
    }
    path.nfd().flat_map(char::to_lowercase).nfc().collect::<String>().into()
}

/// At most `max` characters, the last one an ellipsis where something was cut.
pub fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// The candidate nearest to a mistyped word, if any is near enough to be meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            // Likeness of beginnings finds `producton`; one slip of the finger is found in the shortest words, too.
            let slip = strsim::osa_distance(word, candidate) == 1 && candidate.len() > 2;
            (if slip { 0.99 } else { strsim::jaro_winkler(word, candidate) }, candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `12 B`, `3.4 KB`, `308 MB`: decimal units, as registries and disks count.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while count / scale >= 1000 && unit + 1 < UNITS.len() {
        scale *= 1000;
        unit += 1;
    }
    let tenths = count.saturating_mul(10) / scale;
    if unit == 0 || tenths >= 1000 {
        format!("{} {}", count / scale, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// The number of bytes that a text means: `0`, `500 MB`, `10GiB`. The error says how to write it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("B", 1),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let wrong = || format!("`{}` is no size: write it as 500 MB or 10 GiB", neutral_line(text, 40));
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<u64>().map_err(|_| wrong())?, text[digits..].trim());
    let scale = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?.1;
    number.checked_mul(scale).ok_or_else(wrong)
}

/// The length of time that a text means: `500ms`, `30s`, `2m`, `7d`. The error says how to write it.
pub fn parse_span(text: &str) -> Result<SignedDuration, String> {
    let wrong = |_| format!("`{}` is no length of time: write it as 500ms, 30s, 2m or 7d", neutral_line(text, 40));
    let span: jiff::Span = text.parse().map_err(wrong)?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(wrong)
}

/// `just now`, `5 min`, `3 h`, `12 d`: how long ago, in its largest unit.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `45 s`, `12 min`, `3.5 h`, `2.1 d`: so many seconds, in the largest unit that they fill.
pub fn lasting(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{}.{} h", seconds / 3600, seconds % 3600 / 360),
        _ => format!("{}.{} d", seconds / 86_400, seconds % 86_400 / 8640),
    }
}

/// A name for a branch, path or title that is safe in container names: lower-case letters, digits, single dashes.
pub fn slug(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        if out.len() >= max {
            break;
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// Text columns aligned with two spaces between them; the last one is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            rows.iter().filter_map(|row| row.get(i)).map(|cell| console::measure_text_width(cell)).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if i + 1 < row.len() {
                let pad = widths[i] - console::measure_text_width(cell) + 2;
                line.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, count) in [("0", 0), ("500 MB", 500_000_000), ("10GiB", 10 << 30), ("7 tb", 7_000_000_000_000)] {
            assert_eq!(parse_bytes(text), Ok(count), "{text}");
        }
        for wrong in ["", "MB", "-1", "1.5 GB", "5 parsecs", "99999999999 TB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_of_time_are_read_as_they_are_written() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1h 30m", 5_400_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_span(text), Ok(SignedDuration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "30", "soon", "2 months"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn escapes_lose_their_power() {
        assert_eq!(neutral("a\x1b[31mred\nb"), "a\\u{1b}[31mred\nb");
        assert_eq!(neutral_line("title\nforged line\u{202e}", 40), "title forged line\\u{202e}");
    }

    #[test]
    fn units_are_decimal() {
        assert_eq!(
            ["12 B", "3.4 KB", "308 MB", "999 MB", "1.0 GB"],
            [bytes(12), bytes(3_400), bytes(308_000_000), bytes(999_999_999), bytes(1_000_000_000)]
                .map(|s| s)
                .each_ref()
                .map(String::as_str)
        );
    }

    #[test]
    fn slips_are_understood() {
        let known = ["web", "db", "production", "staging"];
        let meant = |word| did_you_mean(word, known);
        assert_eq!(
            [meant("wbe"), meant("producton"), meant("x"), meant("queue")],
            [Some("web"), Some("production"), None, None]
        );
    }

    #[test]
    fn slugs_are_container_names() {
        assert_eq!(slug("Feature/ABC_12 (draft)", 40), "feature-abc-12-draft");
        assert_eq!(slug("---", 40), "");
    }

    proptest::proptest! {
        #[test]
        fn neutral_text_has_no_controls(text in ".*") {
            proptest::prop_assert!(!neutral_line(&text, 200).chars().any(char::is_control));
        }

        #[test]
        fn shortened_text_fits(text in ".*", max in 1_usize..50) {
            proptest::prop_assert!(shorten(&text, max).chars().count() <= max);
        }
    }
}
