//! Where declarations stand: a path with `{environment}` and `{app}` in it, read both ways.

use std::fmt;

use crate::name::{Name, NotAName};
use crate::text::neutral_line;
use crate::tree::TreePath;

/// A path from the root of the state repository, with both names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Environment,
    App,
}

/// What a path says where it fits: the texts in the places of the two names.
#[derive(Clone, Copy, Default)]
struct Said<'p> {
    environment: Option<&'p str>,
    app: Option<&'p str>,
}

impl Template {
    /// Reads a path with places for names; why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let shown = neutral_line(text, 80);
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, after) = rest.split_once('{').map_or((rest, None), |(before, after)| (before, Some(after)));
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some(after) = after else { break };
            let (name, after) = after.split_once('}').ok_or(format!("`{shown}` opens a brace and closes none"))?;
            parts.push(match name {
                "environment" => Part::Environment,
                "app" => Part::App,
                _ => return Err(format!("`{shown}` has a place for neither {{environment}} nor {{app}}")),
            });
            rest = after;
        }
        let template = Self { text: text.to_owned(), parts };
        for (part, name) in [(Part::Environment, "{environment}"), (Part::App, "{app}")] {
            if !template.parts.contains(&part) {
                return Err(format!("`{shown}` does not hold {name}, so several would have one file"));
            }
        }
        // Names hold letters, digits and dashes, so that without another sign between them nobody can tell them apart.
        let names = template.parts.split(|part| matches!(part, Part::Literal(text) if text.contains(not_of_a_name)));
        if names.into_iter().any(|run| run.iter().filter(|part| !matches!(part, Part::Literal(_))).count() > 1) {
            return Err(format!("`{shown}` does not tell where {{environment}} ends and {{app}} begins"));
        }
        let sample = template.fill("environment", "app");
        let path = sample.parse::<TreePath>().and_then(|path| path.check());
        path.map_err(|why| format!("`{shown}`: {why}"))?;
        if sample == super::super::RULES {
            return Err(format!("`{shown}` is where the environments themselves are named"));
        }
        Ok(template)
    }

    fn fill(&self, environment: &str, app: &str) -> String {
        let text = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Environment => environment.to_owned(),
            Part::App => app.to_owned(),
        };
        self.parts.iter().map(text).collect()
    }

    /// Where an environment declares an app.
    pub fn path(&self, environment: &Name, app: &Name) -> String {
        self.fill(environment.as_str(), app.as_str())
    }

    /// The directory that holds all declarations; empty where that is the repository.
    pub fn root(&self) -> &str {
        let Some(Part::Literal(first)) = self.parts.first() else { return "" };
        first.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// The directory that holds all declarations of an environment; empty where that is the repository.
    pub fn directory(&self, environment: &Name) -> String {
        let known = self.parts.iter().take_while(|part| **part != Part::App);
        let known = Self { text: String::new(), parts: known.cloned().collect() }.fill(environment.as_str(), "");
        known.rsplit_once('/').map_or_else(String::new, |(directory, _)| directory.to_owned())
    }

    /// The environment and the app that a file declares; none where it is no declaration. An error where it is one, of what can
    /// have no such name.
    pub fn place(&self, path: &str) -> Option<Result<(Name, Name), NotAName>> {
        let mut found = Vec::new();
        fits(&self.parts, path, Said::default(), &mut found);
        let named = |said: &Said<'_>| -> Result<(Name, Name), NotAName> {
            Ok((said.environment.unwrap_or_default().parse()?, said.app.unwrap_or_default().parse()?))
        };
        let mut named: Vec<_> = found.iter().map(named).collect();
        let best = named.iter().position(Result::is_ok).unwrap_or(0);
        (!named.is_empty()).then(|| named.swap_remove(best))
    }
}

/// Whether a sign is in no name.
fn not_of_a_name(sign: char) -> bool {
    !(sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-')
}

/// Every way in which a path fits the parts.
fn fits<'p>(parts: &[Part], path: &'p str, said: Said<'p>, found: &mut Vec<Said<'p>>) {
    let Some((part, rest)) = parts.split_first() else {
        if path.is_empty() {
            found.push(said);
        }
        return;
    };
    if let Part::Literal(text) = part {
        if let Some(after) = path.strip_prefix(text.as_str()) {
            fits(rest, after, said, found);
        }
        return;
    }
    let before = if *part == Part::Environment { said.environment } else { said.app };
    if let Some(before) = before {
        if let Some(after) = path.strip_prefix(before) {
            fits(rest, after, said, found);
        }
        return;
    }
    let end = path.find('/').unwrap_or(path.len());
    // A path that git holds has no longer name.
    for (at, sign) in path[..end].char_indices().take(255) {
        let (name, after) = path.split_at(at + sign.len_utf8());
        let said = match part {
            Part::Environment => Said { environment: Some(name), ..said },
            _ => Said { app: Some(name), ..said },
        };
        fits(rest, after, said, found);
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_read_both_ways() {
        let cases = [
            (
                "environments/{environment}/{app}.toml",
                "environments/test-eu/shop.toml",
                "environments",
                "environments/test-eu",
            ),
            (
                "overlays/{environment}/{app}/kustomization.yaml",
                "overlays/test-eu/shop/kustomization.yaml",
                "overlays",
                "overlays/test-eu",
            ),
            ("{app}/values-{environment}.yaml", "shop/values-test-eu.yaml", "", ""),
            ("{app}/{environment}/{app}.yaml", "shop/test-eu/shop.yaml", "", ""),
            ("all/{environment}.{app}.yaml", "all/test-eu.shop.yaml", "all", "all"),
        ];
        for (template, path, root, directory) in cases {
            let template = Template::parse(template).unwrap();
            let (environment, app) = (name("test-eu"), name("shop"));
            assert_eq!(template.path(&environment, &app), path);
            assert_eq!((template.root(), template.directory(&environment).as_str()), (root, directory), "{template}");
            assert_eq!(template.place(path), Some(Ok((environment, app))), "{template}");
            assert_eq!(template.place(&format!("{path}.orig")), None);
        }
        let twice = Template::parse("{app}/{environment}/{app}.yaml").unwrap();
        assert_eq!(twice.place("shop/test/auth.yaml"), None, "one app has one name");
        let state = Template::parse("environments/{environment}/{app}.toml").unwrap();
        assert!(state.place("environments/test/Shop.toml").unwrap().is_err());
        assert_eq!(state.place("environments/test/deep/shop.toml"), None);
    }

    #[test]
    fn what_leads_out_or_tells_nothing_apart_is_no_path() {
        for (template, why) in [
            ("{environment}.yaml", "does not hold {app}"),
            ("{app}.yaml", "does not hold {environment}"),
            ("{environment}-{app}.yaml", "does not tell where"),
            ("{environment}{app}", "does not tell where"),
            ("../{environment}/{app}.yaml", "leads out"),
            ("/{environment}/{app}.yaml", "leads out"),
            ("a//{environment}/{app}.yaml", "leads out"),
            (".git/{environment}/{app}.yaml", "git's own"),
            ("{environment}/{app}/{service}.yaml", "neither"),
            ("{environment}/{app", "closes none"),
            ("{environment}/\n{app}", "control"),
        ] {
            let message = Template::parse(template).unwrap_err();
            assert!(message.contains(why), "{template:?}: {message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(template in "[a{}p/.-]{0,10}(\\{environment\\}|\\{app\\}|/){0,4}", path in "[a-z/.-]{0,30}") {
            if let Ok(template) = Template::parse(&template) {
                let _ = template.place(&path);
            }
        }
    }
}
