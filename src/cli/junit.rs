//! `JUnit`'s XML, as Jenkins and others read it. What was red and then green is told as Maven's Surefire tells it.

use crate::sandbox::run::{Attempt, Ending, Outcome};

/// The report file's text.
pub fn document(project: &str, outcomes: &[Outcome]) -> String {
    let count = |result| outcomes.iter().filter(|outcome| outcome.result == result).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    out.push_str(&format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
        escape(project),
        outcomes.len(),
        count(Ending::Failed),
        count(Ending::Skipped)
    ));
    for outcome in outcomes {
        out.push_str(&case(project, outcome));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// A test as a case of the project's suite.
fn case(project: &str, outcome: &Outcome) -> String {
    let (classname, time) = (escape(project), seconds(outcome.duration_ms()));
    let mut out = format!("    <testcase classname=\"{classname}\" name=\"{}\" time=\"{time}\">\n", outcome.test);
    let reason = escape(outcome.last.reason.as_deref().unwrap_or_default());
    match outcome.result {
        Ending::Passed => {}
        Ending::Flaky => out.extend(outcome.earlier.iter().map(|attempt| red(attempt, "flakyFailure"))),
        Ending::Failed => {
            out.push_str(&format!("      <failure message=\"{reason}\"/>\n"));
            out.extend(outcome.earlier.iter().map(|attempt| red(attempt, "rerunFailure")));
        }
        Ending::Skipped => out.push_str(&format!("      <skipped message=\"{reason}\"/>\n")),
    }
    if outcome.result != Ending::Skipped {
        out.push_str(&format!("      <system-out>{}</system-out>\n", escape(&outcome.last.output)));
    }
    out.push_str("    </testcase>\n");
    out
}

/// A red run before the last one.
fn red(attempt: &Attempt, element: &str) -> String {
    let kind = if attempt.exit_code.is_some() { "exit code" } else { "timeout" };
    format!(
        "      <{element} message=\"{}\" type=\"{kind}\">\n        <system-out>{}</system-out>\n      </{element}>\n",
        escape(attempt.reason.as_deref().unwrap_or_default()),
        escape(&attempt.output)
    )
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// XML 1.0 allows neither markup nor most control characters in text.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn attempt(exit_code: Option<i64>, output: &str) -> Attempt {
        let reason = match exit_code {
            Some(0) => None,
            Some(code) => Some(format!("exit code {code}")),
            None => Some("timed out after 1s".to_owned()),
        };
        Attempt { reason, exit_code, duration_ms: 1_234, output: output.to_owned() }
    }

    #[test]
    fn hostile_output_stays_text() {
        let unit: Name = "unit".parse().unwrap();
        let outcome = Outcome::ran(&unit, attempt(Some(1), "</system-out>\u{1b}[31m & \"x\"\n"), Vec::new());
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shop" tests="1" failures="1" skipped="0">
    <testcase classname="shop" name="unit" time="1.234">
      <failure message="exit code 1"/>
      <system-out>&lt;/system-out&gt;�[31m &amp; &quot;x&quot;
</system-out>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(document("shop", &[outcome]), expected);
    }

    #[test]
    fn every_run_of_a_test_is_told() {
        let name = |name: &str| name.parse::<Name>().unwrap();
        let earlier = || vec![attempt(None, "")];
        let outcomes = [
            Outcome::ran(&name("flaky"), attempt(Some(0), "now\n"), earlier()),
            Outcome::ran(&name("red"), attempt(Some(2), ""), earlier()),
            Outcome::skipped(&name("smoke"), &name("red")),
        ];
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shop" tests="3" failures="1" skipped="1">
    <testcase classname="shop" name="flaky" time="2.468">
      <flakyFailure message="timed out after 1s" type="timeout">
        <system-out></system-out>
      </flakyFailure>
      <system-out>now
</system-out>
    </testcase>
    <testcase classname="shop" name="red" time="2.468">
      <failure message="exit code 2"/>
      <rerunFailure message="timed out after 1s" type="timeout">
        <system-out></system-out>
      </rerunFailure>
      <system-out></system-out>
    </testcase>
    <testcase classname="shop" name="smoke" time="0.000">
      <skipped message="red did not pass"/>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(document("shop", &outcomes), expected);
    }
}
