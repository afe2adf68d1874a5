//! DORA's four figures as one page of HTML: plots are SVG within it, nothing is loaded, nothing runs. Pure.

use std::fmt::Write;

use super::metrics::{Metrics, Spread};
use crate::text::lasting;

/// A plot's size, in units of its own.
const WIDTH: usize = 720;
const HEIGHT: usize = 180;
/// The room for what stands beside a plot.
const LEFT: usize = 60;
const BELOW: usize = 24;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1f;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem}\
dl div{border:1px solid #ccc;border-radius:.5rem;padding:.75rem 1rem}dt{color:#555;font-size:.9rem}dd{margin:0;font-size:1.5rem}\
dd small{display:block;font-size:.85rem;color:#555}svg{width:100%;height:auto}text{font-size:11px;fill:#555}.grid{stroke:#ddd}\
.ok{fill:#2f6f9f}.failed{fill:#b3401f}\
@media(prefers-color-scheme:dark){body{color:#e4e4e8;background:#17171a}dt,dd small,text{color:#aaa;fill:#aaa}dl div{border-color:#444}.grid{stroke:#333}}";

/// The whole page.
pub fn render(metrics: &Metrics) -> String {
    let of = metrics.app.as_ref().map_or_else(|| "all apps".to_owned(), ToString::to_string);
    let title = escape(&format!("{of} in {}", metrics.environment));
    let day = |at: jiff::Timestamp| at.strftime("%F").to_string();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Deliveries: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Deliveries: {title}</h1>\n<p>{} to {} (UTC)</p>\n",
        day(metrics.since),
        day(metrics.until)
    );
    let frequency = &metrics.deployment_frequency;
    let failures = &metrics.change_failure_rate;
    page.push_str("<dl>\n");
    for (name, value, more) in [
        ("Deployment frequency", format!("{} a week", frequency.per_week), format!("{} in all", frequency.count)),
        ("Lead time for changes", middle(&metrics.lead_time), most(&metrics.lead_time)),
        (
            "Change failure rate",
            failures.rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0)),
            format!("{} failed", failures.failed),
        ),
        ("Time to restore", middle(&metrics.time_to_restore), most(&metrics.time_to_restore)),
    ] {
        let (value, more) = (escape(&value), escape(&more));
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>");
    }
    page.push_str("</dl>\n<h2>Deployments by week</h2>\n");
    page.push_str(&bars(metrics));
    page.push_str("<h2>Lead time of each deployment</h2>\n");
    page.push_str(&dots(metrics));
    page.push_str("<p>What each figure counts is in the documentation of <code>onramp release metrics</code>.</p>\n</body>\n</html>\n");
    page
}

fn middle(spread: &Spread) -> String {
    spread.median.map_or_else(|| "-".to_owned(), lasting)
}

fn most(spread: &Spread) -> String {
    match spread.p90 {
        Some(p90) => format!("median of {}; nine of ten within {}", spread.known, lasting(p90)),
        None => "nothing is known".to_owned(),
    }
}

/// Deployments by week, those that failed below the others.
fn bars(metrics: &Metrics) -> String {
    let most = metrics.weeks.iter().map(|week| week.deployments).max().unwrap_or(0).max(1);
    let mut plot = begin("Deployments by week, and how many of them failed");
    grid(&mut plot, &most.to_string());
    let step = (WIDTH - LEFT) * 100 / metrics.weeks.len().max(1);
    for (number, week) in metrics.weeks.iter().enumerate() {
        let (x, width) = (LEFT * 100 + number * step, (step * 4 / 5).max(100));
        let tall = |count: usize| count * HEIGHT * 100 / most;
        let (all, failed) = (tall(week.deployments), tall(week.failed));
        let from = week.from.strftime("%F");
        let _ = writeln!(
            plot,
            "<g><title>{from}: {} deployed, {} failed</title>{}{}</g>",
            week.deployments,
            week.failed,
            bar("ok", x, HEIGHT * 100 - all, width, all - failed),
            bar("failed", x, HEIGHT * 100 - failed, width, failed)
        );
    }
    end(plot, metrics)
}

fn bar(class: &str, x: usize, y: usize, width: usize, height: usize) -> String {
    let [x, y, width, height] = [x, y, width, height].map(hundredths);
    format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>")
}

/// How long each deployment took from its commit, over time.
fn dots(metrics: &Metrics) -> String {
    let longest = metrics.deployments.iter().filter_map(|deployment| deployment.lead).max().unwrap_or(0).max(1);
    let length = metrics.until.duration_since(metrics.since).as_secs().max(1);
    let mut plot = begin("Lead time of each deployment");
    grid(&mut plot, &escape(&lasting(longest)));
    let share = |part: i64, of: i64, room: usize| -> usize {
        let room = i128::try_from(room * 100).unwrap_or_default();
        usize::try_from(i128::from(part.max(0)) * room / i128::from(of)).unwrap_or_default()
    };
    for deployment in &metrics.deployments {
        let Some(lead) = deployment.lead else { continue };
        let x = LEFT * 100 + share(deployment.at.duration_since(metrics.since).as_secs(), length, WIDTH - LEFT);
        let y = HEIGHT * 100 - share(lead, longest, HEIGHT).min(HEIGHT * 100);
        let class = if deployment.restored_after.is_some() { "failed" } else { "ok" };
        let _ = writeln!(
            plot,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"3.5\"><title>{} {}: {}</title></circle>",
            hundredths(x),
            hundredths(y),
            escape(deployment.app.as_str()),
            deployment.at.strftime("%F %R"),
            escape(&lasting(lead))
        );
    }
    end(plot, metrics)
}

fn begin(label: &str) -> String {
    let height = HEIGHT + BELOW;
    format!("<svg viewBox=\"0 -8 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n")
}

/// The lines at nothing, half and all.
fn grid(plot: &mut String, top: &str) {
    for (y, label) in [(0, top), (HEIGHT / 2, ""), (HEIGHT, "0")] {
        let _ = writeln!(
            plot,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6,
            y + 4
        );
    }
}

fn end(mut plot: String, metrics: &Metrics) -> String {
    let y = HEIGHT + 14;
    let (since, until) = (metrics.since.strftime("%F"), metrics.until.strftime("%F"));
    let _ = writeln!(
        plot,
        "<text x=\"{LEFT}\" y=\"{y}\">{since}</text><text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{until}</text>\n</svg>"
    );
    plot
}

/// Hundredths as a number with a point.
fn hundredths(value: usize) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if crate::text::is_unsafe(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::metrics;

    #[test]
    fn a_page_is_whole_and_runs_nothing() {
        let at = |text: &str| text.parse().unwrap();
        let environment = "production".parse().unwrap();
        let none = metrics::of(&environment, None, &[], at("2026-11-01T00:00:00Z"), at("2026-11-29T00:00:00Z"));
        let mut some = none.clone();
        some.deployments.push(metrics::Deployment {
            app: "shop".parse().unwrap(),
            at: at("2026-11-15T00:00:00Z"),
            lead: Some(7200),
            restored_after: Some(60),
        });
        some.weeks[2].deployments = 1;
        some.weeks[2].failed = 1;
        for page in [render(&none), render(&some)] {
            // Every element is closed, so it can be read as XML, but for what HTML leaves open.
            let xml = page.replace("<!doctype html>\n", "");
            let xml: String = xml
                .lines()
                .map(|line| if line.starts_with("<meta") { line.replace("\">", "\"/>") } else { line.to_owned() })
                .collect();
            let document = roxmltree::Document::parse(&xml).unwrap();
            for node in document.descendants().filter(roxmltree::Node::is_element) {
                let name = node.tag_name().name();
                assert!(!["script", "img", "link", "iframe", "a"].contains(&name), "{name}");
                assert!(
                    node.attributes().all(|a| !a.name().starts_with("on") && a.name() != "href" && a.name() != "src")
                );
            }
        }
        let page = render(&some);
        assert!(page.contains("<circle class=\"failed\" cx=\"390.00\" cy=\"0.00\""), "{page}");
        assert!(page.contains("2026-11-15: 1 deployed, 1 failed"), "{page}");
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_is_only_text(text in "\\PC{0,40}|[<>&\"']{0,10}") {
            let escaped = escape(&text);
            let safe = !escaped.contains(['<', '>', '"', '\'']);
            proptest::prop_assert!(safe);
        }
    }
}
