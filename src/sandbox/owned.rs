//! What programs of containers make in directories of the project belongs to the developer, as all the rest there.
//!
//! A program that runs as the superuser of its container leaves files that the developer can neither edit nor remove. They are
//! given back by a program of the same container: whatever else it reaches by a link is the container's own.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ignore::WalkBuilder;

use super::on::is_on_swarm;
use super::{Error, SandboxId};
use crate::engine::{Engine, ExecSpec};
use crate::files::{self, FileError};
use crate::project::Project;
use crate::project::service::SyncMode;
use crate::task::blocking;

/// So many paths are given back by one program: an argument list has a limit.
const AT_ONCE: usize = 500;
/// The superuser's number.
const SUPERUSER: u32 = 0;

/// Gives what the superuser made in the mounted directories of a running sandbox to whoever owns these; those that could
/// not be given back, as the project calls them.
pub async fn give_back(engine: &Engine, project: &Project, id: &SandboxId) -> Result<Vec<String>, Error> {
    let mut left = Vec::new();
    // An engine elsewhere has nothing of it mounted, nor has a swarm.
    if engine.place().elsewhere || is_on_swarm(engine, id).await? {
        return Ok(left);
    }
    for (name, service) in &project.manifest.services {
        for (local, shown) in service.sync.iter().filter(|(_, shown)| shown.mode() == SyncMode::Bind) {
            let (root, local) = (project.root.clone(), local.clone());
            let Some((owner, paths)) = blocking({
                let local = local.clone();
                move || foreign(&root, &local)
            })
            .await?
            else {
                continue;
            };
            let container = id.container(&project.manifest.name, name);
            for some in paths.chunks(AT_ONCE) {
                let places = some.iter().map(|path| format!("{}/{path}", shown.target()));
                let command = ["chown", "-h", &owner, "--"].map(str::to_owned).into_iter().chain(places).collect();
                let user = Some(SUPERUSER.to_string());
                let spec = ExecSpec { container: container.clone(), command, user, ..ExecSpec::default() };
                if engine.run_silently(&spec).await? != Some(0) {
                    left.push(local.clone());
                    break;
                }
            }
        }
    }
    Ok(left)
}

/// What in a directory of the project is the superuser's, and whose the directory is, as `chown` is told; none where all is as
/// it should be. Blocking.
fn foreign(root: &Path, local: &str) -> Result<Option<(String, Vec<String>)>, FileError> {
    let place = files::confined(root, Path::new(local))?;
    let owner = std::fs::metadata(&place).map_err(FileError::io("read", &place))?;
    if owner.uid() == SUPERUSER {
        return Ok(None);
    }
    let mut walk = WalkBuilder::new(&place);
    let all = walk.standard_filters(false).follow_links(false).build().flatten();
    let theirs = all.filter(|found| found.path().symlink_metadata().is_ok_and(|meta| meta.uid() == SUPERUSER));
    // A name that is no text cannot be told to a program.
    let paths: Vec<String> =
        theirs.filter_map(|found| Some(found.path().strip_prefix(&place).ok()?.to_str()?.to_owned())).collect();
    Ok((!paths.is_empty()).then(|| (format!("{}:{}", owner.uid(), owner.gid()), paths)))
}
