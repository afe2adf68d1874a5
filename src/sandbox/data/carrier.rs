//! A container that never runs: through it files are read from volumes and put into them, whoever and wherever the engine is.

use std::io::Read;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{Stream, StreamExt};

use super::Maker;
use crate::engine::{ContainerSpec, Engine, Error, Held, Mount, Source, label};
use crate::sandbox::SandboxId;
use crate::sandbox::plan::sandbox_labels;

/// Owner, group and mode of a directory, `999:999:755`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(String);

/// The container.
pub struct Carrier<'a> {
    engine: &'a Engine,
    id: String,
}

/// Where a carrier has its volume.
const DATA: &str = "/onramp/data";

impl<'a> Carrier<'a> {
    /// Makes one for a volume. As a container of the sandbox that is none of its services it goes with the next `up` or
    /// `down` where it was left behind.
    pub async fn make(maker: &Maker<'a>, volume: &str) -> Result<Self, Error> {
        Self::called(maker, &maker.id.carrier(volume), volume).await
    }

    /// Makes one under this name: a volume may have several.
    pub async fn called(maker: &Maker<'a>, name: &str, volume: &str) -> Result<Self, Error> {
        let spec = ContainerSpec {
            name: name.to_owned(),
            image: maker.image.to_owned(),
            // An image without a program of its own would be refused.
            command: Some(vec!["onramp".to_owned()]),
            labels: sandbox_labels(maker.id).collect(),
            network: "none".to_owned(),
            mounts: vec![Mount { target: DATA.to_owned(), source: Source::Volume(volume.to_owned()) }],
            ..ContainerSpec::default()
        };
        // One of this name was left behind.
        maker.engine.remove_container(&spec.name).await?;
        let id = maker.engine.create_container(&spec).await?;
        Ok(Self { engine: maker.engine, id })
    }

    /// Takes away what killed onramps left of this sandbox, whose turn is held: while they are there, so is what they carry.
    pub async fn sweep(engine: &Engine, id: &SandboxId) -> Result<(), Error> {
        let containers = engine.containers(&[(label::SANDBOX, id.as_str())]).await?;
        // What has no service in it only carries data.
        let left = containers.iter().filter(|container| !container.labels.contains_key(label::SERVICE));
        try_join_all(left.map(|container| engine.remove_container(&container.name))).await.map(drop)
    }

    /// Who owns the root of the volume. Fails where the engine cannot mount it.
    pub async fn root(&self) -> Result<Root, Error> {
        let mut stream = std::pin::pin!(self.read());
        let mut head = Vec::new();
        while head.len() < 512 {
            let Some(chunk) = stream.next().await else { break };
            head.extend_from_slice(&chunk?);
        }
        Root::of_header(&head).ok_or_else(|| Error::Broken {
            verb: "read the data's directory".to_owned(),
            detail: "it sent no directory".to_owned(),
        })
    }

    /// Makes the two directories that an upper layer has.
    pub async fn make_upper(&self, root: &Root) -> Result<(), Error> {
        self.engine.put_files(&self.id, DATA, root.upper()).await
    }

    /// Copies all that is in this one's volume into another one's.
    pub async fn copy_into(&self, other: &Self) -> Result<(), Error> {
        let parent = DATA.trim_end_matches("/data");
        self.engine.copy_between((&self.id, DATA), (&other.id, parent)).await
    }

    /// All that is in the volume, as a tar whose first entry is the directory that it is mounted at.
    pub fn read(&self) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
        self.engine.files(&self.id, DATA)
    }

    /// Fills the volume with a tar that begins as one of [`Carrier::read`] does.
    pub async fn fill(&self, tar: impl Read + Send + 'static) -> Result<(), Error> {
        self.engine.put_tar(&self.id, DATA.trim_end_matches("/data"), tar).await
    }

    /// Puts files into it: an uncompressed tar.
    pub async fn put(&self, tar: Vec<u8>) -> Result<(), Error> {
        self.engine.put_files(&self.id, DATA, tar).await
    }

    /// Whether there is something in it at this path.
    pub async fn has(&self, path: &str) -> Result<bool, Error> {
        self.engine.has_file(&self.id, &format!("{DATA}/{path}")).await
    }

    /// Keeps its volume mounted until that is ended.
    pub fn keep(&self) -> Held {
        self.engine.hold(&self.id, DATA)
    }

    /// Takes it away.
    pub async fn end(self) -> Result<(), Error> {
        self.engine.remove_container(&self.id).await
    }
}

impl Root {
    /// Reads the first header of a tar.
    fn of_header(bytes: &[u8]) -> Option<Self> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(bytes.get(..512)?);
        header.entry_type().is_dir().then_some(())?;
        let mode = header.mode().ok()? & 0o7777;
        Some(Self(format!("{}:{}:{mode:o}", header.uid().ok()?, header.gid().ok()?)))
    }

    /// As it is written on a volume.
    pub fn of_label(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// To be written on a volume.
    pub fn label(&self) -> String {
        self.0.clone()
    }

    fn parts(&self) -> Option<(u64, u64, u32)> {
        let mut parts = self.0.splitn(3, ':');
        let mut next = || parts.next();
        Some((next()?.parse().ok()?, next()?.parse().ok()?, u32::from_str_radix(next()?, 8).ok()?))
    }

    /// A tar with the directories of an upper layer. The kernel gives what is mounted the owner and mode of `upper`.
    fn upper(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, (uid, gid, mode)) in [("upper", self.parts().unwrap_or((0, 0, 0o755))), ("work", (0, 0, 0o755))] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            header.set_uid(uid);
            header.set_gid(gid);
            header.set_mode(mode);
            tar.append_data(&mut header, name, std::io::empty()).expect("it is written to memory");
        }
        tar.into_inner().expect("it is written to memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_what_the_first_header_says() {
        let root = Root::of_label("999:998:1770");
        assert_eq!(Root::of_header(&root.upper()), Some(root));
        assert_eq!(Root::of_header(b"short"), None);
    }
}
