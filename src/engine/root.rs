//! Whether a container's programs can write to the files of its image.

use serde::Serialize;

use super::{ContainerSpec, Engine, Error, label};

/// Whether the files of a container's image can be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Root {
    /// They can.
    #[default]
    Writable,
    /// They cannot where the image says so.
    AsImage,
    /// Somebody said whether they cannot.
    ReadOnly(bool),
}

impl Root {
    /// What an image says is known by the image.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks it so")]
    pub(super) fn is_unsaid(&self) -> bool {
        !matches!(self, Self::ReadOnly(_))
    }
}

/// Where a container can write whose image's files cannot be written to. `/var/lock` of many images leads to the last.
pub const SCRATCH: [&str; 3] = ["/tmp", "/run", "/run/lock"];
/// How much a directory in memory holds, and who may write to it: whoever runs there.
pub const TMPFS: &str = "size=256m,mode=1777";

impl Engine {
    /// Whether a container that is to be made is one whose image's files cannot be written to.
    pub(super) async fn is_read_only(&self, spec: &ContainerSpec) -> Result<bool, Error> {
        Ok(match spec.root {
            Root::Writable => false,
            Root::ReadOnly(read_only) => read_only,
            Root::AsImage => {
                let labels = self.image(&spec.image).await?.map(|image| image.labels).unwrap_or_default();
                labels.get(label::READ_ONLY).is_some_and(|said| said == "true")
            }
        })
    }
}
