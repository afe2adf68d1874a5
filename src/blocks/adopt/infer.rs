//! Answers read out of a project: where a template's line or name is text and plain `{{ question }}`s, the project's line
//! says what was answered.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::template::question::{Kind, Question, Value};
use crate::template::{Suffix, Template, yaml};
use crate::tree::Tree;

/// The most that one pattern may weigh, in bytes: a line of a template is short.
const PATTERN_CAP: usize = 256 * 1024;
/// The longest line that is looked at, in bytes.
const LINE_CAP: usize = 2000;
/// The most lines of one file that are looked at.
const LINES_CAP: usize = 5000;

/// Of each question, the values that the project shows, with how often, most first.
pub fn answers(template: &Template, project: &Tree) -> BTreeMap<String, Vec<(Value, usize)>> {
    let mut votes = Votes { template, found: BTreeMap::new() };
    let source = template.source.under(&template.rules.subdirectory);
    for (path, entry) in source.iter() {
        let (name, rendered) = match &template.rules.suffix {
            Suffix::Every => (path.as_str(), true),
            Suffix::Only(suffix) if suffix.is_empty() => (path.as_str(), true),
            Suffix::Only(suffix) => match path.as_str().strip_suffix(suffix.as_str()) {
                Some(name) => (name, true),
                None => (path.as_str(), false),
            },
        };
        // Whether a name is there at all is another matter: what stands between the tags is its text.
        let Some(pattern) = Pattern::of(&without_tags(name, template), template) else { continue };
        for (there, project_entry) in project.iter() {
            if !votes.take(&pattern, there.as_str(), 3) || !rendered {
                continue;
            }
            if let (Some(template_text), Some(text)) = (entry.text(), project_entry.text()) {
                votes.lines(&template_text, &text);
            }
        }
    }
    let sorted = votes.found.into_iter().map(|(id, values)| {
        let mut values: Vec<(String, usize)> = values.into_iter().collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let question = template.questions.iter().find(|question| question.id.as_str() == id);
        let typed = values.into_iter().filter_map(|(text, count)| Some((typed(question?, &text)?, count)));
        (id, typed.collect())
    });
    sorted.collect()
}

struct Votes<'a> {
    template: &'a Template,
    found: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Votes<'_> {
    /// Whether a text fits a pattern; if so, what it says counts.
    fn take(&mut self, pattern: &Pattern, text: &str, weight: usize) -> bool {
        if pattern.literal.as_deref() == Some(text) {
            return true;
        }
        let Some(regex) = &pattern.regex else { return false };
        let Some(captures) = regex.captures(text) else { return false };
        // A question that stands twice must say the same twice.
        let mut said: BTreeMap<&str, &str> = BTreeMap::new();
        for (index, id) in pattern.questions.iter().enumerate() {
            let Some(value) = captures.get(index + 1) else { continue };
            if said.insert(id, value.as_str()).is_some_and(|other| other != value.as_str()) {
                return false;
            }
        }
        for (id, value) in said {
            *self.found.entry(id.to_owned()).or_default().entry(value.to_owned()).or_default() += weight;
        }
        true
    }

    /// Looks for every line of a template among the lines of a file.
    fn lines(&mut self, template: &str, text: &str) {
        let lines: Vec<&str> = text.lines().filter(|line| line.len() <= LINE_CAP).take(LINES_CAP).collect();
        for line in template.lines().filter(|line| line.len() <= LINE_CAP && line.contains("{{")).take(LINES_CAP) {
            let Some(pattern) = Pattern::of(line, self.template) else { continue };
            // A line that is nothing but a value would fit everything.
            if pattern.weight < 3 {
                continue;
            }
            let fitting: Vec<&str> = lines
                .iter()
                .filter(|line| pattern.regex.as_ref().is_some_and(|regex| regex.is_match(line)))
                .copied()
                .collect();
            if let [only] = fitting[..] {
                self.take(&pattern, only, 1);
            }
        }
    }
}

/// A line or name of a template as what it renders to may look.
struct Pattern {
    regex: Option<Regex>,
    literal: Option<String>,
    questions: Vec<String>,
    /// How many characters of it are text.
    weight: usize,
}

impl Pattern {
    /// Of a text with nothing in it but plain substitutions of questions; of others there is no pattern.
    fn of(text: &str, template: &Template) -> Option<Self> {
        let (open, close) = (&template.rules.syntax.variable.0, &template.rules.syntax.variable.1);
        if text.contains(template.rules.syntax.block.0.as_str())
            || text.contains(template.rules.syntax.comment.0.as_str())
        {
            return None;
        }
        let (mut pattern, mut questions, mut weight) = ("^".to_owned(), Vec::new(), 0);
        let mut rest = text;
        while let Some(start) = rest.find(open.as_str()) {
            let (before, after) = rest.split_at(start);
            let end = after.find(close.as_str())?;
            let expression = after[open.len()..end].trim().trim_matches('-').trim();
            pattern.push_str(&regex::escape(before));
            weight += before.trim().chars().count();
            let name = expression.strip_prefix("cookiecutter.").unwrap_or(expression);
            if template.questions.iter().any(|question| question.id.as_str() == name) {
                questions.push(name.to_owned());
                pattern.push_str("(.+?)");
            } else {
                // What it says is not known, only that something may stand there.
                pattern.push_str("(?:.*?)");
            }
            rest = &after[end + close.len()..];
        }
        pattern.push_str(&regex::escape(rest));
        pattern.push('$');
        weight += rest.trim().chars().count();
        if questions.is_empty() && !text.contains(open.as_str()) {
            return Some(Self { regex: None, literal: Some(text.to_owned()), questions, weight });
        }
        let regex = RegexBuilder::new(&pattern).size_limit(PATTERN_CAP).build().ok()?;
        Some(Self { regex: Some(regex), literal: None, questions, weight })
    }
}

/// A name without its `{% … %}`.
fn without_tags(name: &str, template: &Template) -> String {
    let (open, close) = &template.rules.syntax.block;
    let (mut text, mut rest) = (String::new(), name);
    while let Some(start) = rest.find(open.as_str()) {
        let Some(end) = rest[start..].find(close.as_str()) else { break };
        text.push_str(&rest[..start]);
        rest = &rest[start + end + close.len()..];
    }
    text + rest
}

/// A text of a project as the answer that it would be.
fn typed(question: &Question, text: &str) -> Option<Value> {
    if question.secret || text.trim().is_empty() {
        return None;
    }
    Some(match question.kind {
        Kind::Str | Kind::Path => text.into(),
        Kind::Int => text.parse::<i64>().ok()?.into(),
        Kind::Float => text.parse::<f64>().ok().filter(|number| number.is_finite())?.into(),
        Kind::Bool => match text {
            "true" | "True" | "yes" | "on" => true.into(),
            "false" | "False" | "no" | "off" => false.into(),
            _ => return None,
        },
        Kind::Json => serde_json::from_str(text).ok()?,
        Kind::Yaml => yaml::parse(text).ok()?,
    })
}
