//! What an image's labels say about it: OCI's predefined keys (image specification 1.1, annotations), and onramp's own
//! where OCI has none.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::reference::{Digest, ImageRef};
use crate::text::neutral_line;

/// The version of what is packaged.
pub const VERSION: &str = "org.opencontainers.image.version";
/// Where its source lies.
pub const SOURCE: &str = "org.opencontainers.image.source";
/// The commit that it was built from.
pub const REVISION: &str = "org.opencontainers.image.revision";
/// The reference of the image that it builds on.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The digest of the image that it builds on, when it was built.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Who looks after it: a person or a team.
pub const OWNER: &str = "dev.onramp.image.owner";
/// The day from which nobody mends it any more, `2028-06-30`.
pub const END_OF_LIFE: &str = "dev.onramp.image.end-of-life";
/// That it should not be used any more, and what to use instead.
pub const DEPRECATED: &str = "dev.onramp.image.deprecated";

/// The longest text that is taken from a label.
const LONGEST: usize = 200;

/// What the labels say. All texts are neutral.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The version of what is packaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who looks after it; the vendor where no owner is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// From this day nobody mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<Date>,
    /// Why it should not be used any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The image that it builds on, by tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<ImageRef>,
    /// What that tag meant when it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_digest: Option<Digest>,
}

impl About {
    /// Reads labels. What is no date, reference or digest says nothing.
    pub fn of(labels: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| {
            let text = labels.get(key).map(|text| neutral_line(text.trim(), LONGEST));
            text.filter(|text| !text.is_empty())
        };
        Self {
            version: text(VERSION),
            owner: text(OWNER).or_else(|| text("org.opencontainers.image.vendor")),
            end_of_life: labels.get(END_OF_LIFE).and_then(|text| text.trim().parse().ok()),
            // `true` and `yes` give no reason.
            deprecated: text(DEPRECATED).filter(|text| text != "false"),
            base: labels.get(BASE_NAME).and_then(|text| text.trim().parse::<ImageRef>().ok()),
            base_digest: labels.get(BASE_DIGEST).and_then(|text| text.trim().parse().ok()),
        }
    }

    /// What whoever builds on it must know, in a few words; none where all is well. Within 90 days of its end an image is
    /// said to be near it.
    pub fn warning(&self, today: Date) -> Option<String> {
        const NEAR: i32 = 90;
        let end = self.end_of_life.and_then(|end| match today.until(end).map(|span| span.get_days()) {
            Ok(days) if days <= 0 => Some(format!("end of life since {end}")),
            Ok(days) if days <= NEAR => Some(format!("end of life on {end}")),
            _ => None,
        });
        let deprecated = self.deprecated.as_deref().map(|why| match why {
            "true" | "yes" | "1" => "deprecated".to_owned(),
            why => format!("deprecated: {why}"),
        });
        deprecated.into_iter().chain(end).reduce(|one, other| format!("{one}; {other}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(labels: &[(&str, &str)]) -> About {
        About::of(&labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_no_date_or_reference_says_nothing() {
        let found = about(&[
            (VERSION, " 8.2.1 "),
            ("org.opencontainers.image.vendor", "Acme\u{1b}[2J"),
            (END_OF_LIFE, "soon"),
            (BASE_NAME, "debian"),
            (BASE_DIGEST, "sha256:12"),
            (DEPRECATED, "false"),
        ]);
        let owner = Some("Acme\\u{1b}[2J".to_owned());
        assert_eq!(found, About { version: Some("8.2.1".to_owned()), owner, ..About::default() });
    }

    #[test]
    fn an_end_is_told_before_it_comes() {
        let today = jiff::civil::date(2026, 11, 24);
        let warning = |labels: &[(&str, &str)]| about(labels).warning(today);
        assert_eq!(warning(&[(END_OF_LIFE, "2027-06-30")]), None);
        assert_eq!(warning(&[(END_OF_LIFE, "2027-02-22")]).as_deref(), Some("end of life on 2027-02-22"));
        assert_eq!(warning(&[(END_OF_LIFE, "2026-11-24")]).as_deref(), Some("end of life since 2026-11-24"));
        let both = warning(&[(END_OF_LIFE, "2020-01-01"), (DEPRECATED, "use php-apache:8.4")]);
        assert_eq!(both.as_deref(), Some("deprecated: use php-apache:8.4; end of life since 2020-01-01"));
        assert_eq!(warning(&[(DEPRECATED, "true")]).as_deref(), Some("deprecated"));
    }
}
