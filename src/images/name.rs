//! What people type for an image: `php-apache:8.2` is a base image of the company's registry.

use super::catalogue::BASE;
use crate::reference::{ImageRef, ParseError, is_registry};

/// Whether a name is only whole with the company's registry before it.
pub fn is_short(text: &str) -> bool {
    !text.split_once('/').is_some_and(|(first, _)| is_registry(first))
}

/// The reference that a typed name means in a company whose registry is `company`.
///
/// `php-apache:8.2` is `<company>/base/php-apache:8.2`, `apps/shop:1` is `<company>/apps/shop:1`, a name that begins with
/// a registry is whole.
pub fn expand(text: &str, company: &str) -> Result<ImageRef, ParseError> {
    match (is_short(text), text.split('@').next().unwrap_or(text).contains('/')) {
        (false, _) => text.parse(),
        (true, true) => format!("{company}/{text}").parse(),
        (true, false) => format!("{company}/{BASE}{text}").parse(),
    }
}

/// What people call an image of the company: without the registry and, for a base image, without its folder.
pub fn shorten(image: &ImageRef, company: &str) -> String {
    let whole = image.to_string();
    let Some(rest) = whole.strip_prefix(company).and_then(|rest| rest.strip_prefix('/')) else { return whole };
    let base = rest.strip_prefix(BASE).filter(|name| !name.split('@').next().unwrap_or(name).contains('/'));
    base.unwrap_or(rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_of_the_company() {
        let company = "registry.acme.test";
        for (typed, whole) in [
            ("php-apache:8.2", "registry.acme.test/base/php-apache:8.2"),
            ("apps/shop:1", "registry.acme.test/apps/shop:1"),
            ("other.test/a/b:1", "other.test/a/b:1"),
            ("localhost:5000/b:1", "localhost:5000/b:1"),
        ] {
            assert_eq!(expand(typed, company).unwrap().to_string(), whole);
        }
        for bad in ["php-apache", "", "../x:1", "a b:1", "php@sha256:12"] {
            assert!(expand(bad, company).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_shortened_name_expands_again(text in "(base/)?[a-z]{1,5}(/[a-z]{1,3})?(:[a-z0-9]{1,4}|@sha256:[0-9a-f]{64})") {
            let company = "registry.acme.test";
            let image = expand(&text, company).unwrap();
            proptest::prop_assert_eq!(expand(&shorten(&image, company), company).unwrap(), image);
        }
    }
}
