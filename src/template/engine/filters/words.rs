//! Texts: the filters of Jinja that minijinja lacks or has otherwise, and Ansible's.

use deunicode::deunicode;
use fancy_regex::Regex;
use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::super::args::{Args, fail, items};
use super::data::pairs;

/// The most characters that a width or an indentation has.
const WIDEST: usize = 10_000;

fn width(args: &Args<'_>, index: usize, name: &str, usual: usize) -> Result<usize, Error> {
    let width = args.int(index, name)?.map_or(usual, |width| usize::try_from(width).unwrap_or(0));
    if width > WIDEST { Err(fail(format!("a width of more than {WIDEST} characters"))) } else { Ok(width) }
}

/// `escape`: safe in HTML, in the words of Python's `MarkupSafe`.
pub fn escape(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    Ok(Value::from_safe_string(escaped(&value.to_string())))
}

/// The same, even of what is safe already.
pub fn forceescape(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    Ok(Value::from_safe_string(escaped(&value.to_string())))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `xmlattr`: a table as the attributes of a tag.
pub fn xmlattr(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let mut out = String::new();
    for (name, value) in pairs("xmlattr", value)? {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let name = name.to_string();
        if name.contains([' ', '\t', '\n', '\r', '\x0c', '/', '>', '=']) {
            return Err(fail(format!("xmlattr: invalid character in attribute name: {name}")));
        }
        out.push_str(&format!(" {}=\"{}\"", escaped(&name), escaped(&value.to_string())));
    }
    if args.get(0, "autospace").is_some_and(|space| !space.is_true()) {
        return Ok(out.trim_start().into());
    }
    Ok(out.into())
}

/// `center`.
pub fn center(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let width = width(args, 0, "width", 80)?;
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left)).into())
}

/// `indent`: every line but the first, unless it is asked for.
pub fn indent(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let indentation = match args.get(0, "width") {
        Some(given) if given.as_str().is_some() => given.to_string(),
        _ => " ".repeat(width(args, 0, "width", 4)?),
    };
    let (first, blank) = (args.flag(1, "first"), args.flag(2, "blank"));
    state.consume_fuel(((text.matches('\n').count() + 1) * indentation.len() / 64) as u64)?;
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if (i == 0 && first) || (i > 0 && (blank || !line.is_empty())) {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(out.into())
}

/// `wordcount`.
pub fn wordcount(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    Ok(Value::from(words.count()))
}

/// `truncate`: cut at a word, with dots, unless it is little longer.
pub fn truncate(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let chars: Vec<char> = value.to_string().chars().collect();
    let length = width(args, 0, "length", 255)?;
    let kill = args.flag(1, "killwords");
    let end = args.text(2, "end")?.unwrap_or_else(|| "...".to_owned());
    let leeway = width(args, 3, "leeway", 5)?;
    if chars.len() <= length + leeway {
        return Ok(chars.into_iter().collect::<String>().into());
    }
    let keep = length.checked_sub(end.chars().count()).ok_or_else(|| fail("truncate: the end is longer than all"))?;
    let kept: String = chars[..keep].iter().collect();
    let words = if kill { &kept } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(words, _)| words) };
    Ok(format!("{words}{end}").into())
}

/// `wordwrap`: lines no longer than a width, as Python's `textwrap` makes them.
pub fn wordwrap(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let width = width(args, 0, "width", 79)?.max(1);
    let long = args.get(1, "break_long_words").is_none_or(|long| long.is_true());
    let newline = args.text(2, "wrapstring")?.unwrap_or_else(|| "\n".to_owned());
    let hyphens = args.get(3, "break_on_hyphens").is_none_or(|hyphens| hyphens.is_true());
    state.consume_fuel((text.len() / 16) as u64)?;
    let lines = text.lines().map(|line| wrapped(line, width, long, hyphens).join(&newline));
    Ok(lines.collect::<Vec<_>>().join(&newline).into())
}

