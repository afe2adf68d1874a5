//! Edits of a declaration in onramp's own format, that touch the intended lines and no other byte.
//!
//! What stands in the file is located by `toml_edit`'s spans and spliced, so comments, order, quotes and line ends are
//! kept by construction; the result is parsed again and compared with what was meant.

use std::collections::BTreeMap;
use std::path::Path;

use super::environment;
use crate::document::{self, DocumentError};
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::ImageRef;

/// What happens to one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It is declared; it gets this image, by digest.
    Image(ImageRef),
    /// It is not declared; it is added as a whole, its image by digest.
    Add(Box<Service>),
}

/// The head of a declaration that onramp begins.
fn header(environment: &Name, app: &Name) -> String {
    format!(
        "# What `{environment}` runs of `{app}`. Images by digest; `onramp deploy {environment}` proposes changes.\nschema = 1\n"
    )
}

/// The text with these edits made; `path` is what errors call it. `text` is none where the environment does not declare the app yet.
///
/// Fails where the text is no valid declaration, or where its shape leaves no place for the edit.
pub(super) fn apply(
    path: &Path,
    text: Option<&str>,
    environment: &Name,
    app: &Name,
    edits: &BTreeMap<Name, Edit>,
) -> Result<String, DocumentError> {
    let mut text = text.map_or_else(|| header(environment, app), str::to_owned);
    let mut meant = environment::check(path, &text)?;
    for (name, edit) in edits {
        let impossible = |message: &str| {
            document::wrong_at(path, &text, "services", format!("services.{name}: {message}; edit the file by hand"))
        };
        match edit {
            Edit::Image(image) => {
                let place = image_value(&text, name).ok_or_else(|| impossible("its image cannot be located"))?;
                // A string written between single quotes stays so.
                let quote = if text[place.clone()].starts_with('\'') { '\'' } else { '"' };
                text.replace_range(place, &format!("{quote}{image}{quote}"));
                meant.entry(name.clone()).or_default().image = Some(image.clone());
            }
            Edit::Add(service) => {
                append(&mut text, name, service);
                meant.insert(name.clone(), (**service).clone());
            }
        }
    }
    match environment::check(path, &text) {
        Ok(result) if result == meant => Ok(text),
        // `services = { … }` leaves no place for `[services.db]`.
        Ok(_) | Err(_) => {
            Err(document::wrong_at(path, &text, "services", "write the services as [services.<name>] tables"))
        }
    }
}

/// Where the value of `services.<name>.image` stands, quotes included.
fn image_value(text: &str, name: &Name) -> Option<std::ops::Range<usize>> {
    let document = toml_edit::Document::parse(text).ok()?;
    let services = document.as_table().get("services")?.as_table_like()?;
    services.get(name.as_str())?.as_table_like()?.get("image")?.as_value()?.span()
}

fn append(text: &mut String, name: &Name, service: &Service) {
    let crlf = text.contains("\r\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(if crlf { "\r\n" } else { "\n" });
    }
    let block = format!("\n[services.{name}]\n{}", keys(service));
    text.push_str(&if crlf { block.replace('\n', "\r\n") } else { block });
}

/// A service's keys, one a line, tables within it inline.
fn keys(service: &Service) -> String {
    let mut document = toml_edit::ser::to_document(service).expect("a service is plain data");
    for (_, item) in document.iter_mut() {
        if let Ok(value) = std::mem::take(item).into_value() {
            *item = toml_edit::Item::Value(value);
        }
    }
    document.as_table_mut().fmt();
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Digest;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn image(seed: &str) -> ImageRef {
        format!("r.test/apps/shop@{}", Digest::of(seed.as_bytes())).parse().unwrap()
    }

    fn run(text: Option<&str>, edits: &[(&str, Edit)]) -> Result<String, DocumentError> {
        let edits = edits.iter().map(|(service, edit)| (name(service), edit.clone())).collect();
        apply(Path::new("environments/test/shop.toml"), text, &name("test"), &name("shop"), &edits)
    }

    #[test]
    fn a_new_image_is_a_one_line_diff() {
        let old = format!(
            "# ours\nschema = 1 # one\n\n[services.web]   # the page\nimage   = '{}' # pinned\nport = 80\n\n[services.db]\nimage = \"{}\"\n# end",
            image("a"),
            image("b")
        );
        let new = run(Some(&old), &[("web", Edit::Image(image("c")))]).unwrap();
        assert_eq!(new, old.replace(&image("a").to_string(), &image("c").to_string()));
        let changed = old.lines().zip(new.lines()).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 1);
    }

    #[test]
    fn missing_services_are_added_below() {
        let service = Service {
            image: Some(image("a")),
            port: Some(80),
            needs: vec!["db".parse().unwrap(), "auth/api".parse().unwrap()],
            env: [("DB_HOST".to_owned(), crate::project::service::EnvValue::Plain("db".into()))].into(),
            ready: Some(crate::project::service::Ready { http: "/health".into() }),
            ..Service::default()
        };
        let text = run(None, &[("web", Edit::Add(Box::new(service)))]).unwrap();
        insta::assert_snapshot!(text.replace(image("a").digest().unwrap().as_str(), "sha256:…"), @r#"
        # What `test` runs of `shop`. Images by digest; `onramp deploy test` proposes changes.
        schema = 1

        [services.web]
        image = "r.test/apps/shop@sha256:…"
        port = 80
        needs = ["db", "auth/api"]
        env = { DB_HOST = "db" }
        ready = { http = "/health" }
        "#);
    }

    #[test]
    fn line_ends_are_kept_and_impossible_shapes_refused() {
        let add = || Edit::Add(Box::new(Service { image: Some(image("d")), ..Service::default() }));
        let windows = format!("schema = 1\r\n[services.web]\r\nimage = \"{}\"\r\n", image("a"));
        let new = run(Some(&windows), &[("db", add()), ("web", Edit::Image(image("b")))]).unwrap();
        assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        let inline = format!("schema = 1\nservices = {{ web = {{ image = \"{}\" }} }}\n", image("a"));
        assert!(run(Some(&inline), &[("web", Edit::Image(image("b")))]).is_ok());
        let refused = run(Some(&inline), &[("db", add())]).unwrap_err();
        assert!(refused.to_string().ends_with("write the services as [services.<name>] tables"), "{refused}");
        assert!(run(Some("schema = 1\n"), &[("web", Edit::Image(image("b")))]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_other_byte_stays(
            comment in "[ -~]{0,30}", blank in "( |\t){0,3}", lines in "(\n|# x\n){0,3}", ports in proptest::collection::vec(1_u16..9999, 1..5),
            which in 0_usize..5,
        ) {
            let which = which % ports.len();
            let mut text = format!("#{comment}\nschema{blank}={blank}1\n{lines}");
            for (i, port) in ports.iter().enumerate() {
                let block = format!("[services.s{i}]{blank}#{comment}\nport{blank}= {port}\n{lines}image ={blank}\"{}\"{blank}#{comment}\n", image(&i.to_string()));
                text.push_str(&block);
            }
            let service = format!("s{which}");
            let new = run(Some(&text), &[(service.as_str(), Edit::Image(image("new")))]).unwrap();
            let expected = text.replace(&image(&which.to_string()).to_string(), &image("new").to_string());
            proptest::prop_assert_eq!(new, expected);
        }
    }
}
