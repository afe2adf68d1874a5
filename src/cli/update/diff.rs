//! Changes as unified diffs: what `git diff` would show of them, safe for a terminal.

use similar::TextDiff;

use crate::merge::Change;
use crate::text;
use crate::tree::{Entry, TreePath};

/// Lines around a change.
const CONTEXT: usize = 3;

/// One change as a unified diff. Files that are no text are only named.
pub fn unified(change: &Change, from: Option<&TreePath>) -> String {
    let path = text::neutral_line(change.path.as_str(), 500);
    let mut out = format!("diff {path}\n");
    if let Some(from) = from {
        out.push_str(&format!("moved from {}\n", text::neutral_line(from.as_str(), 500)));
    }
    match (&change.before, &change.after) {
        (None, Some(after)) => out.push_str(&format!("new {}\n", kind(after))),
        (Some(before), None) => out.push_str(&format!("deleted {}\n", kind(before))),
        (Some(before), Some(after)) if kind(before) != kind(after) => {
            out.push_str(&format!("{} becomes {}\n", kind(before), kind(after)));
        }
        _ => {}
    }
    let (Some(before), Some(after)) = (content(change.before.as_ref()), content(change.after.as_ref())) else {
        out.push_str("not text\n");
        return out;
    };
    if before != after {
        let name = |side: &str, entry: &Option<Entry>| match entry {
            Some(_) => format!("{side}/{path}"),
            None => "/dev/null".to_owned(),
        };
        let (old, new) = (name("a", &change.before), name("b", &change.after));
        let diff = TextDiff::from_lines(&before, &after);
        out.push_str(&text::neutral(&diff.unified_diff().context_radius(CONTEXT).header(&old, &new).to_string()));
    }
    out
}

/// The same in colours, for whoever likes them.
pub fn coloured(diff: &str) -> String {
    let mut out = String::with_capacity(diff.len());
    for line in diff.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let style = console::style(line);
        let heading = ["diff ", "--- ", "+++ "].iter().any(|start| line.starts_with(start));
        let styled = match line.as_bytes().first() {
            _ if heading => style.bold(),
            Some(b'+') => style.green(),
            Some(b'-') => style.red(),
            Some(b'@') => style.cyan(),
            _ => style,
        };
        out.push_str(&format!("{styled}{end}"));
    }
    out
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Link { .. } => "link",
        Entry::File { executable: true, .. } => "executable file",
        Entry::File { executable: false, .. } => "file",
    }
}

/// The text of a side; none where it has another kind of contents.
fn content(entry: Option<&Entry>) -> Option<String> {
    match entry {
        None => Some(String::new()),
        Some(Entry::Link { target }) => Some(format!("{target}\n")),
        Some(file) => file.text().filter(|text| !text.contains('\0')).map(String::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_every_kind_can_be_read() {
        let file = |text: &'static str| Some(Entry::file(text));
        let run = Some(Entry::File { contents: "a\nb\n".into(), executable: true });
        let change = |before, after| unified(&Change { path: "d/x".parse().unwrap(), before, after }, None);
        let all = [
            change(file("a\nb\n"), file("a\nc\u{1b}[2J\n")),
            change(file("a\nb\n"), run),
            change(None, file("a")),
            change(file("a\n"), None),
            change(file("a"), Some(Entry::file(&b"\xff\0"[..]))),
            change(None, Some(Entry::Link { target: "../y".into() })),
        ];
        insta::assert_snapshot!(all.join(""), @r"
        diff d/x
        --- a/d/x
        +++ b/d/x
        @@ -1,2 +1,2 @@
         a
        -b
        +c\u{1b}[2J
        diff d/x
        file becomes executable file
        diff d/x
        new file
        --- /dev/null
        +++ b/d/x
        @@ -0,0 +1 @@
        +a
        \ No newline at end of file
        diff d/x
        deleted file
        --- a/d/x
        +++ /dev/null
        @@ -1 +0,0 @@
        -a
        diff d/x
        not text
        diff d/x
        new link
        --- /dev/null
        +++ b/d/x
        @@ -0,0 +1 @@
        +../y
        ");
    }
}
