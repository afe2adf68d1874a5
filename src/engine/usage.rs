//! How much room things take on the engine's disk. The engine measures that file by file, so it is asked only when somebody wants to
//! know.
//!
//! Source: `GET /system/df`, Docker Engine API 1.40 to 1.51. What bollard reads is its shape of 1.52, in which older engines say
//! nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Engine, Error, Way, dial};

/// The last version whose answer has the shape below.
const LAST: (usize, usize) = (1, 51);

/// The room that things take, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Volumes, by name: those that are directories of their own, and not laid over others.
    pub volumes: BTreeMap<String, u64>,
    /// Images, by id.
    pub images: BTreeMap<String, ImageUsage>,
}

/// The room that an image takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageUsage {
    /// Of layers that no other image has.
    pub own: u64,
    /// Of layers that others have, too.
    pub shared: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    images: Option<Vec<RawImage>>,
    volumes: Option<Vec<RawVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawImage {
    id: String,
    size: i64,
    shared_size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawVolume {
    name: String,
    usage_data: Option<RawUsage>,
}

/// What was not measured is -1.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawUsage {
    size: i64,
}

impl Engine {
    /// Measures what there is.
    pub async fn usage(&self) -> Result<Usage, Error> {
        const VERB: &str = "tell how much room things take";
        let version = self.docker.client_version();
        let (major, minor) = (version.major_version, version.minor_version).min(LAST);
        let (path, host) = (format!("/v{major}.{minor}/system/df"), self.host());
        let asked = match self.address.way() {
            Way::Socket | Way::Plain => dial::get(dial::Near::new(host), &path).await,
            Way::Tls(to) => dial::get(dial::Tls::new(host, to)?, &path).await,
            Way::Ssh(to) => dial::get(dial::Ssh::new(host, to), &path).await,
        };
        let bytes = asked.map_err(|error| Self::failed(VERB, error))?;
        let answer: Result<Answer, _> = serde_json::from_slice(&bytes);
        Ok(answer.map_err(|error| Error::Broken { verb: VERB.to_owned(), detail: error.to_string() })?.into())
    }
}

impl From<Answer> for Usage {
    fn from(answer: Answer) -> Self {
        let measured = |size: i64| u64::try_from(size).ok();
        let image = |raw: RawImage| {
            let shared = measured(raw.shared_size).unwrap_or_default();
            let own = measured(raw.size).unwrap_or_default().saturating_sub(shared);
            (raw.id, ImageUsage { own, shared })
        };
        let volume = |raw: RawVolume| Some((raw.name, measured(raw.usage_data?.size)?));
        Self {
            images: answer.images.into_iter().flatten().map(image).collect(),
            volumes: answer.volumes.into_iter().flatten().filter_map(volume).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_takes_nothing() {
        let answer = r#"{"LayersSize":9,"Images":[{"Id":"sha256:1","Size":7,"SharedSize":3,"Containers":0},
            {"Id":"sha256:2","Size":7,"SharedSize":-1}],"Containers":null,
            "Volumes":[{"Name":"a","UsageData":{"RefCount":1,"Size":5}},{"Name":"b","UsageData":{"RefCount":0,"Size":-1}},
            {"Name":"c"}]}"#;
        let usage: Usage = serde_json::from_str::<Answer>(answer).unwrap().into();
        assert_eq!(usage.volumes, [("a".to_owned(), 5)].into());
        assert_eq!(usage.images["sha256:1"], ImageUsage { own: 4, shared: 3 });
        assert_eq!(usage.images["sha256:2"], ImageUsage { own: 7, shared: 0 });
    }
}
