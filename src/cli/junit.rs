//! `JUnit`'s XML, as Jenkins and others read it. What was red and then green is told as Maven's Surefire tells it.

use crate::sandbox::run::{Attempt, CaseResult, Ending, Outcome};

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
    out.push_str("  </testsuite>\n");
    out.extend(outcomes.iter().filter(|outcome| !outcome.last.cases.is_empty()).map(|outcome| suite(project, outcome)));
    out.push_str("</testsuites>\n");
    out
}

/// The cases of a test's own report as a suite.
fn suite(project: &str, outcome: &Outcome) -> String {
    let cases = &outcome.last.cases;
    let count = |result| cases.iter().filter(|case| case.result == result).count();
    let mut out = format!(
        "  <testsuite name=\"{}.{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
        escape(project),
        outcome.test,
        cases.len(),
        count(CaseResult::Failed),
        count(CaseResult::Error),
        count(CaseResult::Skipped)
    );
    for case in cases {
        let (class, name, time) = (escape(&case.class), escape(&case.name), seconds(case.duration_ms));
        out.push_str(&format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\">\n"));
        let element = match case.result {
            CaseResult::Passed => None,
            CaseResult::Failed => Some("failure"),
            CaseResult::Error => Some("error"),
            CaseResult::Skipped => Some("skipped"),
        };
        if let Some(element) = element {
            let (message, details) = (escape(&case.message), escape(&case.details));
            out.push_str(&format!("      <{element} message=\"{message}\">{details}</{element}>\n"));
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n");
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
    use crate::sandbox::run::Case;

    fn attempt(exit_code: Option<i64>, output: &str) -> Attempt {
        let reason = match exit_code {
            Some(0) => None,
            Some(code) => Some(format!("exit code {code}")),
            None => Some("timed out after 1s".to_owned()),
        };
        Attempt { reason, exit_code, duration_ms: 1_234, output: output.to_owned(), cases: Vec::new() }
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
    fn the_cases_of_a_tests_own_report_are_its_suite() {
        let case = |name: &str, result, message: &str| Case {
            class: "CartTest".to_owned(),
            name: name.to_owned(),
            result,
            duration_ms: 5,
            message: message.to_owned(),
            details: format!("{message} <at> 12"),
        };
        let mut red = attempt(Some(1), "");
        red.cases = vec![case("a", CaseResult::Passed, ""), case("b", CaseResult::Error, "3 is \"4\"")];
        let document = document("shop", &[Outcome::ran(&"unit".parse().unwrap(), red, Vec::new())]);
        let expected = r#"  <testsuite name="shop.unit" tests="2" failures="0" errors="1" skipped="0">
    <testcase classname="CartTest" name="a" time="0.005">
    </testcase>
    <testcase classname="CartTest" name="b" time="0.005">
      <error message="3 is &quot;4&quot;">3 is &quot;4&quot; &lt;at&gt; 12</error>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert!(document.ends_with(expected), "{document}");
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
