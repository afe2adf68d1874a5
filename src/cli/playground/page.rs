//! The tour's look at a page: the words that a person would read.

/// The text of an HTML page, a line an element, without markup.
pub fn words(html: &str) -> String {
    let mut text = String::new();
    // In HTML a line break is a space like any other.
    let html = html.replace('\n', " ");
    let mut rest = html.as_str();
    for unseen in ["<head", "<style", "<script"] {
        if let (Some(start), Some(end)) = (rest.find(unseen), rest.find(&unseen.replace('<', "</"))) {
            // The tour's page has each at most once, before its body.
            if start < end && text.is_empty() {
                rest = &rest[end..];
            }
        }
    }
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        let close = rest[open..].find('>').map_or(rest.len(), |close| open + close + 1);
        let block = ["/p", "/tr", "/h1", "/h2", "/li", "br", "/title", "/header", "/div"];
        let tag = rest[open + 1..close].trim_end_matches('>');
        text.push_str(if block.contains(&tag) {
            "\n"
        } else if matches!(tag, "/td" | "/th") {
            "  "
        } else {
            ""
        });
        rest = &rest[close..];
    }
    text.push_str(rest);
    let text = text
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#039;", "'")
        .replace("&quot;", "\"");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).map(|line| crate::text::neutral(&line)).collect();
    format!("  {}\n", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_goes_and_words_stay() {
        let html = "<html><head><title>x</title><style>a{}</style></head><body><h1>Our products</h1>\n<p>Signed in: <b>ada</b></p><table><tr><td>Tea &amp; milk</td><td>3</td></tr></table>";
        assert_eq!(super::words(html), "  Our products\n  Signed in: ada\n  Tea & milk 3\n");
    }
}
