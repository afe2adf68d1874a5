//! The one report of a campaign: JSON for machines, one HTML page for people that needs nothing else. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::{Branch, Command, Counts, Outcome, Visit};
use crate::blocks::BlockId;
use crate::text::neutral_line;

/// Everything that a campaign has to say.
#[derive(Clone, Debug, Serialize)]
pub struct Campaign {
    /// What names it.
    pub id: String,
    /// The block at the version that was brought.
    pub block: BlockId,
    /// How many repositories there are.
    pub repositories: usize,
    /// How many came to what.
    pub counts: Counts,
    /// Why it ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What came of each repository, in the order of the list.
    pub visits: Vec<Visit>,
    /// When this was written.
    pub written: Timestamp,
}

impl Campaign {
    /// The JSON document.
    pub fn json(&self) -> String {
        let mut document = serde_json::Map::new();
        document.insert("schema".to_owned(), 1.into());
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) {
            document.extend(fields);
        }
        serde_json::to_string_pretty(&document).expect("a report is plain data") + "\n"
    }

    /// The page.
    pub fn html(&self) -> String {
        let counts = &self.counts;
        let title = format!("{} in {} repositories", self.block, self.repositories);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>{STYLE}</style></head><body>\n\
             <h1>{title}</h1>\n<p>Campaign {id}, {written}</p>\n",
            title = escape(&title),
            id = escape(&self.id),
            written = self.written.strftime("%Y-%m-%d %H:%M UTC"),
        );
        if let Some(why) = &self.stopped {
            page.push_str(&format!("<p class=\"stopped\">Stopped: {}</p>\n", escape(why)));
        }
        page.push_str("<table class=\"counts\"><tr>");
        let cells = [
            ("updated", counts.branched),
            ("conflicts", counts.conflicts),
            ("failed", counts.failed),
            ("up to date", counts.current),
            ("without the block", counts.without),
            ("not visited", self.repositories.saturating_sub(counts.visited)),
        ];
        for (name, count) in cells {
            page.push_str(&format!("<td><b>{count}</b><br>{name}</td>"));
        }
        page.push_str("</tr></table>\n<table><thead><tr><th>repository</th><th>wave</th><th>outcome</th><th>branch</th><th>files</th></tr></thead><tbody>\n");
        // What needs somebody comes first.
        let mut visits: Vec<&Visit> = self.visits.iter().collect();
        visits.sort_by_key(|visit| match visit.outcome {
            Outcome::Failed { .. } => 0,
            Outcome::Conflicts { .. } => 1,
            Outcome::Branched(_) => 2,
            Outcome::Current => 3,
            Outcome::Without => 4,
        });
        for visit in visits {
            page.push_str(&row(visit));
        }
        page.push_str("</tbody></table>\n</body></html>\n");
        page
    }
}

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#222}table{border-collapse:collapse;margin:1rem 0}\
td,th{border-bottom:1px solid #ddd;padding:.3rem .8rem;text-align:left;vertical-align:top}.counts td{border:0;text-align:center}\
.counts b{font-size:1.8rem}.failed,.stopped{color:#a00}.conflicts{color:#a50}.branched{color:#070}.without,.current{color:#777}\
ul{margin:0;padding-left:1.2rem}code{background:#f4f4f4}";

fn row(visit: &Visit) -> String {
    let (class, words) = match &visit.outcome {
        Outcome::Without => ("without", "does not have the block".to_owned()),
        Outcome::Current => ("current", "up to date".to_owned()),
        Outcome::Branched(branch) => ("branched", format!("updated from {}", escape(&branch.from))),
        Outcome::Failed { message } => ("failed", escape(message)),
        Outcome::Conflicts { from, conflicts, .. } => {
            let mut items = String::new();
            for clash in conflicts {
                let line = clash.line.map(|line| format!(":{line}")).unwrap_or_default();
                let (path, detail) = (escape(clash.path.as_str()), escape(&clash.detail));
                items.push_str(&format!("<li><code>{path}{line}</code> {detail}</li>"));
            }
            ("conflicts", format!("conflicts with {}<ul>{items}</ul>", escape(from)))
        }
    };
    let command = |Command { when, words, directory, .. }: &Command| {
        let place =
            if directory.is_empty() { String::new() } else { format!(" in <code>{}</code>", escape(directory)) };
        format!("<li>{}{place}: <code>{}</code></li>", when.word(), escape(words))
    };
    let commands: String = visit.outcome.commands().iter().map(command).collect();
    let words = if commands.is_empty() { words } else { format!("{words}; not run:<ul>{commands}</ul>") };
    let (branch, files) = match visit.outcome.branch() {
        None => (String::new(), String::new()),
        Some(Branch { name, pull: Some(pull), files, .. })
            if pull.starts_with("https://") || pull.starts_with("http://") =>
        {
            (format!("<a rel=\"noreferrer\" href=\"{}\">{}</a>", escape(pull), escape(name)), files.to_string())
        }
        Some(Branch { name, files, .. }) => (format!("<code>{}</code>", escape(name)), files.to_string()),
    };
    format!(
        "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{words}</td><td>{branch}</td><td>{files}</td></tr>\n",
        escape(&visit.repository),
        visit.wave
    )
}

/// Text that a page shows as it is.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in neutral_line(text, 2000).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Clash, When};
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_acts_in_the_page() {
        let evil = "<script>alert('x')</script>\" onload=\u{1b}[31m".to_owned();
        let (when, words, directory, place) = (When::After, evil.clone(), evil.clone(), evil.clone());
        let command = Command { when, words, directory, place };
        let branch = Branch {
            from: evil.clone(),
            name: evil.clone(),
            commit: "c".into(),
            files: 3,
            commands: vec![command.clone()],
            pull: Some("javascript:alert(1)".to_owned()),
        };
        let clash = Clash { path: "a\"<b>".parse().unwrap(), line: Some(3), detail: evil.clone() };
        let outcomes = [
            Outcome::Failed { message: evil.clone() },
            Outcome::Conflicts {
                from: evil.clone(),
                conflicts: vec![clash],
                branch: Some(branch.clone()),
                commands: vec![command],
            },
            Outcome::Branched(branch),
        ];
        let visits: Vec<Visit> =
            outcomes.into_iter().map(|outcome| Visit { repository: evil.clone(), wave: 1, outcome }).collect();
        let campaign = Campaign {
            id: "web-1".into(),
            block: BlockId {
                name: "web".parse().unwrap(),
                version: evil.clone().into(),
                source: evil.clone(),
                commit: "c".into(),
                asked: "web".into(),
                described: String::new(),
            },
            repositories: 4,
            counts: Counts::of(&visits),
            stopped: Some(evil),
            visits,
            written: Timestamp::UNIX_EPOCH,
        };
        let page = campaign.html();
        assert!(!page.contains("<script") && !page.contains('\u{1b}') && !page.contains("javascript:"), "{page}");
        assert!(!page.contains("onload=\u{22}") && page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("src=\"") && !page.contains("href=\"http"), "no outside assets: {page}");
        let json: serde_json::Value = serde_json::from_str(&campaign.json()).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["counts"]["conflicts"], 1);
        assert_eq!(json["visits"][1]["conflicts"][0]["line"], 3);
    }
}
