//! The `JUnit` report that a test's own program writes: read out of the container, and not trusted.

use std::io::Read;
use std::time::Duration;

use roxmltree::{Document, Node, ParsingOptions};
use serde::Serialize;

use crate::engine::{Engine, Error};
use crate::sandbox::fetch::fetch;
use crate::text::{neutral, neutral_line, shorten};

/// The largest report, in bytes.
const CAP: u64 = 16 * 1024 * 1024;
/// The most nodes of a report: elements, texts, comments.
const NODES: u32 = 500_000;
/// The longest name and message of a case, in characters.
const LINE: usize = 300;
/// The most that a case says of its failure, in characters.
const DETAILS: usize = 10_000;

/// One case of a test's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// The class or suite that it is in; empty where the report does not say.
    pub class: String,
    /// Its name.
    pub name: String,
    /// How it went.
    pub result: CaseResult,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it is not passed, on one line.
    pub message: String,
    /// The same at length.
    pub details: String,
}

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseResult {
    /// It passed.
    Passed,
    /// What it checks does not hold.
    Failed,
    /// It broke off.
    Error,
    /// It did not run.
    Skipped,
}

/// A report as it stands in a container: when it was written, in seconds since 1970, and what it says. Or why there is none.
pub type Found = Result<(u64, Vec<u8>), String>;

/// Looks for a report.
pub async fn find(engine: &Engine, container: &str, path: &str) -> Result<Found, Error> {
    // The tar has a header, and ends with empty blocks.
    Ok(fetch(engine, container, path, CAP + 64 * 1024).await?.and_then(only_file))
}

/// The one file of a tar.
fn only_file(tar: impl Read) -> Found {
    let broken = |error: std::io::Error| format!("cannot be read: {error}");
    let mut archive = tar::Archive::new(tar);
    let entry = archive.entries().map_err(broken)?.next().ok_or("cannot be read: the engine sent nothing")?;
    let entry = entry.map_err(broken)?;
    if !entry.header().entry_type().is_file() {
        return Err("is no file".to_owned());
    }
    let written = entry.header().mtime().map_err(broken)?;
    let mut bytes = Vec::new();
    entry.take(CAP).read_to_end(&mut bytes).map_err(broken)?;
    Ok((written, bytes))
}

/// The cases of the report that stands there now. What stood there before the program ran is none of its own.
pub fn read(before: &Found, now: Found) -> Result<Vec<Case>, String> {
    let now = now?;
    if before.as_ref().is_ok_and(|before| *before == now) {
        return Err("is not of this run".to_owned());
    }
    let text = std::str::from_utf8(&now.1).map_err(|_| "is not UTF-8 text".to_owned())?;
    cases(text)
}

/// Reads XML as `JUnit`, `PHPUnit` and their kin write it. Entities of its own are refused.
fn cases(text: &str) -> Result<Vec<Case>, String> {
    let options = ParsingOptions { nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options);
    let document = document.map_err(|error| format!("is no XML: {}", neutral_line(&error.to_string(), LINE)))?;
    let all = document.descendants().filter(|node| node.has_tag_name("testcase"));
    Ok(all.map(|node| case(&node)).collect())
}

