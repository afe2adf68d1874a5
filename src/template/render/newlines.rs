//! The ends of lines of a Cookiecutter template's files: those that the source has, or that `_new_lines` asks for.

use serde_json::Value;

/// How much of a file Cookiecutter looks at, in bytes.
const LOOKED_AT: usize = 8192;

/// Gives a rendered text the ends of lines of its source.
pub fn like(source: &str, asked: Option<&Value>, rendered: String) -> String {
    let asked = asked.and_then(Value::as_str).filter(|asked| !asked.is_empty());
    match asked.unwrap_or_else(|| of(&source.as_bytes()[..source.len().min(LOOKED_AT)])) {
        "\n" => rendered,
        other => rendered.replace('\n', other),
    }
}

/// Of several, the one that Python names first.
fn of(source: &[u8]) -> &'static str {
    let (mut unix, mut windows) = (false, false);
    let mut bytes = source.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => unix = true,
            b'\r' if bytes.next_if_eq(&&b'\n').is_some() => windows = true,
            b'\r' => return "\r",
            _ => {}
        }
    }
    if windows && !unix { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_line_ends_of_its_source() {
        for (source, end) in [("a\nb", "\n"), ("a\r\nb", "\r\n"), ("a\rb", "\r"), ("a\r\nb\n", "\n"), ("", "\n")] {
            assert_eq!(like(source, None, "x\n".into()), format!("x{end}"), "{source:?}");
        }
        assert_eq!(like("a\n", Some(&"\r\n".into()), "x\ny\n".into()), "x\r\ny\r\n");
    }
}
