//! `JUnit`'s XML, as Jenkins and others read it.

use crate::sandbox::run::Outcome;

/// The report file's text.
pub fn document(project: &str, outcomes: &[Outcome]) -> String {
    let failures = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str(&format!(
        "<testsuites>\n  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">\n",
        escape(project),
        outcomes.len()
    ));
    for outcome in outcomes {
        out.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{}.{:03}\">\n",
            escape(project),
            outcome.test,
            outcome.duration_ms / 1000,
            outcome.duration_ms % 1000
        ));
        if !outcome.passed {
            out.push_str(&format!("      <failure message=\"exit code {}\"/>\n", outcome.exit_code));
        }
        out.push_str(&format!("      <system-out>{}</system-out>\n    </testcase>\n", escape(&outcome.output)));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
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

    #[test]
    fn hostile_output_stays_text() {
        let outcome = Outcome {
            test: "unit".parse().unwrap(),
            passed: false,
            exit_code: 1,
            duration_ms: 1_234,
            output: "</system-out>\u{1b}[31m & \"x\"\n".into(),
        };
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shop" tests="1" failures="1">
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
}