fn case(node: &Node<'_, '_>) -> Case {
    let line = |text: &str| neutral_line(text.trim(), LINE);
    let name = line(node.attribute("name").unwrap_or_default());
    let suite = || node.parent().and_then(|suite| suite.attribute("name")).map(line);
    let class = ["classname", "class"].iter().find_map(|key| node.attribute(*key)).map(line).or_else(suite);
    let seconds = node.attribute("time").and_then(|time| time.parse().ok()).unwrap_or_default();
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let verdict = node.children().find_map(|child| {
        let result = match child.tag_name().name() {
            "failure" => CaseResult::Failed,
            "error" => CaseResult::Error,
            "skipped" => CaseResult::Skipped,
            _ => return None,
        };
        Some((result, child))
    });
    let (result, message, details) = match verdict {
        None => (CaseResult::Passed, String::new(), String::new()),
        Some((result, why)) => {
            let details = why.text().unwrap_or_default().trim();
            // PHPUnit writes no message; its first line is the name of the case once more.
            let first = || details.lines().find(|text| !text.contains(&name)).unwrap_or_default();
            let message = why.attribute("message").unwrap_or_else(first);
            (result, line(message), shorten(&neutral(details), DETAILS))
        }
    };
    Case {
        class: class.unwrap_or_default(),
        name,
        result,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or_default(),
        message,
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_phpunit_writes_is_read() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="Unit" tests="3" failures="1">
    <testsuite name="CartTest" file="/t/CartTest.php">
      <testcase name="testEmpty" class="CartTest" classname="Cart.Test" time="0.004215"/>
      <testcase name="testTotal" class="CartTest" time="1.5">
        <failure type="ExpectationFailedException">CartTest::testTotal
Failed asserting that 3 is 4 &lt;&gt;.

/t/CartTest.php:12
</failure>
      </testcase>
      <testcase name="testLater" time="soon"><skipped/></testcase>
    </testsuite>
  </testsuite>
</testsuites>"#;
        let cases = cases(text).unwrap();
        let told: Vec<_> = cases.iter().map(|case| (case.class.as_str(), case.name.as_str(), case.result)).collect();
        let expected = [
            ("Cart.Test", "testEmpty", CaseResult::Passed),
            ("CartTest", "testTotal", CaseResult::Failed),
            ("CartTest", "testLater", CaseResult::Skipped),
        ];
        assert_eq!(told, expected);
        assert_eq!(cases.iter().map(|case| case.duration_ms).collect::<Vec<_>>(), [4, 1500, 0]);
        assert_eq!(cases[1].message, "Failed asserting that 3 is 4 <>.");
        assert!(cases[1].details.ends_with("/t/CartTest.php:12"));
    }

    #[test]
    fn hostile_reports_are_refused_or_lose_their_power() {
        let bomb = "<!DOCTYPE t [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><t>&b;</t>";
        assert!(cases(bomb).unwrap_err().starts_with("is no XML: "));
        let file = "<!DOCTYPE t [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><testcase name='&a;'/>";
        assert!(cases(file).is_err());
        let many = format!("<t>{}</t>", "<testcase/>".repeat(NODES as usize));
        assert!(cases(&many).unwrap_err().contains("limit"), "{:?}", cases(&many).unwrap_err());
        let deep = format!("{}{}", "<t>".repeat(100_000), "</t>".repeat(100_000));
        assert_eq!(cases(&deep), Ok(Vec::new()));
        let shown = cases("<testcase name='a\u{202e}b&#10;c' time='-1'><error message='&#x9b;'/></testcase>").unwrap();
        assert_eq!((shown[0].name.as_str(), shown[0].message.as_str()), ("a\\u{202e}b c", "\\u{9b}"));
        assert!(cases("<testcase name='\u{1b}'/>").is_err(), "no character of XML");
    }

    #[test]
    fn a_report_of_an_earlier_run_does_not_count() {
        let found = |time, text: &str| Ok((time, text.as_bytes().to_vec()));
        let one = "<testcase name='a'/>";
        assert_eq!(read(&found(1, one), found(1, one)), Err("is not of this run".to_owned()));
        assert_eq!(read(&found(1, one), found(2, one)).unwrap().len(), 1);
        assert_eq!(read(&Err(String::new()), found(1, one)).unwrap().len(), 1);
        assert_eq!(read(&found(1, one), Err("is not there".to_owned())), Err("is not there".to_owned()));
    }

    #[test]
    fn only_a_file_is_a_report() {
        let tar = |kind: tar::EntryType| {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mtime(7);
            tar.append_link(&mut header, "report.xml", "/etc/passwd").unwrap();
            tar.into_inner().unwrap()
        };
        assert_eq!(only_file(tar(tar::EntryType::Regular).as_slice()), Ok((7, Vec::new())));
        assert_eq!(only_file(tar(tar::EntryType::Symlink).as_slice()), Err("is no file".to_owned()));
        assert!(only_file([].as_slice()).is_err());
    }
}
