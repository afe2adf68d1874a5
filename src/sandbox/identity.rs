//! Which sandbox: one for each project, branch and worktree, so that several at once never clash.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::engine::cluster_name;
use crate::name::Name;
use crate::reference::Digest;
use crate::text::slug;

/// A sandbox's name and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SandboxId {
    name: String,
    /// The project's name.
    pub project: Name,
    /// The branch; none when HEAD is detached or there is no repository.
    pub branch: Option<String>,
    /// The project's directory.
    pub directory: PathBuf,
    /// What tells the project from others of its name: the repository that its work trees share.
    #[serde(skip)]
    pub repository: PathBuf,
    /// The name of the sandbox that it is beside, if it is for one group of that one's tests, or for a rehearsal.
    #[serde(skip)]
    pub beside: Option<String>,
    /// The name of the sandbox whose images it runs, if it builds none.
    #[serde(skip)]
    lender: Option<String>,
}

impl SandboxId {
    /// The sandbox of this project directory while this branch is checked out.
    pub fn new(project: &Name, branch: Option<&str>, directory: &Path) -> Self {
        let shown = slug(branch.unwrap_or("detached"), 20);
        // The slug may lose what tells two branches apart; the hash does not.
        let whole = [directory.as_os_str().as_encoded_bytes(), b"\0", branch.unwrap_or_default().as_bytes()].concat();
        let digest = Digest::of(&whole);
        let hash = &digest.hex()[..8];
        let name = if shown.is_empty() { format!("{project}-{hash}") } else { format!("{project}-{shown}-{hash}") };
        let (branch, directory) = (branch.map(str::to_owned), directory.to_owned());
        Self {
            name,
            project: project.clone(),
            branch,
            repository: directory.clone(),
            directory,
            beside: None,
            lender: None,
        }
    }

    /// The same in this repository.
    #[must_use]
    pub fn of_repository(self, repository: PathBuf) -> Self {
        Self { repository, ..self }
    }

    /// The sandbox beside this one for a group of its tests. No other name has two dashes in a row.
    #[must_use]
    pub fn beside(&self, group: &Name) -> Self {
        let own = Some(self.name.clone());
        Self { name: format!("{}--{group}", self.name), beside: own.clone(), lender: own, ..self.clone() }
    }

    /// The sandbox beside this one in which a deployment is rehearsed. No group's name begins with a dash.
    #[must_use]
    pub fn rehearsal(&self) -> Self {
        Self { name: format!("{}---rehearsal", self.name), beside: Some(self.name.clone()), ..self.clone() }
    }

    /// The name of the sandbox that its images are built for: one of a group's tests runs that one's which it is beside.
    pub fn builder(&self) -> &str {
        self.lender.as_deref().unwrap_or(&self.name)
    }

    /// What the sandboxes of one project share, whichever work tree they are of: `shop-1a2b3c4d`.
    pub fn home(&self) -> String {
        let digest = Digest::of(self.repository.as_os_str().as_encoded_bytes());
        format!("{}-{}", self.project, &digest.hex()[..8])
    }

    /// The name, unique on this machine.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What its network is called.
    pub fn network(&self) -> String {
        network_of(&self.name)
    }

    /// What the network is called that its services have on a swarm: all of them, or those of one app.
    pub fn overlay(&self, app: Option<&Name>) -> String {
        match app {
            Some(app) => cluster_name(&format!("{}.{app}", self.network())),
            None => cluster_name(&self.network()),
        }
    }

    /// What the container of an app's service is called.
    pub fn container(&self, app: &Name, service: &Name) -> String {
        format!("onramp.{}.{app}.{service}", self.name)
    }

    /// What the volume of an app's service is called: the first that holds its data, or the one after so many.
    pub fn volume(&self, app: &Name, service: &Name, generation: u32) -> String {
        let first = format!("onramp.{}.{app}.{service}.data", self.name);
        if generation > 1 { format!("{first}.{generation}") } else { first }
    }

    /// What the volume is called that has the secrets of an app's service.
    pub fn secrets(&self, app: &Name, service: &Name) -> String {
        format!("onramp.{}.{app}.{service}.secrets", self.name)
    }

    /// What the volume is called that is there while another one is filled.
    pub fn seeding(&self, volume: &str) -> String {
        format!("{volume}.seeding")
    }

    /// What the container is called through which files come to a volume.
    pub fn carrier(&self, volume: &str) -> String {
        format!("onramp.{}.carrier.{}", self.name, &Digest::of(volume.as_bytes()).hex()[..12])
    }

    /// What the names of the images that are built for it begin with.
    pub fn image_prefix(&self) -> String {
        image_prefix(self.builder())
    }

    /// Where the search for a free subnet begins: spread, and the same every time.
    pub fn preferred_subnet(&self) -> u8 {
        u8::from_str_radix(&Digest::of(self.name.as_bytes()).hex()[..2], 16).unwrap_or_default()
    }
}

/// What whoever changes the sandbox of this name has the turn on.
pub fn turn_on(sandbox: &str) -> String {
    format!("sandbox {sandbox}")
}

/// What the network of the sandbox of this name is called.
pub fn network_of(sandbox: &str) -> String {
    format!("onramp.{sandbox}")
}

/// What the names of the images begin with that are built for the sandbox of this name.
pub fn image_prefix(sandbox: &str) -> String {
    format!("onramp-sandbox/{sandbox}.")
}

impl fmt::Display for SandboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_worktrees_never_share_a_sandbox() {
        let id = |branch, directory| {
            SandboxId::new(&"shop".parse().unwrap(), branch, Path::new(directory)).as_str().to_owned()
        };
        let all =
            [id(Some("a/b"), "/w"), id(Some("a-b"), "/w"), id(Some("a/b"), "/w2"), id(None, "/w"), id(Some("ü"), "/w")];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        assert!(all[0].starts_with("shop-a-b-"));
        assert_eq!(id(Some("main"), "/w"), id(Some("main"), "/w"));
    }

    #[test]
    fn a_sandbox_beside_another_has_everything_of_its_own_but_the_images() {
        let (shop, db): (Name, Name) = ("shop".parse().unwrap(), "db".parse().unwrap());
        let own = SandboxId::new(&shop, Some("a--db"), Path::new("/w"));
        let beside = own.beside(&db);
        assert_eq!(beside.as_str(), format!("{own}--db"));
        assert_ne!(beside.network(), own.network());
        assert_ne!(beside.volume(&shop, &db, 1), own.volume(&shop, &db, 1));
        assert_eq!(beside.image_prefix(), own.image_prefix());
        let rehearsal = own.rehearsal();
        assert_eq!(rehearsal.as_str(), format!("{own}---rehearsal"));
        assert_ne!(rehearsal.image_prefix(), own.image_prefix(), "it builds what would be deployed, and takes it away");
    }
}