fn wrapped(line: &str, width: usize, long: bool, hyphens: bool) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for c in line.chars() {
        let blank = c.is_whitespace();
        match chunks.last_mut() {
            Some(last) if last.starts_with(char::is_whitespace) == blank => {
                let breaks = hyphens
                    && last.ends_with('-')
                    && c.is_alphabetic()
                    && last.chars().rev().nth(1).is_some_and(char::is_alphabetic);
                if breaks { chunks.push(c.to_string()) } else { last.push(c) }
            }
            _ => chunks.push(c.to_string()),
        }
    }
    let mut lines = Vec::new();
    let mut now = String::new();
    let count = |text: &str| text.chars().count();
    let mut chunks: std::collections::VecDeque<String> = chunks.into();
    while let Some(chunk) = chunks.pop_front() {
        let blank = chunk.starts_with(char::is_whitespace);
        if now.is_empty() && blank && !lines.is_empty() {
            continue;
        }
        if count(&now) + count(&chunk) <= width {
            now.push_str(&chunk);
            continue;
        }
        if count(&chunk) > width && long {
            let space = width - count(&now);
            let (fits, rest): (String, String) =
                (chunk.chars().take(space).collect(), chunk.chars().skip(space).collect());
            now.push_str(&fits);
            chunks.push_front(rest);
        } else if now.is_empty() {
            now = chunk;
        } else {
            chunks.push_front(chunk);
        }
        if blank && now.trim().is_empty() {
            continue;
        }
        lines.push(now.trim_end().to_owned());
        now = String::new();
    }
    if !now.trim_end().is_empty() {
        lines.push(now.trim_end().to_owned());
    }
    lines
}

/// `comment` of Ansible.
pub fn comment(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let style = args.text(0, "style")?.unwrap_or_else(|| "plain".to_owned());
    let (first, usual, last) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => return Err(fail(format!("comment: no style {other}"))),
    };
    let of = |name: &str, usual: &str| -> Result<String, Error> {
        Ok(args.text(usize::MAX, name)?.unwrap_or_else(|| usual.to_owned()))
    };
    let decoration = of("decoration", usual)?;
    let newline = of("newline", "\n")?;
    let beginning = of("beginning", first)?;
    let prefix = of("prefix", decoration.trim_end())?;
    let postfix = of("postfix", decoration.trim_end())?;
    let end = of("end", last)?;
    let prefixes = width(args, usize::MAX, "prefix_count", 1)?;
    let postfixes = width(args, usize::MAX, "postfix_count", 1)?;
    let text = value.to_string();
    state.consume_fuel(((text.len() + 1) * (decoration.len() + 1) / 64) as u64)?;
    let text = format!("{decoration}{}", text.replace(&newline, &format!("{newline}{decoration}")))
        .replace(&format!("{decoration}{newline}"), &format!("{}{newline}", decoration.trim_end()));
    let mut out = String::new();
    if !beginning.is_empty() {
        out.extend([beginning.as_str(), &newline]);
    }
    if !prefix.is_empty() {
        let line = if prefix == newline { newline.clone() } else { format!("{prefix}{newline}") };
        out.push_str(&line.repeat(prefixes));
    }
    out.push_str(&text);
    out.push_str(&format!("{newline}{postfix}").repeat(postfixes));
    if !end.is_empty() {
        out.extend([newline.as_str(), &end]);
    }
    Ok(out.into())
}

/// `quote`: one word for a shell.
pub fn quote(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return Ok(text.into());
    }
    Ok(format!("'{}'", text.replace('\'', "'\"'\"'")).into())
}

/// `slugify` of Cookiecutter, which is python-slugify's.
pub fn slugify(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let mut text = value.to_string();
    let separator = args.text(6, "separator")?.unwrap_or_else(|| "-".to_owned());
    let replacements = match args.get(11, "replacements") {
        Some(list) => items("slugify", &list)?,
        None => Vec::new(),
    };
    let replace = |text: String| -> Result<String, Error> {
        replacements.iter().try_fold(text, |text, pair| {
            let (old, new) = (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string());
            state.consume_fuel(((text.len() + 1) * (new.len() + 1) / 64) as u64)?;
            Ok(text.replace(&old, &new))
        })
    };
    text = replace(text)?;
    let unicode = args.flag(12, "allow_unicode");
    // An apostrophe ends no word: `it's` is `its`.
    text = text.replace('\'', "-");
    text = if unicode { text } else { deunicode(&text) };
    if args.get(10, "lowercase").is_none_or(|lower| lower.is_true()) {
        text = text.to_lowercase();
    }
    text = text.replace('\'', "");
    let commas = Regex::new(r"(?<=\d),(?=\d)").map_err(|error| fail(error.to_string()))?;
    text = commas.replace_all(&text, "").into_owned();
    text = if let Some(pattern) = args.text(9, "regex_pattern")? {
        state.consume_fuel(500 + pattern.len() as u64)?;
        let pattern = fancy_regex::RegexBuilder::new(&pattern).delegate_size_limit(1 << 20).build();
        pattern.map_err(|_| fail("slugify: no regular expression"))?.replace_all(&text, "-").into_owned()
    } else {
        let kept = |c: char| if unicode { c.is_alphanumeric() } else { c.is_ascii_alphanumeric() };
        text.chars().map(|c| if kept(c) { c } else { '-' }).collect()
    };
    let stop: Vec<String> = match args.get(8, "stopwords") {
        Some(words) => items("slugify", &words)?.iter().map(ToString::to_string).collect(),
        None => Vec::new(),
    };
    let words: Vec<&str> = text.split('-').filter(|word| !word.is_empty()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !stop.iter().any(|stop| stop == word)).collect();
    text = replace(words.join("-"))?;
    let most = width(args, 4, "max_length", 0)?;
    if most > 0 {
        text = shortened(&text, most, args.flag(5, "word_boundary"), args.flag(7, "save_order"));
    }
    Ok(text.replace('-', &separator).into())
}

fn shortened(text: &str, most: usize, whole_words: bool, in_order: bool) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most).collect();
    if !whole_words {
        return cut.trim_matches('-').to_owned();
    }
    let mut kept = String::new();
    for word in text.split('-').filter(|word| !word.is_empty()) {
        let length = kept.chars().count() + usize::from(!kept.is_empty()) + word.chars().count();
        if length <= most {
            if !kept.is_empty() {
                kept.push('-');
            }
            kept.push_str(word);
        } else if in_order {
            break;
        }
    }
    if kept.is_empty() { cut } else { kept }
}

/// `urlize`: addresses as links.
pub fn urlize(state: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let text = value.to_string();
    let most = width(args, 0, "trim_url_limit", WIDEST)?;
    state.consume_fuel((text.len() / 8) as u64)?;
    let mut rel = if args.flag(1, "nofollow") { vec!["nofollow"] } else { Vec::new() };
    rel.push("noopener");
    rel.sort_unstable();
    let target = args.text(2, "target")?.map_or_else(String::new, |target| format!(" target=\"{}\"", escaped(&target)));
    let rel = format!(" rel=\"{}\"", rel.join(" "));
    let mut out = String::new();
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        let inner = word.trim_start_matches(['(', '<']).trim_end_matches([')', '>', '.', ',']);
        let link = if inner.starts_with("https://") || inner.starts_with("http://") {
            Some(inner.to_owned())
        } else {
            inner.starts_with("www.").then(|| format!("https://{inner}"))
        };
        let Some(link) = link else {
            out.push_str(&escaped(part));
            continue;
        };
        let (before, after) = part.split_once(inner).unwrap_or(("", ""));
        let shown: String = if inner.chars().count() > most {
            inner.chars().take(most).chain("...".chars()).collect()
        } else {
            inner.to_owned()
        };
        let (link, shown) = (escaped(&link), escaped(&shown));
        out.push_str(&format!("{}<a href=\"{link}\"{rel}{target}>{shown}</a>{}", escaped(before), escaped(after)));
    }
    Ok(Value::from_safe_string(out))
}

/// `urlencode`: a text, or the pairs of a query.
pub fn urlencode(_: &State, value: &Value, _: &Args<'_>) -> Result<Value, Error> {
    let query = |value: &Value| encoded(&value.to_string(), "").replace("%20", "+");
    let pairs: Vec<(Value, Value)> = match value.kind() {
        ValueKind::Map => pairs("urlencode", value)?,
        ValueKind::Seq | ValueKind::Iterable => {
            let pair = |pair: Value| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?));
            items("urlencode", value)?.into_iter().map(pair).collect::<Result<_, Error>>()?
        }
        _ => return Ok(encoded(&value.to_string(), "/").into()),
    };
    let pairs = pairs.iter().map(|(key, value)| format!("{}={}", query(key), query(value)));
    Ok(pairs.collect::<Vec<_>>().join("&").into())
}

fn encoded(text: &str, safe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (byte.is_ascii() && safe.contains(c)) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `filesizeformat`: bytes in larger units.
pub fn filesizeformat(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let bytes = match value.kind() {
        ValueKind::String => {
            value.as_str().unwrap_or_default().trim().parse().map_err(|_| fail("no number of bytes"))?
        }
        _ => f64::try_from(value.clone())?,
    };
    let binary = args.flag(0, "binary");
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if (bytes - 1.0).abs() < f64::EPSILON {
        return Ok("1 Byte".into());
    }
    if bytes < base {
        return Ok(format!("{bytes:.0} Bytes").into());
    }
    let mut unit = base;
    for (i, prefix) in ["k", "M", "G", "T", "P", "E", "Z", "Y"].iter().enumerate() {
        unit *= base;
        if bytes < unit || i == 7 {
            let prefix = if binary { format!("{}i", prefix.to_uppercase()) } else { (*prefix).to_owned() };
            return Ok(format!("{:.1} {prefix}B", base * bytes / unit).into());
        }
    }
    Ok(Value::from(()))
}
